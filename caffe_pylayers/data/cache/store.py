"""Where records are kept: space that is given out once, and a table of what lies where, which all processes share.

Nothing is ever moved, so what has been found at a place stays good.
"""

import contextlib
import errno
import fcntl
import os
import threading
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.data.cache.entry import ALIGNMENT, Part, check_sum
from caffe_pylayers.data.cache.file import CacheFile, read_at, write_at
from caffe_pylayers.data.sources.storage import SharedMemory

_PAGE = 4096
#: What a process takes at a time, for several records: a 256th of the limit, but no more than this.
_EXTENT = 32 << 20
#: Why nothing more is kept; numbers above these are those of errors.
GOES_ON, AT_LIMIT, SHORT = 0, -1, -2
#: The head of what processes share: where the next extent goes, where the first went, why nothing more is kept.
_NEXT, _FIRST, _STOPPED = range(3)
#: Of a record: its offset (0: it is not there), size and sum, and the offset at which it was found to be what it should be.
_ROW = 4


class Store:
    """Space for the records of a source. Pickles for workers, which inherit its descriptors; these go with it.

    limit: bytes. keep_free: bytes that stay free of what `free` says. file: where records lie; None: in memory.
    """

    def __init__(
        self, count: int, limit: int, keep_free: int, free: Callable[[], int], file: Optional[CacheFile] = None
    ) -> None:
        self.count, self.limit, self.keep_free = count, limit, keep_free
        self._free, self.file = free, file
        self._state = SharedMemory("caffe_pylayers cache")
        self._records = SharedMemory("caffe_pylayers cached images") if file is None else None
        os.ftruncate(self._state.fd, _PAGE + 8 * _ROW * count)
        self._map()
        first = end = ALIGNMENT  # no record lies at 0
        if file is not None:
            table = file.table()
            np.frombuffer(self._table, np.int64).reshape(-1, _ROW)[:, :3] = table
            first, end = file.first, max(file.first, int((table[:, 0] + table[:, 1]).max()))
        self._head[_NEXT], self._head[_FIRST] = _aligned(end), first

    def __getstate__(self) -> Dict[str, Any]:
        mapped = ("_head", "_table", "_lock", "_mapped", "_extent")
        return {name: value for name, value in self.__dict__.items() if name not in mapped}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()

    def _map(self) -> None:
        memory = memoryview(self._state.map())
        self._head = memory[: 8 * 3].cast("q")
        self._table = memory[_PAGE:].cast("q")
        self._mapped = memoryview(b"")
        self.after_fork()

    def after_fork(self) -> None:
        """Take no space that the parent has taken for itself, nor wait for a thread that is not in this process."""
        self._lock = threading.Lock()
        self._extent = 0, 0  # of this process: where its next record goes, and its end

    @property
    def fds(self) -> Sequence[int]:
        """What workers must inherit."""
        return tuple(each.fd for each in (self._state, self._records, self.file) if each is not None)

    @property
    def stopped(self) -> int:
        """Why nothing more is kept: `GOES_ON`, or what it was."""
        return self._head[_STOPPED]

    @property
    def takes(self) -> bool:
        """Whether records may be kept: there is room, as far as is known, and no other run writes its file."""
        return not self.stopped and (self.file is None or self.file.writable)

    @property
    def kept(self) -> Tuple[int, int]:
        """The records that are there, and their bytes."""
        table = np.frombuffer(self._table, np.int64).reshape(-1, _ROW)
        there = table[:, 0] > 0
        return int(np.count_nonzero(there)), int(table[there, 1].sum())

    @property
    def used(self) -> int:
        """Bytes that processes have taken for records."""
        return self._head[_NEXT] - self._head[_FIRST]

    def read(self, record: int, is_good: Callable[[memoryview], bool]) -> Optional[memoryview]:
        """The bytes of a record; None where it is not there.

        is_good: asked once about a record that a file has had from an earlier run, or from another one, whether it is what it should be.
        """
        offset, size, total, good = self._row(record)
        if self.file is None:
            return self._in_memory(offset, size) if offset else None
        of_others = not offset and not self.file.writable
        if of_others:  # another run may have written it by now
            offset, size, total = self.file.entry(record)
        if not offset:
            return None
        found = read_at(self.file.fd, offset, size)
        # The sum each time: the file may be damaged, cut off or written by others at any moment.
        if found is None or check_sum([found]) != total or not (good == offset or is_good(found)):
            self._forget(record, offset)
            return None
        if of_others:
            self._set(record, offset, size, total)
        elif good != offset:
            self._table[_ROW * record + 3] = offset
        return found

    def write(self, record: int, parts: List[Part]) -> None:
        """Keep a record, unless it is there by now, or there is no room."""
        if not self.takes or self._row(record)[0]:
            return
        size, total = sum(map(len, parts)), 0
        offset = self._place(size)
        if not offset:
            return
        try:
            if self.file is not None:
                total = self.file.write(record, parts, offset)
            else:
                assert self._records is not None
                write_at(self._records.fd, parts, offset)
        except OSError as error:
            self._head[_STOPPED] = error.errno or errno.EIO
        else:
            self._set(record, offset, size, total)

    def _row(self, record: int) -> Tuple[int, int, int, int]:
        """The row of a record; one that another process is about to replace counts as not there."""
        row = _ROW * record
        offset, size, total, good = self._table[row : row + _ROW]
        return (offset, size, total, good) if self._table[row] == offset else (0, 0, 0, 0)

    def _set(self, record: int, offset: int, size: int, total: int) -> None:
        """A good record: its offset comes last, for no offset ever comes back, so that whoever has seen the old one twice has an old row."""
        row = _ROW * record
        self._table[row] = 0
        self._table[row + 1], self._table[row + 2], self._table[row + 3] = size, total, offset
        self._table[row] = offset

    def _forget(self, record: int, offset: int) -> None:
        if self._table[_ROW * record] == offset:
            self._table[_ROW * record] = 0

    def _place(self, size: int) -> int:
        """Where so many bytes may go; 0 where there is no room."""
        with self._lock:
            offset, end = self._extent
            if offset + size > end:
                offset, end = self._more(size)
            self._extent = offset + size * bool(offset), end
            return offset

    def _more(self, size: int) -> Tuple[int, int]:
        """A new extent that has room for so many bytes: where it begins and ends; 0, 0 where there is none."""
        extent = max(size, min(_EXTENT, self.limit >> 8) // ALIGNMENT * ALIGNMENT)
        if self._free() < self.keep_free + extent:
            self._head[_STOPPED] = SHORT
            return 0, 0
        fcntl.lockf(self._state.fd, fcntl.LOCK_EX)
        try:
            offset, last = self._head[_NEXT], self._head[_FIRST] + self.limit
            end = min(offset + extent, last)
            if end - offset < size:
                self._head[_STOPPED] = AT_LIMIT
                return 0, 0
            self._head[_NEXT] = _aligned(end)
            return offset, end
        finally:
            fcntl.lockf(self._state.fd, fcntl.LOCK_UN)

    def _in_memory(self, offset: int, size: int) -> Optional[memoryview]:
        assert self._records is not None
        mapped = self._mapped
        if offset + size > len(mapped):
            with contextlib.suppress(OSError):  # a limit on the address space
                mapped = self._mapped = memoryview(self._records.map()).toreadonly()
        return (
            mapped[offset : offset + size] if offset + size <= len(mapped) else read_at(self._records.fd, offset, size)
        )


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
