"""Each layer that is replaced gives in OpenCV, and in stock layers, what it gives in Caffe: zero vectors and odd sizes too."""

import caffe
import numpy as np
import pytest

from caffe_pylayers.caffe_files.weights import LayerWeights, write_weights
from caffe_pylayers.commands.deploy import replacing
from caffe_pylayers.commands.deploy.deploy import deploy
from caffe_pylayers.config.features import PermuteOptions
from caffe_pylayers.errors import ConfigError
from tests.caffe_nets import layer_text, net_text, python_layer, write
from tests.deploy.against_caffe import by_caffe, by_opencv

X = {"x": (2, 6, 7, 9)}
ROIS = [[0, 0, 0, 60, 50], [1, 3.4, 10.6, 40, 33]]
POOL = layer_text("Pooling", ["x"], ["p", "m"], "pooling_param { pool: MAX kernel_size: 2 stride: 2 }")


def named(layer, options, bottoms=("x",), inputs=None, tops=("y",), before=""):
    return inputs or X, before + python_layer(layer, bottoms, tops, options), tops[0]


def stock(kind, more="", inputs=None, bottoms=("x",)):
    return inputs or X, layer_text(kind, bottoms, ["y"], more), "y"


#: name -> (inputs, layers, what they give)
BOTH = {
    "vectors": named("L2Normalize", {}, inputs={"x": (3, 8)}),
    "positions": named("L2Normalize", {"eps": 0.5}),
    "last axis of two": named("L2Normalize", {"axis": -1}, inputs={"x": (3, 8)}),
    "whole": named("L2Normalize", {"across_spatial": True}),
    "positions of three axes": named("L2Normalize", {}, inputs={"x": (2, 5, 7)}),
    "positions of five axes": named("L2Normalize", {}, inputs={"x": (2, 5, 3, 2, 4)}),
    "one channel": named("L2Normalize", {}, inputs={"x": (2, 1, 3, 2)}),
    "with a scale": named("L2Normalize", {"scale": 3}),
    "whole with a scale": named("L2Normalize", {"scale": 3, "across_spatial": True}),
    "SSD": named("Normalize", {"across_spatial": False, "channel_shared": False}),
    "SSD, shared": named("Normalize", {"across_spatial": False}),
    "SSD, whole": named("Normalize", {}),
    "SSD, whole, a factor per channel": named("Normalize", {"channel_shared": False}),
    "in place": ({"x": (3, 8)}, layer_text("Power", ["x"], ["y"]) + python_layer("L2Normalize", ["y"], ["y"]), "y"),
    "cosines": named("NormalizedInnerProduct", {"num_output": 5}, inputs={"x": (4, 3, 2, 2)}),
    "cosines, sub-centres": named("NormalizedInnerProduct", {"num_output": 5, "sub_centers": 3}, inputs={"x": (4, 8)}),
    "products": named("NormalizedInnerProduct", {"num_output": 5, "normalize_x": False}, inputs={"x": (4, 8)}),
    "SphereFace": named(
        "MarginInnerProduct", {"num_output": 5, "type": "QUADRUPLE"}, ["x", "label"], {"x": (4, 8), "label": (4,)}
    ),
    "L-Softmax": named(
        "LargeMarginInnerProduct", {"num_output": 5, "type": "DOUBLE"}, ["x", "label"], {"x": (4, 8), "label": (4,)}
    ),
    "AM-Softmax": named(
        "LabelSpecificAdd", {}, ["y", "label"], {"x": (4, 8), "label": (4,)}, ["y"], layer_text("TanH", ["x"], ["y"])
    ),
    "channels shuffled": named("ShuffleChannel", {"group": 3}),
    "Axpy": named("Axpy", {}, ["s", "x", "z"], {"s": (2, 6, 1, 1), "x": (2, 6, 7, 9), "z": (2, 6, 7, 9)}),
    "larger": named("Interp", {"height": 13, "width": 17}),
    "larger and smaller": named("Interp", {"height": 16, "width": 4}),
    "zoom": named("Interp", {"zoom_factor": 3}),
    "shrink": named("Interp", {"shrink_factor": 2}),
    "shrink and zoom": named("Interp", {"shrink_factor": 3, "zoom_factor": 2}),
    "to one": named("Interp", {"height": 1, "width": 4}),
    "of one": named("Interp", {"height": 4, "width": 6}, inputs={"x": (2, 3, 1, 5)}),
    "the same size": named("Interp", {"height": 7, "width": 9}),
    "as another blob": named("Interp", {}, ["x", "z"], {"x": (1, 2, 5, 7), "z": (1, 3, 20, 30)}),
    "pooled": named("PoolingND", {"kernel_size": 3, "stride": 2}, inputs={"x": (1, 2, 10, 8)}),
    "pooled means, padded": named(
        "PoolingND", {"pool": "AVE", "kernel_size": 3, "stride": 2, "pad": 1}, inputs={"x": (1, 2, 10, 8)}
    ),
    "pooled in one axis": named(
        "PoolingND", {"pool": "AVE", "kernel_size": 3, "stride": 2, "pad": 1}, inputs={"x": (2, 3, 10)}
    ),
    "pooled in three axes": named(
        "PoolingND", {"kernel_size": [2, 3, 2], "stride": 2, "pad": [0, 1, 1]}, inputs={"x": (2, 3, 5, 8, 7)}
    ),
    "means of three axes": named(
        "PoolingND", {"pool": "AVE", "kernel_size": 3, "stride": 2, "pad": 1}, inputs={"x": (2, 3, 6, 8, 7)}
    ),
    "two of three axes": named(
        "PoolingND", {"kernel_size": [1, 2, 2], "stride": [1, 2, 2]}, inputs={"x": (2, 3, 5, 8, 7)}
    ),
    "the first of three axes": named(
        "PoolingND", {"kernel_size": [2, 1, 1], "stride": [2, 1, 1]}, inputs={"x": (2, 3, 5, 8, 7)}
    ),
    "all of three axes": named("PoolingND", {"pool": "AVE", "global_pooling": True}, inputs={"x": (2, 3, 5, 4, 3)}),
    "all of two axes": named("PoolingND", {"global_pooling": True}),
    "all of one axis": named("PoolingND", {"global_pooling": True}, inputs={"x": (2, 3, 5)}),
    "reversed gradient": named(
        "GradientScaler", {"max_iter": 10}, before=layer_text("TanH", ["x"], ["t"]), bottoms=["t"]
    ),
    "pooled, odd": stock("Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }", {"x": (1, 2, 10, 8)}),
    "means at the padded edge": stock(
        "Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }", {"x": (1, 2, 10, 8)}
    ),
    "pooled, rounded down": stock("Pooling", "pooling_param { kernel_size: 2 stride: 2 round_mode: FLOOR }"),
    "transposed": stock("InnerProduct", "inner_product_param { num_output: 4 transpose: true }"),
    "Bias": stock("Bias"),
    "without pool": stock("Pooling", "pooling_param { kernel_size: 2 stride: 2 }", {"x": (1, 2, 7, 8)}),
    "an axis from the end": stock("Scale", "scale_param { axis: -3 bias_term: true }"),
    "concat_dim": stock("Concat", "concat_param { concat_dim: 2 }", {"x": (2, 3, 4, 5), "z": (2, 3, 4, 5)}, ["x", "z"]),
    "LRN": stock("LRN", "lrn_param { local_size: 3 alpha: 3 beta: 0.5 k: 2 }"),
    "Log": stock("Log", "log_param { base: 2 scale: 0.1 shift: 3 }"),
    "Swish": stock("Swish", "swish_param { beta: 2 }"),
    "three axes": stock(
        "Convolution", "convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 }", {"x": (1, 3, 4, 6, 7)}
    ),
    "a Convolution whose top has the name of the next layer": (
        X,
        layer_text("Convolution", ["x"], ["y"], "convolution_param { num_output: 4 kernel_size: 3 }")
        + layer_text("ReLU", ["y"], ["y"]).replace("y_layer", "y"),
        "y",
    ),
    "a Convolution alone": stock("Convolution", "convolution_param { num_output: 4 kernel_size: 3 }"),
    "slice_dim": (
        X,
        layer_text("Slice", ["x"], ["a", "b"], "slice_param { slice_dim: 2 slice_point: 3 }")
        + layer_text("TanH", ["b"], ["y"])
        + layer_text("Silence", ["a"], ["s"]).replace('top: "s"', ""),
        "y",
    ),
    "equal pieces": (
        X,
        layer_text("Slice", ["x"], ["a", "b", "c"])
        + layer_text("Eltwise", ["a", "c"], ["y"])
        + layer_text("Silence", ["b"], ["s"]).replace('top: "s"', ""),
        "y",
    ),
}
ONE_CHANNEL, ROWS = {"x": (2, 1, 4, 5)}, {"x": (2, 4, 5, 6)}


