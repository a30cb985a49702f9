"""Losses that forks have, in nets, against numbers computed once in float64 on one small set of data."""

import numpy as np
import pytest

from tests.caffe_nets import build, python_layer, run

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
