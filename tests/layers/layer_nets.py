"""Nets of one layer of any kind, whose tops have a gradient, and what passes through them give."""

import caffe
import numpy as np

from caffe_pylayers.config import load
from tests.caffe_nets import build, layer_text, one_pass, python_layer
from tests.layers.every_layer import LAYERS, OTHERS

#: The layers with many of their options.
CASES = [
    *((name, *case) for name, case in LAYERS.items()),
    *OTHERS,
    *(("SampleWeight", LAYERS["SampleWeight"][0], {"n_classes": 3, "rule": rule, "scale": "mean_one"})
      for rule in ("balanced", "inverse_sqrt", "effective_number")),
    ("SampleWeight", {"label": np.array([[0, 1], [-1, 1]])}, {"n_classes": 2, "per": "label", "counts": [3, 1, 1, 4]}),
    ("LabelNoise", {"label": np.array([[0], [1]])}, {"distribution": "uniform", "low": 0, "high": 1, "one_hot": True, "n_classes": 3, "ignore_label": 1}),
    ("ComputeH", LAYERS["ComputeH"][0], {"n_classes": 3, "rule": "median_frequency", "ignore_label": 1, "smoothing": 0.1}),
    ("SampleWeight", LAYERS["SampleWeight"][0], {"n_classes": 3, "ignore_label": 0, "weights": [1, 2, 3]}),
    ("LabelNoise", {"label": np.array([0, 1, 2, 0])}, {"distribution": "flip", "probability": 1, "n_classes": 3, "ignore_label": 0}),
    ("LabelNoise", {"label": np.array([[0], [1]])}, {"distribution": "uniform", "low": -1, "high": 1, "clip": [0, 1], "ignore_label": 1}),
    ("LabelSmoothing", {"label": np.arange(6.0).reshape(2, 3) % 3}, {"n_classes": 3, "over": "others", "ignore_label": 1}),
    ("L2Normalize", {"x": np.array([[[1.0, 0], [2, 0]], [[0, 0], [0, 0]]])}, {"scale": 2, "across_spatial": True, "axis": 2}),
]  # fmt: skip
#: Blobs of a position and of running counts are on the host, where the solver's snapshots are written from.
RESUMING = [
    ("SampleWeight", LAYERS["SampleWeight"][0], {"n_classes": 3, "counts": "running", "resume": True}),
    ("LabelNoise", *LAYERS["LabelNoise"][:1], {**LAYERS["LabelNoise"][1], "resume": True}),
]


def net_of(layer, inputs, options, phase, in_place=False):
    """A net of the layer, whose tops have a gradient."""
    schema = load(layer, repr(options))
    tops = ["x1"] if in_place else [f"top {i}" for i, name in enumerate(schema.top_names()) if name[0] != "["]
    bottoms = [*inputs]
    layers = []
    if in_place:
        layers, bottoms[0] = [layer_text("Power", bottoms[:1], ["x1"])], "x1"
    caffe.set_random_seed(1)  # of blobs that are drawn
    weight = [1 + i for i in range(len(tops))]
    return build([*layers, python_layer(layer, bottoms, tops, options, weight)], inputs, phase)


def passes(net):
    """Tops, gradients of the bottoms and those of the blobs in three passes."""
    found = []
    for _ in range(3):
        for blob in (net.blobs[name] for name in net.outputs if net.blobs[name].count > 1):
            blob.diff[...] = np.cos(np.arange(blob.count)).reshape(blob.data.shape)
        one_pass(net)
        blobs = [*net.blobs.values(), *(each for blobs in net.params.values() for each in blobs)]
        found += [array.copy() for blob in blobs for array in (blob.data, blob.diff)]
    return found
