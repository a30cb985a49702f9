"""The labels that the data have against the classes that layers expect."""

from typing import Any, Dict, Iterator, Optional, Tuple

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.check.findings import ERROR, Finding, error, warning
from caffe_pylayers.commands.check.kinds_of_numbers import Shapes, kinds, leaves_out, which
from caffe_pylayers.commands.check.numbers import Numbers, Top, Wrong
from caffe_pylayers.commands.check.python_layers import bottom_names, options_of, ours, takes_label
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.commands.check.views import View

#: Where Caffe's own layers read ignore_label; others read it nowhere.
_IGNORE_IN = {
    "SoftmaxWithLoss": "loss_param", "InfogainLoss": "loss_param", "SigmoidCrossEntropyLoss": "loss_param",
    "Accuracy": "accuracy_param",
}  # fmt: skip


def label_tops(view: View) -> Iterator[Top]:
    """The tops of data layers that some layer takes for labels or targets; rows of one only where they are always of the same sources."""
    for layer in view.layers:
        for number in range(len(layer.bottoms)):
            top = view.fed(layer, layer.bottoms[number]) if any(kinds(layer, number)) else None
            if top is not None and (top.rows is None or getattr(options_of(top.layer), "per_batch", None)):
                yield top


def check_labels(view: View, report: Report) -> Iterator[Finding]:
    """Labels are numbers of classes, 0 to K-1, and targets are 0 to 1, but for those that a loss ignores.

    How many classes there are the scores say that Caffe has set up, or else the layers before them.
    """
    for layer in view.layers if report.labels else ():
        if ours(layer) and options_of(layer) is None:  # what it leaves out is not known
            continue
        for number in range(len(layer.bottoms)):
            is_label, is_target, is_measured = found = kinds(layer, number)
            top = view.fed(layer, layer.bottoms[number]) if any(found) else None
            given = report.labels.get(top) if top is not None else None
            if given is None or top is None:
                continue
            if is_label and is_target:
                is_label, is_target = which(layer, report.shapes(view))
            if is_target or is_measured:
                yield from _check_missing(layer, number, given, top)
                yield from _check_width(view, report, layer, given)
            if is_target:
                check = _check_left_out if leaves_out(layer) else _check_targets
                yield from check(layer, number, given)
            if not is_label:
                continue
            classes, whose = _classes(view, layer, number, report.shapes(view))
            options = options_of(layer)
            per_label = getattr(options, "per", None) == "label"
            if per_label or (options is not None and classes and options.takes_targets(given.width, classes)):
                yield from _check_per_label(layer, number, given)
                continue
            fractions = list(_check_whole(layer, number, given, _is_of_values(top)))
            yield from fractions
            if any(finding.level == ERROR for finding in fractions):
                continue
            if classes is not None:
                yield from _check_range(layer, number, given, classes, whose)
            elif bottom_names(layer)[0] == "embedding":
                yield from _check_negative(layer, number, given)


def _ignores_nan(layer: Layer) -> bool:
    return bool(getattr(options_of(layer), "ignore_nan", False))


def _is_of_values(top: Top) -> bool:
    return bool(getattr(options_of(top.layer), "has_values", False))


def _check_missing(layer: Layer, number: int, given: Numbers, top: Top) -> Iterator[Finding]:
    """Of a target that is NaN ours raises an error, and the loss of Caffe becomes NaN."""
    if _ignores_nan(layer):
        return
    missing = given.but(~np.isnan(given.values))
    remedy = "write another number than 0 and 1, such as 255" if leaves_out(layer) else "set 'ignore_nan': true"
    remedy = remedy if ours(layer) else "use our Weighted" + layer.type + " with 'ignore_nan': true"
    if missing is not None:
        yield error(layer, f"the data have missing targets ({missing.where})", remedy, "bottom", number)
    elif _loses_points(top, given.width):
        lost = (
            f"points outside of the image that is fed are missing targets (`outside: nan` of layer {top.layer.name!r})"
        )
        yield warning(layer, lost, remedy, "bottom", number)


def _loses_points(top: Top, width: int) -> bool:
    """Whether a top has points that become NaN outside of a crop, or of an image that is moved."""
    options: Any = options_of(top.layer)
    moves = getattr(options, "augment", None) is not None and options.augment.moves
    if getattr(options, "outside", None) is None or not (options.crop_size or moves):
        return False
    return any(top.start <= column < top.start + width for pair in options.points for column in pair)


