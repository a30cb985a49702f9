"""Points among the labels of an image, which go where its pixels go."""

from typing import Any, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.data.geometry import Matrix, Size
from caffe_pylayers.errors import DataError

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
        self._size = sides(size)
        self._normalized: bool = options.normalize_points
        self._drops: bool = options.outside == "nan"

    def follow(self, rows: np.ndarray, moves: np.ndarray) -> np.ndarray:
        """Rows of labels (B, L) of images as they are stored, for the images that are fed: float32 (B, L).

        moves: (B, 2, 3), where the pixels went. A point with a NaN in it is missing, and stays NaN.
        """
        points = _moved(rows[:, self._columns], moves)
        mirrored = np.linalg.det(moves[:, :, :2]) < 0
        points[mirrored] = points[mirrored][:, self._order]
        if self._drops:
            points[outside(points, self._size)] = np.nan
        if self._normalized:
            points /= self._size
        moved = rows.astype(np.float32)
        moved[:, self._columns] = points
        return moved


def with_points_moved(row: np.ndarray, columns: Columns, move: Matrix) -> np.ndarray:
    """A row of labels float32 (L,), its points where the pixels have gone. columns: those of x and y of each point."""
    moved = row.copy()
    moved[np.array(columns)] = _moved(row[None, np.array(columns)], move[None])[0]
    return moved


def _moved(points: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Points (B, P, 2), where the pixels have gone: float64. moves: (B, 2, 3)."""
    return np.asarray(np.einsum("bij,bpj->bpi", moves[:, :, :2], points.astype(np.float64)) + moves[:, None, :, 2])


def sides(size: Size) -> np.ndarray:
    """Width and height, as the numbers of a point go."""
    return np.array(size[::-1], np.float64)


def outside(points: np.ndarray, width_and_height: np.ndarray) -> np.ndarray:
    """Which of the points (B, P, 2) lie in no pixel of an image of that size: bool (B, P). A missing one lies in none too, but is not told."""
    return np.asarray(((points < -0.5) | (points >= width_and_height - 0.5)).any(axis=2))


def points_doubt(labels: np.ndarray, columns: Columns) -> Optional[DataError]:
    """What to say of points that look like parts of the image and not like pixels; None of others. labels: (N, L), as they are stored."""
    numbers = labels[:, np.unique(columns)]
    numbers = numbers[~np.isnan(numbers)]
    if not numbers.size or np.abs(numbers).max() > 1 or (numbers == np.floor(numbers)).all():
        return None
    return DataError(
        f"its points go from {numbers.min():.3g} to {numbers.max():.3g}, but points are in pixels of the stored image",
        remedy="multiply x by the width and y by the height of the image; `normalize_points: true` divides them again by the size that is fed",
    )
