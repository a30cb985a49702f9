"""What the losses of a net are given: a loss_weight, scores that are no probabilities, labels that are integers."""

from typing import Any, Dict, Iterator, Optional, Tuple

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.check.findings import Finding, error, warning
from caffe_pylayers.commands.check.python_layers import bottom_names, options_of, ours, schema_of, takes_label
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.commands.check.views import View
from caffe_pylayers.config.data import DataLayerOptions
from caffe_pylayers.config.labels import LabelNoiseOptions, SampleWeightOptions


def kind_of(layer: Layer) -> str:
    """The class of a layer of this package, or else the type."""
    return ours(layer) or layer.type


def check_loss_weight(view: View, _: Report) -> Iterator[Finding]:
    """In TRAIN a Python loss has a loss_weight: Caffe gives one by itself to its own losses only."""
    for layer in view.layers:
        if layer.type != "Python" or layer.message.all("loss_weight") or not layer.tops:
            continue
        options = options_of(layer)
        loss = options is not None and options.is_loss()
        foreign = not ours(layer) and any(name.lower().endswith("loss") for name in (layer.python[1], layer.name))
        if not (loss or foreign) or any(view.consumers(layer, top) for top in layer.tops):
            continue
        weights = "loss_weight: 1" + "  loss_weight: 0" * (len(layer.tops) - 1)
        problem = (
            "a Python loss without loss_weight: Caffe never calls its backward, and the net learns nothing from it"
        )
        if loss:
            yield error(layer, problem, f"add `{weights}`")
        else:
            yield warning(layer, problem, f"add `{weights}` if it is a loss")


def check_inputs(view: View, _: Report) -> Iterator[Finding]:
    """What is done twice, or not at all, before a loss."""
    for layer in view.layers:
        kind, schema = kind_of(layer), schema_of(layer)
        if schema is None:
            continue
        options = options_of(layer)
        inside = options.has_inside() if options is not None else (schema.inside,)
        for number in range(schema.num_inside):
            before = _maker(view, layer, number)
            if before is not None and before.type in inside:
                yield _twice(layer, kind, before, number)
        before = _maker(view, layer, 0)
        if (
            before is not None
            and bottom_names(layer)[:1] == ["prob"]
            and before.type in ("InnerProduct", "Convolution")
        ):
            yield error(  # the logarithm of a score below 0 gives gradients that leave no finite weight
                layer,
                f"{kind} takes probabilities, but its bottom {layer.bottoms[0]!r} comes from {before.type} {before.name!r}",
                "put a Softmax layer between them, or use the loss that has one inside",
                "bottom",
                0,
            )


def _twice(layer: Layer, kind: str, before: Layer, number: int) -> Finding:
    since = " since April 2017 (`caffe-pylayers doctor` says which this Caffe has)" if kind == "InfogainLoss" else ""
    scores = before.bottoms[0] if before.bottoms else ""
    return warning(
        layer,
        f"layer {before.name!r} is a {before.type}, and {kind} has one inside{since}",
        f'give it the scores: `bottom: "{scores}"`',
        "bottom",
        number,
    )


def _maker(view: View, layer: Layer, number: int) -> Optional[Layer]:
    """The layer that makes a bottom."""
    return view.producer(layer, layer.bottoms[number]) if len(layer.bottoms) > number else None


def check_force_backward(view: View, _: Report) -> Iterator[Finding]:
    """`force_backward: true` asks stock InfogainLoss for the gradient of H, at which it aborts."""
    if not view.net.message.flag("force_backward"):
        return
    for layer in view.layers:
        if layer.type == "InfogainLoss" and len(layer.bottoms) > 2:
            yield error(
                layer,
                "`force_backward: true` asks for the gradient of H: Caffe aborts in the first backward",
                "leave force_backward out, or use WeightedInfogainLoss of caffe_pylayers",
                "bottom",
                2,
            )


def check_targets(view: View, _: Report) -> Iterator[Finding]:
    """Class weights are not made of the 0/1 targets of several labels, which are no numbers of classes."""
    for layer in view.layers:
        options: Any = options_of(layer)
        made = _maker(view, layer, 0)
        source: Any = options_of(made) if made is not None else None
        if not isinstance(options, SampleWeightOptions) or options.per is not None:
            continue
        several = getattr(source, "multilabel", False) and source.label_dim != 1 and options.n_classes > 2
        if made is not None and several and made.tops[1:2] == layer.bottoms[:1]:
            problem = (
                f"layer {made.name!r} gives a 0 or a 1 for each label ('multilabel'), but class numbers are needed here"
            )
            yield error(
                layer,
                problem,
                f"{options.for_targets}, which weights each label by its own positives and negatives",
                "bottom",
            )


