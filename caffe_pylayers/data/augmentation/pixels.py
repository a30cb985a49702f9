"""Colours of an image, and blur, by torchvision's formulas for 8-bit images; ours are blue, green, red.

Each function takes uint8 (height, width, 1 or 3) and returns a new image. torchvision cuts the fraction off after each
step, and weighs grey so; those up to `gray`, but for `hue`, are equal to it where float32 has no
doubt about the fraction.
"""

from typing import Callable, Dict, Sequence, Tuple

import cv2
import numpy as np

#: A step and the number that is drawn for it.
Steps = Sequence[Tuple[str, float]]

#: OpenCV rounds to the nearest, torchvision cuts the fraction off. Half would be a tie for integers.
_CUT_OFF = -0.49995
_GREY = np.array([[0.114, 0.587, 0.2989, _CUT_OFF]], np.float32)
#: torchvision goes from 0..1 back to 8 bits by this.
_TO_BYTES = 255.999 / 255


def changed(image: np.ndarray, steps: Steps) -> np.ndarray:
    """The image after these steps, one after the other."""
    for name, value in steps:
        image = _STEPS[name](image, value)
    return image


def _brightness(image: np.ndarray, factor: float) -> np.ndarray:
    return _blended(image, factor, image, 0.0)


def _contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Away from the mean of the grey image, or towards it."""
    mean: float = cv2.mean(_grey(image))[0]
    return _blended(image, factor, image, 0.0, (1 - factor) * mean)


def _saturation(image: np.ndarray, factor: float) -> np.ndarray:
    return image if image.shape[2] == 1 else _blended(image, factor, _to_grey(image), 1 - factor)


def _hue(image: np.ndarray, shift: float) -> np.ndarray:
    """shift: of the circle of hues, from -0.5 to 0.5."""
    if image.shape[2] == 1:
        return image
    hsv = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_BGR2HSV)
    hue: np.ndarray = hsv[:, :, 0]
    hue += 360 * (shift % 1)  # which OpenCV takes modulo 360
    return np.asarray(cv2.convertScaleAbs(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), alpha=_TO_BYTES, beta=_CUT_OFF))


def _to_grey(image: np.ndarray, amount: float = 1) -> np.ndarray:
    return image if image.shape[2] == 1 else np.asarray(cv2.cvtColor(_grey(image), cv2.COLOR_GRAY2BGR))


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """By a Gaussian; the image is mirrored at its edges."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma)).reshape(image.shape)


def _grey(image: np.ndarray) -> np.ndarray:
    return image if image.shape[2] == 1 else np.asarray(cv2.transform(image, _GREY))


def _blended(image: np.ndarray, factor: float, other: np.ndarray, rest: float, offset: float = 0.0) -> np.ndarray:
    """image * factor + other * rest + offset."""
    blended = cv2.addWeighted(image, factor, other, rest, offset + _CUT_OFF)
    return np.asarray(blended).reshape(image.shape)  # OpenCV drops the axis of a single channel


_STEPS: Dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
    "gray": _to_grey,
    "blur": _blurred,
}
