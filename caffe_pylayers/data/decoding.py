"""The bytes of an image file to pixels, within bounds that its header is held to before."""

import os
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import cv2
import numpy as np

from caffe_pylayers.data.image_size import image_size
from caffe_pylayers.errors import DataError

#: The largest image that is decoded unless `max_pixels` says otherwise: in colour it takes 805 MB.
MAX_PIXELS = 1 << 28

#: Of a JPEG: the emptiest picture has a bit for every block of 64 pixels, so ten times less than this.
_MOST_PIXELS_A_BYTE = 4096

_JPEG = b"\xff\xd8\xff"
#: The formats of floating-point pixels: Radiance HDR, OpenEXR, PFM.
_OF_FLOATS = (b"#?R", b"v/1\x01", b"PF", b"Pf")

#: (color, shrink) -> the flag of imdecode, which shall keep the file's own depth.
_FLAGS: Dict[Tuple[Optional[bool], int], int] = {
    (color, shrink): getattr(cv2, f"IMREAD_{reduced}{name}{f'_{shrink}' if reduced else ''}") | cv2.IMREAD_ANYDEPTH
    for color, name in ((True, "COLOR"), (False, "GRAYSCALE"))
    for shrink, reduced in ((1, ""), (2, "REDUCED_"), (4, "REDUCED_"), (8, "REDUCED_"))
}
_FLAGS[None, 1] = cv2.IMREAD_UNCHANGED


def decode(
    data: Any,
    color: Optional[bool] = True,
    max_pixels: int = MAX_PIXELS,
    at_least: Optional[Tuple[int, int]] = None,
    cut_short: Optional[Callable[[], None]] = None,
) -> np.ndarray:
    """The pixels of an image file: (height, width, 3) blue, green, red if `color`, else (height, width), of its own depth.

    color: None for as many channels as the file has.
    at_least: (height, width); the decoder may scale a JPEG down by 2, 4 or 8 as far as it stays of this size.
    cut_short: called where the file is cut short and what is there has been decoded, as stock ImageData does; None: such a file
    is an error.
    Raises DataError, without the name of the record, where the bytes are no image, or one of more than `max_pixels`.
    """
    size = image_size(data)
    if bytes(data[:4]).startswith(_OF_FLOATS):
        raise wrong_depth("floating-point")
    is_jpeg = bytes(data[:3]) == _JPEG
    if size is None:
        raise _no_image()
    if is_jpeg and size[0] * size[1] > _MOST_PIXELS_A_BYTE * len(data):
        raise _no_image()  # it would take OpenCV many seconds, and gigabytes
    check_size(size, max_pixels)
    shrink = _shrink(data, size, at_least) if at_least and is_jpeg else 1
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS[color, shrink])
    except cv2.error as error:
        raise DataError(f"OpenCV cannot decode it: {error.err}") from error
    if image is not None:
        return np.asarray(image)
    image = _decoded_as_file(data, _FLAGS[color, shrink]) if is_jpeg else None
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


def check_size(size: Sequence[int], max_pixels: int, channels: int = 1) -> None:
    """Raise DataError where an image of that size (height, width) has more than `max_pixels` pixels.

    Of more than four channels, every four numbers count as a pixel.
    """
    if max(size[0] * size[1], size[0] * size[1] * channels // 4) > max_pixels:
        planes = f" of {channels} channels" if channels > 4 else ""
        raise DataError(
            f"{size[0]} x {size[1]} pixels (height x width){planes} are more than `max_pixels`, {max_pixels}",
            remedy="make the image smaller, or raise `max_pixels`",
        )


def check_depth(image: np.ndarray) -> None:
    """Raise DataError where decoded pixels are not of 8 bits."""
    if image.dtype != np.uint8:
        raise wrong_depth("16-bit" if image.dtype == np.uint16 else str(image.dtype))


def wrong_depth(what: str) -> DataError:
    return DataError(
        f"{what} pixels, but only 8 bits of each would be kept",
        remedy="make it an 8-bit image, or write its pixels to HDF5, which keeps numbers",
    )


_LENIENT = "copy the file again, or read what is there: `decode: lenient`"


def _no_image(remedy: str = "fix or remove the record") -> DataError:
    return DataError("not an image that OpenCV can decode, or cut short", remedy=remedy)


def _shrink(data: Any, size: Tuple[int, int], target: Tuple[int, int]) -> int:
    """How far a JPEG of that size may be scaled down and still be at least of the target's: 1, 2, 4 or 8."""
    ratio = min(size[0] / target[0], size[1] / target[1])
    if b"Exif" in bytes(data[:64]):  # which may say that it is to be turned by 90 degrees
        ratio = min(ratio, size[1] / target[0], size[0] / target[1])
    return next((shrink for shrink in (8, 4, 2) if ratio >= shrink), 1)
