import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.losses.distributions import add_one_hot, clear_ignored, distribution_shape, spread


@pytest.mark.parametrize(
    ("label", "distribution"),
    [
        ((8,), (8, 5)),
        ((8, 1), (8, 5)),
        ((8, 1, 1, 1), (8, 5, 1, 1)),
        ((8, 1, 3, 4), (8, 5, 3, 4)),
        ((8, 3, 4), (8, 5, 3, 4)),
        ((8, 3), (8, 5, 3)),
        ((0,), (0, 5)),
    ],
)
def test_shapes(label, distribution):
    assert distribution_shape(label, 5) == distribution


def test_spread_and_ignored_by_hand():
    out = np.full((2, 3, 2), np.nan)
    labels = np.array([[0, 2], [1, 1]])
    spread(labels, 0.8, 0.1, out)
    clear_ignored(np.array([[False, True], [False, False]]), out)
    np.testing.assert_array_equal(
        out.transpose(0, 2, 1), [[[0.8, 0.1, 0.1], [0, 0, 0]], [[0.1, 0.8, 0.1], [0.1, 0.8, 0.1]]]
    )


@given(st.integers(0, 3), st.integers(1, 5), st.integers(0, 3), st.integers(0, 2**31), st.floats(0, 1), st.floats(0, 1))
def test_noise_on_one_hot_against_a_plain_loop(num_samples, num_classes, size, seed, low, high):
    low, high = min(low, high), max(low, high)
    rng = np.random.RandomState(seed)
    labels = rng.randint(0, num_classes, (num_samples, size))
    noise = rng.uniform(-1.5, 1, (num_samples, num_classes, size))
    given = noise.copy()
    add_one_hot(labels, noise, (low, high))
    for n in range(num_samples):
        for m in range(size):
            entries = [min(max(given[n, k, m] + (k == labels[n, m]), low), high) for k in range(num_classes)]
            total = sum(entries)
            expected = [entry / total if total else float(k == labels[n, m]) for k, entry in enumerate(entries)]
            np.testing.assert_allclose(noise[n, :, m], expected, rtol=1e-12)
