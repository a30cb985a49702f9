"""The triplet loss on the triplets that are mined in a batch, added up by anchor."""

from typing import Any, Callable, NamedTuple, Optional, Union

import numpy as np

from caffe_pylayers.losses import mining
from caffe_pylayers.losses.batch_terms import all_terms_hinge, all_terms_soft, chosen_terms
from caffe_pylayers.losses.blocks import Buffer, row_blocks, scratch
from caffe_pylayers.losses.distances import squared_distances
from caffe_pylayers.losses.mining import Block
from caffe_pylayers.losses.reduction import Array, array_module

Draw = Callable[[Array, Array], Array]
Space = Callable[..., Array]

#: Distances that are worked on at a time: with all that is made of them, what a second-level cache holds.
BLOCK = 1 << 13


class Rule(NamedTuple):
    """Which triplets of a batch there are, and what is the loss of one."""

    mining: str = "all"  #: "all", "semihard", "hard", "distance" or "given"
    margin: float = 0.2
    distance: str = "squared"  #: or "euclidean"
    soft: bool = False
    cutoff: float = 0.5  #: with "distance"; see `mining.distance_weighted`
    nonzero_loss_cutoff: float = 1.4


class BatchTriplets(NamedTuple):
    """The triplets of N anchors, measured. Arrays are (N,), an entry for an anchor, where nothing else is said."""

    values: Array  #: the sum of the losses of its triplets
    counts: Array  #: how many triplets it has
    active: Array  #: how many of them are active, as `triplet_stats` has it
    d_ap: Array  #: the sum of the triplets' distances from anchor to positive
    d_an: Array  #: and to negative
    slopes: Array  #: (N, N), d values[a] / d |x_a - x_j|^2
    points: Array  #: float64 (N, D), the embeddings x


def batch_triplet_loss(
    embedding: Array,
    labels: Optional[Array],
    rule: Rule,
    draw: Optional[Draw] = None,
    triplets: Optional[Array] = None,
    buffer: Optional[Buffer] = None,
) -> BatchTriplets:
    """Mines the triplets of a batch and measures them; a triplet's loss is that of `triplet_loss`.

        all        every (a, p, n) with a != p of one label and n of another
        semihard   for every (a, p) the nearest n with d_ap < d_an < d_ap + margin, else the farthest n
        hard       for every a the farthest p and the nearest n
        distance   for every (a, p) an n drawn by its distance
        given      those of `triplets`

    embedding: float (N, D).
    labels: integers (N,); not used with "given".
    draw: for "distance", (anchors, positives) -> uniform in [0, 1), arrays of one length.
    triplets: for "given", row numbers (T, 3) of anchor, positive and negative.
    buffer: makes the arrays that live from call to call, as `Layer.buffer` does; None: new ones each time.
    Embeddings that are not finite make all values NaN.
    Memory is one array (N, N) and a few rows. "all" sorts the distances of an anchor, N log N steps; with `soft` it has
    to look at every triplet.

    >>> x, labels = np.array([[0.0], [1.0], [2.0]]), np.array([0, 0, 1])
    >>> batch_triplet_loss(x, labels, Rule(margin=0.5)).values
    array([0. , 0.5, 0. ])
    """
    xp = array_module(embedding)
    buffer = scratch(buffer, embedding)
    num = len(embedding)
    # In float64 products of float32 are exact, and what |x|^2 + |y|^2 - 2xy loses does not show.
    points = buffer("points", embedding.shape, np.float64)
    points[...] = embedding
    matrix = buffer("matrix", (num, num), np.float64)
    xp.dot(points, points.T, out=matrix)
    squares = xp.diagonal(matrix).copy()
    finite = bool(xp.isfinite(squares).all())
    if not finite:  # there is no order to choose by
        matrix[...] = squares[...] = 0
    if triplets is not None:
        triplets = triplets[triplets[:, 0].argsort()]
    class_sizes = None if labels is None else _class_sizes(labels)
    parts = list(row_blocks(matrix, BLOCK))

    def space(name: str, part: slice, dtype: Any = np.float64) -> Array:
        """Rows to work in, for a block."""
        return buffer(name, (parts[0].stop, num), dtype)[: part.stop - part.start]

    sums = [xp.zeros(num) for _ in range(5)]
    for part in parts:
        slopes = matrix[part]
        distances, equal = space("distances", part), space("equal", part, bool)
        squared_distances(slopes, squares[part], squares, distances, equal)
        if rule.distance == "euclidean":
            xp.sqrt(distances, out=distances)
        if triplets is not None:
            chosen = mining.given(triplets, part.start, len(slopes))
            measured = chosen_terms(distances, chosen, rule.margin, rule.soft, slopes)
        else:
            block = _block(labels, class_sizes, part, distances, space)
            if rule.mining != "all":
                chosen = _choose(block, rule, embedding.shape[1], draw)
                measured = chosen_terms(distances, chosen, rule.margin, rule.soft, slopes)
            elif rule.soft:
                measured = all_terms_soft(block, slopes)
            else:
                measured = all_terms_hinge(block, rule.margin, slopes)
        for total, each in zip(sums, measured):
            total[part] = each
        if rule.distance == "euclidean":
            # d sqrt(s) / ds = 1 / 2 sqrt(s), which we take as 0 at 0.
            xp.copyto(distances, np.inf, where=equal)
            slopes /= distances
            slopes *= 0.5
    values, counts, active, d_ap, d_an = sums
    if not finite:
        values[counts > 0] = np.nan
        points[...] = np.nan
    return BatchTriplets(values, counts, active, d_ap, d_an, matrix, points)


