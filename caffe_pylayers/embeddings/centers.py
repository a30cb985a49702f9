"""Distances of embeddings from the centres of their classes (Wen et al. 2016)."""

from typing import Any, Optional

from caffe_pylayers.embeddings.class_vectors import sum_by_class
from caffe_pylayers.losses.blocks import Buffer, row_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module

#: Numbers of so many embeddings are looked at in one go, since the centres of their classes are copied.
_ROWS = 1 << 14


def center_loss(
    x: Array, centers: Array, labels: Array, distance: str, slopes: Array, buffer: Optional[Buffer] = None
) -> Array:
    """|x - c|^2 / 2 for each embedding and the centre of its class, or the sum of |x_j - c_j| for `distance` l1.

    x: (N, D). centers: (K, D). labels: integers, (N,). slopes: receives the derivatives by x, (N, D).
    Returns the values, (N,).

    >>> import numpy as np
    >>> center_loss(np.array([[3.0, 4.0]]), np.zeros((2, 2)), np.array([1]), "squared", np.empty((1, 2)))
    array([12.5])
    """
    xp = array_module(x)
    for rows in row_blocks(x, _ROWS):
        xp.subtract(x[rows], centers[labels[rows]], out=slopes[rows])
    if distance == "squared":
        return xp.einsum("nd,nd->n", slopes, slopes) * 0.5
    signs = xp.sign(slopes, out=scratch(buffer, x)("signs", x.shape, x.dtype))
    values = xp.einsum("nd,nd->n", slopes, signs)
    slopes[...] = signs
    return values


def add_center_steps(
    slopes: Array, labels: Array, weights: Any, steps: Array, damped: bool, buffer: Optional[Buffer] = None
) -> None:
    """Add -sum of w_i s_i over the embeddings of a class to the steps of its centre, (K, D); if `damped`, divided by sum of w_i + 1.

    slopes: s, (N, D), as `center_loss` writes them. weights: w, one or (N,).
    """
    if not len(labels):
        return
    xp, buffer = array_module(slopes), scratch(buffer, slopes)
    there, places = xp.unique(labels, return_inverse=True)
    each = xp.ones(len(labels), slopes.dtype) * weights
    weighted = xp.multiply(slopes, each[:, None], out=buffer("weighted", slopes.shape, slopes.dtype))
    totals = sum_by_class(weighted, places, len(there), buffer("totals", (len(there), slopes.shape[1]), slopes.dtype))
    if damped:
        totals /= (sum_by_class(each, places, len(there)) + 1).astype(slopes.dtype)[:, None]
    steps[there] -= totals
