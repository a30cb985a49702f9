"""Softmax cross-entropy of scores and soft labels: a distribution over the classes for each position."""

import math
from typing import Optional, Sequence, Tuple, Union

from caffe_pylayers.losses.blocks import Buffer, largest_block, part_of, score_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module
from caffe_pylayers.losses.softmax import clear, expected, exponentials, factor_of, sum_classes


def masses(distribution: Array, buffer: Optional[Buffer] = None) -> Tuple[Array, Optional[Array]]:
    """What each distribution adds up to, and which are all zeros.

    distribution: float (M, K), or (M, K, P).
    buffer: makes the arrays that live from call to call, as `Layer.buffer` does; None: new ones each time.
    Returns (sums, empty): the sums are (M,) or (M, P); empty is bool of that shape, or None where no distribution is all
    zeros.

    >>> import numpy as np
    >>> masses(np.array([[0.5, 0.5], [0.0, 0.0]]))
    (array([1., 0.]), array([False,  True]))
    """
    shape = distribution.shape[:1] + distribution.shape[2:]
    out = scratch(buffer, distribution)("masses", shape, distribution.dtype)
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
    lowest: float = -math.inf,
    buffer: Optional[Buffer] = None,
) -> Array:
    """Cross-entropy of p = softmax of the scores along axis 1, with a distribution q for each position.

        l = - sum_k q_k max(log p_k, lowest)        dl/dscore_k = p_k sum(q) - q_k

    scores: float (M, K), or (M, K, P) with P positions each.
    distribution: q, of the scores' shape: any finite numbers, which need not add up to 1.
    mass: sum(q), (M,) or (M, P), as `masses` gives it.
    factor, gradient, prob, buffer: as in `softmax_cross_entropy`; the gradient is not cut at `lowest`.
    Returns the values, of mass's shape.

    >>> import numpy as np
    >>> q = np.array([[0.0, 1.0]])
    >>> soft_cross_entropy(np.array([[0.0, np.log(3.0)]]), q, masses(q)[0]).round(4)
    array([0.2877])
    """
    buffer = scratch(buffer, scores)
    values, size = buffer("values", mass.shape, scores.dtype), largest_block(scores)
    work = buffer("exps", (size,), scores.dtype), buffer("shifted", (size,), scores.dtype)
    for part, terms in score_blocks(scores):
        to = part_of(gradient, part), part_of(prob, part)
        each = factor_of(factor, terms)
        of_block(scores[part], distribution[part], mass[terms], each, *to, values[terms], work, lowest)
    return values


def of_block(
    block: Array,
    q: Array,
    mass: Array,
    factor: Union[float, Array],
    gradient: Optional[Array],
    prob: Optional[Array],
    values: Array,
    work: Sequence[Array],
    lowest: float,
) -> None:
    """Writes what `soft_cross_entropy` gives for a block of scores; `work` are two arrays of as many elements, or more."""
    xp = array_module(block)
    exps, rest = (each[: block.size].reshape(block.shape) for each in work)
    sums, shifted = exponentials(block, exps, rest)
    if prob is not None:
        xp.divide(exps, sums[:, None], out=prob)

    log_sums = xp.log(sums)
    if lowest == -math.inf or float(shifted.min()) - float(log_sums.max()) > lowest:  # nothing to cut
        xp.multiply(mass, log_sums, out=values)
        values -= expected(q, shifted)
    else:
        xp.subtract(shifted, log_sums[:, None], out=rest)
        xp.maximum(rest, lowest, out=rest)
        xp.negative(expected(q, rest), out=values)

    if gradient is not None:
        exps *= (mass / sums)[:, None]
        exps -= q
        xp.multiply(exps, factor if isinstance(factor, (int, float)) else factor[:, None], out=gradient)
        clear(gradient, factor, sums)
