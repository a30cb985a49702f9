"""The sigmoid, Euclidean, hinge, multinomial and contrastive losses, beside what holds for every loss."""

import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from tests.caffe_nets import build, layer_text, python_layer, run
from tests.refusals import refused

RNG = np.random.RandomState(0)
SCORES, TARGET = RNG.randn(4, 3, 2) * 2, RNG.rand(4, 3, 2)
SIGMOID, EUCLIDEAN, CONTRASTIVE = "WeightedSigmoidCrossEntropyLoss", "WeightedEuclideanLoss", "WeightedContrastiveLoss"

targets = pytest.mark.parametrize("layer", [SIGMOID, EUCLIDEAN])
labelled = pytest.mark.parametrize("layer", ["WeightedHingeLoss", "WeightedMultinomialLogisticLoss"])


def net_of(layer, inputs, loss_weight=1, **options):
    return build([python_layer(layer, list(inputs), ["loss"], options, loss_weight)], inputs)


def twin_of(layer, inputs, params="", loss_weight=1):
    return build([layer_text(layer, list(inputs), ["loss"], params, loss_weight)], inputs)


def assert_same(layer, twin, inputs, gradients, params="", rtol=1e-5, **options):
    """A layer and its stock twin give the same loss and gradients, once and again."""
    nets = net_of(layer, inputs, 2, **options), twin_of(twin, inputs, params, 2)
    for _ in range(2):
        ours, stock = (run(net, *gradients) for net in nets)
        np.testing.assert_allclose(nets[0].blobs["loss"].data, nets[1].blobs["loss"].data, rtol=rtol)
        for one, other in zip(ours, stock):
            np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-7)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1, 1), (4, 2, 3)])
@targets
def test_targets_of_any_shape_of_that_count_and_first_dimension(layer, shape):
    inputs = {"x": SCORES, "t": TARGET.reshape(shape)}
    nets = net_of(layer, {"x": SCORES, "t": TARGET}), net_of(layer, inputs)
    np.testing.assert_array_equal(*(run(net, "x")[0] for net in nets))


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2, 2), (24,), (8, 3)])
@targets
def test_targets_of_another_shape_are_an_error_that_has_both(layer, shape):
    first = "scores" if layer == SIGMOID else "prediction"
    with refused(ConfigError, f"{first} has shape (4, 3, 2)", f"target {shape}", layer=layer):
        net_of(layer, {"x": SCORES, "t": np.zeros(shape)}).forward()


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@targets
def test_a_target_that_is_not_finite_is_an_error_that_says_where(layer, bad):
    target = TARGET.copy()
    target[2, 1, 0] = bad
    rule = "is not from 0 to 1" if layer == SIGMOID else "is not finite"
    with refused(DataError, f"target {bad} at index (2, 1, 0) {rule}", layer=layer):
        net_of(layer, {"x": SCORES, "t": target}).forward()


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("each", [False, True])
@targets
def test_a_sample_of_weight_zero_may_have_a_target_that_is_not_finite(layer, each, bad):
    target, weight = TARGET.copy(), np.array([1.0, 2, 0, 1])
    target[2, 1, 0] = bad
    if each:
        weight = np.repeat(weight, 6).reshape(4, 6)
    net = net_of(layer, {"x": SCORES, "t": target, "w": weight})
    expected = net_of(layer, {"x": SCORES, "t": TARGET, "w": weight})
    for _ in range(2):
        np.testing.assert_allclose(run(net, "x")[0], run(expected, "x")[0], rtol=1e-6, atol=1e-9)
        assert float(net.blobs["loss"].data) == pytest.approx(float(expected.blobs["loss"].data))


@targets
def test_scores_that_are_not_finite_are_not_taken_for_targets(layer):
    scores = SCORES.copy()
    scores[1, 0, 0] = np.nan
    net = net_of(layer, {"x": scores, "t": TARGET})
    net.forward()
    assert np.isnan(net.blobs["loss"].data)


@pytest.mark.parametrize("ignore", [-1, 0, 1, 2])
@pytest.mark.parametrize("mode", ["FULL", "VALID", "BATCH_SIZE", "NONE"])
def test_sigmoid_ignores_a_target_by_its_whole_part_as_stock_does(mode, ignore):
    every = np.array([-1.9, -1, -0.5, 0, 0.9, 1, 1.5, 2, 2.9])
    target = RNG.choice(every[((every >= 0) & (every <= 1)) | (np.trunc(every) == ignore)], SCORES.shape)
    params = f"loss_param {{ ignore_label: {ignore} normalization: {mode} }}"
    inputs = {"x": SCORES, "t": target}
    assert_same(SIGMOID, "SigmoidCrossEntropyLoss", inputs, ["x"], params, normalization=mode, ignore_label=ignore)


