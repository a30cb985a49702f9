"""The file of a cache on disk: a head, a table of where each record lies, the records one after the other.

One run writes it, the one that holds its lock; others read what is whole. It may be deleted at any time.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import struct
import time
import weakref
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.data.cache.entry import Part, check_sum

#: Where a file cannot be opened for writing, but maybe for reading.
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
#: Name and version of the format, what the records were made of, how many they are.
_HEAD = struct.Struct("<24s32sq")
_FORMAT = b"caffe_pylayers cache 1"
_PAGE = 4096
_ROW = struct.Struct("<3q")
_PATIENCE = 1.0  # seconds that the workers of a run that was killed may take to end


class CacheFile:
    """The file, open. Pickles for workers, which inherit its descriptor; it goes with this object. writable: whether this run writes it."""

    def __init__(self, path: str, fd: int, count: int, writable: bool) -> None:
        self._end = weakref.finalize(self, os.close, fd)
        self.path, self.fd, self.count, self.writable = path, fd, count, writable
        self.first = _PAGE + -(-_ROW.size * count // _PAGE) * _PAGE

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "_end": None}

    @property
    def used(self) -> int:
        """Bytes."""
        return os.fstat(self.fd).st_size

    def free(self) -> int:
        """Bytes that its disk has free, also where it has lost its name."""
        return shutil.disk_usage(self.fd).free

    def table(self) -> np.ndarray:
        """Where each record lies: offset (0: nowhere), size, sum; int64 (N, 3)."""
        found = read_at(self.fd, _PAGE, _ROW.size * self.count)
        if found is None:
            return np.zeros((self.count, 3), np.int64)
        table = np.frombuffer(found, np.int64).reshape(-1, 3)
        good = (table[:, 0] >= self.first) & (table[:, 1] > 0) & (table[:, 1] <= self.used - table[:, 0])
        return np.where(good[:, None], table, 0)

    def entry(self, record: int) -> Tuple[int, int, int]:
        """A row of the table as it is now."""
        found = read_at(self.fd, _PAGE + _ROW.size * record, _ROW.size)
        offset, size, total = (0, 0, 0) if found is None else _ROW.unpack(found)
        return (offset, size, total) if offset >= self.first and 0 < size <= self.used - offset else (0, 0, 0)

    def write(self, record: int, parts: List[Part], offset: int) -> int:
        """Write a record, and then where it lies. Returns its sum. OSError where that cannot be."""
        write_at(self.fd, parts, offset)
        total = check_sum(parts)
        write_at(self.fd, [_ROW.pack(offset, sum(map(len, parts)), total)], _PAGE + _ROW.size * record)
        return total


def read_at(fd: int, offset: int, size: int) -> Optional[memoryview]:
    """So many bytes of a file; None where they cannot be read."""
    found = np.empty(size, np.uint8)
    try:
        return found.data.toreadonly() if os.preadv(fd, [found.data], offset) == size else None
    except OSError:
        return None


def write_at(fd: int, parts: Sequence[Part], offset: int) -> None:
    """Write all of it into a file. OSError where only a part can be."""
    written, size = os.pwritev(fd, parts, offset), sum(map(len, parts))
    if written != size:
        os.pwrite(fd, b"\0", offset + written)  # which says why
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def opened(places: Sequence[str], made_of: bytes, count: int) -> Tuple[Optional[CacheFile], str]:
    """The file at the first of the places where there is one or can be one, and, without one, why not.

    The folder of the first is there. made_of: a hash, 32 bytes, of all that a record depends on; a file with another one is replaced.
    """
    why = ""
    for place in places:
        try:
            if place != places[0]:
                os.makedirs(os.path.dirname(place), exist_ok=True)
            return _at(place, made_of, count), ""
        except OSError as error:
            why = why or f"{place}: {error.strerror}"
    return None, why


def _at(path: str, made_of: bytes, count: int) -> CacheFile:
    """The file at a place. OSError where there can be none."""
    head = _HEAD.pack(_FORMAT, made_of, count)
    while True:
        fd, may_write = _descriptor(path)
        file = CacheFile(path, fd, count, writable=False)  # which closes it in any case
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EEXIST, "it is there already, and is no file")
        file.writable = may_write and _locked(fd)
        found = os.pread(fd, _HEAD.size, 0)
        if found == head:
            return file
        if any(found) and not found.startswith(_FORMAT[:-2]):
            raise OSError(errno.EEXIST, "it is there already, and is no cache")
        if not may_write:
            raise OSError(errno.EACCES, "it is of another version of the source, and cannot be replaced")
        if not file.writable:
            raise OSError(errno.EBUSY, "another run, or another layer, keeps another version of the source there")
        if not any(found):  # new, or what a power cut has left
            os.ftruncate(fd, 0)
            write_at(fd, [head], 0)
            return file
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), os.stat(path)):  # nobody else has replaced it meanwhile
                os.unlink(path)


def _descriptor(path: str) -> Tuple[int, bool]:
    """Of the file there, which is made where there is none, and whether one may write to it."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a link is somebody else's, and a pipe must not wait
    with contextlib.suppress(FileExistsError):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | flags, 0o666), True
    try:
        return os.open(path, os.O_RDWR | flags), True
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
    return os.open(path, os.O_RDONLY | flags), False


def _locked(fd: int) -> bool:
    """Whether this run has the lock from now on, for as long as it or one of its workers lives. OSError where there are no locks."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
        time.sleep(0.02)
