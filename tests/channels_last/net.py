"""A net, rebuilt from the arrays and the `__meta__` of an .npz in TensorFlow's layout."""

import json

import numpy as np


def run(path, ops, image):
    """Every blob of the net by name, float arrays; images are (samples, height, width, channels).

    path: of the .npz. ops: where the arithmetic is done, `numpy_ops` or `tensorflow_ops`. image: what the net reads.
    """
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "__meta__"}
        meta = json.loads(str(file["__meta__"]))
    assert meta["layout"] == "tensorflow"
    blobs = {}
    for layer in meta["layers"]:
        bottoms = [blobs[name] for name in layer["bottom"]]
        own = {name.rpartition("/")[2]: arrays[name] for name in layer["arrays"]}
        if not bottoms:
            blobs[layer["top"][0]] = image
        else:
            blobs[layer["top"][0]] = LAYERS[layer["type"]](ops, layer, own, *bottoms)
    return blobs


def convolution(ops, layer, arrays, x):
    weights = arrays["weights"]
    conv = ops.depthwise if layer["group"] > 1 and weights.shape[2] == layer["group"] else ops.convolution
    y = conv(padded(x, layer), weights, layer["stride"], layer["dilation"], layer["group"])
    return y + arrays.get("biases", 0)


def deconvolution(ops, layer, arrays, x):
    y = ops.deconvolution(x, arrays["weights"], layer["stride"], layer["group"])
    (top, left), (height, width) = layer["pad"], y.shape[1:3]
    return y[:, top : height - top, left : width - left] + arrays.get("biases", 0)


def pooling(ops, layer, arrays, x):
    if layer["param"]["pooling_param"].get("global_pooling"):
        return x.mean((1, 2), keepdims=True)
    if layer["param"]["pooling_param"]["pool"] == "MAX":
        return ops.max_pool(padded(x, layer, -np.inf), layer["kernel"], layer["stride"])
    return ops.sum_pool(padded(x, layer), layer["kernel"], layer["stride"]) / window_sizes(x, layer)


def window_sizes(x, layer):
    """What Caffe divides an average by: `pad` counts, what is padded behind that for the last window does not."""
    axes = []
    for axis in (0, 1):
        (before, after), pad = layer["padding"][axis], layer["pad"][axis]
        kernel, stride, size = layer["kernel"][axis], layer["stride"][axis], x.shape[axis + 1]
        starts = np.arange(0, before + size + after - kernel + 1, stride)
        axes.append(np.minimum(starts + kernel, before + size + pad) - starts)
    return (axes[0][:, None] * axes[1])[None, :, :, None]


def padded(x, layer, value=0.0):
    return np.pad(x, [(0, 0), *layer["padding"], (0, 0)], constant_values=value)


def inner_product(ops, layer, arrays, x):
    return ops.matmul(x.reshape(len(x), -1), arrays["weights"]) + arrays.get("biases", 0)


def batch_norm(ops, layer, arrays, x):
    return (x - arrays["mean"]) / np.sqrt(arrays["variance"] + layer["eps"])


LAYERS = {
    "Convolution": convolution,
    "Deconvolution": deconvolution,
    "Pooling": pooling,
    "InnerProduct": inner_product,
    "BatchNorm": batch_norm,
    "Scale": lambda ops, layer, arrays, x: x * arrays["gamma"] + arrays.get("beta", 0),
    "Bias": lambda ops, layer, arrays, x: x + arrays["biases"],
    "ReLU": lambda ops, layer, arrays, x: np.maximum(x, 0),
    "PReLU": lambda ops, layer, arrays, x: np.where(x > 0, x, x * arrays["slope"]),
    "Flatten": lambda ops, layer, arrays, x: x.reshape(len(x), -1),
    "Reshape": lambda ops, layer, arrays, x: x.reshape(len(x), -1),
    "Concat": lambda ops, layer, arrays, *xs: np.concatenate(xs, -1),
    "Eltwise": lambda ops, layer, arrays, *xs: sum(xs),
}
