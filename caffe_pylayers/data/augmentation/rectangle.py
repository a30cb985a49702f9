"""A rectangle of an image with a random area, shape and place."""

import math
from dataclasses import dataclass
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.augmentation.amount import PURPOSES, RATIO, VALUE, X, Y, happens
from caffe_pylayers.data.geometry import Rect, Size

#: As many as torchvision makes until a rectangle fits.
_ATTEMPTS = 10


class Patch(NamedTuple):
    """A rectangle: the first that fits of several (part of the area, width : height).

    y, x: where it is, from 0 up to but not 1. ratio: between which width : height are.
    """

    attempts: Sequence[Tuple[float, float]]
    y: float
    x: float
    ratio: Tuple[float, float]

    def inside(self, size: Size) -> Optional[Rect]:
        """None where none fits."""
        height, width = size
        for area, ratio in self.attempts:
            columns = round(math.sqrt(area * height * width * ratio))
            rows = round(math.sqrt(area * height * width / ratio))
            if 0 < rows <= height and 0 < columns <= width:
                return Rect(int(self.y * (height - rows + 1)), int(self.x * (width - columns + 1)), rows, columns)
        return None

    def inside_or_largest(self, size: Size) -> Rect:
        """Where none fits, the largest in the centre whose width : height is as near to `ratio` as it can be."""
        return self.inside(size) or _largest(size, self.ratio)


@dataclass(frozen=True)
class Rectangle:
    """A rectangle with a part of the area and a width : height between these, drawn for each image, with probability p."""

    area: Tuple[float, float]
    ratio: Tuple[float, float]
    p: float

    @classmethod
    def of(cls, option: Any) -> "Rectangle":
        return cls(option.area, option.ratio, option.p)

    def drawn(self, keys: np.ndarray, step: str) -> List[Optional[Patch]]:
        """One for each key, None where it is left out. Ratios have uniform logarithms."""
        areas, ratios = (
            low + (high - low) * keyed.uniform(keys[:, None], PURPOSES[step], which, np.arange(_ATTEMPTS))
            for (low, high), which in ((self.area, VALUE), (np.log(self.ratio), RATIO))
        )
        places = (keyed.uniform(keys, PURPOSES[step], which).tolist() for which in (Y, X))
        return [
            Patch(list(zip(*tried)), y, x, self.ratio) if there else None
            for *tried, y, x, there in zip(
                areas.tolist(), np.exp(ratios).tolist(), *places, happens(keys, step, self.p)
            )
        ]


def _largest(size: Size, ratio: Tuple[float, float]) -> Rect:
    height, width = size
    if width < ratio[0] * height:
        height = max(1, round(width / ratio[0]))
    elif width > ratio[1] * height:
        width = max(1, round(height * ratio[1]))
    return Rect((size[0] - height) // 2, (size[1] - width) // 2, height, width)
