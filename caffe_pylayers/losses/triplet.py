"""The triplet loss: an anchor shall be nearer to its positive than to its negative, by a margin."""

from typing import Any, NamedTuple, Optional, Tuple, Union

from caffe_pylayers.losses.reduction import Array, array_module


class Triplets(NamedTuple):
    """N triplets, measured: all (N,) but the differences, which are (N, D)."""

    values: Array  #: the terms of the loss
    slopes: Array  #: d value / d (d_ap - d_an): 0 or 1 for the hinge, between them for softplus
    d_ap: Array  #: distances from anchor to positive
    d_an: Array  #: and to negative
    to_positive: Array  #: anchor - positive
    to_negative: Array  #: anchor - negative
    distance: str  #: "squared" or "euclidean"


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
    to_positive, to_negative = anchor - positive, anchor - negative
    d_ap = xp.einsum("nd,nd->n", to_positive, to_positive)
    d_an = xp.einsum("nd,nd->n", to_negative, to_negative)
    if distance == "euclidean":
        d_ap, d_an = xp.sqrt(d_ap), xp.sqrt(d_an)
    gap = d_ap - d_an
    if soft:
        values = xp.logaddexp(0, gap)
        slopes = xp.exp(gap - values)  # sigmoid(z) = exp(z - softplus(z)), which never overflows
    else:
        values = xp.maximum(gap + margin, 0)
        slopes = (values > 0).astype(values.dtype)
    return Triplets(values, slopes, d_ap, d_an, to_positive, to_negative, distance)


def triplet_gradients(
    triplets: Triplets,
    factor: Union[float, Array] = 1.0,
    anchor: Optional[Array] = None,
    positive: Optional[Array] = None,
    negative: Optional[Array] = None,
) -> None:
    """Writes the gradients, each triplet's times its `factor` (one for all, or (N,)), into the (N, D) arrays
    given.

    The gradient of the euclidean distance is 0 where the distance is 0. A triplet of factor or slope 0 has
    gradient 0.
    """
    by_positive = _distance_gradient(triplets.to_positive, triplets.d_ap, triplets, factor)
    by_negative = _distance_gradient(triplets.to_negative, triplets.d_an, triplets, factor)
    if anchor is not None:
        anchor[...] = by_positive - by_negative
    if positive is not None:
        positive[...] = -by_positive
    if negative is not None:
        negative[...] = by_negative


def _distance_gradient(difference: Array, length: Array, triplets: Triplets, factor: Any) -> Array:
    """slope * factor * d distance / d difference, (N, D)."""
    xp = array_module(difference)
    each = triplets.slopes * factor
    if triplets.distance == "squared":
        each = 2 * each
    else:
        each = each / xp.where(length > 0, length, 1)
    return xp.where(each[:, None] != 0, difference * each[:, None], 0)


def triplet_stats(triplets: Triplets, *embeddings: Array) -> Tuple[float, float, float, float]:
    """What to watch while training: (fraction active, mean d_ap, mean d_an, mean norm of the embeddings).

    A triplet is active where its slope is at least a half: where the hinge is above 0, and where softplus has
    d_ap >= d_an.
    """
    xp = array_module(triplets.values)
    norms = [float(xp.sqrt(xp.einsum("nd,nd->n", x, x)).mean()) for x in embeddings]
    return (
        float((triplets.slopes >= 0.5).mean()),
        float(triplets.d_ap.mean()),
        float(triplets.d_an.mean()),
        sum(norms) / len(norms),
    )
