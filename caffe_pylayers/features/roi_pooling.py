"""The largest number of each bin of each region (Fast R-CNN, Girshick 2015), and where it is.

The maximum of a bin is that of four overlapping rectangles whose sides are powers of two. A table has the maxima of all such
rectangles, so the time does not depend on the size of the bins. Where the place of the maximum is wanted, the table has keys:
integers of 64 bits that have the number in their upper half, and the place in their lower half.
"""

import math
from typing import Any, Iterator, NamedTuple, Optional, Tuple

import numpy as np

from caffe_pylayers.losses.blocks import Buffer
from caffe_pylayers.losses.reduction import Array, array_module

_LOW = 0xFFFFFFFF
_FAR = 1e9  # beyond any map: farther corners may overflow


class Bins(NamedTuple):
    """The bins of regions, of shape (regions, pooled_h, pooled_w): rows top .. bottom - 1 and columns left .. right - 1 of an image."""

    image: Array
    top: Array
    bottom: Array
    left: Array
    right: Array
    empty: Array


def bins_of(rois: Array, scale: float, pooled: Tuple[int, int], size: Tuple[int, int]) -> Bins:
    """The bins of `rois`, rows of (image, x1, y1, x2, y2), on maps of `size` (height, width)."""
    xp = array_module(rois)
    corners = _rounded(xp.clip(rois[:, 1:], -_FAR, _FAR) * np.float32(scale)).astype(np.float64)
    corners = xp.clip(corners, -_FAR, _FAR)
    sides = []
    for axis in (1, 0):  # rows, then columns
        first = corners[:, axis]
        length = xp.maximum(corners[:, axis + 2] - first + 1, 1).astype(np.float32)
        count, limit = pooled[1 - axis], size[1 - axis]
        edges = xp.arange(count + 1, dtype=np.float32)[None] * (length / np.float32(count))[:, None]
        starts, ends = xp.floor(edges[:, :-1]) + first[:, None], xp.ceil(edges[:, 1:]) + first[:, None]
        sides += [xp.clip(each, 0, limit).astype(np.intp) for each in (starts, ends)]
    top, bottom, left, right = sides[0][:, :, None], sides[1][:, :, None], sides[2][:, None], sides[3][:, None]
    return Bins(rois[:, 0].astype(np.intp)[:, None, None], top, bottom, left, right, (bottom <= top) | (right <= left))


def _rounded(x: Array) -> Array:
    """To the nearest integer, halves away from zero, as round() of C."""
    xp = array_module(x)
    whole = xp.trunc(x)
    return whole + xp.where(xp.abs(x - whole) >= np.float32(0.5), xp.sign(x), np.float32(0))


class _Rectangles(NamedTuple):
    """The four rectangles that cover each bin, as rows of a table, and how many powers of two the table has along each side."""

    rows: Tuple[Array, ...]
    powers: Tuple[int, int]


def _rectangles(bins: Bins, shape: Tuple[int, ...]) -> _Rectangles:
    xp = array_module(bins.top)
    height, width = shape[2:]
    steps = xp.asarray(2 ** np.arange(31))
    tall, wide = (
        xp.searchsorted(steps, xp.maximum(end - start, 1), side="right") - 1
        for start, end in ((bins.top, bins.bottom), (bins.left, bins.right))
    )
    powers = int(tall.max()) + 1, int(wide.max()) + 1
    images = (tall * powers[1] + wide) * shape[0] + bins.image
    rows = [
        xp.where(bins.empty, 0, (images * height + top) * width + left).reshape(len(bins.top), -1)
        for top in (bins.top, bins.bottom - 2**tall)
        for left in (bins.left, bins.right - 2**wide)
    ]
    return _Rectangles(tuple(rows), powers)


