"""`label_format: values`: labels that are any numbers, from every source of labels."""

import numpy as np
import pytest

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.config import load
from caffe_pylayers.data.sources import Record, open_source, source_of
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.errors import ConfigError, DataError
from tests.refusals import refused

NAN = float("nan")


def values_of(path, **options):
    source = open_source("CSV", str(path), label_format="values", missing=None, **options)
    assert source.labels.dtype == np.float32
    return source


def listed(tmp_path, text, **options):
    (tmp_path / "list.txt").write_text(text)
    return values_of(tmp_path / "list.txt", **options)


@pytest.mark.parametrize(
    "text, names, values",
    [
        ("a.jpg 0.5\nb.jpg -1e-3\n", ["a.jpg", "b.jpg"], [0.5, -1e-3]),
        ("a.jpg,0.5,nan\nb.jpg,,2\n", ["a.jpg", "b.jpg"], [[0.5, NAN], [NAN, 2]]),
        ("a.jpg\t1\t2\t3\nb c.jpg\t-4\t+5.\t6e2\n", ["a.jpg", "b c.jpg"], [[1, 2, 3], [-4, 5, 600]]),
        ("two words.jpg 1.5 2\nb.jpg 3 nan\n", ["two words.jpg", "b.jpg"], [[1.5, 2], [3, NAN]]),
        ('"a, b.jpg",1.5\nc.jpg,nan\n', ["a, b.jpg", "c.jpg"], [1.5, NAN]),
        ("a.jpg 3\nb.jpg 4\n", ["a.jpg", "b.jpg"], [3, 4]),
    ],
)
def test_lists(text, names, values, tmp_path):
    source = listed(tmp_path, text)
    assert [source.names[n].decode() for n in range(len(source))] == names
    np.testing.assert_array_equal(source.labels, np.array(values, np.float32))


TABLE = "name,age,x1,y1,weight\na.jpg,31.5,1,2,1\nb.jpg,,3,4,2\n"


@pytest.mark.parametrize(
    "labels, values",
    [
        (None, [[31.5, 1, 2], [NAN, 3, 4]]),
        ("age", [31.5, NAN]),
        (("age",), [31.5, NAN]),
        (("y1", "x1"), [[2, 1], [4, 3]]),
    ],
)
def test_columns_by_name(labels, values, tmp_path):
    source = listed(tmp_path, TABLE, header=True, labels=labels)
    np.testing.assert_array_equal(source.labels, np.array(values, np.float32))
    assert source.sample_weights.tolist() == [1, 2]


def test_label_numbers_in_columns_by_name_too(tmp_path):
    (tmp_path / "list.txt").write_text("name,hue,shape\na.jpg,1,2\nb.jpg,3,4\n")
    source = open_source("CSV", str(tmp_path / "list.txt"), header=True, missing=None, labels=("shape", "hue"))
    assert source.labels.tolist() == [[2, 1], [4, 3]] and source.labels.dtype == np.int32


@pytest.mark.parametrize(("label_format", "no"), [("indicator", 0), ("sign", -1)])
def test_all_columns_are_those_of_targets(label_format, no, tmp_path):
    (tmp_path / "list.txt").write_text(f"name,cat,weight,dog\na.jpg,1,0.5,{no}\nb.jpg,{no},2,{no}\n")
    source = open_source("CSV", str(tmp_path / "list.txt"), header=True, missing=None, label_format=label_format)
    assert source.labels.tolist() == [[0], [-1]]
    assert (source.label_dim, source.sample_weights.tolist()) == (2, [0.5, 2])


def test_a_column_that_is_not_there(tmp_path):
    with refused(DataError, "no column 'y2'", "name, age, x1, y1, weight"):
        listed(tmp_path, TABLE, header=True, labels=("x1", "y2"))


@pytest.mark.parametrize(
    "text, words",
    [
        ("a.jpg,1\nb.jpg,two\n", "'two'"),
        ("a.jpg,1\nb.jpg,inf\n", "'inf'"),
        ("a.jpg,1\nb.jpg,1e39\n", "'1e39'"),
        ("a.jpg,1,2\nb.jpg,1\n", "2 label columns"),
    ],
)
def test_what_is_no_value(text, words, tmp_path):
    with refused(DataError, words, source="line 2"):
        listed(tmp_path, text)


