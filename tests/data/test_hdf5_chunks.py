"""The places of chunks as the file's own index has them are those that h5py says, for an h5py that cannot say it."""

import contextlib

import h5py
import numpy as np
import pytest

from caffe_pylayers.caffe_files.hdf5 import hdf5_start
from caffe_pylayers.data.sources import hdf5_layout, open_source
from caffe_pylayers.data.sources.hdf5_chunks import visit_index
from caffe_pylayers.data.sources.hdf5_layout import Behind
from caffe_pylayers.data.sources.storage import File
from caffe_pylayers.errors import DataError
from tests.data.hdf5_rewriting import rewritten

ROWS = np.random.default_rng(0).integers(0, 256, (300, 3, 6, 8), np.uint8)

FILES = {
    "one node": {"rows": 20},
    "nodes of nodes": {},
    "a user block": {"userblock_size": 1024},
    "a header of version 2": {"track_order": True},
    "many attributes": {"attributes": 40},
    "many attributes in order": {"attributes": 40, "track_order": True},
}


def written(path, rows=300, attributes=0, **settings):
    with h5py.File(path, "w", **settings) as file:
        options = {"chunks": (1, 1, 6, 5), "compression": "gzip", "track_order": settings.get("track_order")}
        data = file.create_dataset("data", data=ROWS[:rows], **options)
        for number in range(attributes):
            data.attrs[f"attribute {number}"] = np.arange(number)
    return str(path)


@contextlib.contextmanager
def opened(path):
    """The data set of a file, and the file as its addresses count."""
    start = hdf5_start(path)
    with Behind(path, start) as stream, h5py.File(stream if start else path, "r") as file:
        yield file["data"], stream


def as_the_file_says(data, stream):
    found = []
    assert visit_index(data, stream, found.append)
    return found


def as_h5py_says(data):
    found = []
    data.id.chunk_iter(found.append)
    return {(chunk.chunk_offset, chunk.filter_mask, chunk.byte_offset, chunk.size) for chunk in found}


@pytest.mark.parametrize("settings", FILES.values(), ids=FILES.keys())
def test_the_index_of_a_file_says_what_h5py_says(tmp_path, settings):
    path = written(tmp_path / "train.h5", **settings)
    with opened(path) as (data, stream):
        found = as_the_file_says(data, stream)
        assert len(found) == 2 * 3 * len(data)
        assert set(found) == as_h5py_says(data)


def test_addresses_of_four_bytes(tmp_path):
    sizes = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    sizes.set_sizes(4, 4)
    path = str(tmp_path / "small.h5")
    with h5py.File(h5py.h5f.create(path.encode(), fcpl=sizes)) as file:
        file.create_dataset("data", data=ROWS, chunks=(2, 3, 6, 8), compression="gzip")
    with opened(path) as (data, stream):
        assert set(as_the_file_says(data, stream)) == as_h5py_says(data)


def test_chunks_that_were_never_written(tmp_path):
    path = str(tmp_path / "empty.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (9, 3, 6, 8), "u1", chunks=(1, 3, 6, 8))
    with opened(path) as (data, stream):
        assert as_the_file_says(data, stream) == []


def test_an_index_of_another_kind_is_an_error_with_a_remedy(tmp_path, monkeypatch):
    """`libver="latest"` writes one of five others."""
    path = written(tmp_path / "latest.h5", rows=20, libver="latest")
    monkeypatch.setattr(hdf5_layout, "visit_chunks", visit_index)
    with opened(path) as (data, _), pytest.raises(DataError) as error:
        hdf5_layout.images(File.of(path), data, 0)
    assert error.value.problem == f"data set `data` has an index of chunks that h5py {h5py.__version__} does not read"
    source = open_source("HDF5", rewritten(error.value.remedy, monkeypatch))
    np.testing.assert_array_equal(source.read(19), ROWS[19].transpose(1, 2, 0))
