"""PoolingND against stock Pooling, and ROIPooling, beside what test_every_feature.py shows of both."""

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from tests.caffe_nets import build, layer_text, net_text, python_layer, write
from tests.features.pooling_cases import pooling_and_mask
from tests.refusals import refused


def pooled(layer, x, slope):
    """y and the gradient by x of sum(slope * y); and the mask, where there is one."""
    net = build([layer], {"x": x})
    net.forward()
    net.blobs["y"].diff[...] = slope
    net._backward(len(net.layers) - 1, 0)
    mask = net.blobs["mask"].data.copy() if "mask" in net.blobs else None
    return net.blobs["y"].data.copy(), net.blobs["x"].diff.copy(), mask


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
@pytest.mark.parametrize(
    "kernel, stride, pad", [(2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 1, 1), (5, 3, 2), (2, 3, 1), (1, 1, 0), (4, 1, 3)]
)
@pytest.mark.parametrize("size", [(7, 6), (5, 9)])
def test_two_axes_are_pooled_as_by_stock_pooling(pool, kernel, stride, pad, size):
    rng = np.random.RandomState(0)
    x = rng.randint(-3, 4, (2, 3, *size))  # so that there are ties
    options = {"pool": pool, "kernel_size": kernel, "stride": stride, "pad": pad}
    tops = ["y", "mask"] if pool == "MAX" else ["y"]
    params = " ".join(f"{name}: {value}" for name, value in options.items())
    stock = layer_text("Pooling", ["x"], tops, f"pooling_param {{ {params} }}")
    shape = build([stock], {"x": x}).blobs["y"].data.shape
    slope = rng.randn(*shape)
    for ours, theirs in zip(pooled(python_layer("PoolingND", ["x"], tops, options), x, slope), pooled(stock, x, slope)):
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "stock, ours",
    [
        (
            "kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 2",
            {"kernel_h": 3, "kernel_w": 2, "stride_h": 1, "stride_w": 2},
        ),
        ("kernel_size: 3 pad_h: 2 pad_w: 0 stride: 2", {"kernel_size": [3], "pad_h": 2, "pad_w": 0, "stride": 2}),
    ],
)
def test_two_axes_may_have_options_of_their_own(stock, ours):
    x = np.random.RandomState(0).randn(2, 3, 7, 8)
    stock = layer_text("Pooling", ["x"], ["y"], f"pooling_param {{ pool: AVE {stock} }}")
    shape = build([stock], {"x": x}).blobs["y"].data.shape
    found = pooled(python_layer("PoolingND", ["x"], ["y"], {"pool": "AVE", **ours}), x, np.ones(shape))
    for one, other in zip(found[:2], pooled(stock, x, np.ones(shape))):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"kernel_size": [2, 3, 2], "stride": [2, 1, 1], "pad": [1, 1, 0]}, {"kernel_size": 2, "kstride": 2}]
)
def test_the_mask_counts_over_all_pooled_axes(options):
    x = np.random.RandomState(0).randint(0, 4, (2, 2, 4, 5, 3))
    net = build([python_layer("PoolingND", ["x"], ["y", "mask"], options)], {"x": x})
    net.forward()
    for name, expected in zip(("y", "mask"), pooling_and_mask(x, **options)):
        np.testing.assert_array_equal(net.blobs[name].data, expected)


def test_the_stride_may_pass_over_the_end():
    """Stock Pooling has a last window there that is behind x, with -FLT_MAX in it."""
    net = build(
        [python_layer("PoolingND", ["x"], ["y"], {"kernel_size": 1, "stride": 3})],
        {"x": np.arange(6).reshape(1, 1, 2, 3)},
    )
    net.forward()
    assert net.blobs["y"].data.tolist() == [[[[0]]]]


def test_nan_and_infinity_stay_what_they_are():
    x = np.zeros((1, 3, 4))
    x[0, 0], x[0, 1, 1], x[0, 2, 2] = -np.inf, np.nan, np.inf
    y, gradient, mask = pooled(python_layer("PoolingND", ["x"], ["y", "mask"], {"kernel_size": 2, "stride": 2}), x, 1)
    np.testing.assert_array_equal(y, [[[-np.inf, -np.inf], [np.nan, 0], [0, np.inf]]])
    assert mask[0, 0].tolist() == [0, 2]
    np.testing.assert_array_equal(gradient[0, 0], [1, 0, 1, 0])


