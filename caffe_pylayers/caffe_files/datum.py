"""Caffe's Datum and BlobProto, bytes <-> arrays, without Caffe: worker processes must not import it.

Field numbers are those of caffe.proto. Only what a message's own bytes say is read; image bytes are never copied.
"""

import math
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple, Union

import numpy as np

from caffe_pylayers.errors import DataError

Buffer = Union[bytes, memoryview]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_AXES = 32  # kMaxBlobAxes
SIZES = (1, 2, 3, 4)  # fields of a BlobProto: num, channels, height, width, where there is no shape


@dataclass(frozen=True, eq=False)
class Datum:
    """One record of an LMDB.

    data: an encoded image (`encoded`), or raw uint8 of channels x height x width.
    label: one, several (as forks of Caffe for several labels write it), or None.
    float_data: float32 (channels x height x width,) in place of data, or None.
    """

    data: Buffer = b""
    label: Union[int, Tuple[int, ...], None] = None
    channels: int = 0
    height: int = 0
    width: int = 0
    encoded: bool = False
    float_data: Optional[np.ndarray] = None

    @property
    def labels(self) -> Tuple[int, ...]:
        """All of its labels."""
        if self.label is None:
            return ()
        return self.label if isinstance(self.label, tuple) else (self.label,)

    def raw(self) -> np.ndarray:
        """The pixels, uint8 or float32 (channels, height, width). DataError unless there are just that many.

        As in Caffe float_data counts only where there is no data.
        """
        shape = (self.channels, self.height, self.width)
        pixels, items, remedy = np.frombuffer(self.data, np.uint8), "bytes", ", or set encoded if it is a JPEG or PNG"
        if self.float_data is not None and not len(self.data):
            pixels, items, remedy = self.float_data, "float_data", ""
        if min(shape) < 1 or len(pixels) != math.prod(shape):
            raise DataError(
                f"a raw Datum has {len(pixels)} {items}, but its channels x height x width are {self.channels} x {self.height} x {self.width}",
                remedy=f"write it again{remedy}",
            )
        return pixels.reshape(shape)


def read_datum(buffer: Buffer) -> Datum:
    """Parse a Datum. Raises DataError where the bytes are none."""
    sizes = {1: 0, 2: 0, 3: 0, 7: 0}
    labels: List[int] = []
    data: Buffer = b""
    floats = bytearray()
    for field, value in message_fields(buffer):
        if field == 5:
            labels += map(_int32, _varints(value))
        elif isinstance(value, int):
            if field in sizes:
                sizes[field] = _int32(value)
        elif field == 4:
            data = value
        elif field == 6:
            floats += value
    if len(floats) % 4:
        raise DataError(f"a Datum with float_data of {len(floats)} bytes", remedy="each number needs 4 bytes")
    label = None if not labels else labels[0] if len(labels) == 1 else tuple(labels)
    float_data = np.frombuffer(floats, "<f4") if floats else None
    return Datum(data, label, sizes[1], sizes[2], sizes[3], bool(sizes[7]), float_data)


def read_labels(buffer: Buffer) -> List[int]:
    """The labels of a Datum alone: its image is stepped over, and what stands behind its labels is not looked at."""
    return [_int32(label) for field, value in message_fields(buffer, last=5) if field == 5 for label in _varints(value)]


def span_of_data(start: bytes) -> Tuple[int, int]:
    """From where to where in a Datum its data lie with their tag, told by its first bytes; (0, 0) where those do not tell.

    What is left without them is a Datum with the same labels.
    """
    at = 0
    try:
        while at < len(start):
            tag, behind_tag = _read_varint(start, at)
            number, behind = _read_varint(start, behind_tag)
            if tag == 4 << 3 | _BYTES:
                return at, behind + number
            if tag & 7 != _VARINT:
                break
            at = behind
    except DataError:  # the first bytes end inside a field
        pass
    return 0, 0


def write_datum(datum: Datum) -> bytes:
    """The bytes of a Datum, as Caffe's own SerializeToString writes them."""
    sizes = ((1, datum.channels), (2, datum.height), (3, datum.width))
    parts: List[Buffer] = [varint_field(number, value) for number, value in sizes if value]
    if len(datum.data):
        parts += [b"\x22", varint(len(datum.data)), datum.data]
    parts += [varint_field(5, label) for label in datum.labels]
    if datum.float_data is not None:
        numbers = np.empty(np.size(datum.float_data), [("tag", "u1"), ("number", "<f4")])
        numbers["tag"] = 6 << 3 | _FIXED32
        numbers["number"] = np.ravel(datum.float_data)
        parts.append(numbers.tobytes())
    if datum.encoded:
        parts.append(varint_field(7, 1))
    return b"".join(parts)


