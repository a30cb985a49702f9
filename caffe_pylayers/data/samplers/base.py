"""Batch number -> records: pure functions of (options, labels, number), planned in the parent from compact arrays.

The stream is the orders of all epochs one after the other. Batch b is the positions bB .. bB+B-1 of it, so that
batches run over the end of an epoch, none is short, and every anchor comes once per epoch. In TEST every epoch is
epoch 0: each pass over the data is the same, in the order of the source.

A record that cannot be read (`reject`) has stand-ins. A sample's stand-in is the first, in a sequence of candidates
that is fixed by the sample's key, whose records can all be read: it does not depend on when which record was found
out, and no other sample changes.
"""

from typing import Any, Dict, Iterator, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.recipe import Batch
from caffe_pylayers.data.samplers.classes import Classes
from caffe_pylayers.data.sources import Source
from caffe_pylayers.errors import DataError

# What a draw is for: the part of its key behind that of the position. Image 0, 1, 2 of a sample are keyed by those
# numbers, which are not used again.
POSITIVE, NEGATIVE_CLASS, NEGATIVE, MORE_NEGATIVES, ROUND, GROUP, _ATTEMPT, _STAND_IN = range(3, 11)

#: Batches that are planned together: numpy's calls cost the same for sixteen, and the net waits for them.
_AT_ONCE = 16

#: Draws before all candidates are looked at, which takes long where there are a million.
_DRAWS = 16

Drawn = Tuple[np.ndarray, Optional[np.ndarray]]  # records int64 (arity, M); values float32 (M,) or None


class Positions(NamedTuple):
    """Positions of the stream, each column (M,): batch number, epoch, place within the epoch, uint64 key."""

    numbers: np.ndarray
    epochs: np.ndarray
    places: np.ndarray
    keys: np.ndarray

    def part(self, part: Union[slice, np.ndarray]) -> "Positions":
        return Positions(*(column[part] for column in self))

    def attempts(self, index: int, count: int) -> "Positions":
        """Position `index`, `count` times: with its own key, then with keys made of that."""
        again = self.part(np.full(count, index))
        again.keys[1:] = keyed.bits(again.keys[1:], _ATTEMPT, np.arange(1, count))
        return again


