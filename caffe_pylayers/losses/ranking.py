"""How well scores put one class before the others: the area under the ROC curve, and average precision."""

import math
from typing import Iterator, Optional, Tuple

import numpy as np

from caffe_pylayers.losses.reduction import Array, array_module


def rank_metrics(scores: Array, positive: Array, weights: Optional[Array] = None) -> Tuple[float, float]:
    """AUC and average precision of the scores of one class. Equal scores are one threshold.

    AUC is NaN if there is no positive or no negative sample, average precision if there is no positive one.

    scores: float (N,). positive: bool (N,). weights: (N,), 0 for a sample that is left out; None: 1 each.

    >>> rank_metrics(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False]))
    (0.75, 0.8333333333333333)
    """
    xp = array_module(scores)
    if weights is None:
        weights = xp.ones(len(scores))
    order = xp.flatnonzero(weights > 0)
    order = order[xp.argsort(-scores[order])]
    if not len(order):
        return math.nan, math.nan
    ranked, there, weight = scores[order], positive[order], weights[order].astype(np.float64)
    ends = xp.concatenate([xp.flatnonzero(ranked[1:] != ranked[:-1]), xp.asarray([len(order) - 1])])
    found, wrong = (xp.cumsum(weight * each)[ends] for each in (there, ~there))  # up to each threshold
    before, new_wrong = (xp.concatenate([xp.zeros(1), each[:-1]]) for each in (found, wrong))
    new, new_wrong = found - before, wrong - new_wrong
    positives, negatives = float(found[-1]), float(wrong[-1])
    both = positives * negatives
    auc = float((new_wrong * (before + found)).sum()) / (2 * both) if both > 0 else math.nan
    precision = float((new * found / (found + wrong)).sum()) / positives if positives > 0 else math.nan
    return auc, precision


def mean_rank_metrics(scores: Array, labels: Array, weights: Optional[Array] = None) -> Tuple[float, float]:
    """AUC and average precision, each a mean over the columns of scores in which it is defined.

    scores: float (N, C). labels: integers (N,), one class against the rest for each column, or with one column the class 1;
        or (N, C) of 0 and 1, a problem for each column. weights: of the labels' shape, or None.

    >>> mean_rank_metrics(np.array([[1.0, 5.0], [2.0, 5.0]]), np.array([[0, 1], [1, 0]]))
    (0.75, 0.75)
    """
    each = list(zip(*(rank_metrics(*column) for column in _columns(scores, labels, weights))))
    auc, precision = ([value for value in values if not math.isnan(value)] for values in each)
    return _mean(auc), _mean(precision)


def _columns(scores: Array, labels: Array, weights: Optional[Array]) -> Iterator[Tuple[Array, Array, Optional[Array]]]:
    """Scores, what is positive, and weights of each column."""
    num_columns = scores.shape[1]
    for column in range(num_columns):
        if labels.ndim == 2:
            yield scores[:, column], labels[:, column] == 1, None if weights is None else weights[:, column]
        else:
            yield scores[:, column], labels == (column if num_columns > 1 else 1), weights


def _mean(values: "list[float]") -> float:
    return sum(values) / len(values) if values else math.nan
