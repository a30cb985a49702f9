"""Where the rows of an HDF5 data set lie in its file, as h5py says: for a process of its own, see `hdf5_index`."""

import contextlib
import io
import os
import shlex
import struct
from typing import Any, BinaryIO, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.data.sources.hdf5_chunks import visit_chunks
from caffe_pylayers.data.sources.hdf5_filters import OTHERS, UNDONE
from caffe_pylayers.data.sources.storage import Chunks, File, Stretches
from caffe_pylayers.errors import DataError
from caffe_pylayers.processes import interpreter

MOST_EXPANSION = 1100  # gzip makes nothing smaller than by 1032


class Behind(io.FileIO):
    """A file as it is behind its user block. Where libhdf5 finds one, its versions differ in what addresses count from."""

    def __init__(self, path: str, start: int) -> None:
        super().__init__(path)
        self._start = start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return super().seek(offset + (self._start if whence == io.SEEK_SET else 0), whence) - self._start

    def tell(self) -> int:
        return super().tell() - self._start


def rewriting(path: str) -> str:
    """The command that writes a file again, in words: what a remedy begins with."""
    new = f"{os.path.splitext(path)[0]}_plain.h5"
    command = [interpreter.executable(), "-m", "caffe_pylayers.data.sources.hdf5_rewrite", path, new]
    return f"`{' '.join(map(shlex.quote, command))}` writes it"


def data_sets(opened: Any, needed: Optional[Sequence[str]] = None) -> Tuple[str, ...]:
    """The names of the data sets of a file, and of those in groups the needed ones. Raises DataError where one that is needed
    (None: any) is a link to nothing.
    """
    import h5py

    found = []
    for name in opened:
        kind = None
        # What h5py raises of a link to a file that is not there depends on the version.
        with contextlib.suppress(KeyError, RuntimeError, OSError):
            kind = opened.get(name, getclass=True)
        if kind is h5py.Dataset:
            found.append(name)
        elif kind is None and (needed is None or name in needed):
            link = opened.get(name, getlink=True)
            file = getattr(link, "filename", "")
            raise DataError(
                f"data set `{name}` is a link to `{link.path}`{f' of {file}' * bool(file)}, which is not there",
                remedy="put it where the link says, or name a file that has the data itself",
            )
    with contextlib.suppress(KeyError, RuntimeError, OSError):
        found += [name for name in needed or () if "/" in name and opened.get(name, getclass=True) is h5py.Dataset]
    return tuple(found)


def in_groups(opened: Any) -> List[str]:
    """The names of the data sets in groups, as 'train/X'; not what MATLAB keeps for itself."""
    import h5py

    found: List[str] = []

    def visit(name: str, item: Any) -> None:
        if "/" in name and isinstance(item, h5py.Dataset) and not name.startswith("#"):
            found.append(name)

    opened.visititems(visit)
    return found


def elsewhere(file: File, where: str, instead: str = "") -> DataError:
    """The error of a data set that cannot be read where it lies. instead: another remedy, with "or" behind it."""
    return DataError(f"data set `data` {where}", remedy=f"{instead}{rewriting(file.path)} so that it can be read")


def require_parts(name: str, data: Any) -> None:
    """Raise DataError unless all parts of a virtual data set are there: for the rows of others libhdf5 gives zeros."""
    for part in data.virtual_sources() if data.is_virtual else ():
        if not _is_there(data.file, part):
            raise DataError(
                f"rows of data set `{name}` are in `{part.dset_name}` of {part.file_name}, which is not there",
                remedy="put it beside the file",
            )


def _is_there(opened: Any, part: Any) -> bool:
    import h5py

    if part.file_name == ".":
        return part.dset_name in opened
    folder = os.path.dirname(os.path.abspath(opened.filename))
    for place in (os.path.join(folder, part.file_name), part.file_name):
        with contextlib.suppress(OSError), h5py.File(place, "r") as file:
            return part.dset_name in file
    return False


def images(
    file: File, data: Any, start: int, planes: bool = False
) -> Tuple[Union[Stretches, Chunks], str, Tuple[int, ...]]:
    """Where the rows lie, and type and shape of an image. planes: whether (N, height, width) is allowed."""
    import h5py

    kind, shape = data.dtype, data.shape
    if h5py.check_vlen_dtype(kind) == np.uint8 and data.ndim == 1:
        if data.file.id.get_create_plist().get_sizes() != (8, 8):
            raise elsewhere(file, "has addresses that are not of 8 bytes")
        return _heap(file, _rows(file, data, 16, start), start), "uint8", ()
    if kind.kind not in "iuf" or data.ndim not in ((3, 4) if planes else (2, 4)):
        raise DataError(
            f"data set `data` has type {kind} and shape {shape}",
            remedy=(
                f"numbers {'(N, 1, height, width) or (N, height, width)' if planes else '(N, channels, height, width) or (N, values)'}, "
                "or rows of variable length with the bytes of an encoded image (uint8) are expected"
            ),
        )
    if min(shape) < 1:
        raise DataError(f"data set `data` has shape {shape}: it is empty")
    if not data.id.get_type().equal(h5py.h5t.py_create(kind)):  # 12 bits of 16, say
        raise elsewhere(file, f"has numbers that are not stored as {kind}")
    return _rows(file, data, kind.itemsize, start), kind.str, _IMAGE[data.ndim](*shape[1:])


