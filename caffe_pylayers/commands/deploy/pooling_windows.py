"""Pooling over any number of axes by Caffe's Pooling, which has two."""

import math
from dataclasses import replace
from typing import Dict, List, Sequence, Tuple

from caffe_pylayers.caffe_files.prototxt import Word
from caffe_pylayers.commands.deploy.making import Making
from caffe_pylayers.commands.export.blob_shapes import Blob
from caffe_pylayers.commands.export.windows import Window


def pool(making: Making) -> None:
    """Two axes are Caffe's own. One of one axis has a second of size 1; three are pooled over the last two, then over the first."""
    options = making.options
    shape = making.shape(why="the pooling")
    count = len(shape) - (options.axis if options.axis >= 0 else options.axis + len(shape) + 1)
    if len(shape) - count != 1 or not 1 <= count <= 3:
        making.refuse(f"pooling over {count} axes behind axis {options.axis}")
    if set(options.per_axis("kstride", "kstride", 1)) != {1}:
        making.refuse("windows with gaps (kstride)")
    if len(making.layer.tops) > 1 and count != 2:
        making.refuse(f"a mask of {count} axes")
    windows = _windows(making, count)
    if count == 2:
        making.add("Pooling", [making.x], making.y, pooling_param=_both(making, windows, shape[1:]))
    elif options.global_pooling or count == 1:
        rows = making.add("Reshape", [making.x], reshape_param={"shape": {"dim": [0, 0, -1, 1]}})
        param = _both(making, [windows[0], _ONE] if count == 1 else windows, [*shape[1:2], 1])
        pooled = making.add("Pooling", [rows], pooling_param=param)
        sizes = [0, 0, 1, 1, 1] if options.global_pooling and count == 3 else [0, 0, -1]
        making.add("Reshape", [pooled], making.y, reshape_param={"shape": {"dim": sizes}})
    else:
        _three(making, shape, windows)


_Window = Tuple[int, int, int]  # kernel, stride, pad
_ONE = (1, 1, 0)


def _windows(making: Making, count: int) -> List[_Window]:
    options = making.options
    if options.global_pooling:
        return [_ONE] * count
    each = [
        options.per_axis(name, short, default)
        for name, short, default in (("kernel_size", "kernel", 1), ("stride", "stride", 1), ("pad", "pad", 0))
    ]
    return list(zip(*(numbers * count if len(numbers) == 1 else numbers for numbers in each)))


def _both(making: Making, windows: Sequence[_Window], sizes: Sequence[int]) -> Dict[str, object]:
    """The parameter of a Pooling over two axes of these sizes."""
    pooled: Dict[str, object] = {"pool": Word(making.options.pool)}
    if making.options.global_pooling:
        return {**pooled, "global_pooling": True}
    for name, numbers in zip(("kernel", "stride", "pad"), zip(*windows)):
        pooled.update({f"{name}_h": numbers[0], f"{name}_w": numbers[1]})
    return {**pooled, **_rounding(making, windows, sizes)}


def _rounding(making: Making, windows: Sequence[_Window], sizes: Sequence[int]) -> Dict[str, object]:
    """The rounding that gives as many windows: without padding Caffe has one that begins behind the maps, and PoolingND has none."""
    kernel, stride, pad = zip(*windows)
    window = Window(kernel, stride, pad, (1, 1), pooling=True, rounds_up=True)
    wanted = replace(window, begins_inside=True).sizes(tuple(sizes))
    if window.sizes(tuple(sizes)) == wanted:
        return {}
    if replace(window, rounds_up=False).sizes(tuple(sizes)) != wanted:
        making.refuse("windows that are rounded up along one axis, and down along the other")
    return {"round_mode": Word("FLOOR")}


def _three(making: Making, shape: Sequence[int], windows: Sequence[_Window]) -> None:
    """Channels and the first axis are one axis for the pooling over the last two; then the last two are one."""
    channels, *sizes = shape
    x, last = making.x, [0, channels, *sizes]
    for axes, merged in ((windows[1:], (channels * sizes[0], -1)), ((windows[0], _ONE), None)):
        if set(axes) == {_ONE}:
            continue
        dims = [channels * sizes[0], *sizes[1:]] if merged else [channels, sizes[0], math.prod(sizes[1:])]
        rows = making.add("Reshape", [x], reshape_param={"shape": {"dim": [0, *dims]}})
        x = making.add("Pooling", [rows], pooling_param=_both(making, list(axes), dims[1:]))
        rows_left, left = making.made(Blob(tuple(dims)))[1:]
        sizes = [sizes[0], rows_left, left] if merged else [rows_left, *sizes[1:]]
        last = [0, channels, *sizes]
    making.add("Reshape", [x], making.y, reshape_param={"shape": {"dim": last}})
