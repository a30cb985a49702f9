"""Files of arrays that are damaged: whoever reads one says which, and takes no memory for what it promises."""

import io
import re
import zipfile
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from caffe_pylayers.commands.check.check import check
from caffe_pylayers.data.samplers.graph.__main__ import _load
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.errors import DataError
from caffe_pylayers.files import npy
from caffe_pylayers.files.counts import read_counts
from caffe_pylayers.files.matrix import read_matrix
from caffe_pylayers.files.mean import read_mean

PACKAGE = Path(__file__).parent.parent / "caffe_pylayers"

READERS = {
    "mean": lambda path: read_mean(path, None),
    "counts": lambda path: read_counts(path, 3),
    "matrix": lambda path: read_matrix(path, 3),
    "labels": lambda path: open_source("CSV", a_list(path), labels=path),
    "sample weights": lambda path: open_source("CSV", a_list(path), sample_weights=path),
    "features for a graph": _load,
}


def a_list(path):
    with open(f"{path}.list", "w") as file:
        file.write("a.png\nb.png\nc.png\n")
    return f"{path}.list"


def write_promise(path, shape, size):
    """A header that promises float32 of a shape, and so many zeros, which take no room on the disk."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + size)


@pytest.mark.parametrize("size", [64, 1 << 40], ids=["promised", "there"])
@pytest.mark.parametrize("name", READERS)
def test_a_tebibyte_is_not_read(tmp_path, name, size, capsys):
    path = str(tmp_path / "it.npy")
    write_promise(path, (4, 1 << 18, 1 << 18) if name == "mean" else (1 << 20, 1 << 18), size)
    with pytest.raises((ValueError, SystemExit)) as error:
        READERS[name](path)
    assert path in f"{error.value} {capsys.readouterr().err}"


@pytest.mark.parametrize("size", [64, 1 << 40], ids=["promised", "there"])
def test_check_names_the_mean(tmp_path, size, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_promise(tmp_path / "mean.npy", (4, 1 << 18, 1 << 18), size)
    stock, ours = (
        'type: "ImageData"  image_data_param { source: "list.txt" }  transform_param { mean_file: "mean.npy" }',
        'type: "Python"  python_param { module: "caffe_pylayers"  layer: "ImageDataLayer" '
        "param_str: \"{'source': 'list.csv', 'batch_size': 2, 'mean_file': 'mean.npy'}\" }",
    )
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "list.txt").write_text("a.png 0\n")
    (tmp_path / "list.csv").write_text("a.png,0\n")
    for layer in (stock, ours):
        (tmp_path / "net.prototxt").write_text(f'layer {{ name: "data"  top: "data"  top: "label"  {layer} }}')
        assert ["mean.npy" in finding.message for finding in check("net.prototxt", build=False)] == [True], layer


def test_nobody_else_reads_such_files():
    """NumPy takes the memory that a header promises, unless it is told to map the file."""
    reading = re.compile(r"\b(np|numpy)\.load\(")
    found = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if reading.search(path.read_text())}
    assert found == {
        "files/npy.py",
        "data/sources/index.py",  # archives of ours, no larger than their files
        "commands/deploy/preprocessing.py",  # in a program that it writes
    }


@pytest.mark.parametrize("name", ["mean.mat", "mean.npy"])
@pytest.mark.parametrize("reader", ["mean", "matrix"])
def test_a_file_of_matlab_is_named(tmp_path, reader, name):
    path = str(tmp_path / name)
    with h5py.File(path, "w", userblock_size=512) as file:
        file["mean"] = np.ones((3, 3))
    with pytest.raises(DataError, match="it is an HDF5 file, as MATLAB's .mat are") as error:
        READERS[reader](path)
    assert ".npy" in error.value.remedy


def npz_of(path, data):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("features.npy", data)


@pytest.mark.parametrize("fortran", [False, True])
def test_arrays_of_an_archive(tmp_path, fortran):
    arrays = {
        "features": np.arange(12.0).reshape(3, 4),
        "names": np.array(["a", "bc"]),
        "one": np.array(3),
        "none": np.zeros((0, 5)),
    }
    if fortran:
        arrays["features"] = np.asfortranarray(arrays["features"])
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    found = npy.load_npz(str(tmp_path / "a.npz"))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda data: data.replace(b"(3, 4)", b"(3e9, 4)".replace(b"3e9", b"9999999999999")), "header"),
        (lambda data: data[:-8], "bytes of numbers"),
        (lambda data: data + b"more", "bytes of numbers"),
        (lambda data: b"no array", "no .npy file"),
        (lambda data: data[:9], "header"),
    ],
    ids=["promise", "short", "long", "other", "cut"],
)
def test_damaged_arrays_of_an_archive(tmp_path, change, words):
    stream = io.BytesIO()
    np.save(stream, np.arange(12.0).reshape(3, 4))
    npz_of(tmp_path / "a.npz", change(stream.getvalue()))
    with pytest.raises(ValueError, match=words):
        npy.load_npz(str(tmp_path / "a.npz"))


def test_objects_in_an_archive_are_not_read(tmp_path):
    np.savez(tmp_path / "a.npz", features=np.array([{}, None]))
    with pytest.raises(ValueError, match="objects of Python"):
        npy.load_npz(str(tmp_path / "a.npz"))
