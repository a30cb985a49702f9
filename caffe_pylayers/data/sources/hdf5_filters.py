"""The filters of HDF5 that are undone without libhdf5, by their numbers.

Each takes the bytes that the filter made, how many bytes the whole chunk has, and how many a number has. It raises
ValueError where they are damaged. What comes of the last one is compared with the size of the chunk by the caller.
"""

import zlib
from typing import Callable, Dict

import numpy as np

_CHECKSUM = 4  # bytes


def _gunzipped(data: bytes, size: int, itemsize: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, size + _CHECKSUM + 1)  # a damaged one may make gigabytes
    except zlib.error as error:
        raise ValueError(str(error)) from error


def _unshuffled(data: bytes, size: int, itemsize: int) -> bytes:
    whole = len(data) // itemsize * itemsize
    return np.frombuffer(data[:whole], np.uint8).reshape(itemsize, -1).T.tobytes() + data[whole:]


def _checked(data: bytes, size: int, itemsize: int) -> bytes:
    """Without its Fletcher checksum, of which words are big-endian, and two sums of them modulo 65535 are kept."""
    data, checksum = data[:-_CHECKSUM], data[-_CHECKSUM:]
    words = np.frombuffer(data + b"\0" * (len(data) % 2), ">u2").astype(np.uint64)
    places = np.arange(len(words), 0, -1, dtype=np.uint64) % np.uint64(65535)
    sums = [int(words.sum()), int((words * places).sum())]
    low, high = ((total - 1) % 65535 + 1 if total else 0 for total in sums)
    if int.from_bytes(checksum, "little") != high << 16 | low:
        raise ValueError("its checksum is another")
    return data


def _lzf_unpacked(data: bytes, size: int, itemsize: int) -> bytes:
    """Runs of bytes as they are, and repetitions of what came before: a length, and a distance back."""
    out, at, end = bytearray(), 0, len(data)
    try:
        while at < end:
            control = data[at]
            if control < 32:
                out += data[at + 1 : at + control + 2]
                at += control + 2
                continue
            length = control >> 5
            if length == 7:
                at += 1
                length += data[at]
            length += 2
            distance = ((control & 31) << 8) + data[at + 1] + 1
            at += 2
            start = len(out) - distance
            if start < 0:
                raise ValueError("it repeats what was never there")
            if distance < length:  # it repeats itself
                out += (out[start:] * (length // distance + 1))[:length]
            else:
                out += out[start : start + length]
    except IndexError:
        raise ValueError("it is cut short") from None
    return bytes(out)


UNDONE: Dict[int, Callable[[bytes, int, int], bytes]] = {
    1: _gunzipped, 2: _unshuffled, 3: _checked, 32000: _lzf_unpacked,
}  # fmt: skip

#: The names of others, which only libhdf5 undoes.
OTHERS = {
    4: "szip", 5: "nbit", 6: "scaleoffset", 307: "bzip2", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32015: "zstd",
}  # fmt: skip
