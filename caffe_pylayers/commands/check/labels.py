"""The labels that the data have against the classes that layers expect."""

from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.check.findings import Finding, error, warning
from caffe_pylayers.commands.check.python_layers import bottom_names, options_of, ours, schema_of, takes_label
from caffe_pylayers.commands.check.report import Labels, Report, Shape
from caffe_pylayers.commands.check.views import View

Shapes = Mapping[str, Shape]


def check_labels(view: View, report: Report) -> Iterator[Finding]:
    """Labels are numbers of classes, 0 to K-1, or targets of which a loss ignores those that are not known.

    How many classes there are the scores say that Caffe has set up, or else the layers before them.
    """
    for layer in view.layers:
        for number, bottom in enumerate(layer.bottoms):
            given = _labels_of(view, layer, bottom, report.labels)
            if given is None:
                continue
            if given.targets:
                yield from _check_unknown(layer, number, given)
                continue
            if takes_label(layer, number) and bottom_names(layer)[0] == "embedding" and given.low < 0:
                yield error(
                    layer,
                    f"the data have label {given.low}, but labels of this layer start at 0",
                    "types PK and BALANCED of ImageDataLayer leave out records without a label (a negative label)",
                    "bottom",
                    number,
                )
            classes, whose = _classes(view, layer, number, report.shapes(view))
            ignored = _ignored(layer)
            wrong = [label for label in (given.low, given.high) if not 0 <= label < (classes or 0) and label != ignored]
            if classes is None or not wrong:
                continue
            where = f" ({given.where})" if wrong[-1] == given.high else ""
            yield error(
                layer,
                f"the data have label {wrong[-1]}{where}, but {whose}: labels are 0 to {classes - 1}",
                f"number the classes from 0, or make room for {max(given.high + 1, 1)} of them",
                "bottom",
                number,
            )


def _check_unknown(layer: Layer, number: int, given: Labels) -> Iterator[Finding]:
    """The sigmoid loss ignores targets of -1; with weights those may have the weight 0."""
    schema = schema_of(layer)
    sigmoid = schema is not None and schema.inside == "Sigmoid"
    if number != 1 or not sigmoid or len(layer.bottoms) > 2 or _ignored(layer) == -1:
        return
    ignore = "'ignore_label': -1" if ours(layer) else "loss_param { ignore_label: -1 }"
    yield (error if ours(layer) else warning)(
        layer,
        f"the data have targets of -1, not known ({given.where}), but the loss uses -1 as a number",
        f"add `{ignore}`",
        "bottom",
        number,
    )


def _labels_of(view: View, layer: Layer, blob: str, labels: Mapping[Layer, Labels]) -> Optional[Labels]:
    """The labels of a bottom that comes straight from a data layer, as its top of labels."""
    source = view.producer(layer, blob)
    if source is None or source not in labels:
        return None
    options = options_of(source)
    if options is None:
        return labels[source] if source.tops[1:2] == [blob] else None
    tops = [name.strip("[]") for name in options.top_names()]
    return labels[source] if tops[source.tops.index(blob)].startswith("label") else None


def _classes(view: View, layer: Layer, number: int, shapes: Shapes) -> Tuple[Optional[int], str]:
    """How many classes a layer expects of the labels that are its bottom `number`, and who says so; None for any."""
    own = getattr(options_of(layer), "n_classes", None)
    if own is not None and number == 0:
        return own, f"'n_classes' is {own}"
    if not takes_label(layer, number) or bottom_names(layer)[0] not in ("scores", "prob"):
        return None, ""
    return width(view, layer, layer.bottoms[0], shapes)


def width(view: View, layer: Layer, blob: str, shapes: Shapes) -> Tuple[Optional[int], str]:
    """How many classes the scores of a layer are for, and who says so; None where that cannot be told."""
    axis = _axis(layer)
    if blob in shapes and -len(shapes[blob]) <= axis < len(shapes[blob]):
        classes = shapes[blob][axis]
        return classes, f"blob {blob!r} has scores of {classes} classes"
    params = {"InnerProduct": "inner_product_param", "Convolution": "convolution_param"}
    for source in view.sources(layer, blob):
        if source.type in params:
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


def _ignored(layer: Layer) -> Optional[int]:
    options = options_of(layer)
    if options is not None:
        return getattr(options, "ignore_label", None)
    name = "accuracy_param" if layer.type == "Accuracy" else "loss_param"
    value: Any = layer.message.message(name).get("ignore_label")
    return value if isinstance(value, int) else None
