import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data.sources import Record, open_source
from caffe_pylayers.data.sources.bcf import write_bcf
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.errors import DataError
from tests.data.mutations import mutated_files
from tests.refusals import refused


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A BCF file of three records."""
    path = str(tmp_path_factory.mktemp("three") / "train.bcf")
    write_bcf(path, [Record(b"x")] * 3)
    return path


def annotated(three, tmp_path, content, option="labels", **options):
    """The source with an .npy file (of an array) or a text file (of a string)."""
    file = str(tmp_path / ("file.npy" if isinstance(content, np.ndarray) else "file.txt"))
    if isinstance(content, np.ndarray):
        np.save(file, content)
    else:
        with open(file, "w") as stream:
            stream.write(content)
    return open_source("BCF", three, **{option: file}, **options)


FILES = {
    "npy": (np.array([3, 1, 2]), [3, 1, 2]),
    "npy column": (np.array([[3], [1], [2]], np.uint8), [3, 1, 2]),
    "npy rows": (np.array([[3, 1], [4, -1], [0, 0]], ">i2"), [[3, 1], [4, -1], [0, 0]]),
    "npy floats": (np.array([3.0, -1, 2]), [3, -1, 2]),
    "npy uint64": (np.array([3, 1, 2], np.uint64), [3, 1, 2]),
    "text": ("3\n1\n2\n", [3, 1, 2]),
    "text, no end, blank lines, Windows": ("3\r\n\r\n1\r\n2", [3, 1, 2]),
    "whole floats": ("3.0\n1e0\n-1\n", [3, 1, -1]),
    "joined": ("17:24:35\n1\n-1\n", [[17, 24, 35], [1, -1, -1], [-1, -1, -1]]),
    "spaces": ("17  24\n1 2\n3 4\n", [[17, 24], [1, 2], [3, 4]]),
    "a byte order mark, old Macs, quotes, a comment": (
        '\ufeff# class\r"17","24"\r1,2 # twice\r3,4',
        [[17, 24], [1, 2], [3, 4]],
    ),
    "commas and tabs": ("17, 24\n1\t2\n3;4\n", [[17, 24], [1, 2], [3, 4]]),
}


@pytest.mark.parametrize("content, labels", FILES.values(), ids=FILES.keys())
def test_label_files(three, tmp_path, content, labels):
    source = annotated(three, tmp_path, content)
    np.testing.assert_array_equal(source.labels, labels)
    assert source.labels.dtype == np.int32
    assert source.label_dim is None


BAD_FILES = {
    "too few": (np.array([3, 1]), r"labels .*file.npy has 2 rows, but the source has 3 records"),
    "zeros": ("\0", "zero byte in line 1; save it as text in UTF-8"),
    "too many": ("3\n1\n2\n4\n", "labels .*file.txt has 4 rows, but the source has 3 records"),
    "none": ("\n", "labels .*file.txt: it is empty"),
    "a word": (
        "3\ncat 1\n2\n",
        "labels .*file.txt, line 2: numbers are expected, but the line is 'cat 1'",
    ),
    "a fraction": ("3\n1\n0.5\n", r"train.bcf: record 2 \('2'\): label 0.5 of .*file.txt; integers are allowed"),
    "no number": (np.array([3, np.nan, 1]), r"record 1 \('1'\): label nan of .*file.npy; integers"),
    "infinite": (np.array([3, np.inf, 1]), "its label is above 16777216|label inf"),
    "large": (np.array([3, 1 << 63, 1], np.uint64), r"record 1 \('1'\): its label is above 16777216"),
    "large below": (np.array([3, -(1 << 40), 1]), r"record 1 \('1'\): its label is above 16777216"),
    "three axes": (np.zeros((3, 2, 2)), r"numbers of shape \(N,\) or \(N, L\) are allowed, but it has .*\(3, 2, 2\)"),
    "words": (np.array(["a", "b", "c"]), "are allowed, but it has type <U1"),
    "objects": (np.array([1, None, 2], object), "not a .npy file of numbers"),
    "nothing": (np.zeros((3, 0)), r"it has type float64 and shape \(3, 0\)"),
}


@pytest.mark.parametrize("content, message", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_label_files(three, tmp_path, content, message):
    with pytest.raises(DataError, match=message) as error:
        annotated(three, tmp_path, content)
    assert str(error.value).startswith(f"BCF source {three}: ")


def test_a_file_that_is_not_there(three, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with refused(DataError, "No such file", source=f"labels {tmp_path}/none.npy"):
        open_source("BCF", three, labels="none.npy")


@given(rows=st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=3, max_size=3))
@settings(max_examples=50)
def test_indicator_rows_are_the_labels_that_are_1(three, tmp_path_factory, rows):
    source = annotated(three, tmp_path_factory.mktemp("rows"), np.array(rows), label_format="indicator")
    assert source.label_dim == 4
    for row, found in zip(rows, source.labels.tolist()):
        expected = [label for label, there in enumerate(row) if there]
        assert found == expected + [-1] * (len(found) - len(expected))
    assert source.labels.shape[1] == max(1, max(map(sum, rows)))


def test_indicator_rows_of_the_source_itself(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "list.txt").write_text("a.jpg 0 1 1\na.jpg 0 0 0\n")
    source = open_source("CSV", str(tmp_path / "list.txt"), root=str(tmp_path), label_format="indicator")
    assert (source.labels.tolist(), source.label_dim) == ([[1, 2], [-1, -1]], 3)
    write_hdf5(str(tmp_path / "train.h5"), [Record(b"x", (0, 1, 1)), Record(b"x", (1, 0, 0))])
    source = open_source("HDF5", str(tmp_path / "train.h5"), label_format="indicator")
    assert (source.labels.tolist(), source.label_dim) == ([[1, 2], [0, -1]], 3)


@pytest.mark.parametrize(
    "content, found", [("0 1\n1 1\n0 2\n", "2.0"), ("0 1\n1\n0 1\n", "nan"), ("0 1\n1 1\n0 -2\n", "-2.0")]
)
def test_what_is_no_indicator(three, tmp_path, content, found):
    with pytest.raises(
        DataError,
        match=rf"record \d \('\d'\): label {found} of .*; 0, 1 and -1 .not known. for `label_format: indicator`",
    ):
        annotated(three, tmp_path, content, label_format="indicator")


WEIGHTS = {
    "npy": (np.array([0.5, 0, 2]), None, [0.5, 0, 2]),
    "column": (np.array([[1], [2], [3]]), None, [1, 2, 3]),
    "text": ("0.5\n0\n1e-3\n", None, np.float32([0.5, 0, 1e-3])),
    "as labels": ("1:2\n3:4\n5:6\n", {"labels": "0:1\n2:3\n4:5\n"}, [[1, 2], [3, 4], [5, 6]]),
    "ragged as labels": ("1:2\n3\n5:6\n", {"labels": "0:1\n2\n4:5\n"}, [[1, 2], [3, 0], [5, 6]]),
    "one a record of several labels": ("1\n2\n3\n", {"labels": "0:1\n2\n4:5\n"}, [1, 2, 3]),
    "as indicators": (
        np.arange(9).reshape(3, 3), {"labels": "0 1 0\n1 0 0\n0 0 1\n", "label_format": "indicator"},
        [[0, 1, 2], [3, 4, 5], [6, 7, 8]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("content, labels, weights", WEIGHTS.values(), ids=WEIGHTS.keys())
def test_weight_files(three, tmp_path, content, labels, weights):
    options = dict(labels or {})
    if labels:
        (tmp_path / "labels.txt").write_text(options["labels"])
        options["labels"] = str(tmp_path / "labels.txt")
    source = annotated(three, tmp_path, content, option="sample_weights", **options)
    np.testing.assert_array_equal(source.sample_weights, weights)
    assert source.sample_weights.dtype == np.float32


BAD_WEIGHTS = {
    "negative": (np.array([1, -1, 2]), {}, r"record 1 \('1'\): sample weight -1 of .*file.npy; finite numbers from 0"),
    "no number": ("1\nnan\n2\n", {}, r"record 1 \('1'\): sample weight nan of .*file.txt"),
    "too large for a blob": ("1\n1e39\n2\n", {}, "sample weight 1e[+]39"),
    "two for no labels": ("1 2\n1 2\n1 2\n", {}, r"sample weights of .*file.txt have 2 columns; .*\(1\)"),
    "two for three labels": ("1 2\n1 2\n1 2\n", {"labels": "0 1 2\n0 1 2\n0 1 2"}, r"have 2 columns; .*\(3\)"),
    "too few for a row": ("1:2\n3\n5:6\n", {"labels": "0:1\n2:3\n4:5\n"}, r"record 1 \('1'\): sample weight nan"),
    "too few": ("1\n2\n", {}, "sample_weights .*file.txt has 2 rows, but the source has 3 records"),
}


@pytest.mark.parametrize("content, labels, message", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS.keys())
def test_bad_weight_files(three, tmp_path, content, labels, message):
    if labels:
        (tmp_path / "labels.txt").write_text(labels["labels"])
        labels = {"labels": str(tmp_path / "labels.txt")}
    with pytest.raises(DataError, match=message):
        annotated(three, tmp_path, content, option="sample_weights", **labels)


@pytest.fixture
def keyed(tmp_path):
    """Write an LMDB of labels or weights under keys, in an order of its own; return its path."""

    def writer(**rows):
        import lmdb

        from caffe_pylayers.caffe_files.datum import write_datum

        path = str(tmp_path / "labels_lmdb")
        with lmdb.open(path, map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
            for key, values in rows.items():
                datum = Datum(b"", values[0]) if len(values) == 1 else Datum(bytes(values), None, len(values), 1, 1)
                transaction.put(key.replace("_", ".").encode(), write_datum(datum))
        return path

    return writer


@pytest.fixture
def listed(tmp_path):
    """A list of three files whose names are not in order."""
    for name in ("c.jpg", "a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "list.txt").write_text("c.jpg\na.jpg\nb.jpg\n")

    def opened(**options):
        return open_source("CSV", str(tmp_path / "list.txt"), root=str(tmp_path), **options)

    return opened


def test_an_lmdb_goes_by_keys(listed, keyed):
    path = keyed(a_jpg=[1], b_jpg=[2], c_jpg=[3])
    assert listed(labels=path).labels.tolist() == [3, 1, 2]
    assert listed(labels=f"{path}/data.mdb").labels.tolist() == [3, 1, 2]
    assert listed(sample_weights=path).sample_weights.tolist() == [3, 1, 2]


def test_an_lmdb_of_rows(listed, keyed):
    assert listed(labels=keyed(a_jpg=[1, 7], b_jpg=[2, 8], c_jpg=[3, 9])).labels.tolist() == [[3, 9], [1, 7], [2, 8]]


def test_ragged_rows_of_an_lmdb(listed, keyed):
    assert listed(labels=keyed(a_jpg=[1, 7], b_jpg=[2], c_jpg=[3])).labels.tolist() == [[3, -1], [1, 7], [2, -1]]


def test_indicator_rows_of_an_lmdb(listed, keyed):
    source = listed(labels=keyed(a_jpg=[0, 1], b_jpg=[1, 1], c_jpg=[0, 0]), label_format="indicator")
    assert (source.labels.tolist(), source.label_dim) == ([[-1, -1], [1, -1], [0, 1]], 2)


def test_a_record_without_key(listed, keyed):
    with refused(DataError, "record 2 ('b.jpg')", source="labels_lmdb"):
        listed(labels=keyed(a_jpg=[1], c_jpg=[3]))


def test_a_key_without_record(listed, keyed):
    with refused(DataError, "'bb.jpg'", source="labels_lmdb"):
        listed(labels=keyed(a_jpg=[1], b_jpg=[2], bb_jpg=[2], c_jpg=[3], d_jpg=[3]))


def test_an_lmdb_beside_an_lmdb_and_beside_records_without_names(tmp_path, three):
    write_lmdb(str(tmp_path / "images"), [Datum(b"x", 0, encoded=True)] * 3)
    write_lmdb(str(tmp_path / "labels"), [Datum(b"", label) for label in (4, 5, 6)])
    source = open_source("LMDB", str(tmp_path / "images"), labels=str(tmp_path / "labels"))
    assert source.labels.tolist() == [4, 5, 6]
    with refused(DataError, "no keys", remedy=".npy"):
        open_source("BCF", three, labels=str(tmp_path / "labels"))


def test_damaged_npy_and_text(three, tmp_path):
    """500 mutations each: an error that names the source, or three labels."""
    np.save(tmp_path / "whole.npy", np.array([[1, 2], [3, 4], [5, 6]]))
    outcomes = []
    for name, data in (("labels.npy", (tmp_path / "whole.npy").read_bytes()), ("labels.txt", b"1:2\n3:4\n5:6\n")):
        for _ in mutated_files(str(tmp_path / name), data, 500, seed=1, text=b"\0\n\r\" ,:\t-.e9\xff'"):
            try:
                source = open_source("BCF", three, labels=str(tmp_path / name))
                assert len(source.labels) == 3
                outcomes.append("read")
            except DataError as error:
                assert three in str(error)
                outcomes.append("refused")
    assert outcomes.count("refused") > 300 and outcomes.count("read") > 50
