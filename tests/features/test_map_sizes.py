"""Interp against torch, and Upsample behind stock Pooling, beside what test_every_feature.py shows of both."""

import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from tests.caffe_nets import build, layer_text, python_layer
from tests.features.map_size_cases import upsample
from tests.features.pooling_cases import pooling_and_mask
from tests.refusals import refused

X = np.arange(12.0).reshape(1, 1, 3, 4) ** 1.5

#: What torch 2.13 printed for x = torch.arange(12.).reshape(1, 1, 3, 4) ** 1.5 with
#: y = torch.nn.functional.interpolate(x, size=(5, 3), mode="bilinear", align_corners=True), and for the gradient by x after
#: y.backward(torch.arange(15.).reshape(1, 1, 5, 3)).
TORCH_Y = [
    [0.0, 1.9142135381698608, 5.196152210235596],
    [4.0, 7.426426410675049, 11.858205795288086],
    [8.0, 12.938638687133789, 18.520259857177734],
    [15.313708305358887, 21.12501335144043, 27.50156593322754],
    [22.627416610717773, 29.31138801574707, 36.482872009277344],
]
TORCH_GRADIENT = [[1.5, 1.5, 1.5, 4.5], [12.0, 7.0, 7.0, 16.0], [16.5, 9.0, 9.0, 19.5]]


def interp(options, x=X, like=None):
    inputs = {"x": x} if like is None else {"x": x, "like": np.zeros(like)}
    return build([python_layer("Interp", list(inputs), ["y"], options)], inputs)


