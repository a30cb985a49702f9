"""Sources whose images have maps: the maps, and weights of their pixels, as sources of their own, record by record.

CSV    a list of `image map`, or `image map weights`, on each line; or columns of these names in its header
LMDB   one of images, one of maps and one of weights, with equal keys
HDF5   the data sets data, label (N, 1, H, W) or (N, H, W), and sample_weight, as label
"""

from dataclasses import replace
from typing import Any, Iterator, List, Tuple

import numpy as np

from caffe_pylayers.data.sources.annotations import rows_by_key
from caffe_pylayers.data.sources.base import Image, Names, Source
from caffe_pylayers.data.sources.files import Files
from caffe_pylayers.errors import DataError, did_you_mean, unknown
from caffe_pylayers.files import text_table

_COLUMNS = ("name", "map", "weights")


def sources_with_maps(options: Any, images: bool = True) -> Tuple[Source, ...]:
    """The source of images that the options of a layer name, that of their maps, and, where there are, of the weights.

    images: false where they will not be read, so that those of a CSV need not be there.
    Raises DataError where one cannot be read, or is not for the same records.
    """
    read = {"CSV": _of_list, "LMDB": _of_lmdb, "HDF5": _of_hdf5}[options.source_type]
    return read(options, images)


def _of_list(options: Any, images: bool) -> Tuple[Source, ...]:
    columns = _COLUMNS[: 2 + bool(options.weights)]
    names: List[List[bytes]] = [[] for _ in columns]
    where = f"CSV source {options.source}"
    try:
        for fields in _rows(options.source, where, columns, options.header):
            for column, field in zip(names, fields):
                column.append(field.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise DataError(
            f"cannot read it: {error.strerror}", remedy="a relative path starts at the working directory", source=where
        ) from error
    kinds = (Files, *[MapFiles] * (len(names) - 1))
    files = [kind(options.source, Names(column), options.root) for kind, column in zip(kinds, names)]
    if images or options.missing == "skip":
        _find(files, options.missing)
    return tuple(files)


def _rows(path: str, where: str, columns: Tuple[str, ...], header: bool) -> Iterator[List[str]]:
    """The names of files in each line: image, map, and weights if these are asked for."""
    lines = text_table.rows(path, where, lambda fields: len(fields) >= len(columns))
    places, width = list(range(len(columns))), len(columns)
    if header:
        _, first = next(lines, (0, []))
        known, width = [name.casefold() for name in first], len(first)
        for column in columns:
            if first and column not in known:
                problem, remedy = unknown(
                    f"no column {column!r}", did_you_mean(column, known), f"It has {', '.join(first)}"
                )
                raise DataError(problem, remedy=remedy, source=f"{where}, line 1")
        places = [known.index(column) for column in columns if first]
    for number, fields in lines:
        if not header and [field.casefold() for field in fields[:2]] == [*_COLUMNS[:2]]:
            raise DataError("it names columns", remedy="set `header: true`", source=f"{where}, line {number}")
        if len(fields) != width or not all(fields[place] for place in places):
            raise DataError(
                f"{width} names expected ({', '.join(first) if header else ', '.join(columns)}), but the line has {len(fields)} fields: {' '.join(fields)[:80]!r}",
                remedy="quote names that have the separator in them"
                + "; `weights: true` reads a third column" * (len(columns) == 2),
                source=f"{where}, line {number}",
            )
        yield [fields[place] for place in places]


def _find(files: List[Files], missing: str) -> None:
    """Look which files are there; with `missing: skip` a record needs all of its files."""
    kept = np.ones(len(files[0]), bool)
    for each in files:
        there = each.there()
        if not there.all():
            each.refuse_absent(there, missing)
            kept &= there
    if not kept.all():
        if not kept.any():
            raise files[0].error("no record has all of its files")
        for each in files:
            each.keep(kept)


def _of_lmdb(options: Any, images: bool) -> Tuple[Source, ...]:
    from caffe_pylayers.data.sources.lmdb import LMDBSource

    tolerant = options.on_error != "stop"
    source = LMDBSource(options.source, tolerant)
    others = [options.maps] + [options.weights] * bool(options.weights)
    return (source, *(Aligned(LMDBSource(path, tolerant), source) for path in others))


def _of_hdf5(options: Any, images: bool) -> Tuple[Source, ...]:
    from caffe_pylayers.data.sources.hdf5 import HDF5Source
    from caffe_pylayers.data.sources.hdf5_index import Roles

    usual = Roles.of(options.datasets and options.datasets.model_dump(exclude_none=True), None, None)
    source = HDF5Source(options.source, replace(usual, label="", sample_weight=""))
    found: List[Source] = [source]
    for name in (usual.label, usual.sample_weight)[: 1 + bool(options.weights)]:
        roles = replace(usual, data=name, label="", sample_weight="", asked=(name,), planes=True)
        found.append(HDF5Source(options.source, roles))
        if len(found[-1]) != len(source):
            raise source.error(f"data set `{name}` has {len(found[-1])} rows, but `{usual.data}` has {len(source)}")
    return tuple(found)


class MapFiles(Files):
    """Files of maps; where a list is one of labels, it says so."""

    def why_absent(self, record: int) -> Tuple[str, str]:
        name = self.names[record]
        if name.lstrip(b"-").isdigit():
            return (
                f": '{name.decode()}' is a label, but a map is a file",
                "use ImageDataLayer for labels of whole images",
            )
        return super().why_absent(record)


class Aligned(Source):
    """The records of a source in the order of those of another one that have the same keys.

    Raises DataError where a key is in only one of them.
    """

    def __init__(self, source: Source, other: Source) -> None:
        super().__init__(source.path, other.names)
        self._source = source
        self._order = rows_by_key(source.names, other, source.described)

    @property
    def kind(self) -> str:
        return self._source.kind

    @property
    def fds(self) -> Tuple[int, ...]:
        return self._source.fds

    def files(self) -> Iterator[str]:
        return self._source.files()

    def version(self) -> Iterator[object]:
        return self._source.version()

    def close(self) -> None:
        self._source.close()

    def read(self, record: int) -> Image:
        return self._source.read(int(self._order[record]))