@pytest.mark.parametrize("bad", [255, -1, 1.002, -0.002])
@pytest.mark.parametrize("ignore", [None, 7])
def test_a_target_of_sigmoid_that_is_not_from_0_to_1_is_an_error(bad, ignore):
    """255 gave a loss of -1013."""
    target = TARGET.copy()
    target[0, 0, 0], target[2, 1, 0] = 0.5 if ignore is None else ignore, bad
    hint = "" if ignore is None else ", and is not ignore_label 7"
    found = f"target {np.float32(bad):.9g} at index (2, 1, 0) is not from 0 to 1{hint}"
    with refused(DataError, found, layer=SIGMOID, remedy="'ignore_label'"):
        net_of(SIGMOID, {"x": SCORES, "t": target}, ignore_label=ignore).forward()


@pytest.mark.parametrize("scale", [0.00392157, 0.003922])
def test_a_target_of_sigmoid_may_be_a_rounding_beyond_1(scale):
    """Such factors are written for 1/255: white is 1.0000004 or 1.0001."""
    target = np.round(TARGET * 255).astype(np.float32) * np.float32(scale)
    target[0, 0, 0], target[1, 0, 0] = 255 * np.float32(scale), -1e-7
    assert target.max() > 1
    assert_same(SIGMOID, "SigmoidCrossEntropyLoss", {"x": SCORES, "t": target}, ["x"])


def test_the_remedies_for_such_targets_work():
    images = TARGET * 255
    ignored = np.where(TARGET > 0.5, 255, TARGET)
    net_of(SIGMOID, {"x": SCORES, "t": images / 255}).forward()
    net_of(SIGMOID, {"x": SCORES, "t": ignored}, ignore_label=255).forward()
    net_of(SIGMOID, {"x": SCORES, "t": ignored, "w": TARGET <= 0.5}).forward()
    with pytest.raises(DataError):
        net_of(SIGMOID, {"x": SCORES, "t": ignored, "w": TARGET <= 0.6}).forward()


def test_sigmoid_with_all_targets_ignored_gives_zeros():
    net = net_of(SIGMOID, {"x": SCORES, "t": np.full(SCORES.shape, 5)}, ignore_label=5, normalization="VALID")
    (gradient,) = run(net, "x")
    assert net.blobs["loss"].data == 0
    assert not gradient.any()


@pytest.mark.parametrize("shape", [(300, 1000), (6, 21, 64, 64)])
@pytest.mark.parametrize(
    ("layer", "twin", "gradients"),
    [(SIGMOID, "SigmoidCrossEntropyLoss", ["x"]), (EUCLIDEAN, "EuclideanLoss", ["x", "t"])],
)
def test_large_batches_in_blocks_equal_stock(layer, twin, gradients, shape):
    inputs = {"x": RNG.randn(*shape) * 3, "t": RNG.rand(*shape)}
    assert_same(layer, twin, inputs, gradients, rtol=2e-4)


@pytest.mark.parametrize("height", [1e4, -1e4, 50, -50])
def test_extreme_scores_equal_stock(height):
    scores = np.array([[height, 0, -height], [1, height, height]])
    inputs = {"x": scores, "t": np.array([[1, 0, 0.5], [1, 0, 1]])}
    assert_same(SIGMOID, "SigmoidCrossEntropyLoss", inputs, ["x"])


@pytest.mark.parametrize("which", [0, 1])
def test_euclidean_writes_the_gradient_that_is_asked_for_alone(which):
    """Of the bottom that learns; the other is an input."""
    learned, other = [("x", "t"), ("t", "x")][which]
    layers = [
        layer_text("Parameter", [], [learned], "parameter_param { shape { dim: 4 dim: 3 dim: 2 } }"),
        python_layer(EUCLIDEAN, ["x", "t"], ["loss"], loss_weight=1),
    ]
    net = build(layers, {other: TARGET}, force_backward=False)
    net.params[f"{learned}_layer"][0].data[...] = SCORES
    net.blobs[other].diff[...] = 7
    for _ in range(2):
        np.testing.assert_allclose(run(net, learned)[0], (SCORES - TARGET) / 4, rtol=1e-5, atol=1e-7)
        assert (net.blobs[other].diff == 7).all()


@pytest.mark.parametrize(("norm", "other"), [("L1", "L1"), ("l2", "L2")])
@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2, 2), (300, 1000)])
def test_hinge_equals_stock(shape, norm, other):
    scores = RNG.randn(*shape) * 2
    scores.flat[::5] = -1  # a hinge of exactly 0
    labels = RNG.randint(0, scores[0].size, (shape[0], 1, 1, 1))
    inputs = {"x": scores, "label": labels}
    assert_same(
        "WeightedHingeLoss", "HingeLoss", inputs, ["x"], f"hinge_loss_param {{ norm: {other} }}", 1e-4, norm=norm
    )


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2, 1), (300, 1000)])
def test_multinomial_equals_stock(shape):
    prob = RNG.uniform(size=shape)
    prob[0] = 0  # below stock's threshold
    prob[1] = 1e-21
    inputs = {"p": prob, "label": RNG.randint(0, prob[0].size, (shape[0], 1, 1, 1))}
    assert_same("WeightedMultinomialLogisticLoss", "MultinomialLogisticLoss", inputs, ["p"])


