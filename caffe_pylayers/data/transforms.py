"""From a record's bytes to a place in a batch: decode, resize, your own transform, crop, mirror, augment,
(x - mean) * scale, to C x H x W.

The workers write pixels of 8 bits where they can, a quarter of the memory; mean and scale then come in when the parent feeds them
(`feed`), which takes it less than to copy as many float32.
"""

from dataclasses import dataclass
from typing import Any, Callable, List, Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from caffe_pylayers.data import geometry, keyed, planes
from caffe_pylayers.data.augmentation.draws import NOTHING, Augmentation, Drawn
from caffe_pylayers.data.augmentation.pixels import changed
from caffe_pylayers.data.decoding import ANY, KEEP_BITS, MAX_PIXELS, Color, check_depth, check_size, decode, own_pixels
from caffe_pylayers.data.geometry import Draw, Fit, Matrix, Size, Window
from caffe_pylayers.data.image_size import image_size
from caffe_pylayers.data.planes import mean_of_pixels, seen
from caffe_pylayers.data.resampling import scaled
from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.sources.own import image_of
from caffe_pylayers.data.user_transform import UserTransform
from caffe_pylayers.files.mean import read_mean

Encoded = Union[bytes, memoryview]
Traced = Callable[[Size, Matrix], None]

# What a draw is for, the last part of its key.
_CROP_Y, _CROP_X, _MIRROR, _SCALE = range(4)

# Where to crop: the exact centre, rounded down as stock rounds it, (size - crop) // 2 of size - crop + 1 places; the last place.
_MIDDLE, _END = 0.5 - 1e-9, 1 - 1e-9

#: The ten crops, in the order of pycaffe's oversample.
_TEN_CROPS = [
    Draw(y, x, flip)
    for flip in (False, True)
    for y, x in ((0, 0), (0, _END), (_END, 0), (_END, _END), (_MIDDLE, _MIDDLE))
]


