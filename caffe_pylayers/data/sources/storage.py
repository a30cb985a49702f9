"""Where images lie: rows of a file, read with `pread` from there; memory that workers share."""

import mmap
import os
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.data.sources.hdf5_filters import UNDONE
from caffe_pylayers.errors import ChangedSourceError, DataError

_MOST_OPEN = 16
_MOST_KEPT = 32 << 20  # bytes of decompressed rows that are kept for the next read


@dataclass(frozen=True)
class File:
    """A file as it was at set-up. Each process opens it when it first reads; few are open at a time.

    path: without links, so that one that is switched to another file changes nothing. One that is replaced by another
    of its name goes on where it is open, and is an error where it is opened again.
    """

    path: str
    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: str) -> "File":
        """Raises OSError where it cannot be read or is not a file."""
        path = os.path.realpath(path)
        opened = regular_file.descriptor(path)
        status = os.fstat(opened)
        os.close(opened)
        return cls(path, *regular_file.version(status))

    @property
    def version(self) -> Tuple[str, int, int, int]:
        """What is another for another file, or once this one has changed."""
        return self.path, self.size, self.mtime_ns, self.inode

    def __hash__(self) -> int:
        return hash(self.path)  # at each read; that of all fields takes as long as the reading

    def read(self, offset: int, size: int) -> bytes:
        """That many bytes. DataError (without the name of the record) where they cannot be read; a ChangedSourceError
        where the file is gone or has changed.
        """
        try:
            opened = self._opened()
        except OSError as error:
            raise ChangedSourceError(f"cannot read {self.path}: {error.strerror}") from error
        try:
            data = os.pread(opened.descriptor, size, offset)
            status = os.fstat(opened.descriptor)  # behind the reading, so that no change is missed
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror}") from error
        if regular_file.version(status) != (self.size, self.mtime_ns, self.inode):
            raise self.changed(status.st_size)
        if len(data) != size:
            raise DataError(f"{self.path} has {self.size} bytes, but {size} bytes from byte {offset} on are needed")
        return data

    def held(self) -> "Held":
        """The file for many reads one after the other, behind which `read` is asked once whether it has changed."""
        try:
            return Held(self, self._opened())
        except OSError as error:
            raise ChangedSourceError(f"cannot read {self.path}: {error.strerror}") from error

    def changed(self, size: Optional[int] = None) -> ChangedSourceError:
        """The error of a file that is not what it was. size: what it has now."""
        now = "" if size is None or size == self.size else f" (it has {size} bytes, at set-up {self.size})"
        return ChangedSourceError(
            f"{self.path} has changed while in use{now}",
            remedy="start again, and write the next version under another name",
        )

    def _opened(self) -> "_Opened":
        place = (os.getpid(), self)
        opened = _opened.pop(place, None) or _Opened(regular_file.descriptor(self.path))
        _opened[place] = opened
        if len(_opened) > _MOST_OPEN:
            _opened.popitem(last=False)
        return opened

    def close(self) -> None:
        """Close what this process has opened; the next `read` opens it again."""
        _opened.pop((os.getpid(), self), None)


