"""Stock layers as OpenCV, ncnn, rknn and NNIE read them: some fields they do not know, and silently read another net."""

import math
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np

from caffe_pylayers.caffe_files.legacy_nets import TYPES
from caffe_pylayers.caffe_files.prototxt import Word
from caffe_pylayers.commands.deploy.making import Making
from caffe_pylayers.commands.deploy.parts import Part
from caffe_pylayers.commands.deploy.parts import part as part_of
from caffe_pylayers.commands.export.blob_shapes import Blob, Known, shapes_of_tops
from caffe_pylayers.commands.export.windows import Window, window_of

#: Types of stock Caffe that OpenCV 4 does not read.
_NOT_IN_OPENCV = (
    "ArgMax", "BatchReindex", "Clip", "Embed", "Filter", "Im2col", "LSTM", "Parameter", "RNN", "Recurrent", "Reduction", "SPP", "Threshold",
    "Tile",
)  # fmt: skip

#: Types of forks that it reads, beside those that stand for a layer of this package.
_OF_FORKS_IN_OPENCV = (
    "Accum", "ConvolutionDepthwise", "Correlation", "DataAugmentation", "DetectionOutput", "FlowWarp", "Mish", "PSROIPooling", "PriorBox", "Proposal",
    "ReLU6", "Region", "Reorg",
)  # fmt: skip


def as_readers_know(part: Part, bottom: Known) -> List[Part]:
    """A layer in fields and layers that these programs know. bottom: the shape of its first bottom."""
    return _RULES.get(part.type, _same)(part, bottom)


def is_hidden(part: Part, top: str) -> bool:
    """Whether OpenCV gives another top of the layer where this one is asked for: it gives the first by the name of the layer."""
    return part.type != "Convolution" and top != part.layer.tops[0]


def kept_apart(parts: Sequence[Part]) -> List[Part]:
    """The layers with one that does nothing behind each that OpenCV would join with the next one, and compute something else, or fail."""
    found = []
    for number, part in enumerate(parts):
        found.append(part)
        top = part.layer.tops[0]
        after = next((each.type for each in parts[number + 1 :] if top in each.layer.bottoms), "")
        is_joined, behind = _JOINED.get(part.type, (None, ()))
        if is_joined is not None and after in behind and is_joined(part):
            identity = {"negative_slope": 1}  # a Dropout does not keep all of them apart
            found.append(part_of(part.layer, "ReLU", [top], [top], f"{part.layer.name}/apart", relu_param=identity))
    return found


def _is_power(part: Part) -> bool:
    """(scale x)^power: OpenCV takes the factor of the next layer into the power."""
    param = part.layer.message.message("power_param")
    return float(param.get("power", 1)) != 1 and float(param.get("shift", 0)) == 0


def _is_grouped(part: Part) -> bool:
    """A Deconvolution of groups: OpenCV multiplies weights of other outputs."""
    return part.layer.message.message("convolution_param").whole("group", 1) > 1


def _is_of_an_axis(part: Part) -> bool:
    """An InnerProduct along another axis than 1: OpenCV takes its outputs for channels."""
    return part.layer.message.message("inner_product_param").whole("axis", 1) != 1


def _always(part: Part) -> bool:
    """An MVN: OpenCV takes one factor for one of each channel, and another kind of MVN for that of channels."""
    return True


_AFFINE = ("BatchNorm", "Power", "Scale")

#: Types of which some are joined wrongly with the next layer: which, and with what.
_JOINED: Dict[str, Tuple[Callable[[Part], bool], Sequence[str]]] = {
    "Power": (_is_power, _AFFINE),
    "MVN": (_always, _AFFINE),
    "Deconvolution": (_is_grouped, _AFFINE),
    "InnerProduct": (_is_of_an_axis, (*_AFFINE, "PReLU")),
}


def not_in_opencv(part: Part) -> str:
    """Why OpenCV 4 does not read a layer; "" where it does."""
    is_made_here = part.shapes is not None
    is_known = part.type in _OF_FORKS_IN_OPENCV or (part.type in TYPES and part.type not in _NOT_IN_OPENCV)
    return part.unread or ("" if is_made_here or is_known else "it has no such layer")


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
        return [_refused(part, "it has no such layer")]
    bias = part.blobs[0]
    axes = {"axis": param.whole("axis", 1), "num_axes": param.whole("num_axes", 1), "bias_term": True}
    making.add("Scale", part.layer.bottoms, making.y, [np.ones_like(bias), bias], scale_param=axes)
    return _scale(making.parts[0], bottom)


def _swish(part: Part, bottom: Known) -> List[Part]:
    """x sigmoid(beta x), whose beta OpenCV does not read."""
    making, param = Making(part.layer, None, (), ()), part.layer.message.message("swish_param")
    beta = float(param.get("beta", 1))
    if beta == 1:
        return [part]
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
    """One for each bottom: OpenCV reads several of a Convolution alone."""
    if len(part.layer.bottoms) > 1:
        pairs = zip(part.layer.bottoms, part.layer.tops)
        return [one for x, y in pairs for one in _deconvolution(part.on([x], [y]), bottom)]
    if part.blobs and part.blobs[0].ndim != 4:
        return [_refused(part, f"it has none of {part.blobs[0].ndim - 2} axes")]
    window = window_of(part.layer)
    if set(window.dilation) != {1}:
        return [_refused(part, "it reads no dilation")]
    if set(window.kernel) == set(window.stride) == {1} and any(window.pad):
        return [_refused(part, "it reads no pad of a kernel of 1")]
    return [part]