def _check_width(view: View, report: Report, layer: Layer, given: Numbers) -> Iterator[Finding]:
    """A loss of targets has as many predictions. Where Caffe was to set up the net, it or `check_shapes` says so."""
    made, fed = view.maker(layer, layer.bottoms[0]), view.producer(layer, layer.bottoms[1])
    if (
        view in report.tried
        or made is None
        or made.type != "InnerProduct"
        or fed is None
        or (fed.bottoms and fed.type != "Slice")
    ):
        return
    param = made.message.message("inner_product_param")
    found = param.get("num_output")
    if isinstance(found, int) and param.get("axis", 1) == 1 and given.width not in (0, found):
        yield error(
            layer,
            f"layer {made.name!r} has num_output {found}, but a record has {given.width} target{'s' * (given.width != 1)}",
            f"set num_output: {given.width}, or choose other labels",
            "bottom",
            0,
        )


def _check_targets(layer: Layer, number: int, given: Numbers) -> Iterator[Finding]:
    """Of targets outside 0 .. 1 ours raises an error; with weights, those of -1 may have the weight 0."""
    right = (
        (given.values >= 0) & (given.values <= 1)
        | np.isin(np.trunc(given.values), _ignored(layer))
        | np.isnan(given.values)
    )
    wrong = given.but(right | (given.values == -1) if len(layer.bottoms) > 2 else right)
    if wrong is None:
        return
    found = f"the data have {wrong.told('target')}, but targets are 0 to 1"
    remedy = "write a 0 or a 1 for each, or a probability"
    if _can_be_left_out(layer, wrong):
        remedy += f"; or leave target {wrong.value:g} out with `{_how_to_ignore(layer, int(wrong.value))}`"
    if wrong.value == -1:
        found = f"the data have targets of -1, not known ({wrong.where}), but the loss uses -1 as a number"
        remedy = f"add `{_how_to_ignore(layer, -1)}`"
    yield (error if ours(layer) else warning)(layer, found, remedy, "bottom", number)


def _check_left_out(layer: Layer, number: int, given: Numbers) -> Iterator[Finding]:
    """Of targets that are neither 0 nor 1, ours leaves out all: those of one number are not known, more are numbers of classes."""
    left_out = given.but(np.isin(given.values, (0, 1)) | np.isnan(given.values))
    if left_out is None or (left_out.count == 1 and 1 in given.values):
        return
    none = "" if 1 in given.values else ", and none that was read is 1"
    found = f"the data have {left_out.told('target')}, which the loss leaves out, because it is neither 0 nor 1{none}"
    remedy = "write 1 for what is to be found, 0 for the rest, and one other number where it is not known"
    yield warning(layer, found, remedy, "bottom", number)


def _check_per_label(layer: Layer, number: int, given: Numbers) -> Iterator[Finding]:
    """Of other targets than 0, 1 and -1 the layers that weight each label raise an error."""
    wrong = given.but(np.isin(given.values, (-1, 0, 1, *_ignored(layer))))
    if wrong is not None:
        yield error(
            layer,
            f"the data have {wrong.told('target')}, but targets are 0, 1, or -1 if they are not known",
            "write a 0 or a 1 for each label",
            "bottom",
            number,
        )


def _check_whole(layer: Layer, number: int, given: Numbers, are_values: bool) -> Iterator[Finding]:
    """Of other labels than integers ours raises an error, and Caffe drops the fraction."""
    wrong = given.but(~np.isfinite(given.values) | (given.values == np.trunc(given.values)))
    if wrong is not None:
        truncates = "" if ours(layer) else ", and Caffe truncates them silently"
        yield (error if ours(layer) else warning)(
            layer,
            f"the data have {wrong.told('label')}, but labels are integers{truncates}",
            "take a loss of numbers, such as EuclideanLoss; or write the numbers of classes, without `label_format: values`"
            if are_values
            else "write the numbers of the classes; feed label maps without scale and mean",
            "bottom",
            number,
        )


def _check_negative(layer: Layer, number: int, given: Numbers) -> Iterator[Finding]:
    wrong = given.but(given.values >= 0)
    if wrong is not None:
        yield error(
            layer,
            f"the data have {wrong.told('label')}, but labels of this layer start at 0",
            "types PK and BALANCED of ImageDataLayer leave out records without a label (a negative label)",
            "bottom",
            number,
        )


