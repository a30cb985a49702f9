"""From blobs back to pictures: mean and scale undone, 8-bit pixels, red first."""

from dataclasses import dataclass
from typing import Iterable, List

import cv2
import numpy as np

from caffe_pylayers.commands.preview.fed_batch import Preparation

#: What values may lie outside 0 to 255 by rounding, and what part may for other reasons, and still be cut off.
_SLACK, _FEW = 0.5, 0.001

#: Pictures darker than this all over are numbers of another kind, as 0 to 1.
_DARK = 20.0


@dataclass(frozen=True)
class Pictures:
    """Of one role: each uint8 (H, W, 3) or (H, W), and what was done to them, "" where nothing has to be said."""

    pictures: List[np.ndarray]
    note: str


def undone(image: np.ndarray, number: int, prepared: Preparation) -> np.ndarray:
    """An image (C, H, W) as fed, the `number`-th, before mean and scale: float32 (C, H, W)."""
    values = image.astype(np.float32)
    if prepared.scale not in (0, 1):
        values /= np.float32(prepared.scale)
    mean = prepared.mean
    if mean is None or len(mean) not in (1, len(image)):
        return values
    if mean.shape[1:] != (1, 1):
        height, width = image.shape[1:]
        rows, columns = mean.shape[1] - height, mean.shape[2] - width
        if min(rows, columns) < 0:
            return values
        at_y = prepared.crop_y[number] if prepared.crop_y is not None else 0.5 - 1e-9
        at_x = prepared.crop_x[number] if prepared.crop_x is not None else 0.5 - 1e-9
        y, x = int(at_y * (rows + 1)), int(at_x * (columns + 1))
        mean = mean[:, y : y + height, x : x + width]
        if prepared.flip is not None and prepared.flip[number]:
            mean = mean[:, :, ::-1]
    return values + mean


def pictures(images: np.ndarray, prepared: Preparation, shown: Iterable[int]) -> Pictures:
    """The pictures of those of a role's images (N, ...) that are shown; all of them tell how to draw."""
    planes = planes_of(images)
    notes = _channel_notes(images)
    if (
        prepared.mean is not None
        and prepared.mean.shape[1:] not in ((1, 1), planes.shape[2:])
        and prepared.crop_y is None
    ):
        notes.append("the mean image is added at the centre, because the crop positions are not known")
    if not prepared.pixels and planes.shape[1] == 1 and _are_classes(planes):
        notes.append("integers, each in its own colour: 0 black, 255 white")
        return Pictures([LABEL_COLOURS[planes[number, 0].astype(np.uint8)] for number in shown], "; ".join(notes))
    low, high, outside = _range(planes, prepared, 3 if planes.shape[1] > 2 else 1)
    stretch = not prepared.pixels or outside > _FEW or high < _DARK
    if not low <= high:
        notes.append("no value is a finite number")
        low, high = 0.0, 1.0
    elif stretch:
        what = "after undoing that, " if prepared.words else ""
        notes.append(
            f"{what}values go from {low:.4g} to {high:.4g}, not from 0 to 255 like pixels: drawn from black to white"
        )
    elif outside:
        notes.append(f"{outside:.2%} of the values lie outside 0 to 255 and are cut off")
    drawn = []
    for number in shown:
        values = undone(planes[number], number, prepared)
        if stretch:
            values = (values - low) * (255.0 / max(high - low, 1e-30))
        pixels = np.nan_to_num(np.clip(np.rint(values[:3]), 0, 255)).astype(np.uint8)
        drawn.append(cv2.merge(list(pixels[2::-1])) if len(pixels) > 2 else pixels[0])
    return Pictures(drawn, "; ".join(notes))


def _are_classes(maps: np.ndarray) -> bool:
    """Whether they are maps of labels: integers of 0 to 255."""
    return bool(((maps >= 0) & (maps <= 255) & (maps == np.floor(maps))).all())


def _palette() -> np.ndarray:
    """A colour for each of 256 labels, uint8 (256, 3): hues a golden angle apart, so that neighbours are unlike."""
    labels = np.arange(256)
    hsv = np.stack([labels * 0.618 % 1 * 180, np.full(256, 200), 255 - labels // 8 % 4 * 45], 1).astype(np.uint8)
    colours = cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0]
    colours[0], colours[255] = 0, 255
    return colours


#: Of 256 labels, uint8 (256, 3), red first.
LABEL_COLOURS = _palette()


def planes_of(images: np.ndarray) -> np.ndarray:
    """Any blob (N, ...) as (N, C, H, W)."""
    if images.ndim == 4 and images[0, 0].size > 1:
        return images
    if images.ndim > 4:
        return images[(slice(None),) * 2 + (0,) * (images.ndim - 4)]
    if images.ndim == 3:
        return images[:, None]
    vectors = images.reshape(len(images), -1)
    width = int(np.ceil(np.sqrt(vectors.shape[1])))
    height = -(-vectors.shape[1] // width)
    padding = np.zeros((len(images), height * width - vectors.shape[1]), images.dtype)
    return np.concatenate([vectors, padding], 1).reshape(len(images), 1, height, width)


def _channel_notes(images: np.ndarray) -> List[str]:
    if images.ndim < 3 or (images.ndim == 4 and images[0, 0].size == 1):
        return [f"vectors of {images[0].size}, drawn row by row"]
    notes = []
    if images.ndim > 4:
        notes.append(f"only the first of the {' x '.join(map(str, images.shape[2:-2]))} planes of a channel is drawn")
    if images.ndim > 3 and images.shape[1] == 2:
        notes.append("2 channels: only the first is drawn")
    if images.ndim > 3 and images.shape[1] > 3:
        notes.append(f"{images.shape[1]} channels: the first three are drawn as blue, green, red")
    return notes


def _range(planes: np.ndarray, prepared: Preparation, drawn: int) -> "tuple[float, float, float]":
    """Smallest and largest finite value of the channels that are drawn, when undone, and the part that lies outside 0 to 255."""
    low, high, outside, total = np.inf, -np.inf, 0, 0
    for number in range(len(planes)):
        values = undone(planes[number], number, prepared)[:drawn]
        values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
        outside += int(np.count_nonzero((values < -_SLACK) | (values > 255 + _SLACK)))
        total += values.size
    return low, high, outside / max(total, 1)