def chain(inputs, *layers):
    """Layers one behind the other, all but the first in place."""
    kinds = [layer_text(kind, ["y" if number else "x"], ["y"], more) for number, (kind, more) in enumerate(layers)]
    return inputs, [each.replace("y_layer", f"y{number}") for number, each in enumerate(kinds)], "y"


SQUARE = ("Power", "power_param { power: 2 }")
FACTOR = ("Scale", "scale_param { bias_term: true }")
LINE = ("Power", "power_param { scale: 0.5 shift: 0.3 }")
GROUPS = ("Deconvolution", "convolution_param { num_output: 4 kernel_size: 3 group: 2 }")
OF_AXIS = ("InnerProduct", "inner_product_param { num_output: 5 axis: -1 }")
#: OpenCV joins these with what is behind them, and computes something else, or fails.
for name, case in {
    "a square, then a line": (X, SQUARE, LINE),
    "a square, then one factor": (ONE_CHANNEL, SQUARE, FACTOR),
    "a square, then BatchNorm": (ONE_CHANNEL, SQUARE, ("BatchNorm", "")),
    "a square, Dropout, a line": (X, SQUARE, ("Dropout", ""), LINE),
    "MVN, then a line": (X, ("MVN", ""), LINE),
    "MVN across, then BatchNorm": (X, ("MVN", "mvn_param { across_channels: true }"), ("BatchNorm", "")),
    "MVN of means, then BatchNorm": (X, ("MVN", "mvn_param { normalize_variance: false }"), ("BatchNorm", "")),
    "groups, then factors": (X, GROUPS, FACTOR),
    "groups, then BatchNorm": (X, GROUPS, ("BatchNorm", "")),
    "products of an axis, then BatchNorm": (ROWS, OF_AXIS, ("BatchNorm", "")),
    "products of an axis, then PReLU": (ROWS, OF_AXIS, ("PReLU", "")),
    "Log in place": (X, ("Sigmoid", ""), ("Log", "log_param { base: 10 shift: 2 }")),
    "Swish in place": (X, ("TanH", ""), ("Swish", "swish_param { beta: 3 }")),
    "Log and Swish in place": (
        X,
        ("Sigmoid", ""),
        ("Log", "log_param { shift: 2 }"),
        ("Swish", "swish_param { beta: 3 }"),
    ),
}.items():
    BOTH[name] = chain(*case)
