"""Records by their sets of labels, in compact arrays; how similar two records are.

similarity(x, y) = |X and Y| / |X or Y|: intersection over union of the label sets, 0 for two empty ones.
"""

from typing import NamedTuple, Optional, Tuple

import numpy as np

from caffe_pylayers.data.samplers.classes import Classes


class Related(NamedTuple):
    """All label sets that share a label with one, the set itself too, by number.

    similarities: float64 (M,). chances: float64 (M,), of each record of a set to be the positive of `LabelSets.sharing`,
    up to a factor that is the same for all.
    """

    numbers: np.ndarray
    similarities: np.ndarray
    chances: np.ndarray


class Grouped:
    """The records of some classes."""

    def __init__(self, by: Classes, numbers: np.ndarray) -> None:
        self._by = by
        self._numbers = numbers
        self._up_to = np.cumsum(by.counts[numbers])

    def pick(self, draws: np.ndarray) -> np.ndarray:
        """One of them for each draw (M,), uniform: (M,), or (0,) where there is none."""
        if not len(self._up_to):
            return np.empty(0, np.int32)
        place = (draws * self._up_to[-1]).astype(np.int64)
        group = np.searchsorted(self._up_to, place, side="right")
        number = self._numbers[group]
        return self._by.members[self._by.starts[number] + place - (self._up_to[group] - self._by.counts[number])]


class LabelSets:
    """The label sets of records: labels whole numbers (N,) or (N, L), where -1 is no label.

    by: records grouped by label set, as `Classes`. sets: int32 (S, L), the different sets as numbers of labels, -1 behind;
    labels that several records have come first, `num_shared` (S,) of them. sizes: int32 (S,).
    counts: int64 (V + 1,), how many records have a label, and a 0 that -1 finds.
    """

    def __init__(self, labels: np.ndarray) -> None:
        rows = -np.sort(-labels.reshape(len(labels), -1), axis=1)  # -1 last
        twice = (rows[:, 1:] == rows[:, :-1]) & (rows[:, 1:] >= 0)
        if twice.any():
            rows[:, 1:][twice] = -1
            rows = -np.sort(-rows, axis=1)
        self.by = Classes(rows)
        sets = rows[self.by.members[self.by.starts]]
        self.sizes = (sets >= 0).sum(1, dtype=np.int32)
        sets = sets[:, : max(1, self.sizes.max())]
        there = sets >= 0
        vocabulary, numbers = np.unique(sets[there], return_inverse=True)
        members = np.broadcast_to(self.by.counts[:, None], sets.shape)[there]
        num_labels = len(vocabulary)
        self.counts = np.bincount(numbers, members, minlength=num_labels + 1).astype(np.int64)
        self.sets = np.full(sets.shape, -1, np.int32)
        self.sets[there] = numbers
        # A label that one record alone has makes nothing similar. It stays, since it counts in the union.
        rank = np.where(there, self.counts[self.sets] < 2, 2)
        self.sets = np.take_along_axis(self.sets, rank.argsort(axis=1, kind="stable"), axis=1)
        self.num_shared = (rank == 0).sum(1, dtype=np.int32)
        # The sets that have a label, label after label, and how many records they are, summed up.
        order = np.argsort(self.sets[self.sets >= 0], kind="stable")
        self._having = np.repeat(np.arange(len(sets), dtype=np.int32), self.sizes)[order]
        self._num_having = np.bincount(numbers, minlength=num_labels + 1)
        self._first_having = np.cumsum(self._num_having) - self._num_having
        self._records_up_to = np.cumsum(self.by.counts[self._having])
        self._records_before = np.cumsum(self.counts) - self.counts  # of a label
        self._frequent: Optional[Tuple[np.ndarray, Classes, np.ndarray]] = None

    def without_frequent(self, number: int) -> Grouped:
        """The records that have none of the frequent labels of set `number`: most of those that share none with it."""
        if self._frequent is None:
            # The 63 most frequent labels as bits, so that a hundred thousand label sets are compared in a moment.
            bit = np.zeros(len(self.counts), np.int64)
            frequent = np.argsort(-self.counts[:-1], kind="stable")[:63]
            bit[frequent] = 1 << np.arange(len(frequent))
            masks = np.bitwise_or.reduce(bit[self.sets], axis=1)
            by = Classes(masks[self.by.of])
            self._frequent = masks, by, masks[self.by.of[by.members[by.starts]]]
        masks, by, of_groups = self._frequent
        return Grouped(by, np.flatnonzero((of_groups & masks[number]) == 0))

    def similarity(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Of records (M,) to records (M,): float64 (M,). The same fraction is the same float."""
        one, other = self.by.of[one], self.by.of[other]
        sizes, other_sizes = self.sizes[one], self.sizes[other]
        widths = max(1, sizes.max(initial=0)), max(1, other_sizes.max(initial=0))
        ones = np.ascontiguousarray(self.sets[one, : widths[0]].T)
        others = np.ascontiguousarray(self.sets[other, : widths[1]].T)
        shared = np.zeros(len(one), np.int32)
        for column in ones:
            shared += (others == column).any(0) & (column >= 0)
        return shared / np.maximum(1, sizes + other_sizes - shared)

    def sharing(self, records: np.ndarray, label_draws: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """For each record (M,) another: one of its labels that others have, uniform, then a record of that label."""
        own = self.by.of[records]
        label = self.sets[own, (label_draws * self.num_shared[own]).astype(np.int64)]
        # The anchor is drawn with the last place's number left over: where it comes, the last stands in for it.
        place = (draws * (self.counts[label] - 1)).astype(np.int64)
        found = self._having_label(label, place)
        itself = found == records
        found[itself] = self._having_label(label[itself], self.counts[label[itself]] - 1)
        return found

    def _having_label(self, label: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Record `place` (M,) of those that have a label (M,)."""
        slot = self._records_before[label] + place
        entry = np.searchsorted(self._records_up_to, slot, side="right")
        number = self._having[entry]
        return self.by.members[self.by.starts[number] + slot - (self._records_up_to[entry] - self.by.counts[number])]

    def related(self, number: int) -> Related:
        """The label sets that share a label with set `number`: as many steps as there are."""
        labels = self.sets[number, : self.num_shared[number]].tolist()
        first, num = self._first_having, self._num_having
        found = [self._having[first[label] : first[label] + num[label]] for label in labels]
        empty = np.empty(0, np.int32)
        numbers, which = np.unique(np.concatenate([*found, empty]), return_inverse=True)
        shared = np.bincount(which, minlength=len(numbers))
        chance = [np.full(len(sets), 1 / (self.counts[label] - 1)) for label, sets in zip(labels, found)]
        chances = np.bincount(which, np.concatenate([*chance, empty]), minlength=len(numbers))
        similarities = shared / (self.sizes[number] + self.sizes[numbers] - shared)
        similarities[numbers == number] = 1.0  # with the labels that it alone has
        return Related(numbers, similarities, chances)
