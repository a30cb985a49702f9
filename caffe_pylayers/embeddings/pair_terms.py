"""What the pairs of a block of anchors cost, added up by anchor: a function per type of loss.

Each takes what B anchors have with M others, (B, M): products, which are cosines if the embeddings have length 1, or Euclidean
distances. It writes d loss of the anchor / d product, 0 where there is no pair that counts, over the products or into `out`.
"""

from typing import Any, NamedTuple, Sequence, Tuple

import numpy as np

from caffe_pylayers.losses.reduction import Array, array_module
from caffe_pylayers.losses.triplet import triplet_terms


class Kinds(NamedTuple):
    """Which pairs of a block are what."""

    at: Array  #: the places of the positives in the flattened block, in order
    rows: Array  #: their rows
    others: Array  #: bool (B, M): where there is no negative that counts


class Terms(NamedTuple):
    """The losses of B anchors: sums of terms, and how many terms; a row for each mean that the loss is the sum of."""

    values: Sequence[Array]
    counts: Sequence[Array]


def hinges(
    d: Array, zero: Array, kinds: Kinds, margins: Tuple[float, float], average: str, one_mean: bool, out: Array
) -> Terms:
    """[d - margins[0]]+ of positives, [margins[1] - d]+ of negatives: a mean of each kind, or one of all. zero: where d is 0."""
    xp, count = array_module(d), len(d)
    lengths = d.reshape(-1)[kinds.at]
    positives = xp.maximum(lengths - margins[0], 0)
    xp.subtract(margins[1], d, out=out)
    xp.copyto(out, 0, where=kinds.others)
    xp.maximum(out, 0, out=out)
    values = add_up(kinds.rows, positives, count), out.sum(axis=1)
    xp.sign(out, out=out)  # 1 where there is a loss
    if average == "positive":
        counts = add_up(kinds.rows, positives > 0, count), out.sum(axis=1)
    else:
        counts = add_up(kinds.rows, None, count), (~kinds.others).sum(axis=1)
    _by_product(out, d, zero)
    out.reshape(-1)[kinds.at] = -_ratio(positives > 0, lengths)
    return Terms([sum(values)], [sum(counts)]) if one_mean else Terms(values, counts)


def ntxent(c: Array, kinds: Kinds, temperature: float, average: str) -> Terms:
    """Of each positive -log(e^(c/t) / (e^(c/t) + sum of those of the anchor's negatives))."""
    xp, count = array_module(c), len(c)
    flat = c.reshape(-1)
    positives = flat[kinds.at].astype(np.float64) / temperature
    c *= 1 / temperature
    xp.copyto(c, -np.inf, where=kinds.others)
    top, sums = exponentials(c)
    values, slopes = triplet_terms((top + log(sums))[kinds.rows] - positives, 0.0, soft=True)
    _scale_rows(c, add_up(kinds.rows, slopes, count) / temperature, sums)
    flat[kinds.at] = slopes / -temperature
    number = add_up(kinds.rows, values > 0 if average == "positive" else None, count)
    return Terms([add_up(kinds.rows, values, count)], [number])


def supcon(c: Array, kinds: Kinds, temperature: float, average: str) -> Terms:
    """Of each anchor -mean over positives of (c/t - log of the sum of e^(c/t) over its positives and negatives)."""
    xp, count = array_module(c), len(c)
    flat = c.reshape(-1)
    c *= 1 / temperature
    positives = flat[kinds.at]
    xp.copyto(c, -np.inf, where=kinds.others)
    flat[kinds.at] = positives
    top, sums = exponentials(c)
    number = add_up(kinds.rows, None, count)
    each = 1 / xp.maximum(number, 1)
    values = xp.where(number > 0, top + log(sums) - add_up(kinds.rows, positives, count) * each, 0)
    _scale_rows(c, (number > 0) / temperature, sums)
    flat[kinds.at] -= (each / temperature)[kinds.rows].astype(c.dtype)
    return _of_anchors(values, average)


def multi_similarity(
    c: Array, kinds: Kinds, alpha: float, beta: float, base: float, average: str, work: Array
) -> Terms:
    """log(1 + sum of e^(-alpha (c - base)) over positives)/alpha + log(1 + sum of e^(beta (c - base)) over negatives)/beta."""
    xp = array_module(c)
    flat = c.reshape(-1)
    weights, top, sums = _exponentials_of(-alpha * (flat[kinds.at].astype(np.float64) - base), kinds, work, least=0.0)
    sums = sums + xp.exp(-top)
    values = (top + xp.log(sums)) / alpha
    c -= base
    c *= beta
    xp.copyto(c, -np.inf, where=kinds.others)
    top, of_negatives = exponentials(c, least=0.0)
    of_negatives = of_negatives + xp.exp(-top)
    values = values + (top + xp.log(of_negatives)) / beta
    _scale_rows(c, 1.0, of_negatives)
    flat[kinds.at] = -weights / sums[kinds.rows]
    return _of_anchors(values, average)


