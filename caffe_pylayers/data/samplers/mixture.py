"""The sampler of several sources: which position of the stream is whose, and each source in an order of its own."""

from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.samplers.base import ROUND, Drawn, Positions, Sampler
from caffe_pylayers.data.samplers.images import All
from caffe_pylayers.data.shares import ROUND_SIZE, Shares
from caffe_pylayers.data.sources import MixedSource, Source
from caffe_pylayers.errors import DataError

#: Of positions (M,): the source of each, and its place in the stream of that source.
Places = Tuple[np.ndarray, np.ndarray]


class Mixture(Sampler):
    """Several sources. With `per_batch` each batch has so many of each, one source after the other. Otherwise, in TRAIN, the stream is rounds,
    in which each source has its share of the positions, permuted again in every round; in TEST the sources follow one another.

    Each source has its own stream, in which every record comes once per epoch of its own: in the order of the source or, with `shuffle` in TRAIN,
    permuted again. An epoch of all is the fewest positions in which every record comes.
    The stand-in for a record is one of the same source.

    rates: how often the records of each source come, where those of all come once on average.
    """

    def __init__(self, source: MixedSource, options: Any, *, training: bool) -> None:
        sizes = [len(part) for part in source.parts]
        split: Union[_Counts, _Rounds, _InTurn]
        if options.per_batch is not None:
            split = _Counts(options.per_batch)
        elif training:
            split = _Rounds(_shares(source, options), options.seed, options.stream)
        else:
            split = _InTurn(sizes)
        super().__init__(
            source, options, training=training, epoch_size=max(map(split.end_of, range(len(sizes)), sizes))
        )
        self.listed = (np.array(sizes),)
        self._split = split
        self._starts: List[int] = source.starts.tolist()
        self.rates = [share / size * len(source) for share, size in zip(split.shares, sizes)]
        self._parts = [_Part(part, options, number, training) for number, part in enumerate(source.parts)]

    def in_words(self) -> Iterator[str]:
        """What each source is, and how often its records come."""
        largest = int(np.argmax([part.epoch_size for part in self._parts]))
        for number, (part, share, rate) in enumerate(zip(self._parts, self._split.shares, self.rates)):
            yield (
                f"sources[{number}], {part.described}: {part.epoch_size} records, {share:.1%} of the samples; each record comes "
                f"{rate / self.rates[largest]:.3g} times per epoch of the largest source"
            )

    def reject(self, records: Sequence[int]) -> int:
        for part, start, end in zip(self._parts, self._starts, self._starts[1:]):
            part.reject([record - start for record in records if start <= record < end])
        return super().reject(records)

    def _sample(self, positions: Positions) -> Drawn:
        sources, places = self._places(positions)
        records = np.empty(len(sources), np.int64)
        for number, part in enumerate(self._parts):
            own = np.flatnonzero(sources == number)
            records[own] = self._starts[number] + part.records(places[own])
        return records[None], None

    def _mend(self, positions: Positions, records: np.ndarray, values: Optional[np.ndarray], bad: np.ndarray) -> None:
        if not len(bad):
            return
        sources, places = self._places(positions)
        for number, part in enumerate(self._parts):
            own = bad[sources[bad] == number]
            mended = part.mended(places[own], positions.keys[own])
            records[0, own] = self._starts[number] + mended

    def _places(self, positions: Positions) -> Places:
        """Of the positions of whole batches."""
        first = int(positions.numbers[0]) * self._batch_size
        return self._split.places(first + np.arange(len(positions.numbers)))


