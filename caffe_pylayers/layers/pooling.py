"""Layers that pool maps, or windows over any axes."""

import math
from typing import List, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.blob_limits import LARGEST_LABEL
from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.features.pooling import (
    Step,
    Window,
    max_along,
    max_gradient_along,
    mean_along,
    mean_gradient_along,
    places_of,
    steps_of,
    tap_type,
)
from caffe_pylayers.features.roi_pooling import Bins, bins_of, roi_gradient, roi_maxima
from caffe_pylayers.layers.adapter import Blobs, Layer, log
from caffe_pylayers.losses.blocks import Buffer
from caffe_pylayers.losses.reduction import Array


def check_places(layer: Layer, count: int, remedy: str) -> None:
    """Raises ConfigError where a mask cannot tell so many places apart."""
    if count > LARGEST_LABEL:
        raise ConfigError(
            f"a mask has the number of one of {count} places, but a Caffe blob holds every integer only up to {LARGEST_LABEL}",
            remedy=f"{remedy}, or take smaller maps",
            layer=layer.name,
        )


class PoolingND(Layer):
    """The largest number or the mean of each window over all axes after `axis`, as stock Pooling does it over two.

    bottoms: x, float32 with at least one axis after the axis `axis`.
    tops: y, x with ceil((size + 2 pad - window) / stride) + 1 numbers along each pooled axis, or one less where the last window
        would begin behind x and its padding; mask, of the shape of y: where each maximum is, counted from 0 in row order
        over the pooled axes of x.
    errors: ConfigError for an axis that is not there, options that do not fit the number of axes, a padding that is not
        below the window, and a window that is larger than x with its padding.
    Of several largest numbers the first in row order counts. A mean is divided as in stock Caffe: by the part of the window
    that lies in x and its padding.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._steps: List[Step] = []
        #: Which element of each window is the largest, step by step, from the first forward on.
        self._taps: Optional[List[Array]] = None

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = tuple(bottom[0].shape)
        windows = self._windows(shape)
        first = len(shape) - len(windows)
        pooled = tuple(window.pooled(size) for window, size in zip(windows, shape[first:]))
        for window, size, count in zip(windows, shape[first:], pooled):
            if count < 1:
                raise ConfigError(
                    f"a window of {window.kernel} is larger than an axis of {size} with a padding of {window.pad}",
                    remedy="lower 'kernel_size', or give more 'pad'",
                    layer=self.name,
                )
        for i in range(len(top)):
            self.give_shape(top[i], shape[:first] + pooled, "'pad'")
        if len(top) > 1:
            check_places(self, math.prod(shape[first:]), "remove the second top")
        steps = steps_of(shape, windows)
        if steps != self._steps:
            self._steps, self._taps = steps, None

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            self._taps = self._pool(bottom, self.data(top[0]))
            if len(top) > 1:
                self.data(top[1])[...] = places_of(self._steps, self._taps).reshape(tuple(top[1].shape))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        with self.on_device(bottom[0]) if self._taps is None else self.device.of(bottom[0]):
            if self._taps is None:
                self._taps = self._pool(bottom, self.buffer("y", tuple(top[0].shape)))
            slope = self.diff(top[0])
            for number, step in reversed(list(enumerate(self._steps))):
                shape, buffer = (step.before, step.size, step.after), self._buffer_of(number)
                gradient = buffer("gradient", shape, np.float32) if number else self.diff(bottom[0]).reshape(shape)
                slope = slope.reshape(step.before, step.pooled, step.after)
                if self.options.pool == "MAX":
                    max_gradient_along(slope, step.window, self._taps[number], gradient, buffer)
                else:
                    mean_gradient_along(slope, step.window, gradient, buffer)
                slope = gradient

    def _pool(self, bottom: Blobs, y: Array) -> List[Array]:
        """Write the pooled numbers into y; returns the elements of the maxima, step by step."""
        x, found = self.read(bottom[0]), []
        for number, step in enumerate(self._steps):
            shape, buffer = (step.before, step.pooled, step.after), self._buffer_of(number)
            last = number == len(self._steps) - 1
            out = y.reshape(shape) if last else buffer("pooled", shape, np.float32)
            x = x.reshape(step.before, step.size, step.after)
            if self.options.pool == "MAX":
                found.append(buffer("taps", shape, tap_type(step.window)))
                max_along(x, step.window, out, found[-1], buffer)
            else:
                mean_along(x, step.window, out)
            x = out
        return found

    def _buffer_of(self, step: int) -> Buffer:
        """What makes the arrays of a step, which are of other sizes than those of another."""
        return lambda name, shape, dtype: self.buffer(f"{name} {step}", shape, dtype)

    def _windows(self, shape: Tuple[int, ...]) -> List[Window]:
        """The window along each pooled axis."""
        axis = self.options.axis
        count = len(shape) - 1 - (axis % len(shape) if shape else 0)
        if not -len(shape) <= axis < len(shape) or not count:
            raise ConfigError(
                f"option 'axis' is {axis}, but x of shape {shape} has no axis after it",
                remedy="name the axis of the channels, which the axes to pool follow",
                layer=self.name,
                option="axis",
            )
        if self.options.global_pooling:
            return [Window(max(size, 1)) for size in shape[-count:]]
        each = []
        for name, short, default in (
            ("kernel_size", "kernel", 1),
            ("stride", "stride", 1),
            ("pad", "pad", 0),
            ("kstride", "kstride", 1),
        ):
            numbers = self.options.per_axis(name, short, default)
            if len(numbers) not in (1, count):
                raise ConfigError(
                    f"option {name!r} has {len(numbers)} numbers, but x of shape {shape} has {count} {'axis' if count == 1 else 'axes'} after axis {axis}",
                    remedy="give one number" if count == 1 else f"give one number, or {count}",
                    layer=self.name,
                    option=name,
                )
            each.append(numbers * count if len(numbers) == 1 else numbers)
        windows = [Window(*numbers) for numbers in zip(*each)]
        for window in windows:
            if window.pad >= window.kernel or (window.pad and window.kstride > 1):
                raise ConfigError(
                    f"a padding of {window.pad} with a window of {window.kernel} and 'kstride' {window.kstride}",
                    remedy="give a 'pad' below the window, and none where 'kstride' is above 1",
                    layer=self.name,
                    option="pad",
                )
        return windows


class ROIPooling(Layer):
    """The largest number of each bin of each region, as in Fast R-CNN (Girshick 2015).

    bottoms: x, float32 (N, C, H, W); rois, (R, 5), each (number of the image, x1, y1, x2, y2), the corners in pixels of the image.
    tops: y, (R, C, pooled_h, pooled_w); 0 for a bin that lies outside of x.
    errors: ConfigError for other shapes; DataError for the number of an image that is not there, and for corners that are not finite.
    Corners times `spatial_scale` are rounded, halves away from zero. A region has at least one row and one column, both corners
    included. A bin reaches from floor to ceil, so bins share rows and columns. The gradient goes to the largest number of each
    bin, of several to the first in row order. The regions get none.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._bins: Optional[Bins] = None  # of the last forward
        self._looked_outside = False
        self._places: Optional[Array] = None  # of its maxima, where it was one of TRAIN

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x, rois = tuple(bottom[0].shape), tuple(bottom[1].shape)
        if len(x) != 4:
            raise ConfigError(f"x has shape {x}", remedy="expected (images, channels, height, width)", layer=self.name)
        if not rois or math.prod(rois) != 5 * rois[0]:
            remedy = "expected five numbers per region: (regions, 5)"
            raise ConfigError(f"rois has shape {rois}", remedy=remedy, layer=self.name)
        pooled = self.options.pooled_h, self.options.pooled_w
        self.give_shape(top[0], (rois[0], x[1], *pooled), "'pooled_h' and 'pooled_w'")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            bins = self._look(bottom)
            self._places = self._find(bottom, bins, self.data(top[0]), self.training)
            if not self._looked_outside:
                self._tell_outside(bins)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        with self.on_device(bottom[0]) if self._bins is None else self.device.of(bottom[0]):
            if propagate_down[0]:
                bins = self._bins or self._look(bottom)
                if self._places is None:
                    self._places = self._find(bottom, bins, self.buffer("y", tuple(top[0].shape)), True)
                roi_gradient(self.diff(top[0]), bins, self._places, self.diff(bottom[0]))
            if propagate_down[1]:
                self.diff(bottom[1])[...] = 0

    def _look(self, bottom: Blobs) -> Bins:
        """Read the regions as they are now; where they are wrong nothing of an earlier batch is left."""
        self._bins = self._places = None
        rois = self.read(bottom[1]).reshape(-1, 5)
        self._check(rois, bottom[0].shape[0])
        pooled = self.options.pooled_h, self.options.pooled_w
        self._bins = bins_of(rois, self.options.spatial_scale, pooled, tuple(bottom[0].shape)[2:])
        return self._bins

    def _find(self, bottom: Blobs, bins: Bins, y: Array, wanted: bool) -> Optional[Array]:
        """Write the maxima into y, and return where they are, if that is wanted."""
        places = self.buffer("places", tuple(y.shape), np.int32) if wanted else None
        roi_maxima(self.read(bottom[0]), bins, y, places, self.buffer)
        return places

    def _tell_outside(self, bins: Bins) -> None:
        """Say of the first batch if most of its regions lie outside of x, as they do with a wrong scale: y is 0 there."""
        self._looked_outside = True
        outside = int(self.xp.count_nonzero(bins.empty.all(axis=(1, 2))))
        if 2 * outside > len(bins.empty):
            log.warning(
                "%s: %d of %d regions lie outside of x, so y is 0 for them; 'spatial_scale' is %g, and must be 1 divided by the "
                "product of the strides before x",
                self.name,
                outside,
                len(bins.empty),
                self.options.spatial_scale,
            )

    def _check(self, rois: Array, images: int) -> None:
        xp, numbers = self.xp, rois[:, 0]
        right = (numbers >= 0) & (numbers < images) & (xp.floor(numbers) == numbers)
        right &= xp.isfinite(rois).all(axis=1)
        if int(xp.count_nonzero(right)) == len(rois):
            return
        at = int(xp.argmin(right))
        number, *corners = (float(each) for each in rois[at])
        if not all(math.isfinite(each) for each in corners):
            raise DataError(
                f"roi {at} has corners {corners}, which are not finite",
                remedy="look at the layer that makes the regions; if the loss is NaN too, lower the learning rate",
                layer=self.name,
            )
        rule = f"must be an integer from 0 to {images - 1}" if images else "has no image, because x has none"
        raise DataError(
            f"roi {at} is of image {number:g}, which {rule}",
            remedy="count the images from 0 in each batch, and feed x and rois of the same images; a region is: number of the image, "
            "x1, y1, x2, y2",
            layer=self.name,
        )
