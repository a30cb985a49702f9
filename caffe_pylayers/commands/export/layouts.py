"""Parameter blobs of Caffe as named arrays: as they are, or as TensorFlow lays them out."""

import math
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.export.blob_shapes import Blob, Known
from caffe_pylayers.commands.export.windows import Size, whole_number
from caffe_pylayers.errors import ConfigError, DataError

Arrays = Dict[str, np.ndarray]

_NAMES: Dict[str, Tuple[str, ...]] = {
    "Convolution": ("weights", "biases"),
    "Deconvolution": ("weights", "biases"),
    "InnerProduct": ("weights", "biases"),
    "Embed": ("weights", "biases"),
    "Scale": ("gamma", "beta"),
    "Bias": ("biases",),
    "PReLU": ("slope",),
}


def has_weights(layer: Layer) -> bool:
    """Whether it is a layer of Caffe's that has weights."""
    return (
        layer.type in _NAMES and (layer.type not in ("Scale", "Bias") or len(layer.bottoms) == 1)
    ) or layer.type == "BatchNorm"


class UnknownOrder(Exception):
    """The order of a layer's numbers depends on the shape of its bottom, which is not known."""


def caffe_arrays(type: str, blobs: Sequence[np.ndarray], num_bottoms: int = 1) -> Arrays:
    """The blobs of a layer of that type by name; those of other types by their number.

    Raises DataError where they are none of such a layer. BatchNorm: mean and variance, divided by the factor that is its third blob. num_bottoms: a Scale of two has no gamma.
    """
    if type == "BatchNorm" and len(blobs) == 3 and blobs[2].size == 1:
        factor = float(blobs[2].reshape(-1)[0])
        inverse = np.float32(1 / factor if factor else 0)  # as Caffe has it for a net that has seen nothing
        return {"mean": blobs[0].reshape(-1) * inverse, "variance": blobs[1].reshape(-1) * inverse}
    names = _NAMES.get(type, ())
    if type == "Scale" and num_bottoms > 1:
        names = names[1:]
    if not 0 < len(blobs) <= len(names):
        return {str(number): blob for number, blob in enumerate(blobs)}
    arrays = dict(zip(names, blobs))
    _check_axes(type, arrays)
    for name, array in arrays.items():  # blobs of old files have four axes
        if name == "biases" and type != "Bias":
            arrays[name] = array.reshape(-1)
        elif type in ("InnerProduct", "Embed"):
            arrays[name] = array.reshape(array.shape[-2:])
    return arrays


def _check_axes(type: str, arrays: Arrays) -> None:
    """Raises DataError where weights cannot be those of a layer of that type."""
    shape = arrays["weights"].shape if "weights" in arrays else ()
    expected = ""
    if type in ("Convolution", "Deconvolution") and len(shape) < 3:
        expected = "out x in, then the size of the kernel"
    elif type in ("InnerProduct", "Embed") and (len(shape) < 2 or math.prod(shape[:-2]) != 1):
        expected = "out x in"
    if expected:
        raise DataError(f"its weights are {dims(shape)}, but those of a layer of type {type} are {expected}")


def tensorflow_arrays(layer: Layer, arrays: Arrays, bottom: Known) -> Arrays:
    """The same arrays where images are height x width x channels, and flat blobs are such images flattened.

    Raises UnknownOrder where that depends on a shape that is not known, DataError where the shapes do not fit.
    """
    convert = _CONVERT.get(layer.type)
    return convert(layer, arrays, bottom) if convert else arrays


def _convolution(layer: Layer, arrays: Arrays, bottom: Known) -> Arrays:
    """(out, in / group, height, width) -> (height, width, in / group, out); one input per group: (.., in, out / in)."""
    group = whole_number(layer, layer.message.message("convolution_param"), "group", 1)
    weights = arrays["weights"]
    _check(layer, bottom, weights.shape[1] * group, weights)
    if weights.shape[1] == 1 and group > 1:
        weights = weights.reshape(group, -1, *weights.shape[2:])
        return {**arrays, "weights": np.moveaxis(weights, (0, 1), (-2, -1))}
    return {**arrays, "weights": np.moveaxis(weights, (1, 0), (-2, -1))}


