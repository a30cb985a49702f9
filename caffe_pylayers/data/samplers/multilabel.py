"""Positives and negatives by sets of labels: RANDOM_MULTILABEL and HARD_MULTILABEL."""

from typing import Iterator, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.samplers.base import MORE_NEGATIVES, NEGATIVE, POSITIVE
from caffe_pylayers.data.samplers.partners import Partners, Partnership, hardest
from caffe_pylayers.data.samplers.sets import Disjoint, LabelSets, Related
from caffe_pylayers.data.sources import Source
from caffe_pylayers.errors import DataError

# Tries side by side, round after round; for what is left the distribution is written out, which takes longer.
_ROUNDS = ((0, 1), (1, 4), (4, 16), (16, 64))
_LEFT = 64  # the key of the draws for that

_ANY = np.nextafter(0.0, 1.0)  # the smallest similarity above none


class MultilabelPartners(Partners):
    """RANDOM_MULTILABEL: a pair of positive p and negative n with similarity(a, n) < similarity(a, p).

    p: one of the anchor's labels that another record has too, uniform; then uniform over the other records that have
    it. n: uniform over all other records. The two are drawn again until the inequality holds.
    HARD_MULTILABEL: of k negatives the one with the smallest similarity: the n of that pair, and k - 1 uniform over all
    records with similarity(a, n) < similarity(a, p); the first drawn of equals.
    margin = similarity(a, p) - similarity(a, n) > 0.
    Anchors are the records to which the others are not all equally similar. Raises DataError where there are none.
    """

    left_out_because = "because they share no label with another record, or are equally similar to all others"

    def __init__(self, source: Source, labels: np.ndarray, what: str, k: int = 1) -> None:
        self._sets = LabelSets(labels)
        self._more = np.arange(1, k)[:, None]
        self.anchors = np.flatnonzero(self._usable()[self._sets.by.of])
        if len(self.anchors) == 0:
            raise DataError(
                f"no {what} can be made of the label sets of {len(labels)} records: {self._needed}",
                source=source.path,
            )

    _needed = "this needs two records that share a label and a third that is less similar to the first"

    def draw(
        self, anchors: np.ndarray, keys: np.ndarray, hard: np.ndarray, readable: Optional[np.ndarray] = None
    ) -> Partnership:
        positives, negatives = self._pairs(anchors, keys)
        similar = self._sets.similarity(anchors, positives)
        others = self._sets.similarity(anchors, negatives)
        if len(self._more) and hard.any():
            shape = (len(self._more), len(anchors))
            again, limits = (np.broadcast_to(column, shape).ravel() for column in (anchors, similar))
            more = self._below(again, limits, keyed.bits(keys, MORE_NEGATIVES, self._more).ravel())
            candidates = np.concatenate([negatives[None], more.reshape(shape)])
            similarities = np.concatenate([others[None], self._sets.similarity(again, more).reshape(shape)])
            negatives, chosen = hardest(candidates, -similarities, hard, readable)
            others = similarities[chosen, np.arange(len(anchors))]
        return Partnership(positives, negatives, (similar - others).astype(np.float32))

    def related(self, anchor: int) -> Tuple[np.ndarray, np.ndarray]:
        by = self._sets.by
        related = self._sets.related(by.of[anchor])
        members = [by.members_of(number) for number in related.numbers]
        return (
            np.concatenate([*members, np.empty(0, np.int32)]),
            np.repeat(related.similarities, by.counts[related.numbers]),
        )

    def _pairs(self, anchors: np.ndarray, keys: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """The p and n of anchors (M,): int64 (M,) each."""
        positives, negatives, open_ = self._tries(anchors, keys)
        draws = keyed.uniform(keys[open_], POSITIVE, _LEFT, np.arange(3)[:, None])
        for number, those in self._by_set(anchors[open_]):
            some = open_[those]
            positives[some], negatives[some] = self._exact_pairs(number, anchors[some], draws[:, those])
        return positives, negatives

    def _tries(
        self, anchors: np.ndarray, keys: np.ndarray, rounds: Sequence[Tuple[int, int]] = _ROUNDS
    ) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The first good p and n of anchors (M,), and the indices of those for which no try was good."""
        positives, negatives = np.empty((2, len(anchors)), np.int64)
        open_ = np.arange(len(anchors))
        for start, stop in rounds:
            tries = np.arange(start, stop)[:, None]
            draws = keyed.uniform(keys[open_], POSITIVE, tries, np.arange(3)[:, None, None])
            again = np.broadcast_to(anchors[open_], draws.shape[1:]).ravel()
            positive = self._sets.sharing(again, draws[0].ravel(), draws[1].ravel())
            negative = self._other(again, draws[2].ravel())
            good = self._sets.similarity(again, negative) < self._sets.similarity(again, positive)
            place, found = _first(good.reshape(len(tries), -1))
            positives[open_[found]] = positive.reshape(len(tries), -1)[place, found]
            negatives[open_[found]] = negative.reshape(len(tries), -1)[place, found]
            open_ = np.delete(open_, found)
        return positives, negatives, open_

    def _below(self, anchors: np.ndarray, limits: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """For anchors (M,) a record each, uniform over those with similarity below the limit (M,): int64 (M,)."""
        negatives, open_ = self._tries_below(anchors, limits, keys)
        draws = keyed.uniform(keys[open_], NEGATIVE, _LEFT)
        for number, those in self._by_set(anchors[open_]):
            some = open_[those]
            related = self._sets.related(number)
            negatives[some] = self._exactly_below(related, anchors[some], limits[some], draws[those])
        return negatives

    def _tries_below(
        self, anchors: np.ndarray, limits: np.ndarray, keys: np.ndarray, rounds: Sequence[Tuple[int, int]] = _ROUNDS
    ) -> Tuple[np.ndarray, np.ndarray]:
        negatives = np.empty(len(anchors), np.int64)
        open_ = np.arange(len(anchors))
        for start, stop in rounds:
            tries = np.arange(start, stop)[:, None]
            again, limit = (np.broadcast_to(column[open_], (len(tries), len(open_))) for column in (anchors, limits))
            negative = self._other(again.ravel(), keyed.uniform(keys[open_], NEGATIVE, tries).ravel())
            good = self._is_below(again.ravel(), negative, limit.ravel())
            place, found = _first(good.reshape(again.shape))
            negatives[open_[found]] = negative.reshape(again.shape)[place, found]
            open_ = np.delete(open_, found)
        return negatives, open_

    def _is_below(self, anchors: np.ndarray, negatives: np.ndarray, limits: np.ndarray) -> np.ndarray:
        return self._sets.similarity(anchors, negatives) < limits

    def _other(self, records: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """Any other record, uniform: int64 (M,)."""
        other = (draws * (len(self._sets.by.of) - 1)).astype(np.int64)
        return other + (other >= records)

    def _by_set(self, anchors: np.ndarray) -> Iterator[Tuple[int, np.ndarray]]:
        """One label set of anchors (M,) after the other: its number, the indices of its anchors."""
        numbers = self._sets.by.of[anchors]
        for number in np.unique(numbers).tolist():
            yield number, np.flatnonzero(numbers == number)

    def _exact_pairs(self, number: int, anchors: np.ndarray, draws: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """p and n of anchors (M,) of one label set by draws (3, M), with the chances of all written out by label sets."""
        by = self._sets.by
        related = self._sets.related(number)
        num = by.counts[related.numbers] - (related.numbers == number)  # positives of each set
        mass = related.chances * num * self._num_below(related, num)
        likely = np.flatnonzero(mass)
        up_to = np.cumsum(mass[likely])
        place = np.searchsorted(up_to, draws[0] * up_to[-1], side="right")
        chosen = likely[np.minimum(place, len(likely) - 1)]
        first = by.starts[related.numbers[chosen]]
        positives = by.members[first + (draws[1] * num[chosen]).astype(np.int64)]
        itself = positives == anchors  # the last of its set stands in for it
        positives[itself] = by.members[(first + num[chosen])[itself]]
        return positives, self._exactly_below(related, anchors, related.similarities[chosen], draws[2])

    def _num_below(self, related: Related, num: np.ndarray) -> np.ndarray:
        """For each related set, how many records are less similar than it; num: (M,) records of each that count."""
        order = np.argsort(related.similarities)
        ascending = related.similarities[order]
        up_to = np.concatenate([[0], np.cumsum(num[order])])
        unrelated = len(self._sets.by.of) - self._sets.by.counts[related.numbers].sum()
        return unrelated + up_to[np.searchsorted(ascending, related.similarities, side="left")]

    def _exactly_below(
        self, related: Related, anchors: np.ndarray, limits: np.ndarray, draws: np.ndarray
    ) -> np.ndarray:
        """For anchors (M,) of one label set a record each, uniform over those with similarity below the limit (M,)."""
        negatives = np.empty(len(anchors), np.int64)
        for limit in np.unique(limits).tolist():
            those = np.flatnonzero(limits == limit)
            out = related.numbers[related.similarities >= limit]
            negatives[those] = self._sets.outside(out, anchors[those], draws[those])
        return negatives

    def _usable(self) -> np.ndarray:
        """Which label sets (S,) are those of anchors."""
        sets = self._sets
        usable = self._possible()
        # With few records that share a label there are others that share none: nothing is left to doubt.
        num_shared = np.maximum(0, sets.counts[sets.sets] - 1).sum(1)
        doubtful = np.flatnonzero(usable & (num_shared >= len(sets.by.of) - 1))
        usable[doubtful] = self._have_both(doubtful)
        return usable

    def _possible(self) -> np.ndarray:
        """Which label sets (S,) are not ruled out at first sight."""
        return self._sets.num_shared > 0

    def _have_both(self, numbers: np.ndarray) -> np.ndarray:
        """Whether label sets (M,) have a positive and a negative: tries find most, the others are looked through."""
        anchors, keys = self._sets.by.members[self._sets.by.starts[numbers]], keyed.bits(numbers)
        both = np.ones(len(numbers), bool)
        for start in range(0, len(numbers), 4096):
            part = slice(start, start + 4096)
            both[start + self._without(anchors[part], keys[part])] = False
        both[~both] = self._have_both_exactly(numbers[~both])
        return both

    def _without(self, anchors: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """The indices of the anchors (M,) for which no try finds partners."""
        return self._tries(anchors, keys, _ROUNDS[:3])[2]

    def _have_both_exactly(self, numbers: np.ndarray) -> np.ndarray:
        return np.array([self._has_both(number) for number in numbers.tolist()], bool)

    def _has_both(self, number: int) -> bool:
        related = self._sets.related(number)
        num = self._sets.by.counts[related.numbers] - (related.numbers == number)
        return bool(((num > 0) & (self._num_below(related, num) > 0)).any())


class DisjointPartners(MultilabelPartners):
    """RANDOM_MULTILABEL of pairs: p as there, n uniform over the records that share no label with the anchor."""

    left_out_because = "because they share no label with another record, or share one with every other"
    _needed = "this needs two records that share a label and a third that shares none with the first"

    def draw(
        self, anchors: np.ndarray, keys: np.ndarray, hard: np.ndarray, readable: Optional[np.ndarray] = None
    ) -> Partnership:
        draws = keyed.uniform(keys, POSITIVE, np.arange(2)[:, None])
        negatives, open_ = self._tries_below(anchors, np.full(len(anchors), _ANY), keys)
        left = keyed.uniform(keys[open_], NEGATIVE, _LEFT)
        for number, those in self._by_set(anchors[open_]):
            negatives[open_[those]] = self._sets.in_sets(self._disjoint.of(number), left[those])
        return Partnership(self._sets.sharing(anchors, *draws), negatives)

    def _is_below(self, anchors: np.ndarray, negatives: np.ndarray, limits: np.ndarray) -> np.ndarray:
        return self._disjoint.are(anchors, negatives)

    def _possible(self) -> np.ndarray:
        self._disjoint = Disjoint(self._sets)
        most = self._sets.counts[self._sets.sets].max(1)  # records that have one label of the set
        return super()._possible() & (most < len(self._sets.by.of))

    def _without(self, anchors: np.ndarray, keys: np.ndarray) -> np.ndarray:
        return self._tries_below(anchors, np.full(len(anchors), _ANY), keys, _ROUNDS[:3])[1]

    def _have_both_exactly(self, numbers: np.ndarray) -> np.ndarray:
        return self._disjoint.exist(numbers)


def _first(good: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Of tries (T, M) the first good one of each column that has one, and which columns those are."""
    found = np.flatnonzero(good.any(0))
    return good.argmax(0)[found], found
