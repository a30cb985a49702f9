"""Samples from a fixed list: a text table of names, a sample a line.

anchor,positive,negative     triplets
one,other                    pairs; sim is 1 where both have the same label
one,other,sim                pairs, each line with its sim, 1 (same) or 0; with `graded` any number from 0 to 1
"one two.jpg" other.jpg 1    blanks or tabs separate names too; quotes where a name has the separator in it

A list of pairs may also have the form of LFW's own, see `lfw_list`.
"""

import re
from typing import Any, List, NamedTuple, Optional, Tuple

import numpy as np

from caffe_pylayers.data.samplers.base import Drawn, Ordered, Positions
from caffe_pylayers.data.samplers.lfw_list import lfw_list, looks_like_lfw
from caffe_pylayers.data.samplers.names import numbers_of
from caffe_pylayers.data.sources import Source
from caffe_pylayers.errors import DataError
from caffe_pylayers.files import text_table

#: What is read as a number, be it one that no sim can be.
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|[-+]?(nan|inf)", re.IGNORECASE)


class Listed(Ordered):
    """The samples of a list, each once per epoch, in the order of the list in TEST, permuted again in TRAIN.

    records: (arity, M). sims: float32 (M,) for pairs, else None. For a line with a record that cannot be read the next of
    the order stands in, or with `replace` a drawn one of the same sim.
    """

    def __init__(
        self, source: Source, options: Any, records: np.ndarray, sims: Optional[np.ndarray], *, training: bool
    ) -> None:
        super().__init__(source, options, np.arange(records.shape[1]), training=training, permuted=True)
        self.arity = len(records)
        self._records = records
        self._sims = sims
        self.listed = records, sims

    def _draw(self, anchors: np.ndarray, positions: Positions, readable: Optional[np.ndarray] = None) -> Drawn:
        return self._records[:, anchors], None if self._sims is None else self._sims[anchors]

    def _can_be_read(self, candidates: np.ndarray) -> np.ndarray:
        return self._readable[self._records[:, candidates]].all(0)

    def _alike(self, anchor: int) -> np.ndarray:
        return self.anchors if self._sims is None else np.flatnonzero(self._sims == self._sims[anchor])


def listed_triplets(source: Source, options: Any, *, training: bool) -> Listed:
    """The triplets of file `options.triplets`. Raises DataError with the line that is wrong."""
    rows = _rows(options.triplets, (3,), "three names")
    _check_widths(rows, options.triplets, (3,), "three names")
    return Listed(source, options, _records(source, options.names, rows, options.triplets, 3), None, training=training)


def listed_pairs(source: Source, options: Any, *, training: bool) -> Listed:
    """The pairs of file `options.pairs`. Raises DataError with the line that is wrong."""
    pairs = read_pairs(options.pairs, source, options.names, options.graded)
    return Listed(source, options, pairs.records, pairs.sims, training=training)


class ListedPairs(NamedTuple):
    """The records of the pairs of a file, int32 (2, M), and sim, float32 (M,). sets: in how many parts the list comes, None where it does not say."""

    records: np.ndarray
    sims: np.ndarray
    sets: Optional[int] = None


def read_pairs(path: str, source: Source, names: str, graded: bool, option: str = "names: '{}'") -> ListedPairs:
    """The pairs of a file. names, graded: the options of these names; a list of LFW's form goes by file names. option: how `names` is given, for messages.

    Raises DataError with the line that is wrong.
    """
    what = "two names, or two names and sim"
    rows = _rows(path, (2, 3), what)
    of_lfw = lfw_list(path, rows)
    graded_but = "it has no column sim, but `graded` is true"
    if of_lfw is not None:
        if graded:
            raise DataError(graded_but, remedy="leave `graded` out", source=path)
        return ListedPairs(of_lfw.records(source), np.array(of_lfw.same, np.float32), of_lfw.sets)
    _check_widths(rows, path, (2, 3), what)
    records = _records(source, names, rows, path, 2, option)
    if len(rows[0].names) == 3:
        return ListedPairs(records, np.array([_sim(row, path, graded) for row in rows], np.float32))
    if graded:
        remedy = "write a number from 0 to 1 behind the two names, or leave `graded` out"
        raise DataError(graded_but, remedy=remedy, source=path)
    return ListedPairs(records, same_label(source, records, f"{path} has no column sim"))


def _sim(row: "_Row", path: str, graded: bool) -> float:
    """The sim of a pair. Raises DataError where it is out of range, or neither 0 nor 1 although it is not `graded`."""
    text = row.names[2]
    sim = float(text) if _NUMBER.fullmatch(text) else np.nan
    if sim in (0, 1) or (graded and 0 <= sim <= 1):
        return sim
    allowed = "1 (same) and 0 are allowed"
    if graded:
        allowed = "a number from 0 to 1 is allowed"
    elif 0 < sim < 1:
        allowed += "; for numbers between them set `graded: true`"
    raise DataError(f"sim is '{text}'", remedy=allowed, source=f"{path}, line {row.line}")


def same_label(source: Source, records: np.ndarray, why: str) -> np.ndarray:
    """sim of pairs (2, M) by the labels: float32 (M,), 1 where both have the same, or the same row of them.

    Raises DataError for a record without a label.
    """
    if source.labels is None:
        raise DataError(f"it has no labels, but sim is taken from labels, because {why}", source=source.path)
    if source.labels.dtype.kind == "f":
        raise source.error(
            f"its labels are values, but sim is taken from class labels, because {why}",
            remedy="name a list of pairs with their sim",
        )
    unlabelled = source.unlabelled()[records]
    if unlabelled.any():
        raise source.error(
            f"it has no label (a negative one), but sim is taken from labels, because {why}",
            remedy="remove the pair, or list it with its sim",
            record=int(records[unlabelled][0]),
        )
    one, other = source.labels.reshape(len(source), -1)[records]
    return (one == other).all(1).astype(np.float32)


class _Row(NamedTuple):
    line: int
    names: List[str]


def _rows(path: str, widths: Tuple[int, ...], what: str) -> List[_Row]:
    def fits(names: List[str]) -> bool:
        return len(names) in widths and (len(names) == widths[0] or bool(_NUMBER.fullmatch(names[-1])))

    try:
        rows = [_Row(line, names) for line, names in text_table.rows(path, path, fits)]
    except OSError as error:
        raise DataError(f"cannot read it: {error.strerror}", source=path) from error
    if not rows:
        raise DataError("the list is empty", remedy=f"lines of {what} are expected", source=path)
    return rows


def _check_widths(rows: List[_Row], path: str, widths: Tuple[int, ...], what: str) -> None:
    """Raises DataError for a line with more or fewer names."""
    for line, names in rows:
        if len(names) not in widths or len(names) != len(rows[0].names):
            remedy = "separate names by commas, tabs or blanks, and quote names that have the separator in them"
            if looks_like_lfw(names):
                remedy = "a list of pairs of LFW's form begins with a line such as `10 300`: sets, and pairs of each kind in a set"
            raise DataError(
                f"{len(names)} columns, but each line must have {what}, and all lines the same number: {','.join(names)[:80]!r}",
                remedy=remedy,
                source=f"{path}, line {line}",
            )


def _records(
    source: Source, by: str, rows: List[_Row], path: str, arity: int, option: str = "names: '{}'"
) -> np.ndarray:
    names = [name for row in rows for name in row.names[:arity]]
    numbers = numbers_of(names, source, by, lambda index: f"{path}, line {rows[index // arity].line}", option)
    return numbers.reshape(-1, arity).T.astype(np.int32)