BOTH.update(
    {
        "a slope for all": stock("PReLU", "prelu_param { channel_shared: true }"),
        "a factor for all": stock("Scale", "scale_param { num_axes: 0 bias_term: true }"),
        "a number for all": stock("Bias", "bias_param { num_axes: 0 }"),
        "LRN, defaults": stock("LRN"),
        "LRN within, defaults": stock("LRN", "lrn_param { norm_region: WITHIN_CHANNEL }"),
        "a new axis": stock("Reshape", "reshape_param { axis: 2 num_axes: 0 shape { dim: 1 } }"),
        "a new last axis": stock("Reshape", "reshape_param { axis: -1 num_axes: 0 shape { dim: 1 } }"),
        "the last two axes": stock("Reshape", "reshape_param { axis: -2 shape { dim: -1 } }"),
        "the second piece": (X, layer_text("Slice", ["x"], ["a", "y"], "slice_param { slice_point: 1 }"), "y"),
        "the second of two Deconvolutions": (
            X,
            layer_text("TanH", ["x"], ["t"])
            + layer_text("Deconvolution", ["x", "t"], ["a", "y"], "convolution_param { num_output: 2 kernel_size: 3 }"),
            "y",
        ),
        "channels of rows shuffled": named("ShuffleChannel", {"group": 2}, inputs={"x": (3, 8)}),
        "a window above its stride": named(
            "PoolingND", {"kernel_size": 1, "stride": [4, 5]}, inputs={"x": (2, 3, 11, 8)}
        ),
    }
)
for kind in ("arcface", "cosface", "combined", "sphereface"):
    BOTH[f"scores of {kind}"] = (
        {"x": (4, 8), "label": (4,)},
        python_layer("MarginSoftmaxLoss", ["x", "label"], ["loss", "y"], {"num_output": 5, "type": kind}),
        "y",
    )
