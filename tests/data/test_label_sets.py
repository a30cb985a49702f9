"""Rows of several labels: as numbers that are sets, as indicators, as signs."""

import lmdb
import numpy as np
import pytest

from caffe_pylayers import config
from caffe_pylayers.caffe_files.datum import Datum, write_datum
from caffe_pylayers.data.sources import Record, open_source, source_of
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.errors import DataError
from tests.refusals import refused

KINDS = ("CSV", "npy", "text", "LMDB", "HDF5")


@pytest.fixture(params=KINDS)
def rows_of(request, tmp_path):
    """Options of a source whose records have these rows of labels, for each place that labels come from."""

    def options(rows):
        listed = [":".join(map(str, row)) for row in rows]
        (tmp_path / "list.csv").write_text("".join(f"{number}.jpg\n" for number in range(len(rows))))
        given = {"source_type": "CSV", "source": str(tmp_path / "list.csv")}
        if request.param == "CSV":
            (tmp_path / "list.csv").write_text("".join(f"{n}.jpg,{row}\n" for n, row in enumerate(listed)))
        elif request.param == "npy":
            widest = max(map(len, rows))
            np.save(tmp_path / "labels.npy", [[*row, *[-1] * (widest - len(row))] for row in rows])
            given["labels"] = str(tmp_path / "labels.npy")
        elif request.param == "text":
            (tmp_path / "labels.txt").write_text("\n".join(listed))
            given["labels"] = str(tmp_path / "labels.txt")
        elif request.param == "LMDB":
            write_lmdb(str(tmp_path / "lmdb"), [Datum(b"x", tuple(row), encoded=True) for row in rows])
            given = {"source_type": "LMDB", "source": str(tmp_path / "lmdb")}
        else:
            write_hdf5(str(tmp_path / "train.h5"), [Record(b"x", tuple(row)) for row in rows])
            given = {"source_type": "HDF5", "source": str(tmp_path / "train.h5")}
        return given

    return options


def opened(given, layer="MultiLabelDataLayer", **options):
    if layer == "MultiLabelDataLayer":
        options = {"multilabel": True, **options}
    return source_of(config.validate(layer, {**given, **options}), images=False)


SETS = {
    "several": ("MultiLabelDataLayer", {}),
    "pairs": ("SiameseDataLayer", {"type": "RANDOM_MULTILABEL"}),
    "triplets": ("TripletDataLayer", {"type": "RANDOM_MULTILABEL"}),
    "hard triplets": ("TripletDataLayer", {"type": "HARD_MULTILABEL"}),
}


@pytest.mark.parametrize("layer, options", SETS.values(), ids=SETS)
def test_rows_of_0_and_1_are_no_numbers_of_labels(rows_of, layer, options):
    given = rows_of([[0, 0, 1, 1], [1, 0, 0, 0], [1, 1, 0, 1]])
    with pytest.raises(DataError) as caught:
        opened(given, layer, **options)
    assert caught.value.record == 0
    assert caught.value.problem.startswith("labels 0:0:1:1: the rows of all records have 4 numbers, each 0 or 1")
    assert caught.value.remedy == "set `label_format: indicator`"
    source = opened(given, layer, **options, label_format="indicator")
    assert (source.labels.tolist(), source.label_dim) == ([[2, 3, -1], [0, -1, -1], [0, 1, 3]], 4)


CERTAIN = {
    "one of two": ([[0, 1], [1, 0], [1, 0]], {}),
    "label_dim as long": ([[0, 0, 1], [1, 0, 0]], {"label_dim": 3}),
    "one record": ([[0, 0, 1]], {}),
    "all 0": ([[0, 0], [0, 0]], {}),
}


@pytest.mark.parametrize("rows, options", CERTAIN.values(), ids=CERTAIN)
def test_what_is_surely_an_indicator(rows_of, rows, options):
    with refused(DataError, remedy="`label_format: indicator`"):
        opened(rows_of(rows), **options)


FINE = {
    "numbers": ([[0, 4], [1, 2], [3, 0]], {}),
    "two labels, padded": ([[0], [1], [0, 1], [1, 0]], {}),
    "two of many": ([[0, 1], [1, 0]], {"label_dim": 40}),
    "one label each": ([[0], [1], [1]], {}),
    "no label": ([[-1], [0, 1]], {}),
}


@pytest.mark.parametrize("rows, options", FINE.values(), ids=FINE)
def test_what_may_well_be_sets(rows_of, rows, options):
    labels = opened(rows_of(rows), **options).labels
    found = [[label for label in np.atleast_1d(row) if label >= 0] for row in labels]
    assert found == [[label for label in row if label >= 0] for row in rows]