def _check_range(layer: Layer, number: int, given: Numbers, classes: int, whose: str) -> Iterator[Finding]:
    """Of labels out of range ours raises an error, and Caffe reads beyond its scores."""
    labels = np.trunc(given.values)
    wrong = given.but((labels >= 0) & (labels < classes) | np.isin(labels, _ignored(layer)))
    if wrong is None:
        return
    remedies = ["number the classes from 0"]
    if classes <= wrong.value < np.inf:
        remedies.append(f"make room for {int(wrong.value) + 1} of them")
    if _can_be_left_out(layer, wrong):
        remedies.append(f"leave label {wrong.value:g} out with `{_how_to_ignore(layer, int(wrong.value))}`")
    yield error(
        layer,
        f"the data have {wrong.told('label')}, but {whose}: labels are 0 to {classes - 1}",
        " or ".join([", ".join(remedies[:-1]), remedies[-1]]) if len(remedies) > 1 else remedies[0],
        "bottom",
        number,
    )


def _classes(view: View, layer: Layer, number: int, shapes: Shapes) -> Tuple[Optional[int], str]:
    """How many classes a layer expects of the labels that are its bottom `number`, and who says so; None for any."""
    own = getattr(options_of(layer), "n_classes", None)
    if own is not None and number == 0:
        return own, f"'n_classes' is {own}"
    options = options_of(layer)
    of_label = options.num_classes() if options is not None and takes_label(layer, number) else None
    if of_label is not None:
        return of_label, f"'num_output' is {of_label}"
    if layer.type == "Embed":
        words = layer.message.message("embed_param").whole("input_dim")
        return words or None, f"input_dim is {words}"
    if not _is_label_of_scores(layer, number):
        return None, ""
    return width(view, layer, layer.bottoms[0], shapes)


def _is_label_of_scores(layer: Layer, number: int) -> bool:
    return kinds(layer, number)[0] and number > 0 and bottom_names(layer)[0] in ("scores", "prob", "cos")


def width(view: View, layer: Layer, blob: str, shapes: Shapes) -> Tuple[Optional[int], str]:
    """How many classes the scores of a layer are for, and who says so; None where that cannot be told."""
    axis = _axis(layer)
    if blob in shapes and -len(shapes[blob]) <= axis < len(shapes[blob]):
        classes = shapes[blob][axis]
        return classes, f"blob {blob!r} has scores of {classes} classes"
    params = {"InnerProduct": "inner_product_param", "Convolution": "convolution_param"}
    source = view.maker(layer, blob)
    if source is not None and source.type in params:
        found = source.message.message(params[source.type]).get("num_output")
        if isinstance(found, int) and axis == 1:
            return found, f"layer {source.name!r} has num_output {found}"
    return None, ""


def _axis(layer: Layer) -> int:
    options = options_of(layer)
    if options is not None:
        return int(getattr(options, "axis", 1))
    params: Dict[str, str] = {
        "SoftmaxWithLoss": "softmax_param", "InfogainLoss": "infogain_loss_param", "Accuracy": "accuracy_param",
    }  # fmt: skip
    value: Any = layer.message.message(params.get(layer.type, "")).get("axis", 1)
    return value if isinstance(value, int) else 1


def _ignored(layer: Layer) -> Tuple[int, ...]:
    """The labels that it ignores."""
    options = options_of(layer)
    if options is not None:
        found = getattr(options, "ignore_label", None)
    else:
        found = layer.message.message(_IGNORE_IN.get(layer.type, "")).get("ignore_label")
    return found if isinstance(found, tuple) else (found,) if isinstance(found, int) else ()


def _can_be_left_out(layer: Layer, wrong: Wrong) -> bool:
    """Whether all that is wrong is one number, which the layer can ignore, and it ignores no other yet."""
    one = wrong.count == 1 and np.isfinite(wrong.value) and wrong.value == int(wrong.value)
    return bool(one and not _ignored(layer) and _how_to_ignore(layer, int(wrong.value)))


def _how_to_ignore(layer: Layer, label: int) -> str:
    """What to write so that a layer ignores a label; "" if it ignores none."""
    if ours(layer):
        return f"'ignore_label': {label}" if hasattr(options_of(layer), "ignore_label") else ""
    return f"{_IGNORE_IN[layer.type]} {{ ignore_label: {label} }}" if layer.type in _IGNORE_IN else ""
