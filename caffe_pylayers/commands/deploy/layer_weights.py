"""The weights of a layer, as today's Caffe has them, if they fit the layer."""

from typing import Any, List, Optional

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.weights import LayerWeights
from caffe_pylayers.commands.export.export import check_outputs
from caffe_pylayers.commands.export.layouts import caffe_arrays, has_weights
from caffe_pylayers.errors import DataError

#: Layers whose bias is there unless `bias_term` says otherwise, and the message that does.
_BIAS = {
    "Convolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "InnerProduct": "inner_product_param",
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
    if layer.type in _BIAS and len(found) != 1 + layer.message.message(_BIAS[layer.type]).flag("bias_term", True):
        _refuse(layer, f"{len(found)} blobs, but the net has bias_term {str(len(found) < 2).lower()}", path)
    return [*found, np.ones(1, np.float32)] if layer.type == "BatchNorm" else found


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
