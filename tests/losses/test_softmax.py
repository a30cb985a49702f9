import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.losses import blocks
from caffe_pylayers.losses.softmax import softmax_cross_entropy
from tests.losses import class_cases, references
from tests.losses.references import Buffers


def random_batch(rng, shape):
    scores = rng.randn(*shape) * 3
    return scores, rng.randint(0, shape[1], shape[:1] + shape[2:])


@given(st.integers(1, 6), st.integers(1, 5), st.one_of(st.none(), st.integers(1, 7)), st.integers(0, 2**31))
def test_equals_the_plain_loop_in_blocks_of_any_size(outer, num_classes, inner, seed):
    rng = np.random.RandomState(seed)
    scores, labels = random_batch(rng, (outer, num_classes) + (() if inner is None else (inner,)))
    factor = rng.uniform(0, 2, labels.shape)
    gradient, prob = np.empty_like(scores), np.empty_like(scores)
    expected = class_cases.softmax(scores, labels)[0].reshape(labels.shape)
    whole, blocks.BLOCK = blocks.BLOCK, rng.randint(1, 2 * scores.size + 1)
    try:
        values = softmax_cross_entropy(scores, labels, factor, gradient, prob)
        alone = softmax_cross_entropy(scores, labels)
    finally:
        blocks.BLOCK = whole
    np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(alone, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(prob.sum(axis=1), 1)
    each = np.moveaxis(np.eye(num_classes)[labels], -1, 1)
    np.testing.assert_allclose(gradient, (prob - each) * factor[:, None], atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 5)])
def test_gradient_equals_finite_differences(shape):
    rng = np.random.RandomState(0)
    scores, labels = random_batch(rng, shape)
    factor = rng.uniform(0.5, 2, labels.shape)
    gradient = np.empty_like(scores)
    softmax_cross_entropy(scores, labels, factor, gradient)
    expected = references.numeric_gradient(lambda x: (factor * softmax_cross_entropy(x, labels)).sum(), scores)
    np.testing.assert_allclose(gradient, expected, atol=1e-8)


@pytest.mark.parametrize("shift", [0, 1e4, -1e4, 59.5, -60, 88, -88, -104])
@pytest.mark.parametrize("inner", [(), (3,)])
def test_float32_is_exact_at_any_height(shift, inner):
    rng = np.random.RandomState(1)
    scores, labels = random_batch(rng, (50, 7, *inner))
    scores = (scores + shift).astype(np.float32)
    gradient = np.empty_like(scores)
    values = softmax_cross_entropy(scores, labels, 1.0, gradient)
    np.testing.assert_allclose(values.reshape(50, -1), class_cases.softmax(scores, labels)[0], rtol=2e-5, atol=5e-7)
    exact = np.empty(scores.shape)
    softmax_cross_entropy(scores.astype(np.float64), labels, 1.0, exact)
    np.testing.assert_allclose(gradient, exact, atol=1e-6)


def test_rows_of_unlike_heights_do_not_share_a_shift():
    scores = np.array([[50, 49, 48], [-70, -71, -72], [0, -200, -1], [-1e4, 1e4, 0]], np.float32)
    values = softmax_cross_entropy(scores, np.array([0, 1, 2, 1]))
    expected = class_cases.softmax(scores, [0, 1, 2, 1])[0].ravel()
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)


def test_values_stop_where_stock_stops_and_gradients_do_not():
    scores = np.array([[1e4, -1e4]], np.float32)
    gradient = np.empty_like(scores)
    values = softmax_cross_entropy(scores, np.array([1]), 1.0, gradient)
    assert values[0] == pytest.approx(-np.log(np.finfo(np.float32).tiny))
    np.testing.assert_array_equal(gradient, [[1, -1]])


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("inner", [(), (2,)])
def test_nan_scores_of_factor_zero_give_gradient_zero(inner):
    scores, labels = random_batch(np.random.RandomState(2), (3, 4, *inner))
    scores[1] = np.nan
    factor = np.ones(labels.shape)
    factor[1] = 0
    gradient = np.empty_like(scores)
    softmax_cross_entropy(scores, labels, factor, gradient)
    assert np.isfinite(gradient).all()
    assert not gradient[1].any()
    softmax_cross_entropy(scores, labels, 1.0, gradient)
    assert np.isnan(gradient[1]).all()


def test_works_in_the_arrays_that_it_is_given_and_leaves_its_input():
    scores, labels = random_batch(np.random.RandomState(3), (400, 1000))
    scores.flags.writeable = labels.flags.writeable = False
    buffers = Buffers()
    assert softmax_cross_entropy(scores, labels, buffer=buffers) is buffers.made["values"]
    assert softmax_cross_entropy(scores, labels, buffer=buffers) is buffers.made["values"]
    assert buffers.size < scores.size