def test_interp_gives_what_torch_does():
    net = interp({"height": 5, "width": 3})
    net.forward()
    net.blobs["y"].diff[...] = np.arange(15).reshape(1, 1, 5, 3)
    net._backward(len(net.layers) - 1, 0)
    np.testing.assert_allclose(net.blobs["y"].data[0, 0], TORCH_Y, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(net.blobs["x"].diff[0, 0], TORCH_GRADIENT, rtol=1e-6)


@pytest.mark.parametrize(
    "options, size",
    [
        ({"zoom_factor": 8}, (513, 505)),
        ({"shrink_factor": 8}, (9, 8)),
        ({"shrink_factor": 4, "zoom_factor": 3}, (49, 46)),
        ({"zoom_factor": 8, "pad_beg": 0, "pad_end": -1}, (505, 497)),
        ({"shrink_factor": 2, "pad_beg": -3}, (31, 31)),
        ({"height": 321, "width": 500}, (321, 500)),
    ],
)
def test_the_size_is_that_of_the_fork(options, size):
    assert interp(options, np.zeros((1, 1, 65, 64))).blobs["y"].data.shape == (1, 1, *size)


def test_a_map_as_large_as_it_was_stays_as_it_is():
    x = np.random.RandomState(0).randn(2, 3, 7, 5)
    net = interp({"height": 7, "width": 5}, x)
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"].data, x.astype(np.float32))


@pytest.mark.parametrize(
    "options, like, words",
    [
        ({}, None, ["nothing gives the size of y"]),
        ({"zoom_factor": 2}, (1, 1, 5, 5), ["two give the size of y"]),
        ({"height": 2}, None, ["'height' is given without 'width'"]),
        ({"height": 2, "width": 2, "shrink_factor": 2}, None, ["'height' and 'shrink_factor' are both given"]),
        ({"zoom_factor": 2, "pad_beg": -2, "pad_end": -1}, None, ["(3, 4)", "2 rows", "1 at the end"]),
        ({}, (5, 5), ["like has shape (5, 5)"]),
        ({"zoom_factor": 2, "pad_beg": 1}, None, ["'pad_beg' must be an integer of at most 0"]),
    ],
)
def test_interp_refuses_what_does_not_fit(options, like, words):
    with refused(ConfigError, *words, layer="Interp"):
        interp(options, like=like)


# --------------------------------------------------------------------------------------------------------- Upsample


def pool_and_upsample(x, pooling, options):
    layers = [
        layer_text("Pooling", ["x"], ["pool", "mask"], f"pooling_param {{ pool: MAX {pooling} }}"),
        python_layer("Upsample", ["pool", "mask"], ["y"], options),
    ]
    return build(layers, {"x": x})


@pytest.mark.parametrize(
    "size, options",
    [
        ((6, 8), {}),
        ((6, 8), {"scale": 2}),
        ((5, 7), {"upsample_h": 5, "upsample_w": 7}),
        ((5, 7), {"scale": 2, "pad_out_h": True, "pad_out_w": True}),
    ],
)
def test_it_puts_back_what_stock_pooling_took(size, options):
    x = np.random.RandomState(0).randn(2, 3, *size)
    net = pool_and_upsample(x, "kernel_size: 2 stride: 2", options)
    net.forward()
    expected = upsample(*pooling_and_mask(x, kernel_size=2, stride=2), **options)
    assert expected.shape == x.shape
    np.testing.assert_allclose(net.blobs["y"].data, expected, rtol=1e-6)
    net.blobs["y"].diff[...] = 1
    net.backward()
    np.testing.assert_array_equal(net.blobs["x"].diff, expected != 0)


def test_of_several_numbers_with_one_place_the_last_counts(on_device):
    """As in SegNet; each of them gets the gradient of the place."""
    inputs = {
        "x": np.arange(1, 9).reshape(1, 2, 2, 2),
        "mask": np.array([[5, 5, 0, 5], [1, 0, 0, 1]]).reshape(1, 2, 2, 2),
    }
    net = build([python_layer("Upsample", list(inputs), ["y"])], inputs)
    expected = np.zeros((2, 16))
    expected[0, [0, 5]], expected[1, [0, 1]] = [3, 4], [7, 8]
    for run_on in (lambda call: call(), on_device):
        net.blobs["y"].data[...] = np.nan
        run_on(net.forward)
        np.testing.assert_array_equal(net.blobs["y"].data.reshape(2, 16), expected)
        net.blobs["y"].diff[...] = np.arange(32).reshape(1, 2, 4, 4)
        net._backward(len(net.layers) - 1, 0)
        assert net.blobs["x"].diff.ravel().tolist() == [5, 5, 0, 5, 17, 16, 16, 17]


def test_a_mask_outside_of_y_is_an_error_whose_remedy_helps(on_device):
    x = np.ones((1, 2, 5, 7))
    x[0, 1, 4, 6] = 2  # the last place
    net = pool_and_upsample(x, "kernel_size: 2 stride: 2", {"pad_out_h": True, "pad_out_w": False})
    net.forward()
    net = pool_and_upsample(x, "kernel_size: 2 stride: 2", {"upsample_h": 4, "upsample_w": 7})
    for run_on in (lambda call: call(), on_device):
        with refused(
            DataError,
            "mask 28 at index (0, 0, 2, 0)",
            "0 to 27",
            remedy="'upsample_h' and 'upsample_w'",
            layer="Upsample",
        ):
            run_on(net.forward)
    pool_and_upsample(x, "kernel_size: 2 stride: 2", {"upsample_h": 5, "upsample_w": 7}).forward()


@pytest.mark.parametrize("bad", [-1, 0.5, np.nan, np.inf, 16])
def test_a_mask_that_is_no_place_is_an_error(bad):
    inputs = {"x": np.zeros((1, 1, 2, 2)), "mask": np.array([0, 1, bad, bad]).reshape(1, 1, 2, 2)}
    net = build([python_layer("Upsample", list(inputs), ["y"])], inputs)
    with refused(DataError, f"mask {bad:g} at index (0, 0, 1, 0)", "0 to 15", layer="Upsample"):
        net.forward()
    with refused(DataError, f"mask {bad:g}", layer="Upsample"):
        net.backward()


@pytest.mark.parametrize(
    "options, shape, words",
    [
        ({}, (1, 1, 2, 3), ["mask (1, 1, 2, 3)"]),
        ({"upsample_h": 4}, (1, 1, 2, 2), ["'upsample_h' is given without 'upsample_w'"]),
        ({"scale_w": 4}, (1, 1, 2, 2), ["'scale_w' is given without 'scale_h'"]),
        ({"scale": 2, "scale_h": 2, "scale_w": 2}, (1, 1, 2, 2), ["'scale' and 'scale_h' are both given"]),
        ({"scale": 3, "pad_out_w": True}, (1, 1, 2, 2), ["'pad_out_w' is true", "the scale is 3"]),
    ],
)
def test_upsample_refuses_what_does_not_fit(options, shape, words):
    with refused(ConfigError, *words, layer="Upsample"):
        build(
            [python_layer("Upsample", ["x", "mask"], ["y"], options)],
            {"x": np.zeros((1, 1, 2, 2)), "mask": np.zeros(shape)},
        )


def test_the_scale_of_a_fork_counts_less_than_the_size(caplog):
    """As in SegNet, whose nets give both."""
    inputs = {"x": np.zeros((1, 1, 2, 2)), "mask": np.zeros((1, 1, 2, 2))}
    net = build(
        [python_layer("Upsample", ["x", "mask"], ["y"], {"scale": 2, "upsample_h": 5, "upsample_w": 7})], inputs
    )
    assert net.blobs["y"].data.shape == (1, 1, 5, 7)
    (message,) = caplog.messages
    assert "'scale' has no effect" in message and "'upsample_h' and 'upsample_w' are given" in message