def test_a_list_of_numbers_that_are_no_labels_says_how_they_are_read(tmp_path):
    (tmp_path / "list.txt").write_text("a.jpg 1\nb.jpg 0.5\n")
    with refused(DataError, "'0.5'", remedy="`label_format: values`"):
        open_source("CSV", str(tmp_path / "list.txt"), missing=None)


ROWS = np.array([[0.25, -7], [NAN, 1e6], [3, 16777217]])


@pytest.fixture(params=["npy", "text", "lmdb"])
def file_of_values(request, tmp_path):
    if request.param == "npy":
        np.save(str(tmp_path / "values.npy"), ROWS)
        return tmp_path / "values.npy"
    if request.param == "text":
        (tmp_path / "values.txt").write_text("0.25 -7\nnan 1e6\n3 16777217\n")
        return tmp_path / "values.txt"
    rows = (Datum(b"", None, 2, 1, 1, float_data=row.astype(np.float32)) for row in ROWS)
    write_lmdb(str(tmp_path / "values"), rows)
    return tmp_path / "values"


def test_files_of_values(file_of_values, tmp_path):
    write_lmdb(str(tmp_path / "images"), [Datum(bytes(12), n, 3, 2, 2) for n in range(3)])
    source = open_source("LMDB", str(tmp_path / "images"), labels=str(file_of_values), label_format="values")
    np.testing.assert_array_equal(source.labels, ROWS.astype(np.float32))
    assert source.unlabelled().tolist() == [False] * 3


def test_hdf5(tmp_path):
    records = [Record(np.zeros((2, 2, 3), np.uint8), (0,)) for _ in range(3)]
    write_hdf5(str(tmp_path / "a.h5"), records)
    import h5py

    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["landmarks"] = ROWS
    source = open_source("HDF5", str(tmp_path / "a.h5"), labels="landmarks", label_format="values")
    np.testing.assert_array_equal(source.labels, ROWS.astype(np.float32))


@pytest.mark.parametrize("text, remedy", [("1 2\n3\n4 5\n", "nan"), ("1 inf\n2 3\n4 5\n", "finite")])
def test_files_that_are_refused(text, remedy, tmp_path):
    (tmp_path / "values.txt").write_text(text)
    (tmp_path / "list.txt").write_text("a\nb\nc\n")
    with refused(DataError, remedy=remedy):
        values_of(tmp_path / "list.txt", labels=str(tmp_path / "values.txt"))


@pytest.mark.parametrize(
    "layer, options, names",
    [
        ("ImageDataLayer", {"type": "BALANCED"}, "type"),
        ("ImageDataLayer", {"type": "PK", "classes_per_batch": 2, "samples_per_class": 2}, "type"),
        ("ImageDataLayer", {"on_error": "replace"}, "on_error"),
        ("MultiLabelDataLayer", {"multilabel": True}, "multilabel"),
        ("SiameseDataLayer", {}, "type"),
        ("TripletDataLayer", {"type": "RANDOM_MULTILABEL"}, "type"),
    ],
)
def test_what_goes_by_classes_is_refused(layer, options, names):
    with pytest.raises(ConfigError) as caught:
        load(layer, repr({"source": "list.txt", "label_format": "values", **options}))
    assert [problem.option for problem in caught.value.problems] == [names]


def test_sim_of_pairs_is_not_taken_from_values(tmp_path):
    (tmp_path / "list.txt").write_text("a 1.5\nb 2\n")
    (tmp_path / "pairs.txt").write_text("0 1\n")
    options = {"source": str(tmp_path / "list.txt"), "pairs": str(tmp_path / "pairs.txt"), "label_format": "values"}
    from caffe_pylayers.data.samplers import sampler_of

    source = source_of(load("SiameseDataLayer", repr(options)), images=False)
    with refused(DataError, "values", remedy="sim"):
        sampler_of(source, load("SiameseDataLayer", repr(options)), training=True, ranks=1)
