"""How large an image is, by the header of its file: nothing is decoded.

A file of a few megabytes may hold gigabytes of pixels. Every format that the OpenCV of opencv-python decodes to 8-bit or
16-bit pixels is known here: JPEG, PNG, WebP, TIFF, BMP, JPEG 2000, PBM, PGM, PPM, PAM, Sun raster.
"""

import re
from typing import Any, Callable, Dict, Iterator, Optional, Sequence, Tuple

Size = Tuple[int, int]

#: What a reader of numbers in OpenCV steps over.
_BLANK = rb"(?:\s|#[^\n\r]*[\n\r])*"
#: Of PBM, PGM and PPM: OpenCV drops the character behind a number, whatever it is.
_PNM = re.compile(rb"P[1-6](?=\s)" + _BLANK + rb"(\d{1,10})(?!\d).?" + _BLANK + rb"(\d{1,10})(?!\d)", re.DOTALL)
_PAM = re.compile(rb"(WIDTH|HEIGHT)\s+(\d{1,10})(?!\d)")
_TEXT = 1 << 16  # bytes of a text header that are looked at


def image_size(data: Any) -> Optional[Size]:
    """(height, width) in pixels that the header of an image file says, or None where it is of no known format.

    data: bytes or a memoryview of the whole file. Where a TIFF has tiles that are larger than the image, their size.

    >>> image_size(b"P5 4 3 255 ...")
    (3, 4)
    """
    data = memoryview(data)
    start = bytes(data[:12])
    for signature, read in _FORMATS.items():
        if start.startswith(signature):
            try:
                return read(data)
            except IndexError:  # cut short
                return None
    return None


def jpeg_size(data: memoryview) -> Optional[Size]:
    """(height, width) of a JPEG: of its first frame."""
    at = 2
    while at < len(data):
        while data[at] != 0xFF:  # garbage is stepped over, as libjpeg does
            at += 1
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in (0xD9, 0xDA):  # end, or pixels without a frame
            return None
        if marker <= 0x01 or 0xD0 <= marker <= 0xD8:  # without a length
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            return _number(data, at + 3, 2), _number(data, at + 5, 2)
        at += _number(data, at, 2)
    return None


def _png_size(data: memoryview) -> Optional[Size]:
    return (_number(data, 20, 4), _number(data, 16, 4)) if bytes(data[12:16]) == b"IHDR" else None


def _webp_size(data: memoryview) -> Optional[Size]:
    kind = bytes(data[8:16])
    if kind == b"WEBPVP8X":
        return _number(data, 27, 3, "little") + 1, _number(data, 24, 3, "little") + 1
    if kind == b"WEBPVP8L":
        bits = _number(data, 21, 4, "little")
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if kind == b"WEBPVP8 ":
        return _number(data, 28, 2, "little") & 0x3FFF, _number(data, 26, 2, "little") & 0x3FFF
    return None


def _bmp_size(data: memoryview) -> Optional[Size]:
    if _number(data, 14, 4, "little") == 12:  # of OS/2
        return _number(data, 20, 2, "little"), _number(data, 18, 2, "little")
    height, width = (int.from_bytes(_bytes(data, at, 4), "little", signed=True) for at in (22, 18))
    return abs(height), abs(width)  # below 0 where the top row comes first


def _tiff_size(data: memoryview) -> Optional[Size]:
    """Of the first directory."""
    found = tiff_tags(data, (256, 257, 322, 323))  # width and height of the image, of a tile
    if found is None or 256 not in found or 257 not in found:
        return None
    sizes = (found[257], found[256]), (found.get(323, 0), found.get(322, 0))
    return max(sizes, key=lambda size: size[0] * size[1])


def tiff_tags(data: memoryview, tags: Sequence[int]) -> Optional[Dict[int, int]]:
    """The numbers of these tags in the first directory of a TIFF, the largest of those of one tag; None where one is no integer.

    Raises IndexError where the file is cut short.
    """
    order = "little" if data[0] == 0x49 else "big"
    big = _number(data, 2, 2, order) == 43
    of_count, of_entry, of_value = (8, 20, 8) if big else (2, 12, 4)
    directory = _number(data, 8 if big else 4, of_value, order)
    first = directory + of_count
    found: Dict[int, int] = {}
    for entry in range(min(_number(data, directory, of_count, order), len(data) // of_entry)):
        at = first + of_entry * entry
        tag, kind = _number(data, at, 2, order), _number(data, at + 2, 2, order)
        value = {1: 1, 3: 2, 4: 4, 16: 8}.get(kind)  # bytes of a number
        if tag in tags:
            if value is None or value > of_value:
                return None
            found[tag] = max(found.get(tag, 0), _number(data, at + of_entry - of_value, value, order))
    return found


def _jp2_size(data: memoryview) -> Optional[Size]:
    """Of the code stream in the boxes of a JP2 file."""
    at = 0
    while at < len(data):
        length, head = _number(data, at, 4), 8
        if length == 1:
            length, head = _number(data, at + 8, 8), 16
        if bytes(data[at + 4 : at + 8]) == b"jp2c":
            return _j2k_size(data[at + head :])
        if length < head:  # 0 is up to the end
            return None
        at += length
    return None


def _j2k_size(data: memoryview) -> Optional[Size]:
    if bytes(data[:4]) != b"\xff\x4f\xff\x51":
        return None
    right, bottom, left, top = (_number(data, at, 4) for at in (8, 12, 16, 20))
    return max(0, bottom - top), max(0, right - left)


def _pnm_size(data: memoryview) -> Optional[Size]:
    match = _PNM.match(bytes(data[:_TEXT]))
    return (int(match[2]), int(match[1])) if match else None


def _pam_size(data: memoryview) -> Optional[Size]:
    header, end, _ = bytes(data[:_TEXT]).partition(b"ENDHDR")
    found = {b"WIDTH": 0, b"HEIGHT": 0}
    for name, number in _PAM.findall(header):
        found[name] = max(found[name], int(number))
    return (found[b"HEIGHT"], found[b"WIDTH"]) if end and all(found.values()) else None


def _sun_size(data: memoryview) -> Optional[Size]:
    return _number(data, 8, 4), _number(data, 4, 4)


def _signatures() -> Iterator[Tuple[bytes, Callable[[memoryview], Optional[Size]]]]:
    yield b"\xff\xd8\xff", jpeg_size
    yield b"\x89PNG\r\n\x1a\n", _png_size
    yield b"RIFF", _webp_size
    yield b"BM", _bmp_size
    for signature in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        yield signature, _tiff_size
    yield b"\0\0\0\x0cjP  \r\n\x87\n", _jp2_size
    yield b"\xff\x4f\xff\x51", _j2k_size
    for digit in b"123456":
        yield b"P%c" % digit, _pnm_size
    yield b"P7", _pam_size
    yield b"\x59\xa6\x6a\x95", _sun_size


_FORMATS = dict(_signatures())


def _bytes(data: memoryview, at: int, count: int) -> bytes:
    found = bytes(data[at : at + count])
    if len(found) < count:
        raise IndexError(at)
    return found


def _number(data: memoryview, at: int, count: int, order: Any = "big") -> int:
    """The number in so many bytes. Raises IndexError behind the end."""
    return int.from_bytes(_bytes(data, at, count), order)
