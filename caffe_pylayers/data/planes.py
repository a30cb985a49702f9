"""From a loaded image to planes of numbers as they are fed: (x - mean) * scale of what a window shows.

Planes of 8 bits stay pixels until they are fed (`finished`). A mean here is float32 (C or 1, height, width) of the image's size,
or (C or 1, 1, 1), or None.
"""

from typing import Optional, Tuple

import cv2
import numpy as np

from caffe_pylayers.data.augmentation.erasing import MEAN, Erasing
from caffe_pylayers.data.geometry import Window
from caffe_pylayers.data.resampling import scaled, warped

Mean = Optional[np.ndarray]

_CV2_CHANNELS = 512  # CV_CN_MAX: features may have more
_BLOCK = 1 << 16  # numbers


def seen(image: np.ndarray, window: Window, mean: Mean) -> Tuple[np.ndarray, Mean]:
    """The pixels (H, W, C) that a window shows, without padding, and their mean."""
    if window.warp is not None:
        border = mean_of_pixels(mean, image)
        around = 0 if border is None else np.broadcast_to(border.ravel(), image.shape[2]).tolist()
        return warped(image, window.warp, window.size, around), mean
    if window.part is not None:
        image = window.part.of(image)
    if window.scaled != image.shape[:2]:
        image = scaled(image, window.scaled)
    if window.seen != window.scaled:
        image = window.cut(image)
        if mean is not None and mean.shape[1:] != (1, 1):
            mean = window.shown.of_planes(mean)
    if window.flip:
        flipped = cv2.flip(image, 1) if image.shape[2] <= _CV2_CHANNELS else image[:, ::-1]
        image = flipped.reshape(image.shape)  # OpenCV drops the axis of a single channel
        mean = None if mean is None else mean[:, :, ::-1]
    return image, mean


def feed(image: np.ndarray, mean: Mean, scale: float, out: np.ndarray) -> None:
    """Write the planes of an image into out (C, H, W): its pixels where that is uint8, otherwise less the mean, scaled."""
    for_cv2 = image.shape[2] <= _CV2_CHANNELS
    if for_cv2 and out.dtype == np.uint8 and out[0].flags.c_contiguous:
        cv2.split(image, list(out))
        return
    planes = cv2.split(image) if for_cv2 else image.transpose(2, 0, 1)
    for channel, (plane, target) in enumerate(zip(planes, out)):
        np.copyto(target, plane)
        if out.dtype != np.uint8:
            _finish(target, None if mean is None else mean[channel % len(mean)], scale)


def finished(images: np.ndarray, mean: Mean, scale: float, out: np.ndarray) -> None:
    """Write images of 8 bits (M, C, H, W) into out, float32 of that shape, less the mean (C or 1, 1, 1), scaled.

    In blocks that stay in the processor's cache, so that it takes less than to copy as many float32.
    """
    if mean is None and scale == 1:
        np.copyto(out, images)
        return
    planes, target = images.reshape(*images.shape[:2], -1), out.reshape(*images.shape[:2], -1)
    mean = None if mean is None else np.broadcast_to(mean.reshape(-1, 1), (images.shape[1], 1))
    pixels = planes.shape[2]
    several = _BLOCK // (planes.shape[1] * pixels)
    if several:
        for first in range(0, len(planes), several):
            block = slice(first, first + several)
            np.copyto(target[block], planes[block])
            _finish(target[block], mean, scale)
        return
    for image, channel in np.ndindex(*planes.shape[:2]):
        own = None if mean is None else mean[channel]
        for first in range(0, pixels, _BLOCK):
            part = slice(first, first + _BLOCK)
            np.copyto(target[image, channel, part], planes[image, channel, part])
            _finish(target[image, channel, part], own, scale)


def _finish(target: np.ndarray, mean: Mean, scale: float) -> None:
    if mean is not None:
        target -= mean
    if scale != 1:
        target *= np.float32(scale)


def cover(mean: Mean, out: np.ndarray) -> None:
    """Write the mean into planes (C, H, W): itself among pixels, and so 0 among numbers as they are fed."""
    out[...] = 0 if mean is None or out.dtype != np.uint8 else mean


def erase(erasing: Erasing, mean: Mean, scale: float, out: np.ndarray) -> None:
    """Cover a rectangle of planes (C, H, W)."""
    rect = erasing.patch.inside((out.shape[1], out.shape[2]))
    if rect is None:
        return
    target = rect.of_planes(out)
    if erasing.value == MEAN:
        cover(mean, target)
        return
    mean = mean if mean is None or mean.shape[1:] == (1, 1) else rect.of_planes(mean)
    feed(erasing.pixels(rect.size, len(out)), mean, scale, target)


def mean_of_pixels(mean: Mean, image: np.ndarray) -> Mean:
    """A mean, rounded for pixels that are integers."""
    if mean is None or image.dtype.kind != "u":
        return mean
    return np.asarray(np.clip(np.rint(mean), 0, np.iinfo(image.dtype).max))
