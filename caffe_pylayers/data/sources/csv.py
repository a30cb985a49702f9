"""CSV: image files named in a text file (see `image_list`), and the writer of such a list and its files."""

import csv
import logging
import os
from array import array
from typing import Any, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers.data.sources.base import Names, first_shorter, padded
from caffe_pylayers.data.sources.files import Files
from caffe_pylayers.data.sources.image_list import CLASS_NAMES, LABEL_MAPS, ImageList, Row, columns_of
from caffe_pylayers.data.sources.records import Columns, Record
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.npy import NPY
from caffe_pylayers.files.output_file import output_file, require_absent

logger = logging.getLogger("caffe_pylayers")


class CSVSource(Files):
    """Image files named in a list, with labels.

    root: folder in front of the names; without it they are relative to the working directory. header: whether the first
    line names the columns. weights: the column with sample weights; None: `weight`. labels: the columns with labels; label_format:
    what these are.
    Raises DataError for an unreadable or malformed list (with its line).
    """

    @classmethod
    def open(cls, path: str, **options: Any) -> "CSVSource":
        return cls(
            path,
            options["root"],
            options["header"],
            options["sample_weights"],
            options["labels"],
            options["label_format"],
        )

    def __init__(
        self,
        path: str,
        root: Optional[str] = None,
        header: bool = False,
        weights: Optional[str] = None,
        labels: Union[str, Sequence[str], None] = None,
        label_format: str = "indices",
    ) -> None:
        values = label_format == "values"
        own_labels: array[Any] = array("f" if values else "i")
        counts, sample_weights = array("i"), array("f")

        def read(rows: Iterable[Row]) -> Iterator[bytes]:
            for name, row, weight in rows:
                own_labels.extend(row)
                counts.append(len(row))
                if weight is not None:
                    sample_weights.append(weight)
                yield name.encode("utf-8", "surrogateescape")

        try:
            listed = ImageList(
                path, header, (labels,) if isinstance(labels, str) else labels or (), weights, label_format
            )
            names = Names(read(listed.rows))
        except OSError as error:
            raise DataError(
                f"cannot read it: {error.strerror}",
                remedy="a relative path starts at the working directory",
                source=f"CSV source {path}",
            ) from error
        super().__init__(path, names, root)
        if own_labels:
            self.set_labels(padded(np.array(own_labels), np.array(counts), np.nan if values else -1))
            self.shorter = first_shorter(np.array(counts))
        if sample_weights:
            self.sample_weights = np.array(sample_weights, np.float32)
        self.columns, self.label_columns = listed.columns, listed.label_columns
        self._by_blanks = listed.separator == " " and not header

    def find_files(self, missing: str) -> None:
        """Look which files are there. missing: 'error' raises DataError for those that are not, 'skip' drops them."""
        there = self.there()
        if there.all():
            return
        self.refuse_absent(there, missing)
        self.keep(there)
        labels, unknown, weights = (
            None if rows is None else rows[there] for rows in (self.labels, self.unknown, self.sample_weights)
        )
        self.set_labels(labels, self.label_dim, unknown)
        self.sample_weights = weights

    def why_absent(self, record: int) -> Tuple[str, str]:
        """What seems to be wrong with the name of a file that is not there, and what to do."""
        name = self.names[record]
        first, _, last = name.rpartition(b" ")
        if self._by_blanks and first and os.path.exists(self._path(first)):
            if os.path.exists(self._path(last)):
                return " (an image and a label map?)", LABEL_MAPS
            return f" ('{_shown(last)}' is not an integer, so it is no label)", CLASS_NAMES
        if self._by_blanks and self.labels is not None and self.labels.ndim == 2:
            longer = name + b" %d" % self.labels[record, 0]
            if os.path.exists(self._path(longer)):
                return f", but '{_shown(longer)}' does", "quote names that end with a number"
        return super().why_absent(record)


def _shown(name: bytes) -> str:
    return name[:80].decode(errors="backslashreplace")


#: How image files start, and what they are called.
_SUFFIXES = {
    b"\xff\xd8\xff": (".jpg", ".jpeg"),
    b"\x89PNG": (".png",),
    b"BM": (".bmp",),
    b"RIFF": (".webp",),
    b"II": (".tif", ".tiff"),
    b"MM": (".tif", ".tiff"),
    NPY: (".npy",),
}


def write_csv(path: str, records: Iterable[Record], folder: str, value_columns: Sequence[str] = ()) -> int:
    """Write images as files into a new folder, and the list of them with a header; returns how many.

    Read it with `header: true` and `root: folder`. A file is named as its record, else by number; pixels become PNG. Labels that are
    any numbers have a column each. value_columns: the names of these; by default label1, label2, ...
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
        _write_list(listed, path, columns, value_columns)
    return len(columns)


def are_read_as_values(names: Sequence[str], weighted: bool) -> bool:
    """Whether all columns of these names, and no other, are values of a list that has them behind the name. weighted: with a weight."""
    places = [*range(1, 1 + len(names))]
    return columns_of(_header(names, weighted), True) == (0, places, 1 + len(names) if weighted else None)


def _header(labels: Sequence[str], weighted: bool) -> List[str]:
    return ["name", *labels, *["weight"] * weighted]


def _write_list(file: str, path: str, columns: Columns, value_columns: Sequence[str]) -> None:
    """Write the list into a file, which will be `path`."""
    names, labels, weights = columns.names or (), columns.labels, columns.weights
    if weights is not None and weights.ndim == 2:
        raise DataError("records have several weights each, but a column of a CSV holds one per record", source=path)
    with open(file, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_header(_label_columns(labels, columns.are_values, value_columns), weights is not None))
        for number, own in enumerate(columns.rows()):
            row = [names[number].decode("utf-8", "surrogateescape")]
            if columns.are_values:
                row += map(_exact, own)
            elif labels is not None:
                row.append(":".join(map(str, own or [-1])))
            if weights is not None:
                row.append(repr(float(weights[number])))
            writer.writerow(row)


def _label_columns(labels: Optional[np.ndarray], are_values: bool, names: Sequence[str]) -> Sequence[str]:
    if labels is None:
        return ()
    if not are_values or labels.ndim == 1:
        return names or ("label",)
    return names or [f"label{number}" for number in range(1, 1 + labels.shape[1])]


def _exact(value: float) -> str:
    """A number of float32 that is the same when it is read; mostly as somebody would write it."""
    text = f"{value:.7g}"
    return text if np.float32(float(text)) == np.float32(value) else repr(float(np.float32(value)))


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
