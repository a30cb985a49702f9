"""Features in files, with labels, cameras and names: .npz, or .npy with a file for each of the others."""

from typing import Any, Dict, Optional

import numpy as np

from caffe_pylayers.commands.evaluate.embedded import Embedded
from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.sources.base import Names, Numbers
from caffe_pylayers.errors import DataError
from caffe_pylayers.evaluation import Records
from caffe_pylayers.evaluation.records import integers_of
from caffe_pylayers.files import text_table
from caffe_pylayers.files.npy import load_npy, load_npz
from caffe_pylayers.files.output_file import output_file

SUFFIXES = (".npy", ".npz")

#: What an .npz may have: `features` (N, D), and for each of them an integer or a name.
_ARRAYS = ("features", "labels", "cameras", "names")


def read_features(path: str, labels: Optional[str] = None, cameras: Optional[str] = None) -> Embedded:
    """The features of a file. labels, cameras: files with an integer per record, which come before those in an .npz.

    Raises DataError where a file cannot be read, or does not have what is expected.
    """
    arrays = _read(path)
    if not len(arrays["features"]):
        shape = arrays["features"].shape
        raise DataError(
            f"its features have shape {shape}: there are no records", remedy="was it cut short?", source=path
        )
    names = arrays.get("names")
    source = Source(path, Numbers(len(arrays["features"])) if names is None else Names(map(_bytes, names)))
    if len(source) != len(arrays["features"]):
        raise DataError(f"it has {len(arrays['features'])} features, but {len(source)} names", source=path)
    for what, file in (("labels", labels), ("cameras", cameras)):
        if file is not None:
            arrays[what] = read_integers(file, len(source), what)
    records = Records(
        arrays["features"],
        arrays.get("labels"),
        arrays.get("cameras"),
        source=path,
        name=lambda record: source.names[record].decode(errors="backslashreplace"),
    )
    source.set_labels(records.labels)
    return Embedded(records, source, np.arange(len(source)), False)


def read_integers(path: str, count: int, what: str) -> np.ndarray:
    """As many integers as there are records, of a .npy file or a text. what: labels or cameras, for messages."""
    try:
        if path.endswith(".npy"):
            values = np.atleast_1d(load_npy(path))
            rows = len(values)
        else:
            numbers, counts = text_table.numbers(path, path)
            values, rows = np.array(numbers), len(counts)
    except OSError as error:
        raise DataError(f"cannot read it: {error.strerror}", source=path) from error
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"not a .npy file of numbers, or cut short ({error})", source=path) from error
    if rows not in (1, values.size):
        raise DataError(
            f"it has {values.size} numbers in {rows} rows",
            remedy=f"one integer per record is expected as {what[:-1]}",
            source=path,
        )
    if values.size != count:
        raise DataError(f"it has {values.size} {what}, but there are {count} records", source=path)
    found = integers_of(values.reshape(-1), count, what[:-1], path)
    assert found is not None
    return found


def write_features(path: str, embedded: Embedded) -> None:
    """The features as .npz, with names, and with labels and cameras where they are known."""
    records = embedded.records
    named: Dict[str, Any] = {"features": records.features, "labels": records.labels, "cameras": records.cameras}
    named["names"] = [
        embedded.source.names[number].decode(errors="backslashreplace") for number in embedded.numbers.tolist()
    ]
    arrays: Dict[str, Any] = {name: np.asarray(array) for name, array in named.items() if array is not None}
    with output_file(path) as part, open(part, "wb") as file:
        np.savez(file, **arrays)


def _read(path: str) -> Dict[str, np.ndarray]:
    try:
        if path.endswith(".npy"):
            return {"features": np.atleast_1d(load_npy(path))}
        found = load_npz(path)
    except OSError as error:
        raise DataError(f"cannot read it: {error.strerror or error}", source=path) from error
    except ValueError as error:
        raise DataError(f"not an .npz or .npy file of arrays, or cut short ({error})", source=path) from error
    if "features" not in found or not found["features"].ndim:
        raise DataError(
            f"it has no array 'features' with a row per record, but {', '.join(found) or 'nothing'}",
            remedy=f"write it with numpy.savez(path, {', '.join(f'{name}=...' for name in _ARRAYS)}); all but features may be left out",
            source=path,
        )
    return found


def _bytes(name: Any) -> bytes:
    return bytes(name) if isinstance(name, bytes) else str(name).encode("utf-8", "surrogateescape")
