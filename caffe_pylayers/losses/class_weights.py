"""Class weights from how often each class occurs, and the matrix H that gives them to stock InfogainLoss."""

from typing import Optional

import numpy as np

from caffe_pylayers.losses.reduction import Array, array_module

_FADED = 1e-20  # running counts fade down to about this, so that a class once seen stays seen


def count_labels(labels: Array, num_classes: int, ignored: Optional[Array] = None) -> Array:
    """How many labels each class has: int64 (num_classes,). labels: integers in 0 .. num_classes-1."""
    xp, counted = array_module(labels), labels if ignored is None else labels[~ignored]
    # CuPy does not count nothing.
    return xp.bincount(counted, minlength=num_classes) if counted.size else xp.zeros(num_classes, np.int64)


def count_in_images(labels: Array, num_classes: int, ignored: Optional[Array] = None) -> Array:
    """How many labels, of any class, the images have in which each class occurs: int64 (num_classes,).

    labels: (N, M), M labels for each of N images. ignored: bool (N, M), or None where no label is.

    >>> count_in_images(np.array([[0, 0, 1], [1, 1, 1]]), 3)
    array([3, 6, 0])
    """
    total = array_module(labels).zeros(num_classes, np.int64)
    for image, in_image in enumerate(labels):
        counts = count_labels(in_image, num_classes, None if ignored is None else ignored[image])
        total += (counts > 0) * counts.sum()
    return total


def target_index(targets: Array) -> Array:
    """The numbers 2 l + t of targets t, 0 or 1, of labels l: of their shape, (N, L, ...).

    >>> target_index(np.array([[0, 1], [1, 1]]))
    array([[0, 3],
           [1, 3]])
    """
    labels = array_module(targets).arange(targets.shape[1]).reshape(-1, *[1] * (targets.ndim - 2))
    return 2 * labels + targets


def add_counts(running: np.ndarray, counts: np.ndarray, decay: float) -> None:
    """running <- decay * running + counts, in place: how often labels came of late.

    running: float32 (rows, K). Where its first row has all but faded it fades no more.
    counts: (rows, K), of this batch.
    """
    running[:, running[0] > _FADED] *= decay
    running += counts


def class_weights(
    counts: np.ndarray, rule: str = "max_count", beta: float = 0.999, in_images: Optional[np.ndarray] = None
) -> np.ndarray:
    """A weight for each class, the rarer the larger: float64 (K,), unscaled.

        max_count         w_c = max(n) / n_c
        balanced          w_c = sum(n) / (number of classes present * n_c)
        inverse_sqrt      w_c = sqrt(max(n) / n_c)
        effective_number  w_c = (1 - beta) / (1 - beta^n_c), scaled to a sum of the number of classes present
                          (Cui et al. 2019)
        median_frequency  w_c = median(f) / f_c, f_c = n_c / m_c, the median that of the classes present
                          (Eigen and Fergus 2015)

    counts: n, (K,), 0 or more. A class that is absent, n_c = 0, gets weight 0 and has no part in the others'.
    in_images: m, (K,), for median_frequency: the labels of all images in which the class occurs (`count_in_images`).

    >>> class_weights(np.array([8, 0, 2]))
    array([1., 0., 4.])
    """
    counts = np.asarray(counts, np.float64)
    present = counts > 0
    n = counts[present]
    weights = np.zeros(len(counts))
    if not n.size:
        return weights
    if rule == "balanced":
        weights[present] = n.sum() / (n.size * n)
    elif rule == "effective_number":
        # 1 - beta^n, which rounding would leave 0 for beta near 1.
        effective = -np.expm1(n * np.log(beta))
        weights[present] = n.size / effective / (1 / effective).sum()
    elif rule == "median_frequency":
        frequencies = n / np.asarray(in_images, np.float64)[present]
        weights[present] = np.median(frequencies) / frequencies
    else:
        weights[present] = n.max() / n
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


def smoothing_matrix(num_classes: int, smoothing: float = 0.0) -> np.ndarray:
    """(1 - e) I + e/K 11', float64 (K, K).

    Its rows times class weights make the H with which stock InfogainLoss is the softmax loss with these weights and
    label smoothing e (Szegedy et al. 2016).
    """
    return (1.0 - smoothing) * np.eye(num_classes) + smoothing / num_classes
