"""BCF (binary compressed file): many encoded images in one file.

uint64 N, then N times uint64: the size of each image, then the images one after the other; all little-endian.
Labels lie in a file of their own, which the option `labels` names.
"""

import contextlib
import os
import shutil
from array import array
from typing import Any, BinaryIO, Dict, Iterable, Iterator, Optional, Tuple

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.data.sources.base import Image, Numbers, Source
from caffe_pylayers.data.sources.records import Columns, Record
from caffe_pylayers.data.sources.storage import File, SharedMemory, Stretches
from caffe_pylayers.errors import ChangedSourceError, DataError
from caffe_pylayers.files.output_file import output_file, require_absent
from caffe_pylayers.processes.memory import available_bytes

_MOVED_AT_ONCE = 1 << 20


class BCFSource(Source):
    """The images of a BCF file.

    mode: 'FILE' reads each image when it is asked for; 'MEM' all of the file, once, into memory that workers share.
    Raises DataError where sizes and file do not fit, or MEM does not fit into memory.
    """

    @classmethod
    def open(cls, path: str, **options: Any) -> "BCFSource":
        return cls(path, options["bcf_mode"])

    def __init__(self, path: str, mode: str = "FILE") -> None:
        try:
            self._rows = _index(path)
        except OSError as error:
            raise DataError(
                f"cannot read it: {error.strerror}",
                remedy="a relative path starts at the working directory",
                source=f"BCF source {path}",
            ) from error
        super().__init__(path, Numbers(len(self._rows)))
        self._in_memory = mode == "MEM"
        self._memory: Optional[SharedMemory] = None
        self._bytes: Optional[memoryview] = None
        if self._in_memory:
            self._load()

    @property
    def fds(self) -> Tuple[int, ...]:
        return () if self._memory is None else (self._memory.fd,)

    def version(self) -> Iterator[object]:
        yield self._rows.file.version

    def close(self) -> None:
        self._rows.close()
        self._bytes = None
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def read(self, record: int) -> Image:
        if self._in_memory:
            start = int(self._rows.offsets[record])
            return self._held()[start : start + int(self._rows.sizes[record])]
        try:
            return self._rows.row(record)
        except DataError as error:
            raise error.within(self.describe(record), record) from error

    def __getstate__(self) -> Dict[str, Any]:
        if self._in_memory and self._memory is None:  # workers inherit what is there
            self._load()
        return {**super().__getstate__(), "_bytes": None}

    def _held(self) -> memoryview:
        """The bytes of the file."""
        if self._bytes is None:
            if self._memory is None:
                self._load()
            assert self._memory is not None
            self._bytes = memoryview(self._memory.map()).toreadonly()
        return self._bytes

    def _load(self) -> None:
        """Read the file into memory: at set-up, and when it is used again after `close`."""
        file = self._rows.file
        self._refuse_changed()
        available = available_bytes()
        if file.size > available:
            raise DataError(
                f"it has {file.size / 1e6:.0f} MB, but only {available / 1e6:.0f} MB of memory are free",
                remedy="use `bcf_mode: FILE`",
                source=f"BCF source {self.path}",
            )
        memory = SharedMemory("caffe_pylayers BCF")
        with regular_file.open_bytes(file.path) as stream, open(memory.fd, "wb", closefd=False) as copy:
            shutil.copyfileobj(stream, copy, 1 << 20)
        self._refuse_changed()
        self._memory = memory

    def _refuse_changed(self) -> None:
        file = self._rows.file
        try:
            changed = File.of(file.path) != file
        except OSError as error:
            raise ChangedSourceError(f"cannot read it: {error.strerror}", source=f"BCF source {self.path}") from error
        if changed:
            raise file.changed().within(f"BCF source {self.path}")


def _index(path: str) -> Stretches:
    """Where the images lie."""
    file = File.of(path)
    if file.size < 8:
        raise DataError(
            f"{file.size} bytes, too few for a header", remedy="was the copy cut short?", source=f"BCF source {path}"
        )
    with regular_file.open_bytes(file.path) as stream:
        count = int.from_bytes(stream.read(8), "little")
        header = 8 + 8 * count
        if header > file.size:
            raise DataError(
                f"its header has {count} entries ({header} bytes), but the file has {file.size} bytes",
                remedy="was the copy cut short?",
                source=f"BCF source {path}",
            )
        sizes = np.fromfile(stream, "<u8", count)
    # In two halves, which cannot overflow.
    total = header + (int((sizes >> np.uint64(32)).sum()) << 32) + int((sizes & np.uint64(0xFFFFFFFF)).sum())
    if len(sizes) != count or total != file.size:
        reason = "was the copy cut short?" if total > file.size else "is it a BCF file with little-endian numbers?"
        raise DataError(
            f"its header says {total} bytes for itself and {count} images, but the file has {file.size}",
            remedy=reason,
            source=f"BCF source {path}",
        )
    sizes = sizes.astype(np.int64)
    return Stretches(file, header + np.cumsum(sizes) - sizes, sizes)


def write_bcf(path: str, records: Iterable[Record], most: Optional[int] = None) -> int:
    """Write a BCF file; returns how many records. Pixels are written as PNG; names are not kept.

    Labels go to `<path>.labels.npy`, weights to `<path>.weights.npy`, for the options `labels` and `sample_weights`.
    most: where it is known how many records there are at most, images are written once, and not moved at the end unless
    there are fewer. Nothing is left behind if it breaks off. Raises DataError where something of these names is there already.
    """
    sizes, columns = array("Q"), Columns(path)
    for name in (path, f"{path}.labels.npy", f"{path}.weights.npy"):
        require_absent(name)
    with contextlib.ExitStack() as files:
        # The last is renamed first: where the file itself is, the others are.
        whole = files.enter_context(output_file(path))
        with open(whole, "w+b") as stream:
            room = 8 + 8 * (most or 0)
            stream.seek(room)
            for record in records:
                data = record.encoded()
                stream.write(data)
                sizes.append(len(data))
                columns.add(record)
            _make_room(stream, room, 8 + 8 * len(sizes))
            stream.seek(0)
            np.array([len(sizes), *sizes], "<u8").tofile(stream)
        for name, values in (("labels", columns.labels), ("weights", columns.weights)):
            if values is not None:
                with open(files.enter_context(output_file(f"{path}.{name}.npy")), "wb") as stream:
                    np.save(stream, values)
    return len(sizes)


def _make_room(stream: BinaryIO, start: int, wanted: int) -> None:
    """Move all that a file has from byte `start` on to byte `wanted`."""
    end = max(start, stream.seek(0, os.SEEK_END))
    begins = range(start, end, _MOVED_AT_ONCE)
    for begin in begins if wanted < start else reversed(begins):
        stream.seek(begin)
        part = stream.read(min(_MOVED_AT_ONCE, end - begin))
        stream.seek(begin - start + wanted)
        stream.write(part)
    stream.truncate(end - start + wanted)
