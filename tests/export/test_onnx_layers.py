"""Each kind of layer in onnxruntime as in Caffe, over its options, at batches of 1, 2 and 7."""

import random

import numpy as np
import pytest

from caffe_pylayers.commands.export.onnx.kinds import STOCK
from caffe_pylayers.commands.export.onnx.own import OWN
from caffe_pylayers.config.catalogue import SCHEMAS
from tests.export.onnx_nets import check, layer, own

IMAGES = (2, 6, 11, 8)


def conv(more, type="Convolution"):
    return layer(type, more=f"convolution_param {{ num_output: 8 {more} }}")


def pool(more, tops="y"):
    return layer("Pooling", tops=tops, more=f"pooling_param {{ {more} }}")


def param(type, name, more):
    return layer(type, more=f"{name}_param {{ {more} }}")


#: Layers that read the images x.
OF_IMAGES = {
    "convolution": conv("kernel_size: 3"),
    "convolution, all options": conv("kernel_size: 3 stride: 2 pad: 2 dilation: 2 group: 2 bias_term: false"),
    "convolution, not square": conv("kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 3 pad_h: 0 pad_w: 1"),
    "convolution, dilation per axis": conv("kernel_size: 2 kernel_size: 3 dilation: 3 dilation: 1"),
    "convolution, depthwise": layer("Convolution", more="convolution_param { num_output: 6 group: 6 kernel_size: 3 pad: 1 }"),
    "deconvolution": conv("kernel_size: 4 stride: 2 pad: 1", "Deconvolution"),
    "deconvolution, all options": conv("kernel_size: 3 stride: 3 dilation: 2 group: 2 bias_term: false", "Deconvolution"),
    "deconvolution, not square": conv("kernel_h: 3 kernel_w: 5 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 2", "Deconvolution"),
    "max": pool("kernel_size: 2 stride: 2"),
    "max, a window more": pool("kernel_size: 3 stride: 2"),
    "max, padded": pool("kernel_size: 3 stride: 2 pad: 1"),
    "max, stride above the window": pool("kernel_size: 2 stride: 3 pad: 1"),
    "max, rounded down": pool("kernel_size: 3 stride: 2 round_mode: FLOOR"),
    "max, not square": pool("kernel_h: 2 kernel_w: 3 stride_h: 3 stride_w: 2 pad_h: 1 pad_w: 0"),
    "max, padded along one axis": pool("kernel_h: 1 kernel_w: 2 stride_h: 4 stride_w: 2 pad_h: 0 pad_w: 1"),
    "max, global": pool("global_pooling: true"),
    "max, with its mask": pool("kernel_size: 3 stride: 2", "y mask"),
    "mean": pool("pool: AVE kernel_size: 2 stride: 2"),
    "mean, a window more": pool("pool: AVE kernel_size: 3 stride: 2"),
    "mean, padded": pool("pool: AVE kernel_size: 3 stride: 1 pad: 1"),
    "mean, padded at the edge": pool("pool: AVE kernel_size: 3 stride: 2 pad: 1"),
    "mean, much padded": pool("pool: AVE kernel_size: 5 stride: 3 pad: 4"),
    "mean, rounded down": pool("pool: AVE kernel_size: 3 stride: 2 round_mode: 1"),
    "mean, not square": pool("pool: 1 kernel_h: 2 kernel_w: 3 stride_h: 3 stride_w: 2 pad_h: 1 pad_w: 2"),
    "mean, global": pool("pool: AVE global_pooling: true"),
    "LRN": param("LRN", "lrn", "local_size: 3 alpha: 0.5 beta: 0.6 k: 2"),
    "LRN, defaults": layer("LRN"),
    "LRN within": param("LRN", "lrn", "local_size: 3 alpha: 0.5 norm_region: WITHIN_CHANNEL"),
    "SPP": param("SPP", "spp", "pyramid_height: 3"),
    "SPP, mean": param("SPP", "spp", "pyramid_height: 2 pool: AVE"),
    "SPP, one level": param("SPP", "spp", "pyramid_height: 1"),
    "BatchNorm": param("BatchNorm", "batch_norm", "eps: 0.01"),
    "Scale": param("Scale", "scale", "bias_term: true"),
    "Scale without bias": layer("Scale"),
    "Scale, last axis": param("Scale", "scale", "axis: -1 bias_term: true"),
    "Scale, two axes": param("Scale", "scale", "axis: 2 num_axes: 2"),
    "Scale, all axes": param("Scale", "scale", "num_axes: -1 bias_term: true"),
    "Scale, one number": param("Scale", "scale", "num_axes: 0 bias_term: true"),
    "Bias": layer("Bias"),
    "Bias, two axes": param("Bias", "bias", "axis: 1 num_axes: 2"),
    "ReLU": layer("ReLU"),
    "ReLU, leaky": param("ReLU", "relu", "negative_slope: 0.1"),
    "PReLU": layer("PReLU"),
    "PReLU, shared": param("PReLU", "prelu", "channel_shared: true"),
    "ELU": layer("ELU"),
    "ELU, alpha": param("ELU", "elu", "alpha: 0.3"),
    **{kind: layer(kind) for kind in ("Sigmoid", "TanH", "AbsVal", "BNLL", "Dropout", "Softmax", "Swish", "Threshold", "MVN")},
    "Power": param("Power", "power", "power: 3 scale: 0.5 shift: 0.1"),
    "Power of 0": param("Power", "power", "power: 0"),
    "Power, shift": param("Power", "power", "shift: -2"),
    "Power, nothing": layer("Power"),
    "Exp": layer("Exp"),
    "Exp, all options": param("Exp", "exp", "base: 2 scale: 0.5 shift: 3"),
    "Exp, shift": param("Exp", "exp", "shift: 1"),
    "Clip": param("Clip", "clip", "min: -0.5 max: 0.8"),
    "Swish, beta": param("Swish", "swish", "beta: 1.7"),
    "Threshold, above": param("Threshold", "threshold", "threshold: 0.4"),
    "Softmax, axis": param("Softmax", "softmax", "axis: -1"),
    "ArgMax": layer("ArgMax"),
    "ArgMax, several": param("ArgMax", "argmax", "top_k: 3"),
    "ArgMax with values": param("ArgMax", "argmax", "top_k: 4 out_max_val: true"),
    "ArgMax, axis": param("ArgMax", "argmax", "axis: 1"),
    "ArgMax, axis and values": param("ArgMax", "argmax", "axis: 2 top_k: 2 out_max_val: true"),
    "MVN, mean": param("MVN", "mvn", "normalize_variance: false"),
    "MVN across": param("MVN", "mvn", "across_channels: true eps: 0.01"),
    **{f"Reduction {kind}": param("Reduction", "reduction", f"operation: {kind} axis: 1 coeff: 0.5") for kind in ("SUM", "ASUM", "SUMSQ", "MEAN")},
    "Reduction of rows": param("Reduction", "reduction", "axis: -1"),
    "Tile": param("Tile", "tile", "tiles: 3"),
    "Tile, last axis": param("Tile", "tile", "axis: -1 tiles: 2"),
    "Tile of samples": param("Tile", "tile", "axis: 0 tiles: 2"),
    "Flatten": layer("Flatten"),
    "Flatten, two axes": param("Flatten", "flatten", "axis: 2"),
    "Flatten, up to an axis": param("Flatten", "flatten", "end_axis: 2"),
    "Flatten with the samples": param("Flatten", "flatten", "axis: 0 end_axis: 1"),
    "Reshape": param("Reshape", "reshape", "shape { dim: 0 dim: -1 }"),
    "Reshape, 0 and -1": param("Reshape", "reshape", "shape { dim: 0 dim: 3 dim: -1 dim: 0 }"),
    "Reshape, some axes": param("Reshape", "reshape", "axis: 1 num_axes: 2 shape { dim: 11 dim: 6 }"),
    "Reshape, a new axis": param("Reshape", "reshape", "axis: -1 num_axes: 0 shape { dim: 1 }"),
    "Reshape with the samples": param("Reshape", "reshape", "shape { dim: -1 dim: 8 }"),
    "Slice": layer("Slice", tops="y z"),
    "Slice, points": layer("Slice", tops="y z w", more="slice_param { axis: 2 slice_point: 1 slice_point: 5 }"),
    "Slice, old field": layer("Slice", tops="y z", more="slice_param { slice_dim: 3 slice_point: 3 }"),
    "Split": layer("Split", tops="y z"),
    "InnerProduct": param("InnerProduct", "inner_product", "num_output: 5"),
    "InnerProduct, transposed": param("InnerProduct", "inner_product", "num_output: 5 transpose: true bias_term: false"),
    "InnerProduct, axis": param("InnerProduct", "inner_product", "num_output: 5 axis: 2"),
    "InnerProduct, last axis, transposed": param("InnerProduct", "inner_product", "num_output: 5 axis: -1 transpose: true"),
    "convolution of several": layer("Split", "x", "a b") + layer("Convolution", "a b", "y z", "convolution_param { num_output: 2 kernel_size: 3 }"),
    "Scale with a learned blob": layer("Parameter", "", "w", "parameter_param { shape { dim: 6 dim: 11 } }")
    + layer("Scale", "x w", more="scale_param { axis: 1 }"),
    "L2Normalize": own("L2Normalize"),
    "L2Normalize, all options": own("L2Normalize", "'axis': -1, 'scale': 3, 'eps': 0.1"),
    "L2Normalize across": own("L2Normalize", "'axis': 2, 'across_spatial': True"),
    "Normalize": own("Normalize"),
    "Normalize by channel": own("Normalize", "'across_spatial': False, 'channel_shared': False"),
    "NormalizedInnerProduct": own("NormalizedInnerProduct", "'num_output': 4"),
    "NormalizedInnerProduct, subcenters": own("NormalizedInnerProduct", "'num_output': 4, 'sub_centers': 3"),
    "NormalizedInnerProduct of x": own("NormalizedInnerProduct", "'num_output': 4, 'normalize_x': False"),
    "Permute": own("Permute", "'order': [0, 2, 3, 1]"),
    "Permute, some": own("Permute", "'order': [0, 3]"),
    "Interp": own("Interp", "'zoom_factor': 4"),
    "Interp, smaller": own("Interp", "'shrink_factor': 3"),
    "Interp to a size": own("Interp", "'height': 25, 'width': 17, 'pad_beg': -1, 'pad_end': -2"),
    "Interp to one": own("Interp", "'height': 1, 'width': 1"),
    "Upsample": pool("kernel_size: 2 stride: 2", "p m") + own("Upsample", "'upsample_h': 11, 'upsample_w': 8", "p m"),
    "Upsample, overlapping": pool("kernel_size: 3 stride: 2", "p m") + own("Upsample", "'upsample_h': 11, 'upsample_w': 8", "p m"),
    "ShuffleChannel": own("ShuffleChannel", "'group': 3"),
    "GradientScaler": own("GradientScaler", "'max_iter': 10"),
    "PoolingND": own("PoolingND", "'kernel_size': 3, 'stride': 2"),
    "PoolingND, stride above the window": own("PoolingND", "'kernel_size': 1, 'stride': [4, 5]"),
    "PoolingND, gaps": own("PoolingND", "'kernel_size': 2, 'stride': 2, 'kstride': [3, 2]"),
    "PoolingND, mean": own("PoolingND", "'pool': 'AVE', 'kernel_size': [3, 2], 'stride': 2, 'pad': 1"),
    "PoolingND, mean with gaps": own("PoolingND", "'pool': 'AVE', 'kernel_size': 3, 'stride': 2, 'kstride': 2"),
    "PoolingND, one axis": own("PoolingND", "'axis': 2, 'kernel_size': 3, 'stride': 2, 'pad': 1", tops="y m"),
    "PoolingND, one axis, mean": own("PoolingND", "'axis': 2, 'pool': 'AVE', 'kernel_size': 3, 'stride': 2"),
    "PoolingND, three axes": own("PoolingND", "'axis': 0, 'kernel_size': 2, 'stride': 2"),
    "PoolingND, global": own("PoolingND", "'global_pooling': True, 'pool': 'AVE'"),
}  # fmt: skip

