"""The numbers that a top of a data layer has, and a record that has each: labels, targets, the values of label maps."""

from typing import Callable, Iterable, NamedTuple, Optional, Tuple

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer


class Top(NamedTuple):
    """A top of a data layer, by its number, or what a Slice takes of it: the columns from start up to, but not, stop, or such rows of each batch."""

    layer: Layer
    number: int
    start: int = 0
    stop: Optional[int] = None
    rows: Optional[Tuple[int, Optional[int]]] = None

    @property
    def is_part(self) -> bool:
        return bool(self.start) or self.stop is not None


class Numbers:
    """The distinct integers that were read, and of other numbers the lowest and the highest of each block.

    values: float64 (M,), rising, NaN at the end. records: int64 (M,), the first record that has each. width: how many a record has.
    """

    def __init__(self, describe: Callable[[int], str] = str) -> None:
        self._describe = describe
        self.values, self.records, self.width = np.empty(0), np.empty(0, np.int64), 0

    @classmethod
    def of(cls, top: Top, blocks: Iterable[Tuple[np.ndarray, np.ndarray]], describe: Callable[[int], str]) -> "Numbers":
        """blocks: rows of numbers (N, ...) of the whole top, and the record that each row belongs to. describe: names a record."""
        numbers = cls(describe)
        for rows, records in blocks:
            if rows.ndim > 1 or not top.is_part:
                numbers.add(rows[:, top.start : top.stop] if top.is_part else rows, records)
        return numbers

    def add(self, rows: np.ndarray, records: np.ndarray) -> None:
        """Take more rows."""
        self.width = rows[:1].size
        values, first = np.unique(np.asarray(rows), return_index=True)
        values = values.astype(np.float64)
        kept = values == np.trunc(values)
        others = np.flatnonzero(~kept)
        kept[others[:1]] = kept[others[-1:]] = True
        finite = others[np.isfinite(values[others])]
        kept[finite[-1:]] = True  # behind which there may be NaN
        owners = records[first // max(rows[:1].size, 1)]
        self.values, first = np.unique(np.concatenate([self.values, values[kept]]), return_index=True)
        self.records = np.concatenate([self.records, owners[kept]])[first]

    def but(self, right: np.ndarray) -> Optional["Wrong"]:
        """What is wrong where not all of the values are right; right: bool (M,)."""
        wrong = np.flatnonzero(~right)
        if not len(wrong):
            return None
        last = int(wrong[-1])
        return Wrong(self.values[last], len(wrong), self._describe(int(self.records[last])))


class Wrong:
    """The largest of the values that are wrong, how many of them there are, and a record that has it."""

    def __init__(self, value: float, count: int, where: str) -> None:
        self.value, self.count, self.where = value, count, where

    def told(self, noun: str) -> str:
        """As in `label 7 (images.txt:3)`, and how many more there are."""
        more = f" and {self.count - 1} more such" if self.count > 1 else ""
        return f"{noun} {self.value:g} ({self.where}){more}"
