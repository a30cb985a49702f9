"""Infogain loss, as stock InfogainLoss computes it: softmax cross-entropy with a row of a matrix H for each label."""

import math
from typing import NamedTuple, Optional, Union

import numpy as np

from caffe_pylayers.losses import soft
from caffe_pylayers.losses.blocks import Buffer, largest_block, part_of, score_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module
from caffe_pylayers.losses.softmax import factor_of, softmax_cross_entropy, sum_classes

#: Where stock Caffe cuts a probability before its logarithm (kLOG_THRESHOLD).
LOWEST_PROBABILITY = 1e-20


class Infogain(NamedTuple):
    """The matrix H (K, K), a row for each label, and what follows from it."""

    rows: Array  #: H
    sums: Array  #: of the rows, (K,)
    diagonal: Optional[Array]  #: (K,), where all else is 0; None where it is not


def infogain_of(matrix: Array) -> Infogain:
    """The Infogain of a matrix H, float (K, K), which it keeps and does not copy."""
    num_classes = len(matrix)
    diagonal = matrix.reshape(-1)[:: num_classes + 1]
    # All that is off the diagonal, in one view: from each entry of the diagonal to the next.
    others = matrix.reshape(-1)[1:].reshape(num_classes - 1, num_classes + 1)[:, :-1]
    if bool(others.any()):
        return Infogain(matrix, sum_classes(matrix), None)
    return Infogain(matrix, diagonal, diagonal)


def infogain_loss(
    scores: Array,
    labels: Array,
    infogain: Infogain,
    factor: Union[float, Array] = 1.0,
    gradient: Optional[Array] = None,
    prob: Optional[Array] = None,
    buffer: Optional[Buffer] = None,
) -> Array:
    """- sum_k H[label, k] log p_k, with p = softmax of the scores along axis 1.

        l = - sum_k H[label, k] log max(p_k, 1e-20)        dl/dscore_k = p_k sum(H[label]) - H[label, k]

    scores, labels, factor, gradient, prob, buffer: as in `softmax_cross_entropy`; the gradient is not cut.
    Returns the values, of the labels' shape. A diagonal H takes the time of `softmax_cross_entropy`.

    >>> infogain_loss(np.zeros((1, 2)), np.array([1]), infogain_of(np.array([[1.0, 0.0], [0.0, 3.0]]))).round(4)
    array([2.0794])
    """
    if infogain.diagonal is not None:
        each = infogain.diagonal[labels]
        values = softmax_cross_entropy(scores, labels, factor * each, gradient, prob, LOWEST_PROBABILITY, buffer)
        values *= each
        return values
    buffer = scratch(buffer, scores)
    values = buffer("values", labels.shape, scores.dtype)
    taken, *work = (buffer(name, (largest_block(scores),), scores.dtype) for name in ("rows", "exps", "shifted"))
    columns = array_module(scores).ascontiguousarray(infogain.rows.T) if scores.ndim > 2 else None
    for part, terms in score_blocks(scores):
        block, label = scores[part], labels[terms]
        rows = taken[: block.size].reshape(block.shape)
        if columns is None:
            _take(infogain.rows, label, 0, rows)
        else:
            for i in range(len(block)):
                _take(columns, label[i], 1, rows[i])
        to = part_of(gradient, part), part_of(prob, part)
        each, mass = factor_of(factor, terms), infogain.sums[label]
        soft.of_block(block, rows, mass, each, *to, values[terms], work, math.log(LOWEST_PROBABILITY))
    return values


def _take(matrix: Array, labels: Array, axis: int, out: Array) -> None:
    """matrix.take(labels, axis), straight into `out`."""
    # NumPy's default mode, "raise", takes into an array of its own first; CuPy has no modes.
    mode = {"mode": "clip"} if isinstance(matrix, np.ndarray) else {}
    matrix.take(labels, axis, out, **mode)
