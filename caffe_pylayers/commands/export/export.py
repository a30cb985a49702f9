"""The weights of a .caffemodel as named arrays, with what is to be known of each layer to build the net elsewhere."""

import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Literal, Mapping, Optional, Sequence

import numpy as np

from caffe_pylayers.caffe_files.nets import TEST, Layer
from caffe_pylayers.caffe_files.prototxt import Message, Word
from caffe_pylayers.caffe_files.weights import LayerWeights, by_name, read_weights
from caffe_pylayers.commands.export.blob_shapes import Blob, Known, Unknown, shapes_of
from caffe_pylayers.commands.export.layouts import (
    Arrays,
    UnknownOrder,
    caffe_arrays,
    dims,
    has_weights,
    tensorflow_arrays,
)
from caffe_pylayers.commands.export.windows import PARAMS, whole_number, window_of
from caffe_pylayers.commands.net_or_solver import net_in
from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.files.output_file import output_file

Layout = Literal["caffe", "tensorflow"]

#: The name of the array with what is known of the layers, JSON.
META = "__meta__"


@dataclass
class Export:
    """arrays: by "layer/name". layers: of each layer, in order, what `__meta__` has of it.

    left_out: layers with weights that are not in the net. missing: layers of the net that have none in the file.
    """

    weights: str
    layout: Layout
    arrays: Arrays = field(default_factory=dict)
    layers: List[Dict[str, Any]] = field(default_factory=list)
    left_out: List[str] = field(default_factory=list)
    missing: List[str] = field(default_factory=list)

    @property
    def meta(self) -> Dict[str, Any]:
        return {"weights": self.weights, "layout": self.layout, "layers": self.layers}

    def write(self, path: str) -> None:
        """Write the .npz: the arrays, and `__meta__`."""
        arrays: Dict[str, Any] = {META: np.array(json.dumps(self.meta)), **self.arrays}
        with output_file(path) as partial, open(partial, "wb") as file:
            np.savez(file, **arrays)


def export(
    weights: str,
    net: Optional[str] = None,
    layout: Layout = "caffe",
    shapes: Optional[Mapping[str, Sequence[int]]] = None,
) -> Export:
    """The arrays of the layers in a file of weights; with a net or a solver, of its layers in TEST.

    layout: `tensorflow` for convolutions (height, width, in, out), fully connected layers (in, out) whose rows fit a
    flattened height x width x channels; it needs the net. shapes: (channels, height, width) of blobs that the net does not say.
    Raises ConfigError and DataError, as where net and weights do not fit.
    """
    found = read_weights(weights)
    result = Export(weights, layout)
    if net is None:
        if layout == "tensorflow":
            raise ConfigError(
                "the layout of TensorFlow needs the net: it says which convolution has groups, and what a fully connected layer reads",
                remedy="give it with --net; the deploy net is best",
            )
        for layer in (layer for layer in found if layer.blobs):
            arrays = _prefixed(layer.name, _in_caffes_layout(layer.type, layer, weights))
            result.arrays.update(arrays)
            result.layers.append({"name": layer.name, "type": layer.type, "arrays": list(arrays)})
        return result
    _add_net(result, by_name(found), net, shapes or {})
    return result


def _add_net(result: Export, found: Dict[str, LayerWeights], path: str, given: Mapping[str, Sequence[int]]) -> None:
    read, state = net_in(path, TEST)
    layers = read.in_state(state)
    names = {layer.name for layer in layers}
    result.left_out = [name for name in found if name not in names]
    if not names & set(found):
        raise DataError(
            f"no layer of {path} has weights in it",
            remedy=f"its layers: {', '.join(found) or 'none'}",
            source=result.weights,
        )
    blobs = {top for layer in layers for top in layer.tops}
    for blob in given:
        if blob not in blobs:
            raise ConfigError(f"no blob {blob!r}", remedy=f"its blobs: {', '.join(sorted(blobs))}", source=path)
    everything = shapes_of(layers, given)
    sources = (layer.tops[0] for layer, (_, tops) in zip(layers, everything) if not layer.bottoms and _unknown(tops))
    source = next(sources, None)
    for layer, (bottoms, tops) in zip(layers, everything):
        arrays: Arrays = {}
        if layer.name in found:
            arrays = _arrays_of(layer, found[layer.name], result, bottoms, source)
        elif has_weights(layer):
            result.missing.append(layer.name)
        result.arrays.update(arrays)
        result.layers.append({**_described(layer, bottoms, tops, result.layout), "arrays": list(arrays)})


