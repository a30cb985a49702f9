"""A net as it is in one state: the layers that it then has, and which blob comes from where."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Callable, Dict, FrozenSet, Iterator, List, Optional, Sequence, Set, Tuple

from caffe_pylayers.caffe_files.nets import TRAIN, Layer, Net, NetState
from caffe_pylayers.caffe_files.prototxt import Message
from caffe_pylayers.commands.check.findings import Finding
from caffe_pylayers.commands.check.numbers import Top
from caffe_pylayers.config.catalogue import SCHEMAS

#: Stock layers whose tops have the values of their first bottom.
_KEEP_VALUES = ("Split", "Reshape", "Flatten", "Slice", "Crop")


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

    @cached_property
    def members(self) -> FrozenSet[Layer]:
        """Its layers."""
        return frozenset(self.layers)

    @cached_property
    def makers(self) -> Dict[str, Layer]:
        """The first layer with a top of each name."""
        return {top: layer for layer in reversed(self.layers) for top in reversed(layer.tops)}

    @cached_property
    def _producers(self) -> Dict[Tuple[Layer, str], Layer]:
        """The layer that last wrote a bottom, by the layer that reads it."""
        found: Dict[Tuple[Layer, str], Layer] = {}
        last: Dict[str, Layer] = {}
        for layer in self.layers:
            found.update({(layer, blob): last[blob] for blob in layer.bottoms if blob in last})
            last.update(dict.fromkeys(layer.tops, layer))
        return found

    @cached_property
    def _consumers(self) -> Dict[Tuple[Layer, str], List[Layer]]:
        found: Dict[Tuple[Layer, str], List[Layer]] = {}
        for (reader, blob), producer in self._producers.items():
            found.setdefault((producer, blob), []).append(reader)
        return found

    def producer(self, layer: Layer, blob: str) -> Optional[Layer]:
        """The layer before `layer` that last wrote a bottom of it."""
        return self._producers.get((layer, blob))

    def consumers(self, layer: Layer, blob: str) -> Sequence[Layer]:
        """The layers that read a top of `layer`, before another writes it."""
        return self._consumers.get((layer, blob), ())

    @cached_property
    def _makers(self) -> Dict[Tuple[Layer, str], Layer]:
        found: Dict[Tuple[Layer, str], Layer] = {}
        for key, producer in self._producers.items():
            found[key] = found.get((producer, key[1]), producer)
        return found

    def maker(self, layer: Layer, blob: str) -> Optional[Layer]:
        """The layer that a bottom comes from, through those that work in place on it."""
        return self._makers.get((layer, blob))

    @cached_property
    def _origins(self) -> Dict[Tuple[Layer, str], Tuple[Layer, str]]:
        found: Dict[Tuple[Layer, str], Tuple[Layer, str]] = {}
        for key, producer in self._producers.items():
            first = producer.bottoms[:1] if _keeps_values(producer) else []
            found[key] = found.get((producer, first[0]), (producer, key[1])) if first else (producer, key[1])
        return found

    def origin(self, layer: Layer, blob: str) -> Optional[Tuple[Layer, str]]:
        """The layer, and its top, that has the values of a bottom, through those that keep them."""
        return self._origins.get((layer, blob))

    @cached_property
    def _fed(self) -> Dict[Tuple[Layer, str], Optional[Top]]:
        found: Dict[Tuple[Layer, str], Optional[Top]] = {}
        for key, producer in self._producers.items():
            number = producer.tops.index(key[1])
            before = found.get((producer, producer.bottoms[0])) if producer.bottoms else None
            if not producer.bottoms:
                found[key] = Top(producer, number)
            elif producer.type != "Slice":
                found[key] = before if _keeps_values(producer) else None
            elif before is not None and self.producer(producer, producer.bottoms[0]) is before.layer:
                found[key] = _sliced(producer, before, number)
        return found

    def fed(self, layer: Layer, blob: str) -> Optional[Top]:
        """The top of a layer without bottoms, or its columns, that a bottom has the values of, at least those of a crop of it."""
        return self._fed.get((layer, blob))

    @cached_property
    def _lines(self) -> Set[Tuple[str, str, int]]:
        """The lines of its layers, each with file and name of the layer."""
        return {
            (layer.file, layer.name, line)
            for layer in self.layers
            for line in range(layer.line, _last_line(layer.message) + 1)
        }

    def has(self, finding: Finding) -> bool:
        """Whether a finding is about one of its layers."""
        return (finding.file, finding.layer, finding.line) in self._lines


def _keeps_values(layer: Layer) -> bool:
    """Whether its first top has the values of its first bottom, or some of them."""
    return layer.type in _KEEP_VALUES or (layer.own in SCHEMAS and SCHEMAS[layer.own].keeps_values)


def _sliced(layer: Layer, before: Top, number: int) -> Optional[Top]:
    """What a top of a Slice has of the top that it slices, if it says which columns, or rows."""
    param = layer.message.message("slice_param")
    points = param.all("slice_point")
    along = param.whole("axis", param.whole("slice_dim", 1))
    if (
        along not in (0, 1)
        or not all(isinstance(point, int) for point in points)
        or not 0 < len(points) == len(layer.tops) - 1
    ):
        return None
    start, stop = [0, *points][number], [*points, None][number]
    return before._replace(start=start, stop=stop) if along else before._replace(rows=(start, stop))


def _last_line(message: Message) -> int:
    """The line of the last field in it."""
    return max(
        [
            message.line,
            *(_last_line(field.value) if isinstance(field.value, Message) else field.line for field in message.fields),
        ]
    )


def in_each(views: Sequence[View], rule: Callable[[View], Iterator[Finding]]) -> Iterator[Finding]:
    """What a rule finds in the states of a net, each once; what is not so in all of them names the state."""
    found: Dict[Finding, List[View]] = {}
    for view in views:
        for finding in rule(view):
            found.setdefault(finding, []).append(view)
    for finding, where in found.items():
        if len(where) < sum(view.has(finding) for view in views):
            states = " and ".join(dict.fromkeys(str(view.state) for view in where))
            finding = replace(finding, message=f"{finding.message} (in {states})")
        yield finding
