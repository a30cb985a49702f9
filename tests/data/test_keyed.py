import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.data import keyed


def test_values_are_fixed_for_good():
    """A run repeats under every version of numpy: these numbers must never change."""
    assert int(keyed.bits(0)) == 16294208416658607535  # the first output of SplitMix64 from state 0
    assert keyed.permutation(8, 1, 2).tolist() == [7, 5, 6, 1, 4, 3, 0, 2]


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=4))
def test_bits_follow_splitmix64(key):
    assert int(keyed.bits(*key)) == _slow_bits(*key)


def test_keys_are_mixed_and_not_added():
    assert keyed.bits(1, 2) != keyed.bits(2, 1)
    keys = [(seed, epoch, place) for seed in range(20) for epoch in range(20) for place in range(20)]
    assert len({int(keyed.bits(*key)) for key in keys}) == len(keys)


@pytest.mark.parametrize("bound", [1, 2, 7, 1000])
def test_one_of_n_is_uniform(bound):
    counts = np.bincount((keyed.uniform(3, np.arange(70000)) * bound).astype(int), minlength=bound)
    assert len(counts) == bound
    expected = 70000 / bound
    # Chi-square: mean bound-1, variance 2(bound-1).
    assert ((counts - expected) ** 2 / expected).sum() < bound + 6 * np.sqrt(2 * bound)


def test_normal_has_mean_0_and_variance_1():
    draws = keyed.normal(5, np.arange(200000))
    assert abs(draws.mean()) < 0.01
    assert abs(draws.std() - 1) < 0.01
    assert abs((np.abs(draws) < 1.96).mean() - 0.95) < 0.003


def test_every_permutation_of_four_comes_equally_often():
    orders = [tuple(keyed.permutation(4, 0, epoch)) for epoch in range(4800)]
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert ((counts - 200) ** 2 / 200).sum() < 64  # chi-square, 23 degrees of freedom: once in 100,000 by chance


def _slow_bits(*key):
    mask = (1 << 64) - 1
    state = 0
    for part in key:
        state = ((state ^ (part & mask)) + 0x9E3779B97F4A7C15) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state
