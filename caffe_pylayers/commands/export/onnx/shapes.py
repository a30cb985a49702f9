"""Layers that move numbers, and inner products, as nodes of ONNX."""

from typing import Callable, Dict, List, Sequence

import numpy as np

from caffe_pylayers.commands.export.layouts import dims
from caffe_pylayers.commands.export.onnx.graph import Rows, Shape, Size, Tensor, count, times
from caffe_pylayers.commands.export.onnx.step import Fields, Input, Step


def inner_product(step: Step) -> List[Tensor]:
    fields, shape = step.fields("inner_product_param"), step.x.shape
    outputs, axis = fields.integer("num_output"), step.axis(fields.integer("axis", 1))
    inputs, transposed = count((1, *shape[axis:])), fields.flag("transpose")
    weights = step.blob(0, (inputs, outputs) if transposed else (outputs, inputs))
    parameters: List[Input] = [weights]
    if fields.flag("bias_term", True):
        parameters.append(step.blob(1, (outputs,)))
    return [product(step, step.x, axis, parameters, transposed)]


def product(step: Step, x: Tensor, axis: int, parameters: Sequence[Input], transposed: bool = False) -> Tensor:
    """x, flattened from an axis on, times weights (out, in), or (in, out) if they are transposed; then a bias may follow."""
    weights = parameters[0]
    assert isinstance(weights, np.ndarray)
    inputs, outputs = weights.shape if transposed else weights.shape[::-1]
    samples = times(x.shape[0], count((1, *x.shape[1:axis])))
    rows = step.reshape(x, (samples, inputs))
    y = step.node("Gemm", rows, *parameters, transB=int(not transposed), shape=(samples, outputs))
    return step.reshape(y, (*x.shape[:axis], outputs))


def embed(step: Step) -> List[Tensor]:
    """Rows of the weights, by their numbers."""
    fields = step.fields("embed_param")
    size, outputs = fields.integer("input_dim"), fields.integer("num_output")
    shape = (*step.x.shape, outputs)
    y = step.node("Gather", step.blob(0, (size, outputs)), step.node("Cast", step.x, to=7), axis=0, shape=shape)
    return [step.node("Add", y, step.blob(1, (outputs,))) if fields.flag("bias_term", True) else y]


def same(step: Step) -> List[Tensor]:
    """What a layer does not change in TEST."""
    return [step.x] * len(step.layer.tops)


def concat(step: Step) -> List[Tensor]:
    fields = step.fields("concat_param")
    axis = step.axis(fields.integer("axis", fields.integer("concat_dim", 1)), samples=True)
    sizes = [tensor.shape[axis] for tensor in step.bottoms]
    others = {(*tensor.shape[:axis], *tensor.shape[axis + 1 :]) for tensor in step.bottoms}
    names = {size.name if isinstance(size, Rows) else "" for size in sizes}
    if len(others) > 1 or len(names) > 1:
        shapes = ", ".join(dims(tensor.shape) for tensor in step.bottoms)
        step.fail(f"its bottoms have shapes {shapes}, which do not fit along axis {axis}")
    whole = times(
        sizes[0]._replace(times=1) if isinstance(sizes[0], Rows) else 1, sum(count((size,)) for size in sizes)
    )
    shape = (*step.x.shape[:axis], whole, *step.x.shape[axis + 1 :])
    return [step.node("Concat", *step.bottoms, axis=axis, shape=shape)]


