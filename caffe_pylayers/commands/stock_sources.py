"""What Caffe's own data layers read: their databases, and their lists of images and of files.

Paths are as Caffe takes them. What Caffe would abort on raises DataError, with a remedy.
"""

import contextlib
import os
import re
from typing import Any, Iterator, List, Optional

from caffe_pylayers import regular_file
from caffe_pylayers.caffe_files.hdf5 import hdf5_start
from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.data.formats import list_of_folder
from caffe_pylayers.errors import DataError

#: The types of data layers with a source, and the message in which each has it.
PARAMS = {
    "Data": "data_param",
    "ImageData": "image_data_param",
    "HDF5Data": "hdf5_data_param",
    "WindowData": "window_data_param",
}

_BYTES_AT_ONCE = 1 << 24  # of a data set
_WINDOWS_OF = re.compile(r"#\s+[0-9]+\s+(\S+)")
_LABEL = re.compile(r". ([-+]?[0-9]{1,18})\r?\Z", re.DOTALL)


def source_of(layer: Layer) -> str:
    """The path of its source; "" where it has none."""
    return str(layer.message.message(PARAMS[layer.type]).get("source", ""))


def batch_size(layer: Layer) -> int:
    """Its batch_size, ImageData's 1 by default; 0 where it is not given."""
    default = int(layer.type == "ImageData")
    value = layer.message.message(PARAMS[layer.type]).get("batch_size", default)
    return value if isinstance(value, int) else 0


def where_paths_start() -> str:
    """In words, for a remedy."""
    return f"relative paths start at the working directory, {os.getcwd()}"


def lmdb_of(layer: Layer) -> Optional[str]:
    """The folder of the LMDB that a Data layer reads; None where it reads a LevelDB, which takes Caffe."""
    source = source_of(layer)
    _require_there("source", source)
    lmdb = str(layer.message.message("data_param").get("backend", "LEVELDB")) in ("LMDB", "1")
    is_lmdb, is_leveldb = (os.path.exists(os.path.join(source, name)) for name in ("data.mdb", "CURRENT"))
    if not lmdb and is_lmdb:
        raise DataError(
            f"source {source!r} is an LMDB, but backend is LEVELDB, the default",
            remedy="add `backend: LMDB` to data_param",
        )
    if lmdb and is_leveldb and not is_lmdb:
        raise DataError(f"source {source!r} is a LevelDB, but backend is LMDB", remedy="set `backend: LEVELDB`")
    if not (is_lmdb or is_leveldb) and any(os.path.isdir(os.path.join(source, name)) for name in os.listdir(source)):
        raise DataError(f"source {source!r} is a folder, and no database", remedy=list_of_folder(source))
    if not lmdb and not is_leveldb:
        raise DataError(f"source {source!r} is not a LevelDB: it has no file CURRENT", remedy="was the copy cut short?")
    return source if lmdb else None


class ImageList:
    """The list of an ImageData layer: images, each with a label. They are not looked for."""

    def __init__(self, layer: Layer) -> None:
        self.path = source_of(layer)
        self._root = str(layer.message.message("image_data_param").get("root_folder", ""))
        self._lines = _text(self.path).split("\n")
        if not self._lines[-1]:
            self._lines.pop()
        if not self._lines:
            raise DataError(f"source {self.path!r} is empty", remedy="it must list images, one per line: `path label`")

    def __len__(self) -> int:
        return len(self._lines)

    def image(self, number: int) -> str:
        """The path of an image: what stands before the last space; all of a line without one."""
        line = self._lines[number]
        return self._root + (line.rpartition(" ")[0] if " " in line else line)

    def labels(self) -> List[int]:
        """Of all images: what stands behind the last space."""
        return [self._label(number) for number in range(len(self))]

    def _label(self, number: int) -> int:
        found = _LABEL.search(self._lines[number])
        if found is None:
            raise DataError(
                f"{self._lines[number][:80]!r} does not end with an integer label",
                remedy="write lines as `path label`",
                source=self.where(number),
            )
        return int(found[1])

    def where(self, number: int) -> str:
        """The line of an image."""
        return f"{self.path}:{number + 1}"


def hdf5_files(layer: Layer) -> List[str]:
    """The files that an HDF5Data layer reads, as its list names them."""
    source = source_of(layer)
    text = _text(source)
    if hdf5_start(source) is not None:
        raise DataError(
            f"source {source!r} is an HDF5 file, but HDF5Data needs a list of them",
            remedy=f"write {source!r} into a text file",
        )
    names = text.split()
    if not names:
        raise DataError(f"source {source!r} is empty", remedy="it must list HDF5 files, one per line")
    return names


@contextlib.contextmanager
def opened_hdf5(source: str, path: str) -> Iterator[Any]:
    """The h5py.File at a path that a list has. What is damaged in it raises DataError too."""
    import h5py

    if not os.path.isfile(path):
        raise DataError(f"there is no file {path!r}", remedy=where_paths_start(), source=source)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        raise DataError(f"not an HDF5 file, or damaged: {error}", remedy="write it again", source=path) from error


def data_set(file: Any, top: str) -> Any:
    """The h5py.Dataset from which HDF5Data fills a top."""
    import h5py

    found = file[top] if top in list(file) else None
    if not isinstance(found, h5py.Dataset):
        raise DataError(
            f"no data set {top!r}, but a top has this name",
            remedy=data_sets_of(file),
            source=file.filename,
        )
    return found


def data_sets_of(file: Any) -> str:
    """What an HDF5 file has, as a remedy."""
    return f"data sets: {', '.join(file)}"


def rows_of(data: Any) -> Iterator[Any]:
    """The rows of an h5py.Dataset, as arrays of some megabytes at most, or of one row."""
    at_once = max(1, _BYTES_AT_ONCE * len(data) // max(1, data.size * data.dtype.itemsize))
    for start in range(0, len(data), at_once):
        yield data[start : start + at_once]


def images_with_windows(layer: Layer) -> List[str]:
    """The paths of the images of a WindowData layer."""
    source = source_of(layer)
    text = _text(source)
    names = _WINDOWS_OF.findall(text)
    if text.split(maxsplit=1)[:1] != ["#"] or not names:
        raise DataError(
            f"source {source!r} is not a window file: such a file begins with `# 0`, the first image",
            remedy="see WindowDataLayer",
        )
    root = str(layer.message.message("window_data_param").get("root_folder", ""))
    return [root + name for name in names]


def content(what: str, path: str) -> bytes:
    """All that a file has. what: for the message."""
    _require_there(what, path)
    try:
        return regular_file.read_bytes(path)
    except OSError as error:
        remedy = list_of_folder(path) if os.path.isdir(path) else "name a file"
        raise DataError(f"cannot read it: {error.strerror}", remedy=remedy, source=f"{what} {path!r}") from error


def _text(source: str) -> str:
    return content("source", source).decode("utf-8", "surrogateescape")


def _require_there(what: str, path: str) -> None:
    if not os.path.exists(path):
        raise DataError("there is no such file or folder", remedy=where_paths_start(), source=f"{what} {path!r}")
