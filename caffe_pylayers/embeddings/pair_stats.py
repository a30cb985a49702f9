"""What to watch of the pairs of a batch."""

import math
from typing import Tuple

import numpy as np

from caffe_pylayers.embeddings.class_vectors import sum_by_class
from caffe_pylayers.embeddings.pair_blocks import places, same_class
from caffe_pylayers.embeddings.pairs import Pairs, blocks_of
from caffe_pylayers.losses.reduction import Array, array_module


def pair_stats(pairs: Pairs, factor: Array) -> Tuple[float, float, float, float]:
    """Fractions of the pairs of one class and of two that have a gradient, and the mean products of both; NaN where there is none.

    factor: what `weigh_pairs` returned.
    """
    of_one, of_two, sum_of_one, sum_of_two = _numbers_and_sums(pairs)
    active, each = [0, 0], array_module(factor).ones(len(pairs.points)) * factor
    for block in blocks_of(pairs):
        has_gradient = (block.slopes != 0) & (each[block.rows] != 0)[:, None]
        at, _ = places(same_class(block))
        positives = int(has_gradient.reshape(-1)[at].sum())
        active[0] += positives
        active[1] += int(has_gradient.sum()) - positives
    return (
        _ratio(active[0], of_one),
        _ratio(active[1], of_two),
        _ratio(sum_of_one, of_one),
        _ratio(sum_of_two, of_two),
    )


def _numbers_and_sums(pairs: Pairs) -> Tuple[float, float, float, float]:
    """How many pairs of one class and of two there are, and the sums of their products: made of the sums of classes, not of pairs."""
    xp, others = array_module(pairs.points), pairs.others
    num = len(pairs.points)
    classes, places = xp.unique(xp.concatenate((pairs.labels, others.labels)), return_inverse=True)
    places = places.reshape(-1)
    sums, counts = [], []
    for points, of in ((pairs.points, places[:num]), (others.points, places[num:])):
        sums.append(sum_by_class(points, of, len(classes), xp.zeros((len(classes), points.shape[1]))))
        counts.append(sum_by_class(xp.ones(len(of)), of, len(classes)))
    there = xp.flatnonzero(others.own >= 0)
    own = (pairs.points[there] * others.points[others.own[there]]).sum(dtype=np.float64)
    of_one, sum_of_one = float((counts[0] * counts[1]).sum()), float((sums[0] * sums[1]).sum())
    every, sum_of_every = num * len(others.points), float((sums[0].sum(axis=0) * sums[1].sum(axis=0)).sum())
    return of_one - len(there), every - of_one, sum_of_one - float(own), sum_of_every - sum_of_one


def _ratio(what: float, of: float) -> float:
    return what / of if of > 0 else math.nan
