"""The numbers in the file of a map: those that were stored, whatever colours a viewer shows for them."""

import struct
from typing import Any, Dict

import numpy as np

from caffe_pylayers.data import png
from caffe_pylayers.data.decoding import check_size, decode, decode_npy
from caffe_pylayers.data.image_size import tiff_tags
from caffe_pylayers.data.sources.base import Image
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.npy import NPY

_HEADER = struct.Struct(">IIBB")  # of a PNG, behind its first 16 bytes: width, height, bits, type of colour
_GREY, _PALETTE = 0, 3

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BITS, _COMPRESSION, _PHOTOMETRIC = 258, 259, 262  # tags
_PLAIN = (1, 2)  # photometric interpretations of a TIFF: grey with 0 for black, and colours
_LOSSY_TIFF = (6, 7, 33003, 33004, 33005, 34712, 34892, 50001, 50002)  # JPEG, JPEG 2000, lossy JPEG, WebP, JPEG XL

#: JPEG, WebP, JPEG 2000.
_LOSSY = (b"\xff\xd8\xff", b"RIFF", b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
#: BMP, PBM, PPM, PAM, Sun raster.
_PICTURES = (b"BM", b"P1", b"P3", b"P4", b"P6", b"P7", b"\x59\xa6\x6a\x95")

_AS_PNG = "write it as a PNG, from what it was made of"


def numbers_in(data: Image, max_pixels: int, exact: bool) -> np.ndarray:
    """The map (H, W) in the bytes of a file, or in pixels (H, W, channels), with the type that it has.

    exact: whether each number counts, so that a JPEG will not do. Raises DataError where there is none, or colours.
    """
    if isinstance(data, np.ndarray):
        check_size(data.shape[:2], max_pixels, data.shape[2])
        return _single(data)
    if bytes(data[:6]) == NPY:
        return _single(decode_npy(data, max_pixels, _check_numbers))
    _check_format(data, exact)
    if bytes(data[:8]) != png.SIGNATURE or len(data) < 33:
        return _single(decode(data, None, max_pixels), with_alpha=True)
    _, _, bits, colour = _HEADER.unpack_from(data, 16)
    found = _single(decode(_as_grey(data) if colour == _PALETTE else data, None, max_pixels), with_alpha=True)
    # Numbers of less than 8 bits are spread over 0 to 255 where they are decoded as grey: 1 of 1 bit is 255 then.
    return found // np.uint8(255 // (2**bits - 1)) if bits < 8 else found


def _check_format(data: Any, exact: bool) -> None:
    """Raise DataError where the format of a file may change the numbers, or OpenCV does."""
    start = bytes(data[:12])
    lossy, picture = start.startswith(_LOSSY), start.startswith(_PICTURES)
    tags = _tags(data) if start.startswith(_TIFF) else {}
    if tags:
        lossy = tags.get(_COMPRESSION) in _LOSSY_TIFF
        picture = tags.get(_PHOTOMETRIC) not in (*_PLAIN, *(6,) * lossy) or tags.get(_BITS, 1) < 8
    if picture:
        raise DataError(
            "a file in which the numbers that OpenCV reads are not those that are stored: BMP, PBM, PPM, PAM, Sun raster, or a TIFF with "
            "a palette, or of less than 8 bits",
            remedy=_AS_PNG,
        )
    if exact and lossy:
        raise DataError(
            "a JPEG, WebP or JPEG 2000, or a TIFF with one in it, which may change the numbers of labels",
            remedy=_AS_PNG,
        )


def _tags(data: Any) -> Dict[int, int]:
    try:
        return tiff_tags(memoryview(data), (_BITS, _COMPRESSION, _PHOTOMETRIC)) or {}
    except IndexError:  # cut short
        return {}


def _check_numbers(dtype: np.dtype) -> None:
    if dtype.kind not in "biuf":
        raise DataError(
            f"a .npy file with numbers of type {dtype}", remedy="integers and floating-point numbers are allowed"
        )


def _single(image: np.ndarray, with_alpha: bool = False) -> np.ndarray:
    """The only channel, or the first where three are equal. with_alpha: where there are four, the last one does not count."""
    if image.ndim == 2:
        return image
    count = image.shape[2]
    if count not in (1, 3, 3 + with_alpha):
        raise DataError(
            f"it has {count} channels",
            remedy="a map has one number for each pixel: (height, width), in HDF5 (N, height, width) or (N, 1, height, width)",
        )
    first = image[:, :, 0]
    if any(not np.array_equal(first, image[:, :, other]) for other in range(1, min(count, 3))):
        raise DataError(
            f"it has {count} channels, which differ, so its pixels are colours and not numbers",
            remedy="write the number of each pixel as a grey image, or as one with a palette",
        )
    return np.ascontiguousarray(first)


def _as_grey(data: Any) -> bytes:
    """A PNG with a palette as one of grey pixels, whose numbers are those that pointed into the palette."""
    width, height, bits, _ = _HEADER.unpack_from(data, 16)
    header = _HEADER.pack(width, height, bits, _GREY) + bytes(data[26:29])
    pixels = [bytes(data[begin:end]) for name, begin, end in png.chunks(data) if name in (b"IDAT", b"IEND")]
    return b"".join((png.SIGNATURE, png.chunk(b"IHDR", header), *pixels))
