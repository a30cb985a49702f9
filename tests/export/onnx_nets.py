"""Nets of Caffe beside the same nets in onnxruntime."""

import os

import caffe
import cv2
import numpy as np
import onnxruntime

from caffe_pylayers.commands.export.onnx.export import export_onnx
from tests.caffe_nets import layer_text, net_text

BATCHES = (1, 2, 7)


def layer(type, bottoms="x", tops="y", more=""):
    """The prototxt of a layer: bottoms and tops by name, with blanks between."""
    return layer_text(type, bottoms.split(), tops.split(), more)


def own(kind, options="", bottoms="x", tops="y"):
    """The prototxt of one of this package's layers."""
    params = f'python_param {{ module: "caffe_pylayers" layer: "{kind}" param_str: "{options}" }}'
    return layer("Python", bottoms, tops, params)


def fill(net, random):
    """Weights of about the size that leaves numbers as large as they were; all variances above 0."""
    for name, blobs in net.params.items():
        kind = net.layers[list(net._layer_names).index(name)].type
        for place, blob in enumerate(blobs):
            inputs = max(blob.data[:1].size, 1) if blob.data.ndim > 1 else 4
            blob.data[...] = random.normal(size=blob.data.shape) / np.sqrt(inputs)
            if kind == "BatchNorm" and place:  # variances, and the factor that all sums are divided by
                blob.data[...] = np.abs(blob.data) + 0.5
            elif kind in ("Scale", "Normalize") and place == 0:
                blob.data[...] += 1
            elif place == 1:  # biases, so that no layer is all but dead behind its ReLU
                blob.data[...] = np.abs(blob.data)


def made(folder, layers, inputs, seed=0):
    """A net in TEST with random weights, and its two files. layers: their prototxt. inputs: shapes by name."""
    prototxt, weights = os.path.join(folder, "net.prototxt"), os.path.join(folder, "net.caffemodel")
    with open(prototxt, "w") as file:
        file.write(net_text(layers, inputs, force_backward=False))
    net = caffe.Net(prototxt, caffe.TEST)
    fill(net, np.random.default_rng(seed))
    net.save(weights)
    return net, prototxt, weights


def session(path):
    """onnxruntime with a file."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def compare(net, path, values=None, outputs=None):
    """Each output of the file is as that of the net, at each batch. values: shape -> numbers of the inputs, by name.

    Returns the outputs that are nothing but zeros.
    """
    zeros = set()
    runs, random = session(path), np.random.default_rng(1)
    names = [each.name for each in runs.get_outputs()]
    assert sorted(names) == sorted(outputs or net.outputs)
    for batch in BATCHES:
        feed = {}
        for name in net.inputs:  # also such as the file does not take
            net.blobs[name].reshape(batch, *net.blobs[name].shape[1:])
        for each in runs.get_inputs():
            shape = tuple(batch if isinstance(size, str) else size for size in each.shape)
            numbers = (values or {}).get(each.name, random.standard_normal)
            feed[each.name] = np.asarray(numbers(shape), np.float32)
            net.blobs[each.name].reshape(*shape)
            net.blobs[each.name].data[...] = feed[each.name]
        net.reshape()
        net.forward()
        for name, found in zip(names, runs.run(None, feed)):
            wanted = net.blobs[name].data
            assert np.isfinite(wanted).all() and found.shape == wanted.shape
            largest = np.abs(wanted).max(initial=0)
            assert np.abs(found - wanted).max(initial=0) <= 1e-5 * largest, (batch, name)
            zeros.update([] if largest else [name])
    return zeros


def compare_in_opencv(net, path):
    """OpenCV's own reader of ONNX gives what the net gives. The net has one input, data, and one output."""
    (name,) = net.outputs
    images = np.random.default_rng(2).normal(size=net.blobs["data"].data.shape).astype(np.float32)
    net.blobs["data"].data[...] = images
    net.forward()
    read = cv2.dnn.readNetFromONNX(path)
    read.setInput(images, "data")
    found, wanted = read.forward(name), net.blobs[name].data
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def check(folder, layers, inputs, values=None):
    """Export a net of these layers with random weights, and compare."""
    net, prototxt, weights = made(str(folder), layers, inputs)
    result = export_onnx(prototxt, weights, os.path.join(folder, "net.onnx"))
    assert result.checked_by
    compare(net, result.path, values)
