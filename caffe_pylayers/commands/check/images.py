"""The images that one of Caffe's own data layers reads: they fit one another, the crop and the mean."""

import os
from dataclasses import replace
from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.check.findings import Finding, error, warning
from caffe_pylayers.commands.check.looking import check_file
from caffe_pylayers.commands.check.numbers import Numbers
from caffe_pylayers.commands.check.records import Picture, StockRecords
from caffe_pylayers.commands.check.shapes import size
from caffe_pylayers.commands.stock_sources import PARAMS
from caffe_pylayers.errors import DataError

_DEEP = "make 8-bit images, or write the pixels to HDF5, which keeps numbers"
_LARGE = "make it smaller: it takes gigabytes of memory, and maybe minutes each time"
_ONE_SIZE = {
    "ImageData": "set new_height and new_width, or crop_size",
    "Data": "write them with `convert_imageset --resize_height=H --resize_width=W`, or set crop_size",
}


class Images:
    """What is known of the images, which come one after the other.

    first: the first of them, if they are transformed as they are. numbers: the distinct values that they give, if they are looked at.
    """

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._transform = layer.message.message("transform_param")
        self._crop = self._transform.whole("crop_size")
        one_size = not self._crop and layer.message.message(PARAMS[layer.type]).get("batch_size", 1) != 1
        self._one_size = one_size or "mean_file" in self._transform
        self._odd: Dict[str, List[Picture]] = {}
        self.first: Optional[Picture] = None
        self.numbers: Optional[Numbers] = None

    def take(self, picture: Picture, number: int, records: StockRecords) -> None:
        """Take the image of a record. Raises DataError if it does not fit the first one."""
        for what, found in (
            ("small", records.transformed and self._crop > min(picture.height, picture.width)),
            ("deep", picture.bits > 8),
            ("large", picture.too_many),
            ("cut", picture.cut),
        ):
            if found:
                self._odd.setdefault(what, []).append(replace(picture, values=None))
        if picture.values is not None:
            self.numbers = self.numbers or Numbers(records.where)
            self.numbers.add(self._fed(picture.values), np.full(len(picture.values), number))
        if not records.transformed:
            return
        self.first = first = self.first or picture
        if picture.channels != first.channels:
            raise DataError(
                f"images of different channels: {first.name} has {first.channels}, {picture.name} {picture.channels}",
                remedy="set `force_color: true` or `force_gray: true` in transform_param, or write the images alike",
            )
        if self._one_size and picture.shape != first.shape:
            raise DataError(
                f"images of different sizes: {first.name} has {first.height} x {first.width}, "
                f"{picture.name} {picture.height} x {picture.width}",
                remedy=_ONE_SIZE.get(self._layer.type, "write them of one size"),
            )

    def _fed(self, values: np.ndarray) -> np.ndarray:
        """Values of pixels as the layer gives them; none where a mean makes others of them at each place or channel."""
        means = [mean for mean in self._transform.all("mean_value") if isinstance(mean, (int, float))]
        if "mean_file" in self._transform or len(means) > 1:
            return values[:0]
        scale: Any = self._transform.get("scale", 1)
        mean = means[0] if means else 0
        return (values.astype(np.float32) - np.float32(mean)) * np.float32(
            scale if isinstance(scale, (int, float)) else 1
        )

    def doubts(self, at: str) -> Iterator[Finding]:
        """What is odd about them. at: the field of the source."""
        from caffe_pylayers.data.axes import axes_doubt  # here, for it takes the time that cv2 and lmdb take

        doubt = axes_doubt(self.first.shape, self.first.whole) if self.first else None
        if self.first and doubt:
            yield warning(self._layer, f"{self.first.name}: {doubt.problem}", doubt.remedy, at)
        for what, say, remedy in (
            ("deep", "has {0.bits}-bit pixels, but Caffe keeps only the upper 8 bits", _DEEP),
            ("large", "has {0.too_many} pixels, and Caffe decodes them all", _LARGE),
            (
                "cut",
                "is cut short, and Caffe silently fills the rest with grey",
                "copy it again, or take it off the list",
            ),
        ):
            if what in self._odd:
                yield warning(self._layer, self._told(what, say), remedy, at)

    def _told(self, what: str, say: str) -> str:
        """What is odd about the first such image, and how many more there are. say: with {0} for the image."""
        odd = self._odd[what]
        more = f" (and {len(odd) - 1} more such)" if len(odd) > 1 else ""
        return f"{odd[0].name}: {say.format(odd[0])}{more}"

    def check_transform(self) -> Iterator[Finding]:
        """Crop and mean fit them."""
        if "small" in self._odd:
            say = f"{{0.height}} x {{0.width}} (height x width) is too small for crop_size {self._crop}"
            remedy = "take a smaller crop_size, or larger images"
            yield error(self._layer, self._told("small", say), remedy, "transform_param.crop_size")
        yield from _check_mean(self._layer, self.first.shape if self.first else None)


def _check_mean(layer: Layer, shape: Optional[Tuple[int, int, int]]) -> Iterator[Finding]:
    """The mean fits images of that shape, if one is known: channels, height, width."""
    from caffe_pylayers.files.mean import read_mean

    param = layer.message.message("transform_param")
    if "mean_file" in param and "mean_value" in param:
        yield error(layer, "mean_file and mean_value are both given", "leave one out", "transform_param.mean_value")
        return
    values = param.all("mean_value")
    if shape and len(values) not in (0, 1, shape[0]):
        yield error(
            layer,
            f"{len(values)} mean_values, but images have {shape[0]} channels",
            "give one, or one per channel",
            "transform_param.mean_value",
        )
    path = param.get("mean_file")
    if path is None or not os.path.isfile(str(path)):
        yield from check_file(layer, "transform_param.mean_file")
        return
    try:
        mean = read_mean(os.path.abspath(str(path)), None)
    except DataError as problem:
        yield error(
            layer, problem.found, problem.remedy or "compute_image_mean writes one", "transform_param.mean_file"
        )
        return
    assert mean is not None
    if shape and mean.shape != shape:
        yield error(
            layer,
            f"mean_file {str(path)!r} is {size(mean.shape)}, but images are {size(shape)} (channels x height x width)",
            "compute the mean of these images, with compute_image_mean, or use mean_value",
            "transform_param.mean_file",
        )
