"""What every source is: records numbered 0 .. N-1, their labels, and a way to read one."""

import contextlib
import os
import re
import stat
from array import array
from typing import Any, Dict, Iterable, Iterator, Optional, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.blob_limits import LARGEST_LABEL
from caffe_pylayers.data.geometry import UNMOVED, Matrix
from caffe_pylayers.errors import ConfigError, DataError

Image = Union[bytes, memoryview, np.ndarray]


class Names:
    """Many byte strings, packed: a list of a million Python strings takes 80 MB more than the strings."""

    def __init__(self, names: Iterable[bytes]) -> None:
        packed, ends = bytearray(), array("q")
        for name in names:
            packed += name
            ends.append(len(packed))
        self._pack(bytes(packed), np.array(ends, np.int64))

    @classmethod
    def of(cls, packed: bytes, ends: np.ndarray) -> "Names":
        """From the strings one after the other and where each ends, int64 (N,)."""
        names = cls.__new__(cls)
        names._pack(packed, ends)
        return names

    def arrays(self) -> Tuple[bytes, np.ndarray]:
        """What `of` makes them from again."""
        return self._packed, self._width * np.arange(1, self._count + 1) if self._ends is None else self._ends

    def _pack(self, packed: bytes, ends: np.ndarray) -> None:
        self._packed, self._count = packed, len(ends)
        # Keys of an LMDB are all of one width, as a rule.
        self._width = int(ends[0]) if len(ends) else 0
        equal = bool((np.diff(ends) == self._width).all())
        self._ends: Optional[np.ndarray] = None if equal else ends

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> bytes:
        if not 0 <= number < self._count:
            raise IndexError(number)
        if self._ends is None:
            return self._packed[number * self._width : (number + 1) * self._width]
        return self._packed[self._ends[number - 1] if number else 0 : self._ends[number]]


