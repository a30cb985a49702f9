"""Losses on the pairs of a batch: of each embedding with all others of it, or with those of a memory, which have no gradient.

All pairs are in one array (N, M): first products, then slopes. What is made of them is made in blocks of anchors.
"""

from typing import Any, Iterator, NamedTuple, Optional, Tuple

import numpy as np

from caffe_pylayers.embeddings.pair_blocks import (
    BY_DISTANCE,
    Block,
    Draw,
    Others,
    Rule,
    block_logs,
    block_terms,
    places,
    same_class,
)
from caffe_pylayers.embeddings.pair_terms import Terms, add_up, lifted_gaps
from caffe_pylayers.losses.blocks import Buffer, row_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module

#: Pairs that are worked on at a time: with all that is made of them, what a second-level cache holds.
BLOCK = 1 << 15

#: What costs as much from either end, and the rules of mining that choose so.
_SYMMETRIC, _SYMMETRIC_MINING = ("contrastive", "margin"), ("all", "pair_margin")


class Pairs(NamedTuple):
    """The pairs of N anchors, measured."""

    values: Array  #: float64 (means, N): sums of terms, a row for each mean that the loss is the sum of
    counts: Array  #: float64 (means, N): how many terms
    #: (N, M): d values of the anchor / d product; but of `lifted` until `weigh_pairs`: distances of positives, shares of negatives
    slopes: Array
    logs: Array  #: of `lifted`: log of the sum over an anchor's negatives, (N,)
    points: Array  #: the anchors, (N, D)
    labels: Array  #: (N,)
    others: Others
    shared: bool  #: whether the others are the anchors
    rule: Rule
    buffer: Buffer


def pair_loss(
    points: Array,
    labels: Array,
    rule: Rule,
    draw: Optional[Draw] = None,
    memory: Optional[Others] = None,
    buffer: Optional[Buffer] = None,
) -> Pairs:
    """Measures the pairs of N anchors: with each other, or with a memory.

    points: (N, D), unit vectors, or as they are.
    draw: for `mining: distance`, (anchors, others) -> uniform in [0, 1).
    Embeddings that are not finite make all values NaN.
    """
    xp, buffer, num = array_module(points), scratch(buffer, points), len(points)
    others = Others(points, labels, xp.arange(num)) if memory is None else memory
    slopes = buffer("pairs", (num, len(others.points)), points.dtype)
    means = 2 if rule.type == "contrastive" else 1
    values, counts, logs = xp.zeros((means, num)), xp.zeros((means, num)), xp.zeros(num)
    pairs = Pairs(values, counts, slopes, logs, points, labels, others, memory is None, rule, buffer)
    products, squares = _products(pairs)
    finite = all(bool(xp.isfinite(each).all()) for each in squares)
    if not finite:  # there is no order to choose by
        products[...] = squares[0][...] = squares[1][...] = 0
    for block in blocks_of(pairs, products, squares):
        if rule.type == "lifted":
            logs[block.rows] = block_logs(block, rule)
        else:
            _enter(pairs, block, block_terms(block, rule, draw))
    if rule.type == "lifted":
        for block in blocks_of(pairs):
            _enter(pairs, block, _lifted_terms(pairs, block))
    if not finite and slopes.shape[1] > 1:
        values[...], counts[...], slopes[...] = np.nan, 1, np.nan
    return pairs


def weigh_pairs(pairs: Pairs, factors: Array) -> Array:
    """Multiply the slopes by the factors of the values so far as these do not go by rows; to be called once.

    factors: (means, N), or (means, 1) for all alike. Returns what is left to multiply rows by, (N,) or (1,).
    """
    xp, slopes = array_module(factors), pairs.slopes
    if pairs.rule.type == "lifted":
        factor = xp.ones(len(slopes)) * factors[0]
        shares = _shares(pairs, factor)
        for block in blocks_of(pairs):
            gaps = _lifted(pairs, block)
            block.slopes[...] *= shares[block.rows, None].astype(slopes.dtype)
            of_positives = factor[block.rows][gaps.rows] * gaps.gaps
            block.slopes.reshape(-1)[gaps.at] = -of_positives / xp.where(gaps.lengths > 0, gaps.lengths, np.inf)
        return xp.ones(len(slopes))
    if len(factors) == 1:
        return factors[0]
    attracting, repelling = factors[:, :, None].astype(slopes.dtype)
    for block in blocks_of(pairs):  # slopes of positives are below 0, those of negatives above
        rows = block.rows if factors.shape[1] > 1 else slice(None)
        each = block.space("work", slopes.dtype)
        each[...] = attracting[rows]
        xp.copyto(each, repelling[rows], where=block.slopes > 0)
        block.slopes[...] *= each
    return xp.ones(factors.shape[1])


