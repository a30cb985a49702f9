"""Vectors divided by their Euclidean norm (ParseNet, Liu et al. 2015)."""

from typing import Sequence, Tuple, Union

import numpy as np

from caffe_pylayers.losses.reduction import Array, array_module


def unit_vectors(
    x: Array, axes: Sequence[int], eps: Union[float, Array], out: Array, flat_at_zero: bool = True
) -> Tuple[Array, Array]:
    """Return x / norm, in `out`, and 1 / norm: norm = sqrt(sum of x^2 over `axes` + eps).

    Both are 0 for a zero vector, and so is its gradient. Without `flat_at_zero` its 1 / norm is 1 / sqrt(eps).
    """
    xp = array_module(x)
    with np.errstate(over="ignore"):
        squares = xp.square(x, out=out).sum(axis=axes, keepdims=True)
    far = xp.isinf(squares)
    if bool(far.any()):  # squares from 1.8e19 on are beyond float32, the vectors are not
        peak = xp.where(far, xp.abs(x).max(axis=axes, keepdims=True), 1)
        with np.errstate(invalid="ignore"):  # of infinite numbers
            within = x / peak
        unit, inverse = unit_vectors(within, axes, eps / peak / peak, out, flat_at_zero)
        return unit, inverse / peak
    squared_norms = xp.where(squares > 0, squares + eps, xp.inf) if flat_at_zero else squares + eps
    inverse = 1 / xp.sqrt(squared_norms)
    return xp.multiply(x, inverse, out=out), inverse


def unit_vectors_gradient(
    slope: Array, unit: Array, inverse: Array, axes: Sequence[int], scratch: Array, out: Array
) -> None:
    """Write the gradient by x into `out`, which may be `slope`: that by the unit vectors. `scratch` is overwritten."""
    xp = array_module(unit)
    along = xp.multiply(slope, unit, out=scratch).sum(axis=axes, keepdims=True)
    xp.subtract(slope, xp.multiply(along, unit, out=scratch), out=out)
    xp.multiply(out, inverse, out=out)