def batch_triplet_gradient(
    triplets: BatchTriplets,
    factor: Union[float, Array],
    gradient: Array,
    buffer: Optional[Buffer] = None,
) -> None:
    """Writes the gradient by the embeddings, each anchor's times its `factor` (one for all, or (N,)), into (N, D)."""
    # With s_aj = factor_a slopes_aj, d/dx_i of the sum of s_aj |x_a - x_j|^2 is
    # 2 (sum_j s_ij (x_i - x_j) + sum_a s_ai (x_i - x_a)).
    slopes, points = triplets.slopes, triplets.points
    xp = array_module(points)
    buffer = scratch(buffer, points)
    factors = xp.zeros(len(points)) + factor
    each = factors[:, None]
    from_anchors, to_others = (buffer(name, points.shape, np.float64) for name in ("from_anchors", "to_others"))
    xp.dot(slopes, points, out=from_anchors)
    from_anchors *= each
    xp.multiply(points, each, out=to_others)
    total = buffer("gradient", points.shape, np.float64)
    xp.dot(slopes.T, to_others, out=total)
    total += from_anchors
    degree = factors * slopes.sum(axis=1) + xp.dot(factors, slopes)
    xp.multiply(points, degree[:, None], out=to_others)
    to_others -= total
    to_others *= 2
    gradient[...] = to_others


def _class_sizes(labels: Array) -> Array:
    """How many rows have the label of each row."""
    _, inverse, counts = array_module(labels).unique(labels, return_inverse=True, return_counts=True)
    return counts[inverse.reshape(-1)]


def _block(labels: Array, class_sizes: Array, part: slice, distances: Array, space: Space) -> Block:
    """Who is whose positive and negative, for the anchors `part`."""
    xp = array_module(labels)
    positive, negative = space("positive", part, bool), space("negative", part, bool)
    xp.equal(labels[part, None], labels, out=positive)
    xp.logical_not(positive, out=negative)
    sizes = class_sizes[part]
    whole = space("keys", part, np.int64), space("flags", part, np.int64)
    floats = space("first", part), space("second", part), space("third", part)
    block = Block(part.start, distances, positive, negative, sizes - 1, len(labels) - sizes, whole, floats)
    positive[block.own] = False
    return block


def _choose(block: Block, rule: Rule, dimension: int, draw: Optional[Draw]) -> mining.Chosen:
    if rule.mining == "semihard":
        return mining.semi_hard(block, rule.margin)
    if rule.mining == "hard":
        return mining.hardest(block)
    if rule.distance == "squared":
        block = block._replace(distances=array_module(block.distances).sqrt(block.distances))
    assert draw is not None
    return mining.distance_weighted(block, dimension, rule.cutoff, rule.nonzero_loss_cutoff, draw)
