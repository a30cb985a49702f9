"""Mixtures of sources: the stream against a slow loop, what it promises, and the sources as one."""

import pickle
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_pylayers.data import keyed, samplers
from caffe_pylayers.data.samplers.base import ROUND
from caffe_pylayers.data.shares import Shares
from caffe_pylayers.data.sources import MixedSource, Names, Source
from caffe_pylayers.errors import DataError
from tests.refusals import refused

SIZES = [30, 7, 210]


def source(name, size, labels="numbers", weights=None, label_dim=None):
    """A source with so many records, whose labels are their numbers by 3."""
    labels = np.arange(size, dtype=np.int32) % 3 if isinstance(labels, str) else labels
    return Source(name, Names(b"%s %d" % (name.encode(), number) for number in range(size)), labels, weights, label_dim)


def mixture(sizes=SIZES, weights=(), training=True, **options):
    parts = [source(f"s{number}", size) for number, size in enumerate(sizes)]
    usual = {
        "batch_size": 16,
        "seed": 3,
        "stream": 1,
        "shuffle": True,
        "per_batch": None,
        "on_error": "skip",
        "sampler": None,
        "type": "ALL",
    }
    chosen = SimpleNamespace(**{**usual, **options})
    chosen.sources = [SimpleNamespace(weight=weight) for weight in weights or [None] * len(sizes)]
    chosen.batch_size = sum(chosen.per_batch or [chosen.batch_size])
    return samplers.images(MixedSource(parts), chosen, training=training, ranks=1)


def records(sampler, num_batches, start=0):
    return np.concatenate([sampler.batch(number).records[0] for number in range(start, start + num_batches)]).tolist()


def orders(sizes, shuffle):
    """Of each source its records again and again, in the order in which they come."""

    def order(number, size):
        first, epoch = sum(sizes[:number]), 0
        while True:
            own = keyed.permutation(size, 3, 1, number, epoch) if shuffle else np.arange(size)
            yield from (first + own).tolist()
            epoch += 1

    return [order(number, size) for number, size in enumerate(sizes)]


def whose(weights, count):
    """The source of each position, position by position: in every round as many as the rounded ends of the shares say, permuted."""
    sources, number = [], 0
    while len(sources) < count:
        ends = [[0], [0]]
        for weight in weights:
            for side, end in enumerate(ends):
                end.append(end[-1] + Fraction(weight) / sum(map(Fraction, weights)) * 4096 * (number + side))
        before, behind = ([int(end + Fraction(1, 2)) for end in side] for side in ends)
        in_order = []
        for source in range(len(weights)):
            in_order += [source] * (behind[source + 1] - behind[source] - before[source + 1] + before[source])
        permuted = [None] * 4096
        for place, source in zip(keyed.permutation(4096, 3, 1, number, ROUND, 0), in_order):
            permuted[place] = source
        sources += permuted
        number += 1
    return sources[:count]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("weights", [(), (0.7, 0.2, 0.1), (1, 1000, 1), (3, 1, 2)])
def test_the_stream_by_weights_is_that_of_a_slow_loop(weights, shuffle):
    mine = orders(SIZES, shuffle)
    expected = [next(mine[source]) for source in whose(weights or SIZES, 16 * 600)]
    assert records(mixture(weights=weights, shuffle=shuffle), 600) == expected


@pytest.mark.parametrize("training", [False, True])
def test_the_stream_by_counts_is_that_of_a_slow_loop(training):
    counts = (5, 4, 9)
    mine = orders(SIZES, training)
    expected = [next(mine[source]) for _ in range(100) for source, count in enumerate(counts) for _ in range(count)]
    assert records(mixture(per_batch=counts, training=training), 100) == expected


def test_in_test_the_sources_follow_one_another():
    sampler = mixture(weights=(1, 1, 1), training=False)
    assert sampler.epoch_size == sum(SIZES)
    assert records(sampler, 40) == (3 * list(range(sum(SIZES))))[: 40 * 16]


