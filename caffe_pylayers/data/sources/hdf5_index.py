"""Where the rows of HDF5 files lie, found by a program of its own.

Inside the `caffe` program h5py cannot be used at all: that is linked with another libhdf5, whose functions take the
place of those h5py was built with. And libhdf5, given a damaged file, may hang, take gigabytes, or crash. So a plain
Python reads labels and names and finds out where the images lie, each file in a process of its own; to read images
then takes no libhdf5.
"""

import contextlib
import os
import pickle
import resource
import signal
import struct
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, BinaryIO, Dict, Generator, List, Optional, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.data.sources.storage import Chunks, File, Stretches
from caffe_pylayers.errors import DataError
from caffe_pylayers.processes import interpreter
from caffe_pylayers.processes.boot import fork, status_of
from caffe_pylayers.processes.child import Child, Order

_FILTERS = {1: "gzip", 2: "shuffle"}
_MOST_EXPANSION = 1100  # gzip makes nothing smaller than by 1032
_REWRITE = "`h5repack -f GZIP=1 old.h5 new.h5` writes it so that it can be read"


@dataclass(frozen=True)
class Table:
    """What one HDF5 file holds.

    rows: where its images lie. dtype, shape: of an image (channels, height, width); shape () for encoded images.
    labels, weights: numbers (N,) or (N, L), or None. names: N byte strings, or None. columns: its data sets.
    """

    rows: Union[Stretches, Chunks]
    dtype: str
    shape: Tuple[int, ...]
    labels: Optional[np.ndarray]
    weights: Optional[np.ndarray]
    names: Optional[List[bytes]]
    columns: Tuple[str, ...]


def read_tables(paths: Sequence[str], weights: str) -> Generator[Union[Table, DataError], None, None]:
    """The table of each file, or what is wrong with it. weights: the data set with sample weights, where there is one."""
    # Locks fail on some network file systems, and nothing is written here.
    order = Order("caffe_pylayers.data.sources.hdf5_index:main", paths, weights)
    with contextlib.closing(order):
        program = Child(order, env={"HDF5_USE_FILE_LOCKING": "FALSE"})
    try:
        for _ in paths:
            yield pickle.loads(program.connection.recv_bytes())
    except (EOFError, ConnectionResetError):
        raise DataError(
            f"HDF5: the program that reads such files ended early ({interpreter.executable()})",
            remedy="is h5py installed there?",
        ) from None
    finally:
        program.end()


def main(paths: Sequence[str], weights: str, descriptor: int) -> None:
    """The program: for each file a pickled Table or DataError."""
    import h5py  # noqa: F401  (once, for all the processes forked below)

    connection = Connection(descriptor)
    for path in paths:
        connection.send_bytes(_in_a_process(path, weights))


def _in_a_process(path: str, weights: str) -> bytes:
    """What _attempt says, pickled."""
    reader, writer = os.pipe()

    def attempt() -> None:
        with open(writer, "wb") as pipe:
            pickle.dump(_attempt(path, weights), pipe)

    child = fork(attempt)
    os.close(writer)
    with open(reader, "rb") as pipe:
        answer = pipe.read()
    status = status_of(child)
    if status:
        end = signal.Signals(-status).name if status < 0 else "an error"
        return pickle.dumps(
            DataError(
                f"libhdf5 ended with {end} while it read the file: the file is damaged, or has too many chunks for an old h5py",
                remedy="write it again",
                source=path,
            )
        )
    return answer


