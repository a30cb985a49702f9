"""LMDB: Caffe's own database of Datums, as convert_imageset writes it (raw pixels, or encoded images)."""

import contextlib
import os
from array import array
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union, cast

import numpy as np
from tqdm import tqdm

from caffe_pylayers.caffe_files.datum import Buffer, Datum, read_datum, read_labels, span_of_data, write_datum
from caffe_pylayers.data.sources.base import Image, Names, Source, first_shorter, interleaved, padded
from caffe_pylayers.data.sources.index import FEWEST_RECORDS, Index, cached
from caffe_pylayers.data.sources.lmdb_pages import Root, explained, read_leaves, read_root, require_transaction
from caffe_pylayers.data.sources.records import Record, has_values
from caffe_pylayers.data.sources.storage import File, Stretches
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.output_file import output_file, require_absent
from caffe_pylayers.processes.memory import available_bytes

#: Of what is written: bytes that are kept in memory; and a key has 511, of which nine are the number and a _.
_BYTES_A_TRANSACTION, _LONGEST_NAME = 16 << 20, 502

#: The complaint about a record without a label among others that have one. Caffe reads a 0 there.
NO_LABEL = "it has no label, but others have one"


class LMDBSource(Source):
    """A database of Datums; records in the order of its keys, labels from the Datums.

    Nothing is written to it, not even to its lock file; the index of a large one is kept beside it (see `index`). Of a
    database that is changed meanwhile, by another process or this one, no record is read any more: the pages may be written over.
    tolerant: records that are no Datums, or lack the label that others have, are for `read` to complain about; their
    label is -1.
    Raises DataError where it is none, is empty, or a record is no Datum (with its key).
    """

    @classmethod
    def open(cls, path: str, **options: Any) -> "LMDBSource":
        return cls(path, options["tolerant"])

    def __init__(self, path: str, tolerant: bool = False) -> None:
        with _errors_of(path):
            self._file = _file(path)
            self._root = read_root(self._file)
            index, damaged = _index(path, self._file, self._root, tolerant)
        self._rows = Stretches(self._file, index.offsets, index.sizes)
        super().__init__(path, index.names, index.labels)
        self.shorter, self.damaged = index.shorter, damaged

    def files(self) -> Iterator[str]:
        yield from {self.path: None, self._file.path: None}

    def version(self) -> Iterator[object]:
        yield self._file.version
        yield self._root.transaction

    def close(self) -> None:
        self._rows.close()

    def read(self, record: int) -> Image:
        if record in self.damaged:
            raise self.damaged[record].within(self.describe(record), record)
        try:
            datum = read_datum(self._rows.row(record))
            require_transaction(self._file, self._root)
            return datum.data if datum.encoded else interleaved(datum.raw())
        except DataError as error:
            raise explained(error, self._file, self._root).within(self.describe(record), record) from error


def read_table(path: str) -> Tuple[Names, np.ndarray]:
    """What an LMDB of labels or weights holds: its keys, and the numbers of each Datum, float64 (N, L).

    The numbers are the float_data of a Datum if there are any, else its raw data, else its label or labels. Rows are
    padded with NaN where Datums have different counts. Raises DataError where it is no such LMDB (with the key).
    """
    with _errors_of(path):
        file = _file(path)
        root = read_root(file)
        walk = _Walk(path, file, root, _numbers, lambda start: (0, 0), array("d"))
        return walk.names, padded(walk.numbers, walk.counts, np.nan).reshape(len(walk.names), -1)


def write_lmdb(path: str, records: Iterable[Union[Datum, Record]]) -> int:
    """Write Datums, or records as Datums, into a new LMDB; returns how many.

    Keys are 00000000, 00000001, ..., and with the name of a record as convert_imageset has it, 00000000_cat.jpg. Weights
    are not kept. Nothing is left behind if it breaks off. Raises DataError where something of that name is there already.
    """
    import lmdb  # here, since reading does without

    require_absent(path)
    try:
        with output_file(path) as partial:
            os.mkdir(partial)
            with lmdb.open(partial, map_size=1 << 40, sync=False, lock=False) as environment:
                count = _put_all(environment, path, records)
                environment.sync(True)
    except lmdb.Error as error:
        raise DataError(
            f"cannot write it: {error}",
            remedy="is the disk full, or the size of a file limited (`ulimit -f`)?",
            source=path,
        ) from error
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
                    _require_integers(path, record, count)
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
            f"record {number} has a name of {len(name)} bytes, {record.name[:60]!r}...",
            remedy=f"an LMDB key holds at most {_LONGEST_NAME} bytes after the number",
            source=path,
        )
    return b"_" + name if name else b""


def _require_integers(path: str, record: Record, number: int) -> None:
    if has_values(record):
        raise DataError(
            f"record {number} has labels {record.labels}, but labels of a Datum are integers",
            remedy="write them into a .npy file, and name it with option 'labels'",
            source=path,
        )


def datum_of(record: Record) -> Datum:
    """The Datum of a record, whose labels are integers, as convert_imageset makes it."""
    label: Any = record.labels[0] if len(record.labels) == 1 else record.labels or None
    if not isinstance(record.image, np.ndarray):
        return Datum(record.image, label, encoded=True)
    planes = np.ascontiguousarray(record.image.transpose(2, 0, 1))
    channels, height, width = planes.shape
    if planes.dtype == np.uint8:
        return Datum(planes.reshape(-1).data, label, channels, height, width)
    return Datum(b"", label, channels, height, width, float_data=planes.reshape(-1))


