"""A batch of 0 samples: every layer takes it, and gives what its stock twin does, a loss of 0 and no gradient."""

import os
import traceback

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError
from caffe_pylayers.config.catalogue import SCHEMAS
from tests.caffe_nets import build, layer_text, net_text, one_pass, python_layer, write
from tests.layers.every_layer import LAYERS, OTHERS, TARGETS, X, weighted
from tests.refusals import refused

EVERY = [*((name, *case) for name, case in LAYERS.items()), *OTHERS]


def test_every_layer_is_here_but_those_that_make_batches():
    assert set(LAYERS) == {layer for layer in SCHEMAS if not layer.endswith("DataLayer")}


def empty(net, inputs):
    """Take all samples out of the inputs of a net."""
    for name, array in inputs.items():
        if name != "H":
            net.blobs[name].reshape(0, *array.shape[1:])


@pytest.mark.parametrize("with_weights", [False, True])
@pytest.mark.parametrize(("layer", "inputs", "options"), EVERY)
def test_an_empty_batch(layer, inputs, options, with_weights):
    is_loss = SCHEMAS[layer].is_loss()
    if with_weights:
        inputs, options = weighted(layer, inputs, options)
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
        elif layer in ("WeightedAccuracy", "Metrics"):
            assert np.isnan(top).all()
        elif layer == "SegAccuracy":
            assert top.ravel().tolist() == [0, 0, 1]
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


def begin_with_no_samples(folder):
    for layer, inputs, options in EVERY:
        shapes = {name: array.shape if name == "H" else (0, *array.shape[1:]) for name, array in inputs.items()}
        text = python_layer(layer, list(inputs), ["top"], options, 1 if SCHEMAS[layer].is_loss() else None)
        net = caffe.Net(write(net_text([text], shapes), folder), caffe.TRAIN)
        if "H" in inputs:
            net.blobs["H"].data[...] = inputs["H"]
        for _ in range(2):
            one_pass(net)


def in_another_process(function, *arguments):
    """Whether it comes to its end there: what Caffe finds wrong with a blob ends the process."""
    child = os.fork()
    if child == 0:
        try:
            function(*arguments)
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def test_nets_that_begin_with_no_samples(tmp_path):
    """Their blobs have no memory yet, and Caffe ends the process that asks for it."""
    assert in_another_process(begin_with_no_samples, tmp_path)


@pytest.mark.parametrize(
    ("layer", "shapes", "options", "words"),
    [
        ("SmoothL1Loss", [(), ()], {}, "prediction has shape ()"),
        ("BalancedSigmoidCrossEntropyLoss", [(), ()], {}, "scores has shape ()"),
        ("WeightedEuclideanLoss", [(), ()], {}, "prediction has shape ()"),
        ("WeightedHingeLoss", [(), ()], {}, "scores has shape ()"),
        ("WeightedSoftmaxLoss", [(), ()], {}, "scores has shape ()"),
        ("TripletLoss", [(), (), ()], {}, "anchor has shape ()"),
        ("BatchTripletLoss", [(), ()], {}, "embedding has shape ()"),
        ("BalancedSigmoidCrossEntropyLoss", [(0, 3, 2), (0, 2, 2)], {}, "target (0, 2, 2)"),
        ("KnowledgeDistillation", [(2, 0), (2, 0)], {}, "no classes along axis 1"),
        ("SoftCrossEntropyLoss", [(2, 0, 3), (2, 0, 3)], {}, "no classes along axis 1"),
        ("DiceLoss", [(2, 0), (2, 0)], {"activation": "softmax"}, "no classes along axis 1"),
        ("Metrics", [(2, 0), (2,)], {"of": ["mean_iou"]}, "no classes along axis 1"),
        ("L2Normalize", [(2, 0, 3)], {"scale": 2}, "no channels along axis 1"),
        ("Normalize", [(2, 0, 3)], {}, "no channels along axis 1"),
        ("ShuffleChannel", [(2, 0, 3)], {"group": 3}, "0 channels"),
    ],
)
def test_what_has_no_axis_or_nothing_along_it_is_refused(layer, shapes, options, words, tmp_path):
    inputs = dict(zip("abc", shapes))
    text = python_layer(layer, list(inputs), ["top"], options, 1 if SCHEMAS[layer].is_loss() else None)
    path = write(net_text([text], inputs), tmp_path)

    def refuse():
        with refused(ConfigError, words, layer=layer):
            one_pass(caffe.Net(path, caffe.TRAIN))

    assert in_another_process(refuse)


def test_regions_of_maps_without_rows_are_empty(tmp_path):
    inputs = {"x": np.zeros((2, 3, 0, 4)), "rois": np.array([[0.0, 0, 0, 2, 2], [1, 0, 0, 2, 2]])}
    layer = python_layer("ROIPooling", list(inputs), ["y"], {"pooled_h": 2, "pooled_w": 2})
    net = caffe.Net(write(net_text([layer], inputs), tmp_path), caffe.TRAIN)
    net.blobs["rois"].data[...] = inputs["rois"]
    net.blobs["y"].data[...] = 1
    one_pass(net)
    assert not net.blobs["y"].data.any()


def test_stock_gives_a_loss_of_0():
    """Of stock's losses this one takes 0 samples; the others, and Accuracy, end the process."""
    inputs = {"x": X, "target": TARGETS}
    net = build(
        [layer_text("SigmoidCrossEntropyLoss", list(inputs), ["top"], loss_weight=1)], inputs, force_backward=False
    )
    empty(net, inputs)
    net.forward()
    assert net.blobs["top"].data == 0