class Sampler:
    """A stream of samples of `arity` records each; `epoch_size` positions are an epoch.

    left_out: how many records are no anchors, and left_out_because, why, as the end of a sentence. listed: what files
    other than the source say of its samples (pairs, triplets, similarities), for a checksum.
    A sampler says what is at each position (`_sample`) and mends samples that cannot be read (`_mend`).
    """

    arity = 1
    left_out = 0
    left_out_because = ""
    listed: Tuple[Optional[np.ndarray], ...] = ()

    def __init__(self, source: Source, options: Any, *, training: bool, epoch_size: int) -> None:
        self.epoch_size = epoch_size
        self.rejected = 0
        self._source = source
        self._training = training
        self._batch_size: int = options.batch_size
        self._seed: Tuple[int, ...] = (options.seed, options.stream)
        self._readable = np.ones(len(source), bool)
        self._first = -1  # of the batches that are planned, and their plan
        self._plan: Tuple[Positions, np.ndarray, Optional[np.ndarray], np.ndarray]

    def batch(self, number: int) -> Batch:
        """Batch `number` of the whole stream, 0 and up. Raises DataError where nothing can stand in for a sample."""
        first = number - number % _AT_ONCE
        if self._first != first:
            self._plan = self._planned(first)
            self._first = first
        start = (number - first) * self._batch_size
        part = slice(start, start + self._batch_size)
        positions, records, values, keys = self._plan
        records, values = records[:, part], None if values is None else values[part]
        stand_ins = 0
        if self.rejected:
            planned, records = records, records.copy()
            values = None if values is None else values.copy()
            bad = np.flatnonzero(~self._readable[records].all(0))
            self._mend(positions.part(part), records, values, bad)
            stand_ins = int((records != planned).any(0).sum())
        return Batch(records, keys[:, part], values, stand_ins)

    def reject(self, records: Sequence[int]) -> int:
        """These records cannot be read: from now on others stand in for them. Returns how many are new."""
        before = self.rejected
        self._readable[np.asarray(records, np.int64)] = False
        self.rejected = int(np.count_nonzero(~self._readable))
        return self.rejected - before

    def _planned(self, first: int) -> Tuple[Positions, np.ndarray, Optional[np.ndarray], np.ndarray]:
        """The batches from `first` on, one after the other in one."""
        # Python's integers first: first * batch_size may pass 2**63 in a long enough run.
        epoch, place = divmod(first * self._batch_size, self.epoch_size)
        numbers = first + np.repeat(np.arange(_AT_ONCE), self._batch_size)
        places = place + np.arange(_AT_ONCE * self._batch_size)
        epochs = (epoch + places // self.epoch_size) * self._training
        places %= self.epoch_size
        positions = Positions(numbers, epochs, places, keyed.bits(*self._seed, epochs, places))
        records, values = self._sample(positions)
        keys = keyed.bits(positions.keys, np.arange(self.arity)[:, None])
        return positions, np.asarray(records, np.int64), values, keys

    def _sample(self, positions: Positions) -> Drawn:
        """What is at these positions."""
        raise NotImplementedError

    def _mend(self, positions: Positions, records: np.ndarray, values: Optional[np.ndarray], bad: np.ndarray) -> None:
        """Put stand-ins into columns `bad` of a batch's records (arity, B) and values (B,)."""
        raise NotImplementedError

    def _can_be_read(self, candidates: np.ndarray) -> np.ndarray:
        """Which of the candidates for a place can be read: bool (M,)."""
        return self._readable[candidates]

    def _in_keyed_order(self, candidates: np.ndarray, key: np.ndarray) -> Iterator[int]:
        """All candidates that can be read, in an order fixed by the key; the first is uniform among them."""
        if len(candidates) > _DRAWS:
            draws = keyed.uniform(key, _STAND_IN, np.arange(_DRAWS)) * len(candidates)
            drawn = candidates[draws.astype(np.int64)]
            yield from drawn[self._can_be_read(drawn)].tolist()
        left = candidates[self._can_be_read(candidates)]
        yield from left[np.argsort(keyed.bits(key, _STAND_IN, _DRAWS, left), kind="stable")].tolist()

    def _nothing_stands_in(self) -> DataError:
        return DataError(
            f"nothing can replace a sample that cannot be read: {self.rejected} of {len(self._source)} records are unreadable",
            remedy="fix the source, or write it again",
            source=self._source.path,
        )


class Ordered(Sampler):
    """A sampler of anchors, each once per epoch: in the order given, or permuted again each epoch.

    anchors: (M,) records, or whatever the sampler makes samples of. A sampler says how it does (`_draw`).
    """

    _num_attempts = 1  # draws by other keys that may give an anchor another sample

    def __init__(self, source: Source, options: Any, anchors: np.ndarray, *, training: bool, permuted: bool) -> None:
        super().__init__(source, options, training=training, epoch_size=len(anchors))
        self.anchors = anchors
        self._replace = getattr(options, "on_error", "stop") == "replace"
        self._permuted = permuted and training
        self._orders: Dict[int, np.ndarray] = {}  # of the two epochs last asked for
        self._classes: Optional[Classes] = None

    def _draw(self, anchors: np.ndarray, positions: Positions, readable: Optional[np.ndarray] = None) -> Drawn:
        """The samples of anchors (M,) at positions. Of hard candidates only those in `readable` (N,) count."""
        raise NotImplementedError

    def _any_sample(self, anchor: int, position: Positions) -> Optional[Tuple[np.ndarray, float]]:
        """A sample of the anchor that can be read, where attempts found none: records (arity,), value."""
        return None

    def _alike(self, anchor: int) -> np.ndarray:
        """The anchors that `replace` draws from: the records of the same class."""
        if self._source.labels is None:
            return self.anchors
        if self._classes is None:
            self._classes = Classes(self._source.labels)
        return self._classes.members_of(self._classes.of[anchor])

    def _sample(self, positions: Positions) -> Drawn:
        anchors = np.empty(len(positions.places), np.int64)
        starts = np.flatnonzero(np.diff(positions.epochs, prepend=-1))
        for start, end in zip(starts, [*starts[1:], len(anchors)]):
            anchors[start:end] = self._order(int(positions.epochs[start]))[positions.places[start:end]]
        return self._draw(anchors, positions)

    def _order(self, epoch: int) -> np.ndarray:
        """The anchors of an epoch in their order."""
        if not self._permuted:
            return self.anchors
        if epoch not in self._orders:
            self._orders = dict([*self._orders.items()][-1:])
            self._orders[epoch] = self.anchors[keyed.permutation(len(self.anchors), *self._seed, epoch)]
        return self._orders[epoch]

    def _mend(self, positions: Positions, records: np.ndarray, values: Optional[np.ndarray], bad: np.ndarray) -> None:
        for index in bad.tolist():
            for anchor in self._candidates(positions, index):
                found = self._readable_sample(anchor, positions, index)
                if found is not None:
                    break
            else:
                raise self._nothing_stands_in()
            records[:, index], value = found
            if values is not None:
                values[index] = value

    def _candidates(self, positions: Positions, index: int) -> Iterator[int]:
        """The anchors that a sample may have, best first: its own, with `replace` its like, the next in the order."""
        order, place = self._order(int(positions.epochs[index])), int(positions.places[index])
        own = order[place : place + 1]
        yield from own[self._can_be_read(own)].tolist()
        if self._replace:
            yield from self._in_keyed_order(self._alike(own[0]), positions.keys[index])
        for start in range(place + 1, place + len(order), 256):
            following = order[np.arange(start, min(start + 256, place + len(order))) % len(order)]
            yield from following[self._can_be_read(following)].tolist()

    def _readable_sample(self, anchor: int, positions: Positions, index: int) -> Optional[Tuple[np.ndarray, float]]:
        attempts = positions.attempts(index, self._num_attempts)
        records, values = self._draw(np.full(self._num_attempts, anchor), attempts, self._readable)
        good = self._readable[records].all(0)
        if good.any():
            chosen = int(good.argmax())
            return records[:, chosen], 0.0 if values is None else float(values[chosen])
        return self._any_sample(anchor, positions.part(slice(index, index + 1)))
