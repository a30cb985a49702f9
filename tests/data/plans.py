"""What a layer is to feed."""

from typing import Any, Callable

from caffe_pylayers import config
from caffe_pylayers.data import samplers
from caffe_pylayers.data.recipe import Batch
from caffe_pylayers.data.sources import Source


def plan_of(layer: str, source: Source, **values: Any) -> Callable[[int], Batch]:
    """The plan of a layer with these options, in TRAIN."""
    options = config.validate(layer, {"source": source.path, **values})
    make = samplers.images if layer == "ImageDataLayer" else samplers.triplets
    return make(source, options, training=True, ranks=1).batch
