"""Convolution, deconvolution, pooling and what is made of pooling, as nodes of ONNX."""

import math
from dataclasses import replace
from typing import List, Sequence, Tuple

import numpy as np

from caffe_pylayers.commands.export.layouts import dims
from caffe_pylayers.commands.export.onnx.graph import Shape, Tensor
from caffe_pylayers.commands.export.onnx.step import Input, Step
from caffe_pylayers.commands.export.windows import PARAMS, Window, window_of

_WINDOW_FIELDS = (
    "kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w", "pad", "pad_h", "pad_w", "dilation",
    "global_pooling", "round_mode",
)  # fmt: skip
_POOLS = ("MAX", "AVE", "STOCHASTIC")


def _window(step: Step, num_axes: int) -> Window:
    step.fields(PARAMS[step.layer.type]).asked.update(_WINDOW_FIELDS)
    return window_of(step.layer, num_axes)


def convolution(step: Step) -> List[Tensor]:
    """Convolution and Deconvolution, each bottom for a top of its own: their weights lie in ONNX as in Caffe."""
    return [_convolved(replace(step, bottoms=[bottom])) for bottom in step.bottoms]


def _convolved(step: Step) -> Tensor:
    fields, spatial = step.fields("convolution_param"), step.spatial()
    if step.axis(fields.integer("axis", 1)) != 1:
        step.fail(f"its channels lie along axis {fields.integer('axis')}, but ONNX has them along axis 1")
    channels, outputs = step.known(step.x.shape[1]), fields.integer("num_output")
    group, window = fields.integer("group", 1), _window(step, len(spatial))
    if group < 1 or channels % group or outputs % group:
        step.fail(f"{channels} channels and num_output {outputs} are not multiples of group {group}")
    sides = (channels, outputs // group) if window.up else (outputs, channels // group)
    parameters: List[Input] = [step.blob(0, (*sides, *window.kernel))]
    if fields.flag("bias_term", True):
        parameters.append(step.blob(1, (outputs,)))
    op = "ConvTranspose" if window.up else "Conv"
    shape = (step.x.shape[0], outputs, *_sizes(step, window, spatial))
    about = {"strides": window.stride, "pads": window.pad * 2, "dilations": window.dilation}
    return step.node(op, step.x, *parameters, shape=shape, kernel_shape=window.kernel, group=group, **about)


def pooling(step: Step) -> List[Tensor]:
    """Pooling, with the mask of the maxima where there is a second top."""
    kind = step.fields("pooling_param").choice("pool", _POOLS)
    if len(step.spatial(2)) != 2:
        step.fail(f"its bottom has {len(step.x.shape)} axes, but Caffe pools images, of 4 axes")
    return pooled(step, step.x, _window(step, 2), kind, mask=len(step.layer.tops) > 1)


def pooled(step: Step, x: Tensor, window: Window, kind: str, mask: bool = False) -> List[Tensor]:
    """x pooled over all axes behind the channels, and the mask if wanted."""
    spatial = tuple(map(step.known, x.shape[2:]))
    if not window.kernel:
        ones = (1,) * len(spatial)
        window = Window(spatial, ones, (0,) * len(spatial), ones, pooling=True, rounds_up=True)
    shape = (*x.shape[:2], *_sizes(step, window, spatial))
    if kind == "AVE":
        return [_mean(step, x, window, shape)]
    if kind != "MAX":
        step.fail(f"pool {kind} is not in ONNX", "use MAX or AVE")
    about = {"kernel_shape": window.kernel, "strides": window.stride, "pads": _pads(window, spatial)}
    about.update({"dilations": window.dilation} if max(window.dilation) > 1 else {})
    if not mask:
        return [step.node("MaxPool", x, shape=shape, **about)]
    y, places = step.nodes("MaxPool", [x], [shape, shape], **about)
    # ONNX counts places through all maps of all images, Caffe in each map.
    return [y, step.node("Cast", step.node("Mod", places, [math.prod(spatial)]), to=1)]


def _mean(step: Step, x: Tensor, window: Window, shape: Shape) -> Tensor:
    """Caffe divides by the part of a window that lies in x and its padding, so that the last windows have less."""
    spatial, pads = tuple(map(step.known, x.shape[2:])), _pads(window, tuple(map(step.known, x.shape[2:])))
    share = np.ones((), np.float32)
    for axis, (size, number) in enumerate(zip(spatial, shape[2:])):
        starts = np.arange(step.known(number)) * window.stride[axis] - window.pad[axis]
        inside = -(-(size + window.pad[axis] - starts) // window.dilation[axis])
        share = share[..., None] * (window.kernel[axis] / np.minimum(window.kernel[axis], inside)).astype(np.float32)
    if max(window.dilation) > 1:
        # Only Conv has windows with gaps in this version of ONNX: with one channel, so that each is an image of its own.
        weights = np.full((1, 1, *window.kernel), 1 / math.prod(window.kernel), np.float32)
        about = {"strides": window.stride, "pads": pads, "dilations": window.dilation}
        each = step.node("Reshape", x, [-1, 1, *spatial], shape=x.shape)
        y = step.reshape(step.node("Conv", each, weights, shape=(), **about), shape)
    else:
        about = {"kernel_shape": window.kernel, "strides": window.stride, "pads": pads}
        y = step.node("AveragePool", x, shape=shape, count_include_pad=1, **about)
    return y if np.all(share == 1) else step.node("Mul", y, share)


def _sizes(step: Step, window: Window, spatial: Tuple[int, ...]) -> List[int]:
    """How many windows there are along each axis."""
    sizes = []
    for axis, found in enumerate(window.sizes(spatial)):
        number = found or 0
        if number < 1 or (window.pooling and (number - 1) * window.stride[axis] >= spatial[axis] + window.pad[axis]):
            step.fail(f"a window of {window.kernel[axis]} does not fit its bottom of {dims(spatial)}")
        sizes.append(number)
    return sizes


def _pads(window: Window, spatial: Tuple[int, ...]) -> Sequence[int]:
    """The padding before each axis, then that behind each."""
    before, behind = zip(*(window.padding(spatial) or ()))
    return (*before, *behind)


def lrn(step: Step) -> List[Tensor]:
    """Local response normalization, across channels or within each."""
    fields, spatial = step.fields("lrn_param"), step.spatial(2)
    size = fields.integer("local_size", 5)
    alpha, beta, bias = fields.number("alpha", 1.0), fields.number("beta", 0.75), fields.number("k", 1.0)
    if size % 2 == 0:
        step.fail(f"local_size must be odd, not {size}")
    if fields.choice("norm_region", ("ACROSS_CHANNELS", "WITHIN_CHANNEL")) == "ACROSS_CHANNELS":
        return [step.node("LRN", step.x, alpha=alpha, beta=beta, bias=bias, size=size)]
    ones, sides = (1,) * len(spatial), (size,) * len(spatial)
    window = Window(sides, ones, (size // 2,) * len(spatial), ones, pooling=True, rounds_up=True)
    mean = pooled(step, step.node("Mul", step.x, step.x), window, "AVE")[0]
    powers = step.node("Pow", step.node("Add", step.node("Mul", mean, alpha), 1.0), -beta)
    return [step.node("Mul", step.x, powers)]


def spp(step: Step) -> List[Tensor]:
    """Pools of 1, 2 x 2, 4 x 4 ... bins, one behind the other."""
    fields, spatial = step.fields("spp_param"), step.spatial(2)
    kind, height = fields.choice("pool", _POOLS), fields.integer("pyramid_height")
    rows, flat = step.x.shape[0], []
    for level in range(height):
        bins = 2**level
        kernel = tuple(-(-size // bins) for size in spatial)
        pad = tuple((bins * side - size + 1) // 2 for side, size in zip(kernel, spatial))
        if any(each >= side for each, side in zip(pad, kernel)):
            step.fail(f"its bottom of {dims(spatial)} is too small for {bins} x {bins} bins")
        window = Window(kernel, kernel, pad, (1,) * len(spatial), pooling=True, rounds_up=True)
        (y,) = pooled(step, step.x, window, kind)
        flat.append(y if height == 1 else step.reshape(y, (rows, math.prod(map(step.known, y.shape[1:])))))
    if height == 1:
        return flat
    return [step.node("Concat", *flat, axis=1, shape=(rows, sum(step.known(y.shape[1]) for y in flat)))]


def pooling_nd(step: Step) -> List[Tensor]:
    """PoolingND: what lies before its channels counts as samples."""
    options, shape = step.options, step.x.shape
    axis = step.axis(options.axis, samples=True)
    spatial = tuple(map(step.known, shape[axis + 1 :]))
    if not 1 <= len(spatial) <= 3:
        step.fail(f"it pools {len(spatial)} axes, but ONNX pools 1 to 3")

    def per_axis(name: str, short: str, default: int) -> Tuple[int, ...]:
        numbers = options.per_axis(name, short, default)
        if len(numbers) not in (1, len(spatial)):
            step.fail(f"option {name!r} has {len(numbers)} numbers for {len(spatial)} axes")
        return numbers if len(numbers) == len(spatial) else numbers * len(spatial)

    window = Window((), (), (), (), pooling=True)
    if not options.global_pooling:
        window = Window(
            per_axis("kernel_size", "kernel", 1),
            per_axis("stride", "stride", 1),
            per_axis("pad", "pad", 0),
            per_axis("kstride", "kstride", 1),
            pooling=True,
            rounds_up=True,
            begins_inside=True,
        )
    x = step.x if axis == 1 else step.node("Reshape", step.x, [-1, 1, *spatial], shape=(shape[0], 1, *spatial))
    tops = pooled(step, x, window, options.pool, mask=len(step.layer.tops) > 1)
    return [step.reshape(top, (*shape[: axis + 1], *top.shape[2:])) for top in tops]


#: Caffe's types -> their nodes.
WINDOWS = {
    "Convolution": convolution, "Deconvolution": convolution, "Pooling": pooling, "LRN": lrn, "SPP": spp,
}  # fmt: skip
