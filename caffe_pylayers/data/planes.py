"""From a loaded image to planes of numbers as they are fed: (x - mean) * scale of what a window shows.

A mean here is float32 (C or 1, height, width) of the image's size, or (C or 1, 1, 1), or None.
"""

from typing import Optional, Tuple

import cv2
import numpy as np

from caffe_pylayers.data.augmentation.erasing import MEAN, Erasing
from caffe_pylayers.data.geometry import Window
from caffe_pylayers.data.resampling import scaled, warped

Mean = Optional[np.ndarray]

_CV2_CHANNELS = 512  # CV_CN_MAX: features may have more


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
    """Write the planes of an image into out (C, H, W), less the mean, scaled."""
    for_cv2 = image.shape[2] <= _CV2_CHANNELS
    if for_cv2 and out.dtype == np.uint8 and out[0].flags.c_contiguous:
        cv2.split(image, list(out))
        return
    planes = cv2.split(image) if for_cv2 else image.transpose(2, 0, 1)
    for channel, (plane, target) in enumerate(zip(planes, out)):
        np.copyto(target, plane)
        if mean is not None:
            target -= mean[channel % len(mean)]
        if scale != 1:
            target *= np.float32(scale)


def erase(erasing: Erasing, mean: Mean, scale: float, out: np.ndarray) -> None:
    """Cover a rectangle of planes (C, H, W)."""
    rect = erasing.patch.inside((out.shape[1], out.shape[2]))
    if rect is None:
        return
    target = rect.of_planes(out)
    if erasing.value == MEAN:
        target[...] = 0
        return
    mean = mean if mean is None or mean.shape[1:] == (1, 1) else rect.of_planes(mean)
    feed(erasing.pixels(rect.size, len(out)), mean, scale, target)


def mean_of_pixels(mean: Mean, image: np.ndarray) -> Mean:
    """A mean, rounded for pixels that are integers."""
    if mean is None or image.dtype.kind != "u":
        return mean
    return np.asarray(np.clip(np.rint(mean), 0, np.iinfo(image.dtype).max))
