"""The matrix H of an infogain loss, from a file."""

import os

import numpy as np

from caffe_pylayers.blob_limits import NUMBER_RULE, too_large
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.npy import read_array


def read_matrix(path: str, num_classes: int) -> np.ndarray:
    """The matrix of a file, a row for each true class: float64 (num_classes, num_classes).

    path: a .npy file or a BlobProto (.binaryproto), as stock InfogainLoss reads it, of num_classes**2 numbers in any
    shape.
    Raises DataError where the file is absent or damaged, has another count of numbers, or one that is not finite or too large.
    """
    where = f"matrix {os.path.abspath(path)}"
    matrix = read_array(path, where, "expected a .npy file or a BlobProto (.binaryproto)")
    if matrix.size != num_classes**2:
        raise DataError(
            f"has {matrix.size} numbers, of shape {matrix.shape}",
            remedy=f"expected {num_classes} x {num_classes} for {num_classes} classes",
            source=where,
        )
    matrix = matrix.reshape(num_classes, num_classes)
    beyond = too_large(matrix)
    if beyond.any():
        row, column = np.argwhere(beyond)[0]
        raise DataError(
            f"the number at row {row}, column {column} is {matrix[row, column]:g}",
            remedy=f"it must be finite, and {NUMBER_RULE}",
            source=where,
        )
    return matrix.astype(np.float64)
