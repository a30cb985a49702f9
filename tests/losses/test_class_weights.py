import decimal
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers import DataError
from caffe_pylayers.files.counts import read_counts, read_image_counts
from caffe_pylayers.losses.class_weights import (
    add_counts,
    class_weights,
    count_in_images,
    count_labels,
    mean_weight,
    scale_weights,
    smoothing_matrix,
)
from tests.data.mutations import mutations
from tests.refusals import refused

RULES = ("max_count", "balanced", "inverse_sqrt", "effective_number", "median_frequency")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("max_count", [1, 4, 0, 100]),
        ("balanced", [126 / 300, 126 / 75, 0, 126 / 3]),
        ("inverse_sqrt", [1, 2, 0, 10]),
        # 1 / (1 + b + b^2 + ... b^(n-1)), b = 0.5, is about 0.5, 0.5 and 1; these have a sum of 3.
        ("effective_number", [0.75, 0.75, 0, 1.5]),
        # f = 0.5, 0.25, 0.01 of the images that have the class
        ("median_frequency", [0.5, 1, 0, 25]),
    ],
)
def test_rules_by_hand(rule, expected):
    weights = class_weights(np.array([100, 25, 0, 1]), rule, 0.5, np.array([200, 100, 0, 100]))
    np.testing.assert_allclose(weights, expected, rtol=1e-7)


def plain_weights(counts, rule, beta, in_images):
    """The rules of REFERENCES, class by class."""
    present = [c for c in range(len(counts)) if counts[c] > 0]
    weights = [0.0] * len(counts)
    frequencies = sorted(counts[c] / in_images[c] for c in present)
    half = len(frequencies) // 2
    for c in present:
        n = float(counts[c])
        weights[c] = {
            "max_count": max(counts) / n,
            "balanced": sum(counts) / (len(present) * n),
            "inverse_sqrt": (max(counts) / n) ** 0.5,
            "effective_number": (1 - beta) / (1 - beta**n),
            "median_frequency": (frequencies[half] + frequencies[-half - 1]) / 2 / (n / in_images[c]),
        }[rule]
    if rule == "effective_number":
        total = sum(weights)
        weights = [weight * len(present) / total for weight in weights]
    return weights


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=8),
    st.sampled_from(RULES),
    st.floats(0.1, 0.999),
)
def test_rules_against_plain_loops(entries, rule, beta):
    counts, others = np.array(entries).T
    weights = class_weights(counts, rule, beta, counts + others)
    np.testing.assert_allclose(weights, plain_weights(counts, rule, beta, counts + others), rtol=1e-9)


@pytest.mark.parametrize("beta", [0.9, 0.9999, 1 - 1e-9, 1 - 2**-53])
def test_effective_number_is_exact_for_beta_near_1(beta):
    """There (1-b)/(1-b^n) is about 1/n, and digit by digit 0/0."""
    counts = [1, 7, 5000, 10**9]
    with decimal.localcontext() as context:
        context.prec = 60
        exact = [(1 - decimal.Decimal(beta)) / (1 - decimal.Decimal(beta) ** n) for n in counts]
        expected = [float(4 * weight / sum(exact)) for weight in exact]
    np.testing.assert_allclose(class_weights(np.array(counts), "effective_number", beta), expected, rtol=1e-12)


def test_median_frequency_divides_by_the_images_that_have_the_class():
    """Eigen and Fergus: f_c = pixels of c / pixels of the images that contain c; not of all images."""
    images = np.array([[0, 0, 0, 1], [1, 1, 1, 1], [1, 1, 2, 9]])
    ignored = images == 9
    counts = count_labels(images.ravel() * ~ignored.ravel(), 4, ignored.ravel())
    in_images = count_in_images(images * ~ignored, 4, ignored)
    np.testing.assert_array_equal(counts, [3, 7, 1, 0])
    np.testing.assert_array_equal(in_images, [4, 4 + 4 + 3, 3, 0])
    frequencies = np.array([3 / 4, 7 / 11, 1 / 3])
    expected = [*(7 / 11 / frequencies), 0]
    np.testing.assert_allclose(class_weights(counts, "median_frequency", in_images=in_images), expected)


