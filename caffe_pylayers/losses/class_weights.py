"""Class weights from how often each class occurs, and the matrix H that gives them to stock InfogainLoss."""

import os
from typing import Optional

import numpy as np

from caffe_pylayers.errors import DataError


def count_labels(labels: np.ndarray, num_classes: int, ignored: Optional[np.ndarray] = None) -> np.ndarray:
    """How many labels each class has: int64 (num_classes,). labels: whole numbers in 0 .. num_classes-1."""
    return np.bincount(labels if ignored is None else labels[~ignored], minlength=num_classes)


def read_counts(path: str, num_classes: int) -> np.ndarray:
    """The counts of a file, one a class: float64 (num_classes,).

    path: a .npy file, or text with numbers between spaces or line ends, class 0 first.
    Raises DataError where the file is absent, is no list of numbers, or has another number of classes.
    """
    where = f"counts file {os.path.abspath(path)}"
    try:
        counts = np.load(path) if path.endswith(".npy") else np.loadtxt(path, ndmin=1)
    except (OSError, ValueError) as error:
        raise DataError(f"{where}: cannot be read ({error}); expected one count a class") from error
    if counts.dtype.kind not in "iuf" or counts.size != num_classes:
        found = f"{counts.size} entries of {counts.dtype}"
        raise DataError(f"{where}: has {found}; expected {num_classes} counts, as n_classes says")
    counts = counts.astype(np.float64).reshape(-1)
    bad = ~((counts >= 0) & np.isfinite(counts))
    if bad.any():
        raise DataError(f"{where}: the count {counts[bad][0]:g} of class {np.argmax(bad)} is not 0 or more")
    if not counts.any():
        raise DataError(f"{where}: all counts are 0")
    return counts


def class_weights(counts: np.ndarray, rule: str = "max_count") -> np.ndarray:
    """A weight for each class, the rarer the larger: float64 (K,), unscaled.

        max_count     w_c = max(n) / n_c
        balanced      w_c = sum(n) / (number of classes present * n_c)
        inverse_sqrt  w_c = sqrt(max(n) / n_c)

    counts: n, (K,), 0 or more. A class that is absent, n_c = 0, gets weight 0 and has no part in the others'.

    >>> class_weights(np.array([8, 0, 2]))
    array([1., 0., 4.])
    """
    counts = np.asarray(counts, np.float64)
    present = counts > 0
    weights = np.zeros(len(counts))
    if rule == "balanced":
        weights[present] = counts.sum() / (np.count_nonzero(present) * counts[present])
    else:
        weights[present] = counts.max(initial=0) / counts[present]
        if rule == "inverse_sqrt":
            weights = np.sqrt(weights)
    return weights


def scale_weights(weights: np.ndarray, counts: np.ndarray, scale: str) -> np.ndarray:
    """The weights, (K,), times the one number that makes of them what `scale` says.

    sum_one: a sum of 1; mean_one: a mean over the counted samples of 1; none: as they are.
    """
    total = {"sum_one": weights.sum(), "mean_one": mean_weight(weights, counts), "none": 1.0}[scale]
    return weights / total if total > 0 else weights


def mean_weight(weights: np.ndarray, counts: np.ndarray) -> float:
    """sum(n w) / sum(n), the mean weight over the counted samples: what the weights make of a mean loss of 1."""
    total = float(np.sum(counts))
    return float(np.dot(weights, counts)) / total if total else 0.0


def infogain_matrix(weights: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
    """H = diag(w) ((1 - e) I + e/K 11'), float64 (K, K).

    With it stock InfogainLoss is the softmax loss with class weights w and label smoothing e (Szegedy et al. 2016).
    """
    num_classes = len(weights)
    smooth = (1.0 - smoothing) * np.eye(num_classes) + smoothing / num_classes
    return np.asarray(weights)[:, None] * smooth
