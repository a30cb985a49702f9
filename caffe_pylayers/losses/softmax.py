"""Softmax cross-entropy of scores and index labels, as stock SoftmaxWithLoss computes it."""

import math
from typing import Any, Optional, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers.losses.blocks import Buffer, largest_block, part_of, score_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module

# With no score above the first and no sum of exponentials below the second, float32 neither overflows nor
# loses digits, and the usual shift by the largest score, two passes of five, can be left out.
_HIGHEST_SCORE = 60.0
_LOWEST_SUM = 1e-4

#: The smallest normal number of each kind, at which stock Caffe cuts a probability.
TINY = {np.dtype(kind): np.finfo(kind).tiny for kind in (np.float32, np.float64)}


def softmax_cross_entropy(
    scores: Array,
    labels: Array,
    factor: Union[float, Array] = 1.0,
    gradient: Optional[Array] = None,
    prob: Optional[Array] = None,
    lowest: Optional[float] = None,
    buffer: Optional[Buffer] = None,
) -> Array:
    """-log p at each label, with p = softmax of the scores along axis 1.

        l = -log max(p[label], lowest)        dl/dscore_k = p_k - [k = label]

    scores: float (M, K), or (M, K, P) with P positions each.
    labels: integers 0 .. K-1, (M,) or (M, P).
    factor: the gradient is multiplied by it: one for all, or of the labels' shape. Where it is 0 the gradient
        is 0, be the scores NaN.
    gradient, prob: arrays of the scores' shape that receive the gradient and p; not computed when None.
    lowest: where p is cut in the value, not in the gradient. None: as stock Caffe at the smallest normal float, so
        that a value is at most 87.3 in float32.
    buffer: makes the arrays that live from call to call, as `Layer.buffer` does; None: new ones each time.
    Returns the values, of the labels' shape.

    >>> scores = np.array([[0.0, np.log(3.0)]])
    >>> softmax_cross_entropy(scores, np.array([1])).round(4)
    array([0.2877])
    """
    buffer = scratch(buffer, scores)
    values, exps = buffer("values", labels.shape, scores.dtype), buffer("exps", (largest_block(scores),), scores.dtype)
    for part, terms in score_blocks(scores):
        to = part_of(gradient, part), part_of(prob, part)
        of_block(scores[part], labels[terms], factor_of(factor, terms), *to, values[terms], exps, lowest)
    return values


def of_block(
    block: Array,
    labels: Array,
    factor: Union[float, Array],
    gradient: Optional[Array],
    prob: Optional[Array],
    values: Array,
    work: Array,
    lowest: Optional[float] = None,
) -> None:
    """Writes what `softmax_cross_entropy` gives for a block of scores; `work` has as many elements as it, or more."""
    xp = array_module(block)
    flat = work[: block.size]
    exps = flat.reshape(block.shape)
    sums, _ = exponentials(block, exps)
    if prob is not None:
        xp.divide(exps, sums[:, None], out=prob)

    place = places(labels, block.shape)
    exp_at_label = flat[place]
    xp.divide(exp_at_label, sums, out=values)
    xp.maximum(values, TINY[block.dtype] if lowest is None else lowest, out=values)
    xp.log(values, out=values)
    xp.negative(values, out=values)

    if gradient is not None:
        flat[place] = exp_at_label - sums
        xp.multiply(exps, xp.divide(factor, sums, dtype=sums.dtype)[:, None], out=gradient)
        clear(gradient, factor, sums)


def exponentials(block: Array, out: Array, shifted: Optional[Array] = None) -> Tuple[Array, Array]:
    """Writes the exponentials of a block of scores into `out`, shifted where they must be.

    shifted: where the shifted scores go, of the block's shape; `out` if None, so that they are lost.
    Returns the sums of the exponentials along axis 1, and the scores that they are of: the block, or `shifted`.
    """
    xp = array_module(block)
    if float(block.max()) < _HIGHEST_SCORE:  # not so for NaN, which stays NaN
        sums = sum_classes(xp.exp(block, out=out))
        if float(sums.min()) > _LOWEST_SUM:
            return sums, block
    shifted = out if shifted is None else shifted
    xp.subtract(block, block.max(axis=1)[:, None], out=shifted)
    return sum_classes(xp.exp(shifted, out=out)), shifted


def sum_classes(block: Array) -> Array:
    """The sums along axis 1. Along rows dot() takes a fifth of the time of sum()."""
    return block.sum(axis=1) if block.ndim > 2 else block.dot(array_module(block).ones(block.shape[1], block.dtype))


def expected(q: Array, y: Array) -> Array:
    """The sums of q y along axis 1. Where q is 0 an infinite y, of a class that is ruled out, adds nothing."""
    xp, formula = array_module(q), "mk,mk->m" if q.ndim == 2 else "mkp,mkp->mp"
    sums = xp.einsum(formula, q, y)
    if not bool(xp.isfinite(sums).all()):
        sums = xp.einsum(formula, q, xp.where(q == 0, 0, y))
    return sums


def places(labels: Array, shape: Sequence[int]) -> Array:
    """Where in a flat block of `shape` the element of each label is."""
    xp = array_module(labels)
    if len(shape) == 2:
        return labels + xp.arange(0, shape[0] * shape[1], shape[1])
    num_outer, num_classes, num_inner = shape
    at = labels * num_inner + xp.arange(num_inner)
    at += xp.arange(0, num_outer * num_classes * num_inner, num_classes * num_inner)[:, None]
    return at


def factor_of(factor: Union[float, Array], terms: Any) -> Any:
    """The factor of some terms: that of all, or a part of the array."""
    return factor if isinstance(factor, (int, float)) else factor[terms]


def clear(gradient: Array, factor: Union[float, Array], sums: Array) -> None:
    """Sets the gradient of terms whose factor is 0 to 0, where the sums show NaN: 0 times NaN is NaN."""
    if isinstance(factor, (int, float)) or math.isfinite(float(sums.max())):
        return
    terms = (factor == 0) & ~array_module(sums).isfinite(sums)
    if gradient.ndim == 2:
        gradient[terms] = 0
    else:
        gradient.transpose(0, 2, 1)[terms] = 0
