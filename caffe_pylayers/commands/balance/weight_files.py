"""Files of label counts and of class weights, that our layers and stock InfogainLoss read."""

from typing import Sequence

import numpy as np

from caffe_pylayers.caffe_files.datum import write_blob
from caffe_pylayers.commands.balance.label_counts import LabelCounts
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.files.output_file import output_file
from caffe_pylayers.losses.class_weights import smoothing_matrix

_LARGEST_MATRIX = 1 << 31  # bytes that protobuf reads


def check_matrix(path: str, num_classes: int) -> None:
    """Raise ConfigError where H cannot be written so: another kind of file, or more than protobuf reads."""
    if not path.endswith((".binaryproto", ".npy")):
        raise ConfigError(
            "H is written as .binaryproto, which stock InfogainLoss reads, or as .npy",
            remedy="end the file name with one of them",
            source=path,
        )
    if 4 * num_classes**2 >= _LARGEST_MATRIX:
        raise ConfigError(
            f"H of {num_classes} x {num_classes} numbers would be larger than the 2 GB that Caffe reads",
            remedy="use SampleWeight with the counts (--write-counts)",
            source=path,
        )


def write_matrix(path: str, weights: np.ndarray, smoothing: float = 0.0) -> None:
    """Write H = diag(w) ((1-e) I + e/K 11') as float32 (1, 1, K, K), .binaryproto or .npy.

    weights: w, (K,). smoothing: e, from 0 to below 1.
    """
    check_matrix(path, len(weights))
    matrix = (weights[:, None] * smoothing_matrix(len(weights), smoothing)).astype(np.float32)[None, None]
    if path.endswith(".npy"):
        _write_npy(path, matrix)
        return
    with output_file(path) as partial, open(partial, "wb") as file:
        file.write(write_blob(matrix))


def write_weights(path: str, weights: np.ndarray) -> None:
    """Write class weights, (K,), for `files.counts.read_class_weights`: .npy, or text with one per line."""
    if path.endswith(".npy"):
        _write_npy(path, weights)
        return
    with output_file(path) as partial, open(partial, "w") as file:
        file.writelines(f"{weight:.9g}\n" for weight in weights)


def write_counts(path: str, counts: LabelCounts) -> None:
    """Write counts for the option `counts` of ComputeH, SampleWeight and LDAMLoss: .npy, or text.

    Where records have several labels, there is the second row that rule median_frequency asks for, and LDAMLoss and
    other rules pass over.
    """
    if counts.several:
        _write_rows(path, [counts.counts, counts.in_images])
    elif path.endswith(".npy"):
        _write_npy(path, counts.counts)
    else:
        with output_file(path) as partial, open(partial, "w") as file:
            file.writelines(f"{number}\n" for number in counts.counts)


def write_target_counts(path: str, counts: LabelCounts) -> None:
    """Write the positives of each label, then the negatives, for `files.counts.read_target_counts`: .npy, or text."""
    assert counts.negatives is not None
    _write_rows(path, [counts.counts, counts.negatives])


def _write_rows(path: str, rows: Sequence[np.ndarray]) -> None:
    if path.endswith(".npy"):
        _write_npy(path, np.array(rows))
        return
    with output_file(path) as partial, open(partial, "w") as file:
        file.writelines(" ".join(map(str, row)) + "\n" for row in rows)


def _write_npy(path: str, values: np.ndarray) -> None:
    with output_file(path) as partial, open(partial, "wb") as file:
        np.save(file, values)
