"""The layers of this package that compute something in TEST, as nodes of ONNX. Margins are only there in TRAIN."""

import math
from typing import Callable, Dict, List, Sequence

import numpy as np

from caffe_pylayers.commands.export.layouts import dims
from caffe_pylayers.commands.export.onnx.graph import Tensor, count
from caffe_pylayers.commands.export.onnx.numbers import same_shapes
from caffe_pylayers.commands.export.onnx.shapes import product, same
from caffe_pylayers.commands.export.onnx.step import Step
from caffe_pylayers.commands.export.onnx.windows import pooling_nd

_TINY = float(np.finfo(np.float32).tiny)


def _unit(step: Step, x: Tensor, axes: Sequence[int], eps: float) -> Tensor:
    """x / sqrt(sum of x^2 over the axes + eps), 0 for a zero vector.

    x is divided by its largest number first, whose square may be beyond float32.
    """
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    peak = step.node("Max", step.node("ReduceMax", step.node("Abs", x), axes=list(axes), shape=shape), _TINY)
    y = step.node("Div", x, peak)
    squares = step.node("ReduceSum", step.node("Mul", y, y), list(axes), shape=shape)
    if eps:
        squares = step.node("Add", squares, step.node("Div", step.node("Div", eps, peak, shape=shape), peak))
    return step.node("Div", y, step.node("Max", step.node("Sqrt", squares), _TINY))


def l2_normalize(step: Step) -> List[Tensor]:
    options, shape = step.options, step.x.shape
    axis = step.axis(options.axis)
    y = _unit(step, step.x, range(axis, len(shape)) if options.across_spatial else [axis], options.eps)
    if options.scale is None:
        return [y]
    ones = (1,) * (len(shape) - axis - 1)
    return [step.node("Mul", y, step.blob(0, (shape[axis], *ones)))]


def normalize(step: Step) -> List[Tensor]:
    options, shape = step.options, step.x.shape
    y = _unit(step, step.x, range(step.axis(1), len(shape)) if options.across_spatial else [step.axis(1)], options.eps)
    factors = step.blob(0, () if options.channel_shared else (shape[1], *(1,) * (len(shape) - 2)))
    return [step.node("Mul", y, factors)]


def normalized_inner_product(step: Step) -> List[Tensor]:
    options, rows = step.options, step.x.shape[0]
    x = step.reshape(step.x, (rows, _features(step)))
    if options.normalize_x:
        x = _unit(step, x, [1], 0.0)
    y = product(step, x, 1, [_unit_rows(step.blob(0, (options.num_output * options.sub_centers, _features(step))))])
    if options.sub_centers == 1:
        return [y]
    each = step.reshape(y, (rows, options.num_output, options.sub_centers))
    return [step.node("ReduceMax", each, axes=[2], keepdims=0, shape=(rows, options.num_output))]


def _features(step: Step) -> int:
    return count((1, *step.x.shape[1:]))


