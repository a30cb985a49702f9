"""The layers of a deployed net, as they are made and written: a message, its weights, the shapes of its tops."""

from dataclasses import dataclass, replace
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.prototxt import Field, Message, Word
from caffe_pylayers.commands.export.blob_shapes import Known

#: Fields of a layer that are for training or choose a phase; fillers are inside of its parameters.
_OF_TRAINING = ("include", "exclude", "param", "loss_weight", "propagate_down", "phase", "blobs")
_FILLERS = ("weight_filler", "bias_filler", "filler")

#: Bottoms and tops of a layer by its fields.
_BLOBS = ("bottom", "top")


@dataclass(frozen=True, eq=False)
class Part:
    """A layer that is written. layer: it says the file and the line that it comes from. shapes: of its tops, where the maker knows them.

    unread: why OpenCV does not read it; "" where it does, or its type says so.
    """

    layer: Layer
    blobs: Sequence[np.ndarray] = ()
    shapes: Optional[Sequence[Known]] = None
    unread: str = ""

    @property
    def type(self) -> str:
        return self.layer.type

    def on(self, bottoms: Sequence[str], tops: Sequence[str]) -> "Part":
        """The same with other bottoms and tops."""
        return replace(self, layer=on(self.layer, bottoms, tops))

    def changed(self, blobs: Sequence[np.ndarray], param: str = "", **fields: Any) -> "Part":
        """The same with other weights, and other fields of its parameter of that name."""
        message = self.layer.message
        if param:
            kept = [field for field in message.message(param).fields if field.name not in fields]
            changed = Message(kept + list(_fields(fields, message.line)), message.line)
            others = [field for field in message.fields if field.name != param]
            message = Message([*others, Field(param, changed, message.line)], message.line)
        return replace(self, layer=Layer(message, self.layer.file), blobs=blobs)


def part(
    like: Layer,
    kind: str,
    bottoms: Sequence[str],
    tops: Sequence[str],
    name: str = "",
    blobs: Sequence[np.ndarray] = (),
    shapes: Optional[Sequence[Known]] = None,
    unread: str = "",
    **params: Mapping[str, Any],
) -> Part:
    """A layer of that type in place of one of the net. name: by default that of the layer. params: as in `pooling_param={"pool": Word("MAX")}`."""
    line = like.line
    fields = [Field("name", name or like.name, line), Field("type", kind, line)]
    fields += [Field("bottom", bottom, line) for bottom in bottoms]
    fields += [Field("top", top, line) for top in tops]
    fields += _fields(params, line)
    return Part(Layer(Message(fields, line), like.file), blobs, shapes, unread)


def on(layer: Layer, bottoms: Sequence[str], tops: Sequence[str]) -> Layer:
    """A layer with other bottoms and tops."""
    line = layer.line
    fields = [field for field in layer.message.fields if field.name not in _BLOBS]
    blobs = [Field("bottom", name, line) for name in bottoms] + [Field("top", name, line) for name in tops]
    return Layer(Message(fields[:2] + blobs + fields[2:], line), layer.file)


def with_own_names(parts: Sequence[Part]) -> List[Part]:
    """The parts, each with a name of its own: in Caffe layers without weights may share one, but OpenCV takes the first of them.

    It calls a Convolution as its top is called, so no other layer may have that name.
    """
    taken = {top for each in parts if each.type == "Convolution" for top in each.layer.tops}
    found = []
    for each in parts:
        wanted = each.layer.name
        name, number = wanted, 2
        while name in taken and not (each.type == "Convolution" and name in each.layer.tops):
            name, number = f"{wanted}/{number}", number + 1
        taken.add(name)
        fields = [field._replace(value=name) if field.name == "name" else field for field in each.layer.message.fields]
        found.append(replace(each, layer=Layer(Message(fields, each.layer.line), each.layer.file)))
    return found


def without_training(layer: Layer) -> Layer:
    """A layer without what only a training reads, its name and type in front."""
    kept = [field for field in layer.message.fields if field.name not in _OF_TRAINING]
    kept.sort(key=lambda field: ("name", "type", *_BLOBS, field.name).index(field.name))
    return Layer(Message([_without_fillers(field) for field in kept], layer.line), layer.file)


def _without_fillers(field: Field) -> Field:
    if not isinstance(field.value, Message):
        return field
    return field._replace(
        value=Message([each for each in field.value.fields if each.name not in _FILLERS], field.value.line)
    )


def _fields(values: Mapping[str, Any], line: int) -> Iterator[Field]:
    """The fields of a message, of plain values: a dict is a message, a list a field that is repeated."""
    for name, value in values.items():
        for each in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(each, dict):
                each = Message(list(_fields(each, line)), line)
            elif isinstance(each, bool):
                each = Word(str(each).lower())
            yield Field(name, each, line)


def net_message(name: str, inputs: Mapping[str, Sequence[int]], parts: Sequence[Part]) -> Message:
    """The net: an Input for each blob that it takes, of that shape, then the layers."""
    fields: List[Field] = [Field("name", name, 1)] if name else []
    taken = {each.layer.name for each in parts}
    for blob, shape in inputs.items():
        called = blob if blob not in taken else f"{blob}/input"
        given: Dict[str, Any] = {"shape": {"dim": list(shape)}}
        layer = {"name": called, "type": "Input", "top": blob, "input_param": given}
        fields += _fields({"layer": layer}, 1)
    return Message(fields + [Field("layer", each.layer.message, 1) for each in parts])
