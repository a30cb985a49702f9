"""Sizes of images, and where the centres of their pixels go when they are resized, cropped and mirrored."""

from dataclasses import dataclass
from typing import NamedTuple, Optional, Tuple

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


class Draw(NamedTuple):
    """What is random about how an image is fed.

    crop_y, crop_x: where to crop, from 0 (top, left) up to but not 1 (bottom, right). factor: of its size.
    """

    crop_y: float
    crop_x: float
    flip: bool
    factor: float = 1.0


class Rect(NamedTuple):
    """A part of an image."""

    y: int
    x: int
    height: int
    width: int

    @property
    def size(self) -> Size:
        return self.height, self.width

    @property
    def places(self) -> Tuple[slice, slice]:
        """Its rows and its columns."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    def of(self, image: np.ndarray) -> np.ndarray:
        """That part of an image (H, W) or (H, W, C), or of its map."""
        return image[self.places]

    def of_planes(self, planes: np.ndarray) -> np.ndarray:
        """That part of planes (C, H, W)."""
        return planes[(slice(None), *self.places)]


class Window(NamedTuple):
    """What is fed of an image: it is scaled to `scaled`, cut out from (y, x) on with this `size`, and mirrored if `flip`.

    Where the scaled image is smaller than `size`, it is padded at the bottom and the right. seen: the size of the part of the image that
    is fed. part: the part of the image that is scaled, none: all. warp: what is done in place of all that, if anything: where the pixels
    of the image go in what is fed.
    """

    scaled: Size
    y: int
    x: int
    size: Size
    seen: Size
    flip: bool
    part: Optional[Rect] = None
    warp: Optional[Matrix] = None

    @property
    def padded(self) -> bool:
        """Whether padding is written around what `place` tells."""
        return self.warp is None and self.seen != self.size

    @property
    def shown(self) -> Rect:
        """The part of the scaled image that is fed."""
        return Rect(self.y, self.x, *self.seen)

    def cut(self, image: np.ndarray) -> np.ndarray:
        """That part of a scaled image (H, W) or (H, W, C), or of its map; not mirrored."""
        return self.shown.of(image)

    def place(self, out: np.ndarray) -> np.ndarray:
        """Where that part goes in what is fed (..., height, width)."""
        height, width = self.seen
        first = self.size[1] - width if self.flip else 0
        return out[..., :height, first : first + width]

    def matrix(self, old: Size) -> "Matrix":
        """Where it takes the pixels of an image of that size to."""
        if self.warp is not None:
            return self.warp
        cut = UNMOVED if self.part is None else shifted(-self.part.y, -self.part.x)
        moved = then(then(cut, resized(self.part.size if self.part else old, self.scaled)), shifted(-self.y, -self.x))
        return then(moved, mirrored(self.size[1])) if self.flip else moved


def resized(old: Size, new: Size) -> Matrix:
    """As OpenCV resizes: x -> (x + 0.5) * scale - 0.5."""
    scale_y, scale_x = new[0] / old[0], new[1] / old[1]
    return np.array([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2]])


def shrunk(by: int) -> Matrix:
    """As a JPEG decoder scales down."""
    return np.array([[1 / by, 0, (1 / by - 1) / 2], [0, 1 / by, (1 / by - 1) / 2]])


def shifted(y: float, x: float) -> Matrix:
    """By so many pixels to the bottom and to the right."""
    return np.array([[1.0, 0, x], [0, 1.0, y]])


def mirrored(width: int) -> Matrix:
    return np.array([[-1.0, 0, width - 1], [0, 1.0, 0]])


def then(first: Matrix, second: Matrix) -> Matrix:
    """One after the other."""
    together = second[:, :2] @ first
    together[:, 2] += second[:, 2]
    return np.asarray(together)
