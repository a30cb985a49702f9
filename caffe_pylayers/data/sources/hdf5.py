"""HDF5: one file, or a text file with the path of one on each line, as stock Caffe's HDF5Data takes it.

data           numbers (N, channels, height, width), or (N, values): uint8 stays so, others become float32;
               or rows of variable length of uint8, each the bytes of an encoded image
label          integers (N,), or (N, L) where records have several (-1 pads a row); may be missing
sample_weight  numbers (N,) or (N, L); may be missing
name           strings (N,); may be missing

Other names of these are the option `datasets`.
"""

import codecs
import contextlib
import io
import logging
import os
from typing import Any, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.caffe_files.hdf5 import hdf5_start
from caffe_pylayers.data.sources.base import Image, Names, Numbers, Source, interleaved
from caffe_pylayers.data.sources.hdf5_index import USUAL, Roles, Table, read_tables
from caffe_pylayers.data.sources.hdf5_layout import rewriting
from caffe_pylayers.data.sources.records import Columns, Record
from caffe_pylayers.data.sources.storage import Chunks
from caffe_pylayers.errors import DataError
from caffe_pylayers.files import text_table
from caffe_pylayers.files.output_file import output_file, require_absent

logger = logging.getLogger("caffe_pylayers")

_ROWS_AT_ONCE, _BYTES_AT_ONCE, _NAMES_AT_ONCE = 256, 8 << 20, 10_000  # of what is written
_MANY_TOGETHER = 16  # rows in the same chunks


class HDF5Source(Source):
    """Records of one or several HDF5 files, in the order of the list; images are read where they lie.

    roles: what its data sets are called. tables: what its files hold, if that was read before.
    Raises DataError where a file cannot be read, holds something else, or differs from the first one.
    """

    @classmethod
    def open(cls, path: str, **options: Any) -> "HDF5Source":
        return cls(path, Roles.of(options["datasets"], options["labels"], options["sample_weights"]))

    def __init__(
        self,
        path: str,
        roles: Roles = USUAL,
        tables: Optional[Sequence[Table]] = None,
    ) -> None:
        self._data = roles.data
        tables = tables or _tables(path, roles)
        for table in tables:
            if _form(table) != _form(tables[0]):
                raise DataError(
                    f"{table.rows.file.path} has {_form(table)}, but the first file has {_form(tables[0])}",
                    remedy="all files of a list must be alike",
                    source=f"HDF5 source {path}",
                )
        self._keeps_integers = roles.planes  # which float32 may round before they are checked
        self._rows = [table.rows for table in tables]
        self._dtypes, self._shape = [table.dtype for table in tables], tables[0].shape
        self._ends = np.cumsum([len(rows) for rows in self._rows])
        for rows in self._rows:
            if isinstance(rows, Chunks) and rows.chunk[0] > _MANY_TOGETHER:
                logger.warning(
                    "HDF5 source %s: %s has %d rows in the same chunks. Reading one row reads all of them, which is slow in "
                    "random order; %s without compression, each row by itself",
                    path,
                    rows.file.path,
                    rows.chunk[0],
                    rewriting(rows.file.path),
                )
                break
        names: Union[Names, Numbers] = Numbers(int(self._ends[-1]))
        if tables[0].names is not None:
            names = Names(name for table in tables for name in table.names or ())
        super().__init__(path, names)
        self.columns = tables[0].columns
        # Any numbers as yet: `annotate` checks them.
        self.labels = _joined([table.labels for table in tables])
        self.sample_weights = _joined([table.weights for table in tables])

    @property
    def pixel_shape(self) -> Optional[Tuple[int, ...]]:
        return self._shape or None

    def files(self) -> Iterator[str]:
        yield from {self.path: None, **{rows.file.path: None for rows in self._rows}}

    def identity(self) -> Tuple[object, ...]:
        return (*super().identity(), self._data)

    def version(self) -> Iterator[object]:
        yield from (rows.file.version for rows in self._rows)

    def close(self) -> None:
        for rows in self._rows:
            rows.close()

    def read(self, record: int) -> Image:
        number = int(np.searchsorted(self._ends, record, "right"))
        rows = self._rows[number]
        try:
            data = rows.row(record - int(self._ends[number]) + len(rows))
        except DataError as error:
            raise error.within(self.describe(record), record) from error
        if not self._shape:
            return data
        planes = np.frombuffer(data, self._dtypes[number]).reshape(self._shape)
        if self._keeps_integers and planes.dtype.kind in "iu":
            return interleaved(planes)
        # Numbers beyond float32 become infinite.
        with np.errstate(all="ignore"):
            return interleaved(planes if planes.dtype == np.uint8 else planes.astype(np.float32))


def _tables(path: str, roles: Roles) -> List[Table]:
    tables: List[Table] = []
    with contextlib.closing(read_tables(_files(path), roles)) as results:
        for table in results:
            if isinstance(table, DataError):
                raise table.within(f"HDF5 source {path}")
            tables.append(table)
    return tables


def _joined(parts: Sequence[Optional[np.ndarray]]) -> Optional[np.ndarray]:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None


def _form(table: Table) -> str:
    """What must be equal in all files of a list, in words."""
    form = ["encoded images"]
    if table.shape:
        form = [f"{'uint8' if table.dtype == '|u1' else 'other'} numbers of shape {table.shape}"]
    for name, values in (("labels", table.labels), ("weights", table.weights)):
        form.append(f"no {name}" if values is None else f"{name} {('N', *values.shape[1:])}".replace("'", ""))
    form.append("no names" if table.names is None else "names")
    return ", ".join(form)


