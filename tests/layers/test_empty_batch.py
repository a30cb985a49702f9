"""A batch of 0 samples: every layer takes it, and gives what its stock twin does, a loss of 0 and no gradient."""

import numpy as np
import pytest

from caffe_pylayers.config.catalogue import SCHEMAS
from tests.caffe_nets import build, layer_text, python_layer

RNG = np.random.RandomState(0)
ROWS, LABELS = (RNG.rand(4, 3) for _ in range(2)), np.array([0, 1, 2, 0])
X, Y = ROWS
SOFT = Y / Y.sum(axis=1, keepdims=True)
TARGETS = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1], [1, 1, 0]])
PAIR = {"x": X, "y": Y, "sim": np.array([0, 1, 0, 1])}
TRIPLET = {"x": X, "y": Y, "z": X[::-1].copy()}
WEIGHT = {"sample_weight": np.array([1.0, 2, 0, 1])}

#: Layer -> (its bottoms, options); losses get sample_weight too.
LAYERS = {
    "WeightedSoftmaxLoss": ({"x": X, "label": LABELS}, {"class_weights": [1, 2, 3]}),
    "WeightedInfogainLoss": ({"x": X, "label": LABELS, "H": np.eye(3)[None, None]}, {}),
    "WeightedSigmoidCrossEntropyLoss": ({"x": X, "target": TARGETS}, {"ignore_label": -1}),
    "WeightedEuclideanLoss": ({"x": X, "y": Y}, {}),
    "WeightedHingeLoss": ({"x": X, "label": LABELS}, {}),
    "WeightedContrastiveLoss": (PAIR, {}),
    "WeightedMultinomialLogisticLoss": ({"x": SOFT, "label": LABELS}, {}),
    "SoftCrossEntropyLoss": ({"x": X, "y": SOFT}, {}),
    "FocalLoss": ({"x": X, "label": LABELS}, {}),
    "LDAMLoss": ({"x": X, "label": LABELS}, {"counts": [3, 2, 1]}),
    "TripletLoss": (TRIPLET, {}),
    "BatchTripletLoss": ({"x": X, "label": LABELS}, {}),
    "WeightedAccuracy": ({"x": X, "label": LABELS}, {}),
    "ComputeH": ({"label": LABELS}, {"n_classes": 3}),
    "SampleWeight": ({"label": LABELS}, {"n_classes": 3}),
    "LabelNoise": ({"label": LABELS}, {"distribution": "flip", "probability": 0.5, "n_classes": 3}),
    "LabelSmoothing": ({"label": LABELS}, {"n_classes": 3}),
    "L2Normalize": ({"x": X}, {"scale": 2.0}),
}

#: The same layers in other ways.
OTHERS = [
    ("BatchTripletLoss", *({"x": X, "label": LABELS}, {"mining": mining})) for mining in ("semihard", "hard", "distance")
] + [
    ("BatchTripletLoss", {"x": X, "label": LABELS}, {"soft": True}),
    ("BatchTripletLoss", {"x": X, "label": LABELS}, {"average": "active"}),
    ("TripletLoss", TRIPLET, {"average": "active"}),
    ("TripletLoss", TRIPLET, {"soft": True, "distance": "euclidean"}),
    ("SampleWeight", {"label": TARGETS}, {"n_classes": 3, "per": "label"}),
    ("SampleWeight", {"label": LABELS}, {"n_classes": 3, "rule": "median_frequency"}),
    ("SampleWeight", {"label": LABELS}, {"n_classes": 3, "counts": "running", "scale": "mean_one", "defer": 3}),
    ("LabelNoise", {"label": LABELS}, {"distribution": "uniform", "low": 0, "high": 1}),
    ("LabelNoise", {"label": LABELS}, {"distribution": "gaussian", "std": 1, "one_hot": True, "n_classes": 3}),
    ("LabelSmoothing", {"label": LABELS.reshape(4, 1, 1, 1)}, {"n_classes": 3, "ignore_label": 1}),
    ("L2Normalize", {"x": X}, {"across_spatial": True}),
    ("WeightedContrastiveLoss", PAIR, {"legacy_version": True}),
    ("WeightedHingeLoss", {"x": X, "label": LABELS}, {"norm": "L2"}),
    *(("WeightedSoftmaxLoss", {"x": X, "label": LABELS}, {"normalization": mode}) for mode in ("FULL", "BATCH_SIZE", "NONE")),
    ("WeightedSoftmaxLoss", {"x": X[:, :, None, None], "label": LABELS.reshape(4, 1, 1, 1)}, {"ignore_label": 1}),
    ("WeightedAccuracy", {"x": X, "label": LABELS}, {"balanced": True, "top_k": 2}),
]  # fmt: skip


def test_every_layer_is_here_but_those_that_make_batches():
    assert set(LAYERS) == {layer for layer in SCHEMAS if not layer.endswith("DataLayer")}


def empty(net, inputs):
    """Take all samples out of the inputs of a net."""
    for name, array in inputs.items():
        if name != "H":
            net.blobs[name].reshape(0, *array.shape[1:])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("layer", "inputs", "options"), [*((name, *case) for name, case in LAYERS.items()), *OTHERS])
def test_an_empty_batch(layer, inputs, options, weighted):
    is_loss = layer.endswith("Loss")
    if weighted and (is_loss or layer == "WeightedAccuracy"):
        inputs = {**inputs, **WEIGHT}
        if layer == "TripletLoss":
            options = {**options, "bottoms": ["sample_weight"]}
    net = build([python_layer(layer, list(inputs), ["top"], options, 1 if is_loss else None)], inputs)
    net.forward()
    before = net.blobs["top"].data.copy()
    for _ in range(2):
        empty(net, inputs)
        net.forward()
        net.backward()
        top = net.blobs["top"].data
        if is_loss:
            assert top == 0
        elif layer == "WeightedAccuracy":
            assert np.isnan(top)
        elif layer == "ComputeH":
            assert not top.any()
        else:
            assert top.shape == (0, *before.shape[1:])
        if "H" in inputs:
            assert not net.blobs["H"].diff.any()
    for name, array in inputs.items():  # and goes on with samples
        net.blobs[name].reshape(*array.shape)
        net.blobs[name].data[...] = array
    net.forward()
    net.backward()
    assert np.isfinite(net.blobs["top"].data).all()
    if is_loss and "soft" not in options:
        np.testing.assert_allclose(net.blobs["top"].data, before, rtol=1e-6)


def test_stock_gives_a_loss_of_0():
    """Of stock's losses this one takes 0 samples; the others, and Accuracy, end the process."""
    inputs = {"x": X, "target": TARGETS}
    net = build(
        [layer_text("SigmoidCrossEntropyLoss", list(inputs), ["top"], loss_weight=1)], inputs, force_backward=False
    )
    empty(net, inputs)
    net.forward()
    assert net.blobs["top"].data == 0
