import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.losses import blocks
from caffe_pylayers.losses.contrastive import contrastive
from tests.losses import references, stock_cases
from tests.losses.references import Buffers


def random_batch(rng, num, size):
    return (*rng.randn(2, num, size), rng.uniform(size=num) < 0.5)


@given(st.integers(1, 6), st.integers(1, 7), st.booleans(), st.integers(0, 2**31))
def test_equals_the_plain_loop_in_blocks_of_any_size(num, size, legacy, seed):
    rng = np.random.RandomState(seed)
    feature, feature_p, similar = random_batch(rng, num, size)
    margin = rng.uniform(0, 5)
    factor, gradients = rng.uniform(0, 2, num), np.empty((2, num, size))
    whole, blocks.BLOCK = blocks.BLOCK, rng.randint(1, 2 * feature.size + 1)
    try:
        values = contrastive(feature, feature_p, similar, margin, legacy, factor, gradients)
    finally:
        blocks.BLOCK = whole
    expected = stock_cases.contrastive(feature, feature_p, similar, margin, legacy)[0]
    np.testing.assert_allclose(values, expected)
    np.testing.assert_array_equal(gradients[1], -gradients[0])
    difference = feature - feature_p
    d = np.linalg.norm(difference, axis=1)
    pushing = -(d**2 < margin).astype(float) if legacy else -np.maximum(0, margin - d) / (d + 1e-4)
    slopes = np.where(similar, 1, pushing) * factor
    np.testing.assert_allclose(gradients[0], slopes[:, None] * difference)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("which", [0, 1])
def test_gradients_equal_finite_differences(which, legacy):
    rng = np.random.RandomState(0)
    feature, feature_p, similar = random_batch(rng, 6, 3)
    both, factor = [feature * 50, feature_p * 50], rng.uniform(0.5, 2, 6)
    margin = 1e5 if legacy else 200.0
    gradients = [None, None]
    gradients[which] = np.empty((6, 3))
    contrastive(*both, similar, margin, legacy, factor, gradients)

    def total(x):
        moved = [*both[:which], x, *both[which + 1 :]]
        return float(factor @ contrastive(*moved, similar, margin, legacy))

    # The 0.0001 that stock Caffe adds to distances of about 100.
    expected = references.numeric_gradient(total, both[which], step=1e-4)
    np.testing.assert_allclose(gradients[which], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("legacy", [False, True])
def test_equal_features_have_gradient_zero(legacy):
    x, gradients = np.ones((2, 3), np.float32), np.full((2, 2, 3), np.nan, np.float32)
    values = contrastive(x, x, np.array([True, False]), 2.0, legacy, 1.0, gradients)
    np.testing.assert_allclose(values, [0, 1 if legacy else 2])
    assert not gradients.any()


def test_pairs_of_factor_zero_may_be_nan():
    feature, feature_p, similar = random_batch(np.random.RandomState(1), 4, 3)
    similar[:] = [True, True, False, False]
    feature[1] = feature_p[2] = np.nan
    gradients = np.empty((2, 4, 3))
    contrastive(feature, feature_p, similar, 9.0, False, np.array([1.0, 0, 0, 1]), gradients)
    assert np.isfinite(gradients).all()
    assert not gradients[:, 1:3].any()


def test_works_in_the_arrays_that_it_is_given_and_leaves_its_input():
    feature, feature_p, similar = random_batch(np.random.RandomState(2), 400, 1000)
    feature.flags.writeable = feature_p.flags.writeable = similar.flags.writeable = False
    buffers = Buffers()
    assert contrastive(feature, feature_p, similar, buffer=buffers) is buffers.made["values"]
    assert buffers.size < feature.size
