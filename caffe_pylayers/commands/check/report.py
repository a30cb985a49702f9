"""What was found in nets and solvers, and what is known of them."""

from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Sequence, Tuple

from caffe_pylayers.caffe_files.nets import Layer, Net, Solver
from caffe_pylayers.caffe_files.weights import LayerWeights
from caffe_pylayers.commands.check.findings import ERROR, WARNING, Finding
from caffe_pylayers.commands.check.numbers import Numbers, Top
from caffe_pylayers.commands.check.views import View

Shape = Tuple[int, ...]


@dataclass
class Built:
    """A net that Caffe has set up: the shapes of its blobs, and of the parameter blobs of each layer, by name."""

    blobs: Dict[str, Shape] = field(default_factory=dict)
    params: Dict[str, List[Shape]] = field(default_factory=dict)


@dataclass
class Report:
    """What was found, what was looked at, and what rules may know of it.

    findings: by file, as given, and line. views: the nets, in each of their states. others: nets that are no solver's.
    sources: how many data layers were looked at. all_data: whether all of their records are to be read. records: how many
    were, of how many. skipped: what was not checked, and why, in words.
    types: of layers that this Caffe has; none where it is not here. labels: of data layers; an entry for
    each top that is wanted, without values as long as they are not known. tried: the nets
    that Caffe was to set up. built: those that it has set up. weights, trained: the path of those that are to be loaded, "" where none are, and what it has.
    runs_code: whether modules that nets name may be imported, which runs them.
    """

    findings: List[Finding] = field(default_factory=list)
    views: List[View] = field(default_factory=list)
    solvers: List[Solver] = field(default_factory=list)
    others: List[Net] = field(default_factory=list)
    sources: int = 0
    all_data: bool = False
    records: Dict[Layer, Tuple[int, int]] = field(default_factory=dict)
    skipped: List[str] = field(default_factory=list)
    types: Sequence[str] = ()
    labels: Dict[Top, Numbers] = field(default_factory=dict)
    tried: Sequence[View] = ()
    built: Dict[View, Built] = field(default_factory=dict)
    weights: str = ""
    trained: Sequence[LayerWeights] = ()
    runs_code: bool = True

    @property
    def summary(self) -> str:
        """One line: what was not looked at, what was found, and in what."""
        levels = [finding.level for finding in self.findings]
        wrong = [_counted(levels.count(level), level) for level in (ERROR, WARNING) if level in levels]
        states = dict.fromkeys(str(view.state) for view in self.views)
        looked_at = [
            _counted(len(self.solvers), "solver"),
            _counted(len(self.nets), "net") + (f" ({', '.join(states)})" if states else ""),
            _counted(len(self.layers), "layer"),
            _counted(self.sources, "source"),
        ]
        where = ", ".join(each for each in looked_at if each[0] != "0")
        limits = "; ".join([*([f"not checked: {'; '.join(self.skipped)}"] if self.skipped else []), *self._reading])
        found = f"{' and '.join(wrong) or 'nothing wrong'}{' in ' if where else ''}{where}"
        return f"{limits}: {found}" if limits else found

    @property
    def _reading(self) -> List[str]:
        """How many records were read, in words; none where no source has any."""
        if not self.records_there:
            return []
        if self.records_read == self.records_there:
            return [
                f"all {_counted(self.records_there, 'record')} read"
                if self.records_there > 1
                else "its only record read"
            ]
        return [f"{self.records_read} of {self.records_there} records read, --all-data reads all"]

    @property
    def records_read(self) -> int:
        """Of all sources; a source of two layers counts twice."""
        return sum(read for read, _ in self.records.values())

    @property
    def records_there(self) -> int:
        """In all sources."""
        return sum(there for _, there in self.records.values())

    @property
    def nets(self) -> List[Net]:
        """Each net once."""
        return list(dict.fromkeys([*(view.net for view in self.views), *self.others]))

    @property
    def layers(self) -> List[Layer]:
        """Each layer that is in one of the states once."""
        return list(dict.fromkeys(layer for view in self.views for layer in view.layers))

    def wanted(self, layer: Layer) -> List[Top]:
        """The tops of a data layer that some layer takes for labels."""
        return [top for top in self.labels if top.layer is layer]

    def is_trained(self, layer: Layer) -> bool:
        """Whether a layer is in a TRAIN net."""
        return any(view.training and layer in view.members for view in self.views)

    def shapes(self, view: View) -> Mapping[str, Shape]:
        """Of the blobs of a net, by name; none where Caffe has not set it up."""
        return self.built[view].blobs if view in self.built else {}


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
