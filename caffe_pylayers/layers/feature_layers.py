"""Layers on features that stock Caffe lacks."""

from typing import Optional, Sequence

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.features.l2_normalize import unit_vectors, unit_vectors_gradient
from caffe_pylayers.layers.adapter import Blobs, Layer
from caffe_pylayers.losses.reduction import Array


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
        self._num_axes = num_axes = len(bottom[0].shape)
        axis = self.options.axis
        if not -num_axes <= axis < num_axes:
            raise ConfigError(f"axis {axis} is not an axis of x of shape {bottom[0].data.shape}", layer=self.name)
        self._axis = axis % num_axes
        self._axes = tuple(range(self._axis, num_axes)) if self.options.across_spatial else (self._axis,)
        self._unit: Optional[Array] = None  # x / norm, from the first forward on
        if self.options.scale is not None:
            self.blobs.add_blob(bottom[0].shape[self._axis])
            self.blobs[0].data[...] = self.options.scale

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            unit = self._normalized(self.data(bottom[0]))
            if self.options.scale is None:
                self.data(top[0])[...] = unit
            else:
                self.xp.multiply(unit, self._factors(), out=self.data(top[0]))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        with self.on_device(bottom[0]) if self._unit is None else self.device.of(bottom[0]):
            unit = self._normalized(self.data(bottom[0])) if self._unit is None else self._unit
            slope = self.diff(top[0])
            scratch = self.buffer("scratch", unit.shape)
            if self.options.scale is not None:
                others = tuple(i for i in range(slope.ndim) if i != self._axis)
                factors = self.diff(self.blobs[0])
                factors += self.xp.multiply(slope, unit, out=scratch).sum(axis=others)
            if propagate_down[0]:
                gradient = self.diff(bottom[0])
                if self.options.scale is not None:
                    slope = self.xp.multiply(slope, self._factors(), out=gradient)
                unit_vectors_gradient(slope, unit, self._inverse, self._axes, scratch, gradient)

    def _normalized(self, x: Array) -> Array:
        """x / norm, kept for backward, as BatchNorm does: in place x is overwritten, and a layer behind may overwrite y."""
        self._unit, self._inverse = unit_vectors(x, self._axes, self.options.eps, self.buffer("unit", x.shape))
        return self._unit

    def _factors(self) -> Array:
        """The learnable factors, shaped to multiply x."""
        factors = self.data(self.blobs[0])
        return factors.reshape(*(-1 if i == self._axis else 1 for i in range(self._num_axes)))
