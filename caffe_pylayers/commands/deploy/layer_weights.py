"""The weights of a layer, as today's Caffe has them, if they fit the layer."""

import math
from typing import Any, List, Optional, Sequence

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.weights import LayerWeights
from caffe_pylayers.commands.export.blob_shapes import Blob, Known
from caffe_pylayers.commands.export.export import check_outputs
from caffe_pylayers.commands.export.layouts import caffe_arrays, dims, has_weights
from caffe_pylayers.commands.export.windows import window_of
from caffe_pylayers.errors import ConfigError, DataError

#: Layers that may have a bias: the message that says so, and whether they have one where it does not.
_BIAS = {
    "Convolution": ("convolution_param", True),
    "Deconvolution": ("convolution_param", True),
    "InnerProduct": ("inner_product_param", True),
    "Scale": ("scale_param", False),
}


def blobs_of(layer: Layer, options: Any, weights: Optional[LayerWeights], path: str) -> List[np.ndarray]:
    """The blobs of a layer, without those that say where a training is. Raises DataError where there are none, or other ones than it has."""
    needed = (
        options.num_blobs() - int(getattr(options, "resume", False)) if options is not None else int(has_weights(layer))
    )
    if weights is None:
        if needed:
            raise DataError(
                f"it has no weights of layer {layer.name!r}",
                remedy=f"give the weights of the net that is trained ({layer.described})",
                source=path,
            )
        return []
    blobs = weights.blobs[:needed] if options is not None else weights.blobs
    if options is not None:
        return [_of_own(layer, options, blob, path) for blob in blobs]
    try:
        arrays = caffe_arrays(layer.type, blobs, len(layer.bottoms))
    except DataError as error:
        raise error.within(f"{path}: layer {layer.name!r}") from error
    check_outputs(layer, arrays, path)
    found = list(arrays.values())
    if layer.type in _BIAS:
        name, default = _BIAS[layer.type]
        bias = layer.message.message(name).flag("bias_term", default)
        if len(found) != int(len(layer.bottoms) == 1 or layer.type != "Scale") + bias:
            _refuse(layer, f"{len(found)} blobs, but the net has bias_term {str(bias).lower()}", path)
    return [*found, np.ones(1, np.float32)] if layer.type == "BatchNorm" else found


def check_bottom(layer: Layer, blobs: Sequence[np.ndarray], bottom: Known) -> None:
    """Raise ConfigError where a layer's weights are for a bottom of another size than it has, if that is known."""
    if not blobs or not isinstance(bottom, Blob) or None in bottom.shape:
        return
    sizes, shape = [size for size in bottom.shape if size is not None], blobs[0].shape
    if layer.type == "Convolution":
        group = layer.message.message("convolution_param").whole("group", 1)
        found, wanted, what = sizes[0], shape[1] * group, "channels"
    elif layer.type == "InnerProduct" and layer.message.message("inner_product_param").whole("axis", 1) == 1:
        transpose = layer.message.message("inner_product_param").flag("transpose")
        found, wanted, what = math.prod(sizes), shape[0 if transpose else 1], "numbers"
    else:
        return
    if found != wanted:
        raise ConfigError(
            f"its bottom {layer.bottoms[0]!r}, {dims(sizes)}, has {found} {what}, but its weights are for {wanted}",
            remedy="give the size of the images that the net was trained with: --shape BLOB=CHANNELS,HEIGHT,WIDTH",
            source=layer.described,
        )


def fitted(layer: Layer, blobs: Sequence[np.ndarray], bottom: Known, path: str) -> List[np.ndarray]:
    """The blobs of a stock layer with the shapes that Caffe wants, of old files too. Raises DataError where one has other numbers."""
    wanted = _shapes(layer, blobs, bottom)
    found = []
    for number, blob in enumerate(blobs):
        shape = wanted[number] if number < len(wanted) else None
        if shape is not None and _without_ones(shape) != _without_ones(blob.shape):
            _refuse(layer, f"blob {number} of shape {dims(blob.shape)}, but the net wants {dims(shape)}", path)
        found.append(blob if shape is None else blob.reshape(shape))
    return found


def _without_ones(shape: Sequence[int]) -> List[int]:
    return [size for size in shape if size != 1]


def _shapes(layer: Layer, blobs: Sequence[np.ndarray], bottom: Known) -> List[Optional[Sequence[int]]]:
    """The shapes of the blobs of a stock layer, None where the shape of its bottom must be known, and is not."""
    sizes = (None, *bottom.shape) if isinstance(bottom, Blob) else ()
    channels = None if len(sizes) < 2 or sizes[1] is None else (sizes[1],)
    if layer.type in ("Convolution", "Deconvolution"):
        given, outputs = blobs[0].shape, layer.message.message("convolution_param").whole("num_output")
        kernel = window_of(layer, len(sizes) - 2 if sizes else len(given) - 2).kernel
        return [(*given[:2], *kernel), (outputs,)]
    if layer.type == "BatchNorm":
        return [channels, channels, (1,)]
    if layer.type == "PReLU":
        return [() if layer.message.message("prelu_param").flag("channel_shared") else channels]
    if layer.type in ("Scale", "Bias") and len(layer.bottoms) == 1:
        param = layer.message.message(f"{layer.type.lower()}_param")
        shape = _of_axes(sizes, param.whole("axis", 1), param.whole("num_axes", 1))
        return [shape] * len(blobs)
    return []


def _of_axes(sizes: Sequence[Optional[int]], axis: int, num_axes: int) -> Optional[Sequence[int]]:
    """The sizes of so many axes from one on, -1 for all."""
    if not num_axes:
        return ()
    axis += len(sizes) if axis < 0 else 0
    chosen = sizes[axis:] if num_axes < 0 else sizes[axis : axis + num_axes]
    known = [size for size in chosen if size is not None]
    return known if known and len(known) == len(chosen) else None


def _of_own(layer: Layer, options: Any, blob: np.ndarray, path: str) -> np.ndarray:
    """A blob of a layer of this package: vectors of classes, or factors; older files have four axes."""
    classes = getattr(options, "num_output", None)
    if classes is None:
        return blob.reshape(-1) if blob.ndim > 1 else blob
    vectors: np.ndarray = blob.reshape(-1, blob.shape[-1])
    number = classes * getattr(options, "sub_centers", 1)
    if len(vectors) != number:
        _refuse(layer, f"{len(vectors)} vectors, but the net has {number}", path)
    return vectors


def _refuse(layer: Layer, found: str, path: str) -> None:
    raise DataError(
        f"layer {layer.name!r} has {found}", remedy=f"do they belong to another net? ({layer.described})", source=path
    )
