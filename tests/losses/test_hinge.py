import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.losses import blocks
from caffe_pylayers.losses.hinge import hinge
from tests.losses import references, stock_cases
from tests.losses.references import Buffers

norms = pytest.mark.parametrize("norm", ["L1", "L2"])


def random_batch(rng, num, num_classes):
    return rng.randn(num, num_classes) * 2, rng.randint(0, num_classes, num)


@given(st.integers(1, 6), st.integers(1, 7), st.sampled_from(["L1", "L2"]), st.integers(0, 2**31))
def test_equals_the_plain_loop_in_blocks_of_any_size(num, num_classes, norm, seed):
    rng = np.random.RandomState(seed)
    scores, labels = random_batch(rng, num, num_classes)
    factor, gradient = rng.uniform(0, 2, num), np.empty_like(scores)
    whole, blocks.BLOCK = blocks.BLOCK, rng.randint(1, 2 * scores.size + 1)
    try:
        values = hinge(scores, labels, norm, factor, gradient)
        alone = hinge(scores, labels, norm)
    finally:
        blocks.BLOCK = whole
    expected = stock_cases.hinge(scores, labels, norm)[0]
    np.testing.assert_allclose(values, expected)
    np.testing.assert_allclose(alone, expected)
    signs = 2 * np.eye(num_classes)[labels] - 1
    hinges = np.maximum(0, 1 - signs * scores)
    slopes = -signs * (hinges > 0 if norm == "L1" else 2 * hinges)
    np.testing.assert_allclose(gradient, slopes * factor[:, None])


@norms
def test_gradient_equals_finite_differences(norm):
    rng = np.random.RandomState(0)
    scores, labels = random_batch(rng, 4, 3)
    factor, gradient = rng.uniform(0.5, 2, 4), np.empty_like(scores)
    hinge(scores, labels, norm, factor, gradient)
    expected = references.numeric_gradient(lambda x: float(factor @ hinge(x, labels, norm)), scores)
    np.testing.assert_allclose(gradient, expected, atol=1e-8)


@norms
def test_a_hinge_of_zero_has_gradient_zero(norm):
    gradient = np.full((1, 3), np.nan)
    assert hinge(np.array([[-1.0, 1.0, -np.inf]]), np.array([1]), norm, 1.0, gradient) == 0
    assert not gradient.any()


@norms
def test_rows_of_factor_zero_may_be_nan(norm):
    scores, labels = random_batch(np.random.RandomState(1), 3, 4)
    scores[1] = np.nan
    gradient = np.empty_like(scores)
    hinge(scores, labels, norm, np.array([1.0, 0, 1]), gradient)
    assert np.isfinite(gradient).all()
    assert not gradient[1].any()


def test_works_in_the_arrays_that_it_is_given_and_leaves_its_input():
    scores, labels = random_batch(np.random.RandomState(2), 400, 1000)
    scores.flags.writeable = labels.flags.writeable = False
    buffers = Buffers()
    assert hinge(scores, labels, buffer=buffers) is buffers.made["values"]
    assert buffers.size < scores.size
