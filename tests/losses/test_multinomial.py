import numpy as np

from caffe_pylayers.losses.multinomial import multinomial_logistic
from tests.losses import references, stock_cases


def random_batch(seed=0, num=5, num_classes=4):
    rng = np.random.RandomState(seed)
    return rng.dirichlet(np.ones(num_classes), num), rng.randint(0, num_classes, num)


def test_equals_the_plain_loop():
    prob, labels = random_batch()
    np.testing.assert_allclose(multinomial_logistic(prob, labels), stock_cases.multinomial(prob, labels)[0])


def test_gradient_equals_finite_differences():
    prob, labels = random_batch(1)
    factor, gradient = np.linspace(0.5, 2, 5), np.empty_like(prob)
    multinomial_logistic(prob, labels, factor, gradient)
    expected = references.numeric_gradient(lambda x: float(factor @ multinomial_logistic(x, labels)), prob)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_a_probability_of_zero_is_cut_and_keeps_a_finite_gradient():
    prob = np.array([[0.0, 1.0], [-1e4, 1e4]], np.float32)
    gradient = np.empty_like(prob)
    values = multinomial_logistic(prob, np.array([0, 0]), 0.5, gradient)
    np.testing.assert_allclose(values, -np.log(1e-20), rtol=1e-6)
    np.testing.assert_allclose(gradient, [[-0.5e20, 0], [-0.5e20, 0]], rtol=1e-6)


def test_rows_of_factor_zero_may_be_nan():
    prob, labels = random_batch(2)
    prob[1] = np.nan
    gradient = np.empty_like(prob)
    multinomial_logistic(prob, labels, np.array([1.0, 0, 1, 1, 1]), gradient)
    assert np.isfinite(gradient).all()
    assert not gradient[1].any()
