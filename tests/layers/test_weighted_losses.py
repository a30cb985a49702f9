import numpy as np
import pytest

from caffe_pylayers import ConfigError
from tests.caffe_nets import build, layer_text, python_layer, run
from tests.losses import class_cases, references
from tests.refusals import refused

RNG = np.random.RandomState(0)
SCORES, LABEL = RNG.randn(4, 3, 2, 5) * 3, RNG.randint(0, 3, (4, 2, 5))


def loss(*bottoms, tops=("loss",), loss_weight=1, **options):
    return python_layer("WeightedSoftmaxLoss", bottoms, tops, options, loss_weight)


@pytest.mark.parametrize("axis", [1, -3, 0, 3])
def test_prob_is_the_softmax_of_stock(axis):
    labels = np.zeros(SCORES.size // SCORES.shape[axis])
    layers = [
        loss("scores", "label", tops=["loss", "prob"], loss_weight=[1, 0], axis=axis),
        layer_text("Softmax", ["scores"], ["expected"], f"softmax_param {{ axis: {axis} }}"),
    ]
    net = build(layers, {"scores": SCORES, "label": labels})
    for _ in range(2):
        run(net, "scores")
        np.testing.assert_allclose(net.blobs["prob"].data, net.blobs["expected"].data, rtol=1e-5, atol=1e-7)


def test_prob_does_not_change_loss_or_gradient():
    inputs = {"scores": SCORES, "label": LABEL}
    one = build([loss("scores", "label")], inputs)
    two = build([loss("scores", "label", tops=["loss", "prob"], loss_weight=[1, 0])], inputs)
    np.testing.assert_array_equal(run(one, "scores"), run(two, "scores"))
    assert one.blobs["loss"].data == two.blobs["loss"].data


@pytest.mark.parametrize("shape", [(4, 2, 5), (4, 1, 2, 5), (40,), (4, 10, 1, 1)])
def test_labels_of_any_shape_of_that_count(shape):
    net = build([loss("scores", "label")], {"scores": SCORES, "label": LABEL.reshape(shape)})
    twin = build([layer_text("SoftmaxWithLoss", ["scores", "label"], ["loss"])], {"scores": SCORES, "label": LABEL})
    np.testing.assert_allclose(run(net, "scores")[0], run(twin, "scores")[0], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("shape", [(4,), (4, 1, 1, 1), (4, 2, 5), (4, 1, 2, 5)])
def test_weights_one_a_sample_or_one_a_label(shape):
    weights = np.random.RandomState(1).uniform(0.5, 2, shape)
    each = np.broadcast_to(weights.reshape(4, -1), (4, weights.size // 4))
    each = np.repeat(each, 10 // each.shape[1], axis=1).reshape(4, 2, 5)
    given, full = (
        build([loss("scores", "label", "weight")], {"scores": SCORES, "label": LABEL, "weight": w})
        for w in (weights, each)
    )
    for net in (given, full):
        run(net)
    assert given.blobs["loss"].data == full.blobs["loss"].data
    np.testing.assert_array_equal(given.blobs["scores"].diff, full.blobs["scores"].diff)
    expected = full.blobs["weight"].diff
    if weights.size == 4:
        expected = expected.sum(axis=(1, 2))
    np.testing.assert_allclose(given.blobs["weight"].diff.ravel(), expected.ravel(), rtol=1e-4, atol=1e-6)


def test_weights_of_a_sample_where_the_classes_are_not_on_axis_1():
    """With axis 2 a sample has several outer indices; its weight is that of all."""
    scores, labels, weights = RNG.randn(2, 3, 4), RNG.randint(0, 4, (2, 3)), np.array([2, 0])
    net = build([loss("scores", "label", "weight", axis=2)], {"scores": scores, "label": labels, "weight": weights})
    alone = build([loss("scores", "label", axis=2)], {"scores": scores[:1], "label": labels[:1]})
    (got,), (expected,) = run(net, "scores"), run(alone, "scores")
    np.testing.assert_allclose(got[:1], expected, rtol=1e-5)
    assert not got[1].any()


@pytest.mark.parametrize("mode", ["FULL", "VALID", "BATCH_SIZE"])
def test_normalize_by_count(mode):
    weights = np.random.RandomState(1).uniform(0.5, 2, 4)
    inputs = {"scores": SCORES, "label": LABEL, "weight": weights}
    by = {
        how: build([loss("scores", "label", "weight", normalization=mode, normalize_by=how)], inputs)
        for how in ("count", "weight")
    }
    for net in by.values():
        run(net)
    ratio = weights.mean()
    assert by["count"].blobs["loss"].data == pytest.approx(ratio * by["weight"].blobs["loss"].data, rel=1e-5)
    np.testing.assert_allclose(by["count"].blobs["scores"].diff, ratio * by["weight"].blobs["scores"].diff, rtol=1e-5)


@pytest.mark.parametrize("height", [1e4, -1e4, 300])
def test_extreme_scores_equal_stock(height):
    scores = np.array([[height, 0, 0], [0, height, -height], [height, height, height]])
    inputs = {"scores": scores, "label": np.array([1, 2, 0])}
    net = build([loss("scores", "label")], inputs)
    twin = build([layer_text("SoftmaxWithLoss", ["scores", "label"], ["loss"])], inputs)
    gradients = [run(each, "scores")[0] for each in (net, twin)]
    assert np.isfinite(gradients[0]).all()
    np.testing.assert_allclose(*gradients, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(net.blobs["loss"].data, twin.blobs["loss"].data, rtol=1e-6)


@pytest.mark.parametrize("shape", [(300, 1000), (40, 21, 16, 64), (2, 21, 128, 128)])
def test_large_batches_in_blocks_equal_stock(shape):
    rng = np.random.RandomState(2)
    labels = rng.randint(0, shape[1], shape[:1] + shape[2:])
    labels.flat[::7] = 255
    inputs = {"scores": rng.randn(*shape) * 5, "label": labels}
    net = build([loss("scores", "label", ignore_label=255)], inputs)
    twin = build(
        [layer_text("SoftmaxWithLoss", ["scores", "label"], ["loss"], "loss_param { ignore_label: 255 }")],
        inputs,
    )
    for _ in range(2):
        np.testing.assert_allclose(run(net, "scores")[0], run(twin, "scores")[0], rtol=1e-3, atol=1e-8)
    # Stock adds up in float32, we in float64.
    np.testing.assert_allclose(net.blobs["loss"].data, twin.blobs["loss"].data, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_ignored_positions_may_hold_nan():
    scores, labels = SCORES.copy(), LABEL.copy()
    scores[1], labels[1] = np.nan, 9
    net = build([loss("scores", "label", ignore_label=9)], {"scores": scores, "label": labels})
    (gradient,) = run(net, "scores")
    assert np.isfinite(net.blobs["loss"].data)
    assert np.isfinite(gradient).all()
    assert not gradient[1].any()


def test_wrong_count_of_labels_is_an_error():
    with refused(ConfigError, "3 labels", "(4, 3, 2, 5)", remedy="40"):
        build([loss("scores", "label")], {"scores": SCORES, "label": np.zeros(3)}).forward()


def test_an_axis_that_scores_lack_is_an_error():
    with refused(ConfigError, "axis 4", "(4, 3, 2, 5)"):
        build([loss("scores", "label", axis=4)], {"scores": SCORES, "label": LABEL}).forward()


CLASS_WEIGHTS = [0.5, 3.0, 0.0]


def loss_by_plain_loop(scores, label, weights=None, normalize_by="weight", **options):
    """As torch's CrossEntropyLoss(weight=CLASS_WEIGHTS): sum of w c l / sum of w c, or the number of terms (count)."""
    values, ignored = class_cases.softmax(scores, label, **options)
    labels = np.asarray(label).reshape(values.shape)
    each = np.ones(values.shape) if weights is None else np.reshape(weights, (len(values), -1)) * np.ones(values.shape)
    for at in np.ndindex(*values.shape):
        each[at] *= 0 if ignored[at] else CLASS_WEIGHTS[labels[at]]
    return references.reduce(values, ignored, each, options.get("normalization", "VALID"), normalize_by)


@pytest.mark.parametrize("mode", ["FULL", "VALID", "BATCH_SIZE", "NONE"])
@pytest.mark.parametrize("normalize_by", ["weight", "count"])
@pytest.mark.parametrize("weight_shape", [None, (4,), (4, 2, 5)])
def test_class_weights_equal_the_plain_loop(mode, normalize_by, weight_shape):
    label = LABEL.copy()
    label[1, 1, 2:] = 255
    inputs = {"scores": SCORES, "label": label}
    weights = None
    if weight_shape is not None:
        weights = inputs["weight"] = np.random.RandomState(1).uniform(0.5, 2, weight_shape)
        weights.flat[3] = 0
    options = {"ignore_label": 255, "normalization": mode}
    loss_weight = 3
    by = {} if mode == "NONE" else {"normalize_by": normalize_by}
    net = build([loss(*inputs, loss_weight=loss_weight, class_weights=CLASS_WEIGHTS, **options, **by)], inputs)
    (gradient,) = run(net, "scores")
    expected = loss_by_plain_loop(SCORES, label, weights, normalize_by, **options)
    assert float(net.blobs["loss"].data) == pytest.approx(expected, rel=1e-5)
    slopes = references.numeric_gradient(
        lambda x: loss_by_plain_loop(x, label, weights, normalize_by, **options), SCORES, 1e-5
    )
    np.testing.assert_allclose(gradient, loss_weight * slopes, rtol=1e-4, atol=2e-6 * loss_weight)
    if weights is not None:
        slopes = references.numeric_gradient(
            lambda w: loss_by_plain_loop(SCORES, label, w, normalize_by, **options), weights
        )
        np.testing.assert_allclose(net.blobs["weight"].diff, loss_weight * slopes, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("mode", ["FULL", "VALID", "BATCH_SIZE", "NONE"])
def test_class_weights_are_those_of_a_sample_weight_layer(mode):
    label = LABEL.copy()
    label[1, 1, 2:] = 255
    inputs = {"scores": SCORES, "label": label}
    options = {"ignore_label": 255, "normalization": mode}
    by_class = {"n_classes": 3, "ignore_label": 255, "weights": CLASS_WEIGHTS, "scale": "none"}
    net = build([loss("scores", "label", class_weights=CLASS_WEIGHTS, **options)], inputs)
    layers = [
        python_layer("SampleWeight", ["label"], ["weight"], by_class),
        loss("scores", "label", "weight", **options),
    ]
    twin = build(layers, inputs)
    np.testing.assert_allclose(run(net, "scores")[0], run(twin, "scores")[0], rtol=1e-6, atol=1e-9)
    assert float(net.blobs["loss"].data) == pytest.approx(float(twin.blobs["loss"].data), rel=1e-6)


def test_class_weights_of_k_are_k_copies():
    """Of every sample of that class."""
    scores, label = RNG.randn(3, 3), np.array([0, 1, 2])
    net = build([loss("scores", "label", class_weights=[2, 1, 0])], {"scores": scores, "label": label})
    copied = {"scores": scores[[0, 0, 1]], "label": label[[0, 0, 1]]}
    copies = build([loss("scores", "label")], copied)
    (one,), (several,) = run(net, "scores"), run(copies, "scores")
    assert float(net.blobs["loss"].data) == pytest.approx(float(copies.blobs["loss"].data), rel=1e-6)
    np.testing.assert_allclose(one, [several[0] + several[1], several[2], [0, 0, 0]], rtol=1e-5, atol=1e-8)


def test_a_batch_of_classes_of_weight_zero_gives_zeros():
    inputs = {"scores": SCORES, "label": np.full(LABEL.shape, 2), "weight": np.ones(4)}
    net = build([loss(*inputs, class_weights=CLASS_WEIGHTS)], inputs)
    gradients = run(net, "scores", "weight")
    assert net.blobs["loss"].data == 0
    assert not any(gradient.any() for gradient in gradients)


def test_a_wrong_number_of_class_weights_names_both():
    with refused(ConfigError, "2 numbers", "3 classes", layer="WeightedSoftmaxLoss", option="class_weights"):
        build([loss("scores", "label", class_weights=[1, 2])], {"scores": SCORES, "label": LABEL})


@pytest.mark.parametrize("bad", ["-1", "1e999", "'x'"])
def test_bad_class_weights(bad):
    options = f"{{'class_weights': [1, 2, {bad}]}}"
    layer = python_layer("WeightedSoftmaxLoss", ["scores", "label"], ["loss"], options, 1)
    with refused(ConfigError, option="class_weights", layer="WeightedSoftmaxLoss"):
        build([layer], {"scores": SCORES, "label": LABEL})


def test_a_net_learns():
    """Two Gaussian blobs that overlap: the class with the larger weight wins there."""
    rng = np.random.RandomState(3)
    labels = np.repeat([0, 1], 50)
    data = rng.randn(100, 2) + labels[:, None] * 0.5
    product = 'inner_product_param { num_output: 2 weight_filler { type: "xavier" } }'
    shares = []
    for weight in (1, 20):
        net = build(
            [layer_text("InnerProduct", ["x"], ["scores"], product), loss("scores", "label", "weight")],
            {"x": data, "label": labels, "weight": np.where(labels == 1, weight, 1)},
            force_backward=False,
        )
        for _ in range(200):
            run(net)
            for blobs in net.params.values():
                for blob in blobs:
                    blob.data[...] -= 0.5 * blob.diff
                    blob.diff[...] = 0
        net.forward()
        shares.append((net.blobs["scores"].data.argmax(axis=1) == 1).mean())
    assert 0.3 < shares[0] < 0.7
    assert shares[1] > 0.9
