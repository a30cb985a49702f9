"""Which pairs of a batch a loss looks at: rules that choose them by anchor, as the miners of pytorch-metric-learning."""

from typing import Callable, Tuple

import numpy as np

from caffe_pylayers.losses import mining
from caffe_pylayers.losses.reduction import Array, array_module

Draw = Callable[[Array, Array], Array]
Masks = Tuple[Array, Array]  # of positives and of negatives, bool (B, M)


def multi_similarity(c: Array, positive: Array, negative: Array, epsilon: float) -> Masks:
    """Negatives nearer than the farthest positive, positives farther than the nearest negative, by cosines and `epsilon` beyond."""
    xp = array_module(c)
    farthest = xp.where(positive, c, np.inf).min(axis=1)
    nearest = xp.where(negative, c, -np.inf).max(axis=1)
    return positive & (c < nearest[:, None] + epsilon), negative & (c > farthest[:, None] - epsilon)


def pair_margin(d: Array, positive: Array, negative: Array, pos_margin: float, neg_margin: float) -> Masks:
    """Positives farther than one distance, negatives nearer than another."""
    return positive & (d > pos_margin), negative & (d < neg_margin)


def one_of_each(d: Array, positive: Array, negative: Array, rule: str) -> Masks:
    """Of each anchor one positive and one negative: hard, the farthest and the nearest; easy, both the nearest; semihard, the nearest
    positive, and the nearest negative beyond it. An anchor that lacks one has neither."""
    xp = array_module(d)
    if rule == "hard":
        positives = xp.where(positive, d, -np.inf).argmax(axis=1)
    else:
        positives = xp.where(positive, d, np.inf).argmin(axis=1)
    rows = xp.arange(len(d))
    allowed = negative & (d > d[rows, positives][:, None]) if rule == "semihard" else negative
    negatives = xp.where(allowed, d, np.inf).argmin(axis=1)
    both = positive.any(axis=1) & allowed.any(axis=1)
    return _only(positive, rows[both], positives[both]), _only(negative, rows[both], negatives[both])


def by_distance(
    d: Array,
    positive: Array,
    negative: Array,
    first: int,
    dimension: int,
    cutoff: float,
    nonzero_loss_cutoff: float,
    draw: Draw,
) -> Masks:
    """All positives of anchors that have negatives, and for each of them a negative drawn by its distance; a pair counts once.

    d: float64. first: the number of the first anchor in the batch.
    """
    numbers = positive.sum(axis=1), negative.sum(axis=1)
    block = mining.Block(first, d, positive, negative, *numbers, (None, None), (None, None, None))
    rows, positives, negatives = mining.distance_weighted(block, dimension, cutoff, nonzero_loss_cutoff, draw)
    return _only(positive, rows, positives), _only(negative, rows, negatives)


def _only(mask: Array, rows: Array, columns: Array) -> Array:
    """A mask of these places alone."""
    chosen = array_module(mask).zeros(mask.shape, bool)
    chosen[rows, columns] = True
    return chosen
