"""The triplet loss: an anchor shall be nearer to its positive than to its negative, by a margin."""

import math
from typing import NamedTuple, Optional, Sequence, Tuple, Union

from caffe_pylayers.losses.blocks import row_blocks
from caffe_pylayers.losses.reduction import Array, array_module

#: Numbers that are worked on at a time, with which all that is made of them stays in the cache.
_BLOCK = 1 << 14


class Triplets(NamedTuple):
    """N triplets, measured: all (N,)."""

    values: Array  #: the terms of the loss
    slopes: Array  #: d value / d (d_ap - d_an): 0 or 1 for the hinge, between them for softplus
    d_ap: Array  #: distances from anchor to positive
    d_an: Array  #: and to negative


def triplet_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    margin: Union[float, Array] = 0.2,
    distance: str = "squared",
    soft: bool = False,
) -> Triplets:
    """Measures triplets of embeddings.

        z = d(anchor, positive) - d(anchor, negative)
        l = max(0, z + margin)              or softplus(z) = log(1 + exp(z)), without margin, if `soft`
        d(x, y) = |x - y|^2 ("squared", FaceNet, Schroff et al. 2015) or |x - y| ("euclidean")

    anchor, positive, negative: float (N, D).
    margin: one for all, or (N,).

    >>> import numpy as np
    >>> a, p, n = np.array([[0.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])
    >>> triplet_loss(a, p, n, margin=0.5).values
    array([0.5])
    """
    xp = array_module(anchor)
    d_ap, d_an = (xp.empty(len(anchor), anchor.dtype) for _ in range(2))
    for rows in row_blocks(anchor, _BLOCK):
        for other, lengths in ((positive, d_ap), (negative, d_an)):
            difference = anchor[rows] - other[rows]
            lengths[rows] = xp.einsum("nd,nd->n", difference, difference)
    if distance == "euclidean":
        d_ap, d_an = xp.sqrt(d_ap), xp.sqrt(d_an)
    values, slopes = triplet_terms(d_ap - d_an, margin, soft)
    return Triplets(values, slopes, d_ap, d_an)


def triplet_terms(gap: Array, margin: Union[float, Array], soft: bool) -> Tuple[Array, Array]:
    """The losses of triplets with `gap` = d_ap - d_an, and their slopes, d loss / d gap; arrays of any shape."""
    xp = array_module(gap)
    if not soft:
        values = xp.maximum(gap + margin, 0)
        return values, (values > 0).astype(values.dtype)
    # With e = exp(-|z|), which never overflows, softplus(z) = max(z, 0) + log(1 + e).
    small = xp.abs(gap)
    xp.negative(small, out=small)
    xp.exp(small, out=small)
    values = xp.log1p(small)
    values += xp.maximum(gap, 0)
    slopes = xp.where(gap >= 0, 1, small)
    small += 1
    slopes /= small
    return values, slopes


def triplet_gradients(
    triplets: Triplets,
    embeddings: Sequence[Array],
    gradients: Sequence[Optional[Array]],
    factor: Union[float, Array] = 1.0,
    distance: str = "squared",
) -> None:
    """Writes the gradients by anchor, positive and negative, each triplet's times its `factor`.

    embeddings: the three that `triplet_loss` had, (N, D) each.
    gradients: for each an array to write into, or None where none is wanted.
    factor: one for all, or (N,).
    The gradient of the euclidean distance is 0 where the distance is 0. A triplet of factor or slope 0 has
    gradient 0.
    """
    xp = array_module(embeddings[0])
    anchor, positive, negative = embeddings
    by_anchor, by_positive, by_negative = gradients
    slopes = triplets.slopes * factor
    for rows in row_blocks(anchor, _BLOCK):
        from_positive = _distance_gradient(anchor[rows], positive[rows], triplets.d_ap[rows], slopes[rows], distance)
        from_negative = _distance_gradient(anchor[rows], negative[rows], triplets.d_an[rows], slopes[rows], distance)
        if by_anchor is not None:
            xp.subtract(from_positive, from_negative, out=by_anchor[rows])
        if by_positive is not None:
            xp.negative(from_positive, out=by_positive[rows])
        if by_negative is not None:
            by_negative[rows] = from_negative


def _distance_gradient(anchor: Array, other: Array, lengths: Array, slopes: Array, distance: str) -> Array:
    """slope * d distance / d anchor, (N, D)."""
    xp = array_module(anchor)
    each = 2 * slopes if distance == "squared" else slopes / xp.where(lengths > 0, lengths, 1)
    gradient = anchor - other
    gradient *= each[:, None]
    gradient[each == 0] = 0  # 0 times NaN is NaN
    return gradient


def triplet_stats(triplets: Triplets, *embeddings: Array) -> Tuple[float, float, float, float]:
    """What to watch while training: (fraction active, mean d_ap, mean d_an, mean norm of the embeddings).

    A triplet is active where its slope is at least a half: where the hinge is above 0, and where softplus has
    d_ap >= d_an. All are NaN where there is no triplet.
    """
    if not len(triplets.d_ap):
        return (math.nan,) * 4
    return (
        float((triplets.slopes >= 0.5).mean()),
        float(triplets.d_ap.mean()),
        float(triplets.d_an.mean()),
        sum(map(mean_norm, embeddings)) / len(embeddings),
    )


def mean_norm(embedding: Array) -> float:
    """The mean of the norms of embeddings (N, D); NaN if there are none."""
    xp = array_module(embedding)
    return float(xp.sqrt(xp.einsum("nd,nd->n", embedding, embedding)).mean()) if len(embedding) else math.nan
