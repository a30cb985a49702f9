"""LMDB: Caffe's own database of Datums, as convert_imageset writes it (raw pixels, or encoded images)."""

import contextlib
import os
import shutil
import threading
from array import array
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union, cast

import lmdb
import numpy as np
from tqdm import tqdm

from caffe_pylayers.data.datum import Buffer, Datum, read_datum, read_labels, write_datum
from caffe_pylayers.data.memory import available_bytes
from caffe_pylayers.data.sources.base import Image, Names, Source, interleaved, padded
from caffe_pylayers.data.sources.index import FEWEST_RECORDS, Index, cached
from caffe_pylayers.data.sources.records import Record
from caffe_pylayers.errors import DataError

#: Of what is written: bytes that are kept in memory; and a key has 511, of which nine are the number and a _.
_BYTES_A_TRANSACTION, _LONGEST_NAME = 16 << 20, 502


@dataclass
class _Database:
    """An open LMDB. version: its inode and size; readers: transactions that are under way in it."""

    environment: Any
    version: Tuple[int, int]
    readers: int = 0


#: By process, since an environment must not be used across a fork, and by place: py-lmdb refuses to open one database
#: twice in a process, and TRAIN and TEST nets may share one.
_open_databases: Dict[Tuple[int, str], _Database] = {}
_locks: Dict[int, threading.Lock] = {}


class LMDBSource(Source):
    """A database of Datums; records in the order of its keys, labels from the Datums.

    Nothing is written to it, not even to its lock file; the index of a large one is kept beside it (see `index`).
    Raises DataError where it is none, is empty, or a record is no Datum (with its key).
    """

    def __init__(self, path: str) -> None:
        self._place = os.path.realpath(path)
        index = _index(path, self._place)
        super().__init__(path, index.names, index.labels)

    def read(self, record: int) -> Image:
        with _reading(self.path, self._place) as transaction:
            value = transaction.get(self.names[record])
            if value is None:
                raise DataError(f"{self.describe(record)}: it is gone; was the database changed while in use?")
            try:
                datum = read_datum(value)
                # The buffers of LMDB end with the transaction.
                return bytes(datum.data) if datum.encoded else interleaved(datum.raw())
            except DataError as error:
                raise DataError(f"{self.describe(record)}: {error}") from error


def read_table(path: str) -> Tuple[Names, np.ndarray]:
    """What an LMDB of labels or weights holds: its keys, and the numbers of each Datum, float64 (N, L).

    The numbers are the float_data of a Datum if there are any, else its raw data, else its label or labels. Rows are
    padded with NaN where Datums have unlike many. Raises DataError where it is no such LMDB (with the key).
    """
    with _reading(path, os.path.realpath(path), once=True) as transaction:
        names, counts, numbers = _walk(path, transaction, _numbers, array("d"))
    if not len(names):
        raise DataError(f"LMDB source {path}: it has no records")
    return names, padded(numbers, counts, np.nan).reshape(len(names), -1)


def read_ends(path: str) -> List[Tuple[str, Datum]]:
    """The first and the last record of an LMDB, as messages name them. Raises DataError where one is no Datum."""
    found = []
    with _reading(path, os.path.realpath(path), once=True) as transaction:
        cursor, entries = transaction.cursor(), transaction.stat()["entries"]
        for number, there in ((0, cursor.first), (entries - 1, cursor.last)):
            if not there():
                raise DataError(f"LMDB source {path}: it has no records")
            name = f"LMDB source {path}: record {number} ({_text(bytes(cursor.key()))})"
            try:
                found.append((name, read_datum(bytes(cursor.value()))))
            except DataError as error:
                raise DataError(f"{name}: {error}") from error
    return found


def write_lmdb(path: str, records: Iterable[Union[Datum, Record]]) -> int:
    """Write Datums, or records as Datums, into a new LMDB; returns how many.

    Keys are 00000000, 00000001, ..., and with the name of a record as convert_imageset has it, 00000000_cat.jpg. Weights
    are not kept. Nothing is left behind if it breaks off. Raises DataError where something of that name is there already.
    """
    if os.path.exists(path):
        raise DataError(f"{path} is there already; remove it, or write to another name")
    partial = f"{path}.partial-{os.getpid()}"
    try:
        with lmdb.open(partial, map_size=1 << 40, sync=False, lock=False) as environment:
            count = _put_all(environment, path, records)
            environment.sync(True)
        os.rename(partial, path)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, lmdb.Error):
            raise DataError(f"{path}: cannot write it: {error}; is the disk full?") from error
        raise
    return count


def _put_all(environment: Any, path: str, records: Iterable[Union[Datum, Record]]) -> int:
    """Some at a time, for a transaction is kept in memory."""
    count, pending, left = 0, iter(records), True
    while left:
        with environment.begin(write=True) as transaction:
            size, left = 0, False
            for record in pending:
                key = b"%08d" % count
                if isinstance(record, Record):
                    key, record = key + _behind_number(path, record, count), datum_of(record)
                value = write_datum(record)
                transaction.put(key, value, append=True)
                count, size = count + 1, size + len(value)
                left = size >= _BYTES_A_TRANSACTION
                if left:
                    break
    return count


def _behind_number(path: str, record: Record, number: int) -> bytes:
    """What a key has behind the number of a record."""
    name = record.name.encode("utf-8", "surrogateescape")
    if len(name) > _LONGEST_NAME:
        raise DataError(
            f"{path}: record {number} has a name of {len(name)} bytes, {record.name[:60]!r}...; a key of an LMDB holds "
            f"{_LONGEST_NAME} of them behind the number"
        )
    return b"_" + name if name else b""