@dataclass(frozen=True)
class Transforms:
    """What happens to each image. Sizes are (height, width) in pixels; `random` crops and mirrors (TRAIN).

    mean: float32 (channels, height, width) of the size before the crop, or (channels, 1, 1), or (1, 1, 1), or None.
    color: 3 channels (blue, green, red) from encoded images, else 1; raw images keep their channels unless False.
    As in stock Caffe an alpha channel is dropped; pixels of more than 8 bits are refused. 'any' keeps channels and bits.
    fast: let the JPEG decoder scale down by 2, 4 or 8 first, as far as that stays above `resize`.
    lenient: of a file that is cut short decode what is there, as stock ImageData does.
    transform: a function of the user's.
    max_pixels: height times width of the largest image that is decoded.
    ten_crops: unless `random`, an image gives ten: the corners, the centre, and the same mirrored.
    factors: if `random`, the size is multiplied by one of them, drawn for each image.
    pads: fill an image that is smaller than the crop up with the mean; without it that is an error.
    mirror_first: the place of the crop is drawn for the mirrored image.
    augment: what else is random about an image.
    """

    resize: Union[Size, Fit, None] = None
    crop_size: Optional[Size] = None
    mirror: bool = False
    color: Color = True
    random: bool = False
    mean: Optional[np.ndarray] = None
    scale: float = 1.0
    fast: bool = False
    lenient: bool = False
    transform: Optional[UserTransform] = None
    max_pixels: int = MAX_PIXELS
    ten_crops: bool = False
    factors: Sequence[float] = ()
    pads: bool = False
    mirror_first: bool = False
    augment: Optional[Augmentation] = None

    @classmethod
    def of(cls, options: Any, training: bool = False) -> "Transforms":
        """Those that the options of a data layer name. Raises DataError where the mean's file cannot be read."""
        like = getattr(options, "like", None)
        return cls(
            resize=resize_of(options.resize),
            crop_size=options.crop_size,
            mirror=options.mirror,
            color=options.color,
            random=training or like == "DenseImageData",
            mean=read_mean(options.mean_file, options.mean_value),
            scale=options.scale,
            fast=options.decode in ("fast", "fast_lenient"),
            lenient=options.decode in ("lenient", "fast_lenient"),
            transform=UserTransform.of(options, training),
            max_pixels=options.max_pixels,
            ten_crops=getattr(options, "crops", None) == "ten",
            factors=(getattr(options, "scales", None) or ()) if training else (),
            pads=options.has_maps,
            mirror_first=like == "DenseImageData",
            augment=Augmentation.of(options.augment) if training and options.augment is not None else None,
        )

    @property
    def copies(self) -> int:
        """How many images are fed for each that is read."""
        return 10 if self.ten_crops and not self.random else 1

    def dtype(self, image: np.ndarray) -> np.dtype:
        """Of the slots: uint8 where `feed` can take the mean off later, and where they can hold it as pixels if they must; else float32."""
        if image.dtype != np.uint8 or (self.mean is not None and self.mean.shape[1:] != (1, 1)):
            return np.dtype(np.float32)
        covers = self.pads or (self.augment is not None and self.augment.shows_mean)
        pixels = mean_of_pixels(self.mean, image) if covers else None
        return np.dtype(np.uint8 if pixels is None or (pixels == self.mean).all() else np.float32)

    def shape(self, image: np.ndarray) -> Tuple[int, int, int]:
        """(channels, height, width) of what `write` makes of a loaded image."""
        height, width, channels = image.shape
        return (channels, *(self.crop_size or (height, width)))

    def load(
        self,
        source: Source,
        record: int,
        cut_short: Callable[[int], None] = lambda record: None,
        traced: Optional[Traced] = None,
    ) -> np.ndarray:
        """A record decoded and resized: uint8, uint16 or float32 (height, width, channels). DataError names the record.

        cut_short: called with the record where its file is cut short and `lenient` has read what is there.
        traced: called with (height, width) before resizing, and where the pixels of the stored image are now.
        """
        part, own = source.place(record)
        with part.naming(own):
            if part.pixel_shape is not None:  # a row of HDF5 may be compressed to little
                channels, *size = part.pixel_shape
                check_size(size, self.max_pixels, channels)
        data = image_of(part, own)
        with part.naming(own):
            image = self._raw(data) if isinstance(data, np.ndarray) else self._decoded(data, lambda: cut_short(record))
            if traced is not None:
                decoded = image.shape[0], image.shape[1]
                traced(decoded, self._moved(part.moved(own), data, decoded))
            if self.resize:
                image = self._resized(image, self.resize)
        return image if image.ndim == 3 else image[:, :, None]

    def _moved(self, matrix: Matrix, data: Union[Encoded, np.ndarray], decoded: Size) -> Matrix:
        """Where pixels are after decoding and resizing. matrix: where they are in what the source gave."""
        if self.fast and not isinstance(data, np.ndarray):
            stored = image_size(data) or decoded  # the sides may be the other way round, by EXIF
            matrix = geometry.then(matrix, geometry.shrunk(round(max(stored) / max(decoded))))
        if isinstance(self.resize, Fit):
            size = self.resize.size(*decoded)
            top, _, left, _ = self.resize.border(*size)
            return geometry.then(geometry.then(matrix, geometry.resized(decoded, size)), geometry.shifted(top, left))
        return geometry.then(matrix, geometry.resized(decoded, self.resize)) if self.resize else matrix

    def _resized(self, image: np.ndarray, resize: Union[Size, Fit]) -> np.ndarray:
        size = resize.size(*image.shape[:2]) if isinstance(resize, Fit) else resize
        if isinstance(resize, Fit):  # of an image of 1 x 10,000 pixels {'short': 100} makes 10,000 times as many
            check_size(size, self.max_pixels, when=" after `resize`")
        image = scaled(image, size) if image.shape[:2] != size else image
        return self._padded(image, resize.border(*size)) if isinstance(resize, Fit) and resize.pad else image

    def _padded(self, image: np.ndarray, border: Tuple[int, int, int, int]) -> np.ndarray:
        """With the mean around it; black where there is no mean."""
        image = image if image.ndim == 3 else image[:, :, None]
        (height, width, channels), (top, bottom, left, right) = image.shape, border
        padded = np.zeros((top + height + bottom, left + width + right, channels), image.dtype)
        mean = mean_of_pixels(self.mean, image)
        if mean is not None and len(mean) in (1, channels) and mean.shape[1:] in ((1, 1), padded.shape[:2]):
            padded[...] = mean.transpose(1, 2, 0)
        padded[top : top + height, left : left + width] = image
        return padded

    def _raw(self, image: np.ndarray) -> np.ndarray:
        check_size(image.shape[:2], self.max_pixels, image.shape[2])
        return image if self.color or image.shape[2] != 3 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)

    def _decoded(self, data: Encoded, cut_short: Callable[[], None]) -> np.ndarray:
        at_least: Any = self.resize if self.fast else None
        if isinstance(at_least, Fit):
            size = image_size(data)
            at_least = size and at_least.size(*size)
        image = decode(data, self.color, self.max_pixels, at_least, cut_short if self.lenient else None)
        if self.color == ANY:
            return own_pixels(image)
        check_depth(image, KEEP_BITS)
        return image

    def check(self, image: np.ndarray, source: Source, record: int) -> None:
        """Raise DataError where the loaded image of a record is too small for the crop, or not of the mean's size, or not finite."""
        height, width, channels = image.shape
        if self.color == ANY and image.dtype == np.float32 and not np.isfinite(image).all():
            raise source.error(
                "`color: any` found numbers that are not finite in float32",
                remedy="write others in their place, or let a `transform` do it",
                record=record,
            )
        fills = self.pads or (self.augment is not None and self.augment.fills)
        if self.crop_size and not fills and (height < self.crop_size[0] or width < self.crop_size[1]):
            raise source.error(
                f"{height} x {width} (height x width) is too small for crop_size {self.crop_size[0]} x {self.crop_size[1]}",
                remedy="set `resize`",
                record=record,
            )
        if self.augment is not None and (image.dtype != np.uint8 or channels not in (1, 3)):
            raise source.error(
                f"`augment` needs 8-bit images of 1 or 3 channels, but this has {channels} of {image.dtype}",
                remedy="leave `augment` out, or let a `transform` do it",
                record=record,
            )
        if self.mean is None:
            return
        if len(self.mean) not in (1, channels):
            raise source.error(
                f"{channels} channels, but the mean has {len(self.mean)}",
                remedy="give one number for all channels, or one per channel",
                record=record,
            )
        if self.mean.shape[1:] != (1, 1) and (self.factors or (self.augment is not None and self.augment.moves)):
            raise source.error(
                "mean_file is an image, which does not follow one that is scaled or moved",
                remedy="use mean_value",
                record=record,
            )
        if self.mean.shape[1:] not in ((1, 1), (height, width)):
            raise source.error(
                f"{height} x {width} (height x width), but the image of mean_file is {self.mean.shape[1]} x {self.mean.shape[2]}",
                remedy="they must be equal before the crop: set `resize`, or use mean_value",
                record=record,
            )

    def window(self, size: Sequence[int], draw: Draw, drawn: Drawn = NOTHING) -> Window:
        """What is fed of a loaded image of that size (height, width)."""
        return drawn.moved(self._window(size, draw), (size[0], size[1]))

    def _window(self, size: Sequence[int], draw: Draw) -> Window:
        height, width = size[0], size[1]
        if draw.factor != 1:  # rounded down, as DeepLab's ImageSegData does
            height, width = max(1, int(height * draw.factor)), max(1, int(width * draw.factor))
        if self.crop_size is None:
            whole = height, width
            return Window(whole, 0, 0, whole, whole, draw.flip)
        # Where the image is smaller, there is one place.
        rows, columns = self.crop_size
        y, x = int(draw.crop_y * max(1, height - rows + 1)), int(draw.crop_x * max(1, width - columns + 1))
        if self.mirror_first and draw.flip:
            x = max(0, width - columns) - x
        return Window((height, width), y, x, self.crop_size, (min(height, rows), min(width, columns)), draw.flip)

    def write(self, image: np.ndarray, window: Window, out: np.ndarray, drawn: Drawn = NOTHING) -> None:
        """Cut out, mirror, augment, and write the planes into out (channels, height, width): as they are fed, or, if it is uint8, as pixels.

        Padding is the mean, and so 0 as it is fed.
        """
        image, mean = seen(image, window, self.mean)
        if window.padded:
            planes.cover(mean, out)
            out = window.place(out)
        planes.feed(changed(image, drawn.steps), mean, self.scale, out)
        if drawn.erasing is not None:
            planes.erase(drawn.erasing, mean, self.scale, out)

    def feed(self, written: np.ndarray, out: np.ndarray) -> None:
        """Write images as `write` made them (M, channels, height, width) into out, float32, as they are fed."""
        if written.dtype == np.uint8:
            planes.finished(written, self.mean, self.scale, out)
        else:
            np.copyto(out, written)

    def augments(self, keys: np.ndarray) -> List[Drawn]:
        """What `augment` does to the images of the keys of a batch."""
        return self.augment.draws(keys) if self.augment else [NOTHING] * (len(keys) * self.copies)

    def draws(self, keys: np.ndarray) -> List[Draw]:
        """What is drawn for the keys of a batch: `copies` for each."""
        if self.copies > 1:
            return _TEN_CROPS * len(keys)
        if not self.random:
            return [Draw(_MIDDLE, _MIDDLE, False)] * len(keys)
        flips = keyed.uniform(keys, _MIRROR) < 0.5 if self.mirror else np.zeros(len(keys), bool)
        columns = [keyed.uniform(keys, _CROP_Y), keyed.uniform(keys, _CROP_X), flips]
        if self.factors:
            chosen = (keyed.uniform(keys, _SCALE) * len(self.factors)).astype(np.int64)
            columns.append(np.array(self.factors)[chosen])
        return [Draw(*each) for each in zip(*(column.tolist() for column in columns))]


def resize_of(option: Any) -> Union[Size, Fit, None]:
    """What the option `resize` says."""
    return (
        option
        if option is None or isinstance(option, tuple)
        else Fit(option.short, option.long, option.pad is not None)
    )