#: Layers that read rows x of 10 numbers.
OF_ROWS = {
    "BatchNorm": layer("BatchNorm"), "Scale": param("Scale", "scale", "bias_term: true"), "PReLU": layer("PReLU"),
    "MVN": layer("MVN"), "MVN across": param("MVN", "mvn", "across_channels: true"), "Softmax": layer("Softmax"),
    "ArgMax": param("ArgMax", "argmax", "top_k: 2 out_max_val: true"), "Reduction": param("Reduction", "reduction", "axis: 1"),
    "InnerProduct": param("InnerProduct", "inner_product", "num_output: 3"), "Flatten": layer("Flatten"),
    "Reshape to images": param("Reshape", "reshape", "shape { dim: 0 dim: 2 dim: 5 dim: 1 }"),
    "L2Normalize": own("L2Normalize"), "NormalizedInnerProduct": own("NormalizedInnerProduct", "'num_output': 4"),
    "MarginInnerProduct": own("MarginInnerProduct", "'num_output': 4, 'type': 'DOUBLE'", "x label", "y lambda"),
    "LargeMarginInnerProduct": own("LargeMarginInnerProduct", "'num_output': 4, 'type': 'DOUBLE'", "x label"),
    "LabelSpecificAdd": own("LabelSpecificAdd", "", "x label"), "CosinAddm": own("CosinAddm", "", "x label"),
    "CombinedMargin": own("CombinedMargin", "", "x label"),
}  # fmt: skip