def test_a_label_comes_once_in_a_row(rows_of):
    given = rows_of([[3, 4, 5], [6, 7], [8, 2, 8]])
    with refused(DataError, "8:2:8 have 8 twice", record=2):
        opened(given)
    assert opened(given, "ImageDataLayer").labels[2].tolist() == [8, 2, 8], "which may be three tasks"


def test_a_0_or_1_with_what_is_not_known_is_no_set(rows_of):
    given = rows_of([[1, 0, -1, 1], [0, 1, 1, 0]])
    with refused(DataError, "1 twice", remedy="`label_format: indicator`", record=0):
        opened(given)


def test_label_dim_is_not_below_the_numbers_of_a_row(rows_of):
    given = rows_of([[1, 0, 0, 0], [0, 1, 0, 0]])
    with refused(DataError, "4 numbers", "'label_dim' is 3"):
        opened(given, label_format="indicator", label_dim=3)


def test_an_indicator_may_be_not_known(rows_of):
    source = opened(rows_of([[1, 0, -1, 1], [-1, 1, 0, -1], [0, 0, 0, 1]]), label_format="indicator")
    assert source.labels.tolist() == [[0, 3], [1, -1], [3, -1]]
    assert source.unknown.tolist() == [
        [False, False, True, False],
        [True, False, False, True],
        [False, False, False, False],
    ]


def test_where_all_is_known_nothing_is_kept_of_what_is_not(rows_of):
    assert opened(rows_of([[1, 0]] * 3), label_format="indicator").unknown is None


@pytest.mark.parametrize("rows_of", ["CSV", "text", "LMDB"], indirect=True)  # rows of others are all of one length
@pytest.mark.parametrize("label_format", ["indicator", "sign"])
def test_a_row_that_is_too_short_is_not_one_that_is_not_known(rows_of, label_format):
    rows = [[1, 1, 1], [1, 1], [1, 1, 1]] if label_format == "sign" else [[1, 0, 1], [0, 1], [1, 0, 0]]
    with pytest.raises(DataError, match=r"record 1 \(.*(it has fewer numbers than others, .*; give it 3|label nan)"):
        opened(rows_of(rows), label_format=label_format)


SIGNS = [[-1, 1, 1, -1], [1, -1, -1, -1], [-1, -1, -1, -1]]


def test_rows_of_minus_1_and_1_are_signs(rows_of):
    given = rows_of(SIGNS)
    with refused(DataError, "labels -1:1:1:-1", remedy="`label_format: sign`"):
        opened(given)
    with refused(DataError, "`label_format: indicator`", remedy="`label_format: sign`"):
        opened(given, label_format="indicator")
    source = opened(given, label_format="sign")
    assert (source.labels.tolist(), source.label_dim) == ([[1, 2], [0, -1], [-1, -1]], 4)
    assert source.unknown is None


def test_a_sign_is_minus_1_or_1(rows_of):
    with pytest.raises(DataError, match=r"record 1 \(.*\): label 0(.0)?( of .*)?; -1 and 1 for `label_format: sign`"):
        opened(rows_of([[1, -1], [0, 1]]), label_format="sign")


@pytest.mark.parametrize("row, label_format", [([0, 1], "indicator"), ([-1, 1], "sign")])
@pytest.mark.parametrize("damage", [b"", write_datum(Datum(b"x", (1, 0), encoded=True))[:4]])
def test_a_damaged_record_says_nothing_of_the_form_of_rows(tmp_path, row, label_format, damage):
    """It has no labels, which are -1 in its row: the rows of the others are of 0 and 1 alone for all that."""
    write_lmdb(str(tmp_path / "lmdb"), [Datum(b"x", tuple(row), encoded=True)] * 3)
    with lmdb.open(str(tmp_path / "lmdb"), map_size=1 << 24) as environment, environment.begin(
        write=True
    ) as transaction:
        transaction.put(b"00000001", damage)
    given = {"source_type": "LMDB", "source": str(tmp_path / "lmdb"), "on_error": "skip"}
    with refused(DataError, remedy=f"`label_format: {label_format}`"):
        opened(given)
    assert opened(given, label_format=label_format).label_dim == 2


def test_an_lmdb_keeps_in_its_index_that_rows_are_of_unequal_length(tmp_path):
    """10,000 records, of which one has a number less: the index knows it as the walk did."""
    path = str(tmp_path / "lmdb")
    write_lmdb(path, [Datum(b"", (1, 0, 1)[: 2 + (number != 7)]) for number in range(10_000)])
    for _ in range(2):
        with refused(DataError, "fewer numbers", record=7):
            open_source("LMDB", path, label_format="indicator")
        assert (tmp_path / "lmdb.caffe_pylayers.npz").exists()
