"""Which triplets of a batch a loss looks at: the rules that choose them, for a block of anchors at a time.

Every rule takes the distances of B anchors from all N embeddings of the batch, and returns three arrays of one length:
for each triplet its anchor as a row of the block, and its positive and negative as columns.
"""

from typing import Callable, NamedTuple, Tuple

import numpy as np

from caffe_pylayers.losses.reduction import Array, array_module

Chosen = Tuple[Array, Array, Array]  # rows, positives, negatives

_SMALLEST = 1e-8  # of 1 - d^2/4, which is 0 at opposite points of the sphere


class Block(NamedTuple):
    """B anchors of a batch of N embeddings."""

    first: int  #: the number of the first anchor in the batch
    distances: Array  #: float64 (B, N), 0 or more, from each anchor to each embedding
    positive: Array  #: bool (B, N), same label and not the anchor itself
    negative: Array  #: bool (B, N), other label
    num_positives: Array  #: (B,)
    num_negatives: Array  #: (B,)
    whole: Tuple[Array, Array]  #: two of int64 (B, N), to work in
    floats: Tuple[Array, Array, Array]  #: three of float64 (B, N), to work in

    @property
    def own(self) -> Tuple[Array, Array]:
        """Where each anchor meets itself: rows and columns."""
        rows = array_module(self.distances).arange(len(self.distances))
        return rows, rows + self.first


def hardest(block: Block) -> Chosen:
    """For every anchor the farthest positive and the nearest negative (Hermans et al. 2017)."""
    xp = array_module(block.distances)
    rows = xp.flatnonzero((block.num_positives > 0) & (block.num_negatives > 0))
    farthest = xp.where(block.positive, block.distances, -1).argmax(axis=1)
    nearest = xp.where(block.negative, block.distances, np.inf).argmin(axis=1)
    return rows, farthest[rows], nearest[rows]


def semi_hard(block: Block, margin: float) -> Chosen:
    """For every anchor and positive the nearest negative with d_ap < d_an < d_ap + margin (Schroff et al. 2015).

    Where there is none it is the farthest negative, as in TensorFlow.
    """
    xp = array_module(block.distances)
    num_columns = block.distances.shape[1]
    columns, is_positive = sort_rows(block, 0.0, positives_first=False)
    columns = columns.reshape(-1)
    # The negatives of one row after the other, by distance; the anchor itself is the last of its row.
    negatives = xp.flatnonzero(is_positive == 0)
    first_negative = xp.cumsum(block.num_negatives + 1) - (block.num_negatives + 1)
    first_positive = xp.cumsum(block.num_positives) - block.num_positives

    places = xp.flatnonzero(is_positive)
    rows = places // num_columns
    rank = xp.arange(len(places)) - first_positive[rows]  # among the positives of the row
    nearer = places % num_columns - rank  # how many negatives are
    keep = block.num_negatives[rows] > 0
    rows, places, nearer = rows[keep], places[keep], nearer[keep]

    beyond = columns[negatives[first_negative[rows] + nearer]]
    farthest = columns[negatives[first_negative[rows] + block.num_negatives[rows] - 1]]
    positives = columns[places]
    is_one = beyond != rows + block.first
    is_one &= block.distances[rows, beyond] < block.distances[rows, positives] + margin
    return rows, positives, xp.where(is_one, beyond, farthest)


def distance_weighted(
    block: Block, dimension: int, cutoff: float, nonzero_loss_cutoff: float, draw: Callable[[Array, Array], Array]
) -> Chosen:
    """For every anchor and positive a negative drawn by its distance (Wu et al. 2017).

        P(n) ~ 1 / q(max(d, cutoff)), q(d) = d^(D-2) (1 - d^2/4)^((D-3)/2), and 0 from `nonzero_loss_cutoff` on

    q is how often a distance occurs between points of the unit sphere, so that all distances are drawn alike. Where no
    negative is left, one is drawn uniformly from all.

    block: with Euclidean distances.
    dimension: D, of the embeddings.
    draw: (anchors, positives), as numbers in the batch -> uniform in [0, 1).
    """
    xp = array_module(block.distances)
    distances = xp.maximum(block.distances, cutoff)
    inside = xp.maximum(1 - distances**2 / 4, _SMALLEST)
    weights = (2 - dimension) * xp.log(distances) + (3 - dimension) / 2 * xp.log(inside)
    allowed = block.negative & (block.distances < nonzero_loss_cutoff)
    weights -= xp.where(allowed, weights, -np.inf).max(axis=1)[:, None].clip(-1e300, None)
    weights = xp.exp(xp.where(allowed, weights, -np.inf))
    weights = xp.where(allowed.any(axis=1)[:, None], weights, block.negative)

    rows, positives = xp.nonzero(block.positive & (block.num_negatives > 0)[:, None])
    # Row r of the distribution functions runs from r to r + 1, so that one search serves all rows.
    cumulative = xp.cumsum(weights, axis=1)
    total = cumulative[:, -1:]
    cumulative /= xp.where(total > 0, total, 1)
    cumulative += xp.arange(len(weights))[:, None]
    uniform = xp.minimum(draw(rows + block.first, positives), 1 - 1e-9)  # r + uniform must not round to r + 1
    places = xp.searchsorted(cumulative.reshape(-1), rows + uniform, side="right")
    return rows, positives, places % weights.shape[1]


def sort_rows(block: Block, shift: float, positives_first: bool) -> Tuple[Array, Array]:
    """Sorts every row by distance, that of positives plus `shift`; the anchor itself, as a negative, comes last.

    positives_first: where a positive and a negative are at one distance.
    Returns the columns in that order, int64 (B, N), and 1 where the column is a positive, 0 elsewhere; both valid until
    the next call.
    """
    # A float of 0 or more, read as an integer, keeps its order. The lowest bits of that, which matter as little as
    # a part in 2**30 of the distance, hold the column: sorting integers takes a third of the time of argsort.
    xp = array_module(block.distances)
    keys, flags = block.whole
    num_columns = keys.shape[1]
    bits = num_columns.bit_length()
    shifted = keys.view(np.float64)
    xp.multiply(block.positive, shift, out=shifted)
    shifted += block.distances
    shifted[block.own] = np.inf
    keys &= -1 << (bits + 1)
    keys |= xp.arange(num_columns)
    xp.multiply(block.positive, 1 << bits, out=flags)
    if positives_first:
        flags ^= 1 << bits
    keys |= flags
    keys.sort(axis=1)
    xp.right_shift(keys, bits, out=flags)
    if positives_first:
        xp.invert(flags, out=flags)
    flags &= 1
    keys &= (1 << bits) - 1
    return keys, flags


def given(triplets: Array, first: int, size: int) -> Chosen:
    """The triplets, row numbers (T, 3) in the order of their anchors, whose anchor is one of `size` from `first` on."""
    xp = array_module(triplets)
    start, stop = xp.searchsorted(triplets[:, 0], xp.asarray([first, first + size])).tolist()
    rows, positives, negatives = triplets[start:stop].T
    return rows - first, positives, negatives
