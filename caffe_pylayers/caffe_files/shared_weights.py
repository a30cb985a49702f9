"""Which weights each layer of a net has once Caffe has loaded a file: layers may share blobs, by the names of their `param`."""

from typing import Dict, List, Sequence, Tuple

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.weights import LayerWeights, by_name


def weights_of(layers: Sequence[Layer], found: Sequence[LayerWeights]) -> Dict[str, LayerWeights]:
    """The weights of the layers of a net, by name. found: those of a file, in its order.

    A blob that several layers share is the one that the file has last for any of them, as Caffe copies one over the other. A layer that shares all of
    its blobs may be missing in the file.
    """
    weights = by_name(list(found))
    names = {layer.name: _names(layer) for layer in layers}
    shared: Dict[str, np.ndarray] = {}
    legacy: Dict[str, bool] = {}
    for each in weights.values():
        for name, blob in zip(names.get(each.name, ()), each.blobs):
            if name:
                shared[name], legacy[name] = blob, each.legacy
    for layer in layers:
        own, wanted = weights.get(layer.name), names[layer.name]
        if own is not None:
            blobs = [shared.get(name, blob) for name, blob in zip(wanted, own.blobs)] + own.blobs[len(wanted) :]
            weights[layer.name] = LayerWeights(own.name, own.type, blobs, own.legacy)
        elif wanted and all(name in shared for name in wanted):
            blobs = [shared[name] for name in wanted]
            weights[layer.name] = LayerWeights(layer.name, layer.type, blobs, any(legacy[name] for name in wanted))
    return weights


def _names(layer: Layer) -> Tuple[str, ...]:
    """The names of its blobs, "" for one without."""
    params: List[object] = [param.get("name", "") for param in layer.message.messages("param")]
    return tuple(str(name) for name in params)
