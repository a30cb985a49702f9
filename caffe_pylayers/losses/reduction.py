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
from typing import Any, Optional, Sequence, Union, cast

import numpy as np

Array = Any  # of NumPy or CuPy


def array_module(array: Array) -> Any:
    """The library that `array` is of: numpy, or cupy."""
    if isinstance(array, np.ndarray):
        return np
    return importlib.import_module(type(array).__module__.split(".")[0])


class Reduction:
    """Weights and normalisation of one batch, which hold before any value is known.

    shape: of the terms, the outer index first: (N,), or (N, H, W) for a label a pixel.
    weights: of that shape, finite and not negative; none means 1 each.
    ignored: bool of that shape; True takes a term out of the sum, and out of Z under VALID.
    normalization: FULL, VALID, BATCH_SIZE or NONE.
    normalize_by: "weight", or "count", which puts 1 for each weight into Z.

    `factor`, of the terms' shape or one float for all, is dL/dl_e = w_e / Z, and 0 for an ignored term or
    where Z is 0. It depends on no value, so a loss can write its gradient while it computes the values.
    """

    def __init__(
        self,
        shape: Sequence[int],
        weights: Optional[Array] = None,
        ignored: Optional[Array] = None,
        normalization: str = "VALID",
        normalize_by: str = "weight",
    ) -> None:
        num_terms = 1
        for size in shape:
            num_terms *= size
        by_weight = normalize_by == "weight" and weights is not None
        whole = weights
        if normalization == "VALID" and ignored is not None:
            num_terms -= int(ignored.sum())
            if by_weight:
                whole = array_module(ignored).where(ignored, 0, weights)
        total = float(whole.sum(dtype=np.float64)) if by_weight else float(num_terms)  # type: ignore[union-attr]
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
        self._ignored = ignored
        self._ignored_in_normalizer = normalization != "VALID"
        self.factor: Union[float, Array] = self._inverse
        if weights is not None:
            self.factor = weights * self._inverse
        if ignored is not None:
            self.factor = array_module(ignored).where(ignored, 0, self.factor)

    def loss(self, values: Array) -> float:
        """The loss, of `values` (the terms' shape). A term of factor 0 is not there, be its value NaN."""
        if isinstance(self.factor, float):
            return self.factor * float(values.sum(dtype=np.float64)) if self.factor else 0.0
        counted = array_module(values).where(self.factor != 0, values, 0)
        return float((counted * self.factor).sum(dtype=np.float64))

    def weight_gradient(self, values: Array, loss: float) -> Array:
        """dL/dw_e = (l_e - L dZ/dw_e) / Z, of the shape of `values`; l_e counts as 0 for an ignored term."""
        if self._ignored is None:
            return (values - loss * self._slope) * self._inverse
        where = array_module(values).where
        of_ignored = -loss * self._slope if self._ignored_in_normalizer else 0.0
        return cast(Array, where(self._ignored, of_ignored, values - loss * self._slope) * self._inverse)
