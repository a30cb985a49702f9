"""Files with a number per class: counts, how many labels each class has, and weights."""

import os
from typing import Sequence, Union

import numpy as np

from caffe_pylayers.blob_limits import LARGEST_NUMBER, NUMBER_RULE, too_large
from caffe_pylayers.errors import DataError
from caffe_pylayers.files import text_table
from caffe_pylayers.files.npy import read_npy

#: Numbers by class, class 0 first: themselves, or the path of a .npy file, or of a text with blanks, commas, tabs or line
#: ends between them.
Listed = Union[str, Sequence[float]]


def read_counts(listed: Listed, num_classes: int) -> np.ndarray:
    """The counts, one per class: float64 (num_classes,). A second row, which `read_image_counts` reads, may follow.

    Raises DataError where the file is absent, is no list of numbers, or has another number of classes.
    """
    table = _read_table(listed, num_classes)
    return table[0]


def read_image_counts(listed: Listed, num_classes: int) -> np.ndarray:
    """The counts for median_frequency: float64 (2, num_classes).

    listed: with a second row: the labels, of any class, of all images in which the class occurs.
    Raises DataError as `read_counts` does, and where there is no second row.
    """
    where, table = _name(listed), _read_table(listed, num_classes)
    if len(table) < 2:
        raise DataError(
            "has one row, the labels of each class",
            remedy="median_frequency needs a second row: the labels of all images that have the class",
            source=where,
        )
    few = table[1] < table[0]
    if few.any():
        at = int(np.argmax(few))
        raise DataError(
            f"class {at} has {table[0, at]:g} labels, but the images with this class have only {table[1, at]:g} (second row)",
            source=where,
        )
    return table


def read_target_counts(listed: Listed, num_labels: int) -> np.ndarray:
    """The counts for targets of several labels: float64 (num_labels, 2), negatives and positives.

    listed: with two rows: the positives of each label, then the negatives.
    Raises DataError as `read_counts` does, and where there is no second row, or a label has neither.
    """
    where, table = _name(listed), _read_table(listed, num_labels)
    if len(table) < 2:
        raise DataError(
            "has one row",
            remedy="'per': 'label' needs two rows: the positives of each label, then the negatives",
            source=where,
        )
    neither = ~table.any(axis=0)
    if neither.any():
        raise DataError(f"label {int(np.argmax(neither))} has neither positives nor negatives", source=where)
    return table[::-1].T


def read_class_weights(path: str, num_classes: int) -> np.ndarray:
    """The weights of a file, one per class: float64 (num_classes,), as `caffe-pylayers balance --write-weights` writes them.

    Raises DataError where the file is absent, is no list of numbers, or has another number of classes.
    """
    where = f"weights file {os.path.abspath(path)}"
    weights = read_numbers(path, where)
    if weights.size != num_classes:
        raise DataError(
            f"has {weights.size} numbers, of shape {weights.shape}",
            remedy=f"expected {num_classes} weights, one per class",
            source=where,
        )
    weights = weights.ravel()
    bad = ~(weights >= 0) | too_large(weights)
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(
            f"the weight of class {at} is {weights[at]:g}",
            remedy=f"it must be at least 0, and {NUMBER_RULE}",
            source=where,
        )
    if not weights.any():
        raise DataError("all weights are 0", remedy="give at least one class a weight", source=where)
    return weights


def read_numbers(path: str, source: str) -> np.ndarray:
    """The numbers of a .npy file, or of a text with as many in each line: float64, of the shape they have there.

    source: for DataError, where the file cannot be read or has anything else.
    """
    try:
        if path.endswith(".npy"):
            return read_npy(path)
        values, widths = text_table.numbers(path, source)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot be read ({error})", remedy="expected one number per class", source=source) from error
    if len(set(widths)) > 1:
        line = next(line for line, width in enumerate(widths, 1) if width != widths[0])
        raise DataError(
            f"row {line} has {widths[line - 1]} numbers, but the first has {widths[0]}",
            remedy="write as many numbers in each row",
            source=source,
        )
    return np.array(values).reshape(len(widths), -1)


def _name(listed: Listed) -> str:
    return f"counts file {os.path.abspath(listed)}" if isinstance(listed, str) else "option 'counts'"


def _read_table(listed: Listed, num_classes: int) -> np.ndarray:
    """float64 (1 or 2, num_classes)."""
    where = _name(listed)
    table = read_numbers(listed, where) if isinstance(listed, str) else np.array(listed, np.float64)
    if not isinstance(listed, str) and table.size == 2 * num_classes:
        table = table.reshape(2, num_classes)
    if table.size != num_classes and table.shape != (2, num_classes):
        raise DataError(
            f"has {table.size} numbers, of shape {table.shape}",
            remedy=f"expected {num_classes} counts (n_classes), or two rows of as many",
            source=where,
        )
    table = table.reshape(-1, num_classes)
    bad = np.argwhere(~((table == 0) | (table >= 1 / LARGEST_NUMBER)) | too_large(table))
    if len(bad):
        row, at = bad[0]
        raise DataError(
            f"the count {table[row, at]:g} of class {at} must be 0, or from {1 / LARGEST_NUMBER:g} to {LARGEST_NUMBER:g}",
            source=where,
        )
    if not table[0].any():
        raise DataError(f"all counts are 0{' in the first row' if len(table) > 1 else ''}", source=where)
    return table
