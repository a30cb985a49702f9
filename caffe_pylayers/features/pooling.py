"""Pooling along one axis after the other: the window of several axes is that of one axis, of the results along the next.

So a window of 3 x 3 x 3 takes 9 steps and not 27. Arrays have three axes here: what comes before the axis, the axis, and what
comes after it.
"""

import math
from typing import Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from caffe_pylayers.losses.blocks import Buffer, row_blocks
from caffe_pylayers.losses.reduction import Array, array_module


class Window(NamedTuple):
    """A window along an axis. kstride: from one of its `kernel` elements to the next."""

    kernel: int
    stride: int = 1
    pad: int = 0
    kstride: int = 1

    def pooled(self, size: int) -> int:
        """How many windows an axis of `size` has: rounded up, and the last begins before the padding at the end."""
        beyond = size + 2 * self.pad - (self.kernel - 1) * self.kstride - 1
        return min(-(-beyond // self.stride) + 1, (size + self.pad - 1) // self.stride + 1)

    def taps(self, size: int) -> Iterator[Tuple[int, slice, slice]]:
        """Each element of the window, by number: of which outputs it lies inside the axis, and on which elements of it."""
        for tap in range(self.kernel):
            shift = tap * self.kstride - self.pad
            first = max(0, -(shift // self.stride))
            last = min(self.pooled(size) - 1, (size - 1 - shift) // self.stride)
            if first <= last:
                start = first * self.stride + shift
                stop = last * self.stride + shift + 1
                yield tap, slice(first, last + 1), slice(start, stop, self.stride)

    def first_taps(self, size: int) -> np.ndarray:
        """The first element inside the axis, of each window."""
        starts = np.arange(self.pooled(size)) * self.stride - self.pad
        return np.where(starts < 0, -(starts // self.kstride), 0)

    def counts(self, size: int) -> np.ndarray:
        """How many elements each window has inside the padded axis, which stock Caffe divides the sum by."""
        starts = np.arange(self.pooled(size)) * self.stride - self.pad
        return np.minimum(self.kernel, -(-(size + self.pad - starts) // self.kstride))


class Step(NamedTuple):
    """The pooling along one axis of an array: its window, the size of the axis before and after, and how many numbers lie around it."""

    window: Window
    before: int
    size: int
    after: int

    @property
    def pooled(self) -> int:
        return self.window.pooled(self.size)


def steps_of(shape: Tuple[int, ...], windows: Sequence[Window]) -> List[Step]:
    """The steps that pool the last axes of an array, the last one first."""
    steps, after, first = [], 1, len(shape) - len(windows)
    for axis in reversed(range(first, len(shape))):
        window = windows[axis - first]
        steps.append(Step(window, math.prod(shape[:axis]), shape[axis], after))
        after *= window.pooled(shape[axis])
    return steps


def tap_type(window: Window) -> type:
    """The type of the numbers of a window's elements."""
    return np.uint8 if window.kernel <= 256 else np.int32


def max_along(x: Array, window: Window, out: Array, taps: Array, buffer: Buffer) -> None:
    """Write the largest number of each window into `out`, and which of its elements that is, the first of several, into `taps`."""
    xp, size = array_module(x), x.shape[1]
    first = xp.asarray(window.first_taps(size).astype(taps.dtype))[:, None]
    blocks, room = _blocks(out, out)
    for rows in blocks:
        out[rows], taps[rows] = -xp.inf, first
        for tap, outputs, inputs in window.taps(size):
            best, given, place = out[rows, outputs], x[rows, inputs], taps[rows, outputs]
            larger, numbers = (
                _part(best, buffer("larger", room, bool)),
                _part(best, buffer("numbers", room, taps.dtype)),
            )
            xp.greater(given, best, out=larger)
            xp.maximum(place, xp.multiply(larger, taps.dtype.type(tap), out=numbers), out=place)
            xp.maximum(best, given, out=best)


def max_gradient_along(slope: Array, window: Window, taps: Array, out: Array, buffer: Buffer) -> None:
    """Write the gradient by x into `out`, from that by the maxima."""
    xp, (blocks, room) = array_module(slope), _blocks(out, slope)
    for rows in blocks:
        out[rows] = 0
        for tap, outputs, inputs in window.taps(out.shape[1]):
            part, given = slope[rows, outputs], out[rows, inputs]
            chosen, share = _part(part, buffer("larger", room, bool)), _part(part, buffer("share", room, np.float32))
            xp.equal(taps[rows, outputs], taps.dtype.type(tap), out=chosen)
            xp.add(given, xp.multiply(part, chosen, out=share), out=given)


def places_of(steps: Sequence[Step], taps: Sequence[Array]) -> Array:
    """The places of the maxima in the pooled axes, counted in row order. taps: of each step."""
    places, pitch = None, 1
    for step, elements in zip(steps, taps):
        xp, window = array_module(elements), step.window
        along = (
            elements.astype(np.intp) * window.kstride + (xp.arange(step.pooled) * window.stride - window.pad)[:, None]
        )
        after = (
            0
            if places is None
            else xp.take_along_axis(places.reshape(step.before, step.size, step.after), along, axis=1)
        )
        places, pitch = along * pitch + after, pitch * step.size
    return places


def mean_along(x: Array, window: Window, out: Array) -> None:
    """Write the sum of each window, divided by how many elements it has inside the padded axis, into `out`."""
    counts = _counts(x, window, x.shape[1])
    for rows in _blocks(out, out)[0]:
        out[rows] = 0
        for _, outputs, inputs in window.taps(x.shape[1]):
            out[rows, outputs] += x[rows, inputs]
        out[rows] /= counts


def mean_gradient_along(slope: Array, window: Window, out: Array, buffer: Buffer) -> None:
    """Write the gradient by x into `out`, from that by the means."""
    xp, counts = array_module(slope), _counts(slope, window, out.shape[1])
    blocks, room = _blocks(out, slope)
    for rows in blocks:
        share = xp.divide(slope[rows], counts, out=_part(slope[rows], buffer("share", room, np.float32)))
        out[rows] = 0
        for _, outputs, inputs in window.taps(out.shape[1]):
            out[rows, inputs] += share[:, outputs]


def _blocks(array: Array, pooled: Array) -> Tuple[List[slice], Tuple[int]]:
    """The slices of the first of three axes that cut an array into parts that stay in the cache; and the size of one of `pooled`."""
    blocks = list(row_blocks(array.reshape(len(array), array.shape[1] * array.shape[2])))
    return blocks, (max((each.stop - each.start for each in blocks), default=0) * pooled.shape[1] * pooled.shape[2],)


def _counts(like: Array, window: Window, size: int) -> Array:
    return array_module(like).asarray(window.counts(size).astype(np.float32))[:, None]


def _part(like: Array, flat: Array) -> Array:
    """As much of a flat buffer as has the shape of an array."""
    return flat[: like.size].reshape(like.shape)
