"""Layers that move channels and axes, or multiply channels."""

from typing import Sequence

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.features.axpy import axpy, scale_gradient
from caffe_pylayers.features.order import all_axes, back, shuffle_channels
from caffe_pylayers.layers.adapter import Blobs, Layer
from caffe_pylayers.losses.reduction import Array


class Permute(Layer):
    """x with its axes in another order: axis i of the top is axis `order[i]` of x (SSD, Liu et al. 2016).

    bottoms: x, float32 of any shape.
    tops: y, of the shape of x in that order. Axes that `order` lacks follow, in their order.
    errors: ConfigError for an axis that is not there.
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape, order = tuple(bottom[0].shape), self.options.order
        if max(order) >= len(shape):
            raise ConfigError(
                f"option 'order' has axis {max(order)}, but x has shape {shape}",
                remedy=f"use axes from 0 to {len(shape) - 1}",
                layer=self.name,
                option="order",
            )
        self._order = all_axes(order, len(shape))
        top[0].reshape(*(shape[axis] for axis in self._order))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            self.data(top[0])[...] = self.read(bottom[0]).transpose(self._order)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            with self.on_device(bottom[0]):
                self.diff(bottom[0])[...] = self.diff(top[0]).transpose(back(self._order))


class ShuffleChannel(Layer):
    """The channels of `group` groups mixed: the first of each group, then the second of each, and so on.

    Channel i C/g + j of x is channel j g + i of the top, for g groups of C channels in all (ShuffleNet, Zhang et al. 2018).
    bottoms: x, float32 (N, C, ...).
    tops: y, of the same shape.
    errors: ConfigError for a number of channels that `group` does not divide.
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape, group = tuple(bottom[0].shape), self.options.group
        if len(shape) < 2 or shape[1] % group or not shape[1]:
            channels = f"{shape[1]} channels" if len(shape) > 1 else "no axis of channels"
            raise ConfigError(
                f"x of shape {shape} has {channels}, but 'group' is {group}",
                remedy="use a number of groups that divides the number of channels",
                layer=self.name,
                option="group",
            )
        top[0].reshape(*shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            shuffle_channels(self.read(bottom[0]), self.options.group, self.data(top[0]))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            with self.on_device(bottom[0]):
                slope = self.diff(top[0])
                shuffle_channels(slope, slope.shape[1] // self.options.group, self.diff(bottom[0]))


class Axpy(Layer):
    """scale * x + y, with one factor per sample and channel (SENet, Hu et al. 2018).

    bottoms: scale, float32 (N, C) or (N, C, 1, 1); x, (N, C, ...); y, of the shape of x. All have a gradient.
    tops: sum, of the shape of x.
    errors: ConfigError for shapes that do not fit.
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        scale, x, y = (tuple(bottom[i].shape) for i in range(3))
        if len(x) < 2 or scale[:2] != x[:2] or any(size != 1 for size in scale[2:]):
            raise ConfigError(
                f"scale has shape {scale} and x {x}",
                remedy="expected x of shape (N, C, ...) and scale of (N, C) or (N, C, 1, 1)",
                layer=self.name,
            )
        if x != y:
            raise ConfigError(f"x has shape {x} and y {y}", remedy="expected one shape", layer=self.name)
        top[0].reshape(*x)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            scale, x, y = (self.read(bottom[i]) for i in range(3))
            axpy(_per_channel(scale), _spatial(x), _spatial(y), _spatial(self.data(top[0])))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        with self.on_device(bottom[0]):
            slope = _spatial(self.diff(top[0]))
            if propagate_down[0]:
                _per_channel(self.diff(bottom[0]))[...] = scale_gradient(slope, _spatial(self.read(bottom[1])))
            if propagate_down[1]:
                scale = _per_channel(self.read(bottom[0]))[:, :, None]
                self.xp.multiply(scale, slope, out=_spatial(self.diff(bottom[1])))
            if propagate_down[2]:
                _spatial(self.diff(bottom[2]))[...] = slope


def _per_channel(array: Array) -> Array:
    """An array (N, C, 1, 1) as (N, C)."""
    return array.reshape(array.shape[:2])


def _spatial(array: Array) -> Array:
    """An array (N, C, ...) as (N, C, S)."""
    return array.reshape((*array.shape[:2], -1)) if array.size else array.reshape((*array.shape[:2], 0))
