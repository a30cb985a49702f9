"""Features of records, with what is known of each."""

from typing import Any, Callable, Optional

import numpy as np

from caffe_pylayers.errors import DataError

#: Of a number: what float32 holds.
_LARGEST = 3e38


class Records:
    """N features, checked.

    features: float (N, D). labels: int64 (N,), negative for none; cameras: int64 (N,); both None where they are not known. name: of a
    record, for messages. source: where they come from, why_none: why there are no labels, for messages. Raises DataError for features that are no finite numbers, and
    for labels or cameras that are not one integer per record.
    """

    def __init__(
        self,
        features: Any,
        labels: Any = None,
        cameras: Any = None,
        source: str = "features",
        name: Callable[[int], str] = str,
        why_none: str = "",
    ) -> None:
        self.source, self.name, self._why_none = source, name, why_none
        self.features = self._numbers(features)
        self.labels = integers_of(labels, len(self), "label", source, self.describe)
        self.cameras = integers_of(cameras, len(self), "camera", source, self.describe)

    def __len__(self) -> int:
        return len(self.features)

    def describe(self, record: int) -> str:
        """The record as messages name it."""
        return f"{self.source}: record {record} ({self.name(record)!r})"

    def needed(self, what: str, why: str, remedy: str) -> np.ndarray:
        """Its labels or cameras. Raises DataError where there are none."""
        found: Optional[np.ndarray] = getattr(self, what)
        if found is None:
            why_none = f" ({self._why_none})" if what == "labels" and self._why_none else ""
            raise DataError(f"it has no {what}{why_none}, but {why} needs them", remedy=remedy, source=self.source)
        return found

    def _numbers(self, features: Any) -> np.ndarray:
        array = np.asarray(features)
        if array.dtype.kind not in "iuf" or array.ndim < 2 or 0 in array.shape:
            raise DataError(
                f"features are an array of {array.dtype} of shape {array.shape}",
                remedy="a row of numbers per record is expected",
                source=self.source,
            )
        array = array.reshape(len(array), -1)
        finite = (np.isfinite(array) & (np.abs(array) <= np.float64(_LARGEST))).all(1)
        if not finite.all():
            record = int(np.argmin(finite))
            raise DataError(
                f"its feature has NaN, infinity or a number above {_LARGEST:g}; so have {int((~finite).sum()) - 1} others of {len(array)}",
                remedy="has the training diverged? `caffe-pylayers train` tells when a loss becomes NaN",
                source=self.describe(record),
                record=record,
            )
        return array


def integers_of(
    values: Any, count: int, what: str, source: str, describe: Optional[Callable[[int], str]] = None
) -> Optional[np.ndarray]:
    """An integer per record, int64 (count,); None for None. what: label or camera, describe: a record, for messages.

    Raises DataError where they are something else.
    """
    if values is None:
        return None
    array, remedy = np.asarray(values), f"one integer per record is expected as {what}"
    if array.size != count or array.dtype.kind not in "iuf" or array.shape[:1] != (count,):
        raise DataError(
            f"{what}s are an array of {array.dtype} of shape {array.shape}, but there are {count} records",
            remedy=remedy,
            source=source,
        )
    array = array.reshape(-1)
    wrong = ~(np.isfinite(array) & (np.abs(array) < 2**53) & (array == np.floor(array)))
    if wrong.any():
        record = int(np.argmax(wrong))
        where = f"{source}: record {record}" if describe is None else describe(record)
        raise DataError(f"its {what} is {array[record]}", remedy=remedy, source=where, record=record)
    return np.asarray(array.astype(np.int64))
