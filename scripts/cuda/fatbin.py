"""Leave the machine code for one kind of GPU in shared libraries: `python fatbin.py 90 FILE...`.

A library that nvcc has made holds fat binaries, each with code for many kinds of GPU. Those for others become zeros, which take no
room in a packed file. What is left is what nvcc would have written for that kind alone.
"""

import struct
import sys
from pathlib import Path
from typing import Iterator, List, NamedTuple, Tuple

_MAGIC = struct.pack("<I", 0xBA55ED50)
_HEADER = struct.Struct("<IHHQ")  # magic, version, size of this header, size of the entries
_ENTRY = struct.Struct("<HHIQ")  # kind, version, size of its header, size of the code
_MACHINE_CODE = 2


class Entry(NamedTuple):
    """The code for one kind of GPU: where it begins and ends, with its header."""

    kind: int
    architecture: int
    begin: int
    end: int


def fat_binaries(data: bytes) -> Iterator[Tuple[int, List[Entry]]]:
    """Where each begins, and its entries."""
    at = data.find(_MAGIC)
    while 0 <= at <= len(data) - _HEADER.size:
        _, version, header, size = _HEADER.unpack_from(data, at)
        begin, end = at + header, at + header + size
        if version == 1 and header == _HEADER.size and end <= len(data):
            yield at, list(_entries(data, begin, end))
            at = end - 1
        at = data.find(_MAGIC, at + 1)


def _entries(data: bytes, begin: int, end: int) -> Iterator[Entry]:
    while begin < end:
        kind, _, header, size = _ENTRY.unpack_from(data, begin)
        (architecture,) = struct.unpack_from("<I", data, begin + 28)
        if kind not in (1, 2) or header >= 1024 or begin + header + size > end:
            raise ValueError(f"no entry of a fat binary at byte {begin}")
        yield Entry(kind, architecture, begin, begin + header + size)
        begin += header + size


def keep(data: bytearray, architecture: int) -> int:
    """Leave only the machine code for an architecture; returns how many bytes became zeros."""
    freed = 0
    for at, entries in list(fat_binaries(bytes(data))):
        begin, end = at + _HEADER.size, entries[-1].end
        wanted = [each for each in entries if (each.kind, each.architecture) == (_MACHINE_CODE, architecture)]
        if not wanted:
            raise ValueError(f"the fat binary at byte {at} has no machine code for {architecture}")
        kept = b"".join(data[each.begin : each.end] for each in wanted)
        data[begin:end] = kept + bytes(end - begin - len(kept))
        struct.pack_into("<Q", data, at + 8, len(kept))
        freed += end - begin - len(kept)
    return freed


def main() -> None:
    architecture, *files = sys.argv[1:]
    for file in map(Path, files):
        data = bytearray(file.read_bytes())
        freed = keep(data, int(architecture))
        file.write_bytes(data)
        print(f"{file.name}: {freed / 1e6:.1f} of {len(data) / 1e6:.1f} MB are zeros")


if __name__ == "__main__":
    main()