@pytest.mark.parametrize("case", OF_IMAGES)
def test_a_layer_of_images(case, tmp_path):
    check(tmp_path, [OF_IMAGES[case]], {"x": IMAGES})


@pytest.mark.parametrize("case", OF_ROWS)
def test_a_layer_of_rows(case, tmp_path):
    label = {"label": (2,)} if '"label"' in OF_ROWS[case] else {}
    check(tmp_path, [OF_ROWS[case]], {"x": (2, 10), **label})


#: Layers with several bottoms, or that read other numbers: prototxt, shapes, and numbers of inputs by name.
SEVERAL = {
    **{f"Eltwise {kind}": (layer("Eltwise", "x y z", "sum", f"eltwise_param {{ {kind} }}"), dict.fromkeys("xyz", IMAGES))
       for kind in ("", "operation: PROD", "operation: MAX", "coeff: 1 coeff: -0.5 coeff: 2", "operation: 1")},
    "Convolution of sequences": (conv("kernel_size: 3 stride: 2 pad: 1"), {"x": (2, 3, 9)}),
    "Convolution of volumes": (conv("kernel_size: 3 stride: 2 pad: 1 group: 2"), {"x": (2, 4, 5, 6, 7)}),
    "Deconvolution of volumes": (conv("kernel_size: 3 stride: 2 pad: 1", "Deconvolution"), {"x": (2, 4, 5, 4, 3)}),
    "LRN, wider than the channels": (param("LRN", "lrn", "local_size: 7 alpha: 2"), {"x": (2, 3, 4, 5)}),
    "LRN within, wider than the maps": (param("LRN", "lrn", "local_size: 7 alpha: 2 norm_region: 1"), {"x": (2, 3, 4, 5)}),
    "Softmax of volumes": (param("Softmax", "softmax", "axis: 2"), {"x": (2, 3, 4, 3, 2)}),
    "PReLU of sequences": (layer("PReLU"), {"x": (2, 3, 4)}),
    "BatchNorm of volumes": (layer("BatchNorm"), {"x": (2, 3, 4, 3, 2)}),
    "MVN of sequences": (layer("MVN"), {"x": (2, 3, 40)}),
    "Concat": (layer("Concat", "x y", "z"), {"x": (2, 3, 5, 4), "y": (2, 2, 5, 4)}),
    "Concat, axis": (layer("Concat", "x y", "z", "concat_param { axis: -1 }"), {"x": (2, 3, 4), "y": (2, 3, 2)}),
    "Concat, old field": (layer("Concat", "x y", "z", "concat_param { concat_dim: 2 }"), {"x": (2, 3, 4), "y": (2, 3, 4)}),
    "Concat of samples": (layer("Concat", "x y", "z", "concat_param { axis: 0 }"), {"x": (2, 3), "y": (2, 3)}),
    "Crop": (layer("Crop", "x y", "z", "crop_param { offset: 2 }"), {"x": (2, 3, 9, 8), "y": (2, 1, 5, 4)}),
    "Crop, offsets": (layer("Crop", "x y", "z", "crop_param { axis: 1 offset: 1 offset: 3 offset: 0 }"), {"x": (2, 4, 9, 8), "y": (2, 2, 5, 4)}),
    "Crop, no offset": (layer("Crop", "x y", "z", "crop_param { axis: -1 }"), {"x": (2, 4, 9, 8), "y": (2, 2, 5, 4)}),
    "Scale by rows": (layer("Scale", "x y", "z", "scale_param { axis: 0 }"), {"x": (2, 3, 5, 4), "y": (2, 3)}),
    "Scale by samples": (layer("Scale", "x y", "z", "scale_param { axis: 0 }"), {"x": (2, 3, 5, 4), "y": (2,)}),
    "Bias by rows": (layer("Bias", "x y", "z", "bias_param { axis: 0 }"), {"x": (2, 3, 5), "y": (2, 3)}),
    "Axpy": (own("Axpy", "", "x y z", "sum"), {"x": (2, 3, 1, 1), "y": (2, 3, 5, 4), "z": (2, 3, 5, 4)}),
    "Interp like": (own("Interp", "", "x y", "z"), {"x": (2, 3, 7, 5), "y": (2, 1, 16, 11)}),
    "Embed": (layer("Embed", "x", "y", "embed_param { input_dim: 9 num_output: 4 }"), {"x": (2, 3)}, {"x": lambda shape: np.arange(np.prod(shape)).reshape(shape) % 9}),
    "Embed without bias": (layer("Embed", "x", "y", "embed_param { input_dim: 9 num_output: 4 bias_term: false }"), {"x": (2,)}, {"x": lambda shape: np.arange(shape[0])}),
    **{f"Log {more}": (layer("Log", more=f"log_param {{ {more} }}"), {"x": (2, 30)}, {"x": lambda shape: np.linspace(0.5, 9, shape[0] * 30).reshape(shape)})
       for more in ("", "base: 10 scale: 2 shift: 0.5", "shift: 1")},
    "ROIPooling": (own("ROIPooling", "'pooled_h': 3, 'pooled_w': 2, 'spatial_scale': 0.5", "x rois"), {"x": (1, 3, 12, 10), "rois": (5, 5)},
                   {"rois": lambda shape: np.tile([0, 2, 3, 14, 21], (shape[0], 1)) + np.arange(shape[0])[:, None] % 3 * [0, 1, 1, 2, -1]}),
}  # fmt: skip


