"""Where records are kept: space that is given out once, and a table of what lies where, which all processes share.

Nothing is ever moved or taken out, so a place that the table names stays good.
"""

import errno
import fcntl
import os
import threading
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.data.cache.entry import ALIGNMENT, Part, check_sum
from caffe_pylayers.data.cache.file import CacheFile
from caffe_pylayers.data.sources.storage import SharedMemory

_PAGE = 4096
#: What a process takes at a time, for several records: a 256th of the limit, but no more than this.
_EXTENT = 32 << 20
#: Why nothing more is kept; numbers above these are those of errors.
GOES_ON, AT_LIMIT, SHORT = 0, -1, -2
#: The head of what processes share: where the next extent goes, where the first went, why nothing more is kept.
_NEXT, _FIRST, _STOPPED = range(3)
#: Of a record: its offset (0: it is not there), size and sum.
_ROW = 3


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
        os.ftruncate(self._state.fd, _PAGE + (8 * _ROW + 1) * count)
        self._map()
        first = end = ALIGNMENT  # no record lies at 0
        if file is not None:
            table = file.table()
            self._table[:] = table.reshape(-1).data.cast("B").cast("q")
            first, end = file.first, max(file.first, int((table[:, 0] + table[:, 1]).max()))
        self._head[_NEXT], self._head[_FIRST] = end, first

    def __getstate__(self) -> Dict[str, Any]:
        mapped = ("_head", "_table", "_checked", "_lock", "_mapped", "_extent")
        return {name: value for name, value in self.__dict__.items() if name not in mapped}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()

    def _map(self) -> None:
        memory = memoryview(self._state.map())
        table = 8 * _ROW * self.count
        self._head = memory[: 8 * 3].cast("q")
        self._table = memory[_PAGE : _PAGE + table].cast("q")
        self._checked = memory[_PAGE + table : _PAGE + table + self.count]
        self._mapped = memoryview(b"")
        self._lock = threading.Lock()
        self._extent = -1, 0, 0  # process, where its next record goes, and its end

    @property
    def fds(self) -> Sequence[int]:
        """What workers must inherit."""
        return tuple(each.fd for each in (self._state, self._records, self.file) if each is not None)

    @property
    def stopped(self) -> int:
        """Why nothing more is kept: `GOES_ON`, or what it was."""
        return self._head[_STOPPED]

    @property
    def kept(self) -> int:
        """Records that are there."""
        return int(np.count_nonzero(np.array(self._table[::_ROW])))

    @property
    def used(self) -> int:
        """Bytes."""
        return self._head[_NEXT] - self._head[_FIRST]

    def read(self, record: int, is_good: Callable[[memoryview], bool]) -> Optional[memoryview]:
        """The bytes of a record, valid until the next call; None where it is not there.

        is_good: asked once in a run about a record that a file has, whether it is what it should be.
        """
        offset, size, total = self._table[_ROW * record : _ROW * (record + 1)]
        if self.file is None:
            return self._in_memory(offset, size) if offset else None
        if not offset and not self.file.writable:
            offset, size, total = self.file.entry(record)  # which another run may have written by now
        found = self.file.read(offset, size) if offset else None
        if found is None or self._checked[record]:
            return found
        if check_sum([found]) != total or not is_good(found):
            return None
        self._checked[record] = 1
        return found

    def write(self, record: int, parts: List[Part]) -> None:
        """Keep a record, unless there is no room."""
        if self.stopped > 0 or (self.file is not None and not self.file.writable):
            return
        size = sum(map(len, parts))
        offset = self._place(size)
        if not offset:
            return
        total = 0
        try:
            if self.file is None:
                assert self._records is not None
                if os.pwritev(self._records.fd, parts, offset) != size:
                    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            else:
                total = self.file.write(record, parts, offset, size)
        except OSError as error:
            self._head[_STOPPED] = error.errno or errno.EIO
            return
        row = _ROW * record
        self._table[row + 1], self._table[row + 2] = size, total
        self._checked[record] = 1
        self._table[row] = offset  # the last: from now on it is there

    def _place(self, size: int) -> int:
        """Where so many bytes may go; 0 where there is no room."""
        with self._lock:
            owner, offset, end = self._extent
            if owner != os.getpid() or offset + size > end:
                offset, end = self._more(size)
            self._extent = os.getpid(), offset + size * bool(offset), end
            return offset

    def _more(self, size: int) -> Tuple[int, int]:
        """A new extent that has room for so many bytes: where it begins and ends; 0, 0 where there is none."""
        if self.stopped:
            return 0, 0
        if self._free() < self.keep_free + _EXTENT:
            self._head[_STOPPED] = SHORT
            return 0, 0
        fcntl.lockf(self._state.fd, fcntl.LOCK_EX)
        try:
            offset, last = self._head[_NEXT], self._head[_FIRST] + self.limit
            extent = max(size, min(_EXTENT, self.limit >> 8) // ALIGNMENT * ALIGNMENT)
            end = min(offset + extent, last)
            if end - offset < size:
                self._head[_STOPPED] = AT_LIMIT
                return 0, 0
            self._head[_NEXT] = end
            return offset, end
        finally:
            fcntl.lockf(self._state.fd, fcntl.LOCK_UN)

    def _in_memory(self, offset: int, size: int) -> memoryview:
        if offset + size > len(self._mapped):
            assert self._records is not None
            self._mapped = memoryview(self._records.map()).toreadonly()
        return self._mapped[offset : offset + size]