#: From the dimensions of a data set: (channels, height, width) of an image, from the shape of a row.
_IMAGE: Dict[int, Any] = {
    2: lambda values: (values, 1, 1),
    3: lambda height, width: (1, height, width),
    4: lambda channels, height, width: (channels, height, width),
}


def _filters(file: File, data: Any) -> Tuple[int, ...]:
    """The filters of a data set, by numbers. Raises DataError where it cannot be read where it lies."""
    import h5py

    if data.is_virtual:
        parts = data.virtual_sources()
        alike = all(part.dset_name.strip("/") == data.name.strip("/") for part in parts)
        files = ", ".join(sorted({part.file_name for part in parts}))
        in_a_list = "name those files in a list, a line each, or " if alike else ""
        raise elsewhere(file, f"is virtual: its rows are in {files}", in_a_list)
    if data.external:
        raise elsewhere(file, f"has its rows in {', '.join(name for name, *_ in data.external)}")
    plist = data.id.get_create_plist()
    if plist.get_layout() == h5py.h5d.COMPACT:
        raise elsewhere(file, "is kept in the header")
    filters = tuple(plist.get_filter(number)[0] for number in range(plist.get_nfilters()))
    for number in filters:
        name = OTHERS.get(number, f"filter {number}")
        if number not in UNDONE and not h5py.h5z.filter_avail(number):
            raise DataError(
                f"data set `data` is compressed by {name}, which this h5py cannot read",
                remedy="write it again with gzip",
            )
        if number not in UNDONE:
            raise elsewhere(file, f"is compressed by {name}")
    return filters


def _rows(file: File, data: Any, itemsize: int, start: int) -> Union[Stretches, Chunks]:
    """Where the rows of a data set lie. start: what addresses count from. Raises DataError unless all lie within the file."""
    import h5py

    filters = _filters(file, data)
    shape, row = data.shape, itemsize
    for extent in data.shape[1:]:
        row *= extent
    if data.chunks is None:
        offset = data.id.get_offset()
        if offset is None:
            raise DataError("data set `data` was never written", remedy="write its rows")
        offset += start
        if offset + shape[0] * row > file.size:
            raise DataError(
                f"data set `data` takes {shape[0] * row} bytes from byte {offset}, but the file has {file.size}"
            )
        return Stretches(file, offset + row * np.arange(shape[0]), np.full(shape[0], row))
    grid = tuple(-(-extent // chunk) for extent, chunk in zip(shape, data.chunks))
    block = itemsize
    for extent in data.chunks:
        block *= extent
    if float(np.prod(grid, dtype=float)) * 8 > file.size or block > MOST_EXPANSION * file.size:
        raise DataError(f"data set `data` of shape {shape} in chunks {data.chunks} is too large for the file")
    offsets, sizes, masks = np.full(grid, -1), np.zeros(grid, np.int64), np.zeros(grid, np.uint32)

    def place(chunk: Any) -> None:
        corner = tuple(at // extent for at, extent in zip(chunk.chunk_offset, data.chunks))
        if all(at < count for at, count in zip(corner, grid)):  # others are left over from before it was made smaller
            offsets[corner], sizes[corner], masks[corner] = start + chunk.byte_offset, chunk.size, chunk.filter_mask

    with Behind(file.path, start) as stream:
        if not visit_chunks(data, stream, place):
            raise elsewhere(file, f"has an index of chunks that h5py {h5py.__version__} does not read")
    wrong = (offsets < 0) | (offsets > file.size - sizes) | ((sizes != block) if not filters else (sizes < 0))
    if wrong.any():
        corner = tuple(np.argwhere(wrong)[0].tolist())
        raise DataError(f"the chunk {corner} of data set `data` was never written, or lies beyond the file's end")
    if not filters and data.chunks == (1, *shape[1:]):
        return Stretches(file, offsets.ravel(), sizes.ravel())
    return Chunks(file, shape, data.chunks, itemsize, filters, offsets, sizes, masks)


def _heap(file: File, rows: Union[Stretches, Chunks], start: int) -> Stretches:
    """Where the rows of variable length lie, to which `rows` point: (length, address of a heap, number in it) each."""
    offsets, sizes = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    heap, objects = -1, {}
    with regular_file.open_bytes(file.path) as stream:
        for record in range(len(rows)):
            size, address, number = struct.unpack("<IQI", rows.row(record))
            if not size:
                continue
            if address != heap:
                heap, objects = address, _objects(stream, start + address, file.size)
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
