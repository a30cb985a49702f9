"""Fixed lists and samplers of the user's own."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_pylayers.data.sources import MixedSource
from caffe_pylayers.errors import ConfigError, DataError
from tests.data.references import Case, source_of
from tests.refusals import refused

LABELS = [0, 0, 1, 1, 2]
WIDTH = {"pairs": 2, "triplets": 3}


@pytest.fixture
def listed(tmp_path):
    """Make the sampler of a list with this text."""

    def make(kind, text, labels=LABELS, training=False, **options):
        path = tmp_path / f"{kind}.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Case(kind, "RANDOM").make(labels, training, **{kind: str(path)}, **options)

    return make


def test_pairs_and_triplets_of_a_list(listed):
    sampler = listed("triplets", "0,1,2\n2,3,0\n\n 4 , 0,1\n", batch_size=4)
    batch = sampler.batch(0)
    assert sampler.epoch_size == 3
    assert batch.records.T.tolist() == [[0, 1, 2], [2, 3, 0], [4, 0, 1], [0, 1, 2]]
    assert batch.values is None
    sampler = listed("pairs", "0,1\n1,2\n3,2\n", batch_size=3)
    assert sampler.batch(7).records.T.tolist() == [[0, 1], [1, 2], [3, 2]]
    assert sampler.batch(7).values.tolist() == [1, 0, 1]
    assert listed("pairs", "0,1,0\n1,2,1\n", batch_size=2).batch(0).values.tolist() == [0, 1]
    rows = listed("pairs", "0,1\n1,2\n", labels=[(1, 2), (1, 2), (1, 3)], batch_size=2)
    assert rows.batch(0).values.tolist() == [1, 0]


def test_a_list_is_a_text_table(listed):
    """Tabs and blanks as commas, quotes, a byte order mark, the line ends of Windows and of old Macs."""
    names = ["a b.jpg", "Smith, J.png", "c.jpg"]
    source = source_of([0, 0, 1])
    source.names = [name.encode() for name in names]
    for text in (
        "\ufeffa b.jpg\tc.jpg\r\nSmith, J.png\tc.jpg\r\n",
        '"a b.jpg"  c.jpg\r"Smith, J.png" c.jpg\r',
        'a b.jpg, c.jpg\n"Smith, J.png" ,c.jpg',
    ):
        sampler = listed("pairs", text, labels=source, names="key", batch_size=2)
        assert sampler.batch(0).records.T.tolist() == [[0, 2], [1, 2]]
    assert listed("pairs", "0 1 0\n1 2 1\n", batch_size=2).batch(0).values.tolist() == [0, 1]
    assert listed("triplets", "0\t1\t2\n", batch_size=1).batch(0).records.ravel().tolist() == [0, 1, 2]
    with refused(DataError, "semicolons", remedy="sed", source="pairs.csv, line 1"):
        listed("pairs", "0;1;1\n")
    with refused(DataError, "UTF-16", remedy="iconv", source="pairs.csv"):
        listed("pairs", "0,1\n".encode("utf-16"))
    with refused(DataError, "1 columns", remedy="quote names"):
        listed("pairs", "c.jpg\n", names="key")


def test_records_named_by_key(listed):
    text = "record 3,record 1\n'record 1',record 0\n".replace("'", '"')
    assert listed("pairs", text, names="key", batch_size=2).batch(0).records.T.tolist() == [[3, 1], [1, 0]]
    with refused(DataError, "'3'", remedy="'record 0'", source="line 1"):
        listed("pairs", "3,1\n", names="key")


def test_a_name_that_two_sources_have_is_not_guessed(listed):
    parts = [source_of([0, 0, 1]), source_of([1, 2])]
    parts[0].names, parts[1].names = [b"a", b"b", b"b"], [b"c", b"a"]
    mixed = MixedSource(parts)
    assert listed("pairs", "b,c\nc,b\n", labels=mixed, names="key", batch_size=2).batch(0).records.T.tolist() == [
        [1, 3],
        [3, 1],
    ]
    with refused(
        DataError, "'a' may be ", "record 0 ", " or ", "record 1 ", remedy="`names: 'number'`", source="line 2"
    ):
        listed("pairs", "b,c\nb,a\n", labels=mixed, names="key")


PHOTOS = [
    "lfw/Ann_Li/Ann_Li_0001.jpg",
    "lfw/Ann_Li/Ann_Li_0012.jpg",
    "Bo_0002.png",
    "bo/Bo_0001",
    "12_0003.jpg",
    "list.txt",
]
LFW = "1\t2\nAnn_Li\t1\t12\nBo\t1\t2\nAnn_Li\t12\tBo\t2\nAnn_Li\t1\t12\t3\n"


@pytest.fixture
def of_lfw(listed):
    def make(text, photos=PHOTOS, **options):
        source = source_of([0, 0, 1, 1, 2, 2][: len(photos)])
        source.names = [photo.encode() for photo in photos]
        return listed("pairs", text, labels=source, **{"batch_size": 4, **options})

    return make


@pytest.mark.parametrize("names", ["number", "key"])
@pytest.mark.parametrize(
    "text",
    [LFW, LFW.replace("\t", " "), LFW.replace("\t", ",").replace("\n", "\r\n"), LFW.replace("1\t2\n", "2\n", 1), LFW.replace("1\t", "2\t", 1).replace("2\n", "1\n", 1)],
    ids=["tabs", "blanks", "commas", "one number", "two sets"],
)  # fmt: skip
def test_the_list_of_lfw(text, names, of_lfw):
    """Photos are found by person and number, in any folder and with any ending."""
    batch = of_lfw(text, names=names).batch(0)
    assert batch.records.T.tolist() == [[0, 1], [3, 2], [1, 2], [0, 4]]
    assert batch.values.tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("text", "words", "remedy"),
    [
        (LFW.replace("Bo\t1\t2", "Bo\t1\t3"), "line 3: photo 3 of Bo is not a record", "file name Bo_0003, in any folder"),
        (LFW.replace("Bo\t1\t2", "Bo\t1\tx"), "line 3: 'Bo 1 x' is no pair", "`Abdel_Aziz 1 Dean_Cain 2`"),
        (LFW.replace("Bo\t1\t2", "Bo\t1"), "line 3: 'Bo 1' is no pair", "`Abel_Pacheco 1 4`"),
        (LFW.replace("1\t2\n", "1\t3\n", 1), "2 pairs of one person and 2 of two, but its first line promises 3", "cut short"),
        (LFW + "Bo\t1\t2\n", "3 pairs of one person and 2 of two", "its first line"),
        (LFW[4:], "line 3: 4 columns", "begins with a line such as `10 300`"),
        ("1 1\n1 1 1\n", "line 2: 3 columns", "separate names"),
    ],
)  # fmt: skip
def test_wrong_lists_of_lfw(text, words, remedy, of_lfw):
    with pytest.raises(DataError) as caught:
        of_lfw(text)
    assert words in str(caught.value) and remedy in caught.value.remedy


def test_a_photo_of_lfw_that_is_there_twice(of_lfw):
    for photo in ("other/Bo_0002.png", "Bo_2.jpg"):
        with refused(DataError, f"'Bo_0002.png' and '{photo}' are both photo 2 of Bo", remedy="leave one"):
            of_lfw(LFW, [*PHOTOS[:5], photo])
    assert of_lfw(LFW, [*PHOTOS[:5], "other/Ann_Li_0002.jpg"]).epoch_size == 4  # a photo that no pair has


def test_a_list_of_lfw_is_not_graded(of_lfw):
    with refused(DataError, "no column sim", remedy="leave `graded` out"):
        of_lfw(LFW, graded=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=12), st.integers(1, 7), st.data())
def test_every_line_once_an_epoch_and_lines_stand_in_for_lines(tmp_path_factory, rows, batch_size, data):
    path = tmp_path_factory.mktemp("lists") / "list.csv"
    path.write_text("".join(f"{a},{b},{c % 2}\n" for a, b, c in rows))
    mode = data.draw(st.sampled_from(["skip", "replace"]))
    unreadable = data.draw(st.sets(st.integers(0, 4)))
    sampler = Case("pairs", "RANDOM").make(LABELS, pairs=str(path), batch_size=batch_size, on_error=mode)
    numbers = range(2 * len(rows) // batch_size + 1)
    plans = [sampler.batch(number) for number in numbers]
    stream = [pair for plan in plans for pair in zip(*plan.records.tolist(), plan.values.tolist())]
    wanted = sorted((a, b, c % 2) for a, b, c in rows)
    for epoch in range(len(stream) // len(rows)):
        assert sorted(stream[epoch * len(rows) : (epoch + 1) * len(rows)]) == wanted
    if not unreadable:
        return
    sampler.reject(sorted(unreadable))
    good = [row for row in wanted if not set(row[:2]) & unreadable]
    for number, plan in zip(numbers, plans):
        if not good:
            with refused(DataError, "nothing can replace"):
                sampler.batch(number)
            return
        batch = sampler.batch(number)
        pairs = list(zip(*batch.records.tolist(), batch.values.tolist()))
        assert set(pairs) <= set(good)
        for pair, planned in zip(pairs, zip(*plan.records.tolist(), plan.values.tolist())):
            assert pair == planned or set(planned[:2]) & unreadable
            if mode == "replace" and any(row[2] == planned[2] for row in good):
                assert pair[2] == planned[2]


@pytest.mark.parametrize(
    "kind, text, message",
    [
        ("pairs", "", "pairs.csv: the list is empty; lines of two names, or two names and sim"),
        ("triplets", "\n\n", "triplets.csv: the list is empty; lines of three names"),
        (
            "pairs",
            "0,1\n0\n",
            "line 2: 1 columns, but each line must have two names, or two names and sim, and all lines",
        ),
        ("pairs", "0,1\n0,1,1\n", "line 2: 3 columns"),
        ("triplets", "0,1\n", "line 1: 2 columns, but each line must have three names"),
        (
            "triplets",
            "0,1,5\n",
            "line 1: '5' is not a record of labels.csv: with `names: 'number'` records are numbered 0 to 4",
        ),
        ("triplets", "0,1,2\n\n0,-1,2\n", "line 3: '-1' is not a record"),
        ("triplets", "0,1,2\n0,1.5,2\n", "line 2: '1.5' is not a record"),
        ("triplets", "0,1,1_0\n", "line 1: '1_0' is not a record"),
        ("triplets", "cat.jpg,1,2\n", "line 1: 'cat.jpg' is not a record .* for file names or keys set `names: 'key'`"),
        ("pairs", "0,1,2\n", "line 1: sim is '2'; 1 \\(same\\) and 0 are allowed$"),
        (
            "pairs",
            "0 1 1\n0 1 0.5\n",
            "line 2: sim is '0.5'; 1 \\(same\\) and 0 are allowed; for numbers .* set `graded: true`",
        ),
        ("pairs", "0,1,yes\n", "line 1: sim is 'yes'; 1 \\(same\\) and 0 are allowed$"),
        ("pairs", '0,"1\n', "line 1: text stands behind a closing quote, or a quote is not closed"),
        ("pairs", b"\xff,1\n", "line 1: '\\\\xff' is not a record"),
    ],
)
def test_malformed_lists(listed, kind, text, message):
    with pytest.raises(DataError, match=message):
        listed(kind, text)


def test_graded_pairs(listed):
    text = "0 1 0.25\n1 2 1\n3 2 0\n2 3 1e-3\n3 4 .125\n"
    sampler = listed("pairs", text, batch_size=5, graded=True)
    np.testing.assert_array_equal(sampler.batch(0).values, np.array([0.25, 1, 0, 1e-3, 0.125], np.float32))
    assert sampler.batch(0).values.dtype == np.float32
    assert listed("pairs", "0,1,1.0\n1,2,0.0\n", batch_size=2).batch(0).values.tolist() == [1, 0]


@pytest.mark.parametrize("sim", ["1.01", "-0.1", "nan", "inf", "2", "yes", "0_1", "0.5x", ""])
def test_a_sim_out_of_range_is_named(sim, listed):
    with refused(DataError, f"sim is '{sim}'", remedy="a number from 0 to 1", source="line 2"):
        listed("pairs", f"0,1,0.5\n0,1,{sim}\n", graded=True)


def test_graded_pairs_have_a_sim(listed):
    with refused(DataError, "no column sim", remedy="leave `graded` out", source="pairs.csv"):
        listed("pairs", "0,1\n", graded=True)


def test_another_pair_of_the_same_sim_replaces_one(listed):
    text = "0,1,0.5\n2,3,0.25\n1,4,0.5\n3,4,0.75\n"
    sampler = listed("pairs", text, batch_size=4, graded=True, on_error="replace")
    sampler.reject([0, 2])
    assert sampler.batch(0).records.T.tolist()[0] == [1, 4]
    assert sampler.batch(0).values.tolist()[0] == 0.5
    assert sampler.batch(0).records.T.tolist()[1] == [1, 4]  # no other has its sim: the next in the order


def test_a_list_that_is_not_there_and_sim_without_labels(tmp_path):
    with refused(DataError, "No such file", source="nowhere.csv"):
        Case("pairs", "RANDOM").make(LABELS, pairs="/nowhere.csv")
    (tmp_path / "list.csv").write_text("0,1\n")
    source = source_of(LABELS)
    source.labels = None
    with refused(DataError, "no labels", "list.csv has no column sim"):
        Case("pairs", "RANDOM").make(source, pairs=str(tmp_path / "list.csv"))


def test_sim_is_not_taken_from_a_label_that_is_none(listed, own):
    """Two records without a label are not of one class."""
    labels = [0, 0, -1, -1, 1]
    for text in ("0,1\n2,3\n", "0,1\n4,2\n"):
        with refused(DataError, "no label", "pairs.csv has no column sim", remedy="remove the pair", record=2):
            listed("pairs", text, labels=labels)
    assert listed("pairs", "2,3,0\n0,1,1\n", labels=labels, batch_size=2).batch(0).values.tolist() == [0, 1]
    assert listed("triplets", "0,1,2\n", labels=labels, batch_size=1).batch(0).records.ravel().tolist() == [0, 1, 2]
    sampler = Case("pairs", "RANDOM").make(labels, sampler="own_sampler:Pairs", batch_size=2)
    with refused(DataError, "no label", "own_sampler:Pairs gives only records", record=2):
        sampler.batch(0)


OWN = """
import numpy as np

