"""How many numbers the bottoms of a layer may have, by name: where those of Caffe have other sizes, it finds out in forward."""

import math
from typing import Dict, Mapping, Sequence, Tuple

Shapes = Mapping[str, Tuple[int, ...]]  # of the bottoms that a net gives, by name, in order
Sizes = Dict[str, Sequence[int]]  # of some of them, each one of these


def of_classes(shapes: Shapes, axis: int) -> Sizes:
    """Scores with the classes along an axis, and a label for each position."""
    scores = next(iter(shapes.values()))
    if not -len(scores) <= axis < len(scores) or not scores[axis]:
        return {}
    terms, classes = math.prod(scores) // scores[axis], scores[axis]
    return {
        "label": [terms],
        "H": [classes * classes],
        "teacher": [terms * classes],
        "sample_weight": [terms, scores[0]],
    }


def of_distributions(shapes: Shapes, axis: int) -> Sizes:
    """Scores with the classes along an axis, and a distribution for each position."""
    scores = shapes["scores"]
    terms = math.prod(scores) // scores[axis] if -len(scores) <= axis < len(scores) and scores[axis] else 0
    return {"distribution": [math.prod(scores)], "sample_weight": [terms, scores[0]]}


def of_targets(shapes: Shapes) -> Sizes:
    """A target for each number."""
    first = next(iter(shapes.values()))
    numbers = math.prod(first)
    each = {name: [numbers] for name in ("target", "inside_weight", "outside_weight")}
    return {**each, "sample_weight": [numbers, first[0]]}


def of_targets_or_labels(shapes: Shapes, axis: int) -> Sizes:
    """A target for each number of the scores, or a label for each position."""
    labels = of_classes(shapes, axis).get("label", [])
    numbers = math.prod(shapes["scores"])
    terms = [numbers] if math.prod(shapes["target"]) == numbers else labels
    return {"target": [numbers, *labels], "sample_weight": [*terms, shapes["scores"][0]]}


def of_samples(shapes: Shapes) -> Sizes:
    """A label, or a similarity, and a weight for each sample."""
    first = next(iter(shapes.values()))
    return {"feature_p": [math.prod(first)], **dict.fromkeys(("label", "sim", "sample_weight"), first[:1])}
