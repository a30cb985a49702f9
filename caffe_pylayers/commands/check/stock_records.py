"""The records of Caffe's own data layers, read without Caffe: one image or row after the other, and all labels at once."""

import contextlib
import os
from dataclasses import replace
from typing import Any, Dict, Iterator, Optional, Tuple, Type, cast

import numpy as np
from tqdm import tqdm

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands import stock_sources
from caffe_pylayers.commands.check.findings import WARNING
from caffe_pylayers.commands.check.records import Block, Picture, StockRecords, decoded, with_remedy
from caffe_pylayers.commands.check.shapes import size
from caffe_pylayers.errors import DataError


def records_of(layer: Layer) -> Optional[StockRecords]:
    """The records of one of Caffe's data layers; None for a LevelDB, which takes Caffe. Raises DataError if the source
    cannot be read.
    """
    if layer.type == "Data" and stock_sources.lmdb_of(layer) is None:
        return None
    kinds: Dict[str, Type[StockRecords]] = {
        "Data": _Database, "ImageData": _List, "HDF5Data": _Files, "WindowData": _Windows,
    }  # fmt: skip
    return kinds[layer.type](layer)


class _Database(StockRecords):
    """An LMDB of Datums. Caffe takes the channels of an encoded image as they are, unless transform_param says otherwise."""

    def __init__(self, layer: Layer) -> None:
        from caffe_pylayers.data.sources import open_source  # here, for it takes the time that cv2 takes
        from caffe_pylayers.data.sources.lmdb import NO_LABEL

        super().__init__(layer)
        with with_remedy(_WRITE_AGAIN):
            self._records = open_source("LMDB", self.source, tolerant=True)
        damaged = self._records.damaged
        self.without_label = [number for number, complaint in damaged.items() if complaint.problem == NO_LABEL]
        for number in self.without_label:
            del damaged[number]
        if self._records.labels is None:
            self.without_label = range(len(self))
        transform = layer.message.message("transform_param")
        self._color = True if transform.flag("force_color") else False if transform.flag("force_gray") else None

    def __len__(self) -> int:
        return len(self._records)

    def picture(self, number: int, values: bool = False) -> Picture:
        with with_remedy(_WRITE_AGAIN):
            image = self._records.read(number)
        name = self.where(number)
        if not isinstance(image, np.ndarray):
            return decoded(bytes(image), name, self._color, values)
        height, width, channels = image.shape
        distinct = np.unique(image) if values else None
        return Picture(channels, height, width, name, whole=image.dtype == np.uint8, values=distinct)

    def numbers(self, top: int) -> Iterator[Block]:
        labels = self._records.labels
        if top == 1 and (labels is None or labels.ndim == 1):
            given = np.zeros(len(self), np.int32) if labels is None else labels.copy()
            given[self.without_label] = 0  # which Caffe reads
            yield given, np.arange(len(self))

    def where(self, number: int) -> str:
        return self._records.describe(number)

    def close(self) -> None:
        self._records.close()


