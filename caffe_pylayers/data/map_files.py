"""The numbers in the file of a map: those that were stored, whatever colours a viewer shows for them."""

import struct
import zlib
from typing import Any

import numpy as np

from caffe_pylayers.data.decoding import check_size, decode, decode_npy
from caffe_pylayers.data.sources.base import Image
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.npy import NPY

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_HEADER = struct.Struct(">IIBB")  # of a PNG, behind its first 16 bytes: width, height, bits, type of colour
_GREY, _PALETTE = 0, 3


def numbers_in(data: Image, max_pixels: int, exact: bool) -> np.ndarray:
    """The map (H, W) in the bytes of a file, or in pixels (H, W, channels), with the type that it has.

    exact: whether each number counts, so that a JPEG will not do. Raises DataError where there is none, or colours.
    """
    if isinstance(data, np.ndarray):
        check_size(data.shape[:2], max_pixels, data.shape[2])
        return _single(data)
    if exact and bytes(data[:3]) == _JPEG:
        raise DataError(
            "it is a JPEG, which changes the numbers of labels",
            remedy="write label maps as PNG, from what they were made of",
        )
    if bytes(data[:6]) == NPY:
        return _single(decode_npy(data, max_pixels, _check_numbers))
    if bytes(data[:8]) != _PNG or len(data) < 33:
        return _single(decode(data, None, max_pixels))
    _, _, bits, colour = _HEADER.unpack_from(data, 16)
    found = _single(decode(_as_grey(data) if colour == _PALETTE else data, None, max_pixels))
    # Numbers of less than 8 bits are spread over 0 to 255 where they are decoded as grey: 1 of 1 bit is 255 then.
    return found // np.uint8(255 // (2**bits - 1)) if bits < 8 else found


def _check_numbers(dtype: np.dtype) -> None:
    if dtype.kind not in "biuf":
        raise DataError(
            f"a .npy file with numbers of type {dtype}", remedy="integers and floating-point numbers are allowed"
        )


def _single(image: np.ndarray) -> np.ndarray:
    """The only channel, or the first where three are equal."""
    if image.ndim == 2:
        return image
    channels = [image[:, :, number] for number in range(min(3, image.shape[2]))]
    if len(channels) == 2 or any(not np.array_equal(channels[0], other) for other in channels[1:]):
        raise DataError(
            f"it has {image.shape[2]} channels, which differ, so its pixels are colours and not numbers",
            remedy="write the number of each pixel as a grey image, or as one with a palette",
        )
    return np.ascontiguousarray(channels[0])


def _as_grey(data: Any) -> bytes:
    """A PNG with a palette as one of grey pixels, whose numbers are those that pointed into the palette."""
    width, height, bits, _ = _HEADER.unpack_from(data, 16)
    header = b"IHDR" + _HEADER.pack(width, height, bits, _GREY) + bytes(data[26:29])
    parts, at = [_PNG, _chunk(header)], 33
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if bytes(data[at + 4 : at + 8]) not in (b"PLTE", b"tRNS"):
            parts.append(bytes(data[at : at + 12 + length]))
        at += 12 + length
    return b"".join(parts)


def _chunk(content: bytes) -> bytes:
    """A chunk of a PNG: the length of what is behind its name, that, and a checksum."""
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
