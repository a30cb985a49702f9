"""What a solver does to a blob that is no weight: the centres of classes."""

from typing import Iterator

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.check.findings import Finding, warning
from caffe_pylayers.commands.check.python_layers import options_of
from caffe_pylayers.commands.check.report import Report

#: Solvers that divide each step by the size of earlier ones.
_DIVIDING = ("Adam", "AdaDelta", "AdaGrad", "RMSProp")


def check_places(layer: Layer, report: Report) -> Iterator[Finding]:
    """Weight decay pulls places to 0, and steps that are no derivatives do not go with all solvers."""
    options = options_of(layer)
    if options is None or not options.places or not report.is_trained(layer):
        return
    params = layer.message.messages("param")
    rate, decay = (params[0].get(name, 1) if params else 1 for name in ("lr_mult", "decay_mult"))
    if rate == 0:
        return
    solvers = [solver.message for solver in report.solvers if any(layer in net.layers for net in solver.nets)]
    if decay and (not solvers or any(solver.get("weight_decay", 0) for solver in solvers)):
        problem = f"weight_decay pulls its {options.places} to 0, away from where the samples are"
        yield warning(layer, problem, f"write `param {{ lr_mult: {rate}  decay_mult: 0 }}`", "param")
    for solver in solvers if options.makes_steps() else ():
        kind, clip = str(solver.get("type", "SGD")), solver.get("clip_gradients", -1)
        if kind in _DIVIDING:
            problem = (
                f"type {kind} of the solver makes of every step of its {options.places} one of about the same size"
            )
            yield warning(layer, problem, "take `type: \"SGD\"`, or set 'update': 'gradient'")
        if isinstance(clip, (int, float)) and clip > 0:
            problem = f"clip_gradients of the solver takes the steps of its {options.places} for gradients, and makes all gradients smaller"
            yield warning(layer, problem, "leave clip_gradients out, or set 'update': 'gradient'")
