"""Where the rows of HDF5 files lie, found by a program of its own.

Inside the `caffe` program h5py cannot be used at all: that is linked with another libhdf5, whose functions take the
place of those h5py was built with. And libhdf5, given a damaged file, may hang, take gigabytes, or crash. So a plain
Python reads labels and names and finds out where the images lie, each file in a process of its own; to read images
then takes no libhdf5.
"""

import contextlib
import os
import pickle
import resource
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Dict, Generator, List, Optional, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers.caffe_files.hdf5 import hdf5_start
from caffe_pylayers.data.sources.hdf5_layout import MOST_EXPANSION, Behind, data_sets, elsewhere, images, require_parts
from caffe_pylayers.data.sources.storage import Chunks, File, Stretches
from caffe_pylayers.errors import DataError
from caffe_pylayers.processes import interpreter
from caffe_pylayers.processes.boot import fork, status_of
from caffe_pylayers.processes.child import Child, Order


@dataclass(frozen=True)
class Table:
    """What one HDF5 file holds.

    rows: where its images lie. dtype, shape: of an image (channels, height, width); shape () for encoded images.
    labels, weights: numbers (N,) or (N, L), or None. names: N byte strings, or None. columns: its data sets.
    """

    rows: Union[Stretches, Chunks]
    dtype: str
    shape: Tuple[int, ...]
    labels: Optional[np.ndarray]
    weights: Optional[np.ndarray]
    names: Optional[List[bytes]]
    columns: Tuple[str, ...]


def read_tables(paths: Sequence[str], labels: str, weights: str) -> Generator[Union[Table, DataError], None, None]:
    """The table of each file, or what is wrong with it. labels, weights: the data sets with them, where there are such."""
    # Locks fail on some network file systems, and nothing is written here.
    order = Order("caffe_pylayers.data.sources.hdf5_index:main", paths, labels, weights)
    with contextlib.closing(order):
        program = Child(order, env={"HDF5_USE_FILE_LOCKING": "FALSE"})
    try:
        for _ in paths:
            yield pickle.loads(program.connection.recv_bytes())
    except (EOFError, ConnectionResetError):
        raise DataError(
            f"HDF5: the program that reads such files ended early ({interpreter.executable()})",
            remedy="is h5py installed there?",
        ) from None
    finally:
        program.end()


def main(paths: Sequence[str], labels: str, weights: str, descriptor: int) -> None:
    """The program: for each file a pickled Table or DataError."""
    import h5py  # noqa: F401  (once, for all the processes forked below)

    connection = Connection(descriptor)
    for path in paths:
        connection.send_bytes(_in_a_process(path, labels, weights))


def _in_a_process(path: str, labels: str, weights: str) -> bytes:
    """What _attempt says, pickled."""
    reader, writer = os.pipe()

    def attempt() -> None:
        with open(writer, "wb") as pipe:
            pickle.dump(_attempt(path, labels, weights), pipe)

    child = fork(attempt)
    os.close(writer)
    with open(reader, "rb") as pipe:
        answer = pipe.read()
    status = status_of(child)
    if status:
        end = signal.Signals(-status).name if status < 0 else "an error"
        return pickle.dumps(
            DataError(
                f"libhdf5 ended with {end} while it read the file: the file is damaged, or has too many chunks for an old h5py",
                remedy="write it again",
                source=path,
            )
        )
    return answer


def _attempt(path: str, labels: str, weights: str) -> Union[Table, DataError]:
    try:
        file = File.of(path)
    except OSError as error:
        return DataError(
            f"cannot read it: {error.strerror}",
            remedy="paths in a list are relative to the working directory",
            source=path,
        )
    # A damaged file can make libhdf5 take gigabytes, or never end: no more than any sound one of its size may need.
    for kind, limit in (
        (resource.RLIMIT_AS, (2 << 30) + 16 * file.size),
        (resource.RLIMIT_CPU, 3 + file.size // 500_000),
        (resource.RLIMIT_CORE, 0),
    ):
        most = resource.getrlimit(kind)[1]  # which the user's own limit may be
        soft, hard = (limit, 2 * limit) if most < 0 else (min(limit, most), min(2 * limit, most))
        resource.setrlimit(kind, (soft, hard))
    try:
        return _read(file, labels, weights)
    except DataError as error:
        return error.within(path)
    except Exception as error:  # h5py passes on what libhdf5 reports as errors of many types
        return DataError(
            f"h5py cannot read it ({type(error).__name__}: {error})", remedy="is it a complete HDF5 file?", source=path
        )


def _read(file: File, labels: str, weights: str) -> Table:
    import h5py

    start = hdf5_start(file.path) or 0
    with Behind(file.path, start) as behind, h5py.File(behind if start else file.path, "r") as opened:
        columns = data_sets(opened, ("data", "label", weights, "name"))
        if "data" not in columns:
            raise DataError("no data set `data`", remedy=f"it has {', '.join(columns) or 'none'}")
        data = opened["data"]
        if data.file != opened:
            itself = "name that file as the source, or " if data.name == "/data" else ""
            raise elsewhere(file, f"is a link to {data.file.filename}", itself)
        rows, dtype, shape = images(file, data, start)
        found: Dict[str, Any] = {}
        for name in (labels, weights, "name"):
            if name in columns:
                found[name] = _values(file, name, opened[name], len(rows))
    names = (
        [text if isinstance(text, bytes) else str(text).encode() for text in found["name"]] if "name" in found else None
    )
    return Table(rows, dtype, shape, found.get(labels), found.get(weights), names, columns)


def _values(file: File, name: str, dataset: Any, count: int) -> np.ndarray:
    """Labels, weights or names of `count` records."""
    import h5py

    require_parts(name, dataset)
    if dataset.ndim < 1 or len(dataset) != count:
        raise DataError(f"data set `{name}` has shape {dataset.shape}, but `data` has {count} rows")
    if dataset.size * dataset.dtype.itemsize > MOST_EXPANSION * file.size:
        raise DataError(f"data set `{name}` of shape {dataset.shape} is too large for the file")
    values = dataset[()]
    if name == "name":
        if h5py.check_string_dtype(dataset.dtype) and values.ndim == 1:
            return values
    elif values.dtype.kind in "iuf" and values.shape[2:] == (1,) * (values.ndim - 2):
        return values.reshape(values.shape[:2])
    wanted = "strings (N,)" if name == "name" else "numbers (N,) or (N, L)"
    raise DataError(
        f"data set `{name}` has type {dataset.dtype} and shape {dataset.shape}", remedy=f"{wanted} are expected"
    )