@pytest.mark.parametrize("window", [256, 257, 300])
def test_windows_may_be_large(window):
    """Their elements have numbers of another type above 256."""
    x = np.arange(400.0).reshape(1, 1, 400)  # the last element of each window is the largest
    y, gradient, mask = pooled(python_layer("PoolingND", ["x"], ["y", "mask"], {"kernel_size": window}), x, 1)
    expected = np.arange(window - 1, 400)
    np.testing.assert_array_equal(y[0, 0], expected)
    np.testing.assert_array_equal(mask[0, 0], expected)
    np.testing.assert_array_equal(gradient[0, 0], np.arange(400) >= window - 1)


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
@pytest.mark.parametrize("options", [{"kernel_size": 8, "pad": 7}, {"kernel_size": 3, "stride": 3}])
def test_more_samples_than_are_worked_on_at_a_time(pool, options):
    """With more numbers after pooling than before it, and fewer."""
    few = np.random.RandomState(0).randn(100, 1, 8)
    layer = python_layer("PoolingND", ["x"], ["y"], {"pool": pool, **options})
    for one, other in zip(pooled(layer, np.tile(few, (400, 1, 1)), 1)[:2], pooled(layer, few, 1)[:2]):
        np.testing.assert_array_equal(one, np.tile(other, (400, 1, 1)))


def test_a_mask_counts_beyond_256():
    x = np.arange(800.0).reshape(1, 1, 800)
    _, _, mask = pooled(python_layer("PoolingND", ["x"], ["y", "mask"], {"kernel_size": 200, "kstride": 4}), x, 1)
    np.testing.assert_array_equal(mask[0, 0], np.arange(796, 800))


@pytest.mark.parametrize(
    "options, shape, words, option",
    [
        ({"kernel_size": 2}, (2, 3), ["'axis' is 1", "(2, 3)"], "axis"),
        ({"kernel_size": 2, "axis": -1}, (2, 3, 4), ["'axis' is -1"], "axis"),
        ({"kernel_size": 2, "axis": 5}, (2, 3, 4), ["'axis' is 5"], "axis"),
        ({"kernel_size": [2, 2]}, (2, 3, 4), ["'kernel_size' has 2 numbers", "1 axis"], "kernel_size"),
        ({"kernel_h": 2, "kernel_w": 2}, (2, 3, 4), ["'kernel_size' has 2 numbers"], "kernel_size"),
        ({"kernel_size": 2, "stride": [1, 2, 3]}, (2, 3, 4, 4), ["'stride' has 3 numbers", "2 axes"], "stride"),
        ({"kernel_size": 2, "pad": 2}, (2, 3, 4), ["padding of 2", "window of 2"], "pad"),
        ({"kernel_size": 2, "pad": 1, "kstride": 2}, (2, 3, 4), ["padding of 1", "'kstride' 2"], "pad"),
        ({"kernel_size": 6}, (2, 3, 4), ["window of 6", "axis of 4"], ""),
        ({"global_pooling": True}, (2, 3, 4, 0), ["axis of 0"], ""),
    ],
)
def test_what_does_not_fit_is_refused(options, shape, words, option):
    with refused(ConfigError, *words, layer="PoolingND", option=option):
        build([python_layer("PoolingND", ["x"], ["y"], options)], {"x": np.zeros(shape)})


@pytest.mark.parametrize(
    "layer, inputs, tops, options, remedy",
    [
        (
            "PoolingND",
            {"x": (1, 1, 2, 2896, 2897)},
            ["y", "mask"],
            {"kernel_size": [1, 9, 9], "stride": 9},
            "remove the second top",
        ),
        (
            "Upsample",
            {"x": (1, 1, 2, 2), "mask": (1, 1, 2, 2)},
            ["y"],
            {"upsample_h": 4096, "upsample_w": 4097},
            "make y smaller",
        ),
    ],
)
def test_places_that_float32_cannot_tell_apart_are_refused(layer, inputs, tops, options, remedy, tmp_path):
    """From 2^24 on, a mask would silently have the number of a neighbour. Nothing is allocated here."""
    with refused(ConfigError, "16777216", remedy=remedy, layer=layer):
        caffe.Net(write(net_text([python_layer(layer, list(inputs), tops, options)], inputs), tmp_path), caffe.TRAIN)
    if layer == "PoolingND":  # the remedy
        caffe.Net(write(net_text([python_layer(layer, ["x"], ["y"], options)], inputs), tmp_path), caffe.TRAIN)


