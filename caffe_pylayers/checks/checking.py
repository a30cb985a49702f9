"""All checks of some nets and solvers, in order: what is written, then how it hangs together, data, Caffe, weights."""

from dataclasses import dataclass, field
from typing import Any, Iterator, List, Optional, Sequence

from caffe_pylayers import nets, prototxt, stock
from caffe_pylayers.checks import fields, layout, python_layers, solvers
from caffe_pylayers.checks.findings import ERROR, WARNING, Finding, of_error
from caffe_pylayers.checks.views import View, in_each
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.nets import Layer, Net, Solver
from caffe_pylayers.prototxt import Message, PrototxtError


@dataclass
class Report:
    """What was found, and what was looked at.

    findings: by file, as given, and line. skipped: what was not checked, and why, in words.
    """

    findings: List[Finding] = field(default_factory=list)
    views: List[View] = field(default_factory=list)
    solvers: List[Solver] = field(default_factory=list)
    sources: int = 0
    skipped: List[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """One line: what was found, in what, and what was not checked."""
        levels = [finding.level for finding in self.findings]
        wrong = [_counted(levels.count(level), level) for level in (ERROR, WARNING) if level in levels]
        states = dict.fromkeys(str(view.state) for view in self.views)
        looked_at = [
            _counted(len(self.solvers), "solver"),
            f"{_counted(len(self.nets), 'net')} ({', '.join(states) or 'in no state'})",
            _counted(len(self.layers), "layer"),
            _counted(self.sources, "source"),
        ]
        skipped = f"; not checked: {'; '.join(self.skipped)}" if self.skipped else ""
        return f"{' and '.join(wrong) or 'nothing wrong'} in {', '.join(each for each in looked_at if each[0] != '0')}{skipped}"

    @property
    def nets(self) -> List[Net]:
        """Each net once."""
        return list(dict.fromkeys(view.net for view in self.views))

    @property
    def layers(self) -> List[Layer]:
        """Each layer that is in one of the states once."""
        return list(dict.fromkeys(layer for view in self.views for layer in view.layers))


def check_files(
    paths: Sequence[str],
    *,
    weights: Optional[str] = None,
    data: bool = True,
    build: bool = True,
    stages: Sequence[str] = (),
) -> Report:
    """Check nets and solvers that belong together: train, test and deploy nets load the same weights."""
    report = Report()
    caffe = _caffe(report)
    for path in paths:
        try:
            _read(prototxt.read(path), path, stages, caffe, report)
        except PrototxtError as problem:
            report.findings.append(of_error(problem))
    for net in report.nets:
        report.findings += layout.check_net(net)
        of_net = [view for view in report.views if view.net is net]
        for rule in (layout.check_blobs, layout.check_names, python_layers.check_loss, python_layers.check_draws):
            report.findings += in_each(of_net, rule)
    types = list(caffe.layer_type_list()) if caffe else []
    for layer in report.layers:
        report.findings += layout.check_layer(layer, types)
        report.findings += python_layers.check_layer(layer)
        if data:
            report.findings += python_layers.check_files(layer)
    report.findings = _in_order(report.findings)
    return report


def _caffe(report: Report) -> Any:
    try:
        return stock.import_caffe()
    except ConfigError as problem:
        report.skipped.append(f"Caffe is not here ({str(problem).partition('; ')[0]}): fields, types and shapes")
        return None


def _read(message: Message, path: str, stages: Sequence[str], caffe: Any, report: Report) -> None:
    """Take the nets of a file into the report."""
    solver = nets.is_solver(message)
    if caffe:
        from caffe.proto import caffe_pb2

        kind = caffe_pb2.SolverParameter if solver else caffe_pb2.NetParameter
        report.findings += fields.check_fields(message, kind.DESCRIPTOR, path)
    if not solver:
        net = nets.net_of(message, path)
        report.views += _views(net, stages)
        return
    found = list(solvers.check_solver(message, path))
    report.findings += found
    if any("net" in each.message and each.level == ERROR for each in found):
        return
    whole = nets.solver_of(message, path)
    report.solvers.append(whole)
    report.views += [View.of(net, state) for net, state in dict.fromkeys([whole.train, *whole.tests])]


def _views(net: Net, stages: Sequence[str]) -> Iterator[View]:
    """A net in the states that it is for: those in which some layer needs no bottom."""
    views = [View.of(net, state) for state in nets.states_of(net, stages)]
    yield from (view for view in views if any(not layer.bottoms for layer in view.layers))


def _in_order(findings: Sequence[Finding]) -> List[Finding]:
    """Each once, by file in the order of the first, and line."""
    files = {file: number for number, file in enumerate(dict.fromkeys(finding.file for finding in findings))}
    return sorted(dict.fromkeys(findings), key=lambda finding: (files[finding.file], finding.line))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
