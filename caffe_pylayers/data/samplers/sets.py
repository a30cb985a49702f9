"""Records by their sets of labels, in compact arrays; how similar two records are.

similarity(x, y) = |X and Y| / |X or Y|: intersection over union of the label sets, 0 for two empty ones.
"""

from typing import NamedTuple

import numpy as np

from caffe_pylayers.data.samplers.classes import Classes


class Related(NamedTuple):
    """All label sets that share a label with one, the set itself too, by number.

    similarities: float64 (M,), of two different records. chances: float64 (M,), of each record of a set to be the
    positive of `LabelSets.sharing`, up to a factor that is the same for all.
    """

    numbers: np.ndarray
    similarities: np.ndarray
    chances: np.ndarray


class LabelSets:
    """The label sets of records: labels integers (N,) or (N, L), where -1 is no label.

    A label that one record alone has makes nothing similar, it only counts in the union. So records are of one set where
    the other labels are the same, and the number of all.
    by: records grouped by label set, as `Classes`. sets: int32 (S, L), the labels of each that several records have, as
    numbers, -1 behind; `num_shared` (S,) of them. sizes: int32 (S,), with the others.
    counts: int64 (V + 1,), how many records have a label, and a 0 that -1 finds. num_having: how many sets.
    """

    def __init__(self, labels: np.ndarray) -> None:
        rows = -np.sort(-labels.reshape(len(labels), -1), axis=1)  # -1 last
        twice = (rows[:, 1:] == rows[:, :-1]) & (rows[:, 1:] >= 0)
        if twice.any():
            rows[:, 1:][twice] = -1
            rows = -np.sort(-rows, axis=1)
        there = rows >= 0
        sizes = there.sum(1, dtype=np.int32)
        values = rows[there]
        different, num = np.unique(values, return_counts=True)
        if (num == 1).any():
            values[np.isin(values, different[num == 1])] = -1
            rows[there] = values
            rows = -np.sort(-rows, axis=1)
            self.by = Classes(np.column_stack([rows, sizes]))
        else:
            self.by = Classes(rows)
        first = self.by.members[self.by.starts]
        self.sizes = sizes[first]
        self.num_shared = (rows[first] >= 0).sum(1, dtype=np.int32)
        sets = rows[first, : max(1, self.num_shared.max())]
        there = sets >= 0
        vocabulary, numbers = np.unique(sets[there], return_inverse=True)
        members = np.broadcast_to(self.by.counts[:, None], sets.shape)[there]
        self.counts = np.bincount(numbers, members, minlength=len(vocabulary) + 1).astype(np.int64)
        self.sets = np.full(sets.shape, -1, np.int32)
        self.sets[there] = numbers
        # The sets that have a label, label after label, and how many records they are, summed up.
        order = np.argsort(self.sets[there], kind="stable")
        self._having = np.repeat(np.arange(len(sets), dtype=np.int32), self.num_shared)[order]
        self.num_having = np.bincount(numbers, minlength=len(vocabulary) + 1)
        self._first_having = np.cumsum(self.num_having) - self.num_having
        self._records_up_to = np.cumsum(self.by.counts[self._having])
        self._records_before = np.cumsum(self.counts) - self.counts  # of a label

    def having(self, label: int) -> np.ndarray:
        """The sets that have a label, ascending."""
        return self._having[self._first_having[label] : self._first_having[label] + self.num_having[label]]

    def similarity(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Of records (M,) to other records (M,): float64 (M,). The same fraction is the same float."""
        one, other = self.by.of[one], self.by.of[other]
        shared = self.num_common(one, other)
        return shared / np.maximum(1, self.sizes[one] + self.sizes[other] - shared)

    def num_common(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """How many labels sets (M,) have in common with sets (M,): int32 (M,)."""
        widths = (max(1, self.num_shared[numbers].max(initial=0)) for numbers in (one, other))
        ones, others = (
            np.ascontiguousarray(self.sets[numbers, :width].T) for numbers, width in zip((one, other), widths)
        )
        shared = np.zeros(len(one), np.int32)
        for column in ones:
            shared += (others == column).any(0) & (column >= 0)
        return shared

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
        shared = np.zeros(len(self.sets), np.int32)
        chances = np.zeros(len(self.sets))
        for label in self.sets[number, : self.num_shared[number]].tolist():
            having = self.having(label)
            shared[having] += 1
            chances[having] += 1 / (self.counts[label] - 1)
        numbers = np.flatnonzero(shared)
        shared = shared[numbers]
        return Related(numbers, shared / (self.sizes[number] + self.sizes[numbers] - shared), chances[numbers])

    def in_sets(self, numbers: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """For draws (M,) a record each, uniform over those of some label sets: (M,)."""
        up_to = np.cumsum(self.by.counts[numbers])
        place = (draws * up_to[-1]).astype(np.int64)
        which = np.searchsorted(up_to, place, side="right")
        number = numbers[which]
        return self.by.members[self.by.starts[number] + place - (up_to[which] - self.by.counts[number])]

    def outside(self, numbers: np.ndarray, anchors: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """For anchors (M,) of one label set another record each, uniform over those not of some sets, ascending: (M,)."""
        by = self.by
        before = np.concatenate([[0], np.cumsum(by.counts[numbers])])

        def at(place: np.ndarray) -> np.ndarray:
            passed = np.searchsorted(by.starts[numbers] - before[:-1], place, side="right")
            return by.members[place + before[passed]]

        num = len(by.of) - before[-1]
        itself_too = not (numbers == by.of[anchors[0]]).any()
        found = at((draws * (num - itself_too)).astype(np.int64))
        if itself_too:
            found[found == anchors] = at(num - 1)
        return found


class Disjoint:
    """Which label sets have no label in common, fast where hardly any have none.

    The 63 most frequent labels are bits of a mask for each set: one AND rules most pairs out. And for each label of many
    sets there is a bitmap of the sets that have it.
    """

    def __init__(self, sets: LabelSets) -> None:
        self._sets = sets
        frequent = np.argsort(-sets.counts[:-1], kind="stable")[:63]
        bit = np.zeros(len(sets.counts), np.int64)
        bit[frequent] = 1 << np.arange(len(frequent))
        self._masks = np.bitwise_or.reduce(bit[sets.sets], axis=1)
        self._masks_are_all = len(frequent) == len(sets.counts) - 1
        num_words = -(-len(sets.sets) // 64)
        # A bitmap is no larger than the list of the sets, 32 bits each.
        common = np.flatnonzero(sets.num_having * 32 > len(sets.sets))
        self._row = np.full(len(sets.counts), -1)
        self._row[common] = np.arange(len(common))
        self._bits = np.empty((len(common), num_words), np.uint64)
        for row, label in enumerate(common.tolist()):
            has = np.zeros(num_words * 64, bool)
            has[sets.having(label)] = True
            self._bits[row] = np.packbits(has).view(np.uint64)

    def are(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Whether records (M,) share no label with records (M,): bool (M,)."""
        one, other = self._sets.by.of[one], self._sets.by.of[other]
        found = (self._masks[one] & self._masks[other]) == 0
        if not self._masks_are_all:
            left = np.flatnonzero(found)
            found[left] = self._sets.num_common(one[left], other[left]) == 0
        return found

    def of(self, number: int) -> np.ndarray:
        """All label sets that share no label with set `number`."""
        sets = self._sets.sets
        labels = sets[number, : self._sets.num_shared[number]]
        rows = self._row[labels]
        free = ~np.bitwise_or.reduce(self._bits[rows[rows >= 0]], axis=0)
        words = np.flatnonzero(free)
        place = np.flatnonzero(np.unpackbits(free[words].view(np.uint8)))
        numbers = words[place // 64] * 64 + place % 64
        numbers = numbers[: np.searchsorted(numbers, len(sets))]  # the last word may be longer
        if (rows < 0).any():
            of_set = np.zeros(len(self._row), bool)
            of_set[labels[rows < 0]] = True
            numbers = numbers[~of_set[sets[numbers]].any(1)]
        return numbers

    def exist(self, numbers: np.ndarray) -> np.ndarray:
        """Whether label sets (M,) have one that shares no label with them: bool (M,)."""
        found = self._by_masks(numbers)
        exist = found >= 0
        if not self._masks_are_all:
            doubtful = np.flatnonzero(exist)
            doubtful = doubtful[self._sets.num_common(numbers[doubtful], found[doubtful]) > 0]
            exist[doubtful] = [len(self.of(number)) > 0 for number in numbers[doubtful].tolist()]
        return exist

    def _by_masks(self, numbers: np.ndarray) -> np.ndarray:
        """For label sets (M,) one that shares none of the frequent labels, or -1: int64 (M,)."""
        masks, smallest = self._masks, self._smallest()
        found = np.full(len(numbers), -1, np.int64)
        most_frequent = masks[numbers] & 255  # together they rule out all but a few hundred
        for mask in np.unique(most_frequent).tolist():
            candidates = smallest[(masks[smallest] & mask) == 0]
            alike = np.flatnonzero(most_frequent == mask)
            for start in range(0, len(alike), 4096):
                open_ = alike[start : start + 4096]
                for first in range(0, len(candidates), 64):
                    some = candidates[first : first + 64]
                    good = (masks[numbers[open_], None] & masks[some]) == 0
                    any_ = good.any(1)
                    found[open_[any_]] = some[good[any_].argmax(1)]
                    open_ = open_[~any_]
                    if not len(open_):
                        break
        return found

    def _smallest(self) -> np.ndarray:
        """Label sets, those with the fewest frequent labels first, without most of those that contain another."""
        masks, numbers = np.unique(self._masks, return_index=True)
        sizes = np.unpackbits(masks.view(np.uint8).reshape(-1, 8), axis=1).sum(1)
        order = np.argsort(sizes, kind="stable")
        masks, numbers = masks[order], numbers[order]
        for mask in masks[:1024].tolist():
            kept = ((masks & mask) != mask) | (masks == mask)
            masks, numbers = masks[kept], numbers[kept]
        return numbers
