"""From a record's bytes to a place in a batch: decode, resize, crop, mirror, (x - mean) * scale, to C x H x W.

All of it is the workers' work. Without mean and scale they write 8-bit slots, a quarter of the memory; the parent only
copies a slot into Caffe's blob.
"""

from dataclasses import dataclass
from typing import Optional, Tuple

import cv2
import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.sources.base import Image
from caffe_pylayers.errors import DataError

# What a draw is for, the last part of its key.
_CROP_Y, _CROP_X, _MIRROR = range(3)


@dataclass(frozen=True)
class Transforms:
    """What happens to each image. Sizes are (height, width) in pixels; `random` crops and mirrors (TRAIN).

    mean: float32 (channels, height, width) of the size before the crop, or (channels, 1, 1), or (1, 1, 1), or None.
    color: 3 channels (blue, green, red) from encoded images, else 1; raw images keep their channels unless False.
    """

    resize: Optional[Tuple[int, int]] = None
    crop_size: Optional[int] = None
    mirror: bool = False
    color: bool = True
    random: bool = False
    mean: Optional[np.ndarray] = None
    scale: float = 1.0

    @property
    def dtype(self) -> np.dtype:
        """Of the slots: uint8, or float32 where there is a mean or a scale."""
        return np.dtype(np.uint8 if self.mean is None and self.scale == 1 else np.float32)

    def shape(self, image: np.ndarray) -> Tuple[int, int, int]:
        """(channels, height, width) of what `write` makes of a loaded image."""
        height, width, channels = image.shape
        if self.crop_size:
            height = width = self.crop_size
        return channels, height, width

    def load(self, source: Source, record: int) -> np.ndarray:
        """A record decoded and resized: uint8 (height, width, channels). DataError names the record."""
        image = _decode(source.read(record), self.color)
        if image is None:
            raise DataError(
                f"{source.describe(record)}: not an image that OpenCV can decode, or cut short; "
                f"mend or remove the record"
            )
        if self.resize and image.shape[:2] != self.resize:
            image = cv2.resize(image, self.resize[::-1], interpolation=cv2.INTER_LINEAR)
        return image if image.ndim == 3 else image[:, :, None]

    def check(self, image: np.ndarray, source: Source, record: int) -> None:
        """Raise DataError where the loaded image of a record is too small for the crop, or not of the mean's size."""
        height, width, channels = image.shape
        if self.crop_size and min(height, width) < self.crop_size:
            raise DataError(
                f"{source.describe(record)}: {height} x {width} (height x width) is too small for crop_size {self.crop_size}; set `resize`"
            )
        if self.mean is None:
            return
        if len(self.mean) not in (1, channels):
            raise DataError(
                f"{source.describe(record)}: {channels} channels, but the mean has {len(self.mean)}; give one number for all, or one each"
            )
        if self.mean.shape[1:] not in ((1, 1), (height, width)):
            raise DataError(
                f"{source.describe(record)}: {height} x {width} (height x width), but the image of mean_file is {self.mean.shape[1]} x "
                f"{self.mean.shape[2]}; they must be equal before the crop: set `resize`, or use mean_value"
            )

    def write(self, image: np.ndarray, crop_y: float, crop_x: float, flip: bool, out: np.ndarray) -> None:
        """Crop, mirror, take off the mean, scale, and write the planes into out (channels, height, width).

        crop_y, crop_x: where to crop, from 0 (top, left) up to but not 1 (bottom, right).
        """
        mean = self.mean
        if self.crop_size:
            size = self.crop_size
            y = int(crop_y * (image.shape[0] - size + 1))
            x = int(crop_x * (image.shape[1] - size + 1))
            image = image[y : y + size, x : x + size]
            if mean is not None and mean.shape[1:] != (1, 1):
                mean = mean[:, y : y + size, x : x + size]
        if flip:
            image = cv2.flip(image, 1)
        if out.dtype == np.uint8:
            cv2.split(image, list(out))
            return
        for channel, (plane, target) in enumerate(zip(cv2.split(image), out)):
            np.copyto(target, plane)
            if mean is not None:
                target -= mean[channel % len(mean)][:, :: -1 if flip else 1]
            if self.scale != 1:
                target *= np.float32(self.scale)

    def draws(self, keys: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """crop_y, crop_x (in [0, 1)) and flip for `write`, for the keys of a batch."""
        if not self.random:
            # The exact centre, rounded down as stock rounds it: (size - crop) // 2 of size - crop + 1 places.
            middle = np.full(len(keys), 0.5 - 1e-9)
            return middle, middle, np.zeros(len(keys), bool)
        flips = keyed.uniform(keys, _MIRROR) < 0.5 if self.mirror else np.zeros(len(keys), bool)
        return keyed.uniform(keys, _CROP_Y), keyed.uniform(keys, _CROP_X), flips


def _decode(data: Image, color: bool) -> Optional[np.ndarray]:
    """uint8 (height, width[, channels]), or None where the bytes are no image."""
    if not isinstance(data, np.ndarray):
        if len(data) == 0:
            return None
        flag = cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE
        return cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if not color and data.shape[2] == 3:
        return cv2.cvtColor(data, cv2.COLOR_BGR2GRAY)
    return data