def read_blob(buffer: Buffer) -> np.ndarray:
    """Parse a BlobProto (.binaryproto, as compute_image_mean writes it): float32 or float64, of the shape it has.

    A blob may have no numbers: then a size in its shape is 0.
    """
    legacy: Dict[int, int] = {}
    shape: Optional[Tuple[int, ...]] = None
    single, double = bytearray(), bytearray()
    for field, value in message_fields(buffer):
        if isinstance(value, int):
            if field in SIZES:
                legacy[field] = _int32(value)
        elif field == 5:
            single += value
        elif field == 7:
            shape = tuple(dim for number, dims in message_fields(value) if number == 1 for dim in _varints(dims))
        elif field == 8:
            double += value
    if shape is None:  # of a blob without axes Caffe writes neither: one slope for all channels
        shape = tuple(legacy.get(field, 1) for field in SIZES) if legacy else ()
    values, item = (double, "<f8") if double else (single, "<f4")
    if len(shape) > _MOST_AXES:
        raise DataError(f"a BlobProto with {len(shape)} axes, but a blob of Caffe has at most {_MOST_AXES}")
    if min(shape, default=1) < 0 or len(values) != math.prod(shape) * np.dtype(item).itemsize:
        raise DataError(f"a BlobProto of shape {shape} with {len(values)} bytes", remedy="was the copy cut short?")
    return np.frombuffer(values, item).reshape(shape)


def write_blob(array: np.ndarray, legacy: bool = False) -> bytes:
    """The bytes of a BlobProto with float32 numbers of the array's shape, as Caffe's own SerializeToString writes them.

    array: numbers of any shape, each size at least 1. legacy: write the four sizes as Caffes before 2015 did.
    """
    numbers = np.ascontiguousarray(array, "<f4").tobytes()
    if legacy:
        sizes = b"".join(varint_field(number + 1, size) for number, size in enumerate(array.shape))
        return b"".join([sizes, bytes_field(5, numbers)])
    dims = b"".join(varint(size) for size in array.shape)
    shape = b"\x0a" + varint(len(dims)) + dims if dims else b""
    return b"".join([bytes_field(5, numbers), bytes_field(7, shape)])


def bytes_field(number: int, content: bytes) -> bytes:
    """A field that has bytes, text or a message."""
    return b"".join([varint(number << 3 | _BYTES), varint(len(content)), content])


def message_fields(buffer: Buffer, last: int = 0) -> Iterator[Tuple[int, Union[int, Buffer]]]:
    """(field number, value) of every field: a varint is an int, anything else a slice of the buffer.

    last: stop behind this field, once it has come; libraries write fields by their numbers.
    """
    at, end = 0, len(buffer)
    field = -1
    while at < end:
        tag, at = _read_varint(buffer, at)
        if field == last != tag >> 3:
            return
        field, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            number, at = _read_varint(buffer, at)
            yield field, number
            continue
        if wire == _BYTES:
            size, at = _read_varint(buffer, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise DataError(f"not a protobuf message (wire type {wire} at byte {at})")
        if field == 0 or at + size > end:
            raise DataError(f"a protobuf message cut short or damaged (field {field} at byte {at} of {end})")
        if wire == _FIXED32 and tag < 0x80:
            numbers = _run(buffer, at, tag)
            yield field, numbers.tobytes()
            at += 5 * len(numbers) - 1
        else:
            yield field, buffer[at : at + size]
            at += size


def _run(buffer: Buffer, at: int, tag: int) -> np.ndarray:
    """uint8 (M, 4): the 4-byte number at `at` and those that follow it, each behind the same tag of one byte.

    So protobuf 2 writes repeated floats, thousands of them in a Datum of features.
    """
    rows = np.frombuffer(buffer, np.uint8, (len(buffer) - at + 1) // 5 * 5, at - 1).reshape(-1, 5)
    count, ahead = 1, 16
    while count < len(rows):
        others = rows[count : count + ahead, 0] != tag
        if others.any():
            count += int(others.argmax())
            break
        count += len(others)
        ahead *= 2
    return rows[:count, 1:]


def _varints(value: Union[int, Buffer]) -> Iterator[int]:
    """The number or numbers of a repeated field, written one a tag or packed."""
    if isinstance(value, int):
        yield value
        return
    at = 0
    while at < len(value):
        number, at = _read_varint(value, at)
        yield number


def _read_varint(buffer: Buffer, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(buffer) or shift > 63:
            raise DataError(f"a protobuf message cut short or damaged at byte {at} of {len(buffer)}")
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _int32(value: int) -> int:
    """Protobuf writes a negative int32 as ten bytes of two's complement."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


def varint(value: int) -> bytes:
    """An integer as protobuf writes it."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint_field(number: int, value: int) -> bytes:
    """A field that is an integer."""
    return varint(number << 3) + varint(value)
