"""Nets of one loss, for the tests that hold for every loss."""

import caffe
import numpy as np

from caffe_pylayers.config.catalogue import SCHEMAS
from tests.caffe_nets import build, layer_text, python_layer, run


def net_of(
    case, inputs, weights=None, loss_weight=1, phase=caffe.TRAIN, options=None, top="loss", force_backward=True, **given
):
    """A net of the loss alone, with the bottoms in order and sample_weight last."""
    bottoms = dict(inputs)
    options = {**case.options, **given}
    if weights is not None:
        bottoms["sample_weight"] = weights
    schema = SCHEMAS[case.layer]
    more = list(bottoms)[sum(not name.startswith("[") for name in schema.takes) :]
    if more and "bottoms" in schema.model_fields:
        options["bottoms"] = more
    net = build([python_layer(case.layer, list(bottoms), [top], options, loss_weight)], bottoms, phase, force_backward)
    if case.vectors is not None:
        (blob,) = net.params[f"{top}_layer"]
        blob.data[...] = case.vectors(*blob.shape)
    return net


def twin_of(case, inputs, loss_weight):
    """The stock layer. Learnable factors of 1 ask for gradients: some abort where `force_backward` asks for all."""
    names = {name: f"{name}_in" if name in case.differentiable else name for name in inputs}
    layers = [
        *(
            layer_text("Scale", [names[name]], [name], "scale_param { axis: 0 num_axes: 0 }")
            for name in case.differentiable
        ),
        layer_text(case.twin, list(inputs), ["loss"], case.twin_params, loss_weight),
    ]
    return build(layers, {names[name]: value for name, value in inputs.items()}, force_backward=False)


def batch(case, seed=0, weighted=True):
    rng = np.random.RandomState(seed)
    inputs = {name: np.asarray(value, np.float32) for name, value in case.inputs(rng).items()}
    return inputs, rng.uniform(0.3, 2, 4).astype(np.float32) if weighted else None


def extreme(case):
    """A batch of the highest and the lowest scores, or of ones and zeros where they must be probabilities."""
    inputs, weights = batch(case)
    ends = (1, 0) if case.options.get("activation") == "none" else (1e4, -1e4)
    for name in case.differentiable:
        inputs[name].flat[::2], inputs[name].flat[1::2] = ends
    return inputs, weights


def weights_of(case, kind, seed=0):
    """None, one per sample, the same with a zero, or one per term."""
    rng = np.random.RandomState(seed + 100)
    weights = rng.uniform(0.3, 2, 4)
    if kind == "zero":
        weights[1] = 0
    if kind == "each":
        inputs, _ = batch(case, seed)
        shape = case.reference(**inputs, **case.options)[0].shape
        weights = rng.uniform(0.3, 2, shape)
        weights.flat[-1] = 0
    return None if kind == "none" else weights.astype(np.float32)


def iterations(net, inputs, names):
    """Loss and gradients of three iterations (in the second gradients are prepared, the third has other inputs).

    Then the gradients of a second backward, and of a third, for other labels and weights.
    """
    found = []
    for i in range(3):
        if i == 2:
            first = next(iter(inputs))
            net.blobs[first].data[...] = np.roll(inputs[first], 1, axis=0)
        gradients = run(net, *names)
        found += [net.blobs["loss"].data.copy(), *gradients]
    for change in (False, True):
        for name in net.blobs if change else ():
            if name not in (*names, "loss") or name == "sample_weight":
                net.blobs[name].data[...] = np.roll(net.blobs[name].data, 1, axis=0)
        net.backward()
        found += [net.blobs[name].diff.copy() for name in names]
    return found
