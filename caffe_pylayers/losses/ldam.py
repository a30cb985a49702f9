"""LDAM: softmax cross-entropy with a margin for each class, the wider the rarer the class (Cao et al. 2019)."""

from typing import Optional, Union

import numpy as np

from caffe_pylayers.losses.blocks import Buffer, largest_block, part_of, score_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module
from caffe_pylayers.losses.softmax import factor_of, of_block, places


def ldam_margins(counts: Array, max_margin: float = 0.5) -> np.ndarray:
    """The margin of each class, C / n_c^(1/4), with C such that the rarest class has `max_margin`.

    counts: labels of each class, (K,), at least 0. A class with count 0 has no margin in the paper; here it gets
        `max_margin`, as the rarest.
    Returns float64 (K,).

    >>> ldam_margins(np.array([160, 10, 0])).tolist()
    [0.25, 0.5, 0.5]
    """
    counts = np.asarray(counts, np.float64)
    rarest = counts[counts > 0].min(initial=np.inf)
    return max_margin * (rarest / np.maximum(counts, rarest)) ** 0.25


def ldam(
    scores: Array,
    labels: Array,
    margins: Array,
    scale: float = 1.0,
    factor: Union[float, Array] = 1.0,
    gradient: Optional[Array] = None,
    buffer: Optional[Buffer] = None,
) -> Array:
    """Softmax cross-entropy of z, the scores with the label's margin taken off the label's, times `scale`.

        z_k = scale (score_k - margin[label] [k = label])

    scores, labels, factor, gradient, buffer: as in `softmax_cross_entropy`, whose limits hold.
    margins: float (K,).
    Returns the values, of the labels' shape.

    >>> ldam(np.array([[1.0, 0.5]]), np.array([0]), np.array([0.5, 0.1])).round(4)
    array([0.6931])
    """
    xp = array_module(scores)
    buffer = scratch(buffer, scores)
    values = buffer("values", labels.shape, scores.dtype)
    flat, exps = (buffer(name, (largest_block(scores),), scores.dtype) for name in ("shifted", "exps"))
    for part, terms in score_blocks(scores):
        block, label = scores[part], labels[terms]
        shifted = flat[: block.size].reshape(block.shape)
        xp.multiply(block, scale, out=shifted)
        flat[places(label, block.shape)] -= scale * margins[label]
        each = factor_of(factor, terms) * scale
        of_block(shifted, label, each, part_of(gradient, part), None, values[terms], exps)
    return values