def check_label_maps(view: View, _: Report) -> Iterator[Finding]:
    """Images that are labels, one per pixel, are not resized: between two classes that makes others."""
    for layer in view.layers:
        number = _label_bottom(layer)
        if number is None or number >= len(layer.bottoms):
            continue
        origin = view.origin(layer, layer.bottoms[number])
        if origin is not None and _resized_images(*origin):
            source = origin[0]
            yield warning(
                layer,
                f"its labels are images of layer {source.name!r}, and that layer resizes them bilinearly: this makes class 1 between 0 and 2",
                "leave the resizing out there, and store the label maps in their final size",
                "bottom",
                number,
            )


def _label_bottom(layer: Layer) -> Optional[int]:
    """Which bottom of a layer has numbers of classes; None where none has."""
    names = bottom_names(layer)
    return names.index("label") if "label" in names else None


def _resized_images(source: Layer, blob: str) -> bool:
    """Whether a blob has the images of a data layer that resizes them, and takes off no mean."""
    options = options_of(source)
    if isinstance(options, DataLayerOptions):
        is_image = options.top_names()[source.tops.index(blob)] in ("data", *options.images)
        return is_image and bool(options.resize) and options.mean_file is None and options.mean_value is None
    transform = source.message.message("transform_param")
    return (
        source.type == "ImageData"
        and source.tops[:1] == [blob]
        and bool(source.message.message("image_data_param").get("new_height", 0))
        and not transform.all("mean_value")
        and transform.get("mean_file") is None
    )


def check_graded(view: View, _: Report) -> Iterator[Finding]:
    """Sims between 0 and 1 go to no loss that takes a pair as similar or not."""
    for layer in view.layers:
        number = bottom_names(layer).index("sim") if "sim" in bottom_names(layer) else len(layer.bottoms)
        origin = view.origin(layer, layer.bottoms[number]) if number < len(layer.bottoms) else None
        if origin is None or not getattr(options_of(origin[0]), "graded", False):
            continue
        make = error if ours(layer) else warning
        yield make(
            layer,
            f"{kind_of(layer)} needs a sim of 0 or 1, but layer {origin[0].name!r} gives numbers between them ('graded')"
            + ("" if ours(layer) else ", and they count as 0"),
            "write 0 and 1 into the list there, or use a loss for graded pairs",
            "bottom",
            number,
        )


def check_noise(view: View, _: Report) -> Iterator[Finding]:
    """In TRAIN noisy labels go where they may, and two layers do not draw the same noise."""
    seen: Dict[Tuple[int, int], Layer] = {}
    for layer in view.layers:
        options = options_of(layer)
        if not isinstance(options, LabelNoiseOptions):
            continue
        draws = (options.seed, options.stream)
        if draws in seen:
            yield warning(
                layer,
                f"draws the same noise as layer {seen[draws].name!r} in line {seen[draws].line}: seed and stream are equal",
                f"give it its own stream, for example 'stream': {draws[1] + 1}",
                "python_param.param_str",
            )
        seen.setdefault(draws, layer)
        for user in (user for top in layer.tops for user in view.consumers(layer, top)):
            schema = schema_of(user)
            if schema is None or not takes_label(user, 1) or layer.tops[0] not in user.bottoms[1:2]:
                continue
            number = user.bottoms.index(layer.tops[0])
            if not options.keeps_numbers_whole:
                yield _broken_labels(user, kind_of(user), layer, number)
            elif not schema.is_loss():
                yield warning(
                    user,
                    f"its labels in TRAIN have the noise of layer {layer.name!r}",
                    f"give it the labels before the noise{'; that layer works in place' if layer.tops == layer.bottoms else ''}",
                    "bottom",
                    number,
                )


def _broken_labels(user: Layer, kind: str, noise: Layer, number: int) -> Finding:
    make = error if ours(user) else warning
    return make(
        user,
        f"{kind} needs integer labels, but layer {noise.name!r} gives other numbers"
        + ("" if ours(user) else ", and they are truncated"),
        "use 'distribution': 'flip' there, since it draws classes, or 'one_hot': True with SoftCrossEntropyLoss",
        "bottom",
        number,
    )
