"""Parts of large arrays that a loss works on one after the other, so that they stay in the cache."""

import math
from typing import Any, Iterator, Optional, Tuple, Union

import numpy as np

from caffe_pylayers.losses.reduction import Array, array_module

#: Elements that are worked on at a time, about what a second-level cache holds. Measured on the softmax loss at 8 x 21 x
#: 256 x 256: 19 ms, against 34 ms in blocks of 2**14, where calls cost most, and 21 ms in one (more where memory is busy).
BLOCK = 1 << 17

#: The same on a GPU, which wants enough to be kept busy.
GPU_BLOCK = 1 << 22

#: So few elements are compared as bytes, which takes a tenth of the time, and two copies of them.
_FEW = 1 << 12

#: Elements between two arrays that share a piece of memory: NumPy takes arrays that touch for ones that overlap, and
#: exp() from one to the other then takes 48 times as long.
GAP = 16


def work_size(array: Array, arrays: int = 1) -> int:
    """How many elements to work in: those of so many arrays of the size of a part of `array`, with gaps between."""
    return arrays * (min(array.size, max(_block_size(array), math.prod(array.shape[1:2]))) + GAP)


def row_blocks(array: Array, size: Optional[int] = None) -> Iterator[slice]:
    """The slices of rows that cut an array (N, D) into parts of at most BLOCK (or `size`) elements, or one row."""
    return _slices(len(array), max(1, _block_size(array, size) // max(array.shape[1], 1)))


def blocks(array: Array) -> Iterator[Tuple[slice, slice]]:
    """The slices of rows and columns that cut an array (N, D) into parts of at most BLOCK elements."""
    size, num_columns = _block_size(array), max(array.shape[1], 1)
    columns = min(num_columns, size)
    for rows in _slices(len(array), size // columns):
        for part in _slices(num_columns, columns):
            yield rows, part


def score_blocks(scores: Array) -> Iterator[Tuple[Any, Any]]:
    """The slices that cut scores (M, K) or (M, K, P) into parts of at most BLOCK elements or one position.

    Gives those of the scores, all K classes of some positions, and those of the positions.
    """
    size, num_classes = _block_size(scores), max(scores.shape[1], 1)
    if scores.ndim == 2:
        for rows in row_blocks(scores):
            yield rows, rows
        return
    columns = max(1, min(scores.shape[2], size // num_classes))
    for rows in _slices(len(scores), max(1, size // (num_classes * columns))):
        for across in _slices(scores.shape[2], columns):
            yield (rows, slice(None), across), (rows, across)


def same(one: Array, other: Array) -> bool:
    """Whether two arrays have one shape and the same numbers; where it says no to NaN that has not changed, that is safe."""
    if one.shape != other.shape:
        return False
    if isinstance(one, np.ndarray) and one.size <= _FEW:
        return one.tobytes() == other.tobytes()
    one, other = one.reshape(-1), other.reshape(-1)
    return all(bool((one[part] == other[part]).all()) for part in _slices(one.size, _block_size(one)))


def clear(block: Array, factor: Union[float, Array]) -> None:
    """Sets a block to 0 wherever an array `factor` is 0, so that their product is: 0 times NaN is NaN."""
    if isinstance(factor, (int, float)):
        return
    xp = array_module(block)
    absent = factor == 0
    if bool(absent.any()) and not bool(xp.isfinite(block).all()):
        xp.copyto(block, 0, where=absent)


def factor_of(factor: Any, rows: slice, columns: slice) -> Any:
    """The part of a factor that is one float, (N, 1) or (N, D)."""
    if isinstance(factor, (int, float)):
        return factor
    return factor[rows, columns] if factor.shape[1] > 1 else factor[rows]


def _block_size(array: Array, size: Optional[int] = None) -> int:
    return (size or BLOCK) if isinstance(array, np.ndarray) else GPU_BLOCK


def _slices(length: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, length)) for start in range(0, length, step))
