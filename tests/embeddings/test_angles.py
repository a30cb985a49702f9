"""Margins on cosines: each against the definition by the angle, and finite where that has no derivative."""

import math

import numpy as np
import pytest

from caffe_pylayers.embeddings import angles
from caffe_pylayers.embeddings.class_vectors import inverse_lengths, products, products_gradient, sum_by_class
from tests.losses.embedding_cases import psi, vectors_of, with_margin
from tests.losses.references import Buffers

COSINES = np.append(np.linspace(-0.999, 0.999, 1000), np.cos(np.pi * np.array([0.25, 1 / 3, 0.5, 0.75])) + 1e-5)
DEGREES = math.radians(28.6)
MARGINS = {
    "added": (lambda c: angles.added_angle(c, DEGREES), with_margin),
    "added 0": (lambda c: angles.added_angle(c, 0.0), lambda c: c),
    "added pi": (lambda c: angles.added_angle(c, math.pi), lambda c: with_margin(c, margin=180)),
    "combined": (lambda c: angles.combined_margin(c, 1.35, 0.3, 0.2), lambda c: with_margin(c, "combined", m1=1.35)),
    "subtracted": (lambda c: angles.subtracted(c, 0.35), lambda c: c - 0.35),
    "subtracted above": (lambda c: angles.subtracted(c, 0.35, 0.35), lambda c: c - 0.35 if c > 0.35 else c),
    **{
        f"multiplied {m}": (lambda c, m=m: angles.multiplied_angle(c, m), lambda c, m=m: psi(c, m))
        for m in (1, 2, 3, 4)
    },
}
every_margin = pytest.mark.parametrize("margin, plain", MARGINS.values(), ids=MARGINS)


@every_margin
def test_values_and_derivatives(margin, plain):
    values, slopes = margin(COSINES)
    np.testing.assert_allclose(values, [plain(c) for c in COSINES], rtol=1e-9, atol=1e-9)
    step = 1e-7
    expected = [(plain(c + step) - plain(c - step)) / (2 * step) for c in COSINES]
    smooth = np.abs(expected) < 1e3  # but for the jump of the fork's margin
    assert smooth.sum() > len(COSINES) - 2
    np.testing.assert_allclose(slopes[smooth], np.array(expected)[smooth], rtol=1e-4, atol=1e-5)


@every_margin
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_at_the_ends_and_beyond_all_is_finite(margin, plain, kind):
    """Rounding moves cosines beyond 1 and -1."""
    ends = np.array([1, -1, 1 + 1e-6, -1 - 1e-6], kind)
    values, slopes = margin(ends)
    assert values.dtype == slopes.dtype == kind
    assert np.isfinite(slopes).all()
    np.testing.assert_allclose(values, [plain(c) for c in (1, -1, 1, -1)], atol=1e-5)


@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize("num_classes", [1, 3, 5000])
def test_gradients_of_products_in_blocks(with_lengths, num_classes):
    """The part of rows of one million numbers takes several blocks."""
    rng = np.random.RandomState(0)
    x, vectors, slopes = rng.randn(300, 8), rng.randn(num_classes, 8), rng.randn(300, num_classes)
    inverse = inverse_lengths(vectors) if with_lengths else None
    unit = vectors if inverse is None else vectors * inverse[:, None]
    found = np.empty(slopes.shape)
    products(x, vectors, inverse, found)
    np.testing.assert_allclose(found, x @ unit.T, rtol=1e-10, atol=1e-12)
    of_x, of_vectors, seen = rng.rand(300), rng.rand(num_classes), []
    along = of_x, None if with_lengths else of_vectors

    def part(block, out):
        seen.append(block)
        out[...] = slopes[:, block]

    by_x, by_vectors = np.empty(x.shape), np.ones(vectors.shape)
    products_gradient(x, vectors, inverse, part, by_x, by_vectors, Buffers(), along, step=2.0)
    np.testing.assert_allclose(by_x, slopes @ unit + of_x[:, None] * x, rtol=1e-9, atol=1e-9)
    expected = slopes.T @ x
    if with_lengths:
        expected = (expected - np.sum(expected * unit, axis=1, keepdims=True) * unit) * inverse[:, None]
    else:
        expected += of_vectors[:, None] * vectors
    np.testing.assert_allclose(by_vectors, 1 + 2 * expected, rtol=1e-9, atol=1e-9)
    assert (len(seen) > 1) == (num_classes == 5000)


def test_lengths_that_float32_cannot_square():
    vectors = np.float32([[3e30, 4e30], [3e-30, 4e-30], [0, 0], [3, 4]])
    found = inverse_lengths(vectors)
    assert found[2] == 0 and np.isfinite(found).all()
    np.testing.assert_allclose(found[[0, 3]] * [5e30, 5], 1, rtol=1e-6)


@pytest.mark.parametrize("shape", [(1000,), (1000, 100), (0, 3), (0,)])
def test_sums_by_class(shape):
    rng = np.random.RandomState(0)
    values, labels = rng.randn(*shape).astype(np.float32), rng.randint(0, 7, shape[0])
    found = sum_by_class(values, labels, 9, None if len(shape) == 1 else np.ones((9, shape[1]), np.float32))
    expected = [values[labels == k].sum(axis=0, dtype=np.float64) for k in range(9)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_vectors_of_the_tests_differ_in_length():
    """So that lengths that count, or do not, are seen in all tests that use them."""
    assert np.ptp(np.linalg.norm(vectors_of(3, 4), axis=1)) > 0.2