def pairs_gradient(pairs: Pairs, factor: Array, out: Array) -> None:
    """Write the gradient by the anchors into `out`, (N, D): with the slopes of `weigh_pairs`, rows times the `factor` that it returned.

    For unit vectors a multiple of the anchor may be missing: it does not change their direction.
    """
    xp, slopes, points = array_module(out), pairs.slopes, pairs.points
    each = factor.astype(out.dtype)
    is_symmetric = len(each) == 1 and pairs.rule.type in _SYMMETRIC and pairs.rule.mining in _SYMMETRIC_MINING
    work = pairs.buffer("weighted", points.shape, points.dtype)
    xp.matmul(slopes, pairs.others.points, out=out)
    out *= each[:, None]
    if pairs.shared and is_symmetric:
        out *= 2
    elif pairs.shared:
        weighted = xp.multiply(points, each[:, None], out=work)
        out += xp.matmul(slopes.T, weighted, out=pairs.buffer("by others", points.shape, points.dtype))
    if pairs.rule.type in BY_DISTANCE and not pairs.rule.unit:  # |x - y|^2 has the lengths too
        degree = slopes.sum(axis=1) * each
        if pairs.shared:
            degree = degree + xp.matmul(each * xp.ones_like(degree), slopes)
        out -= xp.multiply(points, degree[:, None], out=work)


def _products(pairs: Pairs) -> Tuple[Array, Tuple[Array, Array]]:
    """The products of the anchors and the others, (N, M), and the squared lengths of both; in float64 where distances are made of them."""
    points, others, buffer = pairs.points, pairs.others.points, pairs.buffer
    xp, products = array_module(points), pairs.slopes
    if pairs.rule.type in BY_DISTANCE and points.dtype != np.float64:
        products = buffer("products", products.shape, np.float64)
        exact = buffer("exact anchors", points.shape, np.float64)
        exact[...] = points
        of_others = exact if pairs.shared else buffer("exact others", others.shape, np.float64)
        of_others[...] = others
        points, others = exact, of_others
    xp.matmul(points, others.T, out=products)
    return products, (xp.einsum("nd,nd->n", points, points), xp.einsum("nd,nd->n", others, others))


def _enter(pairs: Pairs, block: Block, terms: Terms) -> None:
    """Write the terms of a block to their places."""
    for total, each in ((pairs.values, terms.values), (pairs.counts, terms.counts)):
        for number, of_mean in enumerate(each):
            total[number, block.rows] = of_mean


class _Lifted(NamedTuple):
    """The positives of a block."""

    at: Array  #: their places in the flattened block
    rows: Array
    columns: Array
    lengths: Array  #: distances
    gaps: Array
    logs: Array  #: of the sums over both anchors' negatives


def _lifted(pairs: Pairs, block: Block) -> _Lifted:
    """The positives of a block of `lifted`, whose logs are known."""
    xp = array_module(pairs.logs)
    at, rows = places(same_class(block))
    columns = at - rows * pairs.slopes.shape[1]
    lengths = block.slopes.reshape(-1)[at].astype(np.float64)
    others = pairs.logs[columns] if pairs.shared else xp.full(len(at), -np.inf)
    return _Lifted(at, rows, columns, lengths, *lifted_gaps(lengths, pairs.logs[block.rows][rows], others))


def _lifted_terms(pairs: Pairs, block: Block) -> Terms:
    found, count = _lifted(pairs, block), len(block.labels)
    counted = None if pairs.rule.average == "all" else found.gaps > 0
    return Terms([add_up(found.rows, found.gaps * found.gaps / 2, count)], [add_up(found.rows, counted, count)])


def _shares(pairs: Pairs, factor: Array) -> Array:
    """What the slopes of each anchor's negatives are multiplied by: they are in the terms of all its positives."""
    xp = array_module(factor)
    shares, num = xp.zeros(len(factor)), len(factor)
    for block in blocks_of(pairs):
        gaps = _lifted(pairs, block)
        each = factor[block.rows][gaps.rows] * gaps.gaps
        anchors = gaps.rows + block.rows.start
        for who in (anchors, gaps.columns) if pairs.shared else (anchors,):
            shares += add_up(who, each * xp.exp(pairs.logs[who] - gaps.logs), num)
    return shares


def blocks_of(
    pairs: Pairs, products: Optional[Array] = None, squares: Tuple[Any, Any] = (None, None)
) -> Iterator[Block]:
    """The pairs in blocks of anchors. products, squares: those of the embeddings, where they are wanted."""
    slopes = pairs.slopes
    products = slopes if products is None else products
    parts = list(row_blocks(slopes, BLOCK)) if slopes.size else []
    for rows in parts:

        def space(name: str, dtype: Any, count: int = rows.stop - rows.start) -> Array:
            return pairs.buffer(f"block {name}", (parts[0].stop, slopes.shape[1]), dtype)[:count]

        of_rows = None if squares[0] is None else squares[0][rows]
        of_all = pairs.labels[rows], pairs.others, (of_rows, squares[1]), space
        yield Block(rows, products[rows], slopes[rows], *of_all)
