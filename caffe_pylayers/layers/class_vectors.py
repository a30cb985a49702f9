"""A vector for each class: the first parameter blob of a layer, (K, D), which may be overwritten before the first forward."""

import math
from typing import Any, Optional, Tuple

from caffe_pylayers.blob_limits import LARGEST_BLOB
from caffe_pylayers.config.fillers import WeightFiller
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.adapter import Blobs, Layer
from caffe_pylayers.layers.fillers import fill
from caffe_pylayers.losses.reduction import Array


def add_vectors(layer: Layer, bottom: Blobs, num_vectors: int, filler: Optional[WeightFiller]) -> None:
    """Make the blob, in `setup`, for x as the first bottom: a vector has as many numbers as a sample of x."""
    size = _size_of_sample(layer, bottom[0])
    if num_vectors * size > LARGEST_BLOB:
        raise ConfigError(
            f"{num_vectors} vectors of {size} numbers are more than the {LARGEST_BLOB} that a Caffe blob holds",
            remedy="lower 'num_output', or the size of x",
            layer=layer.name,
            option="num_output",
        )
    layer.blobs.add_blob(num_vectors, size)
    fill(layer.blobs[0], filler or WeightFiller(type="xavier"))


def check_size(layer: Layer, bottom: Blobs) -> None:
    """Raises ConfigError, in `reshape`, where x does not fit the vectors."""
    size, (_, expected) = _size_of_sample(layer, bottom[0]), layer.blobs[0].shape
    if size != expected:
        raise ConfigError(
            f"a sample of x has {size} numbers now, but had {expected} when the layer was set up",
            remedy="give x one size",
            layer=layer.name,
        )


def labels_of(layer: Layer, given: Array, first: Array, num_classes: int) -> Tuple[Array, Optional[Array]]:
    """The labels, one per sample of the first bottom, and which of them are ignored, as `Layer.labels` gives them."""
    if given.size != len(first):
        raise ConfigError(
            f"label has shape {given.shape} and {layer.bottom_names[0]} {first.shape}",
            remedy=f"expected {len(first)} labels, one per sample",
            layer=layer.name,
        )
    return layer.labels(given, num_classes, layer.options.ignore_label)


def as_rows(array: Array) -> Array:
    """An array of x, or of its gradient, as (N, D)."""
    return array.reshape(len(array), math.prod(array.shape[1:]))


def _size_of_sample(layer: Layer, x: Any) -> int:
    shape = tuple(x.shape)
    if not shape or not math.prod(shape[1:]):
        found = f"x has shape {shape}" if not shape else f"x of shape {shape} has no numbers per sample"
        raise ConfigError(found, remedy="expected (N, ...), with an axis of samples", layer=layer.name)
    return math.prod(shape[1:])
