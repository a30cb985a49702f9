"""Caffe's Datum and BlobProto, bytes <-> arrays, without Caffe: worker processes must not import it.

Field numbers are those of caffe.proto. Only what a message's own bytes say is read; image bytes are never copied.
"""

import math
from dataclasses import dataclass
from typing import Iterator, Optional, Tuple, Union

import numpy as np

from caffe_pylayers.errors import DataError

Buffer = Union[bytes, memoryview]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class Datum:
    """One record of an LMDB. `data` is an encoded image, or raw uint8 of channels x height x width."""

    data: Buffer = b""
    label: Optional[int] = None
    channels: int = 0
    height: int = 0
    width: int = 0
    encoded: bool = False

    def raw(self) -> np.ndarray:
        """The raw pixels, uint8 (channels, height, width). DataError unless the bytes are just that many."""
        shape = (self.channels, self.height, self.width)
        if min(shape) < 1 or len(self.data) != np.prod(shape, dtype=np.int64):
            raise DataError(
                f"a raw Datum of {len(self.data)} bytes says channels x height x width = "
                f"{self.channels} x {self.height} x {self.width}; write it again, or set encoded if it is a JPEG or PNG"
            )
        return np.frombuffer(self.data, np.uint8).reshape(shape)


def read_datum(buffer: Buffer) -> Datum:
    """Parse a Datum. Raises DataError where the bytes are none, or hold float_data (not read by this package yet)."""
    sizes = {1: 0, 2: 0, 3: 0, 7: 0}
    label: Optional[int] = None
    data: Buffer = b""
    for field, number, value in _fields(buffer):
        if field == 4:
            data = value
        elif field == 5:
            label = _int32(number)
        elif field == 6:
            raise DataError("a Datum with float_data; only images (data) are read")
        elif field in sizes:
            sizes[field] = _int32(number)
    return Datum(data, label, sizes[1], sizes[2], sizes[3], bool(sizes[7]))


def write_datum(datum: Datum) -> bytes:
    """The bytes of a Datum, as Caffe's own SerializeToString writes them."""
    parts = [
        _varint_field(number, value)
        for number, value in ((1, datum.channels), (2, datum.height), (3, datum.width))
        if value
    ]
    parts += [b"\x22", _varint(len(datum.data)), bytes(datum.data)]
    if datum.label is not None:
        parts.append(_varint_field(5, datum.label))
    if datum.encoded:
        parts.append(_varint_field(7, 1))
    return b"".join(parts)


def read_blob(buffer: Buffer) -> np.ndarray:
    """Parse a BlobProto (.binaryproto, as compute_image_mean writes it): float32 or float64, of the shape it has."""
    legacy = {1: 1, 2: 1, 3: 1, 4: 1}
    shape: Optional[Tuple[int, ...]] = None
    single, double = bytearray(), bytearray()
    for field, number, value in _fields(buffer):
        if field in legacy:
            legacy[field] = _int32(number)
        elif field == 5:
            single += value
        elif field == 7:
            shape = _blob_shape(value)
        elif field == 8:
            double += value
    if shape is None:
        shape = tuple(legacy.values())
    values, item = (double, "<f8") if double else (single, "<f4")
    if not values or len(values) != math.prod(shape) * np.dtype(item).itemsize:
        raise DataError(f"a BlobProto of shape {shape} with {len(values)} bytes; was the copy cut short?")
    return np.frombuffer(values, item).reshape(shape)


def _blob_shape(buffer: Buffer) -> Tuple[int, ...]:
    dims = []
    for field, number, packed in _fields(buffer):
        if field == 1 and not packed:
            dims.append(number)
        at = 0
        while field == 1 and at < len(packed):
            dim, at = _read_varint(packed, at)
            dims.append(dim)
    return tuple(dims)


def _fields(buffer: Buffer) -> Iterator[Tuple[int, int, Buffer]]:
    """(field number, number, bytes) of every field: a varint is the number, anything else a slice of the buffer."""
    at, end = 0, len(buffer)
    while at < end:
        tag, at = _read_varint(buffer, at)
        field, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            number, at = _read_varint(buffer, at)
            yield field, number, b""
            continue
        if wire == _BYTES:
            size, at = _read_varint(buffer, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise DataError(f"not a protobuf message (wire type {wire} at byte {at})")
        if field == 0 or at + size > end:
            raise DataError(f"a protobuf message cut short or damaged (field {field} at byte {at} of {end})")
        yield field, 0, buffer[at : at + size]
        at += size


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


def _varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint_field(number: int, value: int) -> bytes:
    return bytes([number << 3]) + _varint(value)