def _index(path: str, file: File, root: Root, tolerant: bool) -> Tuple[Index, Dict[int, DataError]]:
    """The index, and what is wrong with records (number -> complaint), where that is tolerated."""
    damaged: Dict[int, DataError] = {}

    def build() -> Index:
        walk = _Walk(path, file, root, read_labels, span_of_data, array("i"), damaged if tolerant else None)
        labels = _labels(walk, damaged if tolerant else None)
        # A damaged record says nothing of how many labels it had.
        shorter = None if labels is None else first_shorter(np.where(walk.counts, walk.counts, walk.counts.max()))
        return Index(walk.names, labels, walk.offsets, walk.sizes, shorter)

    if root.entries < FEWEST_RECORDS:
        return build(), damaged
    # The transaction too: where pages are written through a map, the file keeps its time.
    stamp = (file.size, file.mtime_ns, file.inode, root.entries, root.transaction)
    place = os.path.dirname(file.path) if os.path.isdir(path) else file.path
    return cached(place, stamp, build, lambda: not damaged), damaged


def _labels(walk: "_Walk", damaged: Optional[Dict[int, DataError]]) -> Optional[np.ndarray]:
    """int32 (N,), or (N, L) padded with -1, or None where there are none. damaged: takes the records that have none."""
    if not walk.counts.any():
        return None
    for number in np.flatnonzero(walk.counts == 0).tolist():
        remedy = "write it again with a label"
        if damaged is None:
            name = f"record {number} ({_text(walk.names[number])})"
            raise DataError(f"{name}: {NO_LABEL}", remedy=remedy, record=number)
        damaged.setdefault(number, DataError(NO_LABEL, remedy=remedy))
    return padded(walk.numbers, walk.counts, -1)


class _Walk:
    """What a walk through all records finds.

    names: their keys. offsets int64 (N,), sizes uint32 (N,): where their values lie. counts: how many numbers each has (N,), and
    numbers, those of all, one after the other. damaged: takes complaints about records; None: the first is an error.
    """

    def __init__(
        self,
        path: str,
        file: File,
        root: Root,
        numbers_of: Callable[[Buffer], Sequence[float]],
        passed_over: Callable[[bytes], Tuple[int, int]],
        numbers: "array[Any]",
        damaged: Optional[Dict[int, DataError]] = None,
    ) -> None:
        packed, ends, counts = bytearray(), array("q"), array("i")
        offsets, sizes = array("q"), array("I")
        longest = 1
        quiet = None if root.entries >= FEWEST_RECORDS else True
        bar = tqdm(desc=f"indexing {path}", total=root.entries, unit="records", disable=quiet)
        with _unchanged(file, root), bar as progress:
            held = file.held()
            for leaf in read_leaves(held, root):
                for (key, offset, size), value in zip(leaf.records, leaf.values(held, passed_over)):
                    try:
                        found = numbers_of(value)
                        if len(found) > longest:
                            longest = len(found)
                            _fit(longest, root.entries, numbers.itemsize)
                    except DataError as error:
                        if damaged is None:
                            raise error.within(f"record {len(counts)} ({_text(key)})", len(counts)) from error
                        damaged[len(counts)], found = error.kept(), ()
                    offsets.append(offset)
                    sizes.append(size)
                    packed += key
                    ends.append(len(packed))
                    counts.append(len(found))
                    numbers.extend(found)
                progress.update(len(leaf.records))
        self.names = Names.of(bytes(packed), np.array(ends, np.int64))
        self.offsets, self.sizes = np.array(offsets), np.array(sizes)
        self.counts, self.numbers = np.array(counts), np.array(numbers)


def _fit(longest: int, entries: int, itemsize: int) -> None:
    """One record with many numbers makes the rows of all records long."""
    size = longest * entries * (itemsize + 1)
    if size > available_bytes():
        raise DataError(
            f"{longest} labels: rows of this length for {entries} records take {size / 1e6:.0f} MB, more than is free",
            remedy="is it damaged, or an image?",
        )


def _numbers(buffer: Buffer) -> Sequence[float]:
    """What a Datum of a label or weight LMDB says."""
    datum = read_datum(buffer)
    if datum.float_data is not None:
        return cast(List[float], datum.float_data.tolist())
    if datum.encoded and datum.label is None:
        raise DataError("an encoded image without a label, but labels or weights are expected")
    return datum.labels if datum.encoded or not len(datum.data) else list(datum.data)


def _text(key: bytes) -> str:
    return f"'{key.decode(errors='backslashreplace')}'"


def _file(path: str) -> File:
    try:
        return File.of(os.path.join(path, "data.mdb") if os.path.isdir(path) else path)
    except OSError as error:
        raise DataError(
            f"cannot read it: {error.strerror}", remedy="a relative path starts at the working directory"
        ) from error


@contextlib.contextmanager
def _unchanged(file: File, root: Root) -> Iterator[None]:
    """Raise a ChangedSourceError at the end where the file is another one by then, whatever error came of it."""
    try:
        yield
    finally:
        require_transaction(file, root)


@contextlib.contextmanager
def _errors_of(path: str) -> Iterator[None]:
    """Put the name of the source in front of errors."""
    try:
        yield
    except DataError as error:
        raise error.within(f"LMDB source {path}") from error
