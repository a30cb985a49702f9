"""Small nets of the real Caffe, from prototxt text."""

import json
import os
import tempfile

import caffe
import numpy as np


def python_layer(layer, bottoms, tops, options=None, loss_weight=None, more=""):
    """The prototxt of one of this package's layers; `options` is its param_str, text or a dict."""
    text = options if isinstance(options, str) else repr(options or {})
    params = f'python_param {{ module: "caffe_pylayers" layer: "{layer}" param_str: {json.dumps(text)} }}'
    return layer_text("Python", bottoms, tops, f"{params} {more}", loss_weight)


def layer_text(type, bottoms, tops, more="", loss_weight=None):
    """The prototxt of any layer; it is named as its first top, with '_layer' behind."""
    lines = [f'name: "{tops[0]}_layer" type: "{type}"']
    lines += [f'bottom: "{name}"' for name in bottoms] + [f'top: "{name}"' for name in tops]
    if loss_weight is not None:
        weights = loss_weight if isinstance(loss_weight, (list, tuple)) else [loss_weight]
        lines += [f"loss_weight: {weight}" for weight in weights]
    return f"layer {{ {' '.join(lines)} {more} }}\n"


def net_text(layers, inputs, force_backward=True):
    """The prototxt of a net: Input layers for `inputs` (name -> array or shape), then `layers`."""
    text = "force_backward: true\n" if force_backward else ""
    for name, value in inputs.items():
        dims = " ".join(f"dim: {size}" for size in getattr(value, "shape", value))
        text += layer_text("Input", [], [name], f"input_param {{ shape {{ {dims} }} }}")
    return text + "".join(layers)


def build(layers, inputs, phase=caffe.TRAIN, force_backward=True):
    """A net of `layers` (prototxt texts), fed with `inputs` (name -> array)."""
    path = write(net_text(layers, inputs, force_backward))
    try:
        net = caffe.Net(path, phase)
    finally:
        os.unlink(path)
    for name, array in inputs.items():
        net.blobs[name].data[...] = array
    return net


#: The folder of nets that are written anywhere; None is that of temporary files.
anywhere = None


def write(text, folder=None, name="net.prototxt"):
    """Writes text into a file, in a folder or anywhere, and returns its path."""
    if folder is not None:
        path = os.path.join(str(folder), name)
        with open(path, "w") as file:
            file.write(text)
        return path
    handle, path = tempfile.mkstemp(suffix=".prototxt", dir=anywhere)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    return path


def run(net, *gradients):
    """Forward and backward; returns copies of the diffs of the blobs that are named, in a list."""
    # What the last pass left must not pass for this one's. Stock Euclidean and contrastive losses multiply it by 0, and
    # some OpenBLAS (Debian 11's and 13's) keep a NaN then. Ours do not look at it.
    left = np.nan if any(layer.type == "Python" for layer in net.layers) else 1e4
    for name in gradients:
        net.blobs[name].diff[...] = left
    net.forward()
    net.backward()
    return [net.blobs[name].diff.copy() for name in gradients]


def one_pass(net):
    """Forward and backward. forward() and backward() would take the data of all outputs and the diffs of all inputs."""
    last = len(net.layers) - 1
    net._forward(0, last)
    net._backward(last, 0)
