"""How labels that are any numbers are distributed: of each column how many there are, and where they lie."""

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import numpy as np

from caffe_pylayers.data.epoch import Epoch
from caffe_pylayers.data.sources import Source

_BINS = 10


@dataclass(frozen=True, eq=False)
class ValueColumn:
    """A column of values. count: those that are there; missing: NaN. bins: how many lie between each of `edges` and the next, of which the
    first is the smallest value and the last the largest. min, mean, max, std, edges: NaN if all are missing.
    """

    name: str
    count: int
    missing: int
    min: float
    mean: float
    max: float
    std: float
    edges: np.ndarray
    bins: np.ndarray

    @classmethod
    def of(cls, name: str, values: np.ndarray) -> "ValueColumn":
        there = values[~np.isnan(values)].astype(np.float64)
        missing = len(values) - len(there)
        if not len(there):
            nan = float("nan")
            return cls(name, 0, missing, nan, nan, nan, nan, np.full(_BINS + 1, nan), np.zeros(_BINS, np.int64))
        low, high = float(there.min()), float(there.max())
        bins = np.eye(1, _BINS, dtype=np.int64)[0] * len(there)  # of equal values
        if high > low:
            bins, _ = np.histogram(there, _BINS, (low, high))
        mean, std = float(there.mean()), float(there.std())
        return cls(name, len(there), missing, low, mean, high, std, np.linspace(low, high, _BINS + 1), bins)

    def as_json(self) -> Dict[str, Any]:
        """All of it; None for a number that there is not."""
        found = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}
        return found if self.count else {**found, **dict.fromkeys(("min", "mean", "max", "std", "edges"))}


@dataclass(frozen=True, eq=False)
class ValueColumns:
    """What the values of a source are. of: the source, in words. epoch: of the net whose source it is."""

    of: str
    num_records: int
    columns: List[ValueColumn]
    epoch: Optional[Epoch] = None


def value_columns(source: Source) -> ValueColumns:
    """Of a source whose labels are values."""
    assert source.labels is not None
    rows = source.labels.reshape(len(source), -1)
    names = source.label_columns or [str(number) for number in range(rows.shape[1])]
    columns = [ValueColumn.of(name, values) for name, values in zip(names, rows.T)]
    return ValueColumns(source.described, len(source), columns)
