"""Layers on features that stock Caffe lacks."""

from typing import ClassVar, Optional, Sequence

from caffe_pylayers.config.fillers import WeightFiller
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.features.l2_normalize import unit_vectors, unit_vectors_gradient
from caffe_pylayers.layers.adapter import Blobs, Layer
from caffe_pylayers.layers.fillers import fill
from caffe_pylayers.losses.reduction import Array


class _Normalized(Layer):
    """x / norm, times learned factors where there are any: the one blob.

    A subclass calls `normalize_along` at the end of `setup`, and makes the blob.
    """

    flat_at_zero: ClassVar[bool] = True  # whether the gradient of a zero vector is 0, and not 1 / sqrt(eps)

    def normalize_along(self, axes: Sequence[int], factors: Optional[Sequence[int]]) -> None:
        """axes: what a norm is the sum over. factors: the shape that they have beside x; None: there are none."""
        self._axes = axes
        self._factors_shape = factors
        self._unit: Optional[Array] = None  # x / norm, from the first forward on

    def check_channels(self, shape: Sequence[int], axis: int) -> None:
        """Raises ConfigError where there is no channel to learn a factor for."""
        if not shape[axis]:
            found = f"x of shape {shape} has no channels along axis {axis}"
            raise ConfigError(found, remedy="look at the layer that makes x", layer=self.name)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            unit = self._normalized(self.read(bottom[0]))
            if self._factors_shape is None:
                self.data(top[0])[...] = unit
            else:
                self.xp.multiply(unit, self._factors(), out=self.data(top[0]))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        with self.on_device(bottom[0]) if self._unit is None else self.device.of(bottom[0]):
            unit = self._normalized(self.read(bottom[0])) if self._unit is None else self._unit
            slope = self.diff(top[0])
            scratch = self.buffer("scratch", unit.shape)
            if self._factors_shape is not None:
                others = tuple(i for i, size in enumerate(self._factors_shape) if size == 1)
                factors = self.diff(self.blobs[0])
                factors += self.xp.multiply(slope, unit, out=scratch).sum(axis=others)
            if propagate_down[0]:
                gradient = self.diff(bottom[0])
                if self._factors_shape is not None:
                    slope = self.xp.multiply(slope, self._factors(), out=gradient)
                unit_vectors_gradient(slope, unit, self._inverse, self._axes, scratch, gradient)

    def _normalized(self, x: Array) -> Array:
        """x / norm, kept for backward, as BatchNorm does: in place x is overwritten, and a layer behind may overwrite y."""
        out = self.buffer("unit", x.shape)
        self._unit, self._inverse = unit_vectors(x, self._axes, self.options.eps, out, self.flat_at_zero)
        return self._unit

    def _factors(self) -> Array:
        """The learned factors, shaped to multiply x."""
        return self.data(self.blobs[0]).reshape(self._factors_shape)


class L2Normalize(_Normalized):
    """y = scale * x / sqrt(sum of x^2 + eps), along `axis`, or along it and all after it with `across_spatial`.

    bottoms: x, float32 of any shape that has the axis.
    tops: y, of the same shape. Works in place. A zero vector gives 0, and gradient 0.
    errors: ConfigError for an axis that is not there.
    The option `scale` makes a learnable factor for each index along `axis`, which starts at that value (ParseNet, Liu et al.
    2015); it is the layer's parameter blob, (C,). Without it the factor is 1.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        shape, axis = tuple(bottom[0].shape), self.options.axis
        if not -len(shape) <= axis < len(shape):
            raise ConfigError(f"axis {axis} is not an axis of x of shape {shape}", layer=self.name)
        axis %= len(shape)
        factors = None
        if self.options.scale is not None:
            factors = _one_axis(axis, len(shape))
            self.check_channels(shape, axis)
            self.blobs.add_blob(shape[axis])
            self.blobs[0].data[...] = self.options.scale
        self.normalize_along(tuple(range(axis, len(shape))) if self.options.across_spatial else (axis,), factors)


class Normalize(_Normalized):
    """SSD's y = scale * x / sqrt(sum of x^2 + eps) over a sample, or over its channels without `across_spatial` (Liu et al. 2016).

    bottoms: x, float32 (N, C, ...).
    tops: y, of the same shape. Works in place. A zero vector gives 0, and the gradient of the formula, scale / sqrt(eps).
    errors: ConfigError for an x without channels.
    The scale is learned. It is the layer's parameter blob: one number, of shape (), or with `channel_shared: false` (C,).
    `scale_filler` says what it begins with. The weights of a net of SSD are loaded by the layer's name.
    """

    flat_at_zero = False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        options, shape = self.options, tuple(bottom[0].shape)
        if len(shape) < 2:
            raise ConfigError(f"x has shape {shape}", remedy="expected (N, C, ...)", layer=self.name)
        self.check_channels(shape, 1)
        self.blobs.add_blob(*(() if options.channel_shared else shape[1:2]))
        fill(self.blobs[0], options.scale_filler or WeightFiller(value=1.0))
        factors = [1] * len(shape) if options.channel_shared else _one_axis(1, len(shape))
        self.normalize_along(tuple(range(1, len(shape))) if options.across_spatial else (1,), factors)


def _one_axis(axis: int, num_axes: int) -> Sequence[int]:
    """The shape of one number for each index along an axis."""
    return [-1 if i == axis else 1 for i in range(num_axes)]
