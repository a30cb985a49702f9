"""Which part of a net can be computed from its inputs, and which of it somebody wants."""

from dataclasses import dataclass, field
from typing import Dict, Iterable, List, Mapping, Optional, Sequence

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.export.blob_shapes import Unknown, shapes_of
from caffe_pylayers.commands.export.onnx.graph import Rows, Tensor
from caffe_pylayers.commands.export.onnx.kinds import bottoms_of, is_end
from caffe_pylayers.errors import ConfigError


@dataclass
class Part:
    """The layers of a net that can be computed, in order.

    inputs: blobs that come from outside. outputs: blobs that come out. left_out: layers that are losses, measures, or depend on
    blobs that are not there. without: those blobs, and why. unknown: of them what the net reads, in a shape that is not known.
    """

    inputs: Dict[str, Tensor] = field(default_factory=dict)
    outputs: List[str] = field(default_factory=list)
    layers: List[Layer] = field(default_factory=list)
    left_out: List[Layer] = field(default_factory=list)
    without: Dict[str, str] = field(default_factory=dict)
    unknown: List[str] = field(default_factory=list)


def part_of(path: str, layers: Sequence[Layer], shapes: Mapping[str, Sequence[int]], wanted: Sequence[str]) -> Part:
    """The part of the net of a file that gives the wanted blobs, or without any those that no layer takes.

    shapes: without the samples, of blobs that the net does not say. Raises ConfigError where a blob cannot be had.
    """
    _require({top for layer in layers for top in layer.tops}, wanted, path, "its blobs")
    _require({top for layer in layers if not layer.bottoms for top in layer.tops}, shapes, path, "what it reads")
    part = _computable(layers, shapes)
    computed = {top for layer in part.layers for top in layer.tops}
    for blob in wanted:
        if blob not in computed:
            raise _not_there(path, blob, part)
    part.outputs = list(dict.fromkeys(wanted)) or _not_taken(part.layers)
    if not part.outputs:
        whys = [f"blob {name!r}: {part.without[name]}" for name in part.unknown]
        raise ConfigError("; ".join(["no layer of it can be exported", *whys]), remedy=_remedy(part), source=path)
    part.layers = _needed(part.layers, part.outputs)
    used = {blob for layer in part.layers for blob in bottoms_of(layer)}
    part.inputs = {name: tensor for name, tensor in part.inputs.items() if name in used}
    return part


def _require(known: Iterable[str], names: Iterable[str], path: str, which: str) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(
                f"{name!r} is none of {which}", remedy=f"they are {', '.join(sorted(known))}", source=path
            )


def _computable(layers: Sequence[Layer], shapes: Mapping[str, Sequence[int]]) -> Part:
    part = Part()
    batch: Optional[int] = None
    for layer in layers:
        lacking = next((blob for blob in bottoms_of(layer) if blob in part.without), "")
        if not layer.bottoms and layer.type != "Parameter":
            batch = batch or _samples(layer, 0)
            _add_source(part, layer, shapes, batch)
        elif lacking or is_end(layer):
            part.left_out.append(layer)
            why = (
                f"it depends on blob {lacking!r}"
                if lacking
                else f"layer {layer.name!r} (type {layer.type}) is left out"
            )
            part.without.update((top, why) for top in layer.tops)
        else:
            part.layers.append(layer)
    return part


def _add_source(part: Part, layer: Layer, shapes: Mapping[str, Sequence[int]], batch: Optional[int]) -> None:
    """The tops of a layer without bottoms become inputs; what DummyData feeds is none unless somebody says so."""
    ((_, tops),) = shapes_of([layer], shapes)
    for number, (name, blob) in enumerate(zip(layer.tops, tops)):
        if isinstance(blob, Unknown) or None in blob.shape or (layer.type == "DummyData" and name not in shapes):
            part.without[name] = f"its shape is not known: layer {layer.name!r} (type {layer.type}) gives it"
            part.unknown.append(name)
        else:
            rows = Rows("N" if _samples(layer, number) in (None, batch) else f"N_{name}")
            part.inputs[name] = Tensor(name, (rows, *(size or 0 for size in blob.shape)))


def _samples(layer: Layer, number: int) -> Optional[int]:
    """How many samples an Input says that one of its tops has. None: those of the batch."""
    shapes = layer.message.message("input_param").messages("shape") if layer.type == "Input" else []
    dims = shapes[number if len(shapes) > 1 else 0].all("dim") if shapes else []
    return dims[0] if dims else None


def _not_taken(layers: Sequence[Layer]) -> List[str]:
    """The blobs that no layer takes as they are at the end."""
    left: Dict[str, None] = {}
    for layer in layers:
        for blob in bottoms_of(layer):
            left.pop(blob, None)
        left.update(dict.fromkeys(layer.tops))
    return list(left)


def _needed(layers: Sequence[Layer], outputs: Sequence[str]) -> List[Layer]:
    """The layers that the outputs depend on, in order."""
    blobs, needed = set(outputs), []
    for layer in reversed(layers):
        if blobs & set(layer.tops):
            needed.append(layer)
            blobs.update(bottoms_of(layer))
    return needed[::-1]


def _not_there(path: str, blob: str, part: Part) -> ConfigError:
    if blob in part.inputs:
        return ConfigError(f"blob {blob!r} is what the net reads", remedy="name one that a layer computes", source=path)
    return ConfigError(f"blob {blob!r} cannot be exported: {part.without[blob]}", remedy=_remedy(part), source=path)


def _remedy(part: Part) -> str:
    shape = f"--shape {part.unknown[0]}=CHANNELS,HEIGHT,WIDTH" if part.unknown else ""
    return f"give the shape of what the net reads: {shape}" if shape else "name a blob that comes before it"
