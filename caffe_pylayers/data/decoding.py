"""The bytes of an image file to pixels, within bounds that its header is held to before."""

import math
import os
from typing import Any, Callable, Dict, Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from caffe_pylayers.data import png
from caffe_pylayers.data.image_size import image_size
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.npy import NPY, npy_header

#: The largest image that is decoded unless `max_pixels` says otherwise: in colour it takes 805 MB.
MAX_PIXELS = 1 << 28

#: Of a JPEG: the emptiest picture has a bit for every block of 64 pixels, so ten times less than this.
_MOST_PIXELS_A_BYTE = 4096

_JPEG = b"\xff\xd8\xff"
#: The formats of floating-point pixels: Radiance HDR, OpenEXR, PFM.
_OF_FLOATS = (b"#?R", b"v/1\x01", b"PF", b"Pf")

#: The option `color`: three channels, one, or those of the file.
Color = Union[bool, str]
ANY = "any"

#: (color, shrink) -> the flag of imdecode, which shall keep the file's own depth.
_FLAGS: Dict[Tuple[Optional[Color], int], int] = {
    (color, shrink): getattr(cv2, f"IMREAD_{reduced}{name}{f'_{shrink}' if reduced else ''}") | kept
    for color, name, kept in (
        (True, "COLOR", cv2.IMREAD_ANYDEPTH),
        (False, "GRAYSCALE", cv2.IMREAD_ANYDEPTH),
        (ANY, "GRAYSCALE", cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR),  # which drops alpha, but a JPEG has none
    )
    for shrink, reduced in ((1, ""), (2, "REDUCED_"), (4, "REDUCED_"), (8, "REDUCED_"))
}
_FLAGS[None, 1] = cv2.IMREAD_UNCHANGED


def _any_channels() -> int:
    """The flag that keeps the channels of files that are no JPEGs.

    All three together keep alpha too, and turn an image by its EXIF orientation, but in an older OpenCV they make three
    channels. There it is IMREAD_UNCHANGED, which does not turn.
    """
    flag = cv2.IMREAD_COLOR | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
    image = cv2.imdecode(cv2.imencode(".png", np.zeros((1, 1, 4), np.uint8))[1], flag)
    return flag if image.shape == (1, 1, 4) else cv2.IMREAD_UNCHANGED


_ANY_CHANNELS = _any_channels()


def decode(
    data: Any,
    color: Optional[Color] = True,
    max_pixels: int = MAX_PIXELS,
    at_least: Optional[Tuple[int, int]] = None,
    cut_short: Optional[Callable[[], None]] = None,
) -> np.ndarray:
    """The pixels of an image file: (height, width, 3) blue, green, red if `color`, else (height, width), of its own depth.

    color: None for as many channels as OpenCV finds in the file; 'any' for the same, turned by its EXIF orientation; and .npy
    files are read too.
    at_least: (height, width); the decoder may scale a JPEG down by 2, 4 or 8 as far as it stays of this size.
    cut_short: called where the file is cut short and what is there has been decoded, as stock ImageData does; None: such a file
    is an error.
    Raises DataError, without the name of the record, where the bytes are no image, or one of more than `max_pixels`.
    """
    if color == ANY and bytes(data[:6]) == NPY:
        return decode_npy(data, max_pixels, check_type)
    size = image_size(data)
    if bytes(data[:4]).startswith(_OF_FLOATS):
        if color == ANY:
            raise DataError("Radiance HDR, OpenEXR and PFM are not read", remedy="write its pixels as a .npy file")
        raise wrong_depth("floating-point")
    is_jpeg = bytes(data[:3]) == _JPEG
    if size is None or (bytes(data[:8]) == png.SIGNATURE and png.has_absurd_chunk(data)):
        raise _no_image(_OF_NPY if bytes(data[:6]) == NPY else _DAMAGED)
    if is_jpeg and size[0] * size[1] > _MOST_PIXELS_A_BYTE * len(data):
        raise _no_image()  # it would take OpenCV many seconds, and gigabytes
    check_size(size, max_pixels)
    shrink = _shrink(data, size, at_least) if at_least and is_jpeg else 1
    flag = _ANY_CHANNELS if color == ANY and not is_jpeg else _FLAGS[color, shrink]
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise DataError(f"OpenCV cannot decode it: {error.err}") from error
    if image is not None:
        return np.asarray(image)
    image = _decoded_as_file(data, flag) if is_jpeg else None
    if image is None or cut_short is None:
        raise _no_image() if image is None else _no_image(_LENIENT)
    cut_short()
    return np.asarray(image)


def _decoded_as_file(data: Any, flag: int) -> Optional[np.ndarray]:
    """What OpenCV reads of a file with these bytes: of a JPEG that is cut short it decodes what is there, unlike in memory."""
    file = os.memfd_create("caffe_pylayers image")
    try:
        with open(file, "wb", closefd=False) as stream:
            stream.write(data)
        return cv2.imread(f"/proc/self/fd/{file}", flag)
    except cv2.error as error:
        raise DataError(f"OpenCV cannot decode it: {error.err}") from error
    finally:
        os.close(file)