def _files(path: str) -> List[str]:
    """The HDF5 files of a source, absolute."""
    try:
        if hdf5_start(path) is not None or path.lower().endswith((".h5", ".hdf5")):
            return [path]
        with regular_file.open_bytes(path) as stream:
            start = stream.read(4096)
        if b"\0" in start and not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise DataError(
                "it is neither an HDF5 file nor a text file with the path of an HDF5 file on each line",
                remedy="name an HDF5 file, or a list of such files",
                source=f"HDF5 source {path}",
            )
        files = [os.path.abspath(line.strip()) for _, line in text_table.lines(path, f"HDF5 source {path}")]
    except OSError as error:
        raise DataError(
            f"cannot read it: {error.strerror}",
            remedy="a relative path starts at the working directory",
            source=f"HDF5 source {path}",
        ) from error
    if not files:
        raise DataError("it has no records: the list is empty", source=f"HDF5 source {path}")
    return files


def write_hdf5(path: str, records: Iterable[Record]) -> int:
    """Write an HDF5 file; returns how many records. Either all images are encoded, or all are pixels of one shape.

    Rows are stored each by itself, so that one is read without the others. Nothing is left behind if it breaks off.
    Raises DataError where something of that name is there already, or a record differs from those before it.
    """
    import h5py

    require_absent(path)
    columns = Columns(path)
    with output_file(path) as partial, Disk(partial) as disk, h5py.File(disk, "w") as file:
        data, pending = None, []  # the last are rows that are not written yet
        first: np.ndarray = np.empty(0)
        for count, record in enumerate(records):
            disk.check()
            image = record.image if isinstance(record.image, np.ndarray) else np.frombuffer(record.image, np.uint8)
            row = image.transpose(2, 0, 1) if image.ndim == 3 else image
            if data is None:
                data, first = _dataset(file, row), row
            if row.ndim != first.ndim or (row.ndim == 3 and (row.shape, row.dtype) != (first.shape, first.dtype)):
                raise DataError(
                    f"record {count} is {_words(image)}, different from those before it: either all images are encoded, or all "
                    "are pixels of one type and shape",
                    source=path,
                )
            pending.append(row)
            if len(pending) * row.nbytes > _BYTES_AT_ONCE or len(pending) == _ROWS_AT_ONCE:
                _append(data, pending)
                pending = []
            columns.add(record)
        if pending:
            _append(data, pending)
        for name, values in (("label", columns.labels), ("sample_weight", columns.weights)):
            if values is not None:
                file.create_dataset(name, data=values, track_times=False)
        if columns.names is not None:
            _write_names(file, columns.names)
        file.close()
        disk.check()
    return len(columns)


def _append(data: Any, rows: List[np.ndarray]) -> None:
    """Write rows behind those that a data set has."""
    start = len(data)
    data.resize(start + len(rows), 0)
    if rows[0].ndim == 3:
        write_rows(data, start, np.stack(rows))
        return
    objects = np.empty(len(rows), data.dtype)
    for number, row in enumerate(rows):
        objects[number] = row
    write_rows(data, start, objects)


def write_rows(data: Any, start: int, rows: np.ndarray) -> None:
    """Write rows into a data set. Assigned by h5py, those of variable length would become a table if all had one length."""
    import h5py

    place = data.id.get_space()
    place.select_hyperslab((start, *[0] * (rows.ndim - 1)), rows.shape)
    data.id.write(h5py.h5s.create_simple(rows.shape), place, np.ascontiguousarray(rows), h5py.h5t.py_create(data.dtype))


class Disk(io.FileIO):
    """The file that h5py writes to, which takes whatever is written, and afterwards says what went wrong.

    libhdf5, once told that the disk is full, cannot close its file, and crashes when the program ends.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, "w+")
        self._error: Optional[OSError] = None

    def check(self) -> None:
        """Raise the OSError that there was."""
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        size, written = len(data), 0
        try:
            while self._error is None and written < size:
                written += super().write(data[written:])
        except OSError as error:
            self._error = error
        return size

    def truncate(self, size: Optional[int] = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self._error = error
            return self.tell()


def _write_names(file: Any, names: Names) -> None:
    """Some at a time: a million strings take more memory than all else."""
    import h5py

    data = file.create_dataset("name", (len(names),), h5py.string_dtype(), track_times=False)
    for start in range(0, len(names), _NAMES_AT_ONCE):
        stop = min(start + _NAMES_AT_ONCE, len(names))
        data[start:stop] = [names[number] for number in range(start, stop)]


def _dataset(file: Any, row: np.ndarray) -> Any:
    """The empty data set for rows like the first."""
    import h5py

    if row.ndim == 1:
        bytes_of_any_number = h5py.vlen_dtype(np.uint8)
        return file.create_dataset(
            "data", (0,), bytes_of_any_number, maxshape=(None,), chunks=(1024,), track_times=False
        )
    if row.dtype not in (np.uint8, np.float32):
        raise DataError(_words(row), remedy="uint8 or float32 is allowed", source=file.filename)
    return file.create_dataset(
        "data", (0, *row.shape), row.dtype, maxshape=(None, *row.shape), chunks=(1, *row.shape), track_times=False
    )


def _words(image: np.ndarray) -> str:
    return "an encoded image" if image.ndim == 1 else f"an image of type {image.dtype} and shape {image.shape}"
