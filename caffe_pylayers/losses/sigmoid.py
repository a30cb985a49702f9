"""Sigmoid cross-entropy of scores and targets, as stock SigmoidCrossEntropyLoss computes it."""

from typing import Optional, Union

from caffe_pylayers.losses.blocks import Buffer, blocks, clear, factor_of, largest_block, scratch
from caffe_pylayers.losses.reduction import Array, array_module


def sigmoid_cross_entropy(
    scores: Array,
    target: Array,
    factor: Union[float, Array] = 1.0,
    gradient: Optional[Array] = None,
    buffer: Optional[Buffer] = None,
) -> Array:
    """-t log p - (1 - t) log(1 - p) for each score x and target t, with p = sigmoid(x) = 1 / (1 + exp(-x)).

        l = max(x, 0) - x t + log(1 + exp(-|x|))        dl/dx = p - t

    scores, target: float (N, D); a target is any finite number, a probability as a rule.
    factor: the gradient is multiplied by it: one for all, one per row (N, 1), or (N, D). Where an array is 0 the
        gradient is 0, be the score NaN.
    gradient: array of the scores' shape that receives the gradient; not computed when None.
    buffer: makes the arrays that live from call to call, as `Layer.buffer` does; None: new ones each time.
    Returns the values, of the scores' shape.

    >>> import numpy as np
    >>> sigmoid_cross_entropy(np.array([[0.0, 100.0, -100.0]]), np.array([[1.0, 1.0, 1.0]])).round(4)
    array([[  0.6931,   0.    , 100.    ]])
    """
    xp = array_module(scores)
    buffer = scratch(buffer, scores)
    values, work = buffer("values", scores.shape, scores.dtype), buffer("exps", (largest_block(scores),), scores.dtype)

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
        if gradient is not None:
            slope /= exps
            slope -= t
            each = factor_of(factor, *part)
            clear(slope, each)
            slope *= each
        xp.log(exps, out=exps)
        xp.multiply(x, t, out=value)
        exps -= value
        xp.maximum(x, 0, out=value)
        value += exps
    return values