def roi_maxima(x: Array, bins: Bins, out: Array, places: Optional[Array], buffer: Buffer) -> None:
    """Write the largest number of each bin into `out`, (regions, channels, pooled_h, pooled_w), and 0 for an empty bin.

    places: of that shape, of int32, gets where in the map the maximum is, the first of several in row order; None: not wanted.
    """
    if not out.size or not x.size:
        out[...] = 0
        if places is not None:
            places[...] = 0
        return
    xp, (images, channels, height, width) = array_module(x), x.shape
    rectangles = _rectangles(bins, x.shape)
    maps = math.prod(rectangles.powers) * images * height * width
    empty = bins.empty.reshape(len(out), 1, -1) if bool(bins.empty.any()) else None
    out, places = (each if each is None else each.reshape(len(out), channels, -1) for each in (out, places))
    step = min(channels, max(_limits(xp).table // maps, 16))
    numbers = buffer("maps", (_power_of_two(x.size // channels * step),), np.float32)
    tables = buffer("table", (_power_of_two(maps * step),), np.float32 if places is None else np.int64)
    for part in _slices(channels, step):
        count = part.stop - part.start
        first = numbers[: x.size // channels * count].reshape(images, height, width, count)
        xp.add(x[:, part].transpose(0, 2, 3, 1), 0, out=first)
        table = tables[: maps * count].reshape(*rectangles.powers, images, height, width, count)
        if places is None:
            table[0, 0] = first
        else:
            _write_keys(first, table[0, 0])
        _fill(table)
        table = table.reshape(-1, count)
        for regions in _slices(len(out), _limits(xp).bins // (count * out.shape[2])):
            best, *others = (table.take(rows[regions], axis=0) for rows in rectangles.rows)
            for each in others:
                xp.maximum(best, each, out=best)
            best = best.transpose(0, 2, 1)
            if places is None:
                out[regions, part] = best
            else:
                out[regions, part] = _numbers(best)
                places[regions, part] = _LOW - (best & _LOW)
    if empty is not None:
        xp.copyto(out, np.float32(0), where=empty)


def _fill(table: Array) -> None:
    """Make table[a, b, .., y, x] the maximum of 2^a rows and 2^b columns from (y, x) on, of table[0, 0]."""
    xp = array_module(table)
    for a in range(table.shape[0]):
        if a:
            step, below, rows = 2 ** (a - 1), table[a - 1, 0], table[a, 0]
            xp.maximum(below[:, :-step], below[:, step:], out=rows[:, :-step])
        for b in range(1, table.shape[1]):
            step, below, columns = 2 ** (b - 1), table[a, b - 1], table[a, b]
            xp.maximum(below[:, :, :-step], below[:, :, step:], out=columns[:, :, :-step])


def _write_keys(maps: Array, out: Array) -> None:
    """Write integers in the order of the numbers, and of equal numbers the first in row order the largest. NaN is above all numbers.

    maps: float32 (images, height, width, channels), without a zero of the negative sign; they are overwritten.
    """
    xp, (height, width) = array_module(maps), maps.shape[1:3]
    xp.copyto(maps, np.float32(np.nan), where=xp.isnan(maps))
    numbers = maps.view(np.int32)
    _turn_negative(numbers)
    out[...] = numbers
    out <<= 32
    out |= (_LOW - xp.arange(height * width)).reshape(1, height, width, 1)


def _turn_negative(numbers: Array) -> None:
    """Between the bits of float32 and integers in the same order; there and back alike."""
    below = numbers >> 31
    below &= 0x7FFFFFFF
    numbers ^= below


def _numbers(keys: Array) -> Array:
    numbers = (keys >> 32).astype(np.int32)
    _turn_negative(numbers)
    return numbers.view(np.float32)


def roi_gradient(slope: Array, bins: Bins, places: Array, out: Array) -> None:
    """Write the gradient by x into `out`, from that by the maxima, which are at `places`."""
    xp, (images, channels, height, width) = array_module(slope), out.shape
    if not slope.size or not out.size:
        out[...] = 0
        return
    regions = len(slope)
    slope, places = (each.reshape(regions, channels, -1) for each in (slope, places))
    empty = bins.empty.reshape(regions, 1, -1) if bool(bins.empty.any()) else None
    for part in _slices(channels, _limits(xp).sums // max(regions * slope.shape[2], images * height * width)):
        count = part.stop - part.start
        maps = bins.image.reshape(regions, 1, 1) * count + xp.arange(count).reshape(1, count, 1)
        index = maps * (height * width) + places[:, part]
        weights = slope[:, part] if empty is None else xp.where(empty, np.float32(0), slope[:, part])
        sums = xp.bincount(index.ravel(), weights=weights.ravel(), minlength=images * count * height * width)
        out[:, part] = sums.reshape(images, count, height, width)


class _Limits(NamedTuple):
    """How many numbers are worked on at a time: what the caches of a processor hold, or what keeps a GPU busy."""

    table: int
    bins: int
    sums: int


def _limits(xp: Any) -> _Limits:
    return _Limits(1 << 21, 1 << 15, 1 << 17) if xp is np else _Limits(1 << 26, 1 << 22, 1 << 22)


def _slices(count: int, step: int) -> Iterator[slice]:
    step = max(step, 1)
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def _power_of_two(count: int) -> int:
    """At least so many: a buffer whose size changes little from batch to batch."""
    return 1 << (count - 1).bit_length()
