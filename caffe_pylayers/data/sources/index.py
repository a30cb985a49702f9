"""The index of a large source, kept in a file so that the next run does not read the source again for it.

The file lies beside the source, `train_lmdb.caffe_pylayers.npz`, or, where that cannot be written, in
`${XDG_CACHE_HOME:-~/.cache}/caffe_pylayers/index/`; where neither can, there is none. It may be deleted at any time.
"""

import contextlib
import fcntl
import hashlib
import os
from dataclasses import dataclass
from typing import Callable, List, Optional, Tuple

import numpy as np

from caffe_pylayers.data.sources.base import Names

#: Smaller sources are read faster than they are worth a file.
FEWEST_RECORDS = 10_000

_VERSION = 1


@dataclass(frozen=True)
class Index:
    """Names of the records; labels int32 (N,), or (N, L) padded with -1, or None where they have none."""

    names: Names
    labels: Optional[np.ndarray]


def cached(path: str, stamp: Tuple[int, ...], build: Callable[[], Index]) -> Index:
    """The index of the source at `path` (a real one, without links) from its file, or else built, and written there.

    stamp: whatever changes when the source does; a file that was written under another one is not read.
    """
    places = _places(path)
    for place in places:
        index = _read(place, stamp)
        if index is not None:
            return index
    index = build()
    for place in places:
        with contextlib.suppress(OSError):  # read-only, or full
            os.makedirs(os.path.dirname(place), exist_ok=True)
            _write(place, stamp, index)
            break
    return index


def _places(path: str) -> List[str]:
    """Where the file may lie, the better place first."""
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    return [f"{path}.caffe_pylayers.npz", os.path.join(folder, "caffe_pylayers", "index", f"{name}.npz")]


def _stamp(stamp: Tuple[int, ...]) -> np.ndarray:
    return np.array([_VERSION, *stamp], np.int64)


def _read(place: str, stamp: Tuple[int, ...]) -> Optional[Index]:
    try:
        with open(place, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            if not np.array_equal(file["stamp"], _stamp(stamp)):
                return None
            names = Names.of(file["names"].tobytes(), file["ends"])
            return Index(names, file.get("labels"))
    except Exception:  # it is not there, or damaged: zipfile and NumPy raise a dozen kinds then; its checksums tell
        return None


def _write(place: str, stamp: Tuple[int, ...], index: Index) -> None:
    """Write all of it or nothing. OSError where it cannot be written.

    One name for the unfinished file, locked by its writer: what a killed one left is written over by the next.
    """
    packed, ends = index.names.arrays()
    arrays = {"stamp": _stamp(stamp), "names": np.frombuffer(packed, np.uint8), "ends": ends}
    if index.labels is not None:
        arrays["labels"] = index.labels
    partial = f"{place}.partial"
    with open(os.open(partial, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = os.path.samestat(os.fstat(file.fileno()), os.stat(partial))
        except (BlockingIOError, FileNotFoundError):
            ours = False
        if not ours:  # another process writes the same, or has just done it
            return
        try:
            file.truncate()
            np.savez(file, **arrays)
            file.flush()
            os.replace(partial, place)
        except BaseException:
            os.remove(partial)
            raise
