import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.losses import blocks
from caffe_pylayers.losses.euclidean import euclidean
from tests.losses import references, stock_cases
from tests.losses.references import Buffers


@given(st.integers(1, 6), st.integers(1, 7), st.sampled_from(["one", "row", "element"]), st.integers(0, 2**31))
def test_equals_the_plain_loop_in_blocks_of_any_size(num, size, kind, seed):
    rng = np.random.RandomState(seed)
    prediction, target = rng.randn(2, num, size)
    shape = (num, size) if kind == "element" else (num,)
    factor = 0.5 if kind == "one" else rng.uniform(0, 2, shape)
    gradients = np.empty((2, num, size))
    whole, blocks.BLOCK = blocks.BLOCK, rng.randint(1, 2 * prediction.size + 1)
    try:
        values = euclidean(prediction, target, factor, gradients, kind == "element")
        alone = euclidean(prediction, target)
    finally:
        blocks.BLOCK = whole
    expected = stock_cases.euclidean(prediction, target)[0]
    np.testing.assert_allclose(values, expected if kind == "element" else expected.sum(axis=1))
    np.testing.assert_allclose(alone, expected.sum(axis=1))
    each = factor[:, None] if kind == "row" else factor
    np.testing.assert_allclose(gradients, [(prediction - target) * each, (target - prediction) * each])


@pytest.mark.parametrize("which", [0, 1])
def test_gradients_equal_finite_differences(which):
    rng = np.random.RandomState(0)
    both, factor = rng.randn(2, 3, 4), rng.uniform(0.5, 2, 3)
    gradients = [None, None]
    gradients[which] = np.empty((3, 4))
    euclidean(*both, factor, gradients)

    def total(x):
        return float(factor @ euclidean(x, both[1]) if which == 0 else factor @ euclidean(both[0], x))

    np.testing.assert_allclose(gradients[which], references.numeric_gradient(total, both[which]), atol=1e-8)


def test_rows_of_factor_zero_may_be_nan():
    both = np.random.RandomState(1).randn(2, 3, 4)
    both[:, 1] = np.nan
    gradients = np.empty((2, 3, 4))
    for factor in (np.array([1.0, 0, 1]), np.repeat([[1.0], [0], [1]], 4, axis=1)):
        euclidean(*both, factor, gradients, factor.ndim > 1)
        assert np.isfinite(gradients).all()
        assert not gradients[:, 1].any()
    euclidean(*both, 1.0, gradients)
    assert np.isnan(gradients[:, 1]).all()


def test_works_in_the_arrays_that_it_is_given_and_leaves_its_input():
    both = np.random.RandomState(2).randn(2, 2, 300_000)
    both.flags.writeable = False
    buffers = Buffers()
    assert euclidean(*both, buffer=buffers) is buffers.made["values"]
    assert buffers.size < both[0].size