def _pooling(part: Part, bottom: Known) -> List[Part]:
    """With `pool`, and `ceil_mode` for `round_mode`, which OpenCV does not know."""
    message = part.layer.message.message("pooling_param")
    fields: Dict[str, Any] = {"pool": message.get("pool", Word("MAX"))}
    if "round_mode" in message:
        fields.update(round_mode=[], ceil_mode=str(message.get("round_mode")) in ("CEIL", "0"))
    changed = part.changed(part.blobs, "pooling_param", **fields)
    return [
        _refused(changed, "it has a window more along the axis without pad") if _has_more(part, bottom) else changed
    ]


def _has_more(part: Part, bottom: Known) -> bool:
    """Whether a window begins behind the maps along an axis without padding: Caffe leaves it out where the other axis has some."""
    window = window_of(part.layer)
    sizes = bottom.shape[1:] if isinstance(bottom, Blob) else ()
    if len(sizes) != 2 or len(window.kernel) != 2:
        return False
    alone = [
        Window((kernel,), (stride,), (pad,), (1,), pooling=True, rounds_up=window.rounds_up)
        for kernel, stride, pad in zip(window.kernel, window.stride, window.pad)
    ]
    return window.sizes(sizes) != tuple(one.sizes((size,))[0] for one, size in zip(alone, sizes))


def _reshape(part: Part, bottom: Known) -> List[Part]:
    """With all sizes of the top: OpenCV knows no axis from the end, and adds none."""
    param = part.layer.message.message("reshape_param")
    axis, num_axes = param.whole("axis"), param.whole("num_axes", -1)
    if axis >= 0 and num_axes:
        return [part]
    (top,) = shapes_of_tops(part.layer, [bottom])
    if not isinstance(top, Blob) or None in top.shape:
        return [_refused(part, "it reads no axis below 0, and no num_axes: 0")]
    shape = {"dim": [0, *top.shape]}
    return [part.changed(part.blobs, "reshape_param", axis=[], num_axes=[], shape=shape)]


def _scale(part: Part, bottom: Known) -> List[Part]:
    """Along the channels: behind a Convolution OpenCV takes the factors of another axis for theirs. With two bottoms it adds nothing."""
    param, axes = part.layer.message.message("scale_param"), len(bottom.shape) + 1 if isinstance(bottom, Blob) else 0
    axis = param.whole("axis", 1)
    if len(part.blobs) and part.blobs[0].ndim == 0 and len(part.layer.bottoms) == 1:
        return _by_power(part)
    if len(part.layer.bottoms) > 1:
        return [part] if not param.flag("bias_term") else [_refused(part, "it reads no bias of two bottoms")]
    if axis < 0 < axes:
        axis, part = axis + axes, part.changed(part.blobs, "scale_param", axis=axis + axes)
    along_channels = axis == 1 and all(blob.ndim == 1 for blob in part.blobs)
    return [part if along_channels else _refused(part, "it takes factors for those of channels")]


def _by_power(part: Part) -> List[Part]:
    """One factor for all, and one number that is added, are a Power."""
    making = Making(part.layer, None, (), ())
    factor, *added = map(float, part.blobs)
    making.add("Power", part.layer.bottoms, making.y, power_param={"scale": factor, "shift": sum(added)})
    return making.parts


def _concat(part: Part, bottom: Known) -> List[Part]:
    """With `axis` for `concat_dim`, which OpenCV does not know."""
    message = part.layer.message.message("concat_param")
    if "concat_dim" not in message:
        return [part]
    return [part.changed(part.blobs, "concat_param", concat_dim=[], axis=message.whole("concat_dim"))]


def _lrn(part: Part, bottom: Known) -> List[Part]:
    """With k = 1, which is all that OpenCV and ncnn know: x / (k + a s)^b = k^-b x / (1 + a s / k)^b; and without defaults: OpenCV has others."""
    message = part.layer.message.message("lrn_param")
    k, alpha, beta = (float(message.get(name, value)) for name, value in (("k", 1), ("alpha", 1), ("beta", 0.75)))
    fields: Dict[str, Any] = {"local_size": message.whole("local_size", 5), "alpha": alpha, "beta": beta}
    if k == 1 or str(message.get("norm_region")) in ("WITHIN_CHANNEL", "1"):
        return [part.changed(part.blobs, "lrn_param", **fields)]
    making, param = Making(part.layer, None, (), ()), {field.name: field.value for field in message.fields}
    normalized = making.add("LRN", [making.x], lrn_param={**param, **fields, "k": 1, "alpha": alpha / k})
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
    if isinstance(bottom, Blob) and len(bottom.shape) < 3:
        return [_refused(part, "it gives as many axes as it takes, and Caffe gives 4")]
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
    "Reshape": _reshape,
    "BatchNorm": _batch_norm,
}
