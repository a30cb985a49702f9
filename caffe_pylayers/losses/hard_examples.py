"""Which terms of a batch are hard, by their values (Shrivastava et al. 2016)."""

import math
from typing import Optional

import numpy as np

from caffe_pylayers.losses.reduction import Array, array_module


def hardest(
    values: Array,
    ignored: Optional[Array] = None,
    top_k: Optional[int] = None,
    fraction: Optional[float] = None,
    threshold: Optional[float] = None,
    min_kept: int = 0,
) -> Array:
    """The terms with the highest values, bool of their shape: of equal ones the first, and never one that is ignored.

    top_k: so many of them. fraction: this part of the n that are not ignored, ceil(fraction n). threshold: those above it, at
    least `min_kept`. One of the three is given. A value that is NaN counts as the highest, so that it stays in the loss.

    >>> hardest(np.array([3.0, 1.0, 3.0, 2.0]), top_k=1)
    array([ True, False, False, False])
    >>> hardest(np.array([3.0, 1.0, 3.0, 2.0]), threshold=2.5)
    array([ True, False,  True, False])
    """
    xp = array_module(values)
    kept = xp.zeros(values.size, bool)
    places = xp.arange(values.size) if ignored is None else xp.flatnonzero(~ignored.reshape(-1))
    there = values.reshape(-1)[places]
    there = xp.where(xp.isnan(there), np.inf, there)
    number = int(there.size)
    if threshold is not None:
        kept[places] = there > threshold
        count = 0 if int(xp.count_nonzero(kept)) >= min_kept else min_kept
    else:
        # A product such as 0.1 * 30 is a little above the number that it stands for.
        count = top_k if top_k is not None else max(1, math.ceil((fraction or 0) * number - 1e-9))
    if count >= number:
        kept[places] = True
    elif count:
        lowest = xp.partition(there, number - count)[number - count]
        above = there > lowest
        ties = xp.flatnonzero(there == lowest)[: count - int(xp.count_nonzero(above))]
        kept[places] = above
        kept[places[ties]] = True
    return kept.reshape(values.shape)