def _deconvolution(layer: Layer, arrays: Arrays, bottom: Known) -> Arrays:
    """(in, out / group, height, width) -> (height, width, out / group, in), as conv2d_transpose has it."""
    weights = arrays["weights"]
    _check(layer, bottom, weights.shape[0], weights)
    return {**arrays, "weights": np.moveaxis(weights, (1, 0), (-2, -1))}


def _check(layer: Layer, bottom: Known, channels: int, weights: np.ndarray) -> None:
    found = bottom.shape[0] if isinstance(bottom, Blob) else None
    if found not in (None, channels):
        raise DataError(
            f"layer {layer.name!r} has a bottom of {found} channels, but its weights of shape {dims(weights.shape)} are for {channels}",
            source=f"{layer.file}:{layer.line}",
        )


def _inner_product(layer: Layer, arrays: Arrays, bottom: Known) -> Arrays:
    """(out, in) -> (in, out), its rows in the order of flattened height x width x channels."""
    param = layer.message.message("inner_product_param")
    weights = arrays["weights"] if param.flag("transpose") else arrays["weights"].T
    axis = whole_number(layer, param, "axis", 1)
    return {**arrays, "weights": _reordered(layer, weights, bottom, axis)}


def _by_channel(layer: Layer, arrays: Arrays, bottom: Known) -> Arrays:
    """Numbers for channels stay; those of a flat blob that was an image, or of each position, change their order."""
    is_flat = isinstance(bottom, Blob) and len(bottom.shape) == 1

    def converted(array: np.ndarray) -> np.ndarray:
        if array.ndim > 1:
            return np.moveaxis(array, 0, -1)
        return _reordered(layer, array, bottom) if is_flat and array.size > 1 else array

    return {name: converted(array) for name, array in arrays.items()}


_CONVERT: Dict[str, Callable[[Layer, Arrays, Known], Arrays]] = {
    "Convolution": _convolution,
    "Deconvolution": _deconvolution,
    "InnerProduct": _inner_product,
    "BatchNorm": _by_channel,
    "Scale": _by_channel,
    "Bias": _by_channel,
    "PReLU": _by_channel,
}


def _reordered(layer: Layer, rows: np.ndarray, bottom: Known, axis: int = 1) -> np.ndarray:
    """The rows, one a number of the flattened bottom, in the order in which channels come last."""
    if not isinstance(bottom, Blob):
        raise UnknownOrder(bottom.why)
    rank = len(bottom.shape)
    if axis not in (1, -rank):
        if rank == 2:  # a sequence of vectors, which have no positions
            return rows
        raise ConfigError(
            f"layer {layer.name!r} has axis {axis} and a bottom of {rank + 1} axes: it works along rows of images, "
            "and with channels last that is not a fully connected layer",
            remedy="export in Caffe's layout, and compute it in Caffe's order",
            source=f"{layer.file}:{layer.line}",
        )
    parts = bottom.flattened
    order = channels_last(parts)
    if order is None:
        if len(parts) == 1 and parts[0][0] == len(rows):  # so there is one position
            return rows
        raise UnknownOrder(f"all that is known is {' + '.join(map(dims, parts))}")
    if len(order) != len(rows):
        raise DataError(
            f"layer {layer.name!r} has a bottom of {' + '.join(map(dims, parts))} = {len(order)} numbers, but its weights are for {len(rows)}",
            source=f"{layer.file}:{layer.line}",
        )
    return rows[order]


def channels_last(parts: Sequence[Tuple[Size, ...]]) -> Optional[np.ndarray]:
    """Where the numbers of flattened (channels, height, width) are that flattened (height, width, channels) has in order.

    None where a size is not known.

    >>> channels_last([(2, 1, 3)]).tolist()
    [0, 3, 1, 4, 2, 5]
    """
    found, start = [], 0
    for part in parts:
        shape = tuple(size for size in part if size is not None)
        if len(shape) < len(part):
            return None
        count = math.prod(shape)
        found.append(np.moveaxis(np.arange(start, start + count).reshape(shape), 0, -1).reshape(-1))
        start += count
    return np.concatenate(found)


def dims(shape: Sequence[Any]) -> str:
    """A shape in words, as in '3 x 227 x 227'; '?' for a size that is not known."""
    return " x ".join("?" if size is None else str(size) for size in shape) or "one number"
