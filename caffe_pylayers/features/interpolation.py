"""Bilinear interpolation of maps with the corners aligned, as two matrix products: one for the rows, one for the columns."""

import numpy as np

from caffe_pylayers.losses.blocks import Buffer
from caffe_pylayers.losses.reduction import Array, array_module


def interpolation_matrix(size: int, first: int, count: int, wanted: int) -> np.ndarray:
    """The matrix (wanted, size), float32, that interpolates `count` numbers from number `first` on, of `size`.

    Number i of the result lies at first + i (count - 1) / (wanted - 1), and the only one at `first`.

    >>> interpolation_matrix(3, 0, 3, 5).tolist()[:3]
    [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]
    """
    whole, rest = np.divmod(np.arange(wanted) * (count - 1), max(wanted - 1, 1))
    share = rest / max(wanted - 1, 1)
    matrix = np.zeros((wanted, size), np.float32)
    rows = np.arange(wanted)
    matrix[rows, first + whole] = 1 - share
    matrix[rows, first + np.minimum(whole + 1, count - 1)] += share
    return matrix


def interpolate(x: Array, rows: Array, columns: Array, out: Array, buffer: Buffer) -> None:
    """Write rows x columns' into `out`, for each map of x (..., height, width)."""
    xp, (height, width) = array_module(x), x.shape[-2:]
    wide = buffer("wide", (x.size // (height * width), height, len(columns)), np.float32)
    xp.matmul(x.reshape(-1, width), columns.T, out=wide.reshape(-1, len(columns)))
    xp.matmul(rows, wide, out=out.reshape(-1, len(rows), len(columns)))


def interpolation_gradient(slope: Array, rows: Array, columns: Array, out: Array, buffer: Buffer) -> None:
    """Write the gradient by x into `out`, from that by its interpolation: rows' slope columns."""
    xp, (height, width) = array_module(slope), out.shape[-2:]
    wide = buffer("wide", (out.size // (height * width), height, len(columns)), np.float32)
    xp.matmul(rows.T, slope.reshape(-1, len(rows), len(columns)), out=wide)
    xp.matmul(wide.reshape(-1, len(columns)), columns, out=out.reshape(-1, width))
