"""What the triplets of a block of anchors cost, added up by anchor.

Every function writes d values / d distance into `slopes`, (B, N), and returns five arrays (B,): the sums of the triplets'
losses, how many they are, how many of them are active, and the sums of their d_ap and of their d_an.
"""

from typing import Any, Tuple

import numpy as np

from caffe_pylayers.losses.mining import Block, Chosen, sort_rows
from caffe_pylayers.losses.reduction import Array, array_module
from caffe_pylayers.losses.triplet import triplet_terms

Terms = Tuple[Any, ...]


def chosen_terms(distances: Array, chosen: Chosen, margin: float, soft: bool, slopes: Array) -> Terms:
    """Of triplets that are listed."""
    xp = array_module(distances)
    rows, positives, negatives = chosen
    num_rows, num = distances.shape
    if not len(rows):
        slopes[...] = 0
        return (0.0,) * 5
    d_ap, d_an = distances[rows, positives], distances[rows, negatives]
    values, each = triplet_terms(d_ap - d_an, margin, soft)

    def added(what: Array) -> Array:
        return xp.bincount(rows, what.astype(np.float64), num_rows)

    flat = slopes.reshape(-1)
    flat[...] = xp.bincount(rows * num + positives, each, flat.size)
    flat -= xp.bincount(rows * num + negatives, each, flat.size)
    return added(values), xp.bincount(rows, minlength=num_rows), added(each >= 0.5), added(d_ap), added(d_an)


def all_terms_hinge(block: Block, margin: float, slopes: Array) -> Terms:
    """Of all triplets, with the hinge.

    With the negatives sorted, those that are nearer than d_ap + margin come first, and their distances are a sum of
    leading ones.
    """
    xp = array_module(block.distances)
    num_rows, num = block.distances.shape
    places, is_positive = sort_rows(block, margin, positives_first=True)
    places += xp.arange(0, num_rows * num, num)[:, None]
    distances = block.distances.reshape(-1)[places]
    work, num_nearer, nearer = block.floats
    xp.subtract(1, is_positive, out=work)
    xp.cumsum(work, axis=1, out=num_nearer)
    work *= distances
    xp.cumsum(work, axis=1, out=nearer)
    positive = work
    positive[...] = is_positive
    d_ap, d_an = xp.einsum("bn,bn->b", distances, positive), nearer[:, -1].copy()
    values = distances
    values += margin
    values *= num_nearer
    values -= nearer
    # A negative counts for the positives that come after it.
    minus_after = xp.subtract(xp.arange(1, num + 1), num_nearer, out=nearer)
    minus_after -= block.num_positives[:, None]
    slopes.reshape(-1)[places] = xp.where(is_positive == 1, num_nearer, minus_after)
    return (
        xp.einsum("bn,bn->b", values, positive),
        block.num_positives * block.num_negatives,
        xp.einsum("bn,bn->b", num_nearer, positive),
        d_ap * block.num_negatives,
        d_an * block.num_positives,
    )


def all_terms_soft(block: Block, slopes: Array) -> Terms:
    """Of all triplets, with softplus: for one positive of each anchor after the other."""
    xp = array_module(block.distances)
    distances = block.floats[0]
    distances[...] = np.inf  # softplus(d_ap - inf) = 0, and so is its slope
    xp.copyto(distances, block.distances, where=block.negative)
    columns = xp.nonzero(block.positive)[1]
    first = xp.cumsum(block.num_positives) - block.num_positives
    values, active, d_ap = (xp.zeros(len(slopes)) for _ in range(3))
    slopes[...] = 0
    for rank in range(int(block.num_positives.max())):
        anchors = xp.flatnonzero(block.num_positives > rank)
        positives = columns[first[anchors] + rank]
        lengths = block.distances[anchors, positives]
        gap = distances[anchors]
        xp.subtract(lengths[:, None], gap, out=gap)
        each, each_slope = triplet_terms(gap, 0.0, soft=True)
        values[anchors] += each.sum(axis=1)
        del gap, each  # memory for the next
        active[anchors] += (each_slope >= 0.5).sum(axis=1)
        d_ap[anchors] += lengths * block.num_negatives[anchors]
        slopes[anchors] -= each_slope
        slopes[anchors, positives] = each_slope.sum(axis=1)
        del each_slope
    d_an = xp.where(block.negative, block.distances, 0).sum(axis=1) * block.num_positives
    return values, block.num_positives * block.num_negatives, active, d_ap, d_an
