"""A block of the pairs of a batch: some anchors, and all embeddings that they are compared with."""

from typing import Any, Callable, NamedTuple, Optional, Tuple

import numpy as np

from caffe_pylayers.embeddings import pair_mining, pair_terms
from caffe_pylayers.embeddings.pair_terms import Kinds, Terms
from caffe_pylayers.losses.distances import squared_distances
from caffe_pylayers.losses.reduction import Array, array_module

#: The types that go by Euclidean distances; the others go by cosines.
BY_DISTANCE = ("contrastive", "lifted", "margin")

#: The rules of mining that go by cosines, or by nothing; the others go by Euclidean distances.
_MINED_BY_COSINE = ("all", "multi_similarity")

Draw = Callable[[Array, Array], Array]
Space = Callable[[str, Any], Array]


class Rule(NamedTuple):
    """Which pairs count, and what a pair costs. What the type or the mining does not use may be anything."""

    type: str
    mining: str = "all"
    average: str = "all"  #: "all" terms, or those above 0 ("positive")
    unit: bool = True  #: whether embeddings are unit vectors
    temperature: float = 0.1
    alpha: float = 2.0
    beta: float = 50.0
    base: float = 0.5
    margin: float = 0.4
    scale: float = 80.0
    pos_margin: float = 0.0
    neg_margin: float = 1.0
    epsilon: float = 0.1
    pair_margins: Tuple[float, float] = (0.2, 0.8)
    cutoff: float = 0.5
    nonzero_loss_cutoff: float = 1.4


class Others(NamedTuple):
    """The embeddings that anchors are compared with."""

    points: Array  #: (M, D)
    labels: Array  #: (M,), of the type of those of the anchors
    own: Array  #: which of them is the anchor itself, (N,); -1: none


class Block(NamedTuple):
    """B anchors of N, and M others."""

    rows: slice  #: which anchors
    products: Array  #: (B, M); float64 for a type of BY_DISTANCE
    slopes: Array  #: (B, M), to write into; the same array for the other types
    labels: Array  #: of the anchors, (B,)
    others: Others
    squares: Tuple[Array, Array]  #: squared lengths of the anchors, (B,), and of the others
    space: Space  #: (name, dtype) -> an array (B, M) to work in

    @property
    def own(self) -> Tuple[Array, Array]:
        """Where each anchor meets itself: rows and columns."""
        columns = self.others.own[self.rows]
        there = array_module(columns).flatnonzero(columns >= 0)
        return there, columns[there]


def same_class(block: Block) -> Array:
    """Which of the others have the label of the anchor, and are not itself: bool (B, M)."""
    same = block.space("same", bool)
    array_module(same).equal(block.labels[:, None], block.others.labels, out=same)
    same[block.own] = False
    return same


def places(positive: Array) -> Tuple[Array, Array]:
    """Where a mask (B, M) is true, in the flattened block, and the rows."""
    at = array_module(positive).flatnonzero(positive)
    return at, at // positive.shape[1]


def block_terms(block: Block, rule: Rule, draw: Optional[Draw]) -> Terms:
    """The losses of a block's anchors; slopes by the products are written. Not for `lifted`."""
    distances = zero = None
    if rule.type in BY_DISTANCE or rule.mining not in _MINED_BY_COSINE:
        distances, zero = _distances(block)
    kinds = _kinds(block, distances, rule, draw)
    c, average = block.slopes, rule.average
    if rule.type == "ntxent":
        return pair_terms.ntxent(c, kinds, rule.temperature, average)
    if rule.type == "supcon":
        return pair_terms.supcon(c, kinds, rule.temperature, average)
    work = block.space("work", c.dtype)
    if rule.type == "multi_similarity":
        return pair_terms.multi_similarity(c, kinds, rule.alpha, rule.beta, rule.base, average, work)
    if rule.type == "circle":
        return pair_terms.circle(c, kinds, rule.margin, rule.scale, average, work)
    margins, one_mean = (rule.pos_margin, rule.neg_margin), False
    if rule.type == "margin":
        margins, one_mean = (rule.beta - rule.margin, rule.beta + rule.margin), True
    return pair_terms.hinges(distances, zero, kinds, margins, average, one_mean, c)


def block_logs(block: Block, rule: Rule) -> Array:
    """For `lifted`, what the losses are made of: `pair_terms.nearness_of_negatives`."""
    return pair_terms.nearness_of_negatives(
        *_distances(block), _kinds(block, None, rule, None), rule.neg_margin, block.slopes
    )


def _distances(block: Block) -> Tuple[Array, Array]:
    """The distances of a block, and where they are 0."""
    xp, dtype = array_module(block.products), block.products.dtype
    squared, zero = block.space("squared", dtype), block.space("zero", bool)
    squared_distances(block.products, *block.squares, squared, zero)
    distances = squared if dtype == block.slopes.dtype else block.space("distances", block.slopes.dtype)
    distances[...] = squared
    xp.sqrt(distances, out=distances)
    return distances, zero


def _kinds(block: Block, distances: Optional[Array], rule: Rule, draw: Optional[Draw]) -> Kinds:
    """The positives and negatives of a block that the mining leaves."""
    same = same_class(block)
    if rule.mining == "all":
        at, rows = places(same)
        same[block.own] = True
        return Kinds(at, rows, same)
    negative = ~same
    negative[block.own] = False
    positive, negative = _mined(block, distances, same, negative, rule, draw)
    return Kinds(*places(positive), ~negative)


def _mined(
    block: Block, distances: Optional[Array], positive: Array, negative: Array, rule: Rule, draw: Optional[Draw]
) -> pair_mining.Masks:
    if rule.mining == "multi_similarity":
        return pair_mining.multi_similarity(block.products, positive, negative, rule.epsilon)
    if rule.mining == "pair_margin":
        return pair_mining.pair_margin(distances, positive, negative, *rule.pair_margins)
    if rule.mining == "distance":
        assert draw is not None and distances is not None
        ways = block.others.points.shape[1], rule.cutoff, rule.nonzero_loss_cutoff, draw
        return pair_mining.by_distance(distances.astype(np.float64), positive, negative, block.rows.start, *ways)
    return pair_mining.one_of_each(distances, positive, negative, rule.mining)
