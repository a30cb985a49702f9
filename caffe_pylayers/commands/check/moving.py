"""What a layer of a fork becomes as a Python layer: the fields of its parameters become options."""

from typing import Any, Dict, List, Sequence

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.prototxt import Message, Word
from caffe_pylayers.caffe_files.quoted import quoted
from caffe_pylayers.commands.check.findings import listed
from caffe_pylayers.config.catalogue import SCHEMAS

#: What chooses an implementation, or has no effect in its fork.
_NO_OPTIONS = ("engine", "transform_test")


def as_python(layer: Layer, own: str) -> str:
    """What to write in place of its type and its parameters, and which of their fields become no option. own: the layer here."""
    schema = SCHEMAS[own]
    params = {field.name: field.value for field in layer.message.fields if is_param(field.name)}
    another = schema.in_place_of_fork(len(layer.bottoms), bool(params))
    if another:
        return another
    names = schema.option_names()
    fields = [_values(param) for param in params.values() if isinstance(param, Message)]
    given = {name: value for each in fields for name, value in each.items() if name not in _NO_OPTIONS}
    options = {name: value for name, value in given.items() if name in names}
    for name, value in schema.meant_by_fork(layer.type, len(layer.bottoms)).items():
        options.setdefault(name, value)
    written = ['type: "Python"', *(_of_a_loss(layer) if schema.is_loss() else ())]
    param_str = f"  param_str: {quoted(repr(options))}" if options else ""
    written.append(f'python_param {{ module: "caffe_pylayers"  layer: "{own}"{param_str} }}')
    old = " and ".join(["its type", *params])
    lost = [name for name in given if name not in names]
    without = f"; {own} has no option {listed(lost)}" if lost else ""
    return f"write `{'  '.join(written)}` in place of {old}{without}"


def is_param(field: str) -> bool:
    """Whether a field of a layer has the parameters of one type, of Caffe or of a fork, which no Python layer reads."""
    return field.endswith("_param") and field != "python_param"


def _values(param: Message) -> Dict[str, Any]:
    """Its fields: a list for what is given several times, a dict for a message."""
    values = {
        name: [_value(each) for each in param.all(name)] for name in dict.fromkeys(each.name for each in param.fields)
    }
    return {name: each if len(each) > 1 else each[0] for name, each in values.items()}


def _value(value: Any) -> Any:
    if isinstance(value, Message):
        return _values(value)
    return {"true": True, "false": False}.get(value, str(value)) if isinstance(value, Word) else value


def _of_a_loss(layer: Layer) -> Sequence[str]:
    """What a loss of Caffe's may lack, but a Python layer may not."""
    written: List[str] = []
    if not layer.tops:
        written.append(f'top: "{layer.name or "loss"}"')
    if "loss_weight" not in layer.message:
        written += ["loss_weight: 1", *["loss_weight: 0"] * (len(layer.tops) - 1)]
    return written
