import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.losses import blocks
from caffe_pylayers.losses.soft import masses, soft_cross_entropy
from tests.caffe_nets import build, layer_text, python_layer, run
from tests.losses import class_cases, references
from tests.refusals import refused

RNG = np.random.RandomState(0)
SCORES, LABEL = RNG.randn(5, 4, 3), RNG.randint(0, 4, (5, 3))
ONE_HOT = np.moveaxis(np.eye(4)[LABEL], -1, 1)


def net_of(inputs, tops=("loss",), layer="SoftCrossEntropyLoss", **options):
    return build([python_layer(layer, list(inputs), tops, options, [1, 0][: len(tops)])], inputs)


@given(st.integers(1, 6), st.integers(1, 5), st.one_of(st.none(), st.integers(1, 7)), st.integers(0, 2**31))
def test_equals_the_plain_loop_in_blocks_of_any_size(outer, num_classes, inner, seed):
    rng = np.random.RandomState(seed)
    scores = rng.randn(outer, num_classes, *(() if inner is None else (inner,))) * 3
    distribution = rng.randn(*scores.shape)
    expected = class_cases.soft_cross_entropy(scores, distribution)[0].reshape(scores[:, 0].shape)
    factor, gradient, prob = rng.uniform(0, 2, expected.shape), np.empty_like(scores), np.empty_like(scores)
    whole, blocks.BLOCK = blocks.BLOCK, rng.randint(1, 2 * scores.size + 1)
    try:
        mass, empty = masses(distribution)
        values = soft_cross_entropy(scores, distribution, mass, factor, gradient, prob)
    finally:
        blocks.BLOCK = whole
    assert empty is None
    np.testing.assert_allclose(mass, distribution.sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(prob.sum(axis=1), 1)
    np.testing.assert_allclose(gradient, (prob * mass[:, None] - distribution) * factor[:, None], atol=1e-12)
    slopes = references.numeric_gradient(
        lambda x: (factor * soft_cross_entropy(x, distribution, mass)).sum(), scores, step=1e-5
    )
    np.testing.assert_allclose(gradient, slopes, atol=1e-6)


@pytest.mark.parametrize("shift", [0, 1e4, -1e4, 59.5, -60, 88, -88, -104])
@pytest.mark.parametrize("inner", [(), (3,)])
def test_float32_is_exact_at_any_height(shift, inner):
    rng = np.random.RandomState(1)
    scores = (rng.randn(50, 7, *inner) * 3 + shift).astype(np.float32)
    distribution = rng.dirichlet(np.ones(7), scores[:, 0].shape).astype(np.float32)
    distribution = np.ascontiguousarray(np.moveaxis(distribution, -1, 1))
    mass, _ = masses(distribution)
    gradient, exact = np.empty_like(scores), np.empty(scores.shape)
    values = soft_cross_entropy(scores, distribution, mass, 1.0, gradient)
    expected = class_cases.soft_cross_entropy(scores, distribution)[0].reshape(values.shape)
    # Unshifted, scores up to 60 are subtracted from each other as they are.
    np.testing.assert_allclose(values, expected, rtol=2e-6, atol=1e-5 if abs(shift) == 59.5 else 2e-6)
    soft_cross_entropy(scores.astype(float), distribution.astype(float), mass.astype(float), 1.0, exact)
    np.testing.assert_allclose(gradient, exact, atol=1e-6)


def test_values_are_not_cut():
    scores = np.array([[1e4, -1e4]], np.float32)
    gradient = np.empty_like(scores)
    values = soft_cross_entropy(scores, np.array([[0, 1]], np.float32), np.ones(1, np.float32), 1.0, gradient)
    assert values[0] == 2e4
    np.testing.assert_array_equal(gradient, [[1, -1]])


@given(st.integers(1, 5), st.integers(1, 4), st.one_of(st.none(), st.integers(1, 5)), st.integers(0, 2**31))
def test_empty_are_those_that_are_all_zeros(outer, num_classes, inner, seed):
    """And not those whose entries cancel out."""
    rng = np.random.RandomState(seed)
    distribution = rng.randint(-1, 2, (outer, num_classes, *(() if inner is None else (inner,)))).astype(float)
    whole, blocks.BLOCK = blocks.BLOCK, rng.randint(1, 2 * distribution.size + 1)
    try:
        mass, empty = masses(distribution)
    finally:
        blocks.BLOCK = whole
    np.testing.assert_array_equal(mass, distribution.sum(axis=1))
    expected = ~distribution.any(axis=1)
    np.testing.assert_array_equal(np.zeros_like(expected) if empty is None else empty, expected)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("inner", [(), (2,)])
def test_nan_scores_of_factor_zero_give_gradient_zero(inner):
    references.check_nan_of_factor_zero(
        lambda s, f, g: soft_cross_entropy(s, np.ones(s.shape), np.full((3, *inner), 4.0), f, g), inner
    )


@pytest.mark.parametrize("mode", ["FULL", "VALID", "BATCH_SIZE", "NONE"])
@pytest.mark.parametrize("weighted", [False, True])
def test_one_hot_and_zeros_equal_the_softmax_loss_with_ignored_labels(mode, weighted):
    label, distribution = LABEL.copy(), ONE_HOT.copy()
    label[1, 2], distribution[1, :, 2] = 255, 0
    inputs = {"scores": SCORES, "distribution": distribution, "label": label, "weight": RNG.uniform(0.5, 2, 5)}
    if not weighted:
        del inputs["weight"]
    soft, hard = dict(inputs), dict(inputs)
    del soft["label"], hard["distribution"]
    nets = (
        net_of(soft, normalization=mode),
        net_of(hard, layer="WeightedSoftmaxLoss", normalization=mode, ignore_label=255),
    )
    gradients = [run(net, "scores", *["weight"] * weighted) for net in nets]
    for ours, theirs in zip(*gradients):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert float(nets[0].blobs["loss"].data) == pytest.approx(float(nets[1].blobs["loss"].data), rel=1e-5)


@pytest.mark.parametrize("axis", [1, -2, 0, 2])
def test_prob_is_the_softmax_of_stock(axis):
    inputs = {"scores": SCORES, "distribution": RNG.rand(*SCORES.shape)}
    layers = [
        python_layer("SoftCrossEntropyLoss", list(inputs), ["loss", "prob"], {"axis": axis}, [1, 0]),
        layer_text("Softmax", ["scores"], ["expected"], f"softmax_param {{ axis: {axis} }}"),
    ]
    net, alone = build(layers, inputs), net_of(inputs, axis=axis)
    for _ in range(2):
        np.testing.assert_array_equal(run(net, "scores"), run(alone, "scores"))
        np.testing.assert_allclose(net.blobs["prob"].data, net.blobs["expected"].data, rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_empty_positions_may_hold_nan():
    scores, distribution = SCORES.copy(), ONE_HOT.copy()
    scores[1], distribution[1] = np.nan, 0
    net = net_of({"scores": scores, "distribution": distribution})
    (gradient,) = run(net, "scores")
    assert np.isfinite(net.blobs["loss"].data)
    assert np.isfinite(gradient).all()
    assert not gradient[1].any()


def test_no_distribution_at_all_gives_zeros():
    net = net_of({"scores": SCORES, "distribution": 0 * SCORES})
    assert not run(net, "scores")[0].any()
    assert net.blobs["loss"].data == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_distributions_that_are_not_finite_are_errors_that_say_where(bad):
    distribution = ONE_HOT.copy()
    distribution[2, 3, 1] = bad
    found = f"distribution {bad} at index (2, 3, 1)"
    with refused(DataError, found, layer="SoftCrossEntropyLoss"), np.errstate(invalid="ignore"):
        net_of({"scores": SCORES, "distribution": distribution}).forward()


@pytest.mark.parametrize("shape", [(5, 3, 4), (5, 4), (5, 4, 1, 3), (5, 4, 3, 2)])
def test_a_distribution_of_another_shape_is_an_error(shape):
    net = net_of({"scores": SCORES, "distribution": np.ones(shape)})
    with refused(ConfigError, "distribution", str(shape), remedy="(5, 4, 3)"):
        net.forward()


@pytest.mark.parametrize("shapes", [((5, 4), (5, 4, 1, 1)), ((5, 4, 1, 1), (5, 4)), ((5, 4, 3), (5, 4, 3, 1))])
def test_ones_at_the_end_of_a_shape_do_not_matter(shapes):
    ours, theirs = shapes
    scores, distribution = SCORES.ravel()[: np.prod(ours)], ONE_HOT.ravel()[: np.prod(ours)]
    net = net_of({"scores": scores.reshape(ours), "distribution": distribution.reshape(theirs)})
    same = net_of({"scores": scores.reshape(ours), "distribution": distribution.reshape(ours)})
    np.testing.assert_array_equal(run(net, "scores"), run(same, "scores"))
    assert net.blobs["loss"].data == same.blobs["loss"].data


def test_it_has_no_ignore_label():
    with refused(ConfigError, "unknown", option="ignore_label"):
        net_of({"scores": SCORES, "distribution": ONE_HOT}, ignore_label=255)


@pytest.mark.parametrize("inner", [(), (2,)])
def test_a_class_that_is_ruled_out_adds_nothing(inner):
    """By a score of -inf where the distribution has 0, as in WeightedSoftmaxLoss."""
    scores, distribution = RNG.randn(5, 4, *inner), RNG.rand(5, 4, *inner)
    scores[:, 1], distribution[:, 1] = -np.inf, 0
    found = net_of({"scores": scores, "q": distribution})
    rest = net_of({"scores": np.delete(scores, 1, axis=1), "q": np.delete(distribution, 1, axis=1)})
    (gradient,), (others,) = run(found, "scores"), run(rest, "scores")
    assert found.blobs["loss"].data == pytest.approx(float(rest.blobs["loss"].data), rel=1e-6)
    assert not gradient[:, 1].any()
    np.testing.assert_allclose(np.delete(gradient, 1, axis=1), others, atol=1e-7)