class _Part(All):
    """The stream of one of the sources."""

    def __init__(self, source: Source, options: Any, number: int, training: bool) -> None:
        super().__init__(source, options, training=training)
        self._seed = (*self._seed, number)

    @property
    def described(self) -> str:
        return self._source.described

    def records(self, places: np.ndarray) -> np.ndarray:
        return self._sample(self._at(places, places))[0][0]

    def mended(self, places: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """The records that stand in for those at these places of its stream, whose positions have these keys."""
        positions = self._at(places, keys)
        records = self._sample(positions)[0]
        self._mend(positions, records, None, np.arange(len(places)))
        return records[0]

    def _at(self, places: np.ndarray, keys: np.ndarray) -> Positions:
        return Positions(places, places // self.epoch_size, places % self.epoch_size, keys)


class _Counts:
    """So many positions of each batch."""

    def __init__(self, counts: Sequence[int]) -> None:
        self._counts = np.array(counts)
        self._ends = np.cumsum(counts)
        self.shares: Sequence[float] = [count / sum(counts) for count in counts]

    def places(self, positions: np.ndarray) -> Places:
        batches, rows = np.divmod(positions, self._ends[-1])
        sources = np.searchsorted(self._ends, rows, "right")
        counts = self._counts[sources]
        return sources, batches * counts + rows - (self._ends[sources] - counts)

    def end_of(self, number: int, size: int) -> int:
        """How many positions there are up to the end of the batch with place `size` - 1 of a source."""
        return -(-size // int(self._counts[number])) * int(self._ends[-1])


class _Rounds:
    """Shares of each round, in an order that is drawn for it."""

    def __init__(self, shares: Shares, seed: int, stream: int) -> None:
        self._shares = shares
        self._seed = (seed, stream)
        self._rounds: Dict[int, Places] = {}  # those last asked for
        self.shares: Sequence[float] = [float(part) for part in shares.parts]

    def places(self, positions: np.ndarray) -> Places:
        first, last = int(positions[0]), int(positions[-1])
        rounds = range(first // ROUND_SIZE, last // ROUND_SIZE + 1)
        self._rounds = {number: self._rounds.get(number) or self._round(number) for number in rounds}
        start = first - rounds[0] * ROUND_SIZE
        sources, places = (np.concatenate(columns) for columns in zip(*self._rounds.values()))
        return sources[start : start + len(positions)], places[start : start + len(positions)]

    def _round(self, number: int) -> Places:
        before, behind = (np.array(self._shares.before(each)) for each in (number, number + 1))
        counts = behind - before
        order = keyed.permutation(ROUND_SIZE, *self._seed, number, ROUND, 0)
        sources, places = np.empty((2, ROUND_SIZE), np.int64)
        sources[order] = np.repeat(np.arange(len(counts)), counts)
        for source, count in enumerate(counts):
            places[sources == source] = before[source] + np.arange(count)
        return sources, places

    def end_of(self, number: int, size: int) -> int:
        """How many positions there are up to place `size` - 1 of a source."""
        found = int(size / self._shares.parts[number]) // ROUND_SIZE + 2  # at most a place is lost to rounding
        while self._shares.before(found)[number] >= size:
            found -= 1
        sources, places = self._round(found)
        return found * ROUND_SIZE + int(np.flatnonzero((sources == number) & (places == size - 1))[0]) + 1


class _InTurn:
    """One source after the other, round and round."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._ends = np.cumsum(sizes)
        self.shares: Sequence[float] = [size / sum(sizes) for size in sizes]

    def places(self, positions: np.ndarray) -> Places:
        places = positions % self._ends[-1]
        sources = np.searchsorted(self._ends, places, "right")
        return sources, places - np.concatenate([[0], self._ends])[sources]

    def end_of(self, number: int, size: int) -> int:
        """How many positions there are up to the end of a source."""
        return int(self._ends[number])


def _shares(source: MixedSource, options: Any) -> Shares:
    """The weights; without, the sizes of the sources. Raises DataError where one is too small for that."""
    weights = [each.weight for each in options.sources]
    if weights[0] is not None:
        return Shares(weights)
    shares = Shares([len(part) for part in source.parts])
    if shares.too_small is not None:
        part = source.parts[shares.too_small]
        raise DataError(
            f"it has {len(part)} of all {len(source)} records, but the least share of a source is 2/{ROUND_SIZE} of the samples",
            remedy="set 'weight' for each of the 'sources', or 'per_batch'",
            source=part.described,
        )
    return shares
