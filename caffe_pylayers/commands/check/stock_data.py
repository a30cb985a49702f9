"""The data of Caffe's own data layers: the source is there, its first and last record can be used, the mean fits."""

import contextlib
import os
from dataclasses import dataclass, replace
from typing import Any, Iterator, List, Optional, Tuple

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands import stock_sources
from caffe_pylayers.commands.check.findings import Finding, error, warning
from caffe_pylayers.commands.check.report import Labels, Report
from caffe_pylayers.commands.check.shapes import size
from caffe_pylayers.errors import DataError

_OPENCV_MOST = 1 << 30  # pixels that it decodes

_DEEP = "make 8-bit images, or write the pixels to HDF5, which keeps numbers"
_LARGE = "make it smaller: it takes gigabytes of memory, and maybe minutes each time"


@dataclass(frozen=True)
class Picture:
    """An image as the layer gets it: channels, height, width; bits of a number, of which Caffe keeps 8; whole: numbers that
    are 8-bit pixels; pixels: those of its file, where they are too many to be decoded for a look.
    """

    channels: int
    height: int
    width: int
    name: str
    bits: int = 8
    whole: bool = False
    pixels: int = 0


def is_data_layer(layer: Layer) -> bool:
    """Whether it is one of Caffe's own data layers with a source."""
    return layer.type in stock_sources.PARAMS


def check_matrix(layer: Layer, _: Report) -> Iterator[Finding]:
    """The file of the matrix H is there."""
    yield from check_file(layer, "infogain_loss_param.source")


def check_source(layer: Layer, report: Report) -> Iterator[Finding]:
    """What is wrong with the data of a layer; the labels of its first and last record go into the report."""
    name = stock_sources.PARAMS.get(layer.type)
    if name is None:
        return
    findings, labels = _read(layer, name)
    yield from findings
    if labels is not None:
        report.labels[layer] = labels


def _read(layer: Layer, name: str) -> Tuple[List[Finding], Optional[Labels]]:
    """What is wrong, and the labels. name: of the layer's parameters."""
    at = f"{name}.source"
    if not stock_sources.source_of(layer):
        return [error(layer, f"{name} has no source", f'add `source: "..."` to {name}', name)], None
    readers = {"Data": _read_database, "ImageData": _read_list, "HDF5Data": _read_hdf5, "WindowData": _read_windows}
    findings = list(_check_transform_fields(layer, name))
    if not layer.message.message(name).get("batch_size", layer.type == "ImageData"):  # whose default is 1
        findings.append(
            error(layer, "batch_size is 0 or not given", f"add `batch_size: 64`, say, to {name}", f"{name}.batch_size")
        )
    from caffe_pylayers.data.axes import axes_doubt  # here, for it takes the time that cv2 and lmdb take

    try:
        pictures, labels = readers[layer.type](layer)
    except DataError as problem:
        findings.append(error(layer, problem.found, problem.remedy or "fix it", at))
        pictures, labels = [], None
    for picture in pictures[:1]:
        doubt = axes_doubt((picture.channels, picture.height, picture.width), picture.whole)
        if doubt:
            findings.append(warning(layer, f"{picture.name}: {doubt.problem}", doubt.remedy, at))
    findings += [
        warning(
            layer, f"{picture.name}: has {picture.bits}-bit pixels, but Caffe keeps only the upper 8 bits", _DEEP, at
        )
        for picture in pictures
        if picture.bits > 8
    ][:1]
    findings += [
        warning(layer, f"{picture.name}: has {picture.pixels} pixels, and Caffe decodes them all", _LARGE, at)
        for picture in pictures
        if picture.pixels
    ][:1]
    return findings + list(_check_transform(layer, pictures)), labels


def _check_transform_fields(layer: Layer, param: str) -> Iterator[Finding]:
    """In nets of today Caffe reads these in transform_param alone."""
    for field in layer.message.message(param).fields:
        if field.name in ("scale", "mean_file", "crop_size", "mirror"):
            yield warning(
                layer,
                f"{field.name} in {param} has no effect",
                f"move it: `transform_param {{ {field.name}: ... }}`",
                f"{param}.{field.name}",
            )


def check_file(layer: Layer, path: str) -> Iterator[Finding]:
    """A file that a layer reads is there. path: names with dots between, as in `infogain_loss_param.source`."""
    *outer, name = path.split(".")
    message = layer.message
    for each in outer:
        message = message.message(each)
    file = message.get(name)
    if file is not None and not os.path.isfile(str(file)):
        yield error(layer, f"{name} {str(file)!r}: there is no such file", stock_sources.where_paths_start(), path)


def _read_database(layer: Layer) -> Tuple[List[Picture], Optional[Labels]]:
    source = stock_sources.lmdb_of(layer)
    if source is None:
        return [], None
    from caffe_pylayers.data.sources.lmdb import read_ends

    with _remedy("write the LMDB again, for example with convert_imageset"):
        ends = read_ends(source)
        pictures = [_decoded(bytes(datum.data), name) if datum.encoded else _raw(datum, name) for name, datum in ends]
    numbers = [(label, name) for name, datum in ends for label in datum.labels]
    return pictures, Labels(min(numbers)[0], *max(numbers)) if numbers else None