def test_running_counts_fade_and_a_class_once_seen_stays_seen():
    running = np.zeros((2, 3), np.float32)
    add_counts(running, np.array([[4, 1, 0], [8, 6, 0]]), 0.5)
    add_counts(running, np.array([[2, 0, 0], [2, 0, 0]]), 0.5)
    np.testing.assert_array_equal(running, [[4, 0.5, 0], [6, 3, 0]])
    for _ in range(200):
        add_counts(running, np.array([[2, 0, 0], [2, 0, 0]]), 0.5)
    np.testing.assert_allclose(running[:, 0], [4, 4])
    assert 0 < running[0, 1] < 1e-19
    assert running[1, 1] == 6 * running[0, 1]
    assert not running[:, 2].any()


def test_max_count_unscaled_multiplies_the_loss_of_long_tailed_cifar_by_4():
    counts = np.array([5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])  # 100:1, Cao et al. 2019
    assert mean_weight(class_weights(counts), counts) == pytest.approx(4.03, abs=0.01)


counts_lists = st.lists(st.integers(0, 1000), min_size=1, max_size=8).map(np.array)


@given(counts_lists, st.sampled_from(RULES))
def test_scales(counts, rule):
    weights = class_weights(counts, rule, in_images=counts + 1)
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


def test_smoothing_matrix():
    np.testing.assert_array_equal(smoothing_matrix(3), np.eye(3))
    smooth = smoothing_matrix(3, 0.3)
    np.testing.assert_allclose(smooth, [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])


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
        ("1 2", "has 2 numbers, of shape (1, 2); expected 3 counts"),
        ("1 2 3 4 5 6", "has 6 numbers, of shape (1, 6); expected 3 counts (n_classes), or two rows"),
        ("1 2 x", "numbers are expected, but the line is '1 2 x'"),
        ("1 2 3\n4 5", "row 2 has 2 numbers, but the first has 3"),
        ("", "it is empty"),
        ("1 -2 3", "count -2 of class 1"),
        ("1 nan 3", "count nan of class 1"),
        ("0 0 0", "all counts are 0"),
    ],
)
def test_bad_counts_are_errors_that_name_the_file(tmp_path, text, message):
    path = tmp_path / "counts.txt"
    path.write_text(text)
    for read in (read_counts, read_image_counts):
        with pytest.raises(DataError, match=re.escape(message)) as error:
            read(str(path), 3)
        assert error.value.source.partition(", line")[0] == f"counts file {path}"


@pytest.mark.parametrize("num_classes", [1, 2, 3])
def test_two_rows_of_counts(tmp_path, num_classes):
    rows = np.array([[3, 0, 2], [7, 0, 4]])[:, :num_classes]
    np.save(str(tmp_path / "counts.npy"), rows)
    np.savetxt(str(tmp_path / "counts.txt"), rows)
    for name in ("counts.npy", "counts.txt"):
        np.testing.assert_array_equal(read_image_counts(str(tmp_path / name), num_classes), rows)
        np.testing.assert_array_equal(read_counts(str(tmp_path / name), num_classes), rows[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3 0 2", "has one row, the labels of each class; median_frequency needs a second"),
        ("3 0 2\n7 0 1", "class 2 has 2 labels, but the images with this class have only 1"),
        ("3 0 2\n7 -1 4", "count -1 of class 1"),
    ],
)
def test_median_frequency_needs_a_second_row(tmp_path, text, message):
    (tmp_path / "counts.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_image_counts(str(tmp_path / "counts.txt"), 3)


def test_damaged_npy_files_are_errors(tmp_path):
    path = tmp_path / "counts.npy"
    np.save(str(path), np.array([3, 0, 2]))
    outcomes = set()
    for data in [b"", *mutations(path.read_bytes(), 300, seed=1)]:
        path.write_bytes(data)
        try:
            outcomes.add(read_counts(str(path), 3).shape)
        except DataError as error:
            assert str(path) in str(error)
            outcomes.add("refused")
    assert outcomes == {(3,), "refused"}


def test_absent_counts_name_the_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with refused(DataError, source=str(tmp_path / "none.npy")):
        read_counts("none.npy", 3)
