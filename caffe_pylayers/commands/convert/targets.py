"""What a conversion writes in each format: which files, and how a data layer reads them."""

import os
from dataclasses import dataclass, replace
from typing import Any, Dict, Iterable, Iterator, List

import numpy as np

from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.sources.base import Image
from caffe_pylayers.data.sources.records import Columns, Record


@dataclass(frozen=True)
class Target:
    """What is written to `path`, and beside it.

    indicator: labels are rows of 0 and 1. rows_of_weights: records have a weight for each label.
    """

    path: str
    indicator: bool = False
    rows_of_weights: bool = False

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
        for option, file in (("labels", f"{self.path}.labels.npy"), ("sample_weights", f"{self.path}.weights.npy")):
            if os.path.exists(file):
                options[option] = file
        if self.indicator:
            options["label_format"] = "indicator"
        return options

    def notes(self, source: Source, example: Image) -> List[str]:
        """What a user must know of it, in words. example: one of its images."""
        return []


class CSVTarget(Target):
    """A list, and a folder of image files."""

    @property
    def folder(self) -> str:
        return f"{os.path.splitext(self.path)[0]}_images"

    def pieces(self) -> List[str]:
        return [self.folder, f"{self.path}.weights.npy", self.path]

    def write(self, records: Iterable[Record], most: int) -> None:
        from caffe_pylayers.data.sources.csv import write_csv

        if self.rows_of_weights:
            records = _weights_aside(self.path, records)
        write_csv(self.path, records, self.folder)

    def options(self) -> Dict[str, Any]:
        return {**super().options(), "header": True, "root": self.folder}


class LMDBTarget(Target):
    """A folder with data.mdb."""

    def pieces(self) -> List[str]:
        return [f"{self.path}.weights.npy", self.path]

    def write(self, records: Iterable[Record], most: int) -> None:
        from caffe_pylayers.data.sources.lmdb import write_lmdb

        write_lmdb(self.path, _weights_aside(self.path, records))

    def notes(self, source: Source, example: Image) -> List[str]:
        if source.labels is None or source.labels.ndim == 1:
            return []
        return ["stock Data uses only the last label of a record; the layers of caffe_pylayers use all"]


class BCFTarget(Target):
    """A file of images, and arrays of labels and weights beside it."""

    def pieces(self) -> List[str]:
        return [f"{self.path}.labels.npy", f"{self.path}.weights.npy", self.path]

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
    rows = source.sample_weights is not None and source.sample_weights.ndim == 2
    return kinds[format](path, source.label_dim is not None, rows)


def _weights_aside(path: str, records: Iterable[Record]) -> Iterator[Record]:
    """The records without their weights, which go to a file of their own, as BCF has it."""
    columns = Columns(path)
    for record in records:
        columns.add(replace(record, image=b"", name=""))
        yield replace(record, weight=None)
    if columns.weights is not None:
        with open(f"{path}.weights.npy", "wb") as stream:
            np.save(stream, columns.weights)
