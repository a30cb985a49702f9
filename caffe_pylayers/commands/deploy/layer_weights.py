"""The weights of a layer, as today's Caffe has them, if they fit the layer."""

import math
from typing import Any, List, Optional, Sequence

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.weights import LayerWeights
from caffe_pylayers.commands.export.blob_shapes import Blob, Known
from caffe_pylayers.commands.export.export import check_outputs
from caffe_pylayers.commands.export.layouts import caffe_arrays, dims, has_weights
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
