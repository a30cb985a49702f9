"""Images and maps of other sizes, or moved."""

from typing import Any

import cv2
import numpy as np

from caffe_pylayers.data.geometry import Matrix, Size
from caffe_pylayers.errors import DataError


def scaled(image: np.ndarray, size: Size, way: int = cv2.INTER_LINEAR) -> np.ndarray:
    """An image (H, W, C), or a map (H, W), of another size. way: a flag of OpenCV's. Raises DataError where OpenCV cannot do it."""
    try:
        found = cv2.resize(image, size[::-1], interpolation=way)
    except cv2.error as error:
        raise DataError(f"OpenCV cannot resize it: {error.err}") from error
    return np.asarray(found).reshape(*size, *image.shape[2:])  # OpenCV drops the axis of a single channel


def warped(image: np.ndarray, matrix: Matrix, size: Size, border: Any, way: int = cv2.INTER_LINEAR) -> np.ndarray:
    """The same moved by the matrix, cut out with this size. border: what stands around it, a number for each channel."""
    try:
        found = cv2.warpAffine(image, matrix, size[::-1], flags=way, borderMode=cv2.BORDER_CONSTANT, borderValue=border)
    except cv2.error as error:  # sides of 32,768 pixels and more
        raise DataError(f"OpenCV cannot rotate or shift it: {error.err}") from error
    return np.asarray(found).reshape(*size, *image.shape[2:])
