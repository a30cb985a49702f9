"""Vectors divided by their norm: SSD's Normalize, or stock layers."""

from typing import Optional

import numpy as np

from caffe_pylayers.caffe_files.prototxt import Word
from caffe_pylayers.commands.deploy.making import Making


def normalize(
    making: Making, axis: int, across: bool, eps: float, factors: Optional[np.ndarray] = None, shared: bool = False
) -> None:
    """x / sqrt(sum of x^2 + eps), along an axis, or along it and all behind it, times learned factors: one per index of the axis, or one."""
    x, y = making.x, making.y
    if factors is None:
        unit(making, x, y, axis, across, eps)
    elif not making.stock and (shared or not across):
        by_ssd(making, x, y, axis, across, eps, factors, shared)
    elif shared:
        making.add("Power", [unit(making, x, "", axis, across, eps)], y, power_param={"scale": float(factors[0])})
    else:  # OpenCV takes one factor for all, where the norm is over all
        making.add("Scale", [unit(making, x, "", axis, across, eps)], y, [factors], scale_param={"axis": axis})


def unit(making: Making, x: str, top: str, axis: int, across: bool, eps: float) -> str:
    """x / sqrt(sum of x^2 + eps). Returns the name of the top."""
    if making.stock:
        return unit_by_stock(making, x, axis, across, eps, top)
    ones = np.ones(1 if across else making.shape(why="its blob of ones")[:1], np.float32)
    return by_ssd(making, x, top, axis, across, eps, ones, across)


def by_ssd(
    making: Making, x: str, top: str, axis: int, across: bool, eps: float, factors: np.ndarray, shared: bool
) -> str:
    """SSD's Normalize, with the factors that it learns."""
    if axis != 1:
        making.refuse(f"a norm along axis {axis}")
    param = {"across_spatial": across, "channel_shared": shared, "eps": eps}
    return making.add("Normalize", [x], top, [factors], known=making.shapes[0], norm_param=param)


def unit_by_stock(making: Making, x: str, axis: int, across: bool, eps: float, top: str = "") -> str:
    """The same by stock layers: the norm of all that is behind an axis, or an LRN whose window is all channels."""
    if axis and across:
        return _by_reduction(making, x, axis, eps, top)
    shape = making.shape(why="the norm")
    if axis == len(shape):
        return _by_reduction(making, x, axis, eps, top)
    if axis != 1:
        making.refuse(f"a norm along axis {axis} of {len(shape) + 1}")
    if len(shape) == 3:
        return _by_lrn(making, x, shape[0], eps, top)
    maps = making.add("Reshape", [x], reshape_param={"shape": {"dim": [0, 0, -1, 1]}})
    normalized = _by_lrn(making, maps, shape[0], eps, "")
    return making.add("Reshape", [normalized], top, reshape_param={"shape": {"dim": [0, *shape]}})


def _by_reduction(making: Making, x: str, axis: int, eps: float, top: str) -> str:
    squares = making.add("Reduction", [x], reduction_param={"operation": Word("SUMSQ"), "axis": axis})
    factor = making.add("Power", [squares], power_param={"power": -0.5, "shift": eps})
    return making.add("Scale", [x, factor], top, scale_param={"axis": 0})


def _by_lrn(making: Making, x: str, channels: int, eps: float, top: str) -> str:
    """x / (k + alpha / size * sum of x^2 over a window of `size` channels) ^ beta."""
    size = 2 * channels - 1
    param = {"local_size": size, "alpha": float(size), "beta": 0.5, "k": eps}
    return making.add("LRN", [x], top, lrn_param=param)