def slices(step: Step) -> List[Tensor]:
    fields, number = step.fields("slice_param"), len(step.layer.tops)
    axis = step.axis(fields.integer("axis", fields.integer("slice_dim", 1)))
    size = step.known(step.x.shape[axis])
    points = fields.integers("slice_point") or [size * i // number for i in range(1, number)]
    sizes = [end - start for start, end in zip([0, *points], [*points, size])]
    if len(sizes) != number or min(sizes) < 1 or (size % number and "slice_point" not in fields):
        step.fail(f"{size} along axis {axis} cannot be cut at {points} into {number} tops")
    shapes = [(*step.x.shape[:axis], each, *step.x.shape[axis + 1 :]) for each in sizes]
    return step.nodes("Split", [step.x, sizes], shapes, axis=axis)


def flatten(step: Step) -> List[Tensor]:
    fields, shape = step.fields("flatten_param"), step.x.shape
    axis = step.axis(fields.integer("axis", 1), samples=True)
    end = step.axis(fields.integer("end_axis", -1), samples=True) + 1
    whole = times(shape[axis], count((1, *shape[axis + 1 : end])))
    return [step.reshape(step.x, (*shape[:axis], whole, *shape[end:]))]


def reshape(step: Step) -> List[Tensor]:
    """Axes from one on, some or all, become others: 0 stands for the size that was there, -1 for what is left."""
    fields, shape = step.fields("reshape_param"), step.x.shape
    axis, num_axes = fields.integer("axis", 0), fields.integer("num_axes", -1)
    axis += len(shape) + 1 if axis < 0 else 0
    end = len(shape) if num_axes == -1 else axis + num_axes
    if not 0 <= axis <= end <= len(shape):
        step.fail(f"axis {axis} and num_axes {num_axes} do not fit its bottom of {len(shape)} axes")
    wanted = Fields(step.layer, fields.message.message("shape")).integers("dim") if "shape" in fields else []
    if any(dim == 0 and axis + place >= len(shape) for place, dim in enumerate(wanted)) or wanted.count(-1) > 1:
        step.fail(f"shape {wanted} does not fit its bottom of {len(shape)} axes")
    new: List[Size] = [shape[axis + place] if dim == 0 else dim for place, dim in enumerate(wanted)]
    left = _left(step, shape[axis:end], new)
    return [step.reshape(step.x, (*shape[:axis], *(left if size == -1 else size for size in new), *shape[end:]))]


def _left(step: Step, old: Shape, new: Sequence[Size]) -> Size:
    """What -1 stands for in a new shape; 1 where it has none. Fails where samples would not stay along the first axis."""
    rows = [size for size in old if isinstance(size, Rows)]
    kept = [size for size in new if isinstance(size, Rows)]
    if rows and not kept and list(new[:1]) != [-1]:
        step.fail(
            "it gives the number of samples a place that is not the first, or a fixed size",
            "write 0 for the first dim, which keeps the samples where they are",
        )
    rest, whole = count(tuple(size for size in new if size != -1)), count(tuple(old))
    left = whole // rest if rest else 0
    if rest * (left if -1 in new else 1) != whole:
        step.fail(f"{whole} numbers per sample do not fit the shape {dims(new)}")
    return rows[0]._replace(times=left) if rows and not kept else left


def crop(step: Step) -> List[Tensor]:
    """The first bottom, cut to the size of the second from an axis on."""
    fields, (x, like) = step.fields("crop_param"), step.bottoms
    axis, offsets = step.axis(fields.integer("axis", 2)), fields.integers("offset")
    number = len(x.shape) - axis
    if len(offsets) not in (0, 1, number) or len(like.shape) != len(x.shape):
        step.fail(
            f"{len(offsets)} offsets and bottoms of {len(x.shape)} and {len(like.shape)} axes do not fit axis {axis}"
        )
    starts = (offsets or [0]) * number if len(offsets) < 2 else offsets
    ends = [start + step.known(size) for start, size in zip(starts, like.shape[axis:])]
    if any(end > step.known(size) for end, size in zip(ends, x.shape[axis:])):
        step.fail("its first bottom is too small for its second")
    shape = (*x.shape[:axis], *like.shape[axis:])
    return [
        x if shape == x.shape else step.node("Slice", x, starts, ends, list(range(axis, len(x.shape))), shape=shape)
    ]


def tile(step: Step) -> List[Tensor]:
    fields, shape = step.fields("tile_param"), step.x.shape
    axis, tiles = step.axis(fields.integer("axis", 1), samples=True), fields.integer("tiles")
    repeats = [tiles if place == axis else 1 for place in range(len(shape))]
    return [step.node("Tile", step.x, repeats, shape=(*shape[:axis], times(shape[axis], tiles), *shape[axis + 1 :]))]


def parameter(step: Step) -> List[Tensor]:
    """A learned blob."""
    sizes = [int(size) for size in step.layer.message.message("parameter_param").message("shape").all("dim")]
    return [step.graph.constant(step.layer.name, step.blob(0, sizes))]


#: Caffe's types -> their nodes.
SHAPES: Dict[str, Callable[[Step], List[Tensor]]] = {
    "InnerProduct": inner_product, "Embed": embed, "Split": same, "Dropout": same, "Concat": concat, "Slice": slices,
    "Flatten": flatten, "Reshape": reshape, "Crop": crop, "Tile": tile, "Parameter": parameter,
}  # fmt: skip
