"""Softmax cross-entropy of scores and soft labels: a distribution over the classes for each position."""

import math
from typing import Optional, Tuple, Union

from caffe_pylayers.losses.blocks import GAP, score_blocks, work_size
from caffe_pylayers.losses.reduction import Array, array_module
from caffe_pylayers.losses.softmax import clear, exponentials, factor_of, sum_classes


def masses(distribution: Array, out: Optional[Array] = None) -> Tuple[Array, Optional[Array]]:
    """What each distribution adds up to, and which are all zeros.

    distribution: float (M, K), or (M, K, P).
    out: receives the sums, (M,) or (M, P).
    Returns (sums, empty): empty is bool of that shape, or None where no distribution is all zeros.

    >>> import numpy as np
    >>> masses(np.array([[0.5, 0.5], [0.0, 0.0]]))
    (array([1., 0.]), array([False,  True]))
    """
    xp = array_module(distribution)
    if out is None:
        out = xp.empty(distribution.shape[:1] + distribution.shape[2:], distribution.dtype)
    for part, terms in score_blocks(distribution):
        out[terms] = sum_classes(distribution[part])
    empty = out == 0
    if not empty.any():
        return out, None
    for part, terms in score_blocks(distribution):
        if empty[terms].any():  # or entries that cancel out
            empty[terms] &= ~distribution[part].any(axis=1)
    return out, empty


def soft_cross_entropy(
    scores: Array,
    distribution: Array,
    mass: Array,
    factor: Union[float, Array] = 1.0,
    gradient: Optional[Array] = None,
    prob: Optional[Array] = None,
    values: Optional[Array] = None,
    work: Optional[Array] = None,
    lowest: float = -math.inf,
) -> Array:
    """Cross-entropy of p = softmax of the scores along axis 1, with a distribution q for each position.

        l = - sum_k q_k max(log p_k, lowest)        dl/dscore_k = p_k sum(q) - q_k

    scores: float (M, K), or (M, K, P) with P positions each.
    distribution: q, of the scores' shape: any finite numbers, which need not add up to 1.
    mass: sum(q), (M,) or (M, P), as `masses` gives it.
    factor, gradient, prob, values: as in `softmax_cross_entropy`; the gradient is not cut at `lowest`.
    work: to reuse from call to call, of at least `work_size(scores, 2)`.
    Returns the values, of mass's shape.

    >>> import numpy as np
    >>> q = np.array([[0.0, 1.0]])
    >>> soft_cross_entropy(np.array([[0.0, np.log(3.0)]]), q, masses(q)[0]).round(4)
    array([0.2877])
    """
    xp = array_module(scores)
    if values is None:
        values = xp.empty(mass.shape, scores.dtype)
    if work is None:
        work = xp.empty(work_size(scores, 2), scores.dtype)
    for part, terms in score_blocks(scores):
        block, q, value, total = scores[part], distribution[part], values[terms], mass[terms]
        exps = work[: block.size].reshape(block.shape)
        rest = work[block.size + GAP :][: block.size].reshape(block.shape)
        sums, shifted = exponentials(block, exps, rest)
        if prob is not None:
            xp.divide(exps, sums[:, None], out=prob[part])

        log_sums = xp.log(sums)
        if lowest == -math.inf or float(shifted.min()) - float(log_sums.max()) > lowest:  # nothing to cut
            xp.multiply(total, log_sums, out=value)
            value -= _dot(q, shifted)
        else:
            xp.subtract(shifted, log_sums[:, None], out=rest)
            xp.maximum(rest, lowest, out=rest)
            xp.negative(_dot(q, rest), out=value)

        if gradient is not None:
            each = factor_of(factor, terms)
            exps *= (total / sums)[:, None]
            exps -= q
            xp.multiply(exps, each if isinstance(each, (int, float)) else each[:, None], out=gradient[part])
            clear(gradient[part], each, sums)
    return values


def _dot(x: Array, y: Array) -> Array:
    """The sums of the products along axis 1."""
    return array_module(x).einsum("mk,mk->m" if x.ndim == 2 else "mkp,mkp->mp", x, y)
