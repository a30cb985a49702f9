"""Focal loss: softmax cross-entropy in which a term that is right already counts less (Lin et al. 2017)."""

from typing import Optional, Union

from caffe_pylayers.losses.blocks import Buffer, largest_block, score_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module
from caffe_pylayers.losses.softmax import TINY, clear, exponentials, factor_of, places, sum_classes


def focal(
    scores: Array,
    labels: Array,
    gamma: float = 2.0,
    alpha: Union[float, Array, None] = None,
    factor: Union[float, Array] = 1.0,
    gradient: Optional[Array] = None,
    buffer: Optional[Buffer] = None,
) -> Array:
    """-alpha (1 - p)^gamma log p at each label, with p = softmax of the scores along axis 1.

        l = -alpha[label] (1 - p)^gamma log max(p, tiny)        with p = p[label]
        dl/dscore_k = alpha[label] ((1 - p)^gamma - gamma p (1 - p)^(gamma-1) log p) (p_k - [k = label])

    scores, labels, factor, gradient, buffer: as in `softmax_cross_entropy`.
    gamma: at least 0; 0 without alpha is softmax cross-entropy.
    alpha: one number for all, or (K,).
    Returns the values, of the labels' shape. 1 - p is the sum over the other classes, so it is exact where p is near
    1. At p = 1 value and gradient are 0, their limits, for any gamma.

    >>> import numpy as np
    >>> focal(np.array([[0.0, np.log(3.0)]]), np.array([1])).round(4)
    array([0.018])
    """
    xp = array_module(scores)
    buffer = scratch(buffer, scores)
    values, work = buffer("values", labels.shape, scores.dtype), buffer("exps", (largest_block(scores),), scores.dtype)
    tiny = TINY[scores.dtype]

    for part, terms in score_blocks(scores):
        block, label, value = scores[part], labels[terms], values[terms]
        flat = work[: block.size]
        exps = flat.reshape(block.shape)
        sums, _ = exponentials(block, exps)
        place = places(label, block.shape)
        p = xp.maximum(flat[place] / sums, tiny)
        flat[place] = 0
        others = sum_classes(exps)
        rest = others / sums  # 1 - p

        xp.log(p, out=value)
        xp.copyto(value, xp.log1p(-xp.minimum(rest, 0.5)), where=rest < 0.5)
        power = rest**gamma
        if alpha is not None:
            power *= alpha if isinstance(alpha, (int, float)) else alpha[label]
        if gradient is not None:
            # (1 - p)^(gamma-1) log p would be 0 or infinity times 0 at p = 1, where log(p) / (1 - p) is -1.
            slope = power * (1 - gamma * p * xp.where(rest > tiny, value / xp.maximum(rest, tiny), -1))
            flat[place] = -others
            each = factor_of(factor, terms)
            xp.multiply(exps, (slope * each / sums)[:, None], out=gradient[part])
            clear(gradient[part], each, sums)
        xp.multiply(value, power, out=value)
        xp.negative(value, out=value)
    return values
