"""What is kept of a record: its image and maps, decoded and resized, as bytes of a store."""

import struct
from typing import Iterable, List, NamedTuple, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers.data.geometry import UNMOVED, Matrix, Size

#: Of a record: number and version; height, width, channels; whether its file is cut short; height and width as it is stored;
#: where its pixels went; the type of each map.
_HEAD = struct.Struct("<q16s6i6d8B")
_TYPES = [None, np.dtype(np.uint8), np.dtype(np.float32)]  # of maps, by number
_MOST_MAPS = 8

ALIGNMENT = 64  # bytes, of each part

#: What is written of a record, one after the other.
Part = Union[bytes, memoryview]
#: 16 bytes that are others once the file of a record is another one.
Version = bytes


class Loaded(NamedTuple):
    """A record ready to be cut out.

    image: (height, width, channels). maps: of that height and width. stored: its size (height, width) before `resize`.
    matrix: where the pixels of the stored image are now. cut_short: whether only a part of its file could be read.
    """

    image: np.ndarray
    maps: Sequence[np.ndarray] = ()
    stored: Size = (0, 0)
    matrix: Matrix = UNMOVED
    cut_short: bool = False


def packed(record: int, version: Version, loaded: Loaded) -> List[Part]:
    """The parts that a store writes one after the other, each of whole `ALIGNMENT`s; [] where it cannot be kept."""
    image, maps = loaded.image, loaded.maps
    types = [_TYPES.index(each.dtype) if each.dtype in _TYPES else 0 for each in maps]
    if image.dtype != np.uint8 or not all(types) or any(each.shape != image.shape[:2] for each in maps):
        return []
    head = _HEAD.pack(
        record,
        version,
        *image.shape,
        loaded.cut_short,
        *loaded.stored,
        *loaded.matrix.ravel().tolist(),
        *types,
        *[0] * (_MOST_MAPS - len(types)),
    )
    parts: List[Part] = [head.ljust(_room(len(head)), b"\0")]
    for array in (image, *maps):
        parts.append(np.ascontiguousarray(array).data.cast("B"))
        rest = _room(array.nbytes) - array.nbytes
        if rest:
            parts.append(bytes(rest))
    return parts


def unpacked(memory: memoryview) -> Tuple[int, Version, Loaded]:
    """Record, version, and what was kept, on that memory. ValueError where it is nothing that `packed` made."""
    try:
        record, version, height, width, channels, cut_short, *rest = _HEAD.unpack_from(memory)
        offset = _room(_HEAD.size)
        arrays = []
        for dtype, shape in [
            (np.dtype(np.uint8), (height, width, channels)),
            *((_TYPES[number], (height, width)) for number in rest[8:] if number),
        ]:
            arrays.append(np.ndarray(shape, dtype, memory, offset))
            offset += _room(arrays[-1].nbytes)
    except (struct.error, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"no record: {error}") from error
    loaded = Loaded(arrays[0], arrays[1:], (rest[0], rest[1]), np.array(rest[2:8]).reshape(2, 3), bool(cut_short))
    return record, version, loaded


def check_sum(parts: Iterable[Part]) -> int:
    """64 bits, by which a record is told of which a page was not written: all words added up. It takes 3 us for 200 kB."""
    total = 0
    for part in parts:
        words = np.frombuffer(part, np.uint64, len(part) // 8).sum(dtype=np.uint64)
        total += int(words) + int.from_bytes(part[len(part) // 8 * 8 :], "little")
    return total % (1 << 64) - (1 << 63)


def _room(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
