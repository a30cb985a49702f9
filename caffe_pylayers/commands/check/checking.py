"""All checks of some nets and solvers, in order: what is written, then how it hangs together, data, Caffe, weights."""

from dataclasses import replace
from typing import Any, Iterator, List, Optional, Sequence, Tuple

from caffe_pylayers.caffe_files import nets, prototxt
from caffe_pylayers.caffe_files.nets import Layer, Net, Solver
from caffe_pylayers.caffe_files.prototxt import Message, PrototxtError
from caffe_pylayers.caffe_files.weights import read_weights
from caffe_pylayers.commands.check import building, fields, foreign_layers, solvers, sources, stock_data
from caffe_pylayers.commands.check.findings import ERROR, WARNING, Finding, listed, of_error
from caffe_pylayers.commands.check.labels import label_tops
from caffe_pylayers.commands.check.numbers import Numbers
from caffe_pylayers.commands.check.python_layers import options_of
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.commands.check.rules import Scope, found, found_in_files
from caffe_pylayers.commands.check.views import View, in_each
from caffe_pylayers.processes import stock
from caffe_pylayers.processes.gpu import built_for_gpus


def check_files(
    paths: Sequence[str],
    *,
    weights: Optional[str] = None,
    data: bool = True,
    build: bool = True,
    stages: Sequence[str] = (),
    all_data: bool = False,
    code: Optional[bool] = None,
) -> Report:
    """Check nets and solvers that belong together: train, test and deploy nets load the same weights.

    all_data: read all records of all sources, not only the first and the last of each.
    code: whether the modules that nets name are imported, which runs them; by default where nets are built.
    Raises ConfigError or DataError where a file cannot be read at all; a mistake in one is a finding.
    """
    report = Report(all_data=all_data, runs_code=build if code is None else code)
    caffe = _caffe(report)
    if weights is not None:
        report.weights, report.trained = weights, read_weights(weights)
    for path in paths:
        try:
            _read(prototxt.read(path), path, stages, caffe, report)
        except PrototxtError as problem:
            report.findings.append(of_error(problem))
    report.types = list(caffe.layer_type_list()) if caffe else []
    report.findings += found_in_files(report)
    if data:
        report.sources = sum(stock_data.is_data_layer(each) or sources.is_data_layer(each) for each in report.layers)
        report.labels = {top: Numbers() for view in report.views for top in label_tops(view)}
        report.findings += found(report, Scope.DATA, report.layers)
    else:
        report.skipped.append("data (--no-data)")
    modules = dict.fromkeys(module for layer in report.layers for module in _modules(layer))
    if modules and not report.runs_code:
        report.skipped.append(f"what needs code of these modules: {', '.join(modules)} (--no-build)")
    _build(report, bool(caffe), build, data)
    report.findings += found(report, Scope.PAIR, _pairs(report))
    report.findings += found(report, Scope.SET_UP, report.views)
    report.findings += found(report, Scope.WEIGHTS, [report.weights] if report.weights else [])
    if report.weights and len(report.built) < len(report.views):
        report.skipped.append("weights, for nets that are not set up")
    report.findings = _in_order(report.findings)
    return report


def _modules(layer: Layer) -> Iterator[str]:
    """The modules of other packages that a layer needs."""
    if foreign_layers.is_foreign(layer):
        yield layer.python[0]
    options = options_of(layer)
    for place in options.plugins().values() if options else ():
        yield place.partition(":")[0]


def _build(report: Report, caffe: bool, wanted: bool, data: bool) -> None:
    """Have Caffe set up the nets in which no error was found, and none of whose data was left alone."""
    if not (caffe and wanted and report.views):
        if caffe and not wanted:
            report.skipped.append("shapes (--no-build)")
        return
    wrong = {finding.file for finding in report.findings if finding.level == ERROR}
    right = [view for view in report.views if view.net.path not in wrong]
    if not data:
        right = [view for view in right if not any(is_data(layer) for layer in view.layers)]
    if len(right) < len(report.views):
        report.skipped.append("shapes of nets with errors" if data else "shapes of nets with data layers")
    report.tried = right
    report.built, failed = building.build(right)
    for net in report.nets:
        views = [view for view in failed if view.net is net]
        report.findings += in_each(views, lambda view: iter([failed[view]]))


