"""Where in the order of the gallery, nearest first, the right records of a query are.

Equal nearness counts against the model: of records that are equally near, the wrong ones come first.
"""

from typing import Iterator, NamedTuple, Optional, Tuple

import numpy as np

from caffe_pylayers.evaluation.nearness import Nearness

#: Bytes of one block of queries against the whole gallery.
_BLOCK = 1 << 26


class Right(NamedTuple):
    """The right records of one query, nearest first, (R,) each.

    wrong: how many wrong records are at least as near. equal: how many right ones are at least as near, itself too.
    """

    wrong: np.ndarray
    equal: np.ndarray

    @property
    def places(self) -> np.ndarray:
        """From 1."""
        return np.arange(1, len(self.wrong) + 1) + self.wrong

    @property
    def average_precision(self) -> float:
        """As scikit-learn's: what is equally near has one precision."""
        return float((self.equal / (self.equal + self.wrong)).mean())


def right_of(nearness: np.ndarray, is_right: np.ndarray, first: Optional[int] = None) -> Right:
    """Of the nearness of a query to each record (G,); minus infinity is left out.

    first: how many places are asked for, at least 1; what lies behind them may be left out.
    """
    if first is not None and first < len(nearness):
        near = nearness >= np.partition(nearness, len(nearness) - first)[len(nearness) - first]
        nearness, is_right = nearness[near], is_right[near]
    right = np.sort(nearness[is_right])
    wrong = np.sort(nearness[~is_right])
    descending = right[::-1]
    return Right(
        len(wrong) - np.searchsorted(wrong, descending, "left"), len(right) - np.searchsorted(right, descending, "left")
    )


def blocks(nearness: Nearness, queries: int, gallery: int, at_once: Optional[int]) -> Iterator[Tuple[int, np.ndarray]]:
    """Each query with its nearness to the gallery, by blocks of at_once queries; by default of some megabytes."""
    step = at_once or max(1, _BLOCK // (8 * gallery))
    for start in range(0, queries, step):
        for number, row in enumerate(nearness.of(slice(start, start + step))):
            yield start + number, row
