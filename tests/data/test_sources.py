import os
import pickle

import lmdb
import numpy as np
import pytest

from caffe_pylayers.data.datum import Datum
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.errors import DataError


@pytest.fixture
def write(tmp_path):
    """Write a list, and empty files for the names in it; return its path."""

    def writer(text, names=(), encoding="utf-8"):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"x")
        (tmp_path / "list.txt").write_bytes(text.encode(encoding))
        return str(tmp_path / "list.txt")

    return writer


LISTS = {
    "spaces": ("a.jpg 3\nb.jpg 4\n", ["a.jpg", "b.jpg"], [3, 4]),
    "tabs": ("a.jpg\t3\nb c.jpg\t4\n", ["a.jpg", "b c.jpg"], [3, 4]),
    "commas": ("a.jpg,3\nb c.jpg, 4\n", ["a.jpg", "b c.jpg"], [3, 4]),
    "spaces in names, as ImageData takes them": ("a b 1.jpg 3\nc.jpg 4\n", ["a b 1.jpg", "c.jpg"], [3, 4]),
    "quotes and spaces": ('"a b" 3\nc.jpg 4\n', ["a b", "c.jpg"], [3, 4]),
    "quotes and commas": ('"a,b.jpg",3\n"say ""c""",4', ["a,b.jpg", 'say "c"'], [3, 4]),
    "several labels": ("a.jpg 3 5\nb.jpg 4 6\n", ["a.jpg", "b.jpg"], [[3, 5], [4, 6]]),
    "joined labels": ("a.jpg,17:24:35\nb.jpg,4\n", ["a.jpg", "b.jpg"], [[17, 24, 35], [4, -1, -1]]),
    "whole floats": ("a.jpg 3.0\nb.jpg -1\n", ["a.jpg", "b.jpg"], [3, -1]),
    "Windows": ("\ufeffa.jpg,3\r\n\r\nb.jpg,4\r\n", ["a.jpg", "b.jpg"], [3, 4]),
    "no labels, spaces in names": ("a b.jpg\nc d.jpg\n", ["a b.jpg", "c d.jpg"], None),
    "no labels": ("a.jpg\nb.jpg\n", ["a.jpg", "b.jpg"], None),
    "folders": ("x/a.jpg 0\nx/y/b.jpg 1", ["x/a.jpg", "x/y/b.jpg"], [0, 1]),
    "not ASCII": ("größe.jpg 0\n写真.jpg 1", ["größe.jpg", "写真.jpg"], [0, 1]),
}


@pytest.mark.parametrize("text, names, labels", LISTS.values(), ids=LISTS.keys())
def test_csv_forms(write, tmp_path, text, names, labels):
    source = open_source("CSV", write(text, names), root=str(tmp_path))
    assert [os.fsdecode(source.names[record]) for record in range(len(source))] == names
    if labels is None:
        assert source.labels is None
    else:
        np.testing.assert_array_equal(source.labels, labels)
    assert source.read(1) == b"x"


BAD_LISTS = {
    "empty": ("", [], "it has no records"),
    "blank": ("\n  \n", [], "it has no records"),
    "header": ("name,label\na.jpg,1\n", ["a.jpg"], "line 1: label 'label' is not a whole number.*header"),
    "a word for a label": ("a.jpg 0\nb.jpg x\n", ["a.jpg"], "line 2: a name and 1 label column expected.*'b.jpg x'"),
    "fraction": ("a.jpg 0\nb.jpg 0.5\n", ["a.jpg"], "line 2: label '0.5' is not a whole number"),
    "too large": ("a.jpg 16777217\n", ["a.jpg"], "line 1: label '16777217' is not a whole number up to 16777216"),
    "ragged": ("a.jpg,1,2\nb.jpg,1\n", ["a.jpg"], "line 2: a name and 2 label columns expected"),
    "missing file": ("a.jpg 1\nb.jpg 1\n", ["a.jpg"], "1 of 2 files are not there; the first is record 1, .*b.jpg"),
    "no name": (",3\n", [], "line 1: a name and 1 label column expected"),
}