BOTH["scores of x as it is"] = (
    {"x": (4, 8), "label": (4,)},
    layer_text("Power", ["x"], ["u"])
    + python_layer("L2Normalize", ["u"], ["n"])
    + python_layer("MarginSoftmaxLoss", ["n", "label"], ["loss", "y"], {"num_output": 5, "normalize_x": False}),
    "y",
)
BOTH["prob"] = (
    {"x": (4, 8, 3), "label": (4, 8)},
    python_layer("WeightedSoftmaxLoss", ["x", "label"], ["loss", "y"], {"axis": 2}),
    "y",
)
#: Not in stock layers.
READERS = {
    "axes in another order": named("Permute", {"order": [0, 2, 3, 1]}),
    "some axes in another order": named("Permute", {"order": [0, 2]}, inputs={"x": (2, 3, 4)}),
    "regions": named(
        "ROIPooling",
        {"pooled_h": 3, "pooled_w": 2, "spatial_scale": 0.125},
        ["x", "rois"],
        {"x": (2, 3, 8, 9), "rois": (2, 5)},
    ),
}


@pytest.fixture
def compared(tmp_path):
    """A function: deploys a net with random weights, and compares what it gives with the net itself."""

    def compared(inputs, layers, output, **options):
        random = np.random.default_rng(0)
        path = write(net_text(["".join(layers)], inputs, force_backward=False), tmp_path, "trained.prototxt")
        net = caffe.Net(path, caffe.TEST)
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] = random.normal(size=blob.data.shape)
        for name, layer in net.layer_dict.items():
            if layer.type == "BatchNorm":
                net.params[name][1].data[...] = random.uniform(1, 9, net.params[name][1].data.shape)
                net.params[name][2].data[...] = 3
        fed = {blob: random.normal(size=shape).astype(np.float32) for blob, shape in inputs.items()}
        fed["x"][0, ..., 0] = 0
        fed["x"][-1] = 0
        if "label" in fed:
            fed["label"][...] = 2
        if "rois" in fed:
            fed["rois"][...] = ROIS
        for blob, array in fed.items():
            net.blobs[blob].data[...] = array
        net.forward()
        weights = str(tmp_path / "trained.caffemodel")
        net.save(weights)
        wanted = net.blobs[output].data.copy()
        deployed = deploy(path, weights, [output], **options)
        files = str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel")
        deployed.write(*files)
        read = by_caffe if options.get("stock") else by_opencv
        found = read(*files, deployed, {blob: fed[blob] for blob in deployed.inputs})[deployed.outputs[0]]
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=1e-5)
        assert not any(part.type == "Python" for part in deployed.parts)
        return deployed

    return compared


@pytest.mark.parametrize("case", [*BOTH, *READERS])
def test_in_opencv(compared, case):
    assert not compared(*{**BOTH, **READERS}[case]).unread


@pytest.mark.parametrize("case", BOTH)
def test_in_stock_layers(compared, case):
    compared(*BOTH[case], stock=True)


@pytest.mark.parametrize("case", READERS)
def test_what_stock_layers_cannot_say_is_refused(compared, case):
    with pytest.raises(ConfigError) as refused:
        compared(*READERS[case], stock=True)
    assert "Python layer 'y_layer'" in refused.value.source and "--output" in refused.value.remedy


#: What OpenCV reads as something else, or not at all.
UNREAD = {
    "factors of rows": ("Scale", "scale_param { axis: 2 }"),
    "a dilated Deconvolution": ("Deconvolution", "convolution_param { num_output: 2 kernel_size: 3 dilation: 2 }"),
    "the batch's statistics": ("BatchNorm", "batch_norm_param { use_global_stats: false }"),
    "eps of MVN": ("MVN", "mvn_param { eps: 0.1 }"),
    "numbers for rows": ("Bias", "bias_param { axis: 2 }"),
    "padding of one number": ("Deconvolution", "convolution_param { num_output: 2 kernel_size: 1 pad: 1 }"),
    "a window more along the axis without padding": (
        "Pooling",
        "pooling_param { pool: MAX kernel_h: 1 kernel_w: 2 stride_h: 4 stride_w: 2 pad_h: 0 pad_w: 1 }",
    ),
    "a type that it has not": ("Reduction", "reduction_param { axis: 1 }"),
}


