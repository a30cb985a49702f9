"""Several sources as one."""

import copy
import itertools
import os
from typing import Any, Callable, Iterable, Iterator, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.data.geometry import Matrix
from caffe_pylayers.data.sources.base import Image, Source
from caffe_pylayers.errors import DataError

#: What records of a source have, in words; such words differ where one top cannot hold what the records of both have.
_Form = Callable[[Source], str]

_ALIKE = "give all 'sources' the same, or leave the top out"


class MixedSource(Source):
    """The records of the first source, then those of the second, and so on.

    path: where a file beside it may lie.

    starts: int64 (S + 1,), the first record of each source, and how many there are.
    sets: rows of labels are sets of them, so that rows may have different lengths. label_dim: how many labels there are, if an option says so.
    Where the sources have labels, or weights, of different forms, it has none: `no_labels` and `no_weights` say why.
    """

    def __init__(self, parts: Sequence[Source], sets: bool = False, label_dim: Optional[int] = None) -> None:
        self._parts = tuple(parts)
        self.starts = np.cumsum([0, *map(len, parts)])
        names = [os.path.basename(part.path) for part in parts[1:]]
        super().__init__("+".join([parts[0].path, *names]), _Names(self))
        starts = self.starts.tolist()
        self.damaged = {start + own: why for start, part in zip(starts, parts) for own, why in part.damaged.items()}
        self.label_columns = parts[0].label_columns if len({part.label_columns for part in parts}) == 1 else ()
        if not sets:
            self._labels_differ = _difference(parts, _labels_of, _ALIKE)
        elif label_dim is None:
            self._labels_differ = _difference(parts, _sets_of, "say with 'label_dim' how many labels there are")
        else:
            self._labels_differ = _difference(parts, _known_sets_of, _ALIKE)
        self._weights_differ = _difference(parts, _weights_of, _ALIKE)
        labels = [part.labels for part in parts if part.labels is not None]
        if labels and not self._labels_differ:
            label_dim = max((part.label_dim for part in parts if part.label_dim is not None), default=None)
            self.set_labels(_joined(labels), label_dim, _unknown(parts, label_dim))
        weights = [part.sample_weights for part in parts if part.sample_weights is not None]
        if weights and not self._weights_differ:
            self.sample_weights = np.concatenate(weights)

    @property
    def parts(self) -> Sequence[Source]:
        return self._parts

    def place(self, record: int) -> Tuple[Source, int]:
        number = int(self.number_of(record))
        return self._parts[number], record - int(self.starts[number])

    def number_of(self, records: Any) -> np.ndarray:
        """The number of the source that each of the records is of."""
        return np.searchsorted(self.starts, records, "right") - 1

    def of_parts(self, make: Callable[[Source], Source]) -> "MixedSource":
        """The same, its images from what is made of each source."""
        made = copy.copy(self)
        made._parts, made.names = tuple(map(make, self._parts)), _Names(made)
        return made

    @property
    def kind(self) -> str:
        return " and ".join(dict.fromkeys(part.kind for part in self._parts))

    @property
    def fds(self) -> Tuple[int, ...]:
        return tuple(fd for part in self._parts for fd in part.fds)

    def files(self) -> Iterator[str]:
        for part in self._parts:
            yield from part.files()

    def identity(self) -> Tuple[object, ...]:
        return tuple(part.identity() for part in self._parts)

    def version(self) -> Iterator[object]:
        for part in self._parts:
            yield len(part), list(part.version())

    def record_version(self, record: int) -> Tuple[int, ...]:
        part, own = self.place(record)
        return part.record_version(own)

    def record_versions(self) -> Iterable[Tuple[int, ...]]:
        return itertools.chain.from_iterable(part.record_versions() for part in self._parts)

    def close(self) -> None:
        for part in self._parts:
            part.close()

    def read(self, record: int) -> Image:
        part, own = self.place(record)
        return part.read(own)

    def moved(self, record: int) -> Matrix:
        part, own = self.place(record)
        return part.moved(own)

    def no_labels(self) -> DataError:
        return self._labels_differ or self._parts[0].no_labels()

    def no_weights(self) -> DataError:
        return self._weights_differ or self._parts[0].no_weights()

    @property
    def described(self) -> str:
        return " and ".join(part.described for part in self._parts)

    def describe(self, record: int) -> str:
        part, own = self.place(record)
        return part.describe(own)


class _Names(Sequence[bytes]):
    """The names of the records of all sources."""

    def __init__(self, source: MixedSource) -> None:
        self._source = source

    def __len__(self) -> int:
        return int(self._source.starts[-1])

    def __getitem__(self, record: Any) -> Any:
        if not 0 <= record < len(self):
            raise IndexError(record)
        part, own = self._source.place(record)
        return part.names[own]


def _difference(parts: Sequence[Source], form: _Form, remedy: str) -> Optional[DataError]:
    """What is wrong where a source has other labels, or weights, than the first; None where all are alike."""
    first, *others = parts
    other = next((other for other in others if form(other) != form(first)), None)
    if other is None:
        return None
    return DataError(
        f"its records have {form(other)}, but those of {first.described} have {form(first)}",
        remedy=remedy,
        source=other.described,
    )


def _labels_of(source: Source) -> str:
    if source.labels is None:
        return "no labels"
    width, what = source.labels[0].size, "value" if source.has_values else "label"
    return f"rows of {width} {what}s" if source.labels.ndim > 1 else f"one {what}"


def _sets_of(source: Source) -> str:
    if source.labels is None:
        return "no labels"
    return "numbers of labels" if source.label_dim is None else f"a number for each of {source.label_dim} labels"


def _known_sets_of(source: Source) -> str:
    return "no labels" if source.labels is None else "labels"


def _weights_of(source: Source) -> str:
    weights = source.sample_weights
    if weights is None:
        return "no sample weights"
    return f"rows of {weights.shape[1]} sample weights" if weights.ndim > 1 else "one sample weight"


def _joined(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Labels one after the other; the shorter rows are filled up with -1."""
    if all(each.ndim == 1 for each in rows):
        return np.concatenate(rows)
    width = max(each[0].size for each in rows)
    return np.concatenate([_wider(each.reshape(len(each), -1), width, -1) for each in rows])


def _unknown(parts: Sequence[Source], label_dim: Optional[int]) -> Optional[np.ndarray]:
    """Which indicators are not known; None where all are."""
    if all(part.unknown is None for part in parts):
        return None
    known = (np.zeros((len(part), 0), bool) if part.unknown is None else part.unknown for part in parts)
    return np.concatenate([_wider(each, label_dim or 0, False) for each in known])


def _wider(rows: np.ndarray, width: int, fill: int) -> np.ndarray:
    return np.pad(rows, [(0, 0), (0, width - rows.shape[1])], constant_values=fill)
