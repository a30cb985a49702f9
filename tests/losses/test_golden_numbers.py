"""Losses that forks have, in nets, against numbers computed once in float64 on one small set of data."""

import numpy as np
import pytest

from tests.caffe_nets import build, layer_text, python_layer, run
from tests.losses.embedding_cases import vectors_of

ROWS, COLUMNS = np.arange(12)[:, None], np.arange(8)[None]
X = np.sin(1 + 3 * ROWS + 0.7 * COLUMNS * (ROWS % 5 + 1))
OTHER, POSITIVE = np.cos(3 * X), (X > 0).astype(float)

GOLDEN = [
    ("SmoothL1Loss", X, OTHER, {"sigma": 1}, 3.60984864, None),
    ("SmoothL1Loss", X, OTHER, {"sigma": 3}, 5.88473667, None),
    ("WingLoss", X, OTHER, {"w": 10, "epsilon": 2}, 24.13858941, None),
    ("BalancedSigmoidCrossEntropyLoss", X, POSITIVE, {}, 1.58122139, None),
    ("DiceLoss", OTHER, POSITIVE, {"over": "batch", "epsilon": 1e-6}, 0.53121836, None),
    ("KnowledgeDistillation", X, OTHER, {"temperature": 1}, 0.48837846, 0.11193433),
    ("KnowledgeDistillation", X, OTHER, {"temperature": 4}, 0.03128400, 0.10588941),
]


@pytest.mark.parametrize("layer, one, other, options, value, norm", GOLDEN)
@pytest.mark.parametrize("given", [True, False])
def test_value_and_gradient(layer, one, other, options, value, norm, given):
    """With the options said, and where they are the defaults without."""
    is_default = options.get("sigma") != 3 and options.get("temperature") != 4
    inputs = {"one": one, "other": other}
    net = build([python_layer(layer, list(inputs), ["loss"], options if given or not is_default else {}, 1)], inputs)
    for _ in range(2):
        (gradient,) = run(net, "one")
        assert float(net.blobs["loss"].data) == pytest.approx(value, rel=2e-6)
        if norm is not None:
            assert np.linalg.norm(gradient) == pytest.approx(norm, rel=2e-6)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
@pytest.mark.parametrize("scale_loss", [False, True])
def test_the_gradient_of_distillation_is_that_of_its_fork(temperature, scale_loss):
    """T (p - q) / Z, whether the value is scaled or not."""
    inputs = {"student": X, "teacher": OTHER}
    options = {"temperature": temperature, "scale_loss": scale_loss}
    net = build([python_layer("KnowledgeDistillation", list(inputs), ["loss"], options, 1)], inputs)
    p, q = (np.exp(x / temperature) for x in (X, OTHER))
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    for _ in range(2):
        (gradient,) = run(net, "student")
        np.testing.assert_allclose(gradient, temperature * (p - q) / 12, rtol=1e-4, atol=1e-7)
    kl = (q * np.log(q / p)).sum(axis=1).mean()
    assert float(net.blobs["loss"].data) == pytest.approx(kl * (temperature**2 if scale_loss else 1), rel=2e-4)


LABELS = np.repeat(np.arange(4), 3)
#: Of a loss with a vector for each class: value, norms of the gradients by x and by the vectors.
OF_VECTORS = [
    ("CenterLoss", {}, (3.97105415, 0.81353694, 3.52113973)),
    ("MarginSoftmaxLoss", {}, (51.66960683, 11.390678, 11.132416)),
    ("MarginSoftmaxLoss", {"type": "arcface", "margin": 28.6, "scale": 64}, (51.66960683, 11.390678, 11.132416)),
    ("MarginSoftmaxLoss", {"type": "cosface"}, (46.30295429, 12.142779, 11.789067)),
    ("MarginSoftmaxLoss", {"type": "combined"}, (53.61978915,)),
    ("MarginSoftmaxLoss", {"type": "sphereface"}, (7.16744648, 1.243767, 0.758941)),
]
#: Of ProxyLoss, by type; those of soft_triple are of pytorch-metric-learning 2.9.0, as `python -m tests.losses.by_metric_learning` prints them.
OF_PROXIES = [
    ({"type": "proxy_nca"}, (1.56704133, 0.261044, 0.281478)),
    ({"type": "proxy_nca", "scale": 1}, (1.56704133, 0.261044, 0.281478)),
    ({"type": "proxy_anchor"}, (35.02728924, 8.352171, 9.053310)),
    ({"type": "proxy_anchor", "margin": 0.1, "alpha": 32}, (35.02728924, 8.352171, 9.053310)),
    ({"type": "normalized_softmax"}, (8.25063755, 3.556908, 3.503827)),
    ({"type": "normalized_softmax", "temperature": 0.05}, (8.25063755, 3.556908, 3.503827)),
    ({"type": "soft_triple"}, (2.42917574, 1.067867, 2.242366)),
    ({"type": "soft_triple", "sub_centers": 2}, (12.29244805, 3.582614, 3.501053)),
    ({"type": "soft_triple", "sub_centers": 3, "la": 5, "gamma": 0.5, "margin": 0.2}, (4.18091858, 0.572612, 0.646683)),
]
TYPES = ("DOUBLE", "TRIPLE", "QUADRUPLE")
SOFTMAX = layer_text("SoftmaxWithLoss", ["scores", "label"], ["loss"])
#: Of a layer in front of a softmax loss.
HEADS = [
    *(("MarginInnerProduct", {"type": each}, (value,)) for each, value in zip(TYPES, (1.57420317, 1.57594607, 1.57765709))),
    *(("MarginInnerProduct", {"type": each, "base": 0}, (value,)) for each, value in zip(TYPES, (1.83970657, 2.11907076, 2.40549853))),
    *(("LargeMarginInnerProduct", {"type": each}, (value,)) for each, value in zip(TYPES, (2.07837269, 2.08167555, 2.08486665))),
    *(("LargeMarginInnerProduct", {"type": each, "base": 0}, each_value)
      for each, each_value in zip(TYPES, ((5.79880658,), (9.60906967,), (13.51821586, 2.544436, 3.633737)))),
]  # fmt: skip
MARGINS = [
    ("LabelSpecificAdd", {}, 30, 12.31464912),
    ("LabelSpecificAdd", {"bias": -0.35, "where": "everywhere"}, 30, 21.73304599),
    ("CosinAddm", {}, 64, 51.70841593),
    ("CombinedMargin", {}, 64, 53.61978915),
]


