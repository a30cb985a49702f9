"""The shapes of a net's blobs, found without Caffe, and in which order flat blobs hold what was an image."""

from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.prototxt import Message
from caffe_pylayers.commands.export.fed_shapes import fed_shapes
from caffe_pylayers.commands.export.windows import PARAMS, Size, whole_number, whole_numbers, window_of
from caffe_pylayers.errors import ConfigError


@dataclass(frozen=True)
class Blob:
    """A blob without its first axis, the samples.

    shape: (channels, height, width) of images, (numbers,) where it is flat; None for a size that is not known.
    parts: of a flat blob: the shapes that were flattened and lie in it one behind the other.
    """

    shape: Tuple[Size, ...]
    parts: Tuple[Tuple[Size, ...], ...] = ()

    @property
    def flattened(self) -> Tuple[Tuple[Size, ...], ...]:
        """The parts of it when it is flattened."""
        return self.parts if len(self.shape) == 1 else (self.shape,)


@dataclass(frozen=True)
class Unknown:
    """A blob of which nothing is known, and why."""

    why: str


Known = Union[Blob, Unknown]


def flat(size: Size) -> Blob:
    """A blob of so many numbers that are no image's."""
    return Blob((size,), ((size,),))


def shapes_of(layers: Sequence[Layer], given: Mapping[str, Sequence[int]]) -> List[Tuple[List[Known], List[Known]]]:
    """The bottoms and tops of each layer of a net, in order. given: shapes (without the samples) of some blobs by name."""
    blobs: Dict[str, Known] = {}
    found = []
    for layer in layers:
        bottoms = [blobs.get(name, Unknown(f"no layer gives blob {name!r}")) for name in layer.bottoms]
        tops = shapes_of_tops(layer, bottoms)
        for number, name in enumerate(layer.tops):
            if name in given:
                shape = tuple(given[name])
                tops[number] = flat(shape[0]) if len(shape) == 1 else Blob(shape)
            blobs[name] = tops[number]
        found.append((bottoms, tops))
    return found


def shapes_of_tops(layer: Layer, bottoms: Sequence[Known]) -> List[Known]:
    """The tops of a layer, from its bottoms."""
    number = len(layer.tops)
    nothing: List[Known] = [Unknown(f"layer {layer.name!r} (type {layer.type}) gives it")] * number
    if layer.type in _SOURCES:
        return (_SOURCES[layer.type](layer) + nothing)[:number]
    if not bottoms:
        return ([Blob(shape) for shape in fed_shapes(layer)] + nothing)[:number]
    if layer.type == "Slice":
        return (_slices(layer, bottoms[0]) + nothing)[:number]
    if layer.type in _SAME or _works_in_place(layer):
        return [bottoms[0]] * number
    rule = _RULES.get(layer.type)
    return [rule(layer, bottoms)] * number if rule else nothing


#: Types whose tops are of the first bottom's shape, in its order.
_SAME = {
    "AbsVal", "BNLL", "BatchNorm", "Bias", "Clip", "Dropout", "ELU", "Exp", "LRN", "Log", "PReLU", "Power", "ReLU", "Scale",
    "Sigmoid", "Softmax", "Split", "Swish", "TanH", "Threshold",
}  # fmt: skip


def _works_in_place(layer: Layer) -> bool:
    """Whether it is a layer of this package whose top has the shape of its bottom."""
    if not layer.own:
        return False
    from caffe_pylayers import config

    try:
        return config.load(layer.own, layer.python[2]).works_in_place()
    except ConfigError:
        return False


def _input(layer: Layer) -> List[Known]:
    param = layer.message.message("input_param" if layer.type == "Input" else "dummy_data_param")
    shapes = param.all("shape")
    return [_of_dims(layer, shape) for shape in (shapes * len(layer.tops) if len(shapes) == 1 else shapes)]


def _memory(layer: Layer) -> List[Known]:
    param = layer.message.message("memory_data_param")
    return [Blob(tuple(whole_number(layer, param, name) for name in ("channels", "height", "width")))]