@pytest.mark.parametrize("text, names, message", BAD_LISTS.values(), ids=BAD_LISTS.keys())
def test_bad_lists(write, tmp_path, text, names, message):
    path = write(text, names)
    with pytest.raises(DataError, match=message) as error:
        open_source("CSV", path, root=str(tmp_path))
    assert path in str(error.value)


def test_missing_list_says_where_it_looked(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path}/none.csv: cannot read it: No such file"):
        open_source("CSV", str(tmp_path / "none.csv"))


def test_a_file_that_goes_away_is_named(write, tmp_path):
    source = open_source("CSV", write("a.jpg 1\n", ["a.jpg"]), root=str(tmp_path))
    os.remove(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"record 0 \('a.jpg'\): cannot read .*a.jpg: No such file"):
        source.read(0)


def test_lmdb_and_csv_hold_the_same(photos):
    listed = open_source("CSV", photos.csv, root=str(photos.folder))
    database = open_source("LMDB", photos.lmdb)
    np.testing.assert_array_equal(listed.labels, photos.labels)
    np.testing.assert_array_equal(database.labels, photos.labels)
    for record in range(len(listed)):
        assert listed.read(record) == database.read(record) == photos.bytes_of(record)


@pytest.mark.parametrize("source_type", ["CSV", "LMDB"])
def test_workers_get_no_labels(photos, source_type):
    path = photos.csv if source_type == "CSV" else photos.lmdb
    options = {"root": str(photos.folder)} if source_type == "CSV" else {}
    source = pickle.loads(pickle.dumps(open_source(source_type, path, **options)))
    assert source.labels is None
    assert source.read(3) == photos.bytes_of(3)


def test_an_lmdb_may_be_opened_twice_and_be_written_anew(tmp_path):
    path = str(tmp_path / "db")
    write_lmdb(path, [Datum(b"abc", 1, 3, 1, 1)])
    first, second = open_source("LMDB", path), open_source("LMDB", path)
    np.testing.assert_array_equal(first.read(0), second.read(0))
    os.remove(os.path.join(path, "data.mdb"))
    os.rmdir(path)
    write_lmdb(path, [Datum(b"xyz", 2, 3, 1, 1), Datum(b"xyz", 3, 3, 1, 1)])
    assert open_source("LMDB", path).labels.tolist() == [2, 3]
    assert os.listdir(path) == ["data.mdb"]  # reading wrote nothing


def test_bad_lmdbs(tmp_path, photos):
    empty = str(tmp_path / "empty")
    write_lmdb(empty, [])
    with pytest.raises(DataError, match=f"LMDB source {empty}: it has no records"):
        open_source("LMDB", empty)
    with pytest.raises(DataError, match="cannot read it: No such file"):
        open_source("LMDB", str(tmp_path / "none"))
    os.makedirs(tmp_path / "other")
    (tmp_path / "other" / "data.mdb").write_bytes(b"no database" * 1000)
    with pytest.raises(DataError, match="it is not an LMDB"):
        open_source("LMDB", str(tmp_path / "other"))
    with lmdb.open(str(tmp_path / "text")) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"key 1", b"\x22\x7f hello")
    with pytest.raises(DataError, match=r"record 0 \('key 1'\): a protobuf message cut short"):
        open_source("LMDB", str(tmp_path / "text"))
    half = str(tmp_path / "half")
    write_lmdb(half, [Datum(b"abc", 1, 3, 1, 1), Datum(b"abc", None, 3, 1, 1)])
    with pytest.raises(DataError, match=r"record 1 \('00000001'\) has no label"):
        open_source("LMDB", half)


def test_a_writer_that_breaks_off_leaves_nothing(tmp_path):
    def records():
        yield Datum(b"abc", 1, 3, 1, 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_lmdb(str(tmp_path / "db"), records())
    assert os.listdir(tmp_path) == []
    write_lmdb(str(tmp_path / "db"), [Datum(b"abc", 1, 3, 1, 1)])
    with pytest.raises(DataError, match="is there already"):
        write_lmdb(str(tmp_path / "db"), [])
