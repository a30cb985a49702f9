"""What a record of Caffe's own data layers is to `check`: an image or row that can be read, and numbers that may be labels."""

import contextlib
from dataclasses import dataclass
from typing import Iterator, List, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands import stock_sources
from caffe_pylayers.commands.check.findings import ERROR
from caffe_pylayers.errors import DataError

_OPENCV_MOST = 1 << 30  # pixels that it decodes

#: Rows of numbers, and the record that each belongs to.
Block = Tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Picture:
    """An image as the layer gets it: channels, height, width; bits of a number, of which Caffe keeps 8; whole: numbers that
    are 8-bit pixels; values: the distinct ones; too_many: pixels of its file, if they are too many to be decoded for a look;
    cut: the file ends too early, but Caffe reads it.
    """

    channels: int
    height: int
    width: int
    name: str
    bits: int = 8
    whole: bool = False
    too_many: int = 0
    cut: bool = False
    values: Optional[np.ndarray] = None

    @property
    def shape(self) -> Tuple[int, int, int]:
        return self.channels, self.height, self.width


class StockRecords:
    """The records of a layer, numbered from 0.

    transformed: whether transform_param applies to its images as they are. level: of a finding about a record that cannot be
    read. without_label: records to which Caffe gives a
    label 0, for they have none and others have one.
    """

    transformed = True
    level = ERROR
    without_label: Sequence[int] = ()

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.param = layer.message.message(stock_sources.PARAMS[layer.type])
        self.source = stock_sources.source_of(layer)

    def __len__(self) -> int:
        raise NotImplementedError

    def picture(self, number: int, values: bool = False) -> Optional[Picture]:
        """The image of a record; None if it has none. values: with its distinct values. Raises DataError if Caffe cannot read
        the record.
        """
        raise NotImplementedError

    def numbers(self, top: int) -> Iterator[Block]:
        """All numbers of a top that has no images."""
        return iter(())

    def where(self, number: int) -> str:
        """The record as messages name it."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the files that are open."""


def decoded(content: bytes, name: str, color: Optional[bool] = True, values: bool = False) -> Picture:
    """The picture that OpenCV makes of an image. color: None for the channels that it has."""
    from caffe_pylayers.data.decoding import MAX_PIXELS, check_depth, decode
    from caffe_pylayers.data.image_size import image_size

    height, width = image_size(content) or (0, 0)
    if height * width > _OPENCV_MOST:
        raise DataError(
            f"{name}: {height} x {width} pixels; OpenCV decodes {_OPENCV_MOST} at most", remedy="make it smaller"
        )
    if height * width > MAX_PIXELS:
        return Picture(1 if color is False else 3, height, width, name, too_many=height * width)
    cut: List[bool] = []
    try:
        image = decode(content, color, cut_short=lambda: cut.append(True))
        if color is None:
            check_depth(image)  # else Caffe takes the upper 8 bits
    except DataError as problem:
        raise DataError(problem.problem, remedy=problem.remedy or "fix or remove it", source=name) from problem
    height, width, channels = (*image.shape, 1)[:3]
    distinct = np.unique(image) if values else None
    return Picture(channels, height, width, name, 8 * image.itemsize, values=distinct, cut=bool(cut))


@contextlib.contextmanager
def with_remedy(remedy: str) -> Iterator[None]:
    """Put a remedy behind a DataError that has none."""
    try:
        yield
    except DataError as problem:
        raise DataError(**{**problem.parts, "remedy": problem.remedy or remedy}) from problem
