"""Nets of older Caffes in today's form, in their own text: what `legacy_nets.upgrade` does to a message, done to the file."""

from typing import Dict, List

from caffe_pylayers.caffe_files.edits import Edits, Span
from caffe_pylayers.caffe_files.legacy_nets import DATA_PARAMS, SPECS, TRANSFORMS, V1_NUMBERS, input_layer, refuse_mixed
from caffe_pylayers.caffe_files.prototxt import Field, Message
from caffe_pylayers.commands.migrate.forks import today
from caffe_pylayers.commands.migrate.v0 import as_today

_NAME = len("layers")


def upgrade_text(net: Message, edits: Edits, path: str) -> None:
    """Change the text of a net to today's form. Raises PrototxtError for one with layers of both kinds.

    A layer of 2013 is written anew, its comments before it; all others keep what is in them, and its order.
    """
    refuse_mixed(net, path)
    for field in net.fields:
        if field.name == "layers" and isinstance(field.value, Message):
            if "layer" in field.value:
                edits.put_fields(field.span, [as_today(field, path)])
            else:
                edits.put((field.span[0], field.span[0] + _NAME), "layer")
                _upgrade_layer(field.value, edits)
    _put_input(net, edits)


def _upgrade_layer(layer: Message, edits: Edits) -> None:
    kind = V1_NUMBERS.get(layer.whole("type")) or today(str(layer.get("type", "")))
    for field in layer.fields:
        if field.name == "type":
            edits.put_fields(field.span, [Field("type", kind, 0)])
    specs: Dict[str, List[Field]] = {name: [] for name in SPECS}
    for field in layer.fields:
        if field.name in specs and not isinstance(field.value, Message):
            specs[field.name].append(field)
    params: Dict[Span, List[Field]] = {}  # by the place of the first thing that each says
    for number in range(max(map(len, specs.values()))):
        found = [(SPECS[name], given[number]) for name, given in specs.items() if number < len(given)]
        param = Message([Field(name, field.value, 0) for name, field in found])
        params.setdefault(found[0][1].span, []).append(Field("param", param, 0))
    for span in {field.span for given in specs.values() for field in given}:
        if span in params:
            edits.put_fields(span, params[span])
        else:
            edits.remove(span)
    _move_transforms(layer, kind, edits)


def _move_transforms(layer: Message, kind: str, edits: Edits) -> None:
    """Move what stood among a data layer's own parameters to `transform_param`."""
    name = DATA_PARAMS.get(kind)
    param = next((field for field in layer.fields if field.name == name and isinstance(field.value, Message)), None)
    if param is None or not isinstance(param.value, Message):
        return
    moved = [field for field in param.value.fields if field.name in TRANSFORMS]
    for field in moved:
        edits.remove(field.span)
    there = next((field for field in layer.fields if field.name == "transform_param"), None)
    if moved and there is not None:
        edits.insert_last(there.span, moved)
    elif moved:
        edits.insert_before(param.span, [Field("transform_param", Message(moved), 0)])


def _put_input(net: Message, edits: Edits) -> None:
    """Put an Input layer in the place of the fields `input`."""
    inputs = [field for field in net.fields if field.name == "input"]
    if not inputs or not ("input_dim" in net or "input_shape" in net):  # without a shape Caffe leaves it out
        return
    first = min(
        (field for field in net.fields if field.name in ("input", "layer", "layers")), key=lambda each: each.span
    )
    layer = Field("layer", input_layer(net, inputs), 0)
    for span in {field.span for field in net.fields if field.name in ("input", "input_dim", "input_shape")}:
        if span == first.span:
            edits.put_fields(span, [layer])
        else:
            edits.remove(span)
    if first.name != "input":
        edits.insert_before(first.span, [layer])