class InOrder:
    arity = 1
    def __init__(self, labels, options):
        self.labels, self.size = labels, options.batch_size
        assert labels is None or not labels.flags.writeable

    def batch(self, number):
        first = (number * self.size + np.arange(self.size))[:, None]
        return (first + np.arange(self.arity)) % 5

class Pairs(InOrder):
    arity = 2

class Floats(InOrder):
    def batch(self, number):
        return super().batch(number) * 1.0

class Outside(InOrder):
    def batch(self, number):
        return super().batch(number) + 3 * (number == 2)

not_a_class = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_sampler.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("own_sampler", None)


def test_a_sampler_of_ones_own(own):
    sampler = Case("images", "ALL").make(LABELS, sampler="own_sampler:InOrder", batch_size=3)
    assert sampler.arity == 1
    assert sampler.epoch_size == 5
    assert sampler.batch(1).records.tolist() == [[3, 4, 0]]
    assert sampler.batch(1).values is None
    keys = np.concatenate([sampler.batch(number).keys.ravel() for number in range(20)])
    assert len(set(keys.tolist())) == 60
    pairs = Case("pairs", "RANDOM").make(LABELS, sampler="own_sampler:Pairs", batch_size=4)
    assert pairs.batch(0).records.T.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
    assert pairs.batch(0).values.tolist() == [1, 0, 1, 0]
    with refused(DataError, "record 2", "own_sampler:Pairs"):
        pairs.reject([4, 2])


