"""CSV: a text file with one image file a line, then its label or labels.

cat/one.jpg 3           spaces (as Caffe's ImageData lists), tabs or commas; what the first line has holds for all
"cat/one two.jpg",3     quotes where a name has the separator in it
cat/one.jpg 3 7         several labels per record, the same number in every line
cat/one.jpg 3:7:12      several labels, as many as each record has

With `header: true` the first line names the columns: `name` (else the first) has the files, `label` (else all whose
names begin with it) the labels, `weight` (or what `sample_weights` names) the sample weights; others are not read.
"""

import csv
import functools
import logging
import os
from array import array
from typing import Any, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.blob_limits import LARGEST_LABEL
from caffe_pylayers.data.sources.base import Names, Source, first_shorter, padded
from caffe_pylayers.data.sources.records import Columns, Record
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.output_file import output_file, require_absent

logger = logging.getLogger("caffe_pylayers")

_LONGEST_LINE = 1 << 20  # characters
_LARGEST_WEIGHT = float(np.finfo(np.float32).max)


class CSVSource(Source):
    """Image files named in a list.

    root: folder in front of the names; without it they are relative to the working directory. header: whether the first
    line names the columns. weights: the column with sample weights; None: `weight`.
    Raises DataError for an unreadable or malformed list (with its line).
    """

    @classmethod
    def open(cls, path: str, **options: Any) -> "CSVSource":
        return cls(path, options["root"], options["header"], options["sample_weights"])

    def __init__(
        self, path: str, root: Optional[str] = None, header: bool = False, weights: Optional[str] = None
    ) -> None:
        lines = _lines(path)
        columns = _header(path, lines, weights or "weight") if header else None
        rows = _named_rows(path, lines, columns) if columns else _rows(path, lines)
        labels, counts, sample_weights = array("i"), array("i"), array("f")

        def names() -> Iterator[bytes]:
            for row in rows:
                labels.extend(row.labels)
                counts.append(len(row.labels))
                if row.weight is not None:
                    sample_weights.append(row.weight)
                yield row.name.encode("utf-8", "surrogateescape")

        super().__init__(path, Names(names()))
        if labels:
            self.set_labels(padded(np.array(labels, np.int32), np.array(counts), -1))
            self.shorter = first_shorter(np.array(counts))
        if sample_weights:
            self.sample_weights = np.array(sample_weights, np.float32)
        self.columns = columns.names if columns else ()
        self._root = os.fsencode(os.path.abspath(root or ""))

    def find_files(self, missing: str) -> None:
        """Look which files are there. missing: 'error' raises DataError for those that are not, 'skip' drops them."""
        there = np.array([os.path.exists(self._file(record)) for record in range(len(self))])
        if there.all():
            return
        first = int(np.argmin(there))
        error = DataError(
            f"{len(there) - there.sum()} of {len(there)} files do not exist; the first is record {first}, "
            f"{os.fsdecode(self._file(first))}",
            remedy="set `root` to the folder that the names start from, or fix the list",
            source=self.described,
            record=first,
        )
        if missing == "error" or not there.any():
            raise error
        logger.warning("%s; the missing files are left out", error.found)
        self.names = Names(self.names[record] for record in np.flatnonzero(there).tolist())
        labels, unknown, weights = (
            None if rows is None else rows[there] for rows in (self.labels, self.unknown, self.sample_weights)
        )
        self.set_labels(labels, self.label_dim, unknown)
        self.sample_weights = weights

    def files(self) -> Iterator[str]:
        yield self.path
        yield from (os.fsdecode(self._file(record)) for record in range(len(self)))

    def read(self, record: int) -> bytes:
        file = self._file(record)
        try:
            return regular_file.read_bytes(file)
        except (OSError, ValueError) as error:  # ValueError: a name with a zero in it
            reason = getattr(error, "strerror", error)
            raise self.error(f"cannot read {os.fsdecode(file)}: {reason}", record=record) from error

    def _file(self, record: int) -> bytes:
        return os.path.join(self._root, self.names[record])


class _Row(NamedTuple):
    name: str
    labels: Sequence[int]
    weight: Optional[float] = None


class _Columns(NamedTuple):
    """What a header says: the separator, the names of all columns, and which of them are what."""

    separator: str
    names: Tuple[str, ...]
    name: int
    labels: Tuple[int, ...]
    weight: Optional[int]


