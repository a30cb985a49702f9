"""Sizes of images, and where the centres of their pixels go when they are resized, cropped and mirrored."""

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

Size = Tuple[int, int]  # height, width

#: float64 (2, 3): takes (x, y, 1) of a point of one image to (x, y) of the other; pixel centres are at integers.
Matrix = np.ndarray

UNMOVED: Matrix = np.eye(2, 3)
UNMOVED.flags.writeable = False


@dataclass(frozen=True)
class Fit:
    """Resizing that keeps the aspect: the shorter side becomes `short`, or the longer one `long`.

    The other side is rounded down, as in torchvision's Resize and SSD's InferNewSize. pad: the image is put into the centre of a
    square with that side; where it cannot be in the centre it is a pixel nearer to the top and the left.
    """

    short: Optional[int] = None
    long: Optional[int] = None
    pad: bool = False

    def size(self, height: int, width: int) -> Size:
        """The size of an image of that size, without padding."""
        side = min(height, width) if self.short else max(height, width)
        wanted = self.short or self.long or side
        return max(1, wanted * height // side), max(1, wanted * width // side)

    def border(self, height: int, width: int) -> Tuple[int, int, int, int]:
        """The pixels of padding around an image of that size: top, bottom, left, right."""
        if not self.pad or self.long is None:
            return 0, 0, 0, 0
        rows, columns = self.long - height, self.long - width
        return rows // 2, rows - rows // 2, columns // 2, columns - columns // 2


def resized(old: Size, new: Size) -> Matrix:
    """As OpenCV resizes: x -> (x + 0.5) * scale - 0.5."""
    scale_y, scale_x = new[0] / old[0], new[1] / old[1]
    return np.array([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2]])


def shrunk(by: int) -> Matrix:
    """As a JPEG decoder scales down."""
    return np.array([[1 / by, 0, (1 / by - 1) / 2], [0, 1 / by, (1 / by - 1) / 2]])


def shifted(y: int, x: int) -> Matrix:
    """By so many pixels to the bottom and to the right."""
    return np.array([[1.0, 0, x], [0, 1.0, y]])


def mirrored(width: int) -> Matrix:
    return np.array([[-1.0, 0, width - 1], [0, 1.0, 0]])


def then(first: Matrix, second: Matrix) -> Matrix:
    """One after the other."""
    together = second[:, :2] @ first
    together[:, 2] += second[:, 2]
    return np.asarray(together)