def circle(c: Array, kinds: Kinds, margin: float, scale: float, average: str, work: Array) -> Terms:
    """softplus(lse over positives of -s [1 + m - c]+ (c - 1 + m) + lse over negatives of s [c + m]+ (c - m)); [.]+ is no part of the slopes."""
    xp = array_module(c)
    flat = c.reshape(-1)
    positives = flat[kinds.at].astype(np.float64)
    of_positives = scale * xp.maximum(1 + margin - positives, 0)
    weights, top, sums = _exponentials_of(-of_positives * (positives - 1 + margin), kinds, work)
    brackets = work
    xp.add(c, margin, out=brackets)
    xp.maximum(brackets, 0, out=brackets)
    brackets *= scale
    c -= margin
    c *= brackets
    xp.copyto(c, -np.inf, where=kinds.others)
    of_negatives_top, of_negatives = exponentials(c)
    both = (sums > 0) & (of_negatives > 0)
    gap = top + log(xp.where(both, sums, 1)) + of_negatives_top + log(xp.where(both, of_negatives, 1))
    values, slopes = triplet_terms(gap, 0.0, soft=True)
    slopes = xp.where(both, slopes, 0)
    c *= brackets
    _scale_rows(c, slopes, of_negatives)
    flat[kinds.at] = -of_positives * weights * (slopes / xp.where(both, sums, 1))[kinds.rows]
    return _of_anchors(xp.where(both, values, 0), average)


def nearness_of_negatives(d: Array, zero: Array, kinds: Kinds, neg_margin: float, out: Array) -> Array:
    """For `lifted`: log of the sum of e^(neg_margin - d) over an anchor's negatives; its slopes in `out`, but d at positives."""
    xp = array_module(d)
    lengths = d.reshape(-1)[kinds.at]
    xp.subtract(neg_margin, d, out=out)
    xp.copyto(out, -np.inf, where=kinds.others)
    top, sums = exponentials(out)
    _scale_rows(out, 1.0, sums)
    _by_product(out, d, zero)
    out.reshape(-1)[kinds.at] = lengths
    return top + log(sums)


def lifted_gaps(lengths: Array, logs: Array, other_logs: Array) -> Tuple[Array, Array]:
    """For `lifted`, of positives: [d + log of the sum over both anchors' negatives]+, and that logarithm, or 0 where there are none."""
    xp = array_module(lengths)
    top = xp.maximum(logs, other_logs)
    some = top > -np.inf
    top = xp.where(some, top, 0)
    both = top + log(xp.where(some, xp.exp(logs - top) + xp.exp(other_logs - top), 1))
    return xp.where(some, xp.maximum(lengths + both, 0), 0), both


def exponentials(block: Array, least: float = -np.inf) -> Tuple[Array, Array]:
    """Overwrite numbers, or -inf, with e^(number - top), top the largest of a row or `least`; returns all tops and the sums, float64."""
    xp = array_module(block)
    top = xp.maximum(block.max(axis=1), least)
    top = xp.where(xp.isfinite(top), top, 0).astype(block.dtype)
    block -= top[:, None]
    xp.exp(block, out=block)
    return top.astype(np.float64), block.sum(axis=1).astype(np.float64)


def add_up(rows: Array, what: Any, count: int) -> Array:
    """The sums by row of what a list has, or for None how many entries, (count,) float64."""
    xp = array_module(rows)
    if not len(rows):
        return xp.zeros(count)
    return xp.bincount(rows, None if what is None else what.astype(np.float64), count).astype(np.float64)


def log(sums: Array) -> Array:
    """The logarithm, -inf of 0 without a warning."""
    with np.errstate(divide="ignore"):
        return array_module(sums).log(sums)


def _exponentials_of(numbers: Array, kinds: Kinds, work: Array, least: float = -np.inf) -> Tuple[Array, Array, Array]:
    """The same of positives: e^(number - top), the tops and the sums of their rows."""
    xp = array_module(numbers)
    numbers = numbers.astype(work.dtype).astype(np.float64)  # so that none is above the top
    work.fill(least)
    work.reshape(-1)[kinds.at] = xp.maximum(numbers, least)
    top = work.max(axis=1).astype(np.float64)
    top = xp.where(xp.isfinite(top), top, 0)
    weights = xp.exp(numbers - top[kinds.rows])
    return weights, top, add_up(kinds.rows, weights, len(top))


def _by_product(out: Array, d: Array, zero: Array) -> None:
    """Divide by the distance, 0 where that is 0: from -d loss / d distance to d loss / d product."""
    xp = array_module(out)
    xp.copyto(d, np.inf, where=zero)
    out /= d


def _ratio(numbers: Array, lengths: Array) -> Array:
    xp = array_module(lengths)
    return numbers / xp.where(lengths > 0, lengths, np.inf)


def _scale_rows(block: Array, factors: Any, sums: Array) -> None:
    """Multiply rows by factors / sums; a row whose sum is 0 is 0 anyway."""
    xp = array_module(block)
    block *= (factors / xp.where(sums > 0, sums, 1))[:, None].astype(block.dtype)


def _of_anchors(values: Array, average: str) -> Terms:
    return Terms([values], [(values > 0).astype(np.float64) if average == "positive" else values * 0 + 1])
