"""What a conversion writes in each format: which files, and how a data layer reads them."""

import os
from dataclasses import dataclass, replace
from typing import Any, Collection, Dict, Iterable, Iterator, List, Tuple

import numpy as np

from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.sources.base import Image
from caffe_pylayers.data.sources.records import Columns, Record


@dataclass(frozen=True)
class Target:
    """What is written to `path`, and beside it.

    label_format: what a row of labels has, in the word of that option. value_columns: the names of values, where they have some.
    weights_each: how many weights a record has.
    """

    path: str
    label_format: str = "indices"
    value_columns: Tuple[str, ...] = ()
    weights_each: int = 0

    @property
    def has_values(self) -> bool:
        return self.label_format == "values"

    @property
    def format(self) -> str:
        """The word of the option `source_type`."""
        return type(self).__name__[: -len("Target")]

    def write(self, records: Iterable[Record], most: int) -> None:
        """Write the records, of which there are at most so many."""
        raise NotImplementedError

    def pieces(self) -> List[str]:
        """All that it may write, the target itself at the end."""
        return [self.path]

    def options(self) -> Dict[str, Any]:
        """The options with which a data layer reads what was written."""
        options: Dict[str, Any] = {"source_type": self.format, "source": self.path}
        for option, file in (("labels", self._file("labels")), ("sample_weights", self._file("weights"))):
            if os.path.exists(file):
                options[option] = file
        if self.label_format != "indices":
            options["label_format"] = self.label_format
        return options

    def notes(self, source: Source, example: Image) -> List[str]:
        """What a user must know of it, in words. example: one of its images."""
        return []

    def _file(self, name: str) -> str:
        """An array beside it."""
        return f"{self.path}.{name}.npy"


class CSVTarget(Target):
    """A list, and a folder of image files."""

    @property
    def folder(self) -> str:
        return f"{os.path.splitext(self.path)[0]}_images"

    def pieces(self) -> List[str]:
        return [self.folder, self._file("weights"), self.path]

    def write(self, records: Iterable[Record], most: int) -> None:
        from caffe_pylayers.data.sources.csv import write_csv

        if self.weights_each > 1:
            records = _aside(self.path, records, ["weights"])
        write_csv(self.path, records, self.folder, self.value_columns if self._keeps_columns else ())

    @property
    def _keeps_columns(self) -> bool:
        from caffe_pylayers.data.sources.csv import are_read_as_values

        return are_read_as_values(self.value_columns, self.weights_each == 1)

    def notes(self, source: Source, example: Image) -> List[str]:
        if not self.value_columns or self._keeps_columns:
            return []
        many = len(self.value_columns)
        new = f"columns label1 to label{many}" if many > 1 else "column label"
        old = ", ".join(map(repr, self.value_columns))
        return [f"the values are in {new} of the list, because as {old} not all would be read as values"]

    def options(self) -> Dict[str, Any]:
        return {**super().options(), "header": True, "root": self.folder}


class LMDBTarget(Target):
    """A folder with data.mdb."""

    def pieces(self) -> List[str]:
        return [*map(self._file, self._aside), self.path]

    def write(self, records: Iterable[Record], most: int) -> None:
        from caffe_pylayers.data.sources.lmdb import write_lmdb

        write_lmdb(self.path, _aside(self.path, records, self._aside))

    @property
    def _aside(self) -> List[str]:
        return ["labels", "weights"] if self.has_values else ["weights"]

    def notes(self, source: Source, example: Image) -> List[str]:
        if self.has_values:
            return ["a Datum has integer labels: the values are beside the LMDB, and stock Data does not read them"]
        if source.labels is None or source.labels.ndim == 1:
            return []
        return ["stock Data uses only the last label of a record; the layers of caffe_pylayers use all"]


class BCFTarget(Target):
    """A file of images, and arrays of labels and weights beside it."""

    def pieces(self) -> List[str]:
        return [self._file("labels"), self._file("weights"), self.path]

    def write(self, records: Iterable[Record], most: int) -> None:
        from caffe_pylayers.data.sources.bcf import write_bcf

        write_bcf(self.path, records, most)


class HDF5Target(Target):
    """A file."""

    def write(self, records: Iterable[Record], most: int) -> None:
        from caffe_pylayers.data.sources.hdf5 import write_hdf5

        write_hdf5(self.path, records)

    def notes(self, source: Source, example: Image) -> List[str]:
        if isinstance(example, np.ndarray):
            return ["stock HDF5Data needs a text file that has this path on a line"]
        return [
            "stock HDF5Data cannot read encoded images; --encode raw writes pixels, and they must all have one size"
        ]


def target_of(format: str, path: str, source: Source) -> Target:
    """The target of a format for the records of a source."""
    kinds = {"CSV": CSVTarget, "LMDB": LMDBTarget, "BCF": BCFTarget, "HDF5": HDF5Target}
    label_format = "values" if source.has_values else "indices" if source.label_dim is None else "indicator"
    value_columns = source.label_columns if source.has_values else ()
    weights_each = 0 if source.sample_weights is None else source.sample_weights[:1].size
    return kinds[format](path, label_format, value_columns, weights_each)


def _aside(path: str, records: Iterable[Record], names: Collection[str]) -> Iterator[Record]:
    """The records without what is named, labels or weights, which goes to files of its own, as BCF has it."""
    columns = Columns(path)
    for record in records:
        columns.add(replace(record, image=b"", name=""))
        yield replace(
            record,
            labels=() if "labels" in names else record.labels,
            weight=None if "weights" in names else record.weight,
        )
    for name, values in (("labels", columns.labels), ("weights", columns.weights)):
        if name in names and values is not None:
            with open(f"{path}.{name}.npy", "wb") as stream:
                np.save(stream, values)
