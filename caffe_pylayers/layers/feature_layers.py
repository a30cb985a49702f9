"""Layers on features that stock Caffe lacks."""

from typing import Optional, Sequence

import numpy as np

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.adapter import Blobs, Layer


class L2Normalize(Layer):
    """y = scale * x / sqrt(sum of x^2 + eps), along `axis`, or along it and all after it with `across_spatial`.

    bottoms: x, float32 of any shape that has the axis.
    tops: y, of the same shape. Works in place. A zero vector gives 0, and gradient 0.
    errors: ConfigError for an axis that is not there.
    The option `scale` makes a learnable factor for each index along `axis`, which starts at that value (ParseNet, Liu et al.
    2015); it is the layer's parameter blob, (C,). Without it the factor is 1.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        num_axes = len(bottom[0].shape)
        axis = self.options.axis
        if not -num_axes <= axis < num_axes:
            raise ConfigError(f"axis {axis} is not an axis of x of shape {bottom[0].data.shape}", layer=self.name)
        self._axis = axis % num_axes
        self._axes = tuple(range(self._axis, num_axes)) if self.options.across_spatial else (self._axis,)
        self._unit: Optional[np.ndarray] = None  # x / norm, from the first forward on
        if self.options.scale is not None:
            self.blobs.add_blob(bottom[0].shape[self._axis])
            self.blobs[0].data[...] = self.options.scale

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        unit = self._normalized(bottom[0].data)
        if self.options.scale is None:
            top[0].data[...] = unit
        else:
            np.multiply(unit, self._factors(unit), out=top[0].data)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        gradient = top[0].diff
        unit = self._normalized(bottom[0].data) if self._unit is None else self._unit
        if self.options.scale is not None:
            others = tuple(i for i in range(gradient.ndim) if i != self._axis)
            self.blobs[0].diff[...] += (gradient * unit).sum(axis=others)
            gradient = gradient * self._factors(unit)
        if propagate_down[0]:
            along = (gradient * unit).sum(axis=self._axes, keepdims=True)
            bottom[0].diff[...] = (gradient - along * unit) * self._inverse

    def _normalized(self, x: np.ndarray) -> np.ndarray:
        """x / norm, kept for backward, as BatchNorm does: in place x is overwritten, and a layer behind may overwrite y."""
        self._unit = unit = self.buffer("unit", x.shape)
        squares = np.square(x, out=unit).sum(axis=self._axes, keepdims=True)
        self._inverse = 1 / np.sqrt(np.where(squares > 0, squares + self.options.eps, np.inf))
        return np.multiply(x, self._inverse, out=unit)

    def _factors(self, x: np.ndarray) -> np.ndarray:
        """The learnable factors, shaped to multiply x."""
        shape = [1] * x.ndim
        shape[self._axis] = -1
        return self.blobs[0].data.reshape(shape)
