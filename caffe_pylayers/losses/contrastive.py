"""Contrastive loss of pairs, as stock ContrastiveLoss computes it."""

from typing import Optional, Sequence, Union

from caffe_pylayers.losses.blocks import Buffer, clear, largest_block, row_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module


def contrastive(
    feature: Array,
    feature_p: Array,
    similar: Array,
    margin: float = 1.0,
    legacy_version: bool = False,
    factor: Union[float, Array] = 1.0,
    gradients: Sequence[Optional[Array]] = (None, None),
    buffer: Optional[Buffer] = None,
) -> Array:
    """Pulls pairs that are similar together, and pushes others apart up to a margin (Hadsell et al. 2006).

        l = d^2 / 2 for a similar pair, max(0, margin - d)^2 / 2 for another, with d = |feature - feature_p|
        dl/dfeature = feature - feature_p, or -max(0, margin - d) / (d + 0.0001) times it

    The 0.0001, which stock Caffe has too, keeps the gradient finite where d is 0; elsewhere it makes it smaller by
    that part of d. With `legacy_version` the loss of another pair is max(0, margin - d^2) / 2, and its gradient
    -(feature - feature_p) where that is above 0.

    feature, feature_p: float (N, D).
    similar: bool (N,).
    factor: the gradients are multiplied by it: one for all, or one per pair (N,). Where an array is 0 the gradients
        are 0, be the features NaN.
    gradients: arrays (N, D) that receive those by feature and feature_p; None: not computed.
    buffer: makes the arrays that live from call to call, as `Layer.buffer` does; None: new ones each time.
    Returns the values, (N,).

    >>> import numpy as np
    >>> a, b = np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([[3.0, 4.0], [3.0, 4.0]])
    >>> contrastive(a, b, np.array([True, False]), margin=7.0)
    array([12.5,  2. ])
    """
    xp = array_module(feature)
    buffer = scratch(buffer, feature)
    values = buffer("values", similar.shape, feature.dtype)
    work = buffer("difference", (largest_block(feature),), feature.dtype)

    for rows in row_blocks(feature):
        a, b, pulled = feature[rows], feature_p[rows], similar[rows]
        difference = xp.subtract(a, b, out=work[: a.size].reshape(a.shape))
        squared = xp.einsum("nd,nd->n", difference, difference)
        if legacy_version:
            pushing = xp.maximum(margin - squared, 0)
            slopes = -(pushing > 0).astype(squared.dtype)
        else:
            distance = xp.sqrt(squared)
            gap = xp.maximum(margin - distance, 0)
            pushing = gap * gap
            slopes = -gap / (distance + 1e-4)
        values[rows] = xp.where(pulled, squared, pushing) / 2
        if gradients[0] is None and gradients[1] is None:
            continue
        each = xp.where(pulled, 1, slopes)
        if isinstance(factor, (int, float)):
            each *= factor
        else:
            clear(each, factor[rows])
            each *= factor[rows]
            clear(difference, each[:, None])
        difference *= each[:, None]
        if gradients[0] is not None:
            gradients[0][rows] = difference
        if gradients[1] is not None:
            xp.negative(difference, out=gradients[1][rows])
    return values
