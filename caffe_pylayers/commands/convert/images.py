"""What happens to each image of a conversion: nothing, or decoded, resized, made grey, encoded."""

import re
from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, Optional, Tuple

import cv2
import numpy as np

from caffe_pylayers.data.decoding import ANY, MAX_PIXELS, decode
from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.sources.base import Image
from caffe_pylayers.data.sources.own import image_of
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.files.npy import NPY

#: The types and channels of image files that a layer reads as they are, in words too; a PNG that it reads by `color: any`.
_HELD = (np.uint8,), (1, 3), "these hold 8-bit pixels of 1 or 3 channels"
_HELD_ANY = (np.uint8, np.uint16), (1, 3, 4), "a PNG holds 8-bit or 16-bit pixels of 1, 3 or 4 channels"

#: Formats whose images are the bytes of an image file, and nothing else.
_FILES_ONLY = ("CSV", "BCF")


@dataclass(frozen=True)
class Images:
    """What happens to images on their way to a target of a format.

    resize: (height, width) in pixels, bilinear, as the data layers do. gray: one channel. color: 'any' keeps the channels and the
    bits of files that are decoded; None: three channels of 8 bits.
    encode: 'jpg:QUALITY', 'png', 'raw' (pixels), or None: as they are where nothing changes them, else pixels in LMDB and
    HDF5 and PNG in CSV and BCF. max_pixels: height times width of the largest that is decoded. lenient: of a file that is cut short, what is there.
    Raises ConfigError for an encoding that is none of these, or that the format cannot hold.
    """

    target_type: str
    resize: Optional[Tuple[int, int]] = None
    gray: bool = False
    encode: Optional[str] = None
    max_pixels: int = MAX_PIXELS
    lenient: bool = False
    color: Optional[str] = None

    def __post_init__(self) -> None:
        if self.gray and self.color:
            raise ConfigError(f"--gray and --color {self.color} contradict each other", remedy="leave one out")
        if self.encode not in (None, "png", "raw") and not _jpg_quality(self.encode):
            raise ConfigError(
                f"--encode {self.encode}: jpg:QUALITY with a quality from 1 to 100, as in jpg:90, png or raw is expected"
            )
        if self.encode == "raw" and self.target_type in _FILES_ONLY:
            raise ConfigError(
                f"--encode raw: {self.target_type} holds encoded images only",
                remedy="png loses nothing, LMDB and HDF5 hold pixels",
            )

    @property
    def encoding(self) -> str:
        """How images are written, in the words of `encode`; 'kept' where their bytes stay as they are."""
        if self.encode:
            return self.encode
        if not (self.resize or self.gray):
            return "kept"
        return "png" if self.target_type in _FILES_ONLY else "raw"

    def make(self, source: Source, record: int, cut_short: Callable[[int], None] = lambda record: None) -> Image:
        """The image of a record, as it is to be written. DataError names the record that cannot be read or written.

        cut_short: called with a record of which `lenient` has read only a part.
        """
        if self.encoding == "kept":
            image = image_of(source, record)
            if not isinstance(image, np.ndarray):
                with source.naming(record):  # a JPEG is not even made full size
                    told = (lambda: cut_short(record)) if self.lenient else None
                    color = ANY if bytes(image[: len(NPY)]) == NPY else False
                    decode(image, color, self.max_pixels, at_least=(1, 1), cut_short=told)
                return image
            return self._encoded(image, "png", source, record) if self.target_type in _FILES_ONLY else image
        transforms = Transforms(
            resize=self.resize, color=self.color or not self.gray, max_pixels=self.max_pixels, lenient=self.lenient
        )
        image = transforms.load(source, record, cut_short)
        if self.encoding == "raw":
            return image.astype(np.float32) if image.dtype == np.uint16 else image
        return self._encoded(image, self.encoding, source, record)

    def described(self) -> Dict[str, Any]:
        """What decides how images are made, as plans and provenances have it."""
        later = ("lenient", "color")  # than the first version: they are there where they are set
        described = {name: value for name, value in asdict(self).items() if name != "max_pixels"}
        return {name: value for name, value in described.items() if value or name not in later}

    def _encoded(self, image: np.ndarray, encoding: str, source: Source, record: int) -> bytes:
        quality = _jpg_quality(encoding)
        types, channels, words = _HELD_ANY if self.color == ANY and not quality else _HELD
        if image.dtype not in types or image.shape[2] not in channels:
            raise source.error(
                f"an image of type {image.dtype} with {image.shape[2]} channels does not fit into an image file: {words}",
                remedy="convert it to LMDB or HDF5, without --encode",
                record=record,
            )
        if quality:
            return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        return cv2.imencode(".png", image)[1].tobytes()


def _jpg_quality(encoding: Optional[str]) -> int:
    """The quality of 'jpg:90', or 0 if it is something else."""
    match = re.fullmatch(r"jpe?g:(\d{1,3})", encoding or "")
    quality = int(match[1]) if match else 0
    return quality if quality <= 100 else 0
