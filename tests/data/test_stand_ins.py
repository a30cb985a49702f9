"""What stands in for samples that cannot be read: the same whenever a record is found out, and all promises hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_pylayers.errors import DataError
from tests.data.references import CASES, Case, check_pk, check_sample, is_possible, joined, others_of, source_of
from tests.refusals import refused

LABELS = st.one_of(
    st.lists(st.integers(-1, 3), min_size=6, max_size=20),
    st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 1)), min_size=6, max_size=20),
    st.lists(st.tuples(st.just(7), st.integers(-1, 2), st.integers(-1, 5)), min_size=6, max_size=20),
)
MODES = ("skip", "replace")


def found_out(sampler, number, unreadable, choose):
    """The batch as a run gets it that finds unreadable records out by reading; choose: which of a batch come first."""
    while True:
        batch = sampler.batch(number)
        bad = sorted(set(batch.records.ravel().tolist()) & unreadable)
        if not bad:
            return batch
        assert sampler.reject(choose(bad)) > 0


@pytest.mark.parametrize("case", CASES, ids=str)
@settings(max_examples=15, deadline=None)
@given(mode=st.sampled_from(MODES), labels=LABELS, data=st.data(), training=st.booleans())
def test_stand_ins(case, mode, labels, data, training):
    if not is_possible(case, labels):
        return
    records = range(len(labels)) if case.type == "ALL" else others_of(case, labels, -1)
    unreadable = data.draw(st.sets(st.sampled_from(records), min_size=1), "unreadable")
    numbers = data.draw(st.lists(st.integers(0, 30), min_size=1, max_size=4), "batches")
    readable = set(range(len(labels))) - unreadable
    undisturbed = case.make(labels, training, on_error=mode)
    knowing = case.make(labels, training, on_error=mode)
    assert knowing.reject(sorted(unreadable)) == knowing.rejected == len(unreadable)
    assert knowing.reject(sorted(unreadable)) == 0
    all_at_once, one_by_one = (case.make(labels, training, on_error=mode) for _ in range(2))
    for number in numbers:
        try:
            batch = knowing.batch(number)
        except DataError as error:
            assert f": {len(unreadable)} of " in error.problem
            for sampler, choose in ((all_at_once, lambda bad: bad), (one_by_one, lambda bad: bad[-1:])):
                with pytest.raises(DataError):
                    found_out(sampler, number, unreadable, choose)
            return
        plan = undisturbed.batch(number)
        np.testing.assert_array_equal(batch.keys, plan.keys)
        for sampler, choose in ((all_at_once, lambda bad: bad), (one_by_one, lambda bad: bad[-1:])):
            found = found_out(sampler, number, unreadable, choose)
            np.testing.assert_array_equal(found.records, batch.records)
            np.testing.assert_array_equal(found.values, batch.values)
            assert found.stand_ins == batch.stand_ins
        assert set(batch.records.ravel().tolist()) <= readable
        disturbed = np.array([bool(set(sample) & unreadable) for sample in plan.records.T.tolist()])
        values = [None] * 6 if batch.values is None else batch.values.tolist()
        for sample, value in zip(batch.records.T.tolist(), values):
            check_sample(case, labels, sample, value)
        if case.type == "PK":
            check_pk(case, labels, batch.records[0].tolist(), readable)
            kept = [
                joined(labels)[record] == joined(labels)[other] and other in readable
                for record, other in zip(batch.records[0], plan.records[0])
            ]
            disturbed |= ~np.array(kept)  # a class that has too few left is replaced whole
        np.testing.assert_array_equal(batch.records[:, ~disturbed], plan.records[:, ~disturbed])
        if batch.values is not None:
            np.testing.assert_array_equal(batch.values[~disturbed], plan.values[~disturbed])
        assert batch.stand_ins == disturbed.sum()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_left(case, mode):
    sampler = case.make([0, 0, 1, 1, 2, 2], on_error=mode)
    sampler.reject(range(6))
    with refused(DataError, "6 of 6 records", source="labels.csv"):
        sampler.batch(0)


def test_skip_takes_the_next_of_the_order_and_wraps_round_in_the_epoch():
    sampler = Case("images", "ALL").make([0] * 6, training=False)
    sampler.reject([2, 3, 5])
    assert sampler.batch(0).records[0].tolist() == [0, 1, 4, 4, 4, 0]
    sampler = Case("images", "ALL").make([0] * 6, seed=4)
    order = sampler.batch(1).records[0].tolist()
    sampler.reject(order[-2:])
    assert sampler.batch(1).records[0].tolist() == [*order[:4], order[0], order[0]]


@pytest.mark.parametrize("case", [Case("images", "ALL"), Case("images", "BALANCED"), Case("pairs", "RANDOM")], ids=str)
@pytest.mark.parametrize("size", [5, 200])
def test_replace_draws_uniformly_from_the_class(case, size):
    labels = [0] * size + [1] * 5
    sampler = case.make(labels, batch_size=50, on_error="replace")
    plans = [sampler.batch(number) for number in range(4 * max(size, 50))]
    sampler.reject(range(2, 5))
    drawn = []
    for number, plan in enumerate(plans):
        batch = sampler.batch(number)
        gone = np.isin(plan.records[0], [2, 3, 4])
        drawn += batch.records[0, gone].tolist()
        assert set(batch.records[0, gone].tolist()) <= {*range(size)} - {2, 3, 4}
    counts = np.bincount(drawn, minlength=size)[[record for record in range(size) if record not in (2, 3, 4)]]
    square = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert counts.sum() > 250
    assert square < len(counts) + 4 * (2 * len(counts)) ** 0.5 + 8


def test_replace_without_labels_draws_from_all():
    source = source_of([0] * 40)
    source.labels = None
    sampler = Case("images", "ALL").make(source, training=False, on_error="replace")
    sampler.reject([0, 1, 2])
    drawn = sampler.batch(0).records[0]
    assert set(drawn.tolist()) <= set(range(3, 40))
    assert len(set(drawn[:3].tolist()) - {3, 4, 5}) > 0


def test_an_anchor_stays_where_only_its_partner_cannot_be_read():
    case = Case("triplets", "RANDOM")
    for mode in MODES:
        sampler = case.make([0, 0, 0, 0, 1, 1, 1, 1], on_error=mode)
        plan = sampler.batch(0).records
        sampler.reject([plan[2, 0]])
        batch = sampler.batch(0).records
        kept = plan[0] != plan[2, 0]
        np.testing.assert_array_equal(batch[0, kept], plan[0, kept])
        assert batch[2, 0] != plan[2, 0]


def test_hard_takes_the_hardest_that_can_be_read():
    case = Case("triplets", "HARD", {"k": 300, "graph": {str(a): {"4": 9, "5": 8, "6": 7} for a in range(4)}})
    sampler = case.make([0] * 4 + [1] * 40, batch_size=44)
    of_first = sampler.batch(0).records[0] < 4
    assert set(sampler.batch(0).records[2, of_first].tolist()) == {4}
    sampler.reject([4])
    assert set(sampler.batch(0).records[2, of_first].tolist()) == {5}
    sampler.reject([5])
    assert set(sampler.batch(0).records[2, of_first].tolist()) == {6}


def test_a_large_source_with_hardly_anything_left():
    labels = np.arange(100_000) % 1000
    for case in CASES:
        for mode in MODES:
            sampler = case.make(labels.tolist(), on_error=mode, graph={"0": {"1": 1}})
            sampler.reject(np.flatnonzero(labels > 2))
            batch = sampler.batch(5)
            assert set(labels[batch.records.ravel()].tolist()) <= {0, 1, 2}
            for sample, value in zip(
                batch.records.T.tolist(), [None] * 6 if batch.values is None else batch.values.tolist()
            ):
                if case.kind != "images":
                    found = labels[sample[1:]] == labels[sample[0]]
                    assert found.tolist() == ([value == 1] if case.kind == "pairs" else [True, False])