class _List(StockRecords):
    """A list of images and labels."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        self._images = stock_sources.ImageList(layer)

    def __len__(self) -> int:
        return len(self._images)

    def picture(self, number: int, values: bool = False) -> Picture:
        path = self._images.image(number)
        _require(path, self.where(number), ", so end it with /")
        content = stock_sources.content("image", path)
        picture = decoded(content, path, self.param.flag("is_color", True), values)
        height, width = self.param.whole("new_height"), self.param.whole("new_width")
        return replace(picture, height=height, width=width) if height and width else picture

    def numbers(self, top: int) -> Iterator[Block]:
        if top == 1:
            yield np.array(self._images.labels()), np.arange(len(self))

    def where(self, number: int) -> str:
        return self._images.where(number)


class _Windows(StockRecords):
    """A list of images, and of windows in them, each of which is made as large as the crop. Of an image that it cannot read
    Caffe says so in its log, and feeds what the batch had before.
    """

    transformed = False
    level = WARNING

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        self._paths = stock_sources.images_with_windows(layer)

    def __len__(self) -> int:
        return len(self._paths)

    def picture(self, number: int, values: bool = False) -> Picture:
        _require(self._paths[number], self.source)
        return decoded(stock_sources.content("image", self._paths[number]), self._paths[number])

    def where(self, number: int) -> str:
        return f"{self.source}: {self._paths[number]}"


class _Files(StockRecords):
    """HDF5 files, with a data set for each top."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        if "transform_param" in layer.message:
            raise DataError(
                "HDF5Data does not transform data, and Caffe aborts on its transform_param",
                remedy="leave transform_param out",
            )
        self._paths = stock_sources.hdf5_files(layer)
        self._path, self._file, self._opened = "", cast(Any, None), contextlib.ExitStack()
        shapes: Dict[str, Tuple[int, ...]] = {}
        counts = [self._check(path, shapes) for path in self._paths]
        self._ends = np.cumsum(counts)

    def _check(self, path: str, shapes: Dict[str, Tuple[int, ...]]) -> int:
        """How many rows a file has. shapes: of a row of each top, as the first file has them."""
        with stock_sources.opened_hdf5(self.source, path) as file:
            if not self.layer.tops:
                problem = "it has no top, but HDF5Data fills each top from the data set of the same name"
                raise DataError(problem, remedy=stock_sources.data_sets_of(file), source=path)
            rows = {top: stock_sources.data_set(file, top) for top in self.layer.tops}
            for top, data in rows.items():
                if data.dtype.kind not in "iuf" or not data.shape:
                    raise DataError(
                        f"data set {top!r} is {size(data.shape)} of type {data.dtype}, but Caffe reads rows of integers or floats",
                        remedy=f"write `numpy.float32({top})`",
                        source=path,
                    )
                if shapes.setdefault(top, data.shape[1:]) != data.shape[1:]:
                    raise DataError(
                        f"data set {top!r} has rows of {size(data.shape[1:])}, but {self._paths[0]} has rows of {size(shapes[top])}",
                        remedy="write rows of one shape",
                        source=path,
                    )
            sizes = {top: len(data) for top, data in rows.items()}
            if len(set(sizes.values())) > 1:
                lengths = ", ".join(f"{top!r} {count}" for top, count in sizes.items())
                raise DataError(
                    f"data sets of different lengths: {lengths}", remedy="write as many rows of each", source=path
                )
            return next(iter(sizes.values()))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def picture(self, number: int, values: bool = False) -> Optional[Picture]:
        path, row = self._place(number)
        picture = None
        for top, data in self._data_sets(path).items():
            with _row_errors(path, top, row):
                data[row]
            if picture is None and len(data.shape) == 4:
                name = f"{path}: data set {top!r}"
                channels, height, width = data.shape[1:]
                picture = Picture(channels, height, width, name, whole=data.dtype == np.uint8)
        return picture

    def _data_sets(self, path: str) -> Dict[str, Any]:
        """Those of a file, which stays open for the next rows."""
        if path != self._path:
            self.close()
            self._file, self._path = self._opened.enter_context(stock_sources.opened_hdf5(self.source, path)), path
        return {top: self._file[top] for top in self.layer.tops}

    def close(self) -> None:
        self._opened.close()
        self._path = ""

    def numbers(self, top: int) -> Iterator[Block]:
        name, first = self.layer.tops[top], 0
        with tqdm(desc=f"labels {name}", total=len(self), unit="rows", disable=None, delay=1) as progress:
            for path in self._paths:
                with stock_sources.opened_hdf5(self.source, path) as file:
                    for rows in stock_sources.rows_of(file[name]):
                        yield rows, np.arange(first, first + len(rows))
                        first += len(rows)
                        progress.update(len(rows))

    def where(self, number: int) -> str:
        path, row = self._place(number)
        return f"{path}: row {row}"

    def _place(self, number: int) -> Tuple[str, int]:
        file = int(np.searchsorted(self._ends, number, "right"))
        return self._paths[file], number - (int(self._ends[file - 1]) if file else 0)


_WRITE_AGAIN = "write the LMDB again, for example with convert_imageset"


@contextlib.contextmanager
def _row_errors(path: str, top: str, row: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"data set {top!r} is damaged from row {row} on: {error}", remedy="write it again", source=path
        ) from error


def _require(path: str, source: str, how: str = "") -> None:
    if not os.path.isfile(path):
        raise DataError(
            f"there is no file {path!r}",
            remedy=f"set root_folder; it is put directly before the names{how}",
            source=source,
        )
