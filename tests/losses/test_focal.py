import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers import ConfigError
from caffe_pylayers.losses import blocks
from caffe_pylayers.losses.focal import focal
from caffe_pylayers.losses.softmax import softmax_cross_entropy
from tests.caffe_nets import build, python_layer, run
from tests.losses import class_cases, references
from tests.refusals import refused

INPUTS = {"scores": np.random.RandomState(0).randn(5, 4, 3), "label": np.random.RandomState(1).randint(0, 4, (5, 3))}


def net_of(inputs=INPUTS, layer="FocalLoss", **options):
    return build([python_layer(layer, list(inputs), ["loss"], options, 1)], inputs)


@given(
    st.integers(1, 6),
    st.integers(1, 5),
    st.one_of(st.none(), st.integers(1, 7)),
    st.sampled_from([0.0, 0.3, 1.0, 2.0, 5.0]),
    st.integers(0, 2**31),
)
def test_equals_the_plain_loop_in_blocks_of_any_size(outer, num_classes, inner, gamma, seed):
    rng = np.random.RandomState(seed)
    scores = rng.randn(outer, num_classes, *(() if inner is None else (inner,))) * 3
    labels = rng.randint(0, num_classes, scores.shape[:1] + scores.shape[2:])
    alpha = [None, 0.25, rng.uniform(0, 2, num_classes)][rng.randint(3)]
    factor, gradient = rng.uniform(0, 2, labels.shape), np.empty_like(scores)
    whole, blocks.BLOCK = blocks.BLOCK, rng.randint(1, 2 * scores.size + 1)
    try:
        values = focal(scores, labels, gamma, alpha, factor, gradient)
    finally:
        blocks.BLOCK = whole
    plain = alpha.tolist() if isinstance(alpha, np.ndarray) else alpha or 1.0
    expected = class_cases.focal(scores, labels, gamma, plain)[0].reshape(labels.shape)
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12)
    if num_classes > 1:  # with one class p is 1
        slopes = references.numeric_gradient(lambda x: (factor * focal(x, labels, gamma, alpha)).sum(), scores)
        np.testing.assert_allclose(gradient, slopes, atol=1e-7)
    else:
        assert not gradient.any()


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_is_exact_where_p_nears_1_or_0(gamma, kind):
    """Against the same formula in float64, 1 - p from the other class: p = 1 / (1 + exp(-x))."""
    x = np.array([0.0, 1, 5, 10, 16, 17, 20, 40, 59, 80, -1, -10, -40, -80], kind)
    gradient = np.empty((len(x), 2), kind)
    values = focal(np.stack([x, 0 * x], axis=1), np.zeros(len(x), int), gamma, None, 1.0, gradient)
    x = x.astype(np.float64)
    p, rest, minus_log = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x)), np.logaddexp(0, -x)
    slope = rest**gamma * (1 + gamma * p * minus_log / rest)
    np.testing.assert_allclose(values, rest**gamma * minus_log, rtol=1e-5, atol=1e-37)
    np.testing.assert_allclose(gradient[:, 0], -slope * rest, rtol=1e-5, atol=1e-37)
    np.testing.assert_allclose(gradient[:, 1], slope * rest, rtol=1e-5, atol=1e-37)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.9, 1.0, 2.0, 7.5])
@pytest.mark.parametrize("height", [1e4, -1e4, 300])
def test_where_p_is_1_or_0_for_good(gamma, height):
    scores = np.array([[height, 0, -height]], np.float32)
    gradient = np.empty_like(scores)
    values = focal(scores, np.array([0]), gamma, None, 1.0, gradient)
    assert np.isfinite(values).all()
    if height > 0:
        assert values[0] == 0
        assert not gradient.any()
    else:
        assert values[0] == pytest.approx(-np.log(np.finfo(np.float32).tiny))
        np.testing.assert_allclose(gradient, [[-1, 0, 1]], atol=1e-6)


def test_gamma_0_is_softmax_cross_entropy():
    rng = np.random.RandomState(3)
    scores, labels = rng.randn(50, 7).astype(np.float32) * 3, rng.randint(0, 7, 50)
    gradients = np.empty((2, *scores.shape), np.float32)
    values = focal(scores, labels, 0.0, None, 0.5, gradients[0])
    np.testing.assert_allclose(values, softmax_cross_entropy(scores, labels, 0.5, gradients[1]), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(*gradients, rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("inner", [(), (2,)])
def test_nan_scores_of_factor_zero_give_gradient_zero(inner):
    references.check_nan_of_factor_zero(lambda s, f, g: focal(s, np.zeros((3, *inner), int), 0.5, None, f, g), inner)


def test_alpha_is_no_part_of_the_normaliser():
    one, three = net_of(), net_of(alpha=[3.0, 3.0, 3.0, 3.0])
    (gradient,), (times_three,) = run(one, "scores"), run(three, "scores")
    np.testing.assert_allclose(times_three, 3 * gradient, rtol=1e-5)
    assert float(three.blobs["loss"].data) == pytest.approx(3 * float(one.blobs["loss"].data), rel=1e-6)
    np.testing.assert_allclose(run(net_of(alpha=3.0), "scores")[0], times_three, rtol=1e-6)


def test_a_wrong_number_of_alphas_names_both():
    with refused(ConfigError, "2 numbers", "4 classes", layer="FocalLoss", option="alpha", remedy="4"):
        net_of(alpha=[1, 2])


@pytest.mark.parametrize("options", [{"gamma": -1}, {"alpha": -0.5}, {"alpha": [1, 1, 1, -1]}, {"alpha": True}])
def test_bad_options(options):
    with refused(ConfigError, layer="FocalLoss", option=next(iter(options))):
        net_of(**options)


def test_it_has_one_top():
    with refused(ConfigError, "2 tops", "1: loss", layer="FocalLoss"):
        build([python_layer("FocalLoss", list(INPUTS), ["loss", "prob"], {}, [1, 0])], INPUTS)
