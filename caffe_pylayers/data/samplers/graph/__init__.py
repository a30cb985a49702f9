"""Similarities of records, as type HARD asks for them (option `m`): a graph with an edge for each that is not 0.

{'cat1.jpg': {'cat2.jpg': 0.9}}     a Python dict or JSON
a,b,similarity                      text with this first line, then a line an edge
0,0.9,0.1                           text of N lines of N numbers: line a, column b is the similarity of b to a
graph.npz                           a scipy sparse matrix (N, N), as scipy.sparse.save_npz writes it

Text has commas, tabs or blanks between its fields. Edges have a direction: similarity(a, b) is looked up for anchor a and negative b; what holds both ways is given twice.
`python -m caffe_pylayers.data.samplers.graph --help` makes a graph of features or label sets.
"""

import ast
import codecs
import json
from array import array
from typing import Any, Iterator, List, Tuple

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.data.samplers.graph.nearest import neighbours, write_graph
from caffe_pylayers.data.samplers.names import numbers_of
from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.sources.key_order import check_key_order
from caffe_pylayers.errors import DataError
from caffe_pylayers.files import text_table
from caffe_pylayers.files.text_table import Fields

__all__ = ["Graph", "neighbours", "read_graph", "write_graph"]

_HEADER = ["a", "b", "similarity"]


