"""Stock layers as OpenCV, ncnn, rknn and NNIE read them: some fields they do not know, and silently read another net."""

import math
from typing import Any, Dict, List, Mapping, Sequence

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


def name_in_opencv(part: Part, top: str) -> str:
    """What `forward` of OpenCV calls the output of a layer: the layer's name, but for Convolution that of its top."""
    return top if part.type == "Convolution" else part.layer.name


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
    """With the places of the cuts, which Caffe finds by itself, and `axis` for `slice_dim`."""
    param, tops = part.layer.message.message("slice_param"), len(part.layer.tops)
    axis = param.whole("axis", param.whole("slice_dim", 1))
    points = param.all("slice_point")
    size = (0, *bottom.shape)[axis] if isinstance(bottom, Blob) else None
    if not points and size is not None and axis:
        points = [size * i // tops for i in range(1, tops)]
    return [part.changed(part.blobs, "slice_param", slice_point=points, slice_dim=[], axis=axis)]


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


def _deconvolution(part: Part, bottom: Known) -> List[Part]:
    dilation = part.layer.message.message("convolution_param").all("dilation")
    return [part] if set(dilation) <= {1} else [_refused(part, "it reads no dilation")]


def _pooling(part: Part, bottom: Known) -> List[Part]:
    """With `pool`, and `ceil_mode` for `round_mode`, which OpenCV does not know."""
    message = part.layer.message.message("pooling_param")
    fields: Dict[str, Any] = {"pool": message.get("pool", Word("MAX"))}
    if "round_mode" in message:
        fields.update(round_mode=[], ceil_mode=str(message.get("round_mode")) in ("CEIL", "0"))
    return [part.changed(part.blobs, "pooling_param", **fields)]


def _scale(part: Part, bottom: Known) -> List[Part]:
    """Along the channels: behind a Convolution OpenCV takes the factors of another axis for theirs. With two bottoms it adds nothing."""
    param, axes = part.layer.message.message("scale_param"), len(bottom.shape) + 1 if isinstance(bottom, Blob) else 0
    axis = param.whole("axis", 1)
    if len(part.layer.bottoms) > 1:
        return [part] if not param.flag("bias_term") else [_refused(part, "it reads no bias of two bottoms")]
    if axis < 0 < axes:
        axis, part = axis + axes, part.changed(part.blobs, "scale_param", axis=axis + axes)
    along_channels = axis == 1 and all(blob.ndim == 1 for blob in part.blobs)
    return [part if along_channels else _refused(part, "it takes factors for those of channels")]


def _concat(part: Part, bottom: Known) -> List[Part]:
    """With `axis` for `concat_dim`, which OpenCV does not know."""
    message = part.layer.message.message("concat_param")
    if "concat_dim" not in message:
        return [part]
    return [part.changed(part.blobs, "concat_param", concat_dim=[], axis=message.whole("concat_dim"))]


def _lrn(part: Part, bottom: Known) -> List[Part]:
    """With k = 1, which is all that OpenCV and ncnn know: x / (k + a s)^b = k^-b x / (1 + a s / k)^b."""
    message = part.layer.message.message("lrn_param")
    k, beta = float(message.get("k", 1)), float(message.get("beta", 0.75))
    if k == 1 or str(message.get("norm_region")) in ("WITHIN_CHANNEL", "1"):
        return [part]
    making, param = Making(part.layer, None, (), ()), {field.name: field.value for field in message.fields}
    normalized = making.add("LRN", [making.x], lrn_param={**param, "k": 1, "alpha": float(message.get("alpha", 1)) / k})
    making.add("Power", [normalized], making.y, power_param={"scale": k**-beta})
    return making.parts


def _log(part: Part, bottom: Known) -> List[Part]:
    """The natural logarithm alone, between two Powers: OpenCV does not read base, scale and shift."""
    message = part.layer.message.message("log_param")
    base, scale, shift = (float(message.get(name, value)) for name, value in (("base", -1), ("scale", 1), ("shift", 0)))
    if (base, scale, shift) == (-1, 1, 0):
        return [part]
    making = Making(part.layer, None, (), ())
    inside = making.add("Power", [making.x], power_param={"scale": scale, "shift": shift})
    factor = 1 if base == -1 else 1 / math.log(base)
    making.add("Power", [making.add("Log", [inside])], making.y, power_param={"scale": factor})
    return making.parts


def _mvn(part: Part, bottom: Known) -> List[Part]:
    return [part] if "eps" not in part.layer.message.message("mvn_param") else [_refused(part, "it reads no eps")]


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
    "Deconvolution": _deconvolution,
    "Scale": _scale,
    "Concat": _concat,
    "LRN": _lrn,
    "Log": _log,
    "MVN": _mvn,
    "Pooling": _pooling,
    "BatchNorm": _batch_norm,
}
