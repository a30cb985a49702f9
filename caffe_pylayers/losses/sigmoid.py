"""Sigmoid cross-entropy of scores and targets, as stock SigmoidCrossEntropyLoss computes it."""

from typing import Optional, Union

import numpy as np

from caffe_pylayers.losses.blocks import Buffer, blocks, clear, factor_of, largest_block, scratch
from caffe_pylayers.losses.reduction import Array, array_module


def sigmoid_cross_entropy(
    scores: Array,
    target: Array,
    factor: Union[float, Array] = 1.0,
    gradient: Optional[Array] = None,
    pos_weight: Union[float, Array, None] = None,
    buffer: Optional[Buffer] = None,
) -> Array:
    """-v t log p - (1 - t) log(1 - p) for each score x and target t, with p = sigmoid(x) = 1 / (1 + exp(-x)).

        l = max(x, 0) - x t + s + (v - 1) t (max(-x, 0) + s)        with s = log(1 + exp(-|x|))
        dl/dx = p - t + (v - 1) t (p - 1)

    scores, target: float (N, D); a target is any finite number, a probability as a rule.
    factor: the gradient is multiplied by it: one for all, one per row (N, 1), or (N, D). Where an array is 0 the
        gradient is 0, be the score NaN.
    gradient: array of the scores' shape that receives the gradient; not computed when None.
    pos_weight: v, one number for all, or one for each column (D,); None: 1.
    buffer: makes the arrays that live from call to call, as `Layer.buffer` does; None: new ones each time.
    Returns the values, of the scores' shape.

    >>> sigmoid_cross_entropy(np.array([[0.0, 100.0, -100.0]]), np.array([[1.0, 1.0, 1.0]])).round(4)
    array([[  0.6931,   0.    , 100.    ]])
    """
    xp = array_module(scores)
    buffer = scratch(buffer, scores)
    values, size = buffer("values", scores.shape, scores.dtype), largest_block(scores)
    work = buffer("exps", (size,), scores.dtype)
    more = [] if pos_weight is None else [buffer(name, (size,), scores.dtype) for name in ("positive", "more")]

    for part in blocks(scores):
        x, t, value = scores[part], target[part], values[part]
        exps = work[: x.size].reshape(x.shape)
        xp.abs(x, out=exps)
        xp.negative(exps, out=exps)
        xp.exp(exps, out=exps)
        if gradient is not None:
            # p is 1 / (1 + exp(-x)) from 0 on and exp(x) / (1 + exp(x)) below: neither overflows or cancels.
            slope = gradient[part]
            xp.greater_equal(x, 0, out=slope)
            xp.maximum(slope, exps, out=slope)
        exps += 1
        if pos_weight is not None:
            weight = pos_weight if isinstance(pos_weight, (int, float)) else pos_weight[part[1]]
            positive, extra = (each[: x.size].reshape(x.shape) for each in more)
            xp.multiply(t, weight - 1, out=positive)
        if gradient is not None:
            slope /= exps
            if pos_weight is not None:
                xp.subtract(slope, 1, out=extra)
                extra *= positive
                slope += extra
            slope -= t
            each = factor_of(factor, *part)
            clear(slope, each)
            slope *= each
        xp.log(exps, out=exps)
        xp.clip(x, 0, np.inf, out=value)  # half the time of maximum(x, 0)
        exps += value
        if pos_weight is not None:
            xp.subtract(exps, x, out=extra)
            positive *= extra
        xp.multiply(x, t, out=value)
        xp.subtract(exps, value, out=value)
        if pos_weight is not None:
            value += positive
    return values
