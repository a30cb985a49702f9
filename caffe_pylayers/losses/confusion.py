"""The classes that scores predict, counted against the labels, and the metrics that are made of such counts."""

import math
from typing import Optional

import numpy as np

from caffe_pylayers.losses.blocks import Buffer, largest_block, score_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module


def predictions(scores: Array, buffer: Optional[Buffer] = None) -> Array:
    """The class with the highest score of each position, the first of several; K where a score is NaN.

    scores: float (M, K), or (M, K, P) with P positions each.
    buffer: makes the arrays that live from call to call, as `Layer.buffer` does; None: new ones each time.
    Returns integers (M,) or (M, P).

    >>> predictions(np.array([[1.0, 3.0, 2.0], [3.0, 0.0, 3.0], [0.0, np.nan, 1.0]]))
    array([1, 0, 3])
    """
    xp, num_classes = array_module(scores), scores.shape[1]
    if scores.ndim == 2:
        found = scores.argmax(axis=1)  # that of NaN where there is one
        highest = xp.take(scores, found + xp.arange(len(scores)) * num_classes)
        return xp.where(highest == highest, found, num_classes)
    # A code per class in the smallest type, K for the first and 1 for the last: a fifth of the time of argmax() here.
    code = np.min_scalar_type(num_classes)
    codes = xp.arange(num_classes, 0, -1, dtype=code)[:, None]
    make, size = scratch(buffer, scores), largest_block(scores)
    found = make("predictions", (len(scores), scores.shape[2]), np.intp)
    highest, work = make("highest", (size,), bool), make("codes", (size,), code)
    for part, terms in score_blocks(scores):
        block = scores[part]
        is_highest, coded = (each[: block.size].reshape(block.shape) for each in (highest, work))
        xp.equal(block, block.max(axis=1)[:, None], out=is_highest)
        xp.multiply(is_highest, codes, out=coded)
        xp.subtract(num_classes, coded.max(axis=1).astype(np.intp), out=found[terms])
    return found


def count_classes(labels: Array, predicted: Array, num_classes: int, weights: Optional[Array] = None) -> Array:
    """The weight of each class among the right labels, among all labels, and among the predictions: float64 (3, K).

    labels, predicted: integers 0 .. K-1, of one shape. weights: of that shape, 0 for a label that is left out; None: 1 each.

    >>> count_classes(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    array([[1., 1., 0.],
           [2., 1., 0.],
           [1., 2., 0.]])
    """
    xp = array_module(labels)
    labels, predicted = labels.reshape(-1), predicted.reshape(-1)
    if not labels.size:  # of which CuPy counts nothing
        return xp.zeros((3, num_classes))
    weights = None if weights is None else weights.reshape(-1)
    right = labels == predicted
    hits = xp.bincount(labels, right if weights is None else right * weights, num_classes)
    return xp.stack([hits, *(xp.bincount(of, weights, num_classes).astype(np.float64) for of in (labels, predicted))])


def confusion_matrix(labels: Array, predicted: Array, num_classes: int, weights: Optional[Array] = None) -> Array:
    """The weight of the labels of each class that are predicted as each class: float64 (K, K), a row per true class.

    The arguments are those of `count_classes`.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1., 1.],
           [0., 1.]])
    """
    if not labels.size:
        return array_module(labels).zeros((num_classes, num_classes))
    cells = labels.reshape(-1) * num_classes + predicted.reshape(-1)
    weights = None if weights is None else weights.reshape(-1)
    counts = array_module(labels).bincount(cells, weights, num_classes**2).astype(np.float64)
    return counts.reshape(num_classes, num_classes)


def metric_of_counts(name: str, counts: Array, average: str = "macro") -> float:
    """A metric of the counts that `count_classes` gives; NaN if nothing was counted.

    pixel_accuracy is the part of all labels that is right. mean_recall is the mean recall of the classes that have labels.
    mean_iou, precision, recall and f1 are means over the classes that have labels or are predicted; a class that is never
    predicted has the precision 0. With `average` "micro", the last three are those of all classes together.

    >>> counts = count_classes(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    >>> metric_of_counts("mean_iou", counts), metric_of_counts("precision", counts), metric_of_counts("recall", counts, "micro")
    (0.5, 0.75, 0.6666666666666666)
    """
    hits, labelled, predicted = counts
    occurs = labelled + predicted > 0
    part, whole, over = {
        "pixel_accuracy": (hits, labelled, None),
        "mean_recall": (hits, labelled, labelled > 0),
        "mean_iou": (hits, labelled + predicted - hits, occurs),
        "precision": (hits, predicted, occurs),
        "recall": (hits, labelled, occurs),
        "f1": (2 * hits, labelled + predicted, occurs),
    }[name]
    if over is None or (average == "micro" and name in ("precision", "recall", "f1")):
        total = float(whole.sum())
        return float(part.sum()) / total if total > 0 else math.nan
    part, whole = part[over], whole[over]
    return float((part / array_module(counts).where(whole > 0, whole, 1)).mean()) if len(part) else math.nan


def deeplab_metrics(counts: Array) -> "tuple[float, float, float]":
    """Pixel accuracy, mean recall and mean IoU as DeepLab's SegAccuracy has them.

    A class that neither labels nor predictions have counts as an IoU of 1. Accuracy and recall of nothing are 0.

    >>> deeplab_metrics(count_classes(np.array([0, 0]), np.array([0, 1]), 4))
    (0.5, 0.5, 0.625)
    """
    num_classes = counts.shape[1]
    occurring = int(array_module(counts).count_nonzero(counts[1] + counts[2]))
    if not occurring:
        return 0.0, 0.0, 1.0
    iou = metric_of_counts("mean_iou", counts) * occurring + num_classes - occurring
    return metric_of_counts("pixel_accuracy", counts), metric_of_counts("mean_recall", counts), iou / num_classes
