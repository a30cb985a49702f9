"""Rows that lie in a file, read with `pread` from there: what BCF and HDF5 sources keep in memory of their records."""

import errno
import os
import stat
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

import numpy as np

from caffe_pylayers.errors import DataError

# Descriptors by process and file, the last used at the end. By process, for a fork shares them with its parent.
_descriptors: "OrderedDict[Tuple[int, File], int]" = OrderedDict()
_MOST_OPEN = 16
_MOST_KEPT = 32 << 20  # bytes of decompressed rows that are kept for the next read


@dataclass(frozen=True)
class File:
    """A file as it was at set-up. Each process opens it when it first reads; few are open at a time."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str) -> "File":
        """Raises OSError where it cannot be read or is not a file."""
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
            raise OSError(errno.EINVAL, "it is not a file")
        with open(path, "rb"):
            pass
        return cls(path, status.st_size, status.st_mtime_ns)

    def read(self, offset: int, size: int) -> bytes:
        """That many bytes. DataError (without the name of the record) where the file is gone or has changed."""
        try:
            descriptor = self._descriptor()
            status = os.fstat(descriptor)
            data = os.pread(descriptor, size, offset)
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror}") from error
        if (status.st_size, status.st_mtime_ns) != (self.size, self.mtime_ns) or len(data) != size:
            raise DataError(
                f"{self.path} has changed while in use (it has {status.st_size} bytes, at set-up {self.size}); start again"
            )
        return data

    def _descriptor(self) -> int:
        place = (os.getpid(), self)
        if place not in _descriptors:
            if len(_descriptors) >= _MOST_OPEN:
                os.close(_descriptors.popitem(last=False)[1])
            _descriptors[place] = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        _descriptors.move_to_end(place)
        return _descriptors[place]


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


class Chunks:
    """Rows of a chunked HDF5 data set, as libhdf5 stores them: a grid of chunks, each maybe shuffled and compressed.

    shape: of the data set, (N, ...). chunk: of a chunk, as many dimensions. offsets, sizes, masks: of the grid's shape;
    where a chunk lies, and the filters (bit i: filter i) that were left out for it. filters: 'shuffle', 'gzip', in the
    order of writing.
    """

    def __init__(
        self, file: File, shape: Tuple[int, ...], chunk: Tuple[int, ...], itemsize: int, filters: Tuple[str, ...],
        offsets: np.ndarray, sizes: np.ndarray, masks: np.ndarray,
    ) -> None:  # fmt: skip
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
        for number, name in reversed(list(enumerate(self.filters))):
            if int(self.masks[corner]) >> number & 1:
                continue
            if name == "gzip":
                try:
                    data = zlib.decompressobj().decompress(data, size + 1)
                except zlib.error as error:
                    raise DataError(f"{self.path_and(corner)} is damaged: {error}") from error
            elif len(data) == size:
                data = np.frombuffer(data, np.uint8).reshape(self.itemsize, -1).T.tobytes()
        if len(data) != size:
            raise DataError(f"{self.path_and(corner)} is damaged: {len(data)} bytes where {size} are expected")
        return np.frombuffer(data, np.uint8).reshape(*self.chunk, self.itemsize)

    def path_and(self, corner: Tuple[int, ...]) -> str:
        return f"the chunk {corner} of {self.file.path}"
