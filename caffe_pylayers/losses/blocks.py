"""Parts of an array (N, D) that stay in the cache while a loss works on them."""

from typing import Any, Iterator, Sequence, Tuple, Union

from caffe_pylayers.losses.reduction import Array, array_module
from caffe_pylayers.losses.softmax import BLOCK, GAP


def blocks(shape: Sequence[int]) -> Iterator[Tuple[slice, slice]]:
    """The slices of rows and columns that cut an array of `shape` into parts of at most BLOCK elements."""
    num_rows, num_columns = shape
    columns = min(num_columns, BLOCK)
    for rows in _slices(num_rows, max(1, BLOCK // columns)):
        for part in _slices(num_columns, columns):
            yield rows, part


def row_blocks(shape: Sequence[int]) -> Iterator[slice]:
    """The slices of rows that cut an array of `shape` into parts of at most BLOCK elements, or one row."""
    return _slices(shape[0], max(1, BLOCK // shape[1]))


def work_size(shape: Sequence[int], whole_rows: bool = False) -> int:
    """How many elements `blocks` gives at a time, or `row_blocks` where rows are whole, and a gap to what follows."""
    num_rows, num_columns = shape
    return min(num_rows * num_columns, max(BLOCK, num_columns) if whole_rows else BLOCK) + GAP


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


def _slices(length: int, step: int) -> Iterator[slice]:
    return (slice(start, start + step) for start in range(0, length, step))
