"""CSV: a text file with one image file a line, then its label or labels.

cat/one.jpg 3           spaces (as Caffe's ImageData lists), tabs or commas; what the first line has holds for all
"cat/one two.jpg",3     quotes where a name has the separator in it
cat/one.jpg 3 7         several labels a record, the same number in every line
cat/one.jpg 3:7:12      several labels, as many as each record has
"""

import csv
import os
from typing import Iterator, List, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.data.sources.base import LARGEST_LABEL, Names, Source, label_array
from caffe_pylayers.errors import DataError


class CSVSource(Source):
    """Image files named in a list.

    root: folder in front of the names; without it they are relative to the working directory.
    Raises DataError for an unreadable or malformed list (with its line) and for files that are not there.
    """

    def __init__(self, path: str, root: Optional[str] = None) -> None:
        names: List[str] = []
        rows: List[Sequence[int]] = []
        for name, values in _lines(path):
            names.append(name)
            rows.append(values)
        labels = label_array(rows) if rows and len(rows[0]) else None
        super().__init__(path, Names(map(os.fsencode, names)), labels)
        self.root = os.path.abspath(root or "")
        _find_files(path, self.root, names)

    def read(self, record: int) -> bytes:
        file = os.path.join(self.root, os.fsdecode(self.names[record]))
        try:
            with open(file, "rb") as stream:
                return stream.read()
        except OSError as error:
            raise DataError(f"{self.describe(record)}: cannot read {file}: {error.strerror}") from error


def _find_files(path: str, root: str, names: List[str]) -> None:
    missing = [number for number, name in enumerate(names) if not os.path.exists(os.path.join(root, name))]
    if missing:
        first = os.path.join(root, names[missing[0]])
        raise DataError(
            f"CSV source {path}: {len(missing)} of {len(names)} files are not there; the first is record {missing[0]}, "
            f"{first}; set `root` to the folder that the names start from, or mend the list"
        )


def _lines(path: str) -> Iterator[Tuple[str, Sequence[int]]]:
    """Name and labels of every line that is not empty."""
    try:
        # utf-8-sig: spreadsheets put a byte order mark in front. surrogateescape: file names may be any bytes.
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as stream:
            text = stream.read()
    except OSError as error:
        raise DataError(
            f"CSV source {path}: cannot read it: {error.strerror}; `source` is relative to the working directory"
        ) from error
    separator = None
    columns = None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        if separator is None:
            separator = "\t" if "\t" in line else "," if "," in line else " "
        name, fields = _split(line, separator)
        labels = [label for field in fields for label in _labels(path, number, field)]
        if columns is None:
            columns = len(fields)
        if len(fields) != columns or not name:
            raise DataError(
                f"CSV source {path}, line {number}: a name and {columns} label column{'s' * (columns != 1)} expected, "
                f"as in the first line, but it reads {line.strip()[:80]!r}; quote names that have the separator "
                f"{separator!r} in them"
            )
        yield name, labels


def _split(line: str, separator: str) -> Tuple[str, List[str]]:
    """The name and the label columns of a line."""
    if separator != " ":
        fields = [field.strip() for field in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]
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


def _labels(path: str, line: int, field: str) -> Sequence[int]:
    values = []
    for part in field.split(":"):
        try:
            value = float(part)
        except ValueError:
            value = np.nan
        if value != np.floor(value) or not abs(value) <= LARGEST_LABEL:
            raise DataError(
                f"CSV source {path}, line {line}: label {field[:80]!r} is not a whole number up to {LARGEST_LABEL} (nor "
                f"several, as in 17:24:35); a line is: name, then label{', and a header is not expected' * (line == 1)}"
            )
        values.append(int(value))
    return values