class _Opened:
    """A descriptor, which is closed when nobody reads from it any more: several threads may read one file, each for a net."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


class Held:
    """See `File.held`."""

    def __init__(self, file: File, opened: _Opened) -> None:
        self._file, self._opened = file, opened

    def read(self, offset: int, size: int) -> bytes:
        """That many bytes. DataError (without the name of the record) where there are none."""
        try:
            data = os.pread(self._opened.descriptor, size, offset)
        except OSError as error:
            raise DataError(f"cannot read {self._file.path}: {error.strerror}") from error
        return data if len(data) == size else self._file.read(offset, size)  # which says why


# What is open by process and file, the last used at the end. By process, for a fork shares it with its parent.
_opened: "OrderedDict[Tuple[int, File], _Opened]" = OrderedDict()


class SharedMemory:
    """Memory without a name. Workers inherit its descriptor, and map it by its number.

    It goes with `close`, or with this object, and with the last array on it.
    """

    def __init__(self, name: str) -> None:
        self.fd = os.memfd_create(name)
        self._end = weakref.finalize(self, os.close, self.fd)

    def __getstate__(self) -> Dict[str, Any]:
        return {"fd": self.fd}

    def map(self) -> mmap.mmap:
        """All of it, as it is now."""
        return mmap.mmap(self.fd, 0)

    def close(self) -> None:
        self._end()


@dataclass(frozen=True)
class Stretches:
    """Rows of one piece each: offsets and sizes in bytes, int64 (N,)."""

    file: File
    offsets: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets)

    def row(self, number: int) -> bytes:
        return self.file.read(int(self.offsets[number]), int(self.sizes[number]))

    def close(self) -> None:
        self.file.close()


class Chunks:
    """Rows of a chunked HDF5 data set, as libhdf5 stores them: a grid of chunks, each maybe shuffled and compressed.

    shape: of the data set, (N, ...). chunk: of a chunk, as many dimensions. offsets, sizes, masks: of the grid's shape;
    where a chunk lies, and the filters (bit i: filter i) that were left out for it. filters: numbers of those in
    `hdf5_filters.UNDONE`, in the order of writing.
    """

    def __init__(
        self,
        file: File,
        shape: Tuple[int, ...],
        chunk: Tuple[int, ...],
        itemsize: int,
        filters: Tuple[int, ...],
        offsets: np.ndarray,
        sizes: np.ndarray,
        masks: np.ndarray,
    ) -> None:
        self.file = file
        self.shape = shape
        self.chunk = chunk
        self.itemsize = itemsize
        self.filters = filters
        self.offsets, self.sizes, self.masks = offsets, sizes, masks
        self._kept: Tuple[int, Optional[np.ndarray]] = (-1, None)

    def __len__(self) -> int:
        return self.shape[0]

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "_kept": (-1, None)}

    def close(self) -> None:
        self._kept = (-1, None)
        self.file.close()

    def row(self, number: int) -> bytes:
        """The bytes of a row. DataError (without the name of the record) where they cannot be decompressed."""
        layer, place = divmod(number, self.chunk[0])
        if self._kept[0] == layer and self._kept[1] is not None:
            return self._kept[1][place].tobytes()
        # A row alone unless all that lie in the same chunks are worth keeping: their bytes are decompressed anyway.
        row_bytes = int(np.prod(self.shape[1:], dtype=np.int64)) * self.itemsize
        keep = self.chunk[0] * row_bytes <= _MOST_KEPT
        rows = slice(None) if keep else slice(place, place + 1)
        found = np.empty((self.chunk[0] if keep else 1, *self.shape[1:], self.itemsize), np.uint8)
        for corner in np.ndindex(*self.offsets.shape[1:]):
            block = self._block((layer, *corner))[rows]
            target = found
            for axis, (at, extent) in enumerate(zip(corner, self.chunk[1:]), 1):
                part = slice(at * extent, (at + 1) * extent)
                target = target[(slice(None),) * axis + (part,)]
            # Chunks at the edge are stored whole, beyond the edge too.
            target[...] = block[tuple(map(slice, target.shape))]
        if not keep:
            return found.tobytes()
        self._kept = (layer, found)
        return found[place].tobytes()

    def _block(self, corner: Tuple[int, ...]) -> np.ndarray:
        """A chunk, uint8 (*chunk, itemsize)."""
        size = int(np.prod(self.chunk, dtype=np.int64)) * self.itemsize
        data = self.file.read(int(self.offsets[corner]), int(self.sizes[corner]))
        try:
            for place, number in reversed(list(enumerate(self.filters))):
                if not int(self.masks[corner]) >> place & 1:
                    data = UNDONE[number](data, size, self.itemsize)
            if len(data) != size:
                raise ValueError(f"{len(data)} bytes, but {size} are expected")
        except ValueError as error:
            where = f"the chunk {corner} of {self.file.path}"
            raise DataError(f"{where} is damaged: {error}", remedy="write the file again") from error
        return np.frombuffer(data, np.uint8).reshape(*self.chunk, self.itemsize)
