"""Layers that compute number by number, or normalize, as nodes of ONNX."""

import math
from typing import Callable, Dict, List, Sequence

import numpy as np

from caffe_pylayers.commands.export.layouts import caffe_arrays, dims
from caffe_pylayers.commands.export.onnx.graph import Shape, Tensor, count
from caffe_pylayers.commands.export.onnx.step import Step


def _plain(op: str) -> Callable[[Step], List[Tensor]]:
    """What is one operator without options."""
    return lambda step: [step.node(op, step.x)]


def relu(step: Step) -> List[Tensor]:
    slope = step.fields("relu_param").number("negative_slope", 0.0)
    return [step.node("LeakyRelu", step.x, alpha=slope) if slope else step.node("Relu", step.x)]


def prelu(step: Step) -> List[Tensor]:
    """One slope, or one per channel."""
    shape = (1,) * len(step.x.shape)
    if not step.fields("prelu_param").flag("channel_shared"):
        shape = (1, step.known(step.x.shape[1]), *shape[2:])
    return [step.node("PRelu", step.x, step.blob(0, shape))]


def elu(step: Step) -> List[Tensor]:
    return [step.node("Elu", step.x, alpha=step.fields("elu_param").number("alpha", 1.0))]


def power(step: Step) -> List[Tensor]:
    """(shift + scale x) ^ power."""
    fields = step.fields("power_param")
    y, exponent = _linear(step, fields.number("scale", 1.0), fields.number("shift", 0.0)), fields.number("power", 1.0)
    return [y if exponent == 1 else step.node("Pow", y, exponent)]


def _linear(step: Step, scale: float, shift: float = 0.0) -> Tensor:
    """scale x + shift."""
    y = step.x if scale == 1 else step.node("Mul", step.x, scale)
    return y if shift == 0 else step.node("Add", y, shift)


def exponential(step: Step) -> List[Tensor]:
    """base ^ (shift + scale x)."""
    fields = step.fields("exp_param")
    logarithm = _log_of_base(step, fields.number("base", -1.0))
    scale, shift = logarithm * fields.number("scale", 1.0), logarithm * fields.number("shift", 0.0)
    return [step.node("Exp", _linear(step, scale, shift))]


def logarithm(step: Step) -> List[Tensor]:
    """log(shift + scale x) to the base."""
    fields = step.fields("log_param")
    base = _log_of_base(step, fields.number("base", -1.0))
    if base == 0:
        step.fail("base must not be 1")
    y = step.node("Log", _linear(step, fields.number("scale", 1.0), fields.number("shift", 0.0)))
    return [y if base == 1 else step.node("Mul", y, 1 / base)]


def _log_of_base(step: Step, base: float) -> float:
    """The logarithm of a base; -1 stands for e."""
    if base != -1 and base <= 0:
        step.fail(f"base must be above 0, or -1 for e, not {base:g}")
    return 1.0 if base == -1 else math.log(base)


def clip(step: Step) -> List[Tensor]:
    fields = step.fields("clip_param")
    return [step.node("Clip", step.x, fields.number("min", -math.inf), fields.number("max", math.inf))]


def swish(step: Step) -> List[Tensor]:
    """x sigmoid(beta x)."""
    gate = step.node("Sigmoid", _linear(step, step.fields("swish_param").number("beta", 1.0)))
    return [step.node("Mul", step.x, gate)]


def threshold(step: Step) -> List[Tensor]:
    above = step.node("Greater", step.x, step.fields("threshold_param").number("threshold", 0.0))
    return [step.node("Cast", above, to=1)]


def softmax(step: Step) -> List[Tensor]:
    return [step.node("Softmax", step.x, axis=step.axis(step.fields("softmax_param").integer("axis", 1)))]


