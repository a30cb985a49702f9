"""Several vectors per class, of which the near ones count more (SoftTriple, Qian et al. 2019)."""

from typing import NamedTuple, Optional, Union

import numpy as np

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
from caffe_pylayers.losses.blocks import BLOCK, Buffer, row_blocks, scratch
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
        by_class = slopes[rows].reshape(-1, exps.shape[1], sub_centers)
        cosines = by_class.transpose(
            2, 0, 1
        ).copy()  # (S, rows, K): sums over few neighbours take NumPy ten times as long
        share = cosines - cosines.max(axis=0)
        share /= gamma
        xp.exp(share, out=share)
        share /= share.sum(axis=0)
        exps[rows] = xp.einsum("snk,snk->nk", share, cosines)
        cosines -= exps[rows]
        cosines /= gamma
        cosines += 1
        cosines *= share
        by_class[...] = cosines.transpose(1, 2, 0)
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


def spread(
    vectors: Array, inverse: Array, sub_centers: int, vectors_gradient: Optional[Array] = None, step: float = 1.0
) -> float:
    """The sum over pairs of unit vectors of a class of their distance, over K S (S - 1). It draws vectors of a class together, so that a class takes no
    more of them than it needs.

    vectors: (K S, D), inverse: 1 / their lengths. vectors_gradient: `step` times the derivatives by the vectors are added to it.
    """
    xp, size = array_module(vectors), vectors.shape[1]
    upper = xp.arange(sub_centers)[:, None] < xp.arange(sub_centers)
    each, total = 1 / (len(vectors) * max(sub_centers - 1, 1)), 0.0
    for classes in row_blocks(vectors.reshape(-1, sub_centers * size), BLOCK * size // max(size, sub_centers)):
        block = slice(classes.start * sub_centers, classes.stop * sub_centers)
        unit = (vectors[block] * inverse[block, None]).reshape(-1, sub_centers, size)
        distances = xp.sqrt(xp.maximum(2 - 2 * xp.matmul(unit, unit.transpose(0, 2, 1)), 0) + _EPSILON)
        total += float(xp.where(upper, distances, 0).sum(dtype=np.float64))
        if vectors_gradient is not None:
            slopes = xp.where(upper | upper.T, (-each * step) / distances, 0).astype(vectors.dtype)
            by_unit = xp.matmul(slopes, unit)
            by_unit -= unit * xp.einsum("ksd,ksd->ks", by_unit, unit)[:, :, None]
            vectors_gradient[block] += by_unit.reshape(-1, size) * inverse[block, None]
    return total * each
