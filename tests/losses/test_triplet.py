import numpy as np
import pytest

from caffe_pylayers.losses.triplet import triplet_gradients, triplet_loss, triplet_stats
from tests.losses import metric_cases, references

OPTIONS = [{"distance": distance, "soft": soft} for distance in ("squared", "euclidean") for soft in (False, True)]


def random_triplets(seed=0, num=6, size=3):
    return list(np.random.RandomState(seed).randn(3, num, size))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equals_the_plain_loop(options):
    a, p, n = random_triplets()
    margins = np.linspace(0, 1, 6)
    got = triplet_loss(a, p, n, 0.7 * margins, **options)
    expected, _ = metric_cases.triplet(a, p, n, margins, margin_option=0.7, **options)
    np.testing.assert_allclose(got.values, expected)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("which", [0, 1, 2])
def test_gradients_equal_finite_differences(options, which):
    embeddings = random_triplets(1)
    factor = np.linspace(0.5, 1.5, 6)
    gradients = [np.empty_like(x) for x in embeddings]
    triplets = triplet_loss(*embeddings, 0.3, **options)
    triplet_gradients(triplets, embeddings, gradients, factor, options["distance"])

    def total(x):
        moved = [*embeddings[:which], x, *embeddings[which + 1 :]]
        return float(factor @ triplet_loss(*moved, 0.3, **options).values)

    expected = references.numeric_gradient(total, embeddings[which])
    np.testing.assert_allclose(gradients[which], expected, atol=1e-7)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equal_embeddings_have_gradient_zero(options):
    x = np.ones((4, 3), np.float32)
    gradients = [np.full_like(x, np.nan) for _ in range(3)]
    triplets = triplet_loss(x, x, x, 0.2, **options)
    triplet_gradients(triplets, [x] * 3, gradients, distance=options["distance"])
    assert not np.any(gradients)
    np.testing.assert_allclose(triplets.values, np.log(2) if options["soft"] else 0.2, rtol=1e-6)


def test_only_gradients_that_are_asked_for_are_written():
    a, p, n = random_triplets()
    positive = np.empty_like(p)
    triplet_gradients(triplet_loss(a, p, n, 100.0), [a, p, n], [None, positive, None])
    np.testing.assert_allclose(positive, -2 * (a - p))


def test_soft_values_never_overflow():
    a, p, n = (
        np.zeros((2, 1), np.float32),
        np.array([[1e3], [0]], np.float32),
        np.array([[0], [1e3]], np.float32),
    )
    triplets = triplet_loss(a, p, n, soft=True)
    np.testing.assert_allclose(triplets.values, [1e6, 0])
    np.testing.assert_allclose(triplets.slopes, [1, 0])


def test_a_triplet_of_factor_zero_is_not_there_even_if_it_is_nan():
    a, p, n = random_triplets()
    a[2] = np.nan
    gradients = [np.empty_like(a) for _ in range(3)]
    factor = np.ones(6)
    factor[2] = 0
    triplet_gradients(triplet_loss(a, p, n, 9.0), [a, p, n], gradients, factor)
    assert np.isfinite(gradients).all()


def test_stats():
    a = np.array([[3.0, 4.0], [0.0, 0.0]])
    p = np.array([[3.0, 4.0], [0.0, 2.0]])
    n = np.array([[0.0, 0.0], [0.0, 1.0]])
    stats = triplet_stats(triplet_loss(a, p, n, 0.2), a, p, n)
    norms = np.mean([5, 0, 5, 2, 0, 1])
    assert stats == pytest.approx((0.5, np.mean([0, 4]), np.mean([25, 1]), norms))
    soft = triplet_stats(triplet_loss(a, p, n, soft=True, distance="euclidean"), a, p, n)
    assert soft == pytest.approx((0.5, 1.0, 3.0, norms))