def batch_norm(step: Step) -> List[Tensor]:
    """With the means and variances of the training."""
    fields, shape = step.fields("batch_norm_param"), step.x.shape
    if not fields.flag("use_global_stats", True):
        step.fail("it takes mean and variance of each batch", "remove use_global_stats: false")
    channels = (step.known(shape[1]) if len(shape) > 1 else 1,)
    blobs = [step.blob(0, channels), step.blob(1, channels), step.blob(2, (1,))]
    arrays = caffe_arrays("BatchNorm", blobs)
    x = step.reshape(step.x, (*shape, 1)) if len(shape) == 1 else step.x
    ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    parameters = (ones, zeros, arrays["mean"], arrays["variance"])
    y = step.node("BatchNormalization", x, *parameters, epsilon=fields.number("eps", 1e-5))
    return [step.reshape(y, shape)]


def scale(step: Step) -> List[Tensor]:
    """Factors for the indices of some axes: learned, or a second bottom; a learned bias if there is one."""
    fields, learned = step.fields("scale_param"), len(step.bottoms) == 1
    axis, num_axes = fields.integer("axis", 1), fields.integer("num_axes", 1)
    factors = _learned(step, 0, axis, num_axes) if learned else _beside(step, axis)
    y = step.node("Mul", step.x, factors)
    if not fields.flag("bias_term"):
        return [y]
    num_axes = num_axes if learned else len(step.bottoms[1].shape)
    return [step.node("Add", y, _learned(step, int(learned), axis, num_axes))]


def bias(step: Step) -> List[Tensor]:
    fields, learned = step.fields("bias_param"), len(step.bottoms) == 1
    axis = fields.integer("axis", 1)
    num_axes = fields.integer("num_axes", 1)
    return [step.node("Add", step.x, _learned(step, 0, axis, num_axes) if learned else _beside(step, axis))]


def _learned(step: Step, number: int, axis: int, num_axes: int) -> np.ndarray:
    """A blob with a number per index of `num_axes` axes from `axis` on, -1 for all, shaped to fit x."""
    if not num_axes:
        return step.blob(number, ())
    axis = step.axis(axis, samples=True)
    shape = step.x.shape[axis:] if num_axes < 0 else step.x.shape[axis : axis + num_axes]
    ones = (1,) * (len(step.x.shape) - axis - len(shape))
    return step.blob(number, (*shape, *ones))


def _beside(step: Step, axis: int) -> Tensor:
    """The second bottom, shaped to fit x from an axis on."""
    second, x = step.bottoms[1], step.x
    if not second.shape:
        return second
    axis = step.axis(axis, samples=True)
    if x.shape[axis : axis + len(second.shape)] != second.shape:
        shapes = " and ".join(dims(each.shape) for each in (x, second))
        step.fail(f"its bottoms of {shapes} do not fit at axis {axis}")
    return step.reshape(second, (*second.shape, *(1,) * (len(x.shape) - axis - len(second.shape))))


def eltwise(step: Step) -> List[Tensor]:
    """Products, sums with coefficients, or maxima."""
    fields = step.fields("eltwise_param")
    operation = fields.choice("operation", ("PROD", "SUM", "MAX")) if "operation" in fields else "SUM"
    coefficients = fields.numbers("coeff")
    same_shapes(step, step.bottoms)
    if operation == "MAX":
        return [step.node("Max", *step.bottoms)]
    if coefficients and (operation == "PROD" or len(coefficients) != len(step.bottoms)):
        step.fail(f"{len(coefficients)} coefficients of operation {operation} for {len(step.bottoms)} bottoms")
    terms = [
        tensor if factor == 1 else step.node("Mul", tensor, factor)
        for tensor, factor in zip(step.bottoms, coefficients or [1.0] * len(step.bottoms))
    ]
    if operation == "SUM":
        return [step.node("Sum", *terms)]
    y = terms[0]
    for term in terms[1:]:
        y = step.node("Mul", y, term)
    return [y]


def same_shapes(step: Step, tensors: Sequence[Tensor]) -> None:
    """Fail where tensors have not one shape."""
    if len({tensor.shape for tensor in tensors}) > 1:
        shapes = ", ".join(dims(tensor.shape) for tensor in tensors)
        step.fail(f"its bottoms have shapes {shapes}, but one shape is needed")