def datum_of(record: Record) -> Datum:
    """The Datum of a record, as convert_imageset makes it."""
    label = record.labels[0] if len(record.labels) == 1 else record.labels or None
    if not isinstance(record.image, np.ndarray):
        return Datum(record.image, label, encoded=True)
    planes = np.ascontiguousarray(record.image.transpose(2, 0, 1))
    channels, height, width = planes.shape
    if planes.dtype == np.uint8:
        return Datum(planes.reshape(-1).data, label, channels, height, width)
    return Datum(b"", label, channels, height, width, float_data=planes.reshape(-1))


def _index(path: str, place: str) -> Index:
    file = _stat(path)  # before its records are read: what is written meanwhile makes another stamp
    with _reading(path, place, once=True) as transaction:
        entries = transaction.stat()["entries"]
        stamp = (file.st_size, file.st_mtime_ns, file.st_ino, entries, transaction.id())
        if entries < FEWEST_RECORDS:
            return _labels(path, transaction)
        return cached(place, stamp, lambda: _labels(path, transaction))


def _labels(path: str, transaction: Any) -> Index:
    names, counts, labels = _walk(path, transaction, read_labels, array("i"))
    if not counts.any():
        return Index(names, None)
    if not counts.all():
        number = int(np.argmin(counts))
        raise DataError(
            f"LMDB source {path}: record {number} ({_text(names[number])}) has no label, others have; "
            f"write it again with one"
        )
    return Index(names, padded(labels, counts, -1))


def _walk(
    path: str, transaction: Any, numbers_of: Callable[[Buffer], Sequence[float]], numbers: "array[Any]"
) -> Tuple[Names, np.ndarray, np.ndarray]:
    """Keys of all records, how many numbers each has (N,), and the numbers one after the other.

    Values are views of the file, never copied. (py-lmdb touches every page of a value that it hands out, so that a
    large database comes from the disk once, as fast as that reads.)
    """
    packed, ends, counts = bytearray(), array("q"), array("i")
    entries, longest = transaction.stat()["entries"], 1
    records = transaction.cursor()
    if entries >= FEWEST_RECORDS:
        records = tqdm(records, desc=f"indexing {path}", total=entries, unit="records", disable=None)
    for key, value in records:
        try:
            found = numbers_of(value)
            if len(found) > longest:
                longest = len(found)
                _fit(longest, entries, numbers.itemsize)
        except DataError as error:
            raise DataError(f"LMDB source {path}: record {len(counts)} ({_text(bytes(key))}): {error}") from error
        packed += key
        ends.append(len(packed))
        counts.append(len(found))
        numbers.extend(found)
    return Names.of(bytes(packed), np.array(ends, np.int64)), np.array(counts), np.array(numbers)


def _fit(longest: int, entries: int, itemsize: int) -> None:
    """One record with many numbers makes the rows of all records long."""
    size = longest * entries * (itemsize + 1)
    if size > available_bytes():
        raise DataError(
            f"{longest} labels, and rows of as many for {entries} records take {size / 1e6:.0f} MB, more than is free; "
            f"is it damaged, or an image?"
        )


def _numbers(buffer: Buffer) -> Sequence[float]:
    """What a Datum of a label or weight LMDB says."""
    datum = read_datum(buffer)
    if datum.float_data is not None:
        return cast(List[float], datum.float_data.tolist())
    if datum.encoded and datum.label is None:
        raise DataError("an encoded image without a label, where labels or weights are looked for")
    return datum.labels if datum.encoded or not len(datum.data) else list(datum.data)


def _text(key: bytes) -> str:
    return f"'{key.decode(errors='backslashreplace')}'"


def _stat(path: str) -> os.stat_result:
    try:
        return os.stat(os.path.join(path, "data.mdb") if os.path.isdir(path) else path)
    except OSError as error:
        raise DataError(
            f"LMDB source {path}: cannot read it: {error.strerror}; `source` is relative to the working directory"
        ) from error


@contextlib.contextmanager
def _reading(path: str, place: str, once: bool = False) -> Iterator[Any]:
    """A transaction that reads, whose buffers are views of the file and end with it.

    place: the real path, without links. once: close the database afterwards; until then all that was looked at of it
    counts as memory of this process.
    """
    key = os.getpid(), place
    lock = _locks.setdefault(os.getpid(), threading.Lock())
    try:
        with lock:
            file = _stat(path)
            version = file.st_ino, file.st_size
            database = _open_databases.get(key)
            if database is None or database.version != version:  # not open, or written anew
                _close(_open_databases.pop(key, None))
                database = _open_databases[key] = _Database(_open(path, file.st_size), version)
            database.readers += 1
        try:
            with database.environment.begin(buffers=True) as transaction:
                yield transaction
        finally:
            with lock:
                database.readers -= 1
                if once and database.readers == 0 and _open_databases.get(key) is database:
                    del _open_databases[key]
                if _open_databases.get(key) is not database:
                    _close(database)
    except lmdb.Error as error:
        raise DataError(f"LMDB source {path}: it is not an LMDB, or damaged: {error}") from error


def _close(database: Optional[_Database]) -> None:
    """Close what nobody reads any more: another thread's buffers are views of it."""
    if database is not None and database.readers == 0:
        database.environment.close()


def _open(path: str, size: int) -> Any:
    environment = lmdb.open(path, subdir=os.path.isdir(path), readonly=True, lock=False, max_spare_txns=4)
    promised = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if size < promised:  # to touch what is not there would kill the process (SIGBUS)
        environment.close()
        raise DataError(
            f"LMDB source {path}: its header promises {promised} bytes but the file has {size}; was the copy cut short?"
        )
    return environment
