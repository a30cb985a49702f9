"""Distributions over the classes, made of labels: the targets of a soft cross-entropy."""

from typing import Optional, Sequence, Tuple

import numpy as np


def distribution_shape(label_shape: Sequence[int], num_classes: int) -> Tuple[int, ...]:
    """The shape of the distributions, with the classes on axis 1.

    They take the place of an axis 1 of one element, and are put in there otherwise.

    >>> distribution_shape((8,), 5), distribution_shape((8, 1, 4, 4), 5), distribution_shape((8, 4, 4), 5)
    ((8, 5), (8, 5, 4, 4), (8, 5, 4, 4))
    """
    rest = label_shape[2:] if len(label_shape) > 1 and label_shape[1] == 1 else label_shape[1:]
    return (*label_shape[:1], num_classes, *rest)


def spread(labels: np.ndarray, on: float, off: float, out: np.ndarray) -> None:
    """Write distributions that have `on` at the label's class and `off` at each other.

    labels: integers 0 .. K-1, (N, M). out: float (N, K, M).

    >>> out = np.empty((1, 3, 1)); spread(np.array([[2]]), 0.8, 0.1, out); out.ravel()
    array([0.1, 0.1, 0.8])
    """
    out[...] = off
    rows, columns = np.ogrid[: labels.shape[0], : labels.shape[1]]
    out[rows, labels, columns] = on


def add_one_hot(labels: np.ndarray, noise: np.ndarray, clip: Tuple[float, float]) -> None:
    """Turn noise into distributions, in place: 1 more at the label's class, clipped, divided by the sum.

    labels: integers 0 .. K-1, (N, M). noise: float (N, K, M). clip: lowest and highest entry before the division,
    neither below 0. Where the sum is 0 the distribution is 1 at the label.
    """
    rows, columns = np.ogrid[: labels.shape[0], : labels.shape[1]]
    noise[rows, labels, columns] += 1
    np.clip(noise, *clip, out=noise)
    total = noise.sum(axis=1)
    noise[rows, labels, columns] += total == 0
    noise /= np.where(total == 0, 1, total)[:, None]


def clear_ignored(ignored: Optional[np.ndarray], out: np.ndarray) -> None:
    """Make the distributions, (N, K, M), all zeros where `ignored`, bool (N, M)."""
    if ignored is not None:
        rows, columns = np.nonzero(ignored)
        out[rows, :, columns] = 0