_SOURCES: Dict[str, Callable[[Layer], List[Known]]] = {"Input": _input, "DummyData": _input, "MemoryData": _memory}


def _of_dims(layer: Layer, shape: Message) -> Known:
    dims = whole_numbers(layer, shape, "dim")[1:]
    return flat(dims[0]) if len(dims) == 1 else Blob(tuple(dims))


def _mvn(layer: Layer, bottoms: Sequence[Known]) -> Known:
    """It gives images for rows too."""
    bottom = bottoms[0]
    return Blob((*bottom.shape, *(1,) * (3 - len(bottom.shape)))) if isinstance(bottom, Blob) else bottom


def _windows(layer: Layer, bottoms: Sequence[Known]) -> Known:
    bottom = bottoms[0]
    spatial = bottom.shape[1:] if isinstance(bottom, Blob) else (None, None)
    param = layer.message.message(PARAMS[layer.type])
    if layer.type == "Pooling":
        channels = bottom.shape[0] if isinstance(bottom, Blob) else None
    elif whole_number(layer, param, "axis", 1) not in (1, 1 - (len(spatial) + 1)):
        return Unknown(f"layer {layer.name!r} (type {layer.type}, axis {param.get('axis')}) gives it")
    else:
        channels = whole_number(layer, param, "num_output")
    return Blob((channels, *window_of(layer, len(spatial)).sizes(spatial)))


def _inner_product(layer: Layer, bottoms: Sequence[Known]) -> Known:
    param = layer.message.message("inner_product_param")
    num_output, axis = whole_number(layer, param, "num_output"), whole_number(layer, param, "axis", 1)
    if axis == 1:
        return flat(num_output)
    bottom = bottoms[0]
    if isinstance(bottom, Unknown):
        return bottom
    kept = bottom.shape[: (axis if axis > 0 else axis + len(bottom.shape) + 1) - 1]
    return Blob((*kept, num_output)) if kept else flat(num_output)


def _flatten(layer: Layer, bottoms: Sequence[Known]) -> Known:
    param, bottom = layer.message.message("flatten_param"), bottoms[0]
    if isinstance(bottom, Unknown):
        return bottom
    if whole_number(layer, param, "axis", 1) != 1 or whole_number(layer, param, "end_axis", -1) not in (
        -1,
        len(bottom.shape),
    ):
        return Unknown(f"layer {layer.name!r} (type Flatten) flattens some of the axes")
    return Blob((_count(bottom.shape),), bottom.flattened)