class Numbers:
    """The names of records that have none: their numbers."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> bytes:
        if not 0 <= number < self._count:
            raise IndexError(number)
        return b"%d" % number


NamesOf = Union[Names, Numbers, Sequence[bytes]]


class Source:
    """Records in the order of the source.

    path: what messages name. names: one per record (file name, key, or its number).
    labels: integers (N,), or (N, L) where records have several (rows padded with -1); of `label_format: values` float32, NaN
    where one is missing; None where records have none.
    label_dim: how many labels there are, where the source says so (an indicator row has a column each), or None.
    unknown: bool (N, label_dim), the indicators that are not known, or None where all are. shorter: a record that has fewer
    labels than another, where the source itself has rows of unequal length, or None.
    sample_weights: float32 (N,), or (N, L) as labels, or (N, label_dim); None where there are none.
    damaged: complaints about records that are known to be damaged, where that is tolerated; their label is -1.
    label_order: the option of that name: 'key' where what goes by the places of an LMDB's records is meant so.
    columns: what the options `labels` and `sample_weights` may name inside the source: columns of a CSV, data sets of HDF5.
    label_columns: the names of the columns of labels, of a CSV that has them.
    The parent process reads labels and weights; workers get the source pickled, without them, and read images.
    """

    def __init__(
        self,
        path: str,
        names: NamesOf,
        labels: Optional[np.ndarray] = None,
        sample_weights: Optional[np.ndarray] = None,
        label_dim: Optional[int] = None,
    ) -> None:
        self.path = path
        if len(names) == 0:
            raise self.error("it has no records")
        self.names = names
        self.columns: Tuple[str, ...] = ()
        self.label_columns: Tuple[str, ...] = ()
        self.shorter: Optional[int] = None
        self.damaged: Dict[int, DataError] = {}
        self.label_order: Optional[str] = None
        self.sample_weights = sample_weights
        self.set_labels(labels, label_dim)

    @property
    def kind(self) -> str:
        """The word of the option `source_type`."""
        return re.sub("(?<=.)Source$", "", type(self).__name__)

    @property
    def fds(self) -> Tuple[int, ...]:
        """File descriptors that workers must inherit to read it."""
        return ()

    @property
    def pixel_shape(self) -> Optional[Tuple[int, ...]]:
        """(channels, height, width) of its records, where that is known before one is read; else None."""
        return None

    @property
    def parts(self) -> "Sequence[Source]":
        """The sources that it consists of: itself, unless several are mixed."""
        return (self,)

    def place(self, record: int) -> "Tuple[Source, int]":
        """The part that a record is of, and its number there."""
        return self, record

    @property
    def has_values(self) -> bool:
        """Whether its labels are any numbers (`label_format: values`)."""
        return self.labels is not None and self.labels.dtype.kind == "f"

    def __len__(self) -> int:
        return len(self.names)

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "labels": None, "unknown": None, "sample_weights": None}

    def set_labels(
        self, labels: Optional[np.ndarray], label_dim: Optional[int] = None, unknown: Optional[np.ndarray] = None
    ) -> None:
        """Take labels. Raises DataError where one is too large for a blob."""
        if (
            labels is not None
            and labels.dtype.kind != "f"
            and max(int(labels.max()), -int(labels.min())) > LARGEST_LABEL
        ):
            record, *_ = np.argwhere((labels > LARGEST_LABEL) | (labels < -LARGEST_LABEL))[0].tolist()
            raise self.error(
                f"its label is above {LARGEST_LABEL}, the largest number that Caffe's float32 blobs hold exactly",
                remedy="number the classes from 0",
                record=record,
            )
        self.labels = labels
        self.label_dim = label_dim
        self.unknown = unknown

    def unlabelled(self) -> np.ndarray:
        """Which records have no label: bool (N,). A negative label is none, nor is a missing value; a row of indicators of which one is known, 0
        even, says something.
        """
        if self.label_dim is not None:
            return np.zeros(len(self), bool) if self.unknown is None else np.all(self.unknown, axis=1)
        assert self.labels is not None
        rows = self.labels.reshape(len(self), -1)
        return np.all(np.isnan(rows) if self.has_values else rows < 0, axis=1)

    @classmethod
    def open(cls, path: str, **options: Any) -> "Source":
        """The source at an absolute path, from those options of a data layer that it takes: root, header, datasets,
        labels, label_format, sample_weights, bcf_mode, tolerant. Raises DataError where it cannot be read.
        """
        return cls(path)  # type: ignore[call-arg]  # Source itself is never made

    def find_files(self, missing: str) -> None:
        """Look which of the files that it names are there, once labels and weights have been read. See the option `missing`."""

    def files(self) -> Iterator[str]:
        """The files that its records and their images lie in: where none of them has changed, no record has."""
        yield self.path

    def identity(self) -> Tuple[object, ...]:
        """What says which records they are, whatever these hold now."""
        return type(self).__module__, type(self).__qualname__, os.path.realpath(self.path)

    def version(self) -> Iterator[object]:
        """What is another in a later run whose records have other images, save for what `record_version` tells of each.

        Raises ConfigError for a class of the user's own that does not say which files it reads.
        """
        if type(self).files is Source.files:
            raise ConfigError(
                f"{type(self).__name__} does not say which files its images lie in, so that a cache on disk could not see that they have changed",
                remedy="give it a method `files`, or set `cache: memory`",
                option="cache",
            )
        for path in self.files():
            yield os.path.realpath(path)
            with contextlib.suppress(FileNotFoundError):  # `read` says that it is not there
                status = os.stat(path)
                if stat.S_ISDIR(status.st_mode):
                    raise ConfigError(
                        f"the method `files` of {type(self).__name__} names {path}, but a folder does not tell that a file in it has changed",
                        remedy="let it name the files",
                        option="cache",
                    )
                yield regular_file.version(status)

    def record_version(self, record: int) -> Tuple[int, ...]:
        """What changes when the file of this record alone does."""
        return ()

    def record_versions(self) -> Iterable[Tuple[int, ...]]:
        """Those of all records; none where files hold many records."""
        if type(self).record_version is Source.record_version:
            return ()
        return map(self.record_version, range(len(self)))

    def close(self) -> None:
        """Give back the memory and the descriptors that reading took; the next `read` takes them again."""

    def read(self, record: int) -> Image:
        """The image of a record: the bytes of an encoded one, or uint8, uint16 or float32 (height, width, channels)."""
        raise NotImplementedError

    def moved(self, record: int) -> Matrix:
        """Where the pixels of the stored image are in the one that `read` gives."""
        return UNMOVED

    @contextlib.contextmanager
    def naming(self, record: int) -> Iterator[None]:
        """While it lasts, a DataError is told of this record."""
        try:
            yield
        except DataError as error:
            raise error.within(self.describe(record), record) from error

    def error(self, problem: str, *, remedy: str = "", record: Optional[int] = None) -> DataError:
        """The error of the source, or of one of its records."""
        where = self.described if record is None else self.describe(record)
        return DataError(problem, remedy=remedy, source=where, record=record)

    def no_labels(self) -> DataError:
        """The error of a top for labels where it has none."""
        in_list = "write a label after each file name, " if self.kind == "CSV" else ""
        return self.error(
            "it has no labels, but the layer has a top for them",
            remedy=f"{in_list}leave the top out, or name labels with option 'labels'",
        )

    def no_weights(self) -> DataError:
        """The error of a top for sample weights where it has none."""
        return self.error(
            "it has no sample weights, but the layer has a top for them",
            remedy="leave the top out, or name the weights with option 'sample_weights'",
        )

    @property
    def described(self) -> str:
        """The source as messages name it."""
        return f"{self.kind} source {self.path}"

    def describe(self, record: int) -> str:
        """The record as messages name it."""
        name = self.names[record].decode(errors="backslashreplace")
        return f"{self.described}: record {record} ('{name}')"


def interleaved(planes: np.ndarray) -> np.ndarray:
    """Planes (channels, height, width) as an image of its own, (height, width, channels)."""
    import cv2  # here, since the program that indexes HDF5 has no use for it

    # Of colour images OpenCV makes it ten times faster than numpy.
    if planes.dtype == np.uint8 and len(planes) == 3:
        return np.asarray(cv2.merge([*planes]))
    return np.array(planes.transpose(1, 2, 0), order="C")


def first_shorter(counts: np.ndarray) -> Optional[int]:
    """The first of the rows of counts[i] values each that has fewer than another; None where all have as many."""
    return None if counts.min() == counts.max() else int(np.argmax(counts < counts.max()))


def padded(values: np.ndarray, counts: np.ndarray, pad: float) -> np.ndarray:
    """Rows of counts[i] values each, which lie one after the other, as (N,) where all have one, else (N, L) padded."""
    if counts.min() == counts.max() == 1:
        return values
    rows = np.full((len(counts), max(1, counts.max())), pad, values.dtype)
    rows[np.arange(rows.shape[1]) < counts[:, None]] = values
    return rows
