"""Every sampler against what it documents, on label sets that Hypothesis finds; one list of them drives all."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_pylayers.data import samplers
from caffe_pylayers.data.samplers.sets import Disjoint, LabelSets
from caffe_pylayers.errors import DataError
from tests.data.references import (
    CASES,
    Case,
    anchors_of,
    check_pk,
    check_sample,
    classes_of_epoch,
    distribution,
    graph_of,
    is_labelled,
    is_possible,
    joined,
    source_of,
)
from tests.refusals import refused

LABELS = st.one_of(
    st.lists(st.integers(-1, 4), min_size=1, max_size=24),
    st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 1)), min_size=1, max_size=24),
    st.lists(st.tuples(st.just(7), st.integers(-1, 2), st.integers(-1, 5)), min_size=1, max_size=24),
    st.integers(1, 24).map(lambda size: [(1, 2)] * size),
    st.integers(1, 24).map(lambda size: [(0, number + 1) for number in range(size)]),
)
RICH = [(number % 4, 4 + number % 3, number % 2 - 1) for number in range(40)]
drawn_cases = pytest.mark.parametrize("case", [case for case in CASES if case.kind != "images"], ids=str)
all_cases = pytest.mark.parametrize("case", CASES, ids=str)


def stream(sampler, num_batches, start=0):
    """Records (arity, positions), values and keys of some batches."""
    batches = [sampler.batch(number) for number in range(start, start + num_batches)]
    values = [None] * sum(batch.records.shape[1] for batch in batches)
    if batches[0].values is not None:
        values = np.concatenate([batch.values for batch in batches]).tolist()
    return np.concatenate([batch.records for batch in batches], axis=1), values


@all_cases
@settings(max_examples=30, deadline=None)
@given(labels=LABELS, batch_size=st.integers(1, 9), training=st.booleans())
def test_what_is_promised_of_every_sample(case, labels, batch_size, training):
    options = {} if case.type == "PK" else {"batch_size": batch_size}
    if not is_possible(case, labels):
        with pytest.raises(DataError, match="labels.csv: (no |it has )"):
            case.make(labels, training, **options)
        return
    sampler = case.make(labels, training, **options)
    batch = sampler.batch(0)
    assert batch.records.dtype == np.int64
    assert batch.keys.dtype == np.uint64
    assert batch.records.shape == batch.keys.shape == (sampler.arity, options.get("batch_size", 6))
    assert batch.stand_ins == 0
    if batch.values is not None:
        assert batch.values.dtype == np.float32
        assert batch.values.shape == batch.records.shape[1:]
    records, values = stream(sampler, 2 * sampler.epoch_size // len(batch.records[0]) + 1)
    for sample, value in zip(records.T.tolist(), values):
        check_sample(case, labels, sample, value)
    expected = anchors_of(case, labels)
    first = records[0, : sampler.epoch_size].tolist()
    if expected is not None:
        assert sampler.epoch_size == len(expected)
        assert sampler.left_out == len(labels) - len(expected)
        for epoch in range(records.shape[1] // sampler.epoch_size):
            assert sorted(records[0, epoch * sampler.epoch_size : (epoch + 1) * sampler.epoch_size]) == expected
    elif case.type == "PK":
        usable = classes_of_epoch(case, labels)
        assert sampler.epoch_size == 3 * (len(usable) // 2 * 2 if training else len(usable))
        assert sampler.left_out == len(labels) - sum(joined(labels).count(name) for name in usable)
        for start in range(0, records.shape[1], 6):
            check_pk(case, labels, records[0, start : start + 6].tolist(), range(len(labels)))
        per_class = Counter(joined(labels)[record] for record in first)
        assert set(per_class.values()) == {3}
    else:
        size = len(classes_of_epoch(case, labels))
        num_labelled = sum(is_labelled(labels, record) for record in range(len(labels)))
        assert sampler.epoch_size == -(-num_labelled // size) * size
        assert sampler.left_out == len(labels) - num_labelled
        for start in range(0, sampler.epoch_size, size):
            assert len({joined(labels)[record] for record in first[start : start + size]}) == size
    if not training:
        assert expected is None or first == expected
        again = records[:, sampler.epoch_size : 2 * sampler.epoch_size]
        np.testing.assert_array_equal(again, records[:, : again.shape[1]])


@all_cases
def test_a_batch_does_not_depend_on_those_before_it(case):
    walked = case.make(RICH)
    straight = {number: walked.batch(number) for number in range(60)}
    for number in (59, 3, 31, 14):
        batch = case.make(RICH).batch(number)
        np.testing.assert_array_equal(batch.records, straight[number].records)
        np.testing.assert_array_equal(batch.keys, straight[number].keys)
        np.testing.assert_array_equal(batch.values, straight[number].values)


@all_cases
def test_far_batches(case):
    for number in (10_000_000, 2**55):
        batch = case.make(RICH).batch(number)
        for sample, value in zip(batch.records.T.tolist(), [None] * 6 if batch.values is None else batch.values):
            check_sample(case, RICH, sample, value)


@all_cases
def test_keys_of_images_are_all_different_in_train_and_of_one_epoch_in_test(case):
    sampler = case.make(RICH)
    keys = np.concatenate([sampler.batch(number).keys.ravel() for number in range(50)])
    assert len(set(keys.tolist())) == len(keys)
    sampler = case.make(RICH, training=False)
    batches = [sampler.batch(number).keys for number in range(sampler.epoch_size)]
    passes = np.concatenate([*batches, *batches], axis=1)[:, : 2 * sampler.epoch_size]
    assert len(set(passes.ravel().tolist())) == sampler.epoch_size * sampler.arity


@all_cases
def test_streams_differ_by_epoch_seed_and_stream(case):
    def epoch(number, **options):
        sampler = case.make(RICH, **options)
        return stream(sampler, sampler.epoch_size)[0][:, number * sampler.epoch_size :][
            :, : sampler.epoch_size
        ].tobytes()

    epochs = {epoch(0), epoch(1), epoch(0, seed=1), epoch(0, stream=1), epoch(1, seed=1), epoch(0, seed=1, stream=1)}
    assert len(epochs) == 6


def test_images_in_the_order_of_the_source():
    for training, shuffle in ((True, False), (False, False), (False, True)):
        records, _ = stream(CASES[0].make(RICH, training, shuffle=shuffle), 20)
        np.testing.assert_array_equal(records[0], np.arange(120) % 40)


@pytest.mark.parametrize("training, labels", [(True, RICH), (True, RICH[:-1]), (False, RICH)])
def test_a_batch_of_pairs_is_half_similar(training, labels):
    sampler = Case("pairs", "RANDOM").make(labels, training)
    assert sampler.epoch_size == len(labels)
    assert all(sampler.batch(number).values.sum() == 3 for number in range(60))


@pytest.mark.parametrize("kind, plain", [("HARD", "RANDOM"), ("HARD_MULTILABEL", "RANDOM_MULTILABEL")])
@pytest.mark.parametrize("ranks, iter_size", [(1, 1), (2, 1), (1, 3), (2, 3)])
def test_hard_negatives_begin_at_iteration_n(kind, plain, ranks, iter_size):
    n = 7
    hard = Case("triplets", kind, {"k": 8}).make(RICH, ranks=ranks, n=n, iter_size=iter_size)
    easy = Case("triplets", plain).make(RICH, ranks=ranks)
    always = Case("triplets", kind, {"k": 8}).make(RICH, ranks=ranks)
    first = n * ranks * iter_size
    for number in range(first + 20):
        wanted = (easy if number < first else always).batch(number)
        np.testing.assert_array_equal(hard.batch(number).records, wanted.records)
        np.testing.assert_array_equal(hard.batch(number).values, wanted.values)
    assert any((easy.batch(b).records != always.batch(b).records).any() for b in range(first, first + 20))
    # TEST repeats itself, so that it has no beginning.
    test = Case("triplets", kind, {"k": 8}).make(RICH, training=False, n=n)
    np.testing.assert_array_equal(
        test.batch(0).records, Case("triplets", kind, {"k": 8}).make(RICH, training=False).batch(0).records
    )


def test_of_many_negatives_hard_takes_the_nearest_of_the_graph():
    edges = graph_of(len(RICH))
    batch = Case("triplets", "HARD", {"k": 400}).make(RICH).batch(3)
    for anchor, _, negative in batch.records.T.tolist():
        others = [other for other in range(len(RICH)) if RICH[other] != RICH[anchor]]
        assert edges[str(anchor)].get(str(negative), 0) == max(edges[str(anchor)].get(str(o), 0) for o in others)


FEW = [(0, 1), (0, 1), (1, 2), (0, 2, 3), (3,), (4,), (4, 0), ()]
CLASSES = [0, 0, 0, -1, 1, 1, 1, 1, -1, 2, 3, -1]
#: All are equally similar but one, which tries seldom find.
NEEDLE = [(0, number + 1) for number in range(100)] + [(0,)]
#: Few share no label with the first ones.
CROWD = [(0, number // 2 + 1) for number in range(120)] + [(900,), (900, 901)]


@pytest.mark.parametrize(
    "case, labels, anchors",
    [(case, FEW if "MULTI" in case.type else CLASSES, None) for case in CASES if case.kind != "images"]
    + [(Case("triplets", kind), NEEDLE, [0, 7]) for kind in ("RANDOM_MULTILABEL", "HARD_MULTILABEL")]
    + [(Case("pairs", "RANDOM_MULTILABEL"), CROWD, [0, 119])],
    ids=lambda value: str(value) if isinstance(value, Case) else "",
)
def test_positives_and_negatives_are_distributed_as_documented(case, labels, anchors):
    """Chi-square over all (positive, negative) of each anchor; seeds are fixed, so that it cannot fail by chance."""
    rows = [row + (-1,) * (3 - len(row)) for row in labels] if isinstance(labels[0], tuple) else labels
    sampler = case.make(rows, n=0, batch_size=500)
    num_batches = 120 if anchors is None else 60
    records, values = stream(sampler, num_batches, start=16)
    assert set(records[0].tolist()) == set(anchors_of(case, rows))
    for anchor in anchors_of(case, rows) if anchors is None else anchors:
        chances = distribution(case, rows, anchor)
        parts = [(chances, slice(1, 3), np.ones(len(values), bool))]
        if case.kind == "pairs":
            by_role = [Counter(), Counter()]
            for pair, chance in chances.items():
                for role in (0, 1):
                    by_role[role][pair[role]] += chance
            similar = np.array(values) == 1
            parts = [(by_role[0], slice(1, 2), similar), (by_role[1], slice(1, 2), ~similar)]
        for expected, rest, which in parts:
            found = Counter(map(tuple, records[rest][:, which & (records[0] == anchor)].T.tolist()))
            found = {key if len(key) > 1 else key[0]: count for key, count in found.items()}
            total = sum(found.values())
            assert set(found) <= {key for key, chance in expected.items() if chance > 0}
            assert total > 100
            square = sum((found.get(key, 0) - total * p) ** 2 / (total * p) for key, p in expected.items() if p > 0)
            freedom = len(expected) - 1
            assert square < freedom + 4 * (2 * freedom) ** 0.5 + 8


@pytest.mark.parametrize("kind", ["RANDOM_MULTILABEL", "HARD_MULTILABEL"])
def test_where_hardly_any_pair_will_do_each_is_as_likely_as_it_should_be(kind):
    """Nearly all are equally similar; two are more so, one less. Tries find a pair in one of two samples."""
    labels = [(0, number + 1, -1) for number in range(400)] + [(0, -1, -1), (0, -1, -1), (0, 900, 901)]
    case = Case("triplets", kind, {"k": 2})
    records, _ = stream(case.make(labels, batch_size=500), 60)
    widths = np.array([sum(label >= 0 for label in row) for row in labels])
    for anchors in (range(400), [400], [401]):  # the first are alike
        expected, found = Counter(), Counter()
        for pair, chance in distribution(case, labels, anchors[0]).items():
            expected[tuple(widths[[*pair]].tolist())] += chance
        chosen = records[1:, np.isin(records[0], anchors)]
        assert not (chosen == records[0, np.isin(records[0], anchors)]).any()
        found.update(map(tuple, widths[chosen].T.tolist()))
        total = sum(found.values())
        assert set(found) <= {key for key, chance in expected.items() if chance > 0}
        for key, chance in expected.items():
            assert abs(found[key] - total * chance) < 4 * (total * chance * (1 - chance)) ** 0.5 + 1


@pytest.mark.parametrize("case", CASES[1:3], ids=str)
def test_samples_of_a_class_are_uniform(case):
    records, _ = stream(case.make(CLASSES), 4000)
    for members in ([0, 1, 2], [4, 5, 6, 7]):
        counts = Counter(record for record in records[0].tolist() if record in members)
        assert set(counts) == set(members)
        mean = sum(counts.values()) / len(members)
        assert all(abs(count - mean) < 4 * mean**0.5 for count in counts.values())


def disjoint_by_definition(labels):
    """Whether two records (N, N) share no label."""
    there = np.zeros((len(labels), labels.max() + 2), np.float32)
    np.put_along_axis(there, labels, 1, axis=1)
    return there[:, :-1] @ there[:, :-1].T == 0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000), size=st.integers(1, 200), share=st.floats(0.02, 0.6), num=st.sampled_from([5, 40, 150])
)
def test_label_sets_that_share_nothing(seed, size, share, num):
    """With labels that few and that most sets have, fewer and more than a mask has bits."""
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random((size, num)) < 2 * share * rng.random(num), np.arange(num), -1)
    expected = disjoint_by_definition(labels)
    sets = LabelSets(labels)
    disjoint = Disjoint(sets)
    one, other = np.nonzero(~np.eye(size, dtype=bool))
    np.testing.assert_array_equal(disjoint.are(one, other), expected[one, other])
    numbers = np.flatnonzero(sets.num_shared > 0)
    first = sets.by.members[sets.by.starts]
    np.testing.assert_array_equal(disjoint.exist(numbers), expected[first[numbers]].any(1))
    for number in numbers.tolist():
        np.testing.assert_array_equal(np.isin(sets.by.of, disjoint.of(number)), expected[first[number]])


@pytest.mark.parametrize("num, share", [(36, 0.75), (100, 0.5)])
def test_whether_any_of_many_label_sets_shares_nothing(num, share):
    rng = np.random.default_rng(0)
    labels = np.where(rng.random((4500, num)) < share * rng.random(num), np.arange(num), -1)
    sets = LabelSets(labels)
    expected = disjoint_by_definition(labels).any(1)
    disjoint = Disjoint(sets)
    np.testing.assert_array_equal(disjoint.exist(sets.by.of), expected)
    assert disjoint.exist(np.full(5000, sets.by.of[expected.argmax()])).all()  # more alike than go at once
    assert 0.1 < expected.mean() < 0.9


def test_what_has_no_labels():
    source = source_of([0, 1])
    source.labels = None
    for kind, type_ in (("images", "BALANCED"), ("images", "PK"), ("pairs", "RANDOM"), ("triplets", "HARD")):
        options = SimpleNamespace(type=type_, sampler=None, pairs=None, triplets=None)
        with refused(DataError, "no labels", source="labels.csv"):
            getattr(samplers, kind)(source, options, training=True, ranks=1)


def test_too_few_classes_and_no_triplet():
    with refused(DataError, "1 class of 2 records", "'classes_per_batch' is 2"):
        CASES[2].make([0, 0, 1])
    with refused(DataError, "0 classes of 2 records", remedy="labels that 2 records share"):
        CASES[2].make([0, 1, 2])
    with refused(DataError, "no triplet", "3 records in 3 classes"):
        Case("triplets", "RANDOM").make([0, 1, 2])
    with refused(DataError, "no pair", "label sets of 3 records"):
        Case("pairs", "RANDOM_MULTILABEL").make([0, 0, 0])


def test_junk_is_no_class():
    """Person re-identification: many detections of nobody, labelled -1, which are unlike one another."""
    labels = [number % 10 for number in range(100)] + [-1] * 100
    records, _ = stream(Case("triplets", "RANDOM").make(labels), 200)
    assert records.max() < 100
    records, _ = stream(Case("triplets", "RANDOM", {"unlabelled": "negative"}).make(labels), 200)
    assert records[:2].max() < 100
    assert (records[2] >= 100).mean() == pytest.approx(0.1, abs=0.03), "one class of ten that are not the anchor's"
    for case in CASES[1:3]:
        assert stream(case.make(labels), 100)[0].max() < 100


@pytest.mark.parametrize(
    "case", [Case("images", "BALANCED"), Case("pairs", "RANDOM"), Case("triplets", "RANDOM_MULTILABEL")], ids=str
)
def test_what_is_said_of_records_without_a_label(case):
    labels = [(0, 1), (0, 1), (2, -1), (2, -1), (3, -1), (-1, -1), (-1, -1)]
    sampler = case.make(labels)
    only = " of them because they have no label (a negative label means none), the others "
    expected = {"images": "because they have no label (a negative label means none)"}.get(case.kind, f"2{only}")
    assert sampler.left_out_because.startswith(expected)
    assert sampler.left_out == (2 if case.kind == "images" else 3)
    with refused(DataError, "all labels are negative", source="labels.csv"):
        case.make([-1] * 4)


def test_what_is_said_of_negatives_without_a_label():
    case = Case("triplets", "RANDOM", {"unlabelled": "negative"})
    sampler = case.make([0, 0, 1, -1, -1])
    assert sampler.left_out == 3
    assert sampler.left_out_because == (
        "2 of them except as negatives, because they have no label (a negative label means none), the others because each is the only one of its class"
    )
    assert (
        case.make([0, 0, -1]).left_out_because
        == "except as negatives, because they have no label (a negative label means none)"
    )
    with refused(DataError, "no triplet", "(1 of 3 records have no label"):
        Case("triplets", "RANDOM").make([0, 0, -1])


def test_a_row_of_indicators_without_a_1_is_a_label_set_and_one_of_which_nothing_is_known_is_none():
    source = source_of([(0, -1), (0, -1), (1, 2), (-1, -1), (-1, -1)])
    unknown = np.zeros((5, 3), bool)
    unknown[4] = unknown[2, 0] = True
    source.set_labels(source.labels, 3, unknown)
    for kind in ("RANDOM", "RANDOM_MULTILABEL"):
        records, _ = stream(Case("triplets", kind).make(source), 50)
        assert set(records[2].tolist()) == {2, 3}
