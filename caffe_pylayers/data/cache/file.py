"""The file of a cache on disk: a head, a table of where each record lies, the records one after the other.

One run writes it, the one that holds its lock; others read what is whole. It may be deleted at any time.
"""

import errno
import fcntl
import os
import stat
import struct
import time
import weakref
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from caffe_pylayers.data.cache.entry import Part, check_sum

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
        self._buffer = bytearray()

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "_buffer": bytearray(), "_end": None}

    @property
    def used(self) -> int:
        """Bytes."""
        return os.fstat(self.fd).st_size

    def table(self) -> np.ndarray:
        """Where each record lies: offset (0: nowhere), size, sum; int64 (N, 3)."""
        found = os.pread(self.fd, _ROW.size * self.count, _PAGE)
        if len(found) < _ROW.size * self.count:
            return np.zeros((self.count, 3), np.int64)
        table = np.frombuffer(found, np.int64).reshape(-1, 3)
        size = os.fstat(self.fd).st_size
        good = (table[:, 0] >= self.first) & (table[:, 1] > 0) & (table[:, 1] <= size - table[:, 0])
        return np.where(good[:, None], table, 0)

    def entry(self, record: int) -> Tuple[int, int, int]:
        """A row of the table as it is now."""
        found = os.pread(self.fd, _ROW.size, _PAGE + _ROW.size * record)
        offset, size, total = _ROW.unpack(found) if len(found) == _ROW.size else (0, 0, 0)
        return (offset, size, total) if offset >= self.first and size > 0 else (0, 0, 0)

    def read(self, offset: int, size: int) -> Optional[memoryview]:
        """So many bytes, valid until the next call; None where they cannot be read."""
        if len(self._buffer) < size:
            if offset + size > os.fstat(self.fd).st_size:
                return None
            self._buffer = bytearray(size)
        found = memoryview(self._buffer)[:size]
        try:
            return found.toreadonly() if os.preadv(self.fd, [found], offset) == size else None
        except OSError:
            return None

    def write(self, record: int, parts: List[Part], offset: int, size: int) -> int:
        """Write a record, and then where it lies. Returns its sum. OSError where that cannot be, ENOSPC where only a part can."""
        if os.pwritev(self.fd, parts, offset) != size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        total = check_sum(parts)
        os.pwrite(self.fd, _ROW.pack(offset, size, total), _PAGE + _ROW.size * record)
        return total


def opened(places: List[str], made_of: bytes, count: int) -> Tuple[Optional[CacheFile], str]:
    """The file at the first of the places where there is one or can be one, and, without one, why not.

    made_of: a hash, 32 bytes, of all that a record depends on; a file with another one is replaced.
    """
    why = ""
    for place in places:
        try:
            file = _at(place, made_of, count)
            return file, "" if file else f"another run writes {place}, from another version of the source"
        except OSError as error:
            why = why or f"{place}: {error.strerror}"
    return None, why


def _at(path: str, made_of: bytes, count: int) -> Optional[CacheFile]:
    head = _HEAD.pack(_FORMAT, made_of, count)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            fd, may_write = _existing(path)
        else:
            may_write = True
        file = CacheFile(path, fd, count, may_write and _locked(fd))
        found = os.pread(fd, _HEAD.size, 0)
        if found == head:
            return file
        if not file.writable:
            return None
        if not found:
            os.ftruncate(fd, file.first)
            os.pwrite(fd, head, 0)
            return file
        if not found.startswith(_FORMAT[:-2]):
            raise OSError(errno.EEXIST, "it is there already, and is no cache", path)
        if os.path.samestat(os.fstat(fd), os.stat(path)):  # nobody else has replaced it meanwhile
            os.unlink(path)


def _existing(path: str) -> Tuple[int, bool]:
    """A descriptor of a file that is there, and whether one may write to it."""
    flags = os.O_CLOEXEC | os.O_NONBLOCK
    try:
        fd, may_write = os.open(path, os.O_RDWR | flags), True
    except PermissionError:
        fd, may_write = os.open(path, os.O_RDONLY | flags), False
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EEXIST, "it is there already, and is no file", path)
    return fd, may_write


def _locked(fd: int) -> bool:
    """Whether this run has the lock from now on, for as long as it or one of its workers lives."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK or time.monotonic() > until:
                return False
        time.sleep(0.02)