def _reshape(layer: Layer, bottoms: Sequence[Known]) -> Known:
    param, bottom = layer.message.message("reshape_param"), bottoms[0]
    dims = whole_numbers(layer, param.message("shape"), "dim")
    if isinstance(bottom, Unknown):
        return bottom
    first, number = whole_number(layer, param, "axis", 0), whole_number(layer, param, "num_axes", -1)
    first += len(bottom.shape) + 2 if first < 0 else 0
    if first == 0 and number == -1 and dims[:1] == [0]:
        first, dims = 1, dims[1:]
    size, last = _count(bottom.shape), first - 1 + number if number >= 0 else len(bottom.shape)
    if first < 1 or size is None or (number < 0 and not dims):
        return Unknown(f"layer {layer.name!r} (type Reshape) gives it")
    replaced = [bottom.shape[first - 1 + i] if dim == 0 else dim for i, dim in enumerate(dims)]
    shape = [*bottom.shape[: first - 1], *replaced, *bottom.shape[last:]]
    rest = _count(tuple(dim for dim in shape if dim != -1)) or 1
    shape = [size // rest if dim == -1 else dim for dim in shape]
    return Blob((size,), bottom.flattened) if len(shape) == 1 else Blob(tuple(shape))


def _concat(layer: Layer, bottoms: Sequence[Known]) -> Known:
    param = layer.message.message("concat_param")
    axis = whole_number(layer, param, "axis", whole_number(layer, param, "concat_dim", 1))
    blobs: List[Blob] = []
    for bottom in bottoms:
        if isinstance(bottom, Unknown):
            return bottom
        blobs.append(bottom)
    ranks = {len(blob.shape) for blob in blobs}
    axis = axis if axis > 0 else axis + min(ranks) + 1
    if len(ranks) > 1 or not 1 <= axis <= min(ranks):
        return Unknown(f"layer {layer.name!r} (type Concat, axis {axis}) gives it")
    sizes = [blob.shape[axis - 1] for blob in blobs]
    shape = list(blobs[0].shape)
    shape[axis - 1] = None if None in sizes else sum(size for size in sizes if size is not None)
    return Blob(tuple(shape), tuple(part for blob in blobs for part in blob.parts))


def _slices(layer: Layer, bottom: Known) -> List[Known]:
    param, number = layer.message.message("slice_param"), len(layer.tops)
    axis = whole_number(layer, param, "axis", whole_number(layer, param, "slice_dim", 1))
    why = Unknown(f"layer {layer.name!r} (type Slice, axis {axis}) gives it")
    size = bottom.shape[0] if isinstance(bottom, Blob) else None
    if isinstance(bottom, Unknown) or size is None or axis not in (1, -len(bottom.shape)):
        return [bottom if isinstance(bottom, Unknown) else why] * number
    points = whole_numbers(layer, param, "slice_point") or [size * i // number for i in range(1, number)]
    sizes = [end - start for start, end in zip([0, *points], [*points, size])]
    if len(bottom.shape) > 1:
        return [Blob((each, *bottom.shape[1:])) for each in sizes]
    # A piece of a flat blob that was an image is one only where it is all of it.
    plain = all(len(part) == 1 for part in bottom.parts)
    whole = [_count(part) for part in bottom.parts] == sizes
    if not plain and not whole:
        return [why] * number
    return [
        Blob((each,), (part,)) if whole else flat(each) for each, part in zip(sizes, (*bottom.parts, *[()] * number))
    ]


def _eltwise(layer: Layer, bottoms: Sequence[Known]) -> Known:
    first = bottoms[0]
    for bottom in bottoms:
        if isinstance(bottom, Blob) and isinstance(first, Blob) and _order(bottom) != _order(first):
            return Unknown(
                f"layer {layer.name!r} (type Eltwise) takes flat blobs that hold their numbers in different orders"
            )
    return next((bottom for bottom in bottoms if isinstance(bottom, Blob)), first)


def _order(blob: Blob) -> Sequence[Tuple[Size, ...]]:
    """What says in which order a flat blob holds its numbers; where no part was an image, nothing does."""
    return () if len(blob.shape) > 1 or all(_is_plain(part) for part in blob.parts) else blob.parts


def _is_plain(part: Tuple[Size, ...]) -> bool:
    """Whether channels last is the same order: there is one channel, or one position."""
    return part[0] == 1 or all(size == 1 for size in part[1:])


def _crop(layer: Layer, bottoms: Sequence[Known]) -> Known:
    axis = whole_number(layer, layer.message.message("crop_param"), "axis", 2)
    first, like = bottoms[0], bottoms[1] if len(bottoms) > 1 else Unknown("no second bottom")
    if isinstance(first, Unknown) or isinstance(like, Unknown) or axis < 2:
        return Unknown(f"layer {layer.name!r} (type Crop) gives it")
    return Blob((*first.shape[: axis - 1], *like.shape[axis - 1 :]))


_RULES: Dict[str, Callable[[Layer, Sequence[Known]], Known]] = {
    "Convolution": _windows, "Deconvolution": _windows, "Pooling": _windows, "InnerProduct": _inner_product,
    "Flatten": _flatten, "Reshape": _reshape, "Concat": _concat, "Eltwise": _eltwise, "Crop": _crop, "MVN": _mvn,
}  # fmt: skip


def _count(shape: Tuple[Size, ...]) -> Optional[int]:
    """The numbers of a blob; None where a size is not known."""
    count = 1
    for size in shape:
        if size is None:
            return None
        count *= size
    return count
