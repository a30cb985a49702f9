"""What holds for every source: records come back as they were written, in this process and in workers."""

import os
import pickle

import cv2
import numpy as np
import pytest

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data.formats import FORMATS
from caffe_pylayers.data.sources import Record, open_source
from caffe_pylayers.data.sources.bcf import write_bcf
from caffe_pylayers.data.sources.csv import write_csv
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import DataError
from tests.refusals import refused


def encoded(photos):
    for number, name in enumerate(photos.names):
        yield Record(photos.bytes_of(number), (int(photos.labels[number]),), number / 4, name)


def pixels(photos):
    """The same, decoded, and of one size."""
    for number, record in enumerate(encoded(photos)):
        yield Record(cv2.resize(photos.decoded(number), (40, 30)), record.labels, record.weight, record.name)


def csv(folder, records):
    write_csv(f"{folder}/list.csv", records, f"{folder}/images")
    return open_source("CSV", f"{folder}/list.csv", root=f"{folder}/images", header=True)


def lmdb(folder, records):
    def data():
        for record in records:
            if isinstance(record.image, bytes):
                yield Datum(record.image, record.labels[0], encoded=True)
            else:
                planes = np.ascontiguousarray(record.image.transpose(2, 0, 1))
                yield Datum(planes.tobytes(), record.labels[0], *planes.shape)

    write_lmdb(f"{folder}/db", data())
    np.save(f"{folder}/weights.npy", np.arange(37) / 4)
    return open_source("LMDB", f"{folder}/db", sample_weights=f"{folder}/weights.npy")


def bcf(mode):
    def opened(folder, records):
        path = f"{folder}/train.bcf"
        write_bcf(path, records)
        files = {"labels": f"{path}.labels.npy", "sample_weights": f"{path}.weights.npy"}
        return open_source("BCF", path, bcf_mode=mode, **files)

    return opened


def hdf5(folder, records):
    write_hdf5(f"{folder}/train.h5", records)
    return open_source("HDF5", f"{folder}/train.h5")


SOURCES = {"CSV": csv, "LMDB": lmdb, "BCF FILE": bcf("FILE"), "BCF MEM": bcf("MEM"), "HDF5": hdf5}
each_source = pytest.mark.parametrize("opened", SOURCES.values(), ids=SOURCES.keys())


@each_source
@pytest.mark.parametrize("form", [encoded, pixels])
def test_every_source_gives_back_what_was_written(opened, form, photos, tmp_path):
    source = opened(tmp_path, form(photos))
    assert len(source) == len(photos.names)
    np.testing.assert_array_equal(source.labels, photos.labels)
    np.testing.assert_array_equal(source.sample_weights, np.arange(37) / 4)
    assert source.sample_weights.dtype == np.float32
    # A worker gets it pickled, without labels and weights.
    worker = pickle.loads(pickle.dumps(source))
    assert worker.labels is None and worker.sample_weights is None
    for reader in (source, worker):
        for number, record in reversed(list(enumerate(form(photos)))):
            if isinstance(record.image, bytes):
                assert bytes(reader.read(number)) == record.image
            expected = photos.decoded(number) if form is encoded else record.image
            np.testing.assert_array_equal(Transforms().load(reader, number), expected)


@each_source
def test_every_source_names_the_record_that_is_no_image(opened, photos, tmp_path):
    records = list(encoded(photos))
    records[3] = Record(b"no image", records[3].labels, 0.0, records[3].name)
    source = opened(tmp_path, records)
    Transforms().load(source, 2)
    with refused(DataError, "not an image", record=3):
        Transforms().load(source, 3)


def test_a_folder_in_the_place_of_a_source_is_refused_with_what_to_name(tmp_path):
    (tmp_path / "cats").mkdir()
    write_lmdb(str(tmp_path / "a_lmdb"), [Datum(bytes(12), 1, 3, 2, 2)])
    for kind in FORMATS:
        with refused(DataError, "it is a folder", remedy=f"`caffe-pylayers list {tmp_path}/cats`"):
            open_source(kind, str(tmp_path / "cats"))


def test_a_source_of_another_type_is_named_as_what_it_is(tmp_path, photos):
    write_lmdb(str(tmp_path / "lmdb"), [Datum(bytes(12), 1, 3, 2, 2)])
    write_hdf5(str(tmp_path / "h5"), encoded(photos))
    write_bcf(str(tmp_path / "bcf"), encoded(photos))
    (tmp_path / "leveldb").mkdir()
    for name in ("CURRENT", "MANIFEST-000002", "000003.log"):
        (tmp_path / "leveldb" / name).write_text("MANIFEST-000002")
    photo = photos.folder / photos.names[0]
    for path, found, right in (
        (tmp_path / "lmdb", "an LMDB", "LMDB"),
        (tmp_path / "h5", "an HDF5 file", "HDF5"),
        (tmp_path / "bcf", "a binary file", "BCF"),
        (tmp_path / "leveldb", "a LevelDB", None),
        (photo, "an image (JPEG)", None),
    ):
        for kind in {*FORMATS} - {right}:
            if right == "BCF" and kind != "CSV":  # where it might be a damaged one of that type
                continue
            remedy = f"`source_type: {right}`" if right else "list of"
            with refused(DataError, found, source=f"{kind} source {path}", remedy=remedy):
                open_source(kind, str(path))
        if right:
            open_source(right, str(path))


@pytest.mark.parametrize(
    "write", [lambda path, records: write_csv(path, records, f"{path}.images"), write_bcf, write_hdf5]
)
def test_a_writer_that_breaks_off_leaves_nothing(write, tmp_path, photos):
    def broken():
        yield from list(encoded(photos))[:5]
        raise KeyboardInterrupt

    path = str(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        write(path, broken())
    with pytest.raises(DataError, match="weight"):  # the second has none
        write(path, [Record(photos.bytes_of(0), (1,), 1.0), Record(photos.bytes_of(1), (1,))])
    assert os.listdir(tmp_path) == []
    assert write(path, encoded(photos)) == 37
    before = sorted(os.listdir(tmp_path))
    with refused(DataError, "already", remedy="another name"):
        write(path, encoded(photos))
    assert sorted(os.listdir(tmp_path)) == before