def _attempt(path: str, weights: str) -> Union[Table, DataError]:
    try:
        file = File.of(path)
    except OSError as error:
        return DataError(
            f"cannot read it: {error.strerror}",
            remedy="paths in a list are relative to the working directory",
            source=path,
        )
    # A damaged file can make libhdf5 take gigabytes, or never end: no more than any sound one of its size may need.
    for kind, limit in (
        (resource.RLIMIT_AS, (2 << 30) + 16 * file.size),
        (resource.RLIMIT_CPU, 3 + file.size // 500_000),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, 2 * limit))
    try:
        return _read(file, weights)
    except DataError as error:
        return error.within(path)
    except Exception as error:  # h5py passes on what libhdf5 reports as errors of many types
        return DataError(
            f"h5py cannot read it ({type(error).__name__}: {error})", remedy="is it a complete HDF5 file?", source=path
        )


def _read(file: File, weights: str) -> Table:
    import h5py

    with h5py.File(file.path, "r") as opened:
        if opened.userblock_size or opened.id.get_create_plist().get_sizes() != (8, 8):
            raise DataError("it has a user block, or addresses that are not of 8 bytes", remedy=_REWRITE)
        columns = tuple(name for name in opened if opened.get(name, getclass=True) is h5py.Dataset)
        if "data" not in columns:
            raise DataError("no data set `data`", remedy=f"it has {', '.join(columns) or 'none'}")
        rows, dtype, shape = _images(file, opened["data"])
        found: Dict[str, Any] = {}
        for name in ("label", weights, "name"):
            if name in columns:
                found[name] = _values(file, opened[name], len(rows))
    names = (
        [text if isinstance(text, bytes) else str(text).encode() for text in found["name"]] if "name" in found else None
    )
    return Table(rows, dtype, shape, found.get("label"), found.get(weights), names, columns)


def _values(file: File, dataset: Any, count: int) -> np.ndarray:
    """Labels, weights or names of `count` records."""
    import h5py

    if dataset.ndim < 1 or len(dataset) != count:
        raise DataError(f"data set `{dataset.name[1:]}` has shape {dataset.shape}, but `data` has {count} rows")
    if dataset.size * dataset.dtype.itemsize > _MOST_EXPANSION * file.size:
        raise DataError(f"data set `{dataset.name[1:]}` of shape {dataset.shape} is too large for the file")
    values = dataset[()]
    if dataset.name == "/name":
        if h5py.check_string_dtype(dataset.dtype) and values.ndim == 1:
            return values
    elif values.dtype.kind in "iuf" and values.shape[2:] == (1,) * (values.ndim - 2):
        return values.reshape(values.shape[:2])
    wanted = "strings (N,)" if dataset.name == "/name" else "numbers (N,) or (N, L)"
    raise DataError(
        f"data set `{dataset.name[1:]}` has type {dataset.dtype} and shape {dataset.shape}",
        remedy=f"{wanted} are expected",
    )


def _images(file: File, data: Any) -> Tuple[Union[Stretches, Chunks], str, Tuple[int, ...]]:
    """Where the rows lie, and type and shape of an image."""
    import h5py

    kind, shape = data.dtype, data.shape
    if h5py.check_vlen_dtype(kind) == np.uint8 and data.ndim == 1:
        return _heap(file, _rows(file, data, 16)), "uint8", ()
    # Of a type that numpy has not exactly (12 bits of 16, say), the bytes of the file are not what numpy takes them for.
    if kind.kind not in "iuf" or data.ndim not in (2, 4) or not data.id.get_type().equal(h5py.h5t.py_create(kind)):
        raise DataError(
            f"data set `data` has type {kind} and shape {shape}",
            remedy=(
                "numbers (N, channels, height, width) or (N, values), or rows of variable length with the bytes of an "
                "encoded image (uint8) are expected"
            ),
        )
    if min(shape) < 1:
        raise DataError(f"data set `data` has shape {shape}: it is empty")
    return _rows(file, data, kind.itemsize), kind.str, tuple(shape[1:]) if data.ndim == 4 else (shape[1], 1, 1)


def _rows(file: File, data: Any, itemsize: int) -> Union[Stretches, Chunks]:
    """Where the rows of a data set lie. Raises DataError unless all lie within the file."""
    plist = data.id.get_create_plist()
    filters = tuple(_FILTERS.get(plist.get_filter(number)[0], "") for number in range(plist.get_nfilters()))
    if data.is_virtual or data.external or data.file.filename != file.path or "" in filters:
        raise DataError("data set `data` lies in other files, or its compression is not gzip", remedy=_REWRITE)
    shape, row = data.shape, itemsize
    for extent in data.shape[1:]:
        row *= extent
    if data.chunks is None:
        start = data.id.get_offset()
        if start is None:
            raise DataError("data set `data` was never written, or is kept in the header", remedy=_REWRITE)
        if start + shape[0] * row > file.size:
            raise DataError(
                f"data set `data` takes {shape[0] * row} bytes from byte {start}, but the file has {file.size}"
            )
        return Stretches(file, start + row * np.arange(shape[0]), np.full(shape[0], row))
    grid = tuple(-(-extent // chunk) for extent, chunk in zip(shape, data.chunks))
    block = itemsize
    for extent in data.chunks:
        block *= extent
    if float(np.prod(grid, dtype=float)) * 8 > file.size or block > _MOST_EXPANSION * file.size:
        raise DataError(f"data set `data` of shape {shape} in chunks {data.chunks} is too large for the file")
    offsets, sizes, masks = np.full(grid, -1), np.zeros(grid, np.int64), np.zeros(grid, np.uint32)

    def place(info: Any) -> None:
        corner = tuple(at // extent for at, extent in zip(info.chunk_offset, data.chunks))
        if all(at < count for at, count in zip(corner, grid)):  # others are left over from before it was made smaller
            offsets[corner], sizes[corner], masks[corner] = info.byte_offset, info.size, info.filter_mask

    if hasattr(data.id, "chunk_iter"):
        data.id.chunk_iter(place)
    else:  # before h5py 3.8 and HDF5 1.14; it looks at all chunks for each
        for number in range(data.id.get_num_chunks()):
            place(data.id.get_chunk_info(number))
    wrong = (offsets < 0) | (offsets > file.size - sizes) | ((sizes != block) if not filters else (sizes < 0))
    if wrong.any():
        corner = tuple(np.argwhere(wrong)[0].tolist())
        raise DataError(f"the chunk {corner} of data set `data` was never written, or lies beyond the file's end")
    if not filters and data.chunks == (1, *shape[1:]):
        return Stretches(file, offsets.ravel(), sizes.ravel())
    return Chunks(file, shape, data.chunks, itemsize, filters, offsets, sizes, masks)


def _heap(file: File, rows: Union[Stretches, Chunks]) -> Stretches:
    """Where the rows of variable length lie, to which `rows` point: (length, address of a heap, number in it) each."""
    offsets, sizes = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    heap, objects = -1, {}
    with regular_file.open_bytes(file.path) as stream:
        for record in range(len(rows)):
            size, address, number = struct.unpack("<IQI", rows.row(record))
            if not size:
                continue
            if address != heap:
                heap, objects = address, _objects(stream, address, file.size)
            offsets[record], room = objects.get(number, (0, -1))
            sizes[record] = size
            if size > room:
                raise DataError(f"record {record} of data set `data` points to nothing in the heap at byte {address}")
    return Stretches(file, offsets, sizes)


def _objects(stream: BinaryIO, address: int, end: int) -> Dict[int, Tuple[int, int]]:
    """number -> offset and size in the file of what a global heap collection holds (HDF5 file format, III.E)."""
    found: Dict[int, Tuple[int, int]] = {}
    if address + 16 > end:
        return found
    stream.seek(address)
    signature, size = struct.unpack("<4s4xQ", stream.read(16))
    if signature != b"GCOL":
        return found
    at, end = address + 16, min(end, address + size)
    while at + 16 <= end:
        stream.seek(at)
        number, room = struct.unpack("<H6xQ", stream.read(16))
        if number == 0:  # the free space, which is the last
            break
        if at + 16 + room > end:
            break
        found[number] = at + 16, room
        at += 16 + (room + 7) // 8 * 8
    return found