@settings(max_examples=100, deadline=None)
@given(
    weights=st.lists(st.floats(1e-3, 1) | st.integers(1, 1000), min_size=1, max_size=6).filter(
        lambda weights: Shares(weights).too_small is None
    ),
    number=st.integers(0, 10**15),
)
def test_shares_are_exact_in_the_long_run_and_in_each_round(weights, number):
    shares = Shares(weights)
    before, behind = shares.before(number), shares.before(number + 1)
    assert sum(before) == number * 4096
    for weight, start, end in zip(weights, before, behind):
        exact = Fraction(weight) / sum(map(Fraction, weights)) * number * 4096
        assert abs(start - exact) <= 1
        assert end > start


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    batch_size=st.integers(1, 700),
    counted=st.booleans(),
    number=st.integers(0, 10**7),
    data=st.data(),
)
def test_a_batch_is_a_function_of_its_number(sizes, batch_size, counted, number, data):
    """Also batch 10,000,000, and each source gives every record once in each of its epochs."""
    counts = data.draw(st.lists(st.integers(1, 9), min_size=len(sizes), max_size=len(sizes))) if counted else None
    options = {"batch_size": batch_size, "per_batch": counts}
    batches = [mixture(sizes, **options).batch(number + ahead) for ahead in (0, 17)]
    sampler = mixture(sizes, **options)
    for ahead in (17, 0):
        again = sampler.batch(number + ahead)
        assert again.records.tolist() == batches[ahead > 0].records.tolist()
        assert again.keys.tolist() == batches[ahead > 0].keys.tolist()
    first = np.array(records(sampler, 4 * sampler.epoch_size // sampler.batch(0).records.size + 1))
    for start, size in zip(np.cumsum([0, *sizes]), sizes):
        own = first[(first >= start) & (first < start + size)]
        for epoch in range(len(own) // size):
            assert sorted(own[epoch * size : (epoch + 1) * size]) == list(range(start, start + size))


@pytest.mark.parametrize("options", [{}, {"weights": (5, 1, 1)}, {"training": False, "weights": (5, 1, 1)}], ids=str)
def test_an_epoch_is_as_long_as_every_record_needs(options):
    sampler = mixture(batch_size=1, **options)
    epoch = records(sampler, sampler.epoch_size)
    assert set(epoch) == set(range(sum(SIZES)))
    assert len(set(epoch[:-1])) < sum(SIZES)


@pytest.mark.parametrize("training", [False, True])
def test_an_epoch_of_counts_is_whole_batches(training):
    sampler = mixture(per_batch=[5, 4, 9], training=training)
    assert sampler.epoch_size == 18 * 24  # 210 of 9 a batch
    epoch = records(sampler, 24)
    assert set(epoch) == set(range(sum(SIZES)))
    assert set(epoch[:-18]) != set(range(sum(SIZES)))


def test_what_is_random_about_images_differs_between_positions():
    sampler = mixture(per_batch=[2, 1, 1])
    keys = np.concatenate([sampler.batch(number).keys[0] for number in range(500)])
    assert len(np.unique(keys)) == len(keys)


def test_the_words_say_how_often_records_come():
    words = list(mixture([100, 400], weights=(1, 1)).in_words())
    assert "sources[0]" in words[0] and "100 records" in words[0] and "50.0%" in words[0] and "4 times" in words[0]
    assert "400 records" in words[1] and "1 times" in words[1]


def test_sizes_that_are_too_different_for_shares():
    with refused(DataError, "2 of all 5002 records", "2/4096", source="s1", remedy="'weight'"):
        mixture([5000, 2])
    mixture([5000, 2], weights=(2000, 1))
    mixture([5000, 2], per_batch=[4, 1])
    mixture([5000, 2], training=False)


@pytest.mark.parametrize("mode", ["skip", "replace"])
@pytest.mark.parametrize("options", [{"per_batch": [3, 2, 4]}, {}, {"training": False}], ids=str)
def test_what_stands_in_for_a_record_is_of_the_same_source(options, mode):
    """skip: the next in the order of the source that can be read; replace: one of its class there. All others stay."""
    bad = [0, 1, 2, 5, 29, 30, 33, 34, 100, 101, 246]
    plain, mending = mixture(**options), mixture(on_error=mode, **options)
    assert mending.reject(bad[:4]) == 4 and mending.reject(bad) == len(bad) - 4 == mending.rejected - 4
    before, after = records(plain, 60), records(mending, 60)
    starts = np.cumsum([0, *SIZES])
    part = np.searchsorted(starts, before, "right") - 1
    mended = 0
    for number, (old, new) in enumerate(zip(before, after)):
        if old not in bad:
            assert new == old
            continue
        mended += 1
        assert new not in bad and starts[part[number]] <= new < starts[part[number] + 1]
        if mode == "replace":
            assert (new - starts[part[number]]) % 3 == (old - starts[part[number]]) % 3
        elif options.get("training") is False:
            start, size = starts[part[number]], SIZES[part[number]]
            following = (start + (old - start + ahead) % size for ahead in range(1, size))
            assert new == next(record for record in following if record not in bad)
    assert mended and sum(mending.batch(number).stand_ins for number in range(60)) == mended


def test_nothing_stands_in_for_a_source_that_has_nothing_left():
    sampler = mixture([3, 2], per_batch=[1, 1])
    sampler.reject([3, 4])
    with refused(DataError, "2 of 2 records are unreadable", source="s1"):
        sampler.batch(0)


def test_several_sources_are_one():
    parts = [source("a", 3), source("b", 2, np.array([7, 8], np.int32)), source("c", 4)]
    parts[1].damaged = {1: DataError("cut short")}
    mixed = MixedSource(parts)
    assert len(mixed) == 9 and mixed.labels.tolist() == [0, 1, 2, 7, 8, 0, 1, 2, 0]
    assert [mixed.names[number] for number in (0, 2, 3, 8)] == [b"a 0", b"a 2", b"b 0", b"c 3"]
    assert mixed.describe(4) == parts[1].describe(1) and "record 1 ('b 1')" in mixed.error("x", record=4).source
    assert list(mixed.damaged) == [4]
    assert mixed.number_of(np.arange(9)).tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert list(mixed.files()) == ["a", "b", "c"]
    again = pickle.loads(pickle.dumps(mixed))
    assert again.labels is None and again.parts[1].labels is None and again.describe(4) == mixed.describe(4)
    with pytest.raises(IndexError):
        mixed.names[9]


SETS = np.array([[0, 3], [2, -1]], np.int32)
INDICATORS = {"labels": SETS, "label_dim": 5}


@pytest.mark.parametrize(
    ("first", "second", "sets", "label_dim", "labels"),
    [
        ({"labels": SETS}, {}, True, None, [[0, 3], [2, -1], [0, -1], [1, -1]]),
        (INDICATORS, INDICATORS, True, None, [[0, 3], [2, -1]] * 2),
        (INDICATORS, {}, True, 5, [[0, 3], [2, -1], [0, -1], [1, -1]]),
        ({"labels": SETS}, {"labels": SETS}, False, None, [[0, 3], [2, -1]] * 2),
        ({"labels": np.float32([[1.5], [2]])}, {"labels": np.float32([[3], [4]])}, False, None, [[1.5], [2], [3], [4]]),
    ],
)  # fmt: skip
def test_labels_that_go_together(first, second, sets, label_dim, labels):
    mixed = MixedSource([source("a", 2, **first), source("b", 2, **second)], sets, label_dim)
    assert mixed.labels.tolist() == labels
    assert mixed.label_dim == (5 if first is INDICATORS else None)


@pytest.mark.parametrize(
    ("first", "second", "sets", "words"),
    [
        ({}, {"labels": None}, False, ("no labels", "one label")),
        ({}, {"labels": SETS}, False, ("rows of 2 labels", "one label")),
        ({}, {"labels": np.float32([1, 2])}, False, ("one value", "one label")),
        ({"labels": np.ones((2, 3), np.float32)}, {"labels": np.float32([1, 2])}, False, ("one value", "rows of 3 values")),
        ({"labels": SETS}, {"labels": None}, True, ("no labels", "numbers of labels")),
        (INDICATORS, {"labels": SETS, "label_dim": 6}, True, ("each of 6 labels", "each of 5 labels")),
        (INDICATORS, {"labels": SETS}, True, ("numbers of labels", "each of 5 labels")),
    ],
)  # fmt: skip
def test_labels_that_no_top_can_hold(first, second, sets, words):
    """It is no error without a top for them, so the mixture just has none."""
    mixed = MixedSource([source("a", 2, **first), source("b", 2, **second)], sets)
    assert mixed.labels is None
    error = mixed.no_labels()
    assert error.source == mixed.parts[1].described and mixed.parts[0].described in error.problem
    assert all(word in error.problem for word in words)


def test_indicators_that_are_not_known():
    parts = [source("a", 2, SETS, label_dim=5), source("b", 2, SETS, label_dim=3)]
    parts[1].unknown = np.array([[False, True, False]] * 2)
    mixed = MixedSource(parts, True, 5)
    assert mixed.unknown.astype(int).tolist() == [[0] * 5] * 2 + [[0, 1, 0, 0, 0]] * 2


@pytest.mark.parametrize("other", [None, np.ones((2, 2), np.float32)])
def test_weights_that_differ(other):
    mixed = MixedSource([source("a", 2, weights=np.float32([1, 2])), source("b", 2, weights=other)])
    error = mixed.no_weights()
    assert mixed.sample_weights is None and "one sample weight" in error.problem and "source b" in error.source
    alike = MixedSource([source("a", 2, weights=np.float32([1, 2])), source("b", 2, weights=np.float32([3, 4]))])
    assert alike.sample_weights.tolist() == [1, 2, 3, 4]
