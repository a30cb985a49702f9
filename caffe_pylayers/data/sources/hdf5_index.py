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
from typing import Any, Dict, Generator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers.caffe_files.hdf5 import hdf5_start
from caffe_pylayers.data.sources.hdf5_layout import (
    MOST_EXPANSION,
    Behind,
    data_sets,
    elsewhere,
    images,
    in_groups,
    require_parts,
)
from caffe_pylayers.data.sources.storage import Chunks, File, Stretches
from caffe_pylayers.errors import DataError, did_you_mean
from caffe_pylayers.processes import interpreter
from caffe_pylayers.processes.boot import fork, status_of
from caffe_pylayers.processes.child import Child, Order

_MOST_NAMES = 20  # of data sets in a message


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


@dataclass(frozen=True)
class Roles:
    """What the data sets are called, "" for none. asked: those that the user named, which must be there; `data` must be there too.

    planes: whether `data` may be (N, height, width).
    """

    data: str = "data"
    label: str = "label"
    sample_weight: str = "sample_weight"
    name: str = "name"
    asked: Tuple[str, ...] = ()
    planes: bool = False

    @classmethod
    def of(cls, datasets: Optional[Mapping[str, str]], labels: Optional[str], sample_weights: Optional[str]) -> "Roles":
        """From the options of those names; `labels` and `sample_weights` may also be files."""
        named = {"label": labels, "sample_weight": sample_weights, **(datasets or {})}
        found: Dict[str, Any] = {role: name for role, name in named.items() if name}
        return cls(**found, asked=tuple((datasets or {}).values()))

    @property
    def names(self) -> Tuple[str, ...]:
        return tuple(filter(None, (self.data, self.label, self.sample_weight, self.name)))


#: The names that this package writes.
USUAL = Roles()


def read_tables(paths: Sequence[str], roles: Roles) -> Generator[Union[Table, DataError], None, None]:
    """The table of each file, or what is wrong with it."""
    # Locks fail on some network file systems, and nothing is written here.
    order = Order("caffe_pylayers.data.sources.hdf5_index:main", paths, roles)
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


def main(paths: Sequence[str], roles: Roles, descriptor: int) -> None:
    """The program: for each file a pickled Table or DataError."""
    import h5py  # noqa: F401  (once, for all the processes forked below)

    connection = Connection(descriptor)
    for path in paths:
        connection.send_bytes(_in_a_process(path, roles))


def _in_a_process(path: str, roles: Roles) -> bytes:
    """What _attempt says, pickled."""
    reader, writer = os.pipe()

    def attempt() -> None:
        with open(writer, "wb") as pipe:
            pickle.dump(_attempt(path, roles), pipe)

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


def _attempt(path: str, roles: Roles) -> Union[Table, DataError]:
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
        return _read(file, roles)
    except DataError as error:
        return error.renamed("`data`", f"`{roles.data}`").within(path)
    except Exception as error:  # h5py passes on what libhdf5 reports as errors of many types
        return DataError(
            f"h5py cannot read it ({type(error).__name__}: {error})", remedy="is it a complete HDF5 file?", source=path
        )


def _read(file: File, roles: Roles) -> Table:
    import h5py

    start = hdf5_start(file.path) or 0
    with Behind(file.path, start) as behind, h5py.File(behind if start else file.path, "r") as opened:
        columns = data_sets(opened, roles.names)
        for name in (roles.data, *roles.asked):
            if name not in columns:
                raise _absent(name, roles, columns, in_groups(opened))
        data = opened[roles.data]
        if data.file != opened:
            itself = "name that file as the source, or " if data.name == f"/{roles.data}" else ""
            raise elsewhere(file, f"is a link to {data.file.filename}", itself)
        rows, dtype, shape = images(file, data, start, roles.planes)
        found: Dict[str, Any] = {}
        for role in ("label", "sample_weight", "name"):
            name = getattr(roles, role)
            if name in columns:
                found[role] = _values(file, name, opened[name], len(rows), role == "name")
    names = (
        [text if isinstance(text, bytes) else str(text).encode() for text in found["name"]] if "name" in found else None
    )
    return Table(rows, dtype, shape, found.get("label"), found.get("sample_weight"), names, columns)


def _absent(name: str, roles: Roles, columns: Sequence[str], more: Sequence[str]) -> DataError:
    """The error of a data set that is not there. more: data sets in groups."""
    there = [*columns, *(each for each in more if each not in columns)]
    known = f"it has {', '.join(there[:_MOST_NAMES])}{', ...' * (len(there) > _MOST_NAMES)}" if there else "it has none"
    example = next((each for each in there if each not in roles.names), "")
    remedy = f"{did_you_mean(name, there)} {known}".lstrip()
    if example and not roles.asked:
        remedy += f"; if `data` has another name, set `datasets`, as in {{'data': {example!r}}}"
    return DataError(f"no data set `{name}`", remedy=remedy)


def _values(file: File, name: str, dataset: Any, count: int, strings: bool) -> np.ndarray:
    """Labels, weights or names (`strings`) of `count` records."""
    import h5py

    require_parts(name, dataset)
    if dataset.ndim < 1 or len(dataset) != count:
        raise DataError(f"data set `{name}` has shape {dataset.shape}, but `data` has {count} rows")
    if dataset.size * dataset.dtype.itemsize > MOST_EXPANSION * file.size:
        raise DataError(f"data set `{name}` of shape {dataset.shape} is too large for the file")
    values = dataset[()]
    if strings:
        if h5py.check_string_dtype(dataset.dtype) and values.ndim == 1:
            return values
    elif values.dtype.kind in "iuf" and values.shape[2:] == (1,) * (values.ndim - 2):
        return values.reshape(values.shape[:2])
    wanted = "strings (N,)" if strings else "numbers (N,) or (N, L)"
    raise DataError(
        f"data set `{name}` has type {dataset.dtype} and shape {dataset.shape}", remedy=f"{wanted} are expected"
    )
