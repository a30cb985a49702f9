"""Points among the labels of an image, which go where its pixels go."""

from typing import Any, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.data.geometry import Size

Columns = Sequence[Tuple[int, int]]


class Points:
    """Which labels are points, and in which form they are fed: the options `points`, `flip_pairs`, `normalize_points`, `outside`.

    size: (height, width) of the images that are fed.
    """

    def __init__(self, options: Any, size: Size) -> None:
        self._columns = np.array(options.points)  # (P, 2): the columns of x and of y
        self._order = np.arange(len(self._columns))  # of the points in a mirrored image
        for one, other in options.flip_pairs or ():
            self._order[[one, other]] = other, one
        self._size = np.array(size[::-1], np.float64)  # width, height
        self._normalized: bool = options.normalize_points
        self._drops: bool = options.outside == "nan"

    def follow(self, rows: np.ndarray, moves: np.ndarray) -> np.ndarray:
        """Rows of labels (B, L) of images as they are stored, for the images that are fed: float32 (B, L).

        moves: (B, 2, 3), where the pixels went. A point with a NaN in it is missing, and stays NaN.
        """
        points = rows[:, self._columns].astype(np.float64)  # (B, P, 2)
        points = np.einsum("bij,bpj->bpi", moves[:, :, :2], points) + moves[:, None, :, 2]
        mirrored = np.linalg.det(moves[:, :, :2]) < 0
        points[mirrored] = points[mirrored][:, self._order]
        if self._drops:
            outside = ((points < -0.5) | (points >= self._size - 0.5)).any(axis=2)
            points[outside] = np.nan
        if self._normalized:
            points /= self._size
        moved = rows.astype(np.float32)
        moved[:, self._columns] = points
        return moved


def columns_beyond(points: Columns, width: int) -> Optional[int]:
    """A column of points that rows of so many labels do not have."""
    return next((column for pair in points for column in pair if column >= width), None)
