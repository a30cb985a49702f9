"""Records on their way into a file: what the writers of all formats take, and what they share."""

from array import array
from dataclasses import dataclass
from typing import Iterator, List, Optional, Tuple, Union

import numpy as np

from caffe_pylayers.data.sources.base import Image, Names, padded
from caffe_pylayers.errors import DataError


@dataclass(frozen=True)
class Record:
    """One record.

    image: the bytes of an encoded one, or uint8 or float32 (height, width, channels). labels: as many as it has; floats where they are
    values, NaN for a missing one.
    weight: its sample weight, or one for each label, or None where there are none. name: its file name or key, or ""
    for none.
    """

    image: Image
    labels: Tuple[float, ...] = ()
    weight: Union[float, Tuple[float, ...], None] = None
    name: str = ""

    def encoded(self) -> bytes:
        """The image as the bytes of a file; pixels as PNG, which loses nothing. DataError where PNG cannot hold them."""
        if not isinstance(self.image, np.ndarray):
            return bytes(self.image)
        if self.image.dtype != np.uint8 or self.image.shape[2] not in (1, 3):
            raise DataError(
                f"an image of type {self.image.dtype} with {self.image.shape[2]} channels does not fit into an image "
                "file, which holds 8-bit pixels of 1 or 3 channels",
                remedy="write HDF5 or LMDB",
            )
        import cv2  # here, since the program that indexes HDF5 has no use for it

        return cv2.imencode(".png", self.image)[1].tobytes()


def has_values(record: Record) -> bool:
    """Whether its labels are any numbers, which no integer can hold."""
    return any(isinstance(label, (float, np.floating)) for label in record.labels)


class Columns:
    """Labels, weights and names of the records written so far. are_values: labels are any numbers."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.are_values = False
        self._labels, self._counts, self._weights = array("d"), array("q"), array("f")
        self._names, self._ends = bytearray(), array("q")  # packed: see Names

    def add(self, record: Record) -> None:
        """Raises DataError where the record has a weight or a name, and those before have none, or the reverse; or has another number
        of values.
        """
        number = len(self._counts)
        for what, has, others in (
            ("weight", record.weight is not None, len(self._weights)),
            ("name", bool(record.name), len(self._ends)),
        ):
            if number and has != bool(others):
                raise DataError(
                    f"record {number} has {'a' if has else 'no'} {what}, but those before it have {'none' if has else 'one'}",
                    remedy="give one to all, or to none",
                    source=self._path,
                )
        self.are_values = self.are_values or has_values(record)
        if self.are_values and number and len(record.labels) != self._counts[0]:
            raise DataError(
                f"record {number} has {len(record.labels)} values, but the first has {self._counts[0]}",
                remedy="a missing value is nan",
                source=self._path,
            )
        self._labels.extend(record.labels)
        self._counts.append(len(record.labels))
        if record.weight is not None:
            self._weights.extend(np.atleast_1d(record.weight).tolist())
        if record.name:
            self._names += record.name.encode("utf-8", "surrogateescape")
            self._ends.append(len(self._names))

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def labels(self) -> Optional[np.ndarray]:
        """int32 (N,), or (N, L) padded with -1, or None where no record has any; float32 where they are values."""
        if not self._labels:
            return None
        dtype, pad = (np.float32, np.nan) if self.are_values else (np.int32, -1)
        return padded(np.array(self._labels).astype(dtype), np.array(self._counts), pad)

    def rows(self) -> Iterator[List[float]]:
        """The labels of each record, as many as it has."""
        end = 0
        for count in self._counts:
            end += count
            own = self._labels[end - count : end]
            yield own.tolist() if self.are_values else list(map(int, own))

    @property
    def weights(self) -> Optional[np.ndarray]:
        """float32 (N,), or (N, L) where each label has one, or None."""
        if not self._weights:
            return None
        rows = np.array(self._weights, np.float32).reshape(len(self._counts), -1)
        return rows[:, 0] if rows.shape[1] == 1 else rows

    @property
    def names(self) -> Optional[Names]:
        return Names.of(bytes(self._names), np.array(self._ends)) if self._ends else None
