"""The chunks of a PNG."""

import struct
import zlib
from typing import Any, Iterator, Tuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunks(data: Any) -> Iterator[Tuple[bytes, int, int]]:
    """Name, begin and end of the chunks of a PNG up to IEND, with length and checksum; the last one may end behind the data."""
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, at, at + 12 + length
        if name == b"IEND":
            return
        at += 12 + length


def has_absurd_chunk(data: Any) -> bool:
    """Whether a chunk says that it is longer than the whole file. OpenCV makes room for it, and fills this: seconds, and gigabytes."""
    return any(end - begin - 12 > len(data) for _, begin, end in chunks(data))


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
