"""The data of Caffe's own data layers: the source is there, its first and last record can be used, the mean fits."""

import os
from dataclasses import dataclass, replace
from typing import Any, Iterator, List, Optional, Tuple

from caffe_pylayers import regular_file
from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.check.findings import Finding, error, warning
from caffe_pylayers.commands.check.shapes import size
from caffe_pylayers.commands.check.sources import Labels
from caffe_pylayers.errors import DataError

_OPENCV_MOST = 1 << 30  # pixels that it decodes

_PARAMS = {
    "Data": "data_param", "ImageData": "image_data_param", "HDF5Data": "hdf5_data_param", "WindowData": "window_data_param",
}  # fmt: skip

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


class _Wrong(Exception):
    """What is wrong with a source: message and remedy."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def is_data_layer(layer: Layer) -> bool:
    """Whether it is one of Caffe's own data layers with a source."""
    return layer.type in _PARAMS


def check_source(layer: Layer) -> Tuple[List[Finding], Optional[Labels]]:
    """What is wrong with the data of a layer, and the labels of its first and last record."""
    name = _PARAMS.get(layer.type)
    if name is None:
        return [], None
    at = f"{name}.source"
    source = str(layer.message.message(name).get("source", ""))
    if not source:
        return [error(layer, f"{name} has no source", f'add `source: "..."` to {name}', name)], None
    readers = {"Data": _read_database, "ImageData": _read_list, "HDF5Data": _read_hdf5, "WindowData": _read_windows}
    findings = list(_check_transform_fields(layer, name))
    if not layer.message.message(name).get("batch_size", layer.type == "ImageData"):  # whose default is 1
        findings.append(
            error(layer, "batch_size is 0 or not given", f"add `batch_size: 64`, say, to {name}", f"{name}.batch_size")
        )
    from caffe_pylayers.data.axes import axes_doubt  # here, for it takes the time that cv2 and lmdb take

    try:
        pictures, labels = readers[layer.type](layer, source)
    except _Wrong as problem:
        findings.append(error(layer, problem.message, problem.remedy, at))
        pictures, labels = [], None
    for picture in pictures[:1]:
        doubt = axes_doubt((picture.channels, picture.height, picture.width), picture.whole)
        if doubt:
            findings.append(warning(layer, f"{picture.name}: {doubt.problem}", doubt.remedy, at))
    findings += [
        warning(
            layer, f"{picture.name}: has {picture.bits}-bit pixels, of which Caffe keeps the upper 8 bits", _DEEP, at
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
        yield error(layer, f"{name} {str(file)!r}: there is no such file", _relative(), path)


def _relative() -> str:
    return f"relative paths start at the working directory, {os.getcwd()}"


def _there(what: str, path: str) -> str:
    if not os.path.exists(path):
        raise _Wrong(f"{what} {path!r}: there is no such file or folder", _relative())
    return path


def _content(what: str, path: str) -> bytes:
    try:
        return regular_file.read_bytes(_there(what, path))
    except OSError as problem:
        raise _Wrong(f"{what} {path!r}: cannot read it: {problem.strerror}", "name a file") from problem


def _read_database(layer: Layer, source: str) -> Tuple[List[Picture], Optional[Labels]]:
    _there("source", source)
    lmdb = str(layer.message.message("data_param").get("backend", "LEVELDB")) in ("LMDB", "1")
    is_lmdb, is_leveldb = (os.path.exists(os.path.join(source, name)) for name in ("data.mdb", "CURRENT"))
    if not lmdb and is_lmdb:
        raise _Wrong(
            f"source {source!r} is an LMDB, but backend is LEVELDB, the default", "add `backend: LMDB` to data_param"
        )
    if lmdb and is_leveldb and not is_lmdb:
        raise _Wrong(f"source {source!r} is a LevelDB, but backend is LMDB", "set `backend: LEVELDB`")
    if not lmdb:
        if not is_leveldb:
            raise _Wrong(f"source {source!r} is no LevelDB: it has no file CURRENT", "was the copy cut short?")
        return [], None
    from caffe_pylayers.data.sources.lmdb import read_ends

    try:
        ends = read_ends(source)
        pictures = [_decoded(bytes(datum.data), name) if datum.encoded else _raw(datum, name) for name, datum in ends]
    except DataError as problem:
        raise _Wrong(problem.found, problem.remedy or "write the LMDB again, as by convert_imageset") from problem
    numbers = [(label, name) for name, datum in ends for label in datum.labels]
    return pictures, Labels(min(numbers)[0], *max(numbers)) if numbers else None


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
        raise _Wrong(f"{name}: {height} x {width} pixels; OpenCV decodes {_OPENCV_MOST} at most", "make it smaller")
    if height * width > MAX_PIXELS:
        return Picture(3 if color else 1, height, width, name, pixels=height * width)
    try:
        image = decode(content, color)
    except DataError as problem:
        raise _Wrong(problem.within(name).found, problem.remedy or "mend or remove it") from problem
    return Picture(1 if image.ndim == 2 else image.shape[2], image.shape[0], image.shape[1], name, 8 * image.itemsize)


def _read_list(layer: Layer, source: str) -> Tuple[List[Picture], Optional[Labels]]:
    param = layer.message.message("image_data_param")
    lines = _content("source", source).decode("utf-8", "surrogateescape").splitlines()
    if not lines:
        raise _Wrong(f"source {source!r} is empty", "it lists images, a line each: `path label`")
    pictures, labels = [], []
    for number in (0, len(lines) - 1):
        name, _, label = lines[number].rpartition(" ")
        try:
            labels.append((int(label), f"{source}:{number + 1}"))
        except ValueError:
            raise _Wrong(
                f"{source}:{number + 1}: {lines[number]!r} does not end with a label, a whole number",
                "write lines as `path label`",
            ) from None
        path = str(param.get("root_folder", "")) + name
        if not os.path.isfile(path):
            raise _Wrong(
                f"{source}:{number + 1}: there is no file {path!r}",
                "set root_folder, which is put before the names as it is, so it ends with /",
            )
        picture = _decoded(_content("image", path), path, param.flag("is_color", True))
        if param.whole("new_height") and param.whole("new_width"):
            picture = replace(picture, height=param.whole("new_height"), width=param.whole("new_width"))
        pictures.append(picture)
    if param.get("batch_size", 1) != 1 and not layer.message.message("transform_param").get("crop_size", 0):
        first, last = pictures
        if (first.height, first.width) != (last.height, last.width):
            raise _Wrong(
                f"images of unlike sizes: {first.name} has {first.height} x {first.width}, {last.name} {last.height} x {last.width}",
                "set new_height and new_width, or crop_size",
            )
    return pictures, Labels(min(labels)[0], *max(labels))


def _read_hdf5(layer: Layer, source: str) -> Tuple[List[Picture], Optional[Labels]]:
    import h5py

    if "transform_param" in layer.message:
        raise _Wrong(
            "HDF5Data does not transform data, and Caffe aborts on its transform_param", "leave transform_param out"
        )
    content = _content("source", source)
    if content.startswith(b"\x89HDF"):
        raise _Wrong(
            f"source {source!r} is an HDF5 file, where HDF5Data takes a list of them",
            f"write {source!r} into a text file",
        )
    names = content.decode("utf-8", "surrogateescape").split()
    if not names:
        raise _Wrong(f"source {source!r} is empty", "it lists HDF5 files, a line each")
    for name in dict.fromkeys((names[0], names[-1])):
        if not os.path.isfile(name):
            raise _Wrong(f"{source}: there is no file {name!r}", _relative())
        try:
            with h5py.File(name, "r") as file:
                rows = {top: file.get(top) for top in layer.tops if top in list(file)}
                absent = [top for top in layer.tops if not isinstance(rows.get(top), h5py.Dataset)]
                sizes = {top: data.shape[:1] for top, data in rows.items() if top not in absent}
                pictures = [_picture(data.shape[1:], data.dtype, f"{name}: data set {top!r}")
                            for top, data in rows.items() if top not in absent and len(data.shape) == 4]  # fmt: skip
                found = ", ".join(file)
        except OSError as problem:
            raise _Wrong(f"{name}: not an HDF5 file, or damaged: {problem}", "write it again") from problem
        if absent:
            raise _Wrong(f"{name}: no data set {absent[0]!r}, of which a top has the name", f"data sets: {found}")
        if len(set(sizes.values())) > 1:
            lengths = ", ".join(f"{top!r} {size(shape)}" for top, shape in sizes.items())
            raise _Wrong(f"{name}: data sets of unlike lengths: {lengths}", "write as many rows of each")
    return pictures, None


def _read_windows(layer: Layer, source: str) -> Tuple[List[Picture], Optional[Labels]]:
    words = _content("source", source).decode("utf-8", "surrogateescape").split()
    if words[:1] != ["#"] or len(words) < 3:
        raise _Wrong(
            f"source {source!r} is no window file: it begins with `# 0`, the first image", "see WindowDataLayer"
        )
    path = str(layer.message.message("window_data_param").get("root_folder", "")) + words[2]
    if not os.path.isfile(path):
        raise _Wrong(f"{source}: there is no file {path!r}", "set root_folder, which is put before the names as it is")
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
            "give one, or one a channel",
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
