"""L2Normalize, beside what tests/features/test_every_feature.py shows of every layer on features."""

import numpy as np

from caffe_pylayers import ConfigError
from tests.caffe_nets import build, layer_text, python_layer, run
from tests.features.cases import l2_normalize
from tests.losses.references import numeric_gradient
from tests.refusals import refused

X = np.random.RandomState(0).randn(2, 3, 2, 4)
SLOPE = np.random.RandomState(1).randn(*X.shape)


def normalize(options, x=X):
    """x through L2Normalize, times SLOPE, whose sum is the loss: so the gradient by y is SLOPE."""
    layers = [
        python_layer("L2Normalize", ["x"], ["y"], options),
        layer_text("Eltwise", ["y", "slope"], ["product"], "eltwise_param { operation: PROD }"),
        layer_text("Reduction", ["product"], ["loss"], loss_weight=1),
    ]
    return build(layers, {"x": x, "slope": SLOPE})


def test_zero_vectors_give_zeros():
    x = X.copy()
    x[0, :, 1, 2] = 0
    net = normalize({"scale": 2.0}, x)
    (gradient,) = run(net, "x")
    for array in (net.blobs["y"].data, gradient):
        assert np.isfinite(array).all()
        assert not array[0, :, 1, 2].any()


def test_the_scale_starts_at_the_option_and_may_be_any_number():
    net = normalize({"scale": 5})
    (blob,) = net.params["y_layer"]
    np.testing.assert_array_equal(blob.data, [5, 5, 5])
    scale = blob.data[...] = np.array([3.0, -1.0, 0.0])
    (gradient,) = run(net, "x")
    expected = numeric_gradient(lambda s: np.sum(SLOPE * l2_normalize(X, scale=2, blobs=[s])), scale)
    np.testing.assert_allclose(blob.diff, expected, rtol=1e-4)
    expected = numeric_gradient(lambda x: np.sum(SLOPE * l2_normalize(x, scale=2, blobs=[scale])), X)
    np.testing.assert_allclose(gradient, expected, atol=5e-6)


def test_an_in_place_neighbour_above_changes_nothing():
    nets = []
    for top in ("x1", "y"):
        layers = [
            layer_text("Power", ["x"], ["x1"]),
            python_layer("L2Normalize", ["x1"], [top], {"scale": 2}),
            layer_text("ReLU", [top], [top]),
            layer_text("Reduction", [top], ["loss"], loss_weight=1),
        ]
        nets.append(build(layers, {"x": X}))
    expected = numeric_gradient(lambda x: np.maximum(l2_normalize(x, scale=2, blobs=[[2, 2, 2]]), 0).sum(), X)
    for net in nets:
        np.testing.assert_allclose(run(net, "x")[0], expected, atol=5e-6)


def test_an_axis_that_x_lacks_is_an_error():
    with refused(ConfigError, "axis 4", "(2, 3, 2, 4)", layer="L2Normalize"):
        normalize({"axis": 4})


def test_it_takes_one_bottom():
    with refused(ConfigError, "2 bottoms", "1: x", layer="L2Normalize"):
        build([python_layer("L2Normalize", ["x", "z"], ["y"])], {"x": X, "z": X})