@pytest.mark.parametrize(
    "name, error, message",
    [
        (
            "no_such:InOrder",
            ConfigError,
            "option 'sampler': cannot import 'no_such': .*; put its folder on PYTHONPATH \\(the working",
        ),
        (
            "own_sampler:Order",
            ConfigError,
            "module 'own_sampler' \\(/.*own_sampler.py\\) has no function or class named 'Order'",
        ),
        ("own_sampler:not_a_class", ConfigError, "has no function or class named 'not_a_class'"),
        ("os:listdir", ConfigError, "option 'sampler': 'os:listdir' failed with TypeError"),
        (
            "own_sampler:Pairs",
            DataError,
            "own_sampler:Pairs: batch 2 is int64 of shape \\(6, 2\\); expected integers of shape \\(6, 1\\)",
        ),
        (
            "own_sampler:Floats",
            DataError,
            "own_sampler:Floats: batch 2 is float64 of shape \\(6, 1\\); expected integers",
        ),
        (
            "own_sampler:Outside",
            DataError,
            "own_sampler:Outside: batch 2 has record 5; the records of labels.csv are 0 to 4",
        ),
    ],
)
def test_wrong_samplers_of_ones_own(own, name, error, message):
    with pytest.raises(error, match=message):
        Case("images", "ALL").make(LABELS, sampler=name).batch(2)