@contextlib.contextmanager
def _remedy(remedy: str) -> Iterator[None]:
    """Put a remedy behind a DataError that has none."""
    try:
        yield
    except DataError as problem:
        raise DataError(**{**problem.parts, "remedy": problem.remedy or remedy}) from problem


def _raw(datum: Any, name: str) -> Picture:
    planes = datum.raw()
    return _picture(planes.shape, planes.dtype, name)


def _picture(shape: Tuple[int, ...], dtype: Any, name: str) -> Picture:
    channels, height, width = shape
    return Picture(channels, height, width, name, whole=dtype == "uint8")


def _decoded(content: bytes, name: str, color: bool = True) -> Picture:
    from caffe_pylayers.data.decoding import MAX_PIXELS, decode
    from caffe_pylayers.data.image_size import image_size

    height, width = image_size(content) or (0, 0)
    if height * width > _OPENCV_MOST:
        raise DataError(
            f"{name}: {height} x {width} pixels; OpenCV decodes {_OPENCV_MOST} at most", remedy="make it smaller"
        )
    if height * width > MAX_PIXELS:
        return Picture(3 if color else 1, height, width, name, pixels=height * width)
    with _remedy("fix or remove it"):
        try:
            image = decode(content, color)
        except DataError as problem:
            raise problem.within(name) from problem
    return Picture(1 if image.ndim == 2 else image.shape[2], image.shape[0], image.shape[1], name, 8 * image.itemsize)


def _read_list(layer: Layer) -> Tuple[List[Picture], Optional[Labels]]:
    param = layer.message.message("image_data_param")
    images = stock_sources.ImageList(layer)
    pictures, labels = [], []
    for number in (0, len(images) - 1):
        path, label = images[number]
        labels.append((label, images.where(number)))
        if not os.path.isfile(path):
            raise DataError(
                f"there is no file {path!r}",
                remedy="set root_folder; it is put directly before the names, so end it with /",
                source=images.where(number),
            )
        picture = _decoded(stock_sources.content("image", path), path, param.flag("is_color", True))
        if param.whole("new_height") and param.whole("new_width"):
            picture = replace(picture, height=param.whole("new_height"), width=param.whole("new_width"))
        pictures.append(picture)
    if param.get("batch_size", 1) != 1 and not layer.message.message("transform_param").get("crop_size", 0):
        first, last = pictures
        if (first.height, first.width) != (last.height, last.width):
            raise DataError(
                f"images of different sizes: {first.name} has {first.height} x {first.width}, {last.name} {last.height} x {last.width}",
                remedy="set new_height and new_width, or crop_size",
            )
    return pictures, Labels(min(labels)[0], *max(labels))


def _read_hdf5(layer: Layer) -> Tuple[List[Picture], Optional[Labels]]:
    if "transform_param" in layer.message:
        raise DataError(
            "HDF5Data does not transform data, and Caffe aborts on its transform_param",
            remedy="leave transform_param out",
        )
    names = stock_sources.hdf5_files(layer)
    for name in dict.fromkeys((names[0], names[-1])):
        with stock_sources.opened_hdf5(stock_sources.source_of(layer), name) as file:
            rows = {top: stock_sources.data_set(file, top) for top in layer.tops}
            sizes = {top: data.shape[:1] for top, data in rows.items()}
            pictures = [
                _picture(data.shape[1:], data.dtype, f"{name}: data set {top!r}")
                for top, data in rows.items()
                if len(data.shape) == 4
            ]
        if len(set(sizes.values())) > 1:
            lengths = ", ".join(f"{top!r} {size(shape)}" for top, shape in sizes.items())
            raise DataError(
                f"data sets of different lengths: {lengths}", remedy="write as many rows of each", source=name
            )
    return pictures, None


def _read_windows(layer: Layer) -> Tuple[List[Picture], Optional[Labels]]:
    path = stock_sources.first_image_with_windows(layer)
    if not os.path.isfile(path):
        raise DataError(
            f"there is no file {path!r}",
            remedy="set root_folder; it is put directly before the names",
            source=stock_sources.source_of(layer),
        )
    return [], None


def _check_transform(layer: Layer, pictures: List[Picture]) -> Iterator[Finding]:
    """Crop and mean fit the images."""
    from caffe_pylayers.files.mean import read_mean

    param = layer.message.message("transform_param")
    crop = param.get("crop_size", 0)
    for picture in pictures:
        if isinstance(crop, int) and crop > min(picture.height, picture.width):
            yield error(
                layer,
                f"{picture.name}: {picture.height} x {picture.width} (height x width) is too small for crop_size {crop}",
                "take a smaller crop_size, or larger images",
                "transform_param.crop_size",
            )
            break
    if "mean_file" in param and "mean_value" in param:
        yield error(layer, "mean_file and mean_value are both given", "leave one out", "transform_param.mean_value")
        return
    values = param.all("mean_value")
    if pictures and len(values) not in (0, 1, pictures[0].channels):
        yield error(
            layer,
            f"{len(values)} mean_values, but images have {pictures[0].channels} channels",
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
    if pictures and mean.shape != (pictures[0].channels, pictures[0].height, pictures[0].width):
        picture = pictures[0]
        yield error(
            layer,
            f"mean_file {str(path)!r} is {size(mean.shape)}, but images are "
            f"{size((picture.channels, picture.height, picture.width))} (channels x height x width)",
            "compute the mean of these images, with compute_image_mean, or use mean_value",
            "transform_param.mean_file",
        )
