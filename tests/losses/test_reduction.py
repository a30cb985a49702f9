import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from caffe_pylayers.losses.reduction import Reduction
from tests.losses.references import numeric_gradient, reduce

MODES = ("FULL", "VALID", "BATCH_SIZE", "NONE")


def test_the_table_by_hand():
    # Two samples of three terms; the last term of each is ignored.
    values = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    weights = np.array([[1.0, 1.0, 1.0], [0.5, 2.0, 3.0]])
    ignored = np.array([[False, False, True], [False, False, True]])
    total = 1 + 2 + 4 + 32
    for mode, normalizer in {"FULL": 8.5, "VALID": 4.5, "BATCH_SIZE": 8.5 / 3, "NONE": 1.0}.items():
        assert Reduction((2, 3), weights, ignored, mode).loss(values) == pytest.approx(total / normalizer), mode
    for mode, normalizer in {"FULL": 6, "VALID": 4, "BATCH_SIZE": 2, "NONE": 1}.items():
        counted = Reduction((2, 3), weights, ignored, mode, "count")
        assert counted.loss(values) == pytest.approx(total / normalizer), mode
        assert Reduction((2, 3), None, ignored, mode).loss(values) == pytest.approx((1 + 2 + 8 + 16) / normalizer)


@st.composite
def batches(draw):
    outer, inner = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    rng = np.random.RandomState(draw(st.integers(0, 2**31)))
    shape = (outer, inner)
    values = rng.uniform(0.1, 3, shape)
    weights = rng.uniform(0.2, 2, shape)
    weights[rng.rand(*shape) < 0.2] = 0
    ignored = rng.rand(*shape) < 0.3 if draw(st.booleans()) else None
    return values, weights, ignored, draw(st.sampled_from(MODES)), draw(st.sampled_from(["weight", "count"]))


@given(batches())
def test_equals_the_plain_loop(batch):
    values, weights, ignored, mode, by = batch
    absent = np.zeros(values.shape, bool) if ignored is None else ignored
    reduction = Reduction(values.shape, weights, ignored, mode, by)
    assert reduction.loss(values) == pytest.approx(reduce(values, absent, weights, mode, by))
    unweighted = Reduction(values.shape, None, ignored, mode, by)
    assert unweighted.loss(values) == pytest.approx(reduce(values, absent, None, mode, by))


@given(batches())
def test_gradients_equal_finite_differences(batch):
    values, weights, ignored, mode, by = batch

    def loss(some_values, some_weights):
        return Reduction(values.shape, some_weights, ignored, mode, by).loss(some_values)

    reduction = Reduction(values.shape, weights, ignored, mode, by)
    expected = numeric_gradient(lambda x: loss(x, weights), values)
    np.testing.assert_allclose(np.broadcast_to(reduction.factor, values.shape), expected, atol=1e-7)

    # A weight cannot go below 0, and where all are 0 the loss jumps: there it has no derivative.
    away = weights + 0.01
    reduction = Reduction(values.shape, away, ignored, mode, by)
    got = reduction.weight_gradient(values, reduction.loss(values))
    expected = numeric_gradient(lambda w: loss(values, w), away)
    np.testing.assert_allclose(got, expected.ravel(), rtol=1e-4, atol=1e-6)
    groups = reduction.weight_gradient(values, reduction.loss(values), len(values))
    np.testing.assert_allclose(groups, expected.sum(axis=1), rtol=1e-4, atol=1e-6)


@given(batches())
def test_scaling_all_weights_changes_nothing(batch):
    values, weights, ignored, mode, _ = batch
    assume(mode != "NONE")
    one, other = (Reduction(values.shape, c * weights, ignored, mode) for c in (1, 1e-3))
    assert one.loss(values) == pytest.approx(other.loss(values))
    np.testing.assert_allclose(one.factor, other.factor)