@pytest.mark.parametrize("count", [3, 24])
@labelled
def test_another_count_of_labels_is_an_error(layer, count):
    first = "prob" if "Multinomial" in layer else "scores"
    with refused(ConfigError, f"({count},)", f"{first} (4, 3, 2)", remedy="4 labels"):
        net_of(layer, {"x": SCORES, "label": np.zeros(count)}).forward()


def test_labels_index_all_numbers_of_a_sample():
    with refused(DataError, "label 6 at sample 1", "0..5", layer="WeightedHingeLoss"):
        net_of("WeightedHingeLoss", {"x": SCORES, "label": np.array([5, 6, 0, 0])}).forward()


@pytest.mark.parametrize("margin", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("shape", [(12, 3), (12, 3, 1, 1), (300, 1000)])
def test_contrastive_equals_stock(shape, legacy, margin):
    feature = RNG.randn(*shape) / shape[1] ** 0.5
    feature_p = feature + RNG.randn(*shape) / shape[1] ** 0.5 * np.linspace(0, 3, shape[0]).reshape(
        -1, *[1] * (len(shape) - 1)
    )
    feature_p[:4] = feature[:4]  # distances of 0, for both kinds of pairs
    inputs = {"a": feature, "b": feature_p, "sim": np.resize([0, 1], shape[0])}
    params = f"contrastive_loss_param {{ margin: {margin} legacy_version: {str(legacy).lower()} }}"
    assert_same(CONTRASTIVE, "ContrastiveLoss", inputs, ["a", "b"], params, 1e-4, margin=margin, legacy_version=legacy)


@pytest.mark.parametrize(("bad", "rule"), [(2, "is outside 0..1"), (0.5, "is not an integer"), (np.nan, "is not")])
def test_sim_is_0_or_1(bad, rule):
    inputs = {"a": SCORES, "b": TARGET, "sim": np.array([0, 1, bad, 0])}
    with refused(DataError, f"sim {bad:g} at sample 2", layer=CONTRASTIVE):
        net_of(CONTRASTIVE, inputs).forward()


def test_pairs_of_other_shapes_are_errors():
    with refused(ConfigError, "(4, 3, 2)", "feature_p (4, 3)"):
        net_of(CONTRASTIVE, {"a": SCORES, "b": TARGET[..., 0], "sim": np.zeros(4)}).forward()
    with refused(ConfigError, "sim", "(4, 2)", remedy="4 numbers"):
        net_of(CONTRASTIVE, {"a": SCORES, "b": TARGET, "sim": np.zeros((4, 2))}).forward()


def test_weights_a_sample_and_an_element_of_euclidean_agree():
    weights = RNG.uniform(0.5, 2, 4)
    inputs = {"x": SCORES, "t": TARGET}
    one, each = (net_of(EUCLIDEAN, {**inputs, "w": w}) for w in (weights, np.repeat(weights, 6).reshape(4, 3, 2)))
    ours, others = run(one, "x", "t", "w"), run(each, "x", "t", "w")
    assert float(one.blobs["loss"].data) == pytest.approx(float(each.blobs["loss"].data), rel=1e-6)
    for i in range(2):
        np.testing.assert_allclose(ours[i], others[i], rtol=1e-5)
    np.testing.assert_allclose(ours[2], others[2].reshape(4, -1).sum(axis=1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layer", [EUCLIDEAN, "WeightedHingeLoss", CONTRASTIVE])
def test_normalize_by_count_divides_by_the_batch_whatever_the_weights(layer):
    weights = np.array([1.0, 3, 0, 2])
    inputs = {"x": SCORES, "t": TARGET} if layer != "WeightedHingeLoss" else {"x": SCORES, "t": np.arange(4)}
    if layer == CONTRASTIVE:
        inputs["sim"] = np.array([0, 1, 1, 0])
    by_weight, by_count = (net_of(layer, {**inputs, "w": weights}, normalize_by=by) for by in ("weight", "count"))
    one, other = run(by_weight, "x")[0], run(by_count, "x")[0]
    assert float(by_count.blobs["loss"].data) == pytest.approx(1.5 * float(by_weight.blobs["loss"].data), rel=1e-5)
    np.testing.assert_allclose(other, 1.5 * one, rtol=1e-5)