def _lines(path: str) -> Iterator[Tuple[int, str]]:
    """Number and text of every line that is not empty."""
    try:
        # utf-8-sig: spreadsheets put a byte order mark in front. surrogateescape: file names may be any bytes.
        with regular_file.open_text(path, encoding="utf-8-sig", errors="surrogateescape") as stream:
            for number, line in enumerate(iter(functools.partial(stream.readline, _LONGEST_LINE), ""), 1):
                if len(line) == _LONGEST_LINE:
                    raise DataError(
                        "it is too long for a name and labels",
                        remedy="is the file a list?",
                        source=f"CSV source {path}, line {number}",
                    )
                if line.strip():
                    yield number, line.rstrip("\n")
    except OSError as error:
        remedy = "`source` is relative to the working directory"
        if os.path.exists(os.path.join(path, "data.mdb")):
            remedy = "it is an LMDB: set 'source_type': 'LMDB'"
        elif os.path.isdir(path):
            remedy = "give a list of its images, one per line: the file name, then the label"
        raise DataError(f"cannot read it: {error.strerror}", remedy=remedy, source=f"CSV source {path}") from error


def _separator(line: str) -> str:
    return "\t" if "\t" in line else "," if "," in line else " "


def _rows(path: str, lines: Iterator[Tuple[int, str]]) -> Iterator[_Row]:
    """The rows of a list without header."""
    separator = ""
    columns = 0
    for number, line in lines:
        first = not separator
        separator = separator or _separator(line)
        name, fields = _split(path, number, line, separator)
        labels = [label for field in fields for label in _labels(path, number, field)]
        if first:
            columns = len(fields)
        if len(fields) != columns or not name:
            raise DataError(
                f"a name and {columns} label column{'s' * (columns != 1)} expected, as in the first line, but the line is {line.strip()[:80]!r}",
                remedy=f"quote names that have the separator {separator!r} in them",
                source=f"CSV source {path}, line {number}",
            )
        yield _Row(name, labels)


def _header(path: str, lines: Iterator[Tuple[int, str]], weight: str) -> Optional[_Columns]:
    """The columns that the first line names; None where there is no line. weight: the column with sample weights."""
    number, line = next(lines, (0, ""))
    if not number:
        return None
    separator = _separator(line)
    names = _fields(path, number, line, separator)
    separator = separator if len(names) > 1 else "\t"  # names alone may have spaces in them
    known = [name.casefold() for name in names]
    if any(_is_label(name) for name in names) or len(set(names)) < len(names):
        raise DataError(
            f"with `header: true` this line must give each column a name of its own, but it is {line.strip()[:80]!r}",
            source=f"CSV source {path}, line {number}",
        )
    labels = (
        [known.index("label")] if "label" in known else [at for at, name in enumerate(known) if name[:5] == "label"]
    )
    weights = [at for at, name in enumerate(names) if name == weight or known[at] == weight == "weight"]
    return _Columns(
        separator, tuple(names), known.index("name") if "name" in known else 0, tuple(labels), next(iter(weights), None)
    )


def _named_rows(path: str, lines: Iterator[Tuple[int, str]], columns: _Columns) -> Iterator[_Row]:
    """The rows of a list behind its header."""
    for number, line in lines:
        fields = _fields(path, number, line, columns.separator)
        if len(fields) != len(columns.names) or not fields[columns.name]:
            raise DataError(
                f"{len(columns.names)} columns expected ({', '.join(columns.names)}), but the line is {line.strip()[:80]!r}",
                remedy=f"quote names that have the separator {columns.separator!r} in them",
                source=f"CSV source {path}, line {number}",
            )
        labels = [label for at in columns.labels for label in _labels(path, number, fields[at])]
        weight = None if columns.weight is None else _weight(path, number, fields[columns.weight])
        yield _Row(fields[columns.name], labels, weight)


def _fields(path: str, number: int, line: str, separator: str) -> List[str]:
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]
    except csv.Error as error:
        raise DataError(str(error), source=f"CSV source {path}, line {number}") from error


def _split(path: str, number: int, line: str, separator: str) -> Tuple[str, List[str]]:
    """The name and the label columns of a line."""
    if separator != " ":
        fields = _fields(path, number, line, separator)
        while fields and fields[-1] == "":  # "a.jpg,3,"
            fields.pop()
        return (fields[0] if fields else ""), fields[1:]
    line = line.strip()
    if line.startswith('"') and '"' in line[1:]:
        name, rest = line[1:].split('"', 1)
        return name, rest.split()
    # As ImageData reads its lists, a name may hold spaces: the labels are the numbers at the end.
    words = line.split()
    end = len(words)
    while end > 1 and _is_label(words[end - 1]):
        end -= 1
    name = line
    for word in reversed(words[end:]):
        name = name[: name.rindex(word)].rstrip()
    return name, words[end:]


