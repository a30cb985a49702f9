"""Several vectors per class, of which the near ones count more (SoftTriple, Qian et al. 2019)."""

from typing import NamedTuple, Optional, Tuple, Union

from caffe_pylayers.embeddings import angles
from caffe_pylayers.embeddings.class_vectors import products, products_gradient
from caffe_pylayers.embeddings.margin_softmax import (
    Softmaxed,
    clear_absent,
    factors_of,
    margin_head,
    softmax_slopes,
    softmaxed,
)
from caffe_pylayers.losses.blocks import Buffer, row_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module

#: Added to the squared distances of vectors of one class, whose root has no derivative at 0.
_EPSILON = 1e-5


class SoftTriple(NamedTuple):
    """What the gradient is made of."""

    softmaxed: Softmaxed
    slopes: Array  #: the derivative of the likeness of a class by each of its cosines, (N, K S)

    @property
    def values(self) -> Array:
        return self.softmaxed.values


def soft_triple(
    x: Array,
    vectors: Array,
    inverse: Array,
    labels: Array,
    sub_centers: int,
    gamma: float,
    scale: float,
    margin: float,
    buffer: Optional[Buffer] = None,
) -> SoftTriple:
    """-log of the softmax at each label of `scale` times the likeness s of x and each class, that of the label less a margin.

    s is the mean of the cosines c of x and the S vectors of a class, weighted by softmax(c / gamma). x: unit vectors, (N, D). vectors: (K S, D), those
    of a class one after the other; inverse: 1 / their lengths. labels: integers, (N,).
    """
    xp, buffer = array_module(x), scratch(buffer, x)
    slopes = buffer("likeness slopes", (len(x), len(vectors)), x.dtype)
    exps = buffer("exps", (len(x), len(vectors) // sub_centers), x.dtype)
    products(x, vectors, inverse, slopes)
    for rows in row_blocks(slopes):
        cosines = slopes[rows].reshape(-1, exps.shape[1], sub_centers)
        share = xp.exp((cosines - cosines.max(axis=2, keepdims=True)) / gamma)
        share /= share.sum(axis=2, keepdims=True)
        likeness = (share * cosines).sum(axis=2)
        exps[rows] = likeness
        cosines -= likeness[:, :, None]
        cosines /= gamma
        cosines += 1
        cosines *= share
    head = margin_head(lambda likeness: angles.subtracted(likeness, margin))
    return SoftTriple(softmaxed(exps, scale, labels, head, scale, buffer=buffer), slopes)


def soft_triple_gradient(
    of: SoftTriple,
    x: Array,
    vectors: Array,
    inverse: Array,
    labels: Array,
    scale: float,
    factor: Union[float, Array],
    x_gradient: Optional[Array],
    vectors_gradient: Optional[Array],
    step: float = 1.0,
    buffer: Optional[Buffer] = None,
) -> None:
    """Write the gradient by x, and add `step` times that by the vectors to what is there. factor: of each value, one or (N,)."""
    xp, buffer = array_module(x), scratch(buffer, x)
    factors = factors_of(of.softmaxed, scale, factor)
    clear_absent(of.softmaxed, factors, x, of.slopes)
    of_classes = softmax_slopes(of.softmaxed, labels, factors)
    sub_centers = len(vectors) // of.softmaxed.exps.shape[1]

    def slopes(block: slice, out: Array) -> None:
        first, end = block.start // sub_centers, -(-block.stop // sub_centers)
        each = xp.empty((len(x), end - first), x.dtype)
        of_classes(slice(first, end), each)
        xp.multiply(each[:, xp.arange(block.start, block.stop) // sub_centers - first], of.slopes[:, block], out=out)

    products_gradient(x, vectors, inverse, slopes, x_gradient, vectors_gradient, buffer, step=step)


def spread(vectors: Array, inverse: Array, sub_centers: int) -> Tuple[float, Array]:
    """The sum over pairs of unit vectors of a class of their distance, over K S (S - 1), and its derivatives by the vectors (K S, D).

    It draws vectors of a class together, so that a class takes no more of them than it needs.
    """
    xp = array_module(vectors)
    unit = (vectors * inverse[:, None]).reshape(-1, sub_centers, vectors.shape[1])
    distances = xp.sqrt(xp.maximum(2 - 2 * xp.einsum("ksd,ktd->kst", unit, unit), 0) + _EPSILON)
    each = 1 / (len(vectors) * max(sub_centers - 1, 1))
    upper = xp.arange(sub_centers)[:, None] < xp.arange(sub_centers)
    slopes = xp.where(upper | upper.T, -1 / distances, 0).astype(vectors.dtype) * each
    by_unit = xp.einsum("kst,ktd->ksd", slopes, unit).reshape(vectors.shape)
    unit = unit.reshape(vectors.shape)
    by_unit -= unit * (by_unit * unit).sum(axis=1, keepdims=True)
    return float(xp.where(upper, distances, 0).sum()) * each, by_unit * inverse[:, None]