@given(batches(), st.data())
def test_a_weight_of_k_is_k_copies(batch, data):
    values, _, ignored, mode, _ = batch
    copies = data.draw(st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values)))
    assume(sum(copies))
    weights = np.repeat(np.array(copies, float)[:, None], values.shape[1], axis=1)
    again = None if ignored is None else np.repeat(ignored, copies, axis=0)
    copied = np.repeat(values, copies, axis=0)
    expected = Reduction(copied.shape, None, again, mode).loss(copied)
    assert Reduction(values.shape, weights, ignored, mode).loss(values) == pytest.approx(expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("weights", [np.zeros((2, 2)), None])
def test_nothing_to_count_gives_zeros(mode, weights):
    ignored = np.ones((2, 2), bool)
    reduction = Reduction((2, 2), weights, ignored, mode)
    values = np.full((2, 2), 5.0)
    assert reduction.loss(values) == 0
    assert not np.any(reduction.factor)
    if mode == "VALID" or weights is not None:
        assert not np.any(reduction.weight_gradient(values, 0.0)[ignored.ravel()])


def test_a_term_of_weight_zero_is_not_there_even_if_it_is_nan():
    values = np.array([1.0, np.nan, np.inf])
    reduction = Reduction((3,), np.array([2.0, 0.0, 1.0]), np.array([False, False, True]))
    assert reduction.loss(values) == 1.0


@given(batches())
def test_one_weight_a_sample_is_that_weight_for_each_of_its_terms(batch):
    values, weights, ignored, mode, by = batch
    one = weights[:, :1]
    short = Reduction(values.shape, one, ignored, mode, by)
    long = Reduction(values.shape, np.repeat(one, values.shape[1], axis=1), ignored, mode, by)
    assert short.loss(values) == pytest.approx(long.loss(values))
    np.testing.assert_allclose(np.broadcast_to(short.factor, values.shape), np.broadcast_to(long.factor, values.shape))
    gradients = [each.weight_gradient(values, 0.7, len(values)) for each in (short, long)]
    np.testing.assert_allclose(*gradients, atol=1e-12)


@given(st.integers(0, 2**31), st.sampled_from(["weight", "count"]), st.booleans())
def test_values_that_are_sums_count_as_their_terms(seed, by, weighted):
    rng = np.random.RandomState(seed)
    counts = rng.randint(0, 4, 5)
    terms = [rng.uniform(0.1, 3, count) for count in counts]
    weights = rng.uniform(0.2, 2, 5) if weighted else None
    sums = np.array([each.sum() for each in terms])
    reduction = Reduction((5,), weights, None, "VALID", by, counts=counts)
    each = None if weights is None else np.repeat(weights, counts)
    values = np.concatenate(terms)
    expected = reduce(values, np.zeros(len(values), bool), each, "VALID", by)
    assert reduction.loss(sums) == pytest.approx(expected)
    assert reduction.normalizer == pytest.approx(each.sum() if weighted and by == "weight" else counts.sum())
    if weighted:

        def loss(some):
            return Reduction((5,), some, None, "VALID", by, counts=counts).loss(sums)

        got = reduction.weight_gradient(sums, reduction.loss(sums))
        np.testing.assert_allclose(got, numeric_gradient(loss, weights), rtol=1e-4, atol=1e-6)


def test_large_arrays_are_made_by_the_buffer_that_is_given():
    made = {}

    def buffer(name, shape):
        made[name] = np.empty(shape, np.float32)
        return made[name]

    ignored = np.array([[True, False], [False, False]])
    reduction = Reduction((2, 2), np.array([[1.0], [3.0]], np.float32), ignored, buffer=buffer)
    assert reduction.factor is made["factor"]
    np.testing.assert_allclose(reduction.factor, np.array([[0, 1], [3, 3]]) / 7)


def test_a_sum_of_many_loses_no_digit_of_float32():
    values = np.full(10_000_003, 0.1, np.float32)
    assert Reduction(values.shape).loss(values) == pytest.approx(float(np.float32(0.1)), rel=1e-7)
    weights = np.full(values.shape, 2, np.float32)
    assert Reduction(values.shape, weights).loss(values) == pytest.approx(float(np.float32(0.1)), rel=2e-7)