@pytest.mark.parametrize(
    "options, tops, words",
    [
        ({}, 1, ["size of the window is missing"]),
        ({"global_pooling": True, "stride": 2}, 1, ["'global_pooling' and 'stride' are both given"]),
        ({"global_pooling": True, "kernel_h": 2, "kernel_w": 2}, 1, ["'global_pooling' and 'kernel_h' are both given"]),
        ({"kernel_size": 2, "kernel_h": 2, "kernel_w": 2}, 1, ["'kernel_size' and 'kernel_h' are both given"]),
        ({"kernel_h": 2}, 1, ["'kernel_h' is given without 'kernel_w'"]),
        ({"kernel_size": 2, "stride": 1, "stride_w": 2, "stride_h": 2}, 1, ["'stride' and 'stride_h' are both given"]),
        ({"kernel_size": 2, "pool": "AVE"}, 2, ["no mask"]),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, tops, words):
    with refused(ConfigError, *words, layer="PoolingND"):
        build([python_layer("PoolingND", ["x"], ["y", "mask"][:tops], options)], {"x": np.zeros((1, 1, 4, 4))})


# ------------------------------------------------------------------------------------------------------- ROIPooling

POOLED = {"pooled_h": 2, "pooled_w": 2}


def roi_pool(x, rois, phase=caffe.TRAIN, options=POOLED):
    return build([python_layer("ROIPooling", ["x", "rois"], ["y"], options)], {"x": x, "rois": np.asarray(rois)}, phase)


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_the_first_of_equal_numbers_gets_the_gradient(phase):
    x = np.zeros((1, 2, 4, 4))
    x[0, 1] = -1
    x[0, 1, 2, 1] = x[0, 1, 3, 0] = -0.5
    net = roi_pool(x, [[0, 0, 0, 3, 3], [0, 0, 0, 3, 3]], phase)
    net.forward()
    net.blobs["y"].diff[...] = np.arange(1, 17).reshape(2, 2, 2, 2)
    net._backward(len(net.layers) - 1, 0)
    expected = np.zeros((2, 4, 4))
    expected[0, [0, 0, 2, 2], [0, 2, 0, 2]] = [1 + 9, 2 + 10, 3 + 11, 4 + 12]
    expected[1, [0, 0, 2, 2], [0, 2, 1, 2]] = [5 + 13, 6 + 14, 7 + 15, 8 + 16]
    np.testing.assert_array_equal(net.blobs["x"].diff[0], expected)
    assert not net.blobs["rois"].diff.any()


def test_zeros_of_both_signs_are_equal():
    x = np.array([0.0, -0.0, 0.0, -0.0]).reshape(1, 1, 2, 2)
    for sign in (1, -1):
        net = roi_pool(sign * x, [[0, 0, 0, 1, 1]], options={"pooled_h": 1, "pooled_w": 1})
        net.forward()
        net.blobs["y"].diff[...] = 1
        net._backward(len(net.layers) - 1, 0)
        assert net.blobs["x"].diff.ravel().tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("corner, row", [(8, 1), (7.9, 0), (23.9, 1), (24, 2), (40, 3)])
def test_halves_are_rounded_away_from_zero(corner, row):
    net = roi_pool(
        np.arange(4).reshape(1, 1, 4, 1), [[0, 0, corner, 0, corner]], options={**POOLED, "spatial_scale": 0.0625}
    )
    net.forward()
    found = net.blobs["y"].data[0, 0, 0, 0]
    assert found == (row if corner > -8 else 0)


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_nan_is_the_largest_number(phase):
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    x[0, 0, 0, 0], x[0, 0, 3, 3] = np.nan, -np.nan
    x[0, 0, 0, 2:], x[0, 0, 1, 2:] = -np.inf, -np.inf
    net = roi_pool(x, [[0, 0, 0, 3, 3]], phase)
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"].data[0, 0], [[np.nan, -np.inf], [13, np.nan]])


def test_more_maps_than_are_worked_on_at_a_time():
    """Several parts of the channels and of the regions, the last ones smaller."""
    rng = np.random.RandomState(0)
    x, rois = rng.randn(3, 130, 24, 40), np.column_stack([rng.randint(0, 3, 70), rng.uniform(0, 40, (70, 4))])
    net = roi_pool(x, rois, options={"pooled_h": 3, "pooled_w": 5})
    net.forward()
    net.blobs["y"].diff[...] = 1
    net._backward(len(net.layers) - 1, 0)
    one_by_one = roi_pool(x, rois[:1], options={"pooled_h": 3, "pooled_w": 5})
    total = np.zeros(x.shape)
    for number, roi in enumerate(rois):
        one_by_one.blobs["rois"].data[...] = roi
        one_by_one.forward()
        one_by_one.blobs["y"].diff[...] = 1
        one_by_one._backward(len(one_by_one.layers) - 1, 0)
        np.testing.assert_array_equal(net.blobs["y"].data[number], one_by_one.blobs["y"].data[0])
        total += one_by_one.blobs["x"].diff
    np.testing.assert_allclose(net.blobs["x"].diff, total, rtol=1e-6)


def test_regions_may_have_more_axes_or_be_none():
    x = np.random.RandomState(0).randn(2, 3, 5, 5)
    rois = np.array([[1, 0, 0, 4, 4], [0, 1, 2, 3, 4]])
    net = roi_pool(x, rois)
    net.forward()
    expected = net.blobs["y"].data.copy()
    four = roi_pool(x, rois.reshape(2, 5, 1, 1))
    four.forward()
    np.testing.assert_array_equal(four.blobs["y"].data, expected)
    net.blobs["rois"].reshape(0, 5)
    net.blobs["x"].diff[...] = 7
    net.forward()
    assert net.blobs["y"].data.shape == (0, 3, 2, 2)
    net.backward()
    assert not net.blobs["x"].diff.any()


@pytest.mark.parametrize(
    "roi, words",
    [
        ([2, 0, 0, 1, 1], ["roi 1 is of image 2", "0 to 1"]),
        ([-1, 0, 0, 1, 1], ["roi 1 is of image -1", "0 to 1"]),
        ([0.5, 0, 0, 1, 1], ["roi 1 is of image 0.5", "0 to 1"]),
        ([np.nan, 0, 0, 1, 1], ["roi 1 is of image nan", "0 to 1"]),
        ([0, 0, np.nan, 1, 1], ["roi 1 has corners", "nan"]),
        ([0, 0, 0, np.inf, 1], ["roi 1 has corners", "inf"]),
    ],
)
def test_a_bad_region_is_named(roi, words, on_device):
    net = roi_pool(np.zeros((2, 3, 4, 4)), [[0, 0, 0, 1, 1], roi, [9, 0, 0, 1, 1]])
    remedy = "from 0 in each batch" if "image" in words[0] else ""
    for run_on in (lambda call: call(), on_device):
        with refused(DataError, *words, layer="ROIPooling", remedy=remedy):
            run_on(net.forward)
    net.blobs["rois"].data[...] = [0, 0, 0, 1, 1]
    net.forward()


@pytest.mark.parametrize(
    "x, rois", [((2, 3, 4), (1, 5)), ((2, 3, 4, 4), (1, 4)), ((2, 3, 4, 4), (1, 1, 3, 5)), ((2, 3, 4, 4), (5,))]
)
def test_other_shapes_are_refused(x, rois):
    with refused(ConfigError, str(rois if len(x) == 4 else x), layer="ROIPooling"):
        roi_pool(np.zeros(x), np.zeros(rois))


@pytest.mark.parametrize("scale, told", [(16, ["2 of 3 regions"]), (1, [])])
def test_regions_outside_of_x_are_told_once(scale, told, caplog, on_device):
    rois = [[0, 1, 1, 3, 3], [0, 2, 0, 3, 1], [0, 0, 0, 0, 0]]
    net = roi_pool(np.ones((1, 1, 4, 4)), rois, options={**POOLED, "spatial_scale": scale})
    on_device(net.forward)
    net.forward()
    assert [word in message for word, message in zip(told, caplog.messages)] == [True] * len(told)
    assert len(caplog.messages) == len(told)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e18])
def test_corners_may_be_as_far_as_float32_reaches(scale):
    net = roi_pool(
        np.ones((1, 1, 4, 4)),
        [[0, -3e38, -3e38, 3e38, 3e38], [0, 3e38, 0, 3e38, 0]],
        options={**POOLED, "spatial_scale": scale},
    )
    net.forward()
    net.backward()
    assert net.blobs["y"].data[0].any()


@pytest.mark.parametrize("number", [np.nan, np.inf, 3])
def test_an_empty_bin_is_0_and_gives_no_gradient(number):
    """Whatever stands in x, and in the diff of y."""
    net = roi_pool(np.full((1, 1, 4, 4), number), [[0, 1e9, 1e9, 2e9, 2e9], [0, -1e30, -1e30, -2e9, -3]])
    net.forward()
    assert not net.blobs["y"].data.any()
    net.blobs["y"].diff[...] = number
    net._backward(len(net.layers) - 1, 0)
    assert not net.blobs["x"].diff.any()
