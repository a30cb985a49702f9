"""Inner products of embeddings (N, D) with the vectors of K classes (K, D), of which the lengths may count or not.

N x K numbers are many: 100 MB for 256 embeddings and 100,000 classes. So gradients go through them in blocks of classes.
"""

import math
from typing import Callable, Iterator, Optional, Tuple

import numpy as np

from caffe_pylayers.features.l2_normalize import unit_vectors
from caffe_pylayers.losses.blocks import BLOCK, GPU_BLOCK, Buffer, row_blocks
from caffe_pylayers.losses.reduction import Array, array_module

#: Writes the derivatives by the products of a block of classes into an array (N, classes).
Slopes = Callable[[slice, Array], None]

#: How many blocks of other losses a block of products is. BLAS takes large matrices best: measured at 4096 x 128 with 10,000 classes.
_BLOCKS = 8

#: So many numbers are added up in one go, for each of which some integers are made.
_SUMMED = 1 << 13


def inverse_lengths(vectors: Array) -> Array:
    """1 / length of each row; 0 for a zero vector, so that its products are 0 and have no gradient."""
    xp = array_module(vectors)
    with np.errstate(over="ignore"):
        squares = xp.einsum("kd,kd->k", vectors, vectors)
    if not bool(xp.isfinite(squares).all()):  # beyond float32, but the vectors need not be
        return unit_vectors(vectors, (1,), 0.0, xp.empty(vectors.shape, vectors.dtype))[1].reshape(-1)
    return xp.where(squares > 0, 1 / xp.sqrt(xp.where(squares > 0, squares, 1)), 0).astype(vectors.dtype)


def lengths(inverse: Array) -> Array:
    """The lengths of which these are the inverse."""
    xp = array_module(inverse)
    return xp.where(inverse > 0, 1 / xp.where(inverse > 0, inverse, 1), 0).astype(inverse.dtype)


def products(x: Array, vectors: Array, inverse: Optional[Array], out: Array) -> None:
    """Write x . w into `out` (N, K), times `inverse` (K,) where it is given."""
    array_module(x).matmul(x, vectors.T, out=out)
    if inverse is not None:
        for rows in row_blocks(out):
            out[rows] *= inverse


def products_gradient(
    x: Array,
    vectors: Array,
    inverse: Optional[Array],
    slopes: Slopes,
    x_gradient: Optional[Array],
    vectors_gradient: Optional[Array],
    buffer: Buffer,
    along: Tuple[Optional[Array], Optional[Array]] = (None, None),
    step: float = 1.0,
) -> None:
    """The gradients of `products`: that by x is written, that by the vectors, times `step`, is added to what is there.

    slopes: the derivatives by the products.
    along: multiples of each x and of each vector that are in their gradients besides, (N,) and (K,).
    """
    xp = array_module(x)
    if x_gradient is not None:
        x_gradient[...] = 0
        if along[0] is not None:
            xp.multiply(x, along[0][:, None], out=x_gradient)
    blocks = list(_class_blocks(x, len(vectors)))
    largest = blocks[0].stop
    sizes = {"slopes": len(x) * largest, "vectors part": largest * x.shape[1], "vectors work": largest * x.shape[1]}
    work = {name: buffer(name, (size,), x.dtype) for name, size in sizes.items()}
    for block in blocks:
        w = vectors[block]
        slope = _part(work["slopes"], (len(x), len(w)))
        slopes(block, slope)
        if inverse is not None:
            slope *= inverse[block]
        if x_gradient is not None:
            x_gradient += xp.matmul(slope, w, out=buffer("x part", x.shape, x.dtype))
        if vectors_gradient is not None:
            part = xp.matmul(slope.T, x, out=_part(work["vectors part"], w.shape))
            if inverse is not None:  # a longer vector has the same products
                unit = xp.multiply(w, inverse[block][:, None], out=_part(work["vectors work"], w.shape))
                unit *= xp.einsum("kd,kd->k", part, unit)[:, None]
                part -= unit
            if along[1] is not None:
                part += xp.multiply(w, along[1][block][:, None], out=_part(work["vectors work"], w.shape))
            vectors_gradient[block] += part if step == 1 else xp.multiply(part, step, out=part)


def copies_of(slopes: Array) -> Slopes:
    """The derivatives by the products as they are, (N, K)."""

    def copy(block: slice, out: Array) -> None:
        out[...] = slopes[:, block]

    return copy


def at_labels(labels: Array, block: slice) -> Tuple[Array, Array]:
    """The rows and columns of a block of classes that are at the labels."""
    rows = array_module(labels).flatnonzero((labels >= block.start) & (labels < block.stop))
    return rows, labels[rows] - block.start


def sum_by_class(values: Array, labels: Array, num_classes: int, out: Optional[Array] = None) -> Array:
    """The sums over each class: of numbers (N,) in float64 (num_classes,), or of rows (N, D) in `out` (num_classes, D)."""
    xp = array_module(values)
    if out is None:
        total = xp.zeros(num_classes)
        return xp.bincount(labels, weights=values, minlength=num_classes) if len(values) else total
    size = _SUMMED if isinstance(values, np.ndarray) else GPU_BLOCK
    step = max(1, size // max(len(values), 1))
    for start in range(0, values.shape[1], step):
        part = values[:, start : start + step]
        width = part.shape[1]
        places = (labels[:, None] * width + xp.arange(width)).reshape(-1)
        sums = xp.bincount(places, weights=part.reshape(-1), minlength=num_classes * width)
        out[:, start : start + step] = sums.reshape(num_classes, width)
    return out


def _class_blocks(x: Array, num_classes: int) -> Iterator[slice]:
    """The slices of classes of a block of products, the largest first."""
    size = _BLOCKS * BLOCK if isinstance(x, np.ndarray) else GPU_BLOCK
    step = max(1, size // max(*x.shape, 1))
    return (slice(start, min(start + step, num_classes)) for start in range(0, num_classes, step))


def _part(array: Array, shape: Tuple[int, int]) -> Array:
    """The beginning of a flat array: for the last block, which may be smaller, there is no other memory."""
    return array[: math.prod(shape)].reshape(shape)
