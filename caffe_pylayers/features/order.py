"""The same numbers in another order: axes, channels."""

from typing import Sequence, Tuple

from caffe_pylayers.losses.reduction import Array


def all_axes(order: Sequence[int], num_axes: int) -> Tuple[int, ...]:
    """The axes in `order`, then those that it lacks, from the first on.

    >>> all_axes([0, 2], 4)
    (0, 2, 1, 3)
    """
    return (*order, *(axis for axis in range(num_axes) if axis not in order))


def back(order: Sequence[int]) -> Tuple[int, ...]:
    """The order that undoes an order of all axes.

    >>> back((1, 2, 0))
    (2, 0, 1)
    """
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def shuffle_channels(x: Array, group: int, out: Array) -> None:
    """Write the first channel of each group, then the second of each, and so on (ShuffleNet, Zhang et al. 2018).

    With C / group in the place of `group` it is undone. x, out: (N, C, ...), C divisible by `group`.
    """
    num_samples, num_channels = x.shape[:2]
    grouped = (num_samples, group, num_channels // group, *x.shape[2:])
    shuffled = (num_samples, num_channels // group, group, *x.shape[2:])
    out.reshape(shuffled)[...] = x.reshape(grouped).swapaxes(1, 2)
