"""A net as it is in one state: the layers that it then has, and which blob comes from where."""

from dataclasses import dataclass, replace
from typing import Callable, Dict, Iterator, List, Optional, Sequence

from caffe_pylayers.caffe_files.nets import TRAIN, Layer, Net, NetState
from caffe_pylayers.commands.check.findings import Finding


@dataclass(frozen=True, eq=False)
class View:
    """A net in a state."""

    net: Net
    state: NetState
    layers: List[Layer]

    @classmethod
    def of(cls, net: Net, state: NetState) -> "View":
        return cls(net, state, net.in_state(state))

    @property
    def training(self) -> bool:
        return self.state.phase == TRAIN

    def producer(self, layer: Layer, blob: str) -> Optional[Layer]:
        """The layer before `layer` that last wrote a blob."""
        found = None
        for each in self.layers:
            if each is layer:
                break
            if blob in each.tops:
                found = each
        return found

    def consumers(self, layer: Layer, blob: str) -> List[Layer]:
        """The layers behind `layer` that read a top of it."""
        behind = self.layers[self.layers.index(layer) + 1 :]
        return [each for each in behind if blob in each.bottoms]

    def sources(self, layer: Layer, blob: str) -> Iterator[Layer]:
        """The layers that a blob comes from: its producer, and through those that work in place on it, the first."""
        while True:
            found = self.producer(layer, blob)
            if found is None:
                return
            yield found
            if blob not in found.bottoms:
                return
            layer = found


def in_each(views: Sequence[View], rule: Callable[[View], Iterator[Finding]]) -> Iterator[Finding]:
    """What a rule finds in the states of a net, each once; what is not so in all of them names the state."""
    found: Dict[Finding, List[View]] = {}
    for view in views:
        for finding in rule(view):
            found.setdefault(finding, []).append(view)
    for finding, where in found.items():
        if len(where) < sum(any(_is_about(finding, layer) for layer in view.layers) for view in views):
            states = " and ".join(dict.fromkeys(str(view.state) for view in where))
            finding = replace(finding, message=f"{finding.message} (in {states})")
        yield finding


def _is_about(finding: Finding, layer: Layer) -> bool:
    first, last = layer.line, max([layer.line, *(field.line for field in layer.message.fields)])
    return layer.name == finding.layer and layer.file == finding.file and first <= finding.line <= last
