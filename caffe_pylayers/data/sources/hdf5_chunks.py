"""Where the chunks of an HDF5 data set lie.

h5py says it from 3.0 on, and quickly from 3.8 on. For an older h5py, such as Debian 11's, the index in the file is read
here (HDF5 file format, III.A.1 and IV.A). libhdf5 writes this index, a B-tree, unless `libver` asks for a newer one.
"""

import struct
from typing import Any, BinaryIO, Callable, Iterator, NamedTuple, Optional, Tuple

_LAYOUT, _CONTINUATION = 8, 16  # messages of an object header
_CHUNKED = 2  # a class of layout


class Chunk(NamedTuple):
    """As h5py names it. chunk_offset: its first element. filter_mask: the filters that were left out."""

    chunk_offset: Tuple[int, ...]
    filter_mask: int
    byte_offset: int
    size: int


def visit_chunks(data: Any, stream: BinaryIO, visit: Callable[[Any], None]) -> bool:
    """Call a function for each chunk that was written. False if neither h5py nor the file says where they lie.

    stream: begins where the file's addresses count from.
    """
    if hasattr(data.id, "chunk_iter"):
        data.id.chunk_iter(visit)
    elif hasattr(data.id, "get_num_chunks"):  # before h5py 3.8 and HDF5 1.14; it looks at all chunks for each
        for number in range(data.id.get_num_chunks()):
            visit(data.id.get_chunk_info(number))
    else:
        return visit_index(data, stream, visit)
    return True


def visit_index(data: Any, stream: BinaryIO, visit: Callable[[Any], None]) -> bool:
    """The same by the B-tree in the file. False if it has an index of another kind."""
    import h5py

    reader, rank = _Reader(stream, *data.file.id.get_create_plist().get_sizes()), data.ndim + 1
    root = reader.root(h5py.h5o.get_info(data.id).addr, rank)
    if root is None:
        return False
    for chunk in reader.leaves(root, rank):
        visit(chunk)
    return True


class _Reader:
    """Reads what addresses of `width` bytes point to; lengths have `length` bytes."""

    def __init__(self, stream: BinaryIO, width: int, length: int) -> None:
        self._stream, self._width, self._length = stream, width, length

    def root(self, header: int, rank: int) -> Optional[int]:
        """The address of the B-tree that the header of a data set names. rank: its axes, and one for the bytes of a number."""
        for kind, body in self._messages(header):
            if kind == _LAYOUT and tuple(body[:3]) == (3, _CHUNKED, rank):
                return self._number(body, 3, self._width)
            if kind == _LAYOUT and body[0] in (1, 2) and tuple(body[1:3]) == (rank, _CHUNKED):
                return self._number(body, 8, self._width)
        return None

    def leaves(self, node: int, rank: int, above: Optional[int] = None) -> Iterator[Chunk]:
        """The chunks below a node of the B-tree. above: the level of the node that points to it."""
        if node == (1 << 8 * self._width) - 1:  # no address: nothing was written yet
            return
        signature, kind, level, entries = struct.unpack("<4sBBH", self._bytes(node, 8))
        if signature != b"TREE" or kind != 1 or (above is not None and level != above - 1):
            raise ValueError(f"no index of chunks at byte {node}")
        step = 8 + 8 * rank + self._width
        body = self._bytes(node + 8 + 2 * self._width, entries * step)
        for start in range(0, len(body), step):
            size, mask, *corner = struct.unpack_from(f"<II{rank}Q", body, start)
            child = self._number(body, start + 8 + 8 * rank, self._width)
            if level:
                yield from self.leaves(child, rank, level)
            else:
                yield Chunk(tuple(corner[:-1]), mask, child, size)

    def _messages(self, header: int) -> Iterator[Tuple[int, bytes]]:
        """Type and body of each message of an object header."""
        form, *first = self._newer(header) if self._bytes(header, 4) == b"OHDR" else self._older(header)
        around = 4 if form[1] == "B" else 0  # signature and checksum of the blocks of a newer header
        blocks = [first]
        for at, size in blocks:  # it grows meanwhile
            block = self._bytes(at, size)
            place = struct.calcsize(form)
            while place <= size:
                kind, length = struct.unpack_from(form, block, place - struct.calcsize(form))
                body = block[place : place + length]
                if kind == _CONTINUATION:
                    more = self._number(body, 0, self._width), self._number(body, self._width, self._length)
                    blocks.append([more[0] + around, more[1] - 2 * around])
                yield kind, body
                place += length + struct.calcsize(form)

    def _older(self, header: int) -> Tuple[str, int, int]:
        """Version 1: form of a message's start (type and length), byte and size of the first block."""
        return "<HH4x", header + 16, self._number(self._bytes(header, 12), 8, 4)

    def _newer(self, header: int) -> Tuple[str, int, int]:
        """Version 2: the same."""
        flags = self._bytes(header, 6)[5]
        at, width = header + 6 + 16 * bool(flags & 32) + 4 * bool(flags & 16), 1 << (flags & 3)
        size = self._number(self._bytes(at, width), 0, width)
        return "<BHx" + "2x" * bool(flags & 4), at + width, size

    def _bytes(self, at: int, size: int) -> bytes:
        self._stream.seek(at)
        found = self._stream.read(size)
        if len(found) < size:
            raise ValueError(f"the file ends before byte {at + size}")
        return found

    @staticmethod
    def _number(body: bytes, at: int, width: int) -> int:
        return int.from_bytes(body[at : at + width], "little")