def _unit_rows(vectors: np.ndarray) -> np.ndarray:
    """The vectors with length 1; those of length 0 stay."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def margin_inner_product(step: Step) -> List[Tensor]:
    """Products with unit vectors."""
    return _products(step, _unit_rows(_vectors(step)))


def large_margin_inner_product(step: Step) -> List[Tensor]:
    """Products with the vectors as they are."""
    return _products(step, _vectors(step))


def _vectors(step: Step) -> np.ndarray:
    return step.blob(0, (step.options.num_output, _features(step)))


def _products(step: Step, vectors: np.ndarray) -> List[Tensor]:
    """The products, and lambda as it is in TEST."""
    tops = [product(step, step.x, 1, [vectors])]
    if len(step.layer.tops) > 1:
        if step.options.resume:
            step.fail("its second top is lambda at the iteration of the training", "remove the second top")
        tops.append(step.graph.constant(step.layer.name, np.array([step.options.lambda_min], np.float32)))
    return tops


def permute(step: Step) -> List[Tensor]:
    shape, given = step.x.shape, list(step.options.order)
    if max(given) >= len(shape):
        step.fail(f"option 'order' has axis {max(given)}, but its bottom has {len(shape)} axes")
    order = [*given, *(axis for axis in range(len(shape)) if axis not in given)]
    if order[0]:
        step.axis(0)
    return [step.node("Transpose", step.x, perm=order, shape=tuple(shape[axis] for axis in order))]


def interp(step: Step) -> List[Tensor]:
    options, shape = step.options, step.x.shape
    sizes = step.spatial(2)
    if options.sized() == (len(step.bottoms) > 1):
        step.fail("either options or a second bottom must give its size")
    ends = [size + options.pad_end for size in sizes]
    cut = [end + options.pad_beg for end in ends]
    if len(sizes) != 2 or min(cut) < 1:
        step.fail(f"nothing is left of its bottom of {dims(sizes)}")
    wanted = list(map(step.known, step.bottoms[1].shape[2:])) if len(step.bottoms) > 1 else options.wanted(cut)
    x = step.x
    if cut != list(sizes):
        x = step.node("Slice", x, [-options.pad_beg] * 2, ends, [2, 3], shape=(*shape[:2], *cut))
    # The sizes are rounded down, so a little more is asked for. Where the numbers lie only depends on the sizes.
    scales = np.array([1, 1, *((new + 0.25) / old for new, old in zip(wanted, cut))], np.float32)
    about = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    return [step.node("Resize", x, None, scales, shape=(*shape[:2], *wanted), **about)]


def upsample(step: Step) -> List[Tensor]:
    """The numbers are scattered into zeros, whose first size is only known when the net runs."""
    (x, mask), options = step.bottoms[:2], step.options
    same_shapes(step, [x, mask])
    small, channels = step.spatial(2), step.known(x.shape[1])
    large = options.wanted(small)
    numbers, places = (step.reshape(each, (*x.shape[:2], math.prod(small))) for each in (x, mask))
    whole = (*x.shape[:2], math.prod(large))
    rows = step.node("Slice", step.node("Shape", x, shape=(4,)), [0], [1], shape=(1,))
    zeros = step.node(
        "ConstantOfShape", step.node("Concat", rows, [channels, math.prod(large)], axis=0, shape=(3,)), shape=whole
    )
    y = step.node("ScatterElements", zeros, step.node("Cast", places, to=7), numbers, axis=2, shape=whole)
    return [step.reshape(y, (*x.shape[:2], *large))]


def shuffle_channel(step: Step) -> List[Tensor]:
    shape, group = step.x.shape, step.options.group
    channels, rest = step.known(shape[1]), count((1, *shape[2:]))
    if channels % group:
        step.fail(f"{channels} channels are no multiple of group {group}")
    x = step.reshape(step.x, (shape[0], group, channels // group, rest))
    y = step.node("Transpose", x, perm=[0, 2, 1, 3], shape=(shape[0], channels // group, group, rest))
    return [step.reshape(y, shape)]


def axpy(step: Step) -> List[Tensor]:
    scale, x, y = step.bottoms
    same_shapes(step, [x, y])
    factors = step.reshape(scale, (*x.shape[:2], *(1,) * (len(x.shape) - 2)))
    return [step.node("Add", step.node("Mul", factors, x, shape=x.shape), y)]


def roi_pooling(step: Step) -> List[Tensor]:
    (x, rois), options = step.bottoms, step.options
    pooled = (options.pooled_h, options.pooled_w)
    regions = step.reshape(rois, (rois.shape[0], 5))
    shape = (rois.shape[0], x.shape[1], *pooled)
    return [step.node("MaxRoiPool", x, regions, shape=shape, pooled_shape=pooled, spatial_scale=options.spatial_scale)]


#: What `onnx` on the options class of a layer names.
OWN: Dict[str, Callable[[Step], List[Tensor]]] = {
    function.__name__: function
    for function in (
        l2_normalize, normalize, normalized_inner_product, margin_inner_product, large_margin_inner_product, same, permute, interp,
        upsample, shuffle_channel, axpy, roi_pooling, pooling_nd,
    )
}  # fmt: skip