def _in_caffes_layout(type: str, weights: LayerWeights, path: str, num_bottoms: int = 1) -> Arrays:
    try:
        return caffe_arrays(type, weights.blobs, num_bottoms)
    except DataError as error:
        raise error.within(f"{path}: layer {weights.name!r}") from error


def _arrays_of(
    layer: Layer, weights: LayerWeights, result: Export, bottoms: Sequence[Known], source: Optional[str]
) -> Arrays:
    """source: a blob that the net reads, whose shape is not known."""
    arrays = _in_caffes_layout(layer.type, weights, result.weights, len(layer.bottoms))
    check_outputs(layer, arrays, result.weights)
    if result.layout == "tensorflow":
        bottom = bottoms[0] if bottoms else Unknown("it has no bottom")
        blob = source or (layer.bottoms or [""])[0]
        remedy = f"give {'the shape of what the net reads' if source else 'it'}: --shape {blob}=CHANNELS,HEIGHT,WIDTH"
        try:
            arrays = tensorflow_arrays(layer, arrays, bottom)
        except UnknownOrder as unknown:
            raise ConfigError(
                f"layer {layer.name!r} (type {layer.type}): the shape of blob {layer.bottoms[0]!r} is not known, "
                f"but the order of the rows in TensorFlow depends on it: {unknown}",
                remedy=remedy,
                source=f"{layer.file}:{layer.line}",
            ) from None
    return _prefixed(layer.name, arrays)


def _unknown(tops: Sequence[Known]) -> bool:
    return bool(tops) and isinstance(tops[0], Unknown)


def check_outputs(layer: Layer, arrays: Arrays, weights: str) -> None:
    """Raise DataError where a layer of the net has another number of outputs than its weights."""
    name = {"InnerProduct": "inner_product_param"}.get(layer.type, PARAMS.get(layer.type, ""))
    if not name or "weights" not in arrays:
        return
    param = layer.message.message(name)
    num_output, shape = whole_number(layer, param, "num_output"), arrays["weights"].shape
    if layer.type == "Deconvolution":
        found = shape[1] * whole_number(layer, param, "group", 1)
    else:
        found = shape[1 if param.flag("transpose") else 0]
    if found != num_output:
        raise DataError(
            f"the weights of layer {layer.name!r} have shape {dims(shape)}, for {found} outputs, and "
            f"{layer.file}:{param.line_of('num_output')} has num_output {num_output}",
            remedy="do they belong to another net?",
            source=weights,
        )


def _prefixed(layer: str, arrays: Arrays) -> Arrays:
    return {f"{layer}/{name}": np.ascontiguousarray(array) for name, array in arrays.items()}


def _described(layer: Layer, bottoms: Sequence[Known], tops: Sequence[Known], layout: Layout) -> Dict[str, Any]:
    """What `__meta__` says of a layer."""
    described: Dict[str, Any] = {
        "name": layer.name,
        "type": layer.type,
        "bottom": layer.bottoms,
        "top": layer.tops,
        "bottom_shape": [_shape(blob, layout) for blob in bottoms],
        "top_shape": [_shape(blob, layout) for blob in tops],
        "param": {each.name: _plain(each.value) for each in layer.message.fields if each.name.endswith("_param")},
    }
    if layer.type in PARAMS:
        spatial = bottoms[0].shape[1:] if isinstance(bottoms[0], Blob) else (None, None)
        window = window_of(layer, len(spatial))
        described.update(kernel=window.kernel, stride=window.stride, pad=window.pad, dilation=window.dilation)
        if layer.type != "Pooling":
            described["group"] = whole_number(layer, layer.message.message("convolution_param"), "group", 1)
        if not window.up:
            described["padding"] = window.padding(spatial)
    if layer.type == "BatchNorm":
        described["eps"] = layer.message.message("batch_norm_param").get("eps", 1e-5)
    return described


def _shape(blob: Known, layout: Layout) -> Optional[Sequence[Optional[int]]]:
    if isinstance(blob, Unknown):
        return None
    return [*blob.shape[1:], blob.shape[0]] if layout == "tensorflow" and blob.shape else list(blob.shape)


def _plain(value: Any) -> Any:
    """A value of a prototxt for JSON: a message is a dict, a field that is there twice a list."""
    if isinstance(value, Word) and value in ("true", "false"):
        return value == "true"
    if not isinstance(value, Message):
        return value
    fields: Dict[str, List[Any]] = {}
    for each in value.fields:
        fields.setdefault(each.name, []).append(_plain(each.value))
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
