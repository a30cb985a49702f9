"""From the terms of a batch to one number: the weights and normalisation of every loss.

A term is what a loss adds up: one label's cross-entropy, one triplet's hinge. All losses of this package
leave their terms to this one rule:

    loss = sum of w_e l_e over the terms e that are not ignored / Z

    FULL        Z = sum of w_e over all terms
    VALID       Z = sum of w_e over the terms that are not ignored
    BATCH_SIZE  Z = (sum of w_e over all terms) / (terms of an outer index)
    NONE        Z = 1

Z is not clamped at 1 as stock Caffe's is: scaling all weights changes nothing (NONE aside), a weight of k
means k copies, and a weight of 0 no copy. Without weights all w_e are 1 and the result is stock Caffe's.
"""

import importlib
import math
from typing import Any, Callable, Optional, Sequence, Union, cast

import numpy as np

Array = Any  # of NumPy or CuPy

_BLOCK = 1 << 16
_ROW = 1 << 6


def array_module(array: Array) -> Any:
    """The library that `array` is of: numpy, or cupy."""
    if isinstance(array, np.ndarray):
        return np
    return importlib.import_module(type(array).__module__.split(".")[0])


class Reduction:
    """Weights and normalisation of one batch, which hold before any value is known.

    shape: of the terms, the outer index first: (N,), or (N, H, W) for a label per pixel.
    weights: of that shape, or (N, 1, ...) for one per sample; finite and not negative; none means 1 each.
    ignored: bool of that shape; True takes a term out of the sum, and out of Z under VALID.
    normalization: FULL, VALID, BATCH_SIZE or NONE.
    normalize_by: "weight", or "count", which puts 1 for each weight into Z.
    counts: of that shape, for values that are sums already: how many terms are in each. Not with `ignored`.
    buffer: makes the arrays that are as large as the terms, (name, shape) -> float array; for reuse.

    `scale`, an array that goes with the weights or one float for all, is w_e / Z, and 0 where Z is 0. `factor` is
    dL/dl_e: the same, but 0 for an ignored term. Both depend on no value, so a loss can write its gradient while it
    computes the values.
    """

    def __init__(
        self,
        shape: Sequence[int],
        weights: Optional[Array] = None,
        ignored: Optional[Array] = None,
        normalization: str = "VALID",
        normalize_by: str = "weight",
        counts: Optional[Array] = None,
        buffer: Optional[Callable[[str, Sequence[int]], Array]] = None,
    ) -> None:
        num_terms = math.prod(shape)
        self._ignored = ignored
        self._counts = counts
        self._ignored_in_normalizer = normalization != "VALID"
        if weights is not None and normalize_by == "weight":
            total = self._sum_of_weights(weights, num_terms)
        elif counts is not None:
            total = float(counts.sum(dtype=np.float64))
        elif ignored is not None and not self._ignored_in_normalizer:
            total = float(num_terms - int(ignored.sum()))
        else:
            total = float(num_terms)
        # What one more unit of weight on a counted term adds to the normaliser.
        slope = 1.0
        if normalization == "BATCH_SIZE":
            slope = shape[0] / num_terms if num_terms else 0.0
            total *= slope
        elif normalization == "NONE":
            total, slope = 1.0, 0.0

        self.normalizer = total
        self._inverse = 1.0 / total if total > 0 else 0.0
        self._slope = slope if normalize_by == "weight" else 0.0
        self.scale: Union[float, Array] = self._inverse if weights is None else weights * self._inverse
        self.factor = self.scale
        if ignored is not None:
            out = None if buffer is None else buffer("factor", ignored.shape)
            self.factor = array_module(ignored).multiply(~ignored, self.scale, out=out)

    def loss(self, values: Array) -> float:
        """The loss, of `values` (the terms' shape), in which the ignored are set to 0.

        A term of factor 0 is not there, be its value NaN.
        """
        self._clear(values)
        if isinstance(self.scale, float):
            return self.scale * total(values) if self.scale else 0.0
        with np.errstate(invalid="ignore"):
            loss = _dot(values, self.scale)
        if not math.isfinite(loss):
            loss = _dot(array_module(values).where(self.scale != 0, values, 0), self.scale)
        return loss

    def weight_gradient(self, values: Array, loss: float, size: Optional[int] = None) -> Array:
        """dL/dw_e = (l_e - L dZ/dw_e) / Z, flat; with `size`, added up for that many weights of as many terms each.

        An ignored value is set to 0.
        """
        self._clear(values)
        size = size or values.size
        gradient = in_rows(values, size).sum(axis=1)
        numbers: Union[int, Array] = values.size // size if size else 0
        if self._counts is not None:
            numbers = in_rows(self._counts, size).sum(axis=1)
        elif self._ignored is not None and not self._ignored_in_normalizer:
            numbers = numbers - in_rows(self._ignored, size).sum(axis=1)
        return cast(Array, (gradient - loss * self._slope * numbers) * self._inverse)

    def _clear(self, values: Array) -> None:
        if self._ignored is not None:
            values[self._ignored] = 0

    def _sum_of_weights(self, weights: Array, num_terms: int) -> float:
        """The weights of all terms that are in the normaliser, added up."""
        each = num_terms // weights.size if weights.size else 0
        if self._counts is not None:
            return float((weights * self._counts).sum(dtype=np.float64))
        if self._ignored is None or self._ignored_in_normalizer:
            return float(weights.sum(dtype=np.float64)) * each
        there = each - in_rows(self._ignored, weights.size).sum(axis=1)
        return float((weights.reshape(-1) * there).sum(dtype=np.float64))


def total(values: Array) -> float:
    """The sum of values: of rows of 64 in their own type, which loses no digit of float32, and of those sums in float64.

    A product with ones takes a tenth of the time of sum(dtype=float64).
    """
    flat = values.reshape(-1)
    if not isinstance(flat, np.ndarray) or flat.size < _ROW:
        return float(flat.sum(dtype=np.float64))
    rows = flat.size // _ROW
    of_rows = flat[: rows * _ROW].reshape(rows, _ROW).dot(np.ones(_ROW, flat.dtype))
    return float(of_rows.sum(dtype=np.float64)) + float(flat[rows * _ROW :].sum(dtype=np.float64))


def in_rows(array: Array, count: int) -> Array:
    """The array as `count` rows, which may be none."""
    return array.reshape(count, array.size // max(count, 1))


def _dot(values: Array, scale: Array) -> float:
    """The sum of values times scale in float64, where an entry of `scale` may stand for a row of values."""
    xp = array_module(values)
    if scale.size < values.size:
        values, scale = in_rows(values, scale.size).sum(axis=1, dtype=np.float64), scale.reshape(-1)
        return float((values * scale).sum())
    values, scale = values.reshape(-1), scale.reshape(-1)
    total = 0.0
    for start in range(0, values.size, _BLOCK):  # so that the products stay in cache
        part = slice(start, start + _BLOCK)
        total += float(xp.multiply(values[part], scale[part]).sum(dtype=np.float64))
    return total