@pytest.mark.parametrize("case", SEVERAL)
def test_a_layer_of_several_bottoms(case, tmp_path):
    text, inputs, *values = SEVERAL[case]
    check(tmp_path, [text], inputs, *values)


#: Layers for which zero vectors, equal numbers or very large ones are special.
OF_ZEROS = ("L2Normalize", "L2Normalize across", "Normalize", "Normalize by channel", "NormalizedInnerProduct", "ArgMax, several", "ArgMax, axis", "MVN", "LRN", "Softmax", "mean, padded", "max, with its mask")  # fmt: skip


@pytest.mark.parametrize("case", OF_ZEROS)
def test_zeros(case, tmp_path):
    check(tmp_path, [OF_IMAGES[case]], {"x": IMAGES}, {"x": np.zeros})


@pytest.mark.parametrize("case", ["L2Normalize", "L2Normalize across", "Normalize", "NormalizedInnerProduct"])
@pytest.mark.parametrize("size", [1e-15, 1e25])
def test_vectors_whose_squares_float32_has_not(case, size, tmp_path):
    numbers = np.random.default_rng(0)
    check(tmp_path, [OF_IMAGES[case]], {"x": IMAGES}, {"x": lambda shape: numbers.normal(size=shape) * size})


def test_pools_of_any_window_and_size(tmp_path):
    """Where rounding up adds a window, where the last one begins in the padding, where it is cut off at the padded edge."""
    draw = random.Random(0)
    layers, inputs = [], {}
    for number in range(80):
        kernel, stride = draw.randint(1, 5), draw.randint(1, 5)
        pad = draw.randint(0 if stride <= kernel else min(1, kernel - 1), kernel - 1)
        if stride > kernel and not pad:
            stride = kernel
        more = f"pool: {draw.choice(['MAX', 'AVE'])} kernel_size: {kernel} stride: {stride} pad: {pad} round_mode: {draw.randint(0, 1)}"
        layers.append(layer("Pooling", f"x{number}", f"y{number}", f"pooling_param {{ {more} }}"))
        inputs[f"x{number}"] = (2, 1, draw.randint(5, 14), draw.randint(5, 14))
    check(tmp_path, layers, inputs)


def test_every_kind_of_layer_is_tried():
    tried = "".join([*OF_IMAGES.values(), *OF_ROWS.values(), *(text for text, *_ in SEVERAL.values())])
    assert [kind for kind in STOCK if f'type: "{kind}"' not in tried] == []
    ours = [name for name, schema in SCHEMAS.items() if schema.onnx]
    assert [kind for kind in ours if f'layer: "{kind}"' not in tried] == []
    assert {SCHEMAS[name].onnx for name in ours} == set(OWN)