def mvn(step: Step) -> List[Tensor]:
    """Mean and, if wanted, variance taken out, of each channel or of each sample. Caffe gives 4 axes for less too."""
    fields, shape = step.fields("mvn_param"), step.x.shape
    images: Shape = (*shape, *(1,) * (4 - len(shape)))
    x, axes = step.reshape(step.x, images), [1, 2, 3] if fields.flag("across_channels") else [2, 3]
    y, eps = step.node("Sub", x, step.node("ReduceMean", x, axes=axes, shape=images)), fields.number("eps", 1e-9)
    if fields.flag("normalize_variance", True):
        variance = step.node("ReduceMean", step.node("Mul", y, y), axes=axes, shape=images)
        deviation = step.node("Add", step.node("Sqrt", variance), eps)
        y = step.node("Div", y, deviation)
    return [y]


def reduction(step: Step) -> List[Tensor]:
    """Sums or means over all axes from one on."""
    fields, shape = step.fields("reduction_param"), step.x.shape
    operation = fields.choice("operation", ("SUM", "ASUM", "SUMSQ", "MEAN"), first=1)
    axis = step.axis(fields.integer("axis", 0))
    factor = fields.number("coeff", 1.0) / (count((1, *shape[axis:])) if operation == "MEAN" else 1)
    x = step.x
    if operation == "ASUM":
        x = step.node("Abs", x)
    elif operation == "SUMSQ":
        x = step.node("Mul", x, x)
    y = step.node("ReduceSum", x, list(range(axis, len(shape))), shape=shape[:axis], keepdims=0)
    return [y if factor == 1 else step.node("Mul", y, factor)]


def argmax(step: Step) -> List[Tensor]:
    """The places of the largest numbers, or their values, along an axis; without one over all of a sample, both if wanted."""
    fields, shape = step.fields("argmax_param"), step.x.shape
    top_k, values_too = fields.integer("top_k", 1), fields.flag("out_max_val")
    if "axis" in fields:
        axis = step.axis(fields.integer("axis"))
        values, places = _largest(step, step.x, axis, top_k)
        return [values if values_too else places]
    rows = shape[0]
    values, places = _largest(step, step.reshape(step.x, (rows, count((1, *shape[1:])))), 1, top_k)
    ones = (1,) * (max(len(shape), 3) - 3)
    places, values = (step.reshape(each, (rows, 1, top_k, *ones)) for each in (places, values))
    return [step.node("Concat", places, values, axis=1, shape=(rows, 2, top_k, *ones)) if values_too else places]


def _largest(step: Step, x: Tensor, axis: int, top_k: int) -> List[Tensor]:
    """The largest numbers along an axis, and their places. Of equal numbers Caffe takes the last first, ONNX the first."""
    size = step.known(x.shape[axis])
    if not 1 <= top_k <= size:
        step.fail(f"top_k must be from 1 to {size}, not {top_k}")
    backwards = step.node("Gather", x, np.arange(size)[::-1], axis=axis, shape=x.shape)
    shape = (*x.shape[:axis], top_k, *x.shape[axis + 1 :])
    values, places = step.nodes("TopK", [backwards, [top_k]], [shape, shape], axis=axis)
    return [values, step.node("Sub", float(size - 1), step.node("Cast", places, to=1), shape=shape)]


#: Caffe's types -> their nodes.
NUMBERS: Dict[str, Callable[[Step], List[Tensor]]] = {
    "ReLU": relu, "PReLU": prelu, "ELU": elu, "Sigmoid": _plain("Sigmoid"), "TanH": _plain("Tanh"), "AbsVal": _plain("Abs"),
    "BNLL": _plain("Softplus"), "Power": power, "Exp": exponential, "Log": logarithm, "Clip": clip, "Swish": swish,
    "Threshold": threshold, "Softmax": softmax, "BatchNorm": batch_norm, "Scale": scale, "Bias": bias, "Eltwise": eltwise,
    "MVN": mvn, "Reduction": reduction, "ArgMax": argmax,
}  # fmt: skip
