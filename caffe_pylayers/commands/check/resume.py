"""The rules of `resume: true` and of memories: blobs with what a layer keeps travel with the weights, and Caffe must let them."""

from typing import Dict, Iterator, List, Optional, Sequence

from caffe_pylayers.caffe_files.nets import Layer, Solver
from caffe_pylayers.caffe_files.prototxt import Message
from caffe_pylayers.commands.check.findings import Finding, error, line_of, warning
from caffe_pylayers.commands.check.python_layers import options_of, ours
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.commands.check.views import View
from caffe_pylayers.config.facts import Kept

_FROZEN = "param { lr_mult: 0  decay_mult: 0 }"


def kept_by(layer: Layer) -> Optional[Kept]:
    """What a layer of this package keeps in blobs, such as its position with `resume: true`."""
    options = options_of(layer)
    return None if options is None else options.keeps()


def num_blobs(layer: Layer) -> Optional[int]:
    """How many parameter blobs a layer of this package has; None for any other layer, or where options are wrong."""
    options = options_of(layer)
    return None if options is None else options.num_blobs()


def _decays(layer: Layer, report: Report) -> bool:
    """Whether a solver of the layer's net has weight_decay; nearly all have it, so also if no solver is known."""
    solvers = [solver for solver in report.solvers if any(layer in net.layers for net in solver.nets)]
    return not solvers or any(solver.message.get("weight_decay", 0) for solver in solvers)


def check_param(layer: Layer, report: Report) -> Iterator[Finding]:
    """No more param blocks than there are blobs, and a frozen one for each blob that keeps something, the last ones."""
    found = layer.message.messages("param")
    blobs, kept = num_blobs(layer), kept_by(layer)
    if blobs is None:
        return
    if len(found) > blobs:
        remedy = "leave it out"
        if blobs == 0 and "resume" in type(options_of(layer)).model_fields:  # type: ignore[union-attr]
            remedy = "set 'resume': True in param_str, or leave it out"
        has = {0: "keeps no blob", 1: "has one blob"}.get(blobs, f"has {blobs} blobs")
        yield error(layer, f"{len(found)} param {_blocks(found)}, but the layer {has}: Caffe aborts", remedy, "param")
    elif kept is not None:
        learned = blobs - kept.blobs
        if len(found) < blobs:
            yield _missing(layer, report, kept, learned, found)
        for number in range(learned, len(found)):
            if found[number].get("lr_mult", 1) != 0:  # without a rate Caffe applies no decay either
                yield _not_frozen(layer, report, kept, number, found, blobs)


def _missing(layer: Layer, report: Report, kept: Kept, learned: int, found: Sequence[Message]) -> Finding:
    frozen_too_early = 0 < len(found) <= learned and found[0].get("lr_mult", 1) == 0
    there = 0 if frozen_too_early else len(found)
    missing = ["param { lr_mult: 1 }"] * (learned - there) + [_FROZEN] * (kept.blobs - max(there - learned, 0))
    where = " in place of it: the first is that of what is learned" if frozen_too_early else " behind it" * bool(found)
    frozen = "a frozen param" if kept.blobs == 1 else f"{kept.blobs} frozen params"
    return (error if _decays(layer, report) else warning)(
        layer,
        f"{kept.text} without {frozen}: with weight_decay the solver changes the layer's {kept.what}",
        f"{'write' if frozen_too_early else 'add'} `{'  '.join(missing)}`{where}",
    )


def _not_frozen(layer: Layer, report: Report, kept: Kept, number: int, found: Sequence[Message], blobs: int) -> Finding:
    decays = found[number].get("decay_mult", 1) != 0 and _decays(layer, report)
    where = f" in param {number + 1} of {blobs}" * (blobs > 1)
    return (error if decays else warning)(
        layer,
        f"{kept.text} with lr_mult {found[number].get('lr_mult', 1)}{where}: the solver must leave the layer's {kept.what} alone",
        f"write `{_FROZEN}`",
        "param",
    )


def _blocks(found: Sequence[Message]) -> str:
    return "block" if len(found) == 1 else "blocks"


def check_names(views: Sequence[View], _: Report) -> Iterator[Finding]:
    """A layer that keeps something shares its name only with layers that have the blobs too, in all nets."""
    by_name: Dict[str, List[Layer]] = {}
    for layer in dict.fromkeys(layer for view in views for layer in view.layers):
        by_name.setdefault(layer.name, []).append(layer)
    for name, layers in by_name.items():
        others = [layer for layer in layers if kept_by(layer) is None]
        for layer in layers:
            kept = kept_by(layer)
            if kept is None:
                continue
            for other in others:
                yield _clash(layer, kept, other)
            if name == "data" and not others:
                yield warning(
                    layer,
                    f"{kept.text} gives a layer named 'data' a blob; if a deploy net has an Input with this name, Caffe aborts",
                    "call it train_data: no other layer may have this name in any net that loads the weights",
                    "name",
                )


def _clash(layer: Layer, kept: Kept, other: Layer) -> Finding:
    place = f"{other.file}:{other.line}"
    if ours(other) and num_blobs(other) is not None:
        return error(
            layer,
            f"{kept.text}, but the layer with this name at {place} is without it: Caffe shares blobs by name, and aborts",
            f"give both {kept.text} and the param block{'s' * (kept.blobs > 1)}, or different names",
            "python_param.param_str",
        )
    return error(
        layer,
        f"{kept.text} gives it a blob, but the {other.type} with this name at {place} has none: Caffe aborts when it loads the weights",
        "rename one, for example to train_data",
        "name",
    )


def check_solver(solver: Solver, _: Report) -> Iterator[Finding]:
    """What a solver must say alike: snapshot_format, iter_size, test_iter."""
    message = solver.message
    train, state = solver.train
    training = train.in_state(state)

    def of_solver(level: str, at: str, problem: str, remedy: str) -> Finding:
        return Finding(solver.path, line_of(message, at), "", level, problem, remedy)

    if str(message.get("snapshot_format", "")) in ("HDF5", "0"):
        problem = "snapshot_format HDF5: in many builds of Caffe a restored run silently begins with new weights"
        remedy = "use `snapshot_format: BINARYPROTO`"
        yield of_solver("error", "snapshot_format", problem, remedy)
    iter_size = message.get("iter_size", 1)
    for layer in training:
        options = options_of(layer)
        own = getattr(options, "iter_size", None)
        if options is not None and own is not None and own != iter_size and (own != 1 or options.counts_iterations()):
            yield warning(
                layer,
                f"option 'iter_size' is {own}, but the solver's is {iter_size}: the layer counts {own} forward passes per iteration",
                f"set 'iter_size': {iter_size}",
                "python_param.param_str",
            )
    iterations = message.all("test_iter")
    for number, (net, state) in enumerate(solver.tests):
        for layer in net.in_state(state):
            options = options_of(layer)
            restart = getattr(options, "restart_every", 0)
            if options is not None and restart and number < len(iterations) and restart != iterations[number]:
                yield warning(
                    layer,
                    f"'restart_every' is {restart}, but test_iter is {iterations[number]}: {options.if_restart_differs}",
                    f"set 'restart_every': {iterations[number]}",
                    "python_param.param_str",
                )
