"""Normalize, beside what tests/features/test_every_feature.py shows of every layer on features."""

import os

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from caffe_pylayers import ConfigError
from tests.caffe_nets import build, layer_text, net_text, python_layer, run, write
from tests.refusals import refused

X = np.random.RandomState(0).randn(2, 3, 2, 4)


def net_of(layer, options, x=X):
    return build(
        [python_layer(layer, ["x"], ["y"], options), layer_text("Reduction", ["y"], ["loss"], loss_weight=1)], {"x": x}
    )


@pytest.mark.parametrize(("channel_shared", "shape"), [(True, ()), (False, (3,))])
def test_weights_of_ssd_are_loaded_by_name(channel_shared, shape, tmp_path):
    file = caffe_pb2.NetParameter()
    layer = file.layer.add(name="y_layer", type="Normalize")
    values = np.arange(2.0, 2 + int(np.prod(shape)))
    layer.blobs.add(data=values).shape.dim.extend(shape)
    (tmp_path / "ssd.caffemodel").write_bytes(file.SerializeToString())
    net = net_of("Normalize", {"across_spatial": False, "channel_shared": channel_shared})
    net.copy_from(str(tmp_path / "ssd.caffemodel"))
    (blob,) = net.params["y_layer"]
    assert tuple(blob.shape) == shape
    np.testing.assert_array_equal(blob.data.ravel(), values)
    run(net)
    expected = np.reshape(values, (-1, 1, 1)) * X / np.sqrt((X**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(net.blobs["y"].data, expected, rtol=1e-5)


@pytest.mark.parametrize("across_spatial", [False, True])
def test_it_is_l2_normalize_with_a_scale_for_all_that_is_not_zero(across_spatial):
    options = {"across_spatial": across_spatial, "channel_shared": False, "scale_filler": {"value": 3}}
    nets = [net_of("Normalize", options), net_of("L2Normalize", {"across_spatial": across_spatial, "scale": 3})]
    (one,), (other,) = (run(net, "x") for net in nets)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(*(net.params["y_layer"][0].diff for net in nets))


def test_a_zero_vector_has_the_gradient_of_the_formula():
    net = net_of("Normalize", {"eps": 0.01, "across_spatial": False, "scale_filler": {"value": 2}}, np.zeros_like(X))
    np.testing.assert_allclose(run(net, "x")[0], 2 / 0.1, rtol=1e-6)
    assert not net.blobs["y"].data.any()


def test_the_scale_is_trained_by_caffe_and_goes_on_from_a_snapshot(tmp_path):
    layers = [
        layer_text(
            "DummyData",
            [],
            ["x"],
            'dummy_data_param { shape { dim: 4 dim: 3 } data_filler { type: "uniform" min: 1 max: 2 } }',
        ),
        layer_text(
            "DummyData", [], ["target"], "dummy_data_param { shape { dim: 4 dim: 3 } data_filler { value: 2 } }"
        ),
        python_layer("Normalize", ["x"], ["y"], {"channel_shared": False}),
        layer_text("EuclideanLoss", ["y", "target"], ["loss"]),
    ]
    path = write(net_text(layers, {}, force_backward=False), tmp_path)
    text = (
        f'net: "{path}"  base_lr: 0.5  momentum: 0.9  lr_policy: "fixed"  iter_size: 2  snapshot_prefix: "{tmp_path}/s"'
    )

    def solver():
        return caffe.SGDSolver(write(text, tmp_path, "solver.prototxt"))

    def scale(made):
        return made.net.params["y_layer"][0].data.copy()

    made = solver()
    np.testing.assert_array_equal(scale(made), 1)
    made.step(40)
    assert (scale(made) > 3).all()  # at 2 sqrt(3) the error is least
    made.snapshot()
    again = solver()
    again.restore(os.path.join(str(tmp_path), "s_iter_40.solverstate"))
    np.testing.assert_array_equal(scale(again), scale(made))


def test_an_x_without_channels_is_an_error():
    with refused(ConfigError, "(2,)", remedy="(N, C, ...)", layer="Normalize"):
        net_of("Normalize", {}, X[:, 0, 0, 0])


@pytest.mark.parametrize("size", [1e19, 1e30])
@pytest.mark.parametrize(
    ("layer", "options"), [("L2Normalize", {"eps": 0.5}), ("Normalize", {"across_spatial": False, "eps": 0.5})]
)
def test_a_vector_whose_squares_float32_cannot_hold_is_a_unit_vector_all_the_same(layer, options, size):
    large, small = np.array([3.0, 0, -4]), np.array([0.5, 0.25, 2])
    net = net_of(layer, options, np.stack([large * size, small])[:, :, None, None])
    (gradient,) = run(net, "x")
    for x, eps, y, slope in zip((large, small), (0, 0.5), net.blobs["y"].data[:, :, 0, 0], gradient[:, :, 0, 0]):
        norm = np.sqrt((x**2).sum() + eps)
        np.testing.assert_allclose(y, x / norm, rtol=1e-6)
        expected = (1 - x.sum() / norm * x / norm) / norm
        np.testing.assert_allclose(slope, expected / (1 if eps else size), rtol=1e-5)
