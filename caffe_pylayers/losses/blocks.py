"""Parts of large arrays that a loss works on one after the other, so that they stay in the cache."""

import math
from typing import Any, Callable, Iterator, Optional, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers.losses.reduction import Array, array_module

#: Makes an array that lives from call to call, or a new one: (name, shape, dtype) -> array, with anything in it.
Buffer = Callable[[str, Sequence[int], Any], Array]

#: Elements that are worked on at a time, about what a second-level cache holds. Measured on the softmax loss at 8 x 21 x
#: 256 x 256: 19 ms, against 34 ms in blocks of 2**14, where calls cost most, and 21 ms in one (more where memory is busy).
BLOCK = 1 << 17

#: The same on a GPU, which wants enough to be kept busy.
GPU_BLOCK = 1 << 22

#: So few elements are compared as bytes, which takes a tenth of the time, and two copies of them.
_FEW = 1 << 12


def scratch(buffer: Optional[Buffer], like: Array) -> Buffer:
    """The `buffer` that a loss was given, or for None one that makes new arrays, of the library of `like`."""
    empty = array_module(like).empty
    return buffer or (lambda name, shape, dtype: empty(shape, dtype))


def largest_block(array: Array) -> int:
    """How many elements the parts of `array` have at most."""
    return min(array.size, max(_block_size(array), math.prod(array.shape[1:2])))


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


def part_of(array: Optional[Array], part: Any) -> Optional[Array]:
    """A part of an array; None stays None."""
    return None if array is None else array[part]


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
