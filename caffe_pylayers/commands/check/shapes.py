"""The shapes of what this package's losses are given, in nets that Caffe has set up: they look at them in forward only."""

import math
from typing import Callable, Dict, Iterator, Mapping, Sequence, Tuple

from caffe_pylayers.commands.check.findings import Finding, error
from caffe_pylayers.commands.check.python_layers import options_of, ours
from caffe_pylayers.commands.check.views import View
from caffe_pylayers.config.bottoms_and_tops import bottoms_of
from caffe_pylayers.errors import ConfigError

Shape = Tuple[int, ...]


def check_shapes(view: View, shapes: Mapping[str, Shape]) -> Iterator[Finding]:
    """Labels, targets and weights are as many as there are terms. shapes: of the net's blobs."""
    for layer in view.layers:
        options, kind = options_of(layer), ours(layer)
        expect = _EXPECTED.get(kind)
        if options is None or expect is None or not all(bottom in shapes for bottom in layer.bottoms):
            continue
        try:
            names = bottoms_of(kind, options, len(layer.bottoms))
        except ConfigError:  # python_layers has found it
            continue
        given = {name: shapes[bottom] for name, bottom in zip(names, layer.bottoms)}
        allowed = expect(given, getattr(options, "axis", 1))
        for number, name in enumerate(names):
            if name in allowed and math.prod(given[name]) not in allowed[name]:
                counts = " or ".join(str(count) for count in dict.fromkeys(allowed[name]))
                yield error(
                    layer,
                    f"bottom {layer.bottoms[number]!r} ({name}) is {size(given[name])}, {math.prod(given[name])} numbers, where "
                    f"{names[0]} is {size(given[names[0]])}",
                    f"give it {counts} numbers",
                    "bottom",
                    number,
                )


def size(shape: Sequence[int]) -> str:
    """A shape in words."""
    return " x ".join(map(str, shape)) or "a single number"


_Allowed = Dict[str, Sequence[int]]


def _of_classes(given: Mapping[str, Shape], axis: int) -> _Allowed:
    """Scores with the classes along an axis, and a label for each position."""
    scores = next(iter(given.values()))
    if not -len(scores) <= axis < len(scores) or not scores[axis]:
        return {}
    terms, classes = math.prod(scores) // scores[axis], scores[axis]
    return {"label": [terms], "H": [classes * classes], "sample_weight": [terms, scores[0]]}


def _of_distributions(given: Mapping[str, Shape], axis: int) -> _Allowed:
    scores = given["scores"]
    terms = math.prod(scores) // scores[axis] if -len(scores) <= axis < len(scores) and scores[axis] else 0
    return {"distribution": [math.prod(scores)], "sample_weight": [terms, scores[0]]}


def _of_targets(given: Mapping[str, Shape], axis: int) -> _Allowed:
    first = next(iter(given.values()))
    return {"target": [math.prod(first)], "sample_weight": [math.prod(first), first[0]]}


def _of_samples(given: Mapping[str, Shape], axis: int) -> _Allowed:
    """A label, or a similarity, and a weight for each sample."""
    first = next(iter(given.values()))
    return {"feature_p": [math.prod(first)], **dict.fromkeys(("label", "sim", "sample_weight"), first[:1])}


#: Those that do not look in reshape already.
_EXPECTED: Dict[str, Callable[[Mapping[str, Shape], int], _Allowed]] = {
    "WeightedSoftmaxLoss": _of_classes,
    "WeightedInfogainLoss": _of_classes,
    "FocalLoss": _of_classes,
    "LDAMLoss": _of_classes,
    "WeightedAccuracy": _of_classes,
    "SoftCrossEntropyLoss": _of_distributions,
    "WeightedSigmoidCrossEntropyLoss": _of_targets,
    "WeightedEuclideanLoss": _of_targets,
    "WeightedMultinomialLogisticLoss": _of_samples,
    "WeightedHingeLoss": _of_samples,
    "WeightedContrastiveLoss": _of_samples,
    "TripletLoss": _of_samples,
    "BatchTripletLoss": _of_samples,
}
