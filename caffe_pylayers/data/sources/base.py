"""What every source is: records numbered 0 .. N-1, their labels, and a way to read one."""

from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers.errors import DataError

#: Blobs are float32, which holds every whole number up to here.
LARGEST_LABEL = 1 << 24

Image = Union[bytes, memoryview, np.ndarray]


class Names:
    """Many byte strings, packed: a list of a million Python strings takes 80 MB more than the strings."""

    def __init__(self, names: Iterable[bytes]) -> None:
        names = list(names)
        self._ends = np.cumsum([len(name) for name in names], dtype=np.int64)
        self._packed = b"".join(names)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number: int) -> bytes:
        start = self._ends[number - 1] if number else 0
        return self._packed[start : self._ends[number]]


class Source:
    """Records in the order of the source.

    path: what messages name. names: one a record (file name, key).
    labels: int64 (N,), or (N, L) where records have several (rows padded with -1), or None where they have none.
    The parent process reads the labels; workers get the source pickled, without them, and read images.
    """

    def __init__(self, path: str, names: Names, labels: Optional[np.ndarray]) -> None:
        if len(names) == 0:
            raise DataError(f"{self.kind} source {path}: it has no records")
        self.path = path
        self.names = names
        self.labels = labels
        if labels is not None and np.abs(labels).max() > LARGEST_LABEL:
            record, *_ = np.argwhere(np.abs(labels) > LARGEST_LABEL)[0].tolist()
            raise DataError(
                f"{self.describe(record)}: its label is above {LARGEST_LABEL}, the largest number that Caffe's float32 "
                f"blobs hold exactly; number the classes from 0"
            )

    @property
    def kind(self) -> str:
        """The word of the option `source_type`."""
        return type(self).__name__[: -len("Source")]

    @property
    def fds(self) -> Tuple[int, ...]:
        """File descriptors that workers must inherit to read it."""
        return ()

    def __len__(self) -> int:
        return len(self.names)

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "labels": None}

    def read(self, record: int) -> Image:
        """The image of a record: the bytes of an encoded one, or uint8 (height, width, channels)."""
        raise NotImplementedError

    def describe(self, record: int) -> str:
        """The record as messages name it."""
        name = self.names[record].decode(errors="backslashreplace")
        return f"{self.kind} source {self.path}: record {record} ('{name}')"


def label_array(rows: List[Sequence[int]]) -> np.ndarray:
    """Rows of labels as int64 (N,) where all have one, else (N, L) padded with -1."""
    widest = max(map(len, rows))
    labels = np.full((len(rows), widest), -1, np.int64)
    for row, values in zip(labels, rows):
        row[: len(values)] = values
    return labels[:, 0] if widest == 1 else labels
