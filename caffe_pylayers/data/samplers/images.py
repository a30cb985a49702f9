"""Samplers of single images."""

from typing import Any, Iterator, Optional, Set, Tuple

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.samplers.base import GROUP, POSITIVE, ROUND, Drawn, Ordered, Positions, Sampler
from caffe_pylayers.data.samplers.classes import Classes
from caffe_pylayers.data.sources import Source
from caffe_pylayers.errors import DataError


class All(Ordered):
    """ALL: every record once per epoch, in the order of the source or, with `shuffle` in TRAIN, permuted again."""

    def __init__(self, source: Source, options: Any, *, training: bool) -> None:
        super().__init__(source, options, np.arange(len(source)), training=training, permuted=options.shuffle)

    def _draw(self, anchors: np.ndarray, positions: Positions, readable: Optional[np.ndarray] = None) -> Drawn:
        return anchors[None], None


class Balanced(Sampler):
    """BALANCED: all classes equally often. The stream is rounds; in each every class comes once, permuted again in
    TRAIN, with a sample uniform over the class. An epoch is the smallest number of whole rounds that has as many
    positions as there are records.

    The stand-in for a record is drawn from its class, where that has none left from the next class of the round.
    """

    def __init__(self, source: Source, options: Any, *, training: bool) -> None:
        self._classes = _classes(source)
        rounds = -(-len(source) // len(self._classes))
        super().__init__(source, options, training=training, epoch_size=rounds * len(self._classes))
        self._rounds: Tuple[np.ndarray, np.ndarray] = np.empty(0), np.empty(0)  # last asked for, and their orders

    def _sample(self, positions: Positions) -> Drawn:
        own = self._order(positions)
        member = (keyed.uniform(positions.keys, POSITIVE) * self._classes.counts[own]).astype(np.int64)
        return self._classes.members[self._classes.starts[own] + member][None], None

    def _order(self, positions: Positions, ahead: int = 0) -> np.ndarray:
        """The class at each position, or `ahead` of it in its round: (M,)."""
        num_classes = len(self._classes)
        rounds = np.stack([positions.epochs, positions.places // num_classes])
        places = (positions.places + ahead) % num_classes
        if not self._training:
            return places
        fresh = np.diff(rounds, axis=1, prepend=-1).any(0)
        wanted = rounds[:, fresh]
        if not np.array_equal(self._rounds[0], wanted):
            draws = keyed.bits(*self._seed, *wanted[:, :, None], ROUND, np.arange(num_classes))
            self._rounds = wanted, np.argsort(draws, axis=1, kind="stable")
        return self._rounds[1][np.cumsum(fresh) - 1, places]

    def _mend(self, positions: Positions, records: np.ndarray, values: Optional[np.ndarray], bad: np.ndarray) -> None:
        for index in bad.tolist():
            position = positions.part(slice(index, index + 1))
            for ahead in range(len(self._classes)):
                members = self._classes.members_of(self._order(position, ahead)[0])
                found = next(self._in_keyed_order(members, position.keys), None)
                if found is not None:
                    break
            else:
                raise self._nothing_stands_in()
            records[0, index] = found


class PK(Ordered):
    """PK: batches of `classes_per_batch` different classes, `samples_per_class` samples of each, class after class.

    An epoch is one pass over the classes, permuted again in TRAIN; those that do not fill a batch are left out of that
    epoch. In TEST they come in their order, round and round, and none is left out. Samples are drawn without replacement; a class with fewer gives all of its records, then repeats them.
    Where several samples are asked, a class of one record is left out. Raises DataError for too few classes.

    The stand-in for a record is one of its class that is not in the batch, where there is none one of the others
    again; for a class that has too few left it is the next class of the epoch that is not in the batch.
    """

    left_out_because = "because each is the only one of its class"

    def __init__(self, source: Source, options: Any, *, training: bool) -> None:
        classes = _classes(source)
        num_classes: int = options.classes_per_batch
        self._size: int = options.samples_per_class
        self._fewest = min(self._size, 2)
        usable = np.flatnonzero(classes.counts >= self._fewest)
        if len(usable) < num_classes:
            raise DataError(
                f"it has {len(usable)} class{'es' * (len(usable) != 1)} of {self._fewest} records or more, but 'classes_per_batch' is {num_classes}",
                remedy=_more_of_a_class(len(usable), self._fewest),
                source=source.path,
            )
        super().__init__(source, options, usable, training=training, permuted=True)
        self.left_out = int(classes.counts[classes.counts < self._fewest].sum())
        # In TEST, where every epoch is the same, whole batches alone would never have the last classes.
        groups = len(usable) // num_classes * num_classes if training else len(usable)
        self.epoch_size = groups * self._size
        self._classes: Classes = classes

    def _sample(self, positions: Positions) -> Drawn:
        # Batches and epochs are whole groups of samples of one class.
        groups = positions.part(slice(None, None, self._size))
        own = np.array([self._order(epoch)[place] for epoch, place in self._groups(groups)])
        keys = keyed.bits(*self._seed, groups.epochs, groups.places, GROUP)
        chosen = _without_replacement(self._classes.counts[own], self._size, keys)
        return self._classes.members[self._classes.starts[own, None] + chosen].reshape(1, -1), None

    def _groups(self, positions: Positions) -> Iterator[Tuple[int, int]]:
        return zip(positions.epochs.tolist(), (positions.places // self._size).tolist())

    def _mend(self, positions: Positions, records: np.ndarray, values: Optional[np.ndarray], bad: np.ndarray) -> None:
        batch = records[0].reshape(-1, self._size)
        in_batch = set(self._classes.of[batch[:, 0]].tolist())
        for number in np.unique(bad // self._size).tolist():
            key = positions.keys[number * self._size]
            own = self._classes.of[batch[number, 0]]
            left = self._left(own)
            if len(left) < self._fewest:
                left = self._next_class(positions, number * self._size, in_batch)
                in_batch.add(int(self._classes.of[left[0]]))
            keep = np.isin(batch[number], left)
            luck = keyed.bits(key, GROUP, left)
            for place in np.flatnonzero(~keep):
                used = (left[:, None] == batch[number][keep]).sum(1)
                batch[number, place] = left[np.lexsort([luck, used])[0]]
                keep[place] = True

    def _left(self, number: int) -> np.ndarray:
        members = self._classes.members_of(number)
        return members[self._readable[members]]

    def _next_class(self, positions: Positions, index: int, taken: Set[int]) -> np.ndarray:
        """The readable records of the first class behind this one's, in the order of its epoch, that can stand in."""
        order, place = self._order(int(positions.epochs[index])), int(positions.places[index]) // self._size
        for number in np.roll(order, -place - 1)[:-1].tolist():
            left = self._left(number)
            if number not in taken and len(left) >= self._fewest:
                return left
        raise self._nothing_stands_in()


def _classes(source: Source) -> Classes:
    assert source.labels is not None
    return Classes(source.labels)


def _without_replacement(counts: np.ndarray, size: int, keys: np.ndarray) -> np.ndarray:
    """`size` different numbers below counts[i] for each i; where that has too few all of them, then again: (M, size).

    Floyd's algorithm (Bentley 1987), which touches no other numbers, side by side for all i.
    """
    draws = keyed.uniform(keys[:, None], np.arange(size))
    distinct = np.minimum(counts, size)
    chosen = np.empty((len(counts), size), np.int64)
    rows = np.arange(len(counts))
    for step in range(size):
        last = counts - distinct + step
        number = (draws[:, step] * (last + 1)).astype(np.int64)
        number = np.where((chosen[:, :step] == number[:, None]).any(1), last, number)
        chosen[:, step] = np.where(step < distinct, number, chosen[rows, step % distinct])
    return chosen


def _more_of_a_class(usable: int, fewest: int) -> str:
    """What to do where too few classes have as many records as the type PK needs of each."""
    return "lower it" if usable > 1 else f"PK compares records of one class: give labels that {fewest} records share"
