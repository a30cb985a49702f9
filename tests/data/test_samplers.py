"""Every sampler against what it documents; triplets against the plain loop, on label sets that Hypothesis finds."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_pylayers.data.samplers import Images, RandomTriplets
from caffe_pylayers.errors import DataError


def images(size, batch_size, permuted=True, seed=0, stream=0):
    return Images(np.arange(size), batch_size, permuted=permuted, seed=seed, stream=stream)


def triplets(labels, batch_size, permuted=True, seed=0):
    return RandomTriplets(np.asarray(labels), batch_size, permuted=permuted, seed=seed, stream=0)


@given(st.integers(1, 40), st.integers(1, 50), st.booleans(), st.integers(0, 3))
def test_every_sample_comes_once_an_epoch(size, batch_size, permuted, seed):
    sampler = images(size, batch_size, permuted, seed)
    num_epochs = 3
    batches = [sampler.batch(number).records[0] for number in range(num_epochs * size // batch_size + 1)]
    assert all(len(batch) == batch_size for batch in batches)
    stream = np.concatenate(batches)
    for epoch in range(len(stream) // size):
        order = stream[epoch * size : (epoch + 1) * size]
        assert sorted(order) == list(range(size))
        if not permuted:
            assert (order == np.arange(size)).all()


def test_orders_differ_by_epoch_seed_and_stream():
    def order(epoch, **options):
        return tuple(images(100, 100, **options).batch(epoch).records[0])

    orders = {
        order(0),
        order(1),
        order(0, seed=1),
        order(0, stream=1),
        order(1, seed=1),
        order(0, seed=1, stream=1),
    }
    assert len(orders) == 6


def test_a_batch_does_not_depend_on_those_before_it():
    labels = np.random.default_rng(0).integers(0, 9, 100)
    for make in (lambda: images(100, 7), lambda: triplets(labels, 7)):
        walked = make()
        straight = {number: walked.batch(number) for number in range(60)}
        for number in (59, 3, 31, 14):  # 14 begins an epoch, 3 and 31 lie across
            batch = make().batch(number)
            np.testing.assert_array_equal(batch.records, straight[number].records)
            np.testing.assert_array_equal(batch.keys, straight[number].keys)


def test_far_batches():
    sampler = images(1000, 64)
    batch = sampler.batch(10_000_000)
    assert set(batch.records[0]) <= set(range(1000))
    assert len(set(batch.keys[0].tolist())) == 64
    sampler.batch(2**55)


def test_keys_of_images_are_all_different():
    sampler = triplets(np.arange(50) % 5, 50)
    keys = np.concatenate([sampler.batch(number).keys.ravel() for number in range(20)])
    assert len(set(keys.tolist())) == len(keys) == 3000


label_sets = st.one_of(
    st.lists(st.integers(-1, 4), min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 1)), min_size=1, max_size=30),
)


@settings(max_examples=200)
@given(label_sets, st.integers(1, 9), st.booleans())
def test_triplets_against_the_plain_loop(labels, batch_size, permuted):
    classes = [tuple(np.atleast_1d(label)) for label in labels]
    counts = Counter(classes)
    usable = [record for record, name in enumerate(classes) if counts[name] > 1]
    if len(counts) < 2 or not usable:
        with pytest.raises(DataError, match=f"no triplet can be made of {len(labels)} records in {len(counts)} class"):
            triplets(labels, batch_size, permuted)
        return
    sampler = triplets(labels, batch_size, permuted)
    assert sampler.left_out == len(labels) - len(usable)
    drawn = np.concatenate([sampler.batch(number).records for number in range(len(usable))], axis=1)
    for anchor, positive, negative in drawn.T:
        assert classes[anchor] == classes[positive]
        assert anchor != positive
        assert classes[anchor] != classes[negative]
    for epoch in range(batch_size):
        assert sorted(drawn[0, epoch * len(usable) : (epoch + 1) * len(usable)]) == usable


def test_triplets_are_distributed_as_documented():
    """Positives uniform over the class's others; negatives uniform over the other classes, then within."""
    labels = np.array([0] * 3 + [1] * 5 + [2])
    sampler = triplets(labels, 70, seed=5)
    drawn = np.concatenate([sampler.batch(number).records for number in range(1000)], axis=1)
    anchor, positive, negative = drawn
    of_first = positive[anchor == 0]
    assert set(of_first) == {1, 2}
    assert abs((of_first == 1).mean() - 1 / 2) < 0.03
    for other, share in ((8, 1 / 2), (3, 1 / 10), (7, 1 / 10)):
        assert abs((negative[anchor == 0] == other).mean() - share) < 0.03
    of_class_1 = negative[labels[anchor] == 1]
    for other, share in ((8, 1 / 2), (0, 1 / 6), (2, 1 / 6)):
        assert abs((of_class_1 == other).mean() - share) < 0.02