def of_vectors(layers, top, numbers):
    """That the loss and the gradients of a net with the vectors W have these numbers."""
    net = build(layers, {"x": X, "label": LABELS})
    (blob,) = net.params[f"{top}_layer"]
    blob.data[...] = vectors_of(*blob.shape)
    (gradient,) = run(net, "x")
    assert float(net.blobs["loss"].data) == pytest.approx(numbers[0], rel=2e-6)
    for found, norm in zip((gradient, blob.diff), numbers[1:]):
        assert np.linalg.norm(found) == pytest.approx(norm, rel=2e-6)
    return net


@pytest.mark.parametrize("layer, options, numbers", OF_VECTORS)
def test_losses_with_vectors_of_classes(layer, options, numbers):
    of_vectors([python_layer(layer, ["x", "label"], ["loss"], {"num_output": 4, **options}, 1)], "loss", numbers)


@pytest.mark.parametrize("options, numbers", OF_PROXIES)
def test_proxies(options, numbers):
    of_vectors([python_layer("ProxyLoss", ["x", "label"], ["loss"], {"num_output": 4, **options}, 1)], "loss", numbers)


@pytest.mark.parametrize("layer, options, numbers", HEADS)
def test_products_with_an_angular_margin(layer, options, numbers):
    head = python_layer(layer, ["x", "label"], ["scores", "lambda"], {"num_output": 4, **options})
    net = of_vectors([head, SOFTMAX], "scores", numbers)
    default = {"MarginInnerProduct": 892.8571, "LargeMarginInnerProduct": 999.125394}[layer]
    at_least = {"MarginInnerProduct": 5, "LargeMarginInnerProduct": 0}[layer]
    assert net.blobs["lambda"].data == pytest.approx(at_least if "base" in options else default, rel=1e-6)


@pytest.mark.parametrize("layer, options, scale, value", MARGINS)
@pytest.mark.parametrize("in_place", [False, True])
def test_margins_on_cosines(layer, options, scale, value, in_place):
    top = "cos" if in_place else "margin"
    layers = [
        python_layer("NormalizedInnerProduct", ["x"], ["cos"], {"num_output": 4}),
        python_layer(layer, ["cos", "label"], [top], options),
        layer_text("Power", [top], ["scores"], f"power_param {{ scale: {scale} }}"),
        SOFTMAX,
    ]
    of_vectors(layers, "cos", (value,))


#: Of a loss on pairs: value, norm of the gradient; both with what the options are without being given.
OF_PAIRS = [
    ("BatchPairLoss", {"type": "contrastive"}, {"pos_margin": 0, "neg_margin": 1}, (2.00296423, 0.688369)),
    ("BatchPairLoss", {"type": "ntxent"}, {"temperature": 0.07}, (4.28026321, 3.475182)),
    ("BatchPairLoss", {"type": "supcon"}, {"temperature": 0.1}, (3.68266412, 2.116093)),
    ("BatchPairLoss", {"type": "multi_similarity"}, {"alpha": 2, "beta": 50, "base": 0.5}, (0.94670553, 0.185405)),
    ("BatchPairLoss", {"type": "circle"}, {"margin": 0.4, "scale": 80}, (81.99258247, 31.928893)),
    ("BatchPairLoss", {"type": "lifted"}, {"neg_margin": 1}, (7.19660014, 0.727125)),
    ("LiftedStructSimilaritySoftmaxLoss", {}, {"margin": 1}, (7.22778415,)),
]


@pytest.mark.parametrize("layer, options, defaults, numbers", OF_PAIRS)
@pytest.mark.parametrize("given", [True, False])
def test_losses_on_pairs(layer, options, defaults, numbers, given):
    options = {**options, **(defaults if given else {})}
    net = build([python_layer(layer, ["x", "label"], ["loss"], options, 1)], {"x": X, "label": LABELS})
    for _ in range(2):
        (gradient,) = run(net, "x")
        assert float(net.blobs["loss"].data) == pytest.approx(numbers[0], rel=2e-6)
        for norm in numbers[1:]:
            assert np.linalg.norm(gradient) == pytest.approx(norm, rel=2e-6, abs=5e-7)


def test_pairs_with_a_memory():
    labels = np.arange(12) % 4
    layer = python_layer("BatchPairLoss", ["x", "label"], ["loss"], {"type": "contrastive", "memory": 12}, 1)
    net = build([layer], {"x": X[:6], "label": labels[:6]})
    run(net)
    net.blobs["x"].data[...], net.blobs["label"].data[...] = X[6:], labels[6:]
    run(net)
    assert float(net.blobs["loss"].data) == pytest.approx(2.21623615, rel=2e-6)
