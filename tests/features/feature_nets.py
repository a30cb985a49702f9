"""Nets of one layer on features, whose loss is the sum of its first top times `slope`: so the gradient by the top is `slope`."""

import caffe
import numpy as np

from tests.caffe_nets import build, layer_text, python_layer, run


def batch(case, seed=0, kind="inputs"):
    """The bottoms of a case, as Caffe holds them."""
    given = getattr(case, kind)(np.random.RandomState(seed))
    return {name: np.asarray(array, np.float32) for name, array in given.items()}


def blobs_of(case):
    return [np.asarray(array, np.float32) for array in case.blobs(np.random.RandomState(7))]


def plain(case, inputs, blobs=None):
    """The first top, by the plain loop in float64."""
    blobs = blobs_of(case) if blobs is None else blobs
    arrays = {name: np.asarray(array, np.float64) for name, array in inputs.items()}
    more = {"blobs": [np.asarray(array, np.float64) for array in blobs]} if len(blobs) else {}
    return case.reference(**arrays, **case.options, **more)


def alone(case, inputs, top="top"):
    """A net of the layer alone: most stock layers end the process where there are no samples, and copy what is large."""
    net = build([python_layer(case.layer, list(inputs), [top], dict(case.options))], inputs)
    for blob, values in zip(net.params.get(f"{top}_layer", []), blobs_of(case)):
        if tuple(blob.shape) == values.shape:  # else they are for bottoms of another size
            blob.data[...] = values
    return net


class FeatureNet:
    """A net of the layer alone, between its bottoms and the product with `slope`.

    learned: the bottoms for whose gradient it is asked, all by default; the others get none.
    """

    def __init__(self, case, inputs, phase=caffe.TRAIN, in_place=False, learned=None):
        if phase == caffe.TEST and case.in_test is not None:
            case = case._replace(reference=case.in_test)
        self.case = case
        self.asked = list(inputs) if learned is None else list(learned)
        shape = plain(case, inputs).shape
        top = next(iter(inputs)) if in_place else "top"
        layers = [  # a net's input cannot be worked on in place
            layer_text("Power", [f"{name}_in"], [name]) for name in inputs if learned is None or name not in learned
        ]
        layers += [  # a factor that is learned asks for a gradient
            layer_text("Scale", [f"{name}_in"], [name], "scale_param { axis: 0 num_axes: 0 }") for name in learned or ()
        ]
        layers += [
            python_layer(case.layer, list(inputs), [top], dict(case.options)),
            layer_text("Eltwise", [top, "slope"], ["product"], "eltwise_param { operation: PROD }"),
            layer_text("Reduction", ["product"], ["loss"], loss_weight=1),
        ]
        shapes = {**{f"{name}_in": array.shape for name, array in inputs.items()}, "slope": shape}
        self.net = build(layers, {name: np.zeros(size) for name, size in shapes.items()}, phase, learned is None)
        self.top = self.net.blobs[top]
        self.blobs = self.net.params.get(f"{top}_layer", [])
        for blob, values in zip(self.blobs, blobs_of(case)):
            blob.data[...] = values
        self.feed(inputs)

    @property
    def slope(self):
        return self.net.blobs["slope"].data

    def feed(self, inputs, slope=None):
        """Other bottoms, which may have other shapes. slope: random by default."""
        if slope is None:
            slope = np.random.RandomState(9).randn(*plain(self.case, inputs).shape)
        for name, array in [*((f"{name}_in", array) for name, array in inputs.items()), ("slope", slope)]:
            self.net.blobs[name].reshape(*array.shape)
            self.net.blobs[name].data[...] = array

    def run(self):
        """The first top, and the gradients of the bottoms that are asked for by name."""
        gradients = run(self.net, *self.asked)
        return self.top.data.copy(), dict(zip(self.asked, gradients))
