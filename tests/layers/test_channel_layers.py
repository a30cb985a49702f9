"""Permute, ShuffleChannel and Axpy, beside what tests/features/test_every_feature.py shows of every layer on features."""

import numpy as np
import pytest

from caffe_pylayers import ConfigError
from tests.caffe_nets import build, layer_text, python_layer, run
from tests.refusals import refused

RNG = np.random.RandomState(0)
X, Y, SCALE = RNG.randn(2, 6, 3, 4), RNG.randn(2, 6, 3, 4), RNG.randn(2, 6)


def test_axpy_is_what_stock_scale_and_eltwise_give():
    inputs = {"scale": SCALE, "x": X, "y": Y}
    square = [
        layer_text("Power", ["sum"], ["squares"], "power_param { power: 2 }"),
        layer_text("Reduction", ["squares"], ["loss"], loss_weight=1),
    ]
    stock = [
        layer_text("Scale", ["x", "scale"], ["scaled"], "scale_param { axis: 0 }"),
        layer_text("Eltwise", ["scaled", "y"], ["sum"]),
    ]
    nets = [build([*layers, *square], inputs) for layers in ([python_layer("Axpy", list(inputs), ["sum"])], stock)]
    for one, other in zip(*(run(net, *inputs) for net in nets)):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("scale", "x", "y", "found"),
    [
        ((2, 5), (2, 6, 3), (2, 6, 3), "(2, 5)"),
        ((2, 6, 3), (2, 6, 3), (2, 6, 3), "(2, 6, 3)"),
        ((2,), (2,), (2,), "(2,)"),
        ((2, 6), (2, 6, 3), (2, 6, 4), "(2, 6, 4)"),
    ],
)
def test_shapes_that_do_not_fit(scale, x, y, found):
    shapes = {"scale": scale, "x": x, "y": y}
    with refused(ConfigError, found, remedy="expected", layer="Axpy"):
        build([python_layer("Axpy", list(shapes), ["sum"])], {name: np.zeros(shape) for name, shape in shapes.items()})


@pytest.mark.parametrize(("shape", "group"), [((2, 6), 4), ((2, 3, 2), 6), ((6,), 2)])
def test_groups_must_divide_the_channels(shape, group):
    with refused(ConfigError, str(shape), f"'group' is {group}", layer="ShuffleChannel", option="group"):
        build([python_layer("ShuffleChannel", ["x"], ["y"], {"group": group})], {"x": np.zeros(shape)})


@pytest.mark.parametrize("order", [[0, 2, 2], [], [0, -1], None])
def test_orders_that_are_none(order):
    with refused(ConfigError, layer="Permute", option="order"):
        build([python_layer("Permute", ["x"], ["y"], {"order": order})], {"x": X})


def test_an_order_of_more_axes_than_there_are():
    with refused(ConfigError, "axis 4", str(X.shape), remedy="0 to 3", layer="Permute", option="order"):
        build([python_layer("Permute", ["x"], ["y"], {"order": [0, 4]})], {"x": X})
