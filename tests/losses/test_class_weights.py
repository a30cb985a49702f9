import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers import DataError
from caffe_pylayers.losses.class_weights import (
    class_weights,
    count_labels,
    infogain_matrix,
    mean_weight,
    read_counts,
    scale_weights,
)

RULES = ("max_count", "balanced", "inverse_sqrt")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("max_count", [1, 4, 0, 100]),
        ("balanced", [126 / 300, 126 / 75, 0, 126 / 3]),
        ("inverse_sqrt", [1, 2, 0, 10]),
    ],
)
def test_rules_by_hand(rule, expected):
    np.testing.assert_allclose(class_weights(np.array([100, 25, 0, 1]), rule), expected)


def test_max_count_unscaled_multiplies_the_loss_of_long_tailed_cifar_by_4():
    counts = np.array([5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])  # 100:1, Cao et al. 2019
    assert mean_weight(class_weights(counts), counts) == pytest.approx(4.03, abs=0.01)


counts_lists = st.lists(st.integers(0, 1000), min_size=1, max_size=8).map(np.array)


@given(counts_lists, st.sampled_from(RULES))
def test_scales(counts, rule):
    weights = class_weights(counts, rule)
    assert np.isfinite(weights).all()
    np.testing.assert_array_equal(weights > 0, counts > 0)
    if counts.any():
        assert scale_weights(weights, counts, "sum_one").sum() == pytest.approx(1)
        assert mean_weight(scale_weights(weights, counts, "mean_one"), counts) == pytest.approx(1)
    np.testing.assert_array_equal(scale_weights(weights, counts, "none"), weights)


@given(counts_lists)
def test_balanced_has_mean_one(counts):
    assert mean_weight(class_weights(counts, "balanced"), counts) == pytest.approx(1.0 if counts.any() else 0.0)


def test_counting_leaves_out_ignored_labels():
    labels, ignored = np.array([0, 2, 2, 0]), np.array([False, False, False, True])
    np.testing.assert_array_equal(count_labels(labels, 4), [2, 0, 2, 0])
    np.testing.assert_array_equal(count_labels(labels, 4, ignored), [1, 0, 2, 0])


def test_infogain_matrix():
    weights = np.array([1.0, 2.0, 0.0])
    np.testing.assert_array_equal(infogain_matrix(weights), np.diag(weights))
    smooth = infogain_matrix(weights, 0.3)
    np.testing.assert_allclose(smooth, [[0.8, 0.1, 0.1], [0.2, 1.6, 0.2], [0, 0, 0]])
    np.testing.assert_allclose(smooth.sum(axis=1), weights)


@pytest.mark.parametrize("text", ["3 0 2", "3\n0\n2\n", "3.0 0 2"])
def test_counts_from_text(tmp_path, text):
    (tmp_path / "counts.txt").write_text(text)
    np.testing.assert_array_equal(read_counts(str(tmp_path / "counts.txt"), 3), [3, 0, 2])


def test_counts_from_npy(tmp_path):
    np.save(str(tmp_path / "counts.npy"), np.array([3, 0, 2]))
    np.testing.assert_array_equal(read_counts(str(tmp_path / "counts.npy"), 3), [3, 0, 2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2", "has 2 entries of float64; expected 3 counts"),
        ("1 2 x", "cannot be read"),
        ("1 -2 3", "count -2 of class 1"),
        ("1 nan 3", "count nan of class 1"),
        ("0 0 0", "all counts are 0"),
    ],
)
def test_bad_counts_are_errors_that_name_the_file(tmp_path, text, message):
    path = tmp_path / "counts.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as error:
        read_counts(str(path), 3)
    assert str(path) in str(error.value)


def test_absent_counts_name_the_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=str(tmp_path / "none.npy")):
        read_counts("none.npy", 3)