@pytest.mark.parametrize("case", UNREAD)
def test_what_opencv_does_not_read_is_told(tmp_path, case):
    kind, more = UNREAD[case]
    convolution = layer_text("Convolution", ["x"], ["c"], "convolution_param { num_output: 4 kernel_size: 1 }")
    path = write(net_text([convolution, layer_text(kind, ["c"], ["y"], more)], X), tmp_path)
    caffe.Net(path, caffe.TEST).save(str(tmp_path / "w.caffemodel"))
    ((part, why),) = deploy(path, str(tmp_path / "w.caffemodel")).unread
    assert part.layer.name == "y_layer" and why


#: More of that, of other bottoms.
UNREAD_BOTTOMS = {
    "a volume": ("Deconvolution", ["x"], {"x": (1, 2, 3, 4, 5)}, "convolution_param { num_output: 2 kernel_size: 3 }"),
    "rows of MVN": ("MVN", ["x"], {"x": (2, 8)}, ""),
    "numbers of another blob": ("Bias", ["x", "z"], {"x": (2, 3, 5), "z": (2, 3)}, "bias_param { axis: 0 }"),
}


@pytest.mark.parametrize("case", UNREAD_BOTTOMS)
def test_what_opencv_does_not_read_of_other_bottoms_is_told(tmp_path, case):
    kind, bottoms, inputs, more = UNREAD_BOTTOMS[case]
    path = write(net_text([layer_text(kind, bottoms, ["y"], more)], inputs), tmp_path)
    caffe.Net(path, caffe.TEST).save(str(tmp_path / "w.caffemodel"))
    ((part, why),) = deploy(path, str(tmp_path / "w.caffemodel"), ["y"]).unread
    assert part.layer.name == "y_layer" and why


#: Layers of SSD's fork, of DeepLab's and of one that nobody knows.
FORKS = (
    layer_text("Normalize", ["x"], ["n"], "norm_param { across_spatial: false channel_shared: false }")
    + layer_text("Permute", ["n"], ["p"], "permute_param { order: 0 order: 2 order: 3 order: 1 }")
    + layer_text("Interp", ["n"], ["i"], "interp_param { zoom_factor: 2 }")
    + layer_text("Mystery", ["i"], ["m"])
)


@pytest.fixture
def of_forks(tmp_path):
    """(the net, its weights), which no Caffe here can load."""
    path = write(net_text([FORKS], X, force_backward=False), tmp_path)
    factors = np.arange(1, 7, dtype=np.float32)
    write_weights(str(tmp_path / "w.caffemodel"), [LayerWeights("n_layer", "Normalize", [factors])])
    return path, str(tmp_path / "w.caffemodel")


def test_layers_of_forks_are_those_of_this_package(of_forks):
    deployed = deploy(*of_forks, ["p", "i"])
    assert [(layer.name, by) for layer, by in deployed.replaced] == [
        (f"{name}_layer", [kind]) for name, kind in (("n", "Normalize"), ("p", "Permute"), ("i", "Interp"))
    ]
    assert not deployed.unread
    stock = deploy(*of_forks, ["i"], stock=True)
    assert [part.type for part in stock.parts] == ["LRN", "Scale", "Deconvolution"]


def test_layers_that_nobody_knows_are_told_or_refused(of_forks):
    ((part, why),) = deploy(*of_forks, ["m"]).unread
    assert part.type == "Mystery" and why
    with pytest.raises(ConfigError) as refused:
        deploy(*of_forks, ["m"], stock=True)
    assert "Mystery layer 'm_layer'" in refused.value.source and "migrate" in refused.value.remedy


def test_a_mask_is_told_for_opencv_and_right_in_caffe(compared, tmp_path):
    compared(X, [POOL], "m", stock=True)
    ((part, why),) = deploy(str(tmp_path / "trained.prototxt"), str(tmp_path / "trained.caffemodel"), ["m"]).unread
    assert part.type == "Pooling" and "mask" in why


def test_a_layer_that_nothing_stands_for_is_refused(compared, monkeypatch):
    monkeypatch.delitem(replacing._RULES, PermuteOptions)
    with pytest.raises(ConfigError) as refused:
        compared(*READERS["axes in another order"])
    assert "what Permute computes" in refused.value.problem
    assert "Python layer 'y_layer'" in refused.value.source and "--output" in refused.value.remedy
