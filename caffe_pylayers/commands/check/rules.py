"""The rules of `check`, in order, each with what it is about. A new one is a function and a line here."""

import enum
from typing import Any, Callable, Iterable, Iterator, Sequence, Tuple

from caffe_pylayers.caffe_files.nets import Net
from caffe_pylayers.commands.check import (
    foreign_layers,
    labels,
    layout,
    learned_places,
    losses,
    python_layers,
    resume,
    shapes,
    sources,
    stock_data,
    weight_shapes,
    words,
)
from caffe_pylayers.commands.check.findings import Finding
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.commands.check.views import in_each

#: What is wrong with a subject; the report has what is known of everything else.
Rule = Callable[[Any, Report], Iterator[Finding]]


class Scope(enum.Enum):
    """What a rule is about, its first argument, and when it is asked."""

    NET = "each net"
    STATE = "each net in each of its states, a View; what holds in all of them is reported once"
    TRAINING = "the same, in TRAIN"
    LAYER = "each layer of each net"
    VIEWS = "all nets in all states"
    SOLVER = "each solver"
    DATA = "each layer that is in some state, if data may be read; a rule may put its labels into the report"
    PAIR = "a TRAIN and a TEST net of one solver, if Caffe has set up both"
    SET_UP = "each net in each of its states, a View, once Caffe has set it up if it can"
    WEIGHTS = "the path of the weights that are to be loaded"


RULES: Sequence[Tuple[Scope, Rule]] = (
    (Scope.NET, layout.check_net),
    (Scope.STATE, layout.check_blobs),
    (Scope.STATE, layout.check_shared_memory),
    (Scope.STATE, layout.check_names),
    (Scope.STATE, losses.check_inputs),
    (Scope.STATE, losses.check_targets),
    (Scope.STATE, losses.check_label_maps),
    (Scope.STATE, losses.check_graded),
    (Scope.STATE, losses.check_force_backward),
    (Scope.TRAINING, losses.check_loss_weight),
    (Scope.TRAINING, losses.check_noise),
    (Scope.LAYER, layout.check_layer),
    (Scope.LAYER, words.check_words),
    (Scope.LAYER, python_layers.check_layer),
    (Scope.LAYER, resume.check_param),
    (Scope.LAYER, learned_places.check_places),
    (Scope.VIEWS, foreign_layers.check_layers),
    (Scope.VIEWS, resume.check_names),
    (Scope.SOLVER, resume.check_solver),
    (Scope.DATA, python_layers.check_files),
    (Scope.DATA, stock_data.check_matrix),
    (Scope.DATA, stock_data.check_source),
    (Scope.DATA, sources.check_source),
    (Scope.PAIR, weight_shapes.check_sharing),
    (Scope.SET_UP, labels.check_labels),
    (Scope.SET_UP, shapes.check_shapes),
    (Scope.SET_UP, shapes.check_mixed_labels),
    (Scope.SET_UP, weight_shapes.check_weights),
    (Scope.WEIGHTS, weight_shapes.check_format),
)


def found(report: Report, scope: Scope, subjects: Iterable[Any]) -> Iterator[Finding]:
    """What the rules of a scope find, a subject after the other."""
    for subject in subjects:
        for rule in _of(scope):
            yield from rule(subject, report)


def found_in_files(report: Report) -> Iterator[Finding]:
    """What the files alone say, a net after the other, then of all together."""
    for net in report.nets:
        yield from found(report, Scope.NET, [net])
        for scope in (Scope.STATE, Scope.TRAINING):
            for rule in _of(scope):
                yield from _found_in_states(report, net, scope, rule)
        yield from found(report, Scope.LAYER, net.layers)
    yield from found(report, Scope.VIEWS, [report.views])
    yield from found(report, Scope.SOLVER, report.solvers)


def _found_in_states(report: Report, net: Net, scope: Scope, rule: Rule) -> Iterator[Finding]:
    views = [view for view in report.views if view.net is net and (view.training or scope is Scope.STATE)]
    return in_each(views, lambda view: rule(view, report))


def _of(scope: Scope) -> Iterator[Rule]:
    return (rule for of, rule in RULES if of is scope)
