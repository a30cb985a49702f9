"""Layers that change the size of maps."""

import math
from typing import Optional, Sequence, Tuple

from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.features.interpolation import interpolate, interpolation_gradient, interpolation_matrix
from caffe_pylayers.features.unpooling import flat_places, unpool, unpool_gradient
from caffe_pylayers.layers.adapter import Blobs, Layer, place
from caffe_pylayers.layers.pooling import check_places
from caffe_pylayers.losses.reduction import Array


class Interp(Layer):
    """Maps of another size by bilinear interpolation with the corners aligned, as in DeepLab and PSPNet.

    bottoms: x, float32 (N, C, H, W); like, a blob whose height and width y gets, where no option gives them.
    tops: y, (N, C, height, width).
    errors: ConfigError for other shapes, and where nothing is left between `pad_beg` and `pad_end`.
    A number that is infinite or NaN spreads over its row and its column.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if self.options.sized() == (len(bottom) > 1):
            found = "two give" if self.options.sized() else "nothing gives"
            raise ConfigError(
                f"{found} the size of y: options and a second bottom",
                remedy="give 'zoom_factor', 'shrink_factor' or both, or 'height' and 'width', or a second bottom of that size",
                layer=self.name,
            )
        self._sizes: Tuple[Tuple[int, ...], ...] = ()
        self._matrices: Sequence[Array] = ()  # of the rows and of the columns, from the first pass on

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shapes = [tuple(bottom[i].shape) for i in range(len(bottom))]
        for name, shape in zip(self.bottom_names, shapes):
            if len(shape) != 4:
                remedy = "expected (images, channels, height, width)"
                raise ConfigError(f"{name} has shape {shape}", remedy=remedy, layer=self.name)
        begin, end = -self.options.pad_beg, -self.options.pad_end
        cut = tuple(size - begin - end for size in shapes[0][2:])
        if min(cut) < 1:
            raise ConfigError(
                f"nothing is left of maps of {shapes[0][2:]} without {begin} rows and columns at the beginning and {end} at the end",
                remedy="raise 'pad_beg' or 'pad_end'",
                layer=self.name,
            )
        wanted = shapes[1][2:] if len(shapes) > 1 else tuple(self.options.wanted(cut))
        names = "'height' and 'width'" if self.options.given("height") else "'zoom_factor'"
        self.give_shape(top[0], (*shapes[0][:2], *wanted), names)
        sizes = tuple(zip(shapes[0][2:], (begin, begin), cut, wanted))
        if sizes != self._sizes:
            self._sizes, self._matrices = sizes, ()

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            rows, columns = self._make_matrices()
            interpolate(self.read(bottom[0]), rows, columns, self.data(top[0]), self.buffer)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        with self.device.of(bottom[0]) if self._matrices else self.on_device(bottom[0]):
            if propagate_down[0]:
                rows, columns = self._make_matrices()
                interpolation_gradient(self.diff(top[0]), rows, columns, self.diff(bottom[0]), self.buffer)
            for i in range(1, len(bottom)):
                if propagate_down[i]:
                    self.diff(bottom[i])[...] = 0

    def _make_matrices(self) -> Sequence[Array]:
        """The matrices of the rows and of the columns, where this layer computes."""
        if not self._matrices or not isinstance(self._matrices[0], self.xp.ndarray):
            self._matrices = [self.xp.asarray(interpolation_matrix(*each)) for each in self._sizes]
        return self._matrices


class Upsample(Layer):
    """The numbers of x in the places where stock Pooling found its maxima, and 0 elsewhere, as in SegNet.

    bottoms: x, float32 (N, C, h, w); mask, of the same shape, the second top of a layer Pooling with `pool: MAX`.
    tops: y, (N, C, height, width).
    errors: ConfigError for other shapes; DataError for a mask that is not the number of a place in y.
    Where several numbers have one place, which happens where the windows of the pooling overlap, the last in row order counts,
    as in SegNet; each of them gets the gradient of this place.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._places: Optional[Array] = None  # in all maps, of the last forward

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x, mask = (tuple(bottom[i].shape) for i in range(2))
        if len(x) != 4 or x != mask:
            raise ConfigError(
                f"x has shape {x} and mask {mask}",
                remedy="expected (images, channels, height, width) for both, the mask being the second top of a layer Pooling",
                layer=self.name,
            )
        wanted = tuple(self.options.wanted(x[2:]))
        if min(wanted) < 1:
            raise ConfigError(
                f"y would have {wanted[0]} rows and {wanted[1]} columns", remedy=f"x has {x[2:]}", layer=self.name
            )
        check_places(self, math.prod(wanted), "make y smaller")
        self.give_shape(
            top[0], (*x[:2], *wanted), "'upsample_h' and 'upsample_w'" if self.options.upsample_h else "'scale'"
        )

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            self._look(bottom, top)
            unpool(self.read(bottom[0]), self._places, self.data(top[0]))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        with self.on_device(bottom[0]) if self._places is None else self.device.of(bottom[0]):
            if propagate_down[0]:
                if self._places is None:
                    self._look(bottom, top)
                unpool_gradient(self.diff(top[0]), self._places, self.diff(bottom[0]))
            if propagate_down[1]:
                self.diff(bottom[1])[...] = 0

    def _look(self, bottom: Blobs, top: Blobs) -> None:
        """Read the mask as it is now; where it is wrong nothing of an earlier one is left."""
        self._places = None
        mask, size = self.read(bottom[1]), math.prod(tuple(top[0].shape)[2:])
        xp, flat = self.xp, mask.reshape(-1)
        right = xp.floor(flat, out=self.buffer("whole", flat.shape)) == flat
        right &= flat >= 0
        right &= flat < size
        if int(xp.count_nonzero(right)) < flat.size:
            at = int(xp.argmin(right))
            raise DataError(
                f"mask {float(flat[at]):.9g} at {place(mask, at)} is not the number of a place in y, an integer from 0 to {size - 1}",
                remedy="give 'upsample_h' and 'upsample_w', the height and width of what the layer Pooling took",
                layer=self.name,
            )
        self._places = flat_places(mask, size, self.buffer)
