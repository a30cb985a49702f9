"""Inner products with an angular margin at the label: L-Softmax (Liu et al. 2016) and SphereFace (Liu et al. 2017)."""

from typing import NamedTuple, Optional

from caffe_pylayers.embeddings.angles import multiplied_angle
from caffe_pylayers.embeddings.class_vectors import lengths
from caffe_pylayers.losses.reduction import Array, array_module


class Entries(NamedTuple):
    """The entries of the labels, (N,) each: p is the product there, and r the length of x times that of the vector."""

    values: Array  #: (r psi + lambda p) / (1 + lambda)
    slopes: Array  #: the derivative by p where r stays: (psi' + lambda) / (1 + lambda)
    rest: Array  #: and the derivative by r where p stays: (psi - c psi') / (1 + lambda), with c = p / r


def label_entries(
    at_label: Array, inverse: Array, m: int, mixed: float = 0.0, ignored: Optional[Array] = None
) -> Entries:
    """The entries of the labels with a margin.

    at_label: the products p there, (N,). inverse: 1 / r, 0 where r is. m: the factor of the angle, 1 to 4. mixed: lambda, how much
    of p is left. ignored: where p stays as it is.
    """
    xp = array_module(at_label)
    cosine = at_label * inverse
    psi, slope = multiplied_angle(cosine, m)
    part = 1 / (1 + mixed)
    entries = Entries(
        part * lengths(inverse) * psi + mixed * part * at_label,
        part * slope + mixed * part,
        part * (psi - cosine * slope),
    )
    if ignored is None:
        return entries
    instead = (at_label, 1, 0)
    return Entries(*(xp.where(ignored, one, other).astype(at_label.dtype) for one, other in zip(instead, entries)))


def entries_of_fork(
    at_label: Array, inverse: Array, m: int, mixed: float = 0.0, ignored: Optional[Array] = None
) -> Entries:
    """The same with the slopes of SphereFace's own layer, for products with unit vectors.

    The multiples of the vector and of x in the gradient of r psi, (psi', (psi - c psi') / r), become a vector of length 1.
    """
    xp = array_module(at_label)
    true, alone = (label_entries(at_label, inverse, m, each, ignored) for each in (mixed, 0.0))
    length = xp.hypot(alone.slopes, alone.rest * inverse)
    part = 1 / ((1 + mixed) * xp.where(length > 0, length, 1))
    if ignored is not None:
        part = xp.where(ignored, 1 / (1 + mixed), part).astype(at_label.dtype)
    return Entries(true.values, alone.slopes * part + mixed / (1 + mixed), alone.rest * part)