def decode_npy(data: Any, max_pixels: int, check: "Callable[[np.dtype], None]") -> np.ndarray:
    """The numbers of a .npy file, (height, width) or (height, width, channels), in memory of their own.

    check: raises DataError where their type cannot be used.
    """
    try:
        shape, fortran, dtype, begin = npy_header(data)
    except (ValueError, IndexError) as error:
        raise DataError(f"a .npy file that cannot be read: {error}", remedy=_DAMAGED) from error
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise DataError(
            f"a .npy file with an array of shape {shape}",
            remedy="(height, width) or (height, width, channels) is allowed",
        )
    check_size(shape[:2], max_pixels, (*shape, 1)[2])
    check(dtype)
    count = math.prod(shape)
    if len(data) - begin != count * dtype.itemsize:
        raise DataError(
            f"a .npy file with {len(data) - begin} bytes of numbers, but its header says {count * dtype.itemsize}",
            remedy="was the copy cut short?",
        )
    numbers = np.frombuffer(data, dtype, count, begin).reshape(shape, order="F" if fortran else "C")
    return np.array(numbers, dtype.newbyteorder("="), order="C")


def check_size(size: Sequence[int], max_pixels: int, channels: int = 1, when: str = "") -> None:
    """Raise DataError where an image of that size (height, width), which it has when that was done, has more than `max_pixels` pixels.

    Of more than four channels, every four numbers count as a pixel.
    """
    if max(size[0] * size[1], size[0] * size[1] * channels // 4) > max_pixels:
        planes = f" of {channels} channels" if channels > 4 else ""
        raise DataError(
            f"{size[0]} x {size[1]} pixels (height x width){planes}{when} are more than `max_pixels`, {max_pixels}",
            remedy="make the image smaller, or raise `max_pixels`",
        )


#: What to do with pixels of more bits, for a layer that has no `color: any`.
_TO_8_BITS = "make it an 8-bit image, or write its pixels to HDF5, which keeps numbers"
#: For one that has it.
KEEP_BITS = "set `color: any`, which keeps them, or make it an 8-bit image"


def check_depth(image: np.ndarray, remedy: str = _TO_8_BITS) -> None:
    """Raise DataError where decoded pixels are not of 8 bits."""
    if image.dtype != np.uint8:
        raise wrong_depth("16-bit" if image.dtype == np.uint16 else str(image.dtype), remedy)


def wrong_depth(what: str, remedy: str = _TO_8_BITS) -> DataError:
    return DataError(f"{what} pixels, but only 8 bits of each would be kept", remedy=remedy)


def check_type(dtype: np.dtype) -> None:
    """Raise DataError where `color: any` does not take numbers of that type."""
    if dtype.newbyteorder("=") not in _TYPES:
        raise DataError(f"numbers of type {dtype}", remedy="uint8, uint16, float32 and float64 are allowed")


_TYPES = tuple(map(np.dtype, (np.uint8, np.uint16, np.float32, np.float64)))


def own_pixels(image: np.ndarray) -> np.ndarray:
    """Decoded pixels as `color: any` takes them: uint8, uint16 or float32. Raises DataError where they are of another type."""
    check_type(image.dtype)
    if image.dtype != np.float64:
        return image
    with np.errstate(all="ignore"):  # numbers beyond float32 become infinite, which is told later
        return image.astype(np.float32)


def unlike(
    image: np.ndarray, channels: int, dtype: np.dtype, color: Color, first_record: str = "the first record"
) -> Optional[Tuple[str, str]]:
    """Problem and remedy where an image (height, width, channels) has other channels or bits than the first record; else None."""
    if (image.shape[2], image.dtype) == (channels, dtype):
        return None
    found, first = (
        f"{many} channel{'s' * (many > 1)} of {kind}"
        for many, kind in ((image.shape[2], image.dtype), (channels, dtype))
    )
    if color == ANY:
        problem = f"`color: any` found {found}, but {first_record} has {first}"
        return problem, "write all images alike, or set `color: true` or `color: false`, which feed 8-bit images alike"
    return (
        f"{found}, but {first_record} has {first}",
        "all images of a layer must have the same channels and one type",
    )


_DAMAGED = "fix or remove the record"
_OF_NPY = "a .npy file needs `color: any`, which the data layers of caffe_pylayers have"
_LENIENT = "copy the file again, or read what is there: `decode: lenient`"


def _no_image(remedy: str = _DAMAGED) -> DataError:
    return DataError("not an image that OpenCV can decode, or cut short", remedy=remedy)


def _shrink(data: Any, size: Tuple[int, int], target: Tuple[int, int]) -> int:
    """How far a JPEG of that size may be scaled down and still be at least of the target's: 1, 2, 4 or 8."""
    ratio = min(size[0] / target[0], size[1] / target[1])
    if b"Exif" in bytes(data[:64]):  # which may say that it is to be turned by 90 degrees
        ratio = min(ratio, size[1] / target[0], size[0] / target[1])
    return next((shrink for shrink in (8, 4, 2) if ratio >= shrink), 1)