class Graph:
    """Similarities by pair of records, in memory by the edges: 8 bytes each, and 8 per record.

    one, other: integers (E,), 0 to size - 1; similarities: (E,), finite.
    Raises DataError for an edge that is not a number or is given twice with different similarities.
    """

    def __init__(self, path: str, size: int, one: np.ndarray, other: np.ndarray, similarities: np.ndarray) -> None:
        order = np.argsort(one.astype(np.int64) * size + other, kind="stable")
        one, self._other = one[order], other[order].astype(np.int32)
        with np.errstate(over="ignore"):
            self._similarities = similarities[order].astype(np.float32)
        self._first = np.searchsorted(one, np.arange(size + 1))  # edge of each record
        twice = np.zeros(len(one), bool)
        twice[1:] = (one[1:] == one[:-1]) & (self._other[1:] == self._other[:-1])
        twice[1:] &= self._similarities[1:] != self._similarities[:-1]
        for wrong, what in (
            (~np.isfinite(self._similarities), "is not a finite number"),
            (twice, "is given twice, with different numbers; leave one out"),
        ):
            if wrong.any():
                edge = int(wrong.argmax())
                raise DataError(
                    f"the similarity of record {self._other[edge]} to record {one[edge]} ({self._similarities[edge]}) {what}",
                    source=path,
                )

    def arrays(self) -> Tuple[np.ndarray, ...]:
        """All that it holds."""
        return self._first, self._other, self._similarities

    def among(self, records: np.ndarray) -> "Graph":
        """The graph of these records alone, ascending, which are numbered again from 0."""
        size = len(self._first) - 1
        if len(records) == size:
            return self
        number = np.full(size, -1)
        number[records] = np.arange(len(records))
        one, other = number[np.repeat(np.arange(size), np.diff(self._first))], number[self._other]
        kept = (one >= 0) & (other >= 0)
        return Graph("", len(records), one[kept], other[kept], self._similarities[kept])

    def similarity(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Of `other` to anchors `one`, 0 where there is no edge: float32 of the shape that the two broadcast to."""
        if not len(self._other):
            return np.zeros(np.broadcast(one, other).shape, np.float32)
        low, high, other = np.broadcast_arrays(self._first[one], self._first[np.asarray(one) + 1], other)
        last = len(self._other) - 1
        # Bisection of all side by side, each within the edges of its anchor.
        for _ in range(int((high - low).max(initial=0)).bit_length()):
            middle = (low + high) >> 1
            before = (self._other[np.minimum(middle, last)] < other) & (middle < high)
            low, high = np.where(before, middle + 1, low), np.where(before, high, middle)
        place = np.minimum(low, last)
        found = (self._other[place] == other) & (low < self._first[np.asarray(one) + 1])
        return np.where(found, self._similarities[place], np.float32(0))


def read_graph(path: str, source: Source, by: str) -> Graph:
    """The graph in a file of any of the forms above.

    by: 'number' or 'key', how a dict, JSON and edges name records. Raises DataError with the place that is wrong.
    """
    try:
        with regular_file.open_bytes(path) as stream:
            start = stream.read(4096).lstrip()
        if start.startswith(b"PK"):
            return _sparse(path, source)
        if start.startswith((b"{", codecs.BOM_UTF8 + b"{")):
            with regular_file.open_text(path, encoding="utf-8-sig", errors="surrogateescape") as text:
                return _nested(path, text.read(), source, by)
        return _table(path, text_table.rows(path, path, _fits), source, by)
    except OSError as error:
        raise DataError(f"cannot read it: {error.strerror or error}", source=path) from error


def _sparse(path: str, source: Source) -> Graph:
    try:
        import scipy.sparse
    except ImportError as error:
        raise DataError(
            "a sparse matrix needs scipy: `pip install scipy`",
            remedy="or write the graph as CSV with the first line a,b,similarity",
            source=path,
        ) from error
    try:
        matrix = scipy.sparse.load_npz(path).tocoo()
    except Exception as error:  # of a broken or foreign archive: any of zipfile's, numpy's and scipy's
        raise DataError(f"it is not a scipy sparse matrix: {error}", source=path) from error
    if matrix.shape != (len(source), len(source)):
        raise DataError(
            f"a matrix of shape {matrix.shape}, but {source.path} has {len(source)} records",
            remedy="one row and one column per record are expected",
            source=path,
        )
    check_key_order(source, f"the lines and columns of {path}")
    if matrix.dtype.kind not in "biuf":
        raise DataError(f"a matrix of {matrix.dtype}", remedy="real numbers are expected", source=path)
    return Graph(path, len(source), matrix.row, matrix.col, matrix.data)


def _nested(path: str, text: str, source: Source, by: str) -> Graph:
    try:
        nested = json.loads(text)
    except ValueError:
        try:
            nested = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise DataError(f"it is neither JSON nor a Python dict: {error}", source=path) from error
    if not isinstance(nested, dict) or not all(isinstance(edges, dict) for edges in nested.values()):
        raise DataError("a dict of dicts of numbers is expected: {name: {name: similarity}}", source=path)
    names: List[str] = []
    similarities = array("f")
    for one, edges in nested.items():
        for other, similarity in edges.items():
            if isinstance(similarity, bool) or not isinstance(similarity, (int, float)):
                raise DataError(
                    f"the similarity of {other!r} to {one!r} is {similarity!r}",
                    remedy="a number is expected",
                    source=path,
                )
            names += [_text(one), _text(other)]
            similarities.append(_float(similarity))
    return _named(path, names, similarities, source, by, lambda index: path)


def _float(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:  # of an integer of hundreds of digits
        return float("inf")


def _text(name: Any) -> str:
    return name.decode(errors="surrogateescape") if isinstance(name, bytes) else str(name)


def _named(path: str, names: List[str], similarities: "array[float]", source: Source, by: str, where: Any) -> Graph:
    numbers = numbers_of(names, source, by, where)
    return Graph(path, len(source), numbers[::2], numbers[1::2], np.array(similarities))


def _fits(first: Fields) -> bool:
    return first == _HEADER or (len(first) > 1 and all(map(_is_number, first)))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _table(path: str, lines: Iterator[Tuple[int, Fields]], source: Source, by: str) -> Graph:
    number, first = next(lines, (0, []))
    if first == _HEADER:
        return _edges(path, lines, source, by)
    if len(first) < 2 and len(source) > 1:
        raise DataError(
            "it is not a graph: a dict, JSON, a table of a,b,similarity or N x N, or .npz is expected", source=path
        )
    return _square(path, number, first, lines, source)


def _edges(path: str, lines: Iterator[Tuple[int, Fields]], source: Source, by: str) -> Graph:
    names: List[str] = []
    numbers = array("q")
    similarities = array("f")
    for number, line in lines:
        if len(line) != 3:
            raise DataError(
                f"{len(line)} columns", remedy="a, b and similarity are expected", source=f"{path}, line {number}"
            )
        names += line[:2]
        numbers.append(number)
        similarities.append(_similarity(path, number, line[2]))
    return _named(path, names, similarities, source, by, lambda index: f"{path}, line {numbers[index // 2]}")


def _square(path: str, number: int, line: Fields, lines: Iterator[Tuple[int, Fields]], source: Source) -> Graph:
    size = len(source)
    check_key_order(source, f"the lines and columns of {path}")
    one, other, similarities = array("q"), array("q"), array("f")
    row = 0
    while line:
        if len(line) != size or row == size:
            raise DataError(
                f"{len(line)} numbers in line {row + 1} of the matrix",
                remedy=f"{source.path} has {size} records, so {size} lines of {size} numbers are expected (or the first line a,b,similarity)",
                source=f"{path}, line {number}",
            )
        values = np.array([_similarity(path, number, cell) for cell in line])
        edges = np.flatnonzero(values)
        one.extend([row] * len(edges))
        other.extend(edges.tolist())
        similarities.extend(values[edges].tolist())
        row += 1
        number, line = next(lines, (number, []))
    if row < size:
        raise DataError(
            f"{row} lines of numbers, but {source.path} has {size} records",
            remedy=f"{size} lines are expected",
            source=path,
        )
    return Graph(path, size, np.array(one, np.int64), np.array(other, np.int64), np.array(similarities))


def _similarity(path: str, number: int, cell: str) -> float:
    if not _is_number(cell):
        raise DataError(f"{cell[:80]!r} is not a number", source=f"{path}, line {number}")
    return float(cell)