def _is_label(word: str) -> bool:
    return word.lstrip("+-").replace(":", "").replace(".", "", 1).isdigit()


def _labels(path: str, line: int, field: str) -> Tuple[int, ...]:
    labels = _whole(field)
    if not labels:
        raise DataError(
            f"label {field[:80]!r} is not an integer up to {LARGEST_LABEL} (or several, as in 17:24:35)",
            remedy=f"a line is: name, then label{', and a header is expected only with `header: true`' * (line == 1)}",
            source=f"CSV source {path}, line {line}",
        )
    return labels


@functools.lru_cache(maxsize=1 << 16)
def _whole(field: str) -> Tuple[int, ...]:
    """The integers of a field, as in 17:24:35; () if it has anything else."""
    try:
        values = [float(part) for part in field.split(":")]
    except ValueError:
        return ()
    return tuple(map(int, values)) if all(abs(value) <= LARGEST_LABEL and value % 1 == 0 for value in values) else ()


def _weight(path: str, line: int, field: str) -> float:
    try:
        value = float(field)
    except ValueError:
        value = np.nan
    if not 0 <= value <= _LARGEST_WEIGHT:
        raise DataError(
            f"weight {field[:80]!r} is not a finite number of at least 0", source=f"CSV source {path}, line {line}"
        )
    return value


#: How image files start, and what they are called.
_SUFFIXES = {
    b"\xff\xd8\xff": (".jpg", ".jpeg"),
    b"\x89PNG": (".png",),
    b"BM": (".bmp",),
    b"RIFF": (".webp",),
    b"II": (".tif", ".tiff"),
    b"MM": (".tif", ".tiff"),
}


def write_csv(path: str, records: Iterable[Record], folder: str) -> int:
    """Write images as files into a new folder, and the list of them with a header; returns how many.

    Read it with `header: true` and `root: folder`. A file is named as its record, else by number; pixels become PNG.
    Nothing is left behind if it breaks off. Raises DataError where list or folder are there already, or two records
    have one name.
    """
    require_absent(folder)
    if os.path.abspath(path).startswith(os.path.join(os.path.abspath(folder), "")):
        raise DataError(
            f"{path} would lie in {folder}, but that folder is for images", remedy="write the list elsewhere"
        )
    require_absent(path)
    columns = Columns(path)
    with output_file(path) as listed, output_file(folder) as partial:
        os.mkdir(partial)
        for number, record in enumerate(records):
            name = _write_image(partial, record, f"{number:08d}")
            columns.add(Record(b"", record.labels, record.weight, name))
        _write_list(listed, path, columns)
    return len(columns)


def _write_list(file: str, path: str, columns: Columns) -> None:
    """Write the list into a file, which will be `path`."""
    names, labels, weights = columns.names or (), columns.labels, columns.weights
    if weights is not None and weights.ndim == 2:
        raise DataError("records have several weights each, but a column of a CSV holds one per record", source=path)
    with open(file, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["name", *["label"] * (labels is not None), *["weight"] * (weights is not None)])
        for number, own in enumerate(columns.rows()):
            row = [names[number].decode("utf-8", "surrogateescape")]
            if labels is not None:
                row.append(":".join(map(str, own or [-1])))
            if weights is not None:
                row.append(repr(float(weights[number])))
            writer.writerow(row)


def _write_image(folder: str, record: Record, number: str) -> str:
    """Write the file of a record into the folder; returns its name there."""
    data = record.encoded()
    suffixes = next((suffixes for start, suffixes in _SUFFIXES.items() if data.startswith(start)), ("",))
    name = record.name or number
    if not name.lower().endswith(suffixes):
        name += suffixes[0]
    file = os.path.join(folder, name)
    if os.path.isabs(name) or ".." in name.split("/"):
        raise DataError(f"the record named {name!r} cannot be written as a file: the file would lie outside {folder}")
    os.makedirs(os.path.dirname(file), exist_ok=True)
    try:
        with open(file, "xb") as stream:
            stream.write(data)
    except FileExistsError as error:
        raise DataError(f"two records have the name {name!r}, but only one of them can be written as a file") from error
    return name
