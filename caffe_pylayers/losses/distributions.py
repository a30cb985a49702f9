"""Distributions over the classes, made of labels: the targets of a soft cross-entropy."""

from typing import Optional, Sequence, Tuple

from caffe_pylayers.losses.reduction import Array, array_module


def distribution_shape(label_shape: Sequence[int], num_classes: int) -> Tuple[int, ...]:
    """The shape of the distributions, with the classes on axis 1.

    They take the place of an axis 1 of one element, and are put in there otherwise.

    >>> distribution_shape((8,), 5), distribution_shape((8, 1, 4, 4), 5), distribution_shape((8, 4, 4), 5)
    ((8, 5), (8, 5, 4, 4), (8, 5, 4, 4))
    """
    rest = label_shape[2:] if len(label_shape) > 1 and label_shape[1] == 1 else label_shape[1:]
    return (*label_shape[:1], num_classes, *rest)


def spread(labels: Array, on: float, off: float, out: Array) -> None:
    """Write distributions that have `on` at the label's class and `off` at each other.

    labels: integers 0 .. K-1, (N, M). out: float (N, K, M).

    >>> import numpy as np
    >>> out = np.empty((1, 3, 1)); spread(np.array([[2]]), 0.8, 0.1, out); out.ravel()
    array([0.1, 0.1, 0.8])
    """
    out[...] = off
    out[_at(labels)] = on


def add_one_hot(labels: Array, noise: Array, clip: Tuple[float, float]) -> None:
    """Turn noise into distributions, in place: 1 more at the label's class, clipped, divided by the sum.

    labels: integers 0 .. K-1, (N, M). noise: float (N, K, M). clip: lowest and highest entry before the division,
    neither below 0. Where the sum is 0 the distribution is 1 at the label.
    """
    xp, at = array_module(noise), _at(labels)
    noise[at] += 1
    xp.clip(noise, *clip, out=noise)
    total = noise.sum(axis=1)
    noise[at] += total == 0
    noise /= xp.where(total == 0, 1, total)[:, None]


def clear_ignored(ignored: Optional[Array], out: Array) -> None:
    """Make the distributions, (N, K, M), all zeros where `ignored`, bool (N, M)."""
    if ignored is not None:
        rows, columns = ignored.nonzero()
        out[rows, :, columns] = 0


def _at(labels: Array) -> Tuple[Array, Array, Array]:
    """The index, in an array (N, K, M), of the entries of the labels, (N, M)."""
    arange, (rows, columns) = array_module(labels).arange, labels.shape
    return arange(rows)[:, None], labels, arange(columns)
