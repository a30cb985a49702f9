import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError
from tests.caffe_nets import build, layer_text, python_layer, run
from tests.losses.references import numeric_gradient
from tests.refusals import refused

X = np.random.RandomState(0).randn(2, 3, 2, 4)
SLOPE = np.random.RandomState(1).randn(*X.shape)

OPTIONS = [
    {},
    {"across_spatial": True},
    {"axis": -1},
    {"axis": 2, "across_spatial": True},
    {"scale": 3.0},
    {"scale": 2.0, "across_spatial": True},
    {"eps": 0.5},
]


def plain_loop(x, axis=1, across_spatial=False, eps=1e-10, scale=None):
    x = np.asarray(x, np.float64)
    axis %= x.ndim
    y = np.zeros_like(x)
    groups = x.shape[:axis] if across_spatial else x.shape[:axis] + x.shape[axis + 1 :]
    for index in np.ndindex(*groups):
        place = index if across_spatial else (*index[:axis], slice(None), *index[axis:])
        vector = x[place]
        if np.any(vector):
            y[place] = vector / np.sqrt(np.sum(vector**2) + eps)
    if scale is not None:
        shape = [1] * x.ndim
        shape[axis] = -1
        y = y * np.reshape(scale, shape)
    return y


def normalize(options, x=X, in_place=False, phase=caffe.TRAIN):
    """x through L2Normalize, times SLOPE, whose sum is the loss: so the gradient by y is SLOPE."""
    name = "x1" if in_place else "y"
    layers = [
        layer_text("Power", ["x"], ["x1"]),  # a net's input cannot be worked on in place
        python_layer("L2Normalize", ["x1"], [name], options),
        layer_text("Eltwise", [name, "slope"], ["product"], "eltwise_param { operation: PROD }"),
        layer_text("Reduction", ["product"], ["loss"], loss_weight=1),
    ]
    return build(layers, {"x": x, "slope": SLOPE}, phase), name


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equals_the_plain_loop_and_its_finite_differences(options, phase, in_place):
    net, name = normalize(options, in_place=in_place, phase=phase)
    for _ in range(2):
        (got,) = run(net, "x")
    np.testing.assert_allclose(net.blobs[name].data, plain_loop(X, **options), rtol=1e-5, atol=1e-6)
    expected = numeric_gradient(lambda x: np.sum(SLOPE * plain_loop(x, **options)), X)
    np.testing.assert_allclose(got, expected, atol=5e-6)


@pytest.mark.parametrize("in_place", [False, True])
def test_backward_without_a_forward_is_that_at_x_as_it_is(in_place):
    expected = run(normalize({"scale": 3.0}, in_place=in_place)[0], "x")[0]
    net, _ = normalize({"scale": 3.0}, in_place=in_place)
    net.blobs["x1"].data[...] = X
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, expected, rtol=1e-6)


def test_zero_vectors_give_zeros():
    x = X.copy()
    x[0, :, 1, 2] = 0
    net, name = normalize({"scale": 2.0}, x)
    (gradient,) = run(net, "x")
    for array in (net.blobs[name].data, gradient):
        assert np.isfinite(array).all()
        assert not array[0, :, 1, 2].any()


def test_the_scale_is_learned():
    scale = np.array([3.0, -1.0, 0.0])
    for in_place in (False, True):
        net, name = normalize({"scale": 5}, in_place=in_place)
        (blob,) = net.params[f"{name}_layer"]
        np.testing.assert_array_equal(blob.data, [5, 5, 5])
        blob.data[...] = scale
        (gradient,) = run(net, "x")
        expected = numeric_gradient(lambda s: np.sum(SLOPE * plain_loop(X, scale=s)), scale)
        np.testing.assert_allclose(blob.diff, expected, rtol=1e-4)
        expected = numeric_gradient(lambda x: np.sum(SLOPE * plain_loop(x, scale=scale)), X)
        np.testing.assert_allclose(gradient, expected, atol=5e-6)


def test_gradients_of_the_scale_add_up_over_iter_size():
    net, name = normalize({"scale": 1})
    (blob,) = net.params[f"{name}_layer"]
    run(net)
    once = blob.diff.copy()
    run(net)
    np.testing.assert_allclose(blob.diff, 2 * once, rtol=1e-5)


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
    expected = numeric_gradient(lambda x: np.maximum(plain_loop(x, scale=2), 0).sum(), X)
    for net in nets:
        np.testing.assert_allclose(run(net, "x")[0], expected, atol=5e-6)


def test_an_axis_that_x_lacks_is_an_error():
    with refused(ConfigError, "axis 4", "(2, 3, 2, 4)", layer="L2Normalize"):
        normalize({"axis": 4})


def test_it_takes_one_bottom():
    with refused(ConfigError, "2 bottoms", "1: x", layer="L2Normalize"):
        build([python_layer("L2Normalize", ["x", "z"], ["y"])], {"x": X, "z": X})


def test_shapes_may_change():
    net, name = normalize({})
    for shape in [(4, 3, 2, 4), (1, 5, 1, 1)]:
        for blob in ("x", "slope"):
            net.blobs[blob].reshape(*shape)
            net.blobs[blob].data[...] = 1
        net.forward()
        np.testing.assert_allclose(net.blobs[name].data, shape[1] ** -0.5, rtol=1e-6)
