"""The index of a large source, kept in a file so that the next run does not read the source again for it.

The file lies beside the source, `train_lmdb.caffe_pylayers.npz`, or, where that cannot be written, in
`${XDG_CACHE_HOME:-~/.cache}/caffe_pylayers/index/`; where neither can, there is none. It may be deleted at any time.
"""

import contextlib
import fcntl
import glob
import hashlib
import os
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.data.sources.base import Names
from caffe_pylayers.files.output_file import output_file

#: Smaller sources are read faster than they are worth a file.
FEWEST_RECORDS = 10_000

_VERSION = 2


@dataclass(frozen=True)
class Index:
    """Of all records: names; labels int32 (N,), or (N, L) padded with -1, or None where they have none; and where
    in the file each lies, offsets int64 (N,) and sizes uint32 (N,).

    shorter: the first record that has fewer labels than another, or None.
    """

    names: Names
    labels: Optional[np.ndarray]
    offsets: np.ndarray
    sizes: np.ndarray
    shorter: Optional[int] = None


def cached(
    path: str, stamp: Tuple[int, ...], build: Callable[[], Index], worth_it: Callable[[], bool] = lambda: True
) -> Index:
    """The index of the source at `path` (a real one, without links) from its file, or else built, and written there.

    stamp: whatever changes when the source does; a file that was written under another one is not read. worth_it: asked
    once it is built whether it may be written.
    """
    places = _places(path)
    for place in places:
        index = _read(place, stamp)
        if index is not None:
            return index
    index = build()
    for place in places if worth_it() else []:
        with contextlib.suppress(OSError):  # read-only, or full
            os.makedirs(os.path.dirname(place), exist_ok=True)
            _write(place, stamp, index)
            break
    return index


def _places(path: str) -> List[str]:
    """Where the file may lie, the better place first."""
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    return [f"{path}.caffe_pylayers.npz", os.path.join(cache_folder("index"), f"{name}.npz")]


def cache_folder(name: str) -> str:
    """The folder of that name among the caches of the user's."""
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(caches, "caffe_pylayers", name)


def _stamp(stamp: Tuple[int, ...]) -> np.ndarray:
    return np.array([_VERSION, *stamp], np.int64)


def _read(place: str, stamp: Tuple[int, ...]) -> Optional[Index]:
    try:
        with regular_file.open_bytes(place) as stream, np.load(stream, allow_pickle=False) as file:
            # Ours are never compressed: a small file that unpacks to a large one is somebody else's.
            size = os.fstat(stream.fileno()).st_size
            if sum(member.file_size for member in file.zip.infolist()) > size:
                return None
            if not np.array_equal(file["stamp"], _stamp(stamp)):
                return None
            names = Names.of(file["names"].tobytes(), file["ends"])
            shorter = int(file["shorter"]) if "shorter" in file else None
            return Index(names, file.get("labels"), file["offsets"], file["sizes"], shorter)
    except Exception:  # it is not there, or damaged: zipfile and NumPy raise a dozen kinds then; its checksums tell
        return None


def _write(place: str, stamp: Tuple[int, ...], index: Index) -> None:
    """Write all of it or nothing. OSError where it cannot be written."""
    packed, ends = index.names.arrays()
    arrays: Dict[str, Any] = {"stamp": _stamp(stamp), "names": np.frombuffer(packed, np.uint8), "ends": ends}
    arrays.update(offsets=index.offsets, sizes=index.sizes)
    if index.labels is not None:
        arrays["labels"] = index.labels
    if index.shorter is not None:
        arrays["shorter"] = np.array(index.shorter)
    _remove_unfinished(place)
    with contextlib.ExitStack() as held, output_file(place) as partial:
        file = held.enter_context(open(partial, "xb"))
        fcntl.flock(file, fcntl.LOCK_EX)  # by which it is told from what a killed process left, until it has its name
        np.savez(file, **arrays)
        file.flush()


def _remove_unfinished(place: str) -> None:
    """Remove what processes left that were killed while they wrote."""
    for name in glob.glob(f"{glob.escape(place)}.partial-*"):
        with contextlib.suppress(OSError), regular_file.open_bytes(name) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.remove(name)
