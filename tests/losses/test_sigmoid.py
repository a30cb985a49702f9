import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.losses import blocks
from caffe_pylayers.losses.sigmoid import sigmoid_cross_entropy
from tests.losses import references, stock_cases
from tests.losses.references import Buffers


def random_batch(rng, shape):
    return rng.randn(*shape) * 3, rng.randn(*shape)


@given(st.integers(1, 6), st.integers(1, 7), st.sampled_from(["one", "row", "element"]), st.integers(0, 2**31))
def test_equals_the_plain_loop_in_blocks_of_any_size(num, size, kind, seed):
    rng = np.random.RandomState(seed)
    scores, target = random_batch(rng, (num, size))
    factor = 0.5 if kind == "one" else rng.uniform(0, 2, (num, 1 if kind == "row" else size))
    gradient = np.empty_like(scores)
    whole, blocks.BLOCK = blocks.BLOCK, rng.randint(1, 2 * scores.size + 1)
    try:
        values = sigmoid_cross_entropy(scores, target, factor, gradient)
        alone = sigmoid_cross_entropy(scores, target)
    finally:
        blocks.BLOCK = whole
    expected = stock_cases.sigmoid(scores, target)[0]
    np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(alone, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(gradient, (1 / (1 + np.exp(-scores)) - target) * factor, atol=1e-12)


def test_gradient_equals_finite_differences():
    rng = np.random.RandomState(0)
    scores, target = random_batch(rng, (3, 4))
    factor = rng.uniform(0.5, 2, (3, 4))
    gradient = np.empty_like(scores)
    sigmoid_cross_entropy(scores, target, factor, gradient)
    expected = references.numeric_gradient(lambda x: (factor * sigmoid_cross_entropy(x, target)).sum(), scores)
    np.testing.assert_allclose(gradient, expected, atol=1e-8)


def test_float32_keeps_its_digits_at_any_height():
    scores = np.array([[1e4, -1e4, 90, -90, 88, -88, 20, -20, 1e-3, 0]], np.float32)
    for t in (0, 1, 0.25):
        target = np.full_like(scores, t)
        gradient, exact = np.empty_like(scores), np.empty(scores.shape)
        values = sigmoid_cross_entropy(scores, target, 1.0, gradient)
        in_float64 = sigmoid_cross_entropy(scores.astype(np.float64), target.astype(np.float64), 1.0, exact)
        np.testing.assert_allclose(values, in_float64, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(gradient, exact, rtol=1e-6, atol=1e-38 if t == 0 else 1e-7)


def test_scores_of_factor_zero_may_be_nan():
    scores, target = random_batch(np.random.RandomState(1), (3, 4))
    scores[1] = np.nan
    gradient = np.empty_like(scores)
    for factor in (np.array([[1.0], [0], [1]]), np.repeat([[1.0], [0], [1]], 4, axis=1)):
        sigmoid_cross_entropy(scores, target, factor, gradient)
        assert np.isfinite(gradient).all()
        assert not gradient[1].any()
    sigmoid_cross_entropy(scores, target, 1.0, gradient)
    assert np.isnan(gradient[1]).all()


@pytest.mark.parametrize("shape", [(400, 1000), (4, 100_000)])
def test_works_in_the_arrays_that_it_is_given_and_leaves_its_input(shape):
    scores, target = random_batch(np.random.RandomState(2), shape)
    scores.flags.writeable = target.flags.writeable = False
    buffers = Buffers()
    assert sigmoid_cross_entropy(scores, target, buffer=buffers) is buffers.made["values"]
    assert buffers.made["exps"].size < scores.size