def _pairs(report: Report) -> Iterator[Tuple[View, View]]:
    """The TRAIN and TEST nets that Caffe has set up, and of which one solver has both: a solver's, or those of a file."""
    of = {(view.net, view.state): view for view in report.views}
    together = [(of[solver.train], [of[test] for test in solver.tests]) for solver in report.solvers]
    for net in report.nets:
        views = [view for view in report.views if view.net is net]
        together += [(view, [test for test in views if not test.training]) for view in views if view.training]
    pairs = dict.fromkeys((train, test) for train, tests in together for test in tests)
    yield from (pair for pair in pairs if all(view in report.built for view in pair))


def is_data(layer: Layer) -> bool:
    """Whether setting up the layer reads data."""
    return (
        sources.is_data_layer(layer)
        or stock_data.is_data_layer(layer)
        or (layer.type == "Python" and not layer.bottoms)
    )


def _caffe(report: Report) -> Any:
    """The module, or None where it is not here."""
    try:
        caffe = stock.import_caffe()
        why = "" if hasattr(caffe, "layer_type_list") else f"`import caffe` gives another module, {caffe}"
    except stock.NoCaffeError as problem:
        why = problem.why
    if not why:
        return caffe
    report.skipped.append(f"fields, layer types and shapes, because {why} (see `caffe-pylayers doctor`)")
    return None


def _read(message: Message, path: str, stages: Sequence[str], caffe: Any, report: Report) -> None:
    """Take the nets of a file into the report."""
    is_solver = nets.is_solver(message)
    if not is_solver:
        nets.require_net(message, path)
    if caffe:
        from caffe.proto import caffe_pb2

        kind = caffe_pb2.SolverParameter if is_solver else caffe_pb2.NetParameter
        report.findings += fields.check_fields(message, kind.DESCRIPTOR, path)
    if not is_solver:
        net = _known(report, nets.net_of(message, path))
        nets.require_stages(net, stages)
        report.others.append(net)
        _add_views(report, [View.of(net, state) for state in nets.states_of(net, stages)], needed=False)
        if net.layers and not any(view.net is net for view in report.views):
            report.findings.append(_in_no_state(net))
        return
    gpu = not caffe or built_for_gpus()
    report.findings += solvers.check_solver(message, path, gpu)
    try:
        solver = nets.solver_of(message, path)
    except PrototxtError as problem:
        found = {(finding.file, finding.line) for finding in report.findings if finding.level == ERROR}
        if (problem.where, problem.line) not in found:  # check_solver says some of it too, and more
            report.findings.append(of_error(problem))
        return
    for net in solver.nets if caffe else ():
        if net.path != path:
            report.findings += fields.check_fields(prototxt.read(net.path), caffe_pb2.NetParameter.DESCRIPTOR, net.path)
    (train, state), *tests = [(_known(report, net), state) for net, state in (solver.train, *solver.tests)]
    nets.require_stages(train, stages)
    state = replace(state, stages=(*state.stages, *stages))  # as `caffe train --stage` has it
    report.solvers.append(Solver(path, message, (train, state), tests))
    _add_views(report, [View.of(net, state) for net, state in [(train, state), *tests]], needed=True)


def _known(report: Report, net: Net) -> Net:
    """The net of that file that the report has already, or this one."""
    return next((known for known in report.nets if known.path == net.path and known.message == net.message), net)


def _add_views(report: Report, views: Sequence[View], needed: bool) -> None:
    """Take new views into the report; unless `needed`, only those that the net is for: some layer needs no bottom."""
    there = {(view.net, view.state) for view in report.views}
    for view in views:
        if (view.net, view.state) not in there and (needed or any(not layer.bottoms for layer in view.layers)):
            there.add((view.net, view.state))
            report.views.append(view)


def _in_no_state(net: Net) -> Finding:
    stages = nets.stages_named(net)
    remedy = (
        f"name one of its stages with --stage: {listed(stages)}"
        if stages
        else "begin the net with a data layer or an Input"
    )
    return Finding(
        net.path, net.message.line, "", WARNING, "its TRAIN and TEST nets have no layer without bottoms", remedy
    )


def _in_order(findings: Sequence[Finding]) -> List[Finding]:
    """Each once, by file in the order of the first, and line."""
    files = {file: number for number, file in enumerate(dict.fromkeys(finding.file for finding in findings))}
    return sorted(dict.fromkeys(findings), key=lambda finding: (files[finding.file], finding.line))
