"""LMDB: Caffe's own database of Datums, as convert_imageset writes it (raw pixels, or encoded images)."""

import os
from typing import Any, Dict, Iterable, List, Optional, Tuple

import lmdb
import numpy as np

from caffe_pylayers.data.datum import Datum, read_datum, write_datum
from caffe_pylayers.data.sources.base import Image, Names, Source
from caffe_pylayers.errors import DataError

#: py-lmdb refuses to open one path twice in a process, and TRAIN and TEST nets may share one. Keyed by the process
#: too, since an environment must not be used across a fork. The inode tells a database that was written anew.
_environments: Dict[Tuple[int, str], Tuple[int, Any]] = {}


class LMDBSource(Source):
    """A database of Datums; records in the order of its keys, labels from the Datums.

    Nothing is written to it, not even to its lock file. Raises DataError where it is none, is empty, or a record is
    no Datum (with its key).
    """

    def __init__(self, path: str) -> None:
        keys: List[bytes] = []
        labels: List[Optional[int]] = []
        with _environment(path).begin(buffers=True) as transaction:
            for key, value in transaction.cursor():
                keys.append(bytes(key))
                try:
                    labels.append(read_datum(value).label)
                except DataError as error:
                    raise DataError(f"LMDB source {path}: record {len(labels)} ({_text(keys[-1])}): {error}") from error
        if any(label is None for label in labels) and any(label is not None for label in labels):
            number = labels.index(None)
            raise DataError(
                f"LMDB source {path}: record {number} ({_text(keys[number])}) has no label, others have; "
                f"write it again with one"
            )
        super().__init__(path, Names(keys), None if not labels or labels[0] is None else np.array(labels, np.int64))

    def read(self, record: int) -> Image:
        with _environment(self.path).begin(buffers=True) as transaction:
            value = transaction.get(self.names[record])
            if value is None:
                raise DataError(f"{self.describe(record)}: it is gone; was the database changed while in use?")
            try:
                datum = read_datum(value)
                # The buffers of LMDB end with the transaction.
                return bytes(datum.data) if datum.encoded else datum.raw().transpose(1, 2, 0).copy()
            except DataError as error:
                raise DataError(f"{self.describe(record)}: {error}") from error


def write_lmdb(path: str, data: Iterable[Datum]) -> int:
    """Write Datums under keys 00000000, 00000001, ... into a new LMDB; returns how many.

    Nothing is left behind if it breaks off. Raises DataError where something of that name is there already.
    """
    if os.path.exists(path):
        raise DataError(f"{path} is there already; remove it, or write to another name")
    partial = f"{path}.partial-{os.getpid()}"
    environment = lmdb.open(partial, map_size=1 << 40, sync=False, lock=False)
    try:
        count = 0
        with environment.begin(write=True) as transaction:
            for count, datum in enumerate(data, 1):
                transaction.put(b"%08d" % (count - 1), write_datum(datum), append=True)
        environment.sync(True)
        environment.close()
        os.rename(partial, path)
    except BaseException:
        environment.close()
        for name in os.listdir(partial):
            os.remove(os.path.join(partial, name))
        os.rmdir(partial)
        raise
    return count


def _text(key: bytes) -> str:
    return f"'{key.decode(errors='backslashreplace')}'"


def _environment(path: str) -> Any:
    place = (os.getpid(), os.path.realpath(path))
    subdir = os.path.isdir(path)
    try:
        inode = os.stat(os.path.join(path, "data.mdb") if subdir else path).st_ino
    except OSError as error:
        raise DataError(
            f"LMDB source {path}: cannot read it: {error.strerror}; `source` is relative to the working directory"
        ) from error
    if place in _environments and _environments[place][0] != inode:
        _environments.pop(place)[1].close()
    if place not in _environments:
        try:
            opened = lmdb.open(path, subdir=subdir, readonly=True, lock=False, max_spare_txns=4)
        except lmdb.Error as error:
            raise DataError(f"LMDB source {path}: it is not an LMDB: {error}") from error
        _environments[place] = inode, opened
    return _environments[place][1]
