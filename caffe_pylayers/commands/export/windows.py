"""The windows of convolution, deconvolution and pooling: kernel, stride, padding, and what comes out of how much."""

import math
from dataclasses import dataclass
from typing import List, Optional, Tuple

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.prototxt import Message
from caffe_pylayers.errors import ConfigError

#: Types of layers that have windows, and the field that says how they are.
PARAMS = {
    "Convolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "Pooling": "pooling_param",
}

Size = Optional[int]  # None: not known


@dataclass(frozen=True)
class Window:
    """The windows of a layer: numbers along each axis, height and width for images.

    kernel: () for global pooling, whose window is all there is.
    up: of a deconvolution, which has the windows in its top. pooling: of a pooling, whose last window may lie inside only in part
    if it `rounds_up`. begins_inside: whether also without padding no window begins behind the bottom.
    """

    kernel: Tuple[int, ...]
    stride: Tuple[int, ...]
    pad: Tuple[int, ...]
    dilation: Tuple[int, ...]
    up: bool = False
    pooling: bool = False
    rounds_up: bool = False
    begins_inside: bool = False

    def sizes(self, given: Tuple[Size, ...]) -> Tuple[Size, ...]:
        """How many windows there are along each axis of a bottom: the sizes of the top."""
        if not self.kernel:
            return (1,) * len(given)
        return tuple(None if size is None else self._size(axis, size) for axis, size in enumerate(given))

    def padding(self, given: Tuple[Size, ...]) -> Optional[List[Tuple[int, int]]]:
        """(before, after) along each axis: what to pad the bottom with, so that the windows inside it are this layer's.

        Behind the last window of a pooling that rounds up there is more of it than `pad`. None where sizes are not known.
        """
        if not self.kernel:
            return [(0, 0)] * len(given)
        if not self.pooling:
            return [(pad, pad) for pad in self.pad]
        found = []
        for axis, size in enumerate(given):
            if size is None:
                return None
            end = (self._size(axis, size) - 1) * self.stride[axis] + self._extent(axis)
            found.append((self.pad[axis], max(0, end - size - self.pad[axis])))
        return found

    def _size(self, axis: int, size: int) -> int:
        stride, pad, extent = self.stride[axis], self.pad[axis], self._extent(axis)
        if self.up:
            return stride * (size - 1) + extent - 2 * pad
        if not self.pooling:
            return (size + 2 * pad - extent) // stride + 1
        windows = (math.ceil if self.rounds_up else math.floor)((size + 2 * pad - extent) / stride) + 1
        # With padding along any axis the last window begins inside the bottom or its padding before it.
        most = (size + pad - 1) // stride + 1
        return min(windows, most) if any(self.pad) or self.begins_inside else windows

    def _extent(self, axis: int) -> int:
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1


def window_of(layer: Layer, num_axes: int = 2) -> Window:
    """The windows of a layer of :data:`PARAMS`, whose bottoms have so many axes behind the channels."""
    param = layer.message.message(PARAMS[layer.type])
    pooling = layer.type == "Pooling"
    if pooling and param.flag("global_pooling"):
        return Window((), (), (), (), pooling=True)
    return Window(
        kernel=_numbers(layer, param, ("kernel_size", "kernel_h", "kernel_w"), None, num_axes),
        stride=_numbers(layer, param, ("stride", "stride_h", "stride_w"), 1, num_axes),
        pad=_numbers(layer, param, ("pad", "pad_h", "pad_w"), 0, num_axes),
        dilation=_numbers(layer, param, ("dilation", "", ""), 1, num_axes),
        up=layer.type == "Deconvolution",
        pooling=pooling,
        rounds_up=pooling and str(param.get("round_mode", "CEIL")) in ("CEIL", "0"),
    )


def whole_number(layer: Layer, param: Message, name: str, default: Optional[int] = None) -> int:
    """A field that is an integer. Raises ConfigError where it is none, or missing without a default."""
    value = whole_numbers(layer, param, name)[-1:] or ([] if default is None else [default])
    if not value:
        raise ConfigError(
            f"{name} is missing",
            remedy="an integer is expected",
            source=f"{layer.file}:{param.line_of(name)}: layer {layer.name!r}",
        )
    return value[0]


def whole_numbers(layer: Layer, param: Message, name: str) -> List[int]:
    """The numbers of a repeated field. Raises ConfigError where one is not an integer."""
    values = param.all(name)
    for value in values:
        if not isinstance(value, int):
            raise ConfigError(
                f"{name} must be an integer, not {value!r}",
                source=f"{layer.file}:{param.line_of(name)}: layer {layer.name!r}",
            )
    return values


def _numbers(
    layer: Layer, param: Message, names: Tuple[str, str, str], default: Optional[int], num_axes: int
) -> Tuple[int, ...]:
    """One number for all axes, one for each, or height and width by name."""
    both, height, width = names
    if height in param or width in param:
        return whole_number(layer, param, height, default), whole_number(layer, param, width, default)
    values = whole_numbers(layer, param, both)
    return tuple(values) if len(values) == num_axes else (whole_number(layer, param, both, default),) * num_axes
