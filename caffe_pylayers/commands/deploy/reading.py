"""Stock layers as OpenCV, ncnn, rknn and NNIE read them: some fields they do not know, and read another net without a word."""

from typing import List, Mapping, Sequence

import numpy as np

from caffe_pylayers.caffe_files.prototxt import Word
from caffe_pylayers.commands.deploy.making import Making
from caffe_pylayers.commands.deploy.parts import Part
from caffe_pylayers.commands.export.blob_shapes import Blob, Known

#: Types of stock Caffe that OpenCV 4 does not read.
_NOT_IN_OPENCV = (
    "ArgMax", "BatchReindex", "Clip", "Embed", "Filter", "Im2col", "LSTM", "Parameter", "RNN", "Recurrent", "Reduction", "SPP", "Threshold",
    "Tile",
)  # fmt: skip


def as_readers_know(parts: Sequence[Part], blobs: Mapping[str, Known]) -> List[Part]:
    """The same net in fields and layers that these programs know. blobs: the shapes of all blobs."""
    return [each for part in parts for each in _RULES.get(part.type, _same)(part, blobs[part.layer.bottoms[0]])]


def not_in_opencv(part: Part) -> str:
    """Why OpenCV 4 does not read a layer; "" where it does."""
    return part.unread or ("it has no such layer" if part.type in _NOT_IN_OPENCV else "")


def _same(part: Part, bottom: Known) -> List[Part]:
    return [part]


def _inner_product(part: Part, bottom: Known) -> List[Part]:
    """Without `transpose`, which OpenCV does not know."""
    if not part.layer.message.message("inner_product_param").flag("transpose"):
        return [part]
    weights, *bias = part.blobs
    return [part.changed([np.ascontiguousarray(weights.T), *bias], "inner_product_param", transpose=False)]


def _bias(part: Part, bottom: Known) -> List[Part]:
    """A Scale by ones."""
    making, param = Making(part.layer, None, (), ()), part.layer.message.message("bias_param")
    if len(part.layer.bottoms) > 1:
        return [part]
    bias = part.blobs[0]
    axes = {"axis": param.whole("axis", 1), "num_axes": param.whole("num_axes", 1), "bias_term": True}
    making.add("Scale", part.layer.bottoms, making.y, [np.ones_like(bias), bias], scale_param=axes)
    return making.parts


def _swish(part: Part, bottom: Known) -> List[Part]:
    """x sigmoid(beta x), whose beta OpenCV does not read."""
    making, param = Making(part.layer, None, (), ()), part.layer.message.message("swish_param")
    beta = float(param.get("beta", 1))
    if beta == 1 or making.x == making.y:
        return [part] if beta == 1 else [_refused(part, f"it reads no beta in place, and takes 1 for {beta:g}")]
    scaled = making.add("Power", [making.x], power_param={"scale": beta})
    making.add(
        "Eltwise", [making.x, making.add("Sigmoid", [scaled])], making.y, eltwise_param={"operation": Word("PROD")}
    )
    return making.parts


def _refused(part: Part, why: str) -> Part:
    return Part(part.layer, part.blobs, part.shapes, why)


def _slice(part: Part, bottom: Known) -> List[Part]:
    """With the places of the cuts, which Caffe finds by itself."""
    param, tops = part.layer.message.message("slice_param"), len(part.layer.tops)
    axis = param.whole("axis", param.whole("slice_dim", 1))
    if "slice_point" in param or tops == 1 or not isinstance(bottom, Blob) or not axis:
        return [part]
    size = (0, *bottom.shape)[axis]
    if size is None:
        return [part]
    return [part.changed(part.blobs, "slice_param", slice_point=[size * i // tops for i in range(1, tops)])]


def _convolution(part: Part, bottom: Known) -> List[Part]:
    """With a size of the kernel for each axis, if there are three."""
    axes = part.blobs[0].ndim - 2 if part.blobs else 2
    if axes == 2:
        return [part]
    param = part.layer.message.message("convolution_param")
    sizes = {
        name: param.all(name) for name in ("kernel_size", "stride", "pad", "dilation") if len(param.all(name)) == 1
    }
    return [part.changed(part.blobs, "convolution_param", **{name: each * axes for name, each in sizes.items()})]


def _pooling(part: Part, bottom: Known) -> List[Part]:
    """With `ceil_mode` for `round_mode`, which OpenCV does not know."""
    message = part.layer.message.message("pooling_param")
    if "round_mode" not in message:
        return [part]
    ceil = str(message.get("round_mode")) in ("CEIL", "0")
    changed = part.changed(part.blobs, "pooling_param", ceil_mode=ceil, round_mode=[])
    return [changed]


def _batch_norm(part: Part, bottom: Known) -> List[Part]:
    param = part.layer.message.message("batch_norm_param")
    if param.flag("use_global_stats", True):
        return [part]
    return [_refused(part, "it takes the stored statistics, but use_global_stats is false")]


_RULES = {
    "InnerProduct": _inner_product,
    "Bias": _bias,
    "Swish": _swish,
    "Slice": _slice,
    "Convolution": _convolution,
    "Pooling": _pooling,
    "BatchNorm": _batch_norm,
}
