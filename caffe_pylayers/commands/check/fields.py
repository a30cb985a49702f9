"""Fields, values and enums of a prototxt against the caffe.proto of the Caffe that is there."""

import functools
from typing import Any, Dict, Iterator, List, Optional

from caffe_pylayers.caffe_files.legacy_nets import V1_TYPES
from caffe_pylayers.caffe_files.nets import Layer, is_param
from caffe_pylayers.caffe_files.prototxt import Field, Message, NotDecimal, Word
from caffe_pylayers.commands.check.findings import ERROR, WARNING, Finding, listed
from caffe_pylayers.commands.migrate.forks import in_place_of_field
from caffe_pylayers.errors import did_you_mean

_INTEGERS = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}
_MOST_SHOWN = 100  # letters of a value
_BOOLS = ("true", "True", "t", "false", "False", "f")

#: FieldDescriptor's TYPE_ numbers, which are fixed by protobuf.
_KINDS = {
    1: "float", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 6: "uint64", 7: "uint32", 8: "bool", 9: "string",
    11: "message", 12: "string", 13: "uint32", 14: "enum", 15: "int32", 16: "int64", 17: "int32", 18: "int64",
}  # fmt: skip


def check_fields(
    message: Message, descriptor: Any, file: str, layer: Optional[Layer] = None, inside: str = ""
) -> Iterator[Finding]:
    """Unknown fields, fields given twice, values of a wrong type, in a message and all within.

    descriptor: the protobuf Descriptor of the message. layer: the one that it is in. inside: the name of the field that it is the value of.
    """
    known = _fields_of(descriptor)
    lines: Dict[str, int] = {}
    for field in message.fields:
        kind, of = known.get(field.name), layer
        if inside == "" and field.name in ("layer", "layers") and isinstance(field.value, Message):
            of = Layer(field.value, file)
        name = of.name if of else ""

        def found(problem: str, remedy: str, at: Field = field, name: str = name) -> Finding:
            return Finding(file, at.line, name, ERROR, problem, remedy)

        where = f" in {inside}" if inside not in ("", "layer", "layers") else ""
        if kind is None:
            guess = _today(field, inside) or _in_place(field.name, of)
            guess = guess or did_you_mean(field.name, known)
            yield found(f"unknown field {field.name!r}{where}", guess or f"it has: {listed(known, 99)}")
            continue
        if not _repeated(kind) and field.name in lines:
            first = lines[field.name]
            options = _in_place(inside, of)
            yield found(
                f"field {field.name!r}{where} is given twice",
                options or f"line {first} has it already; Caffe allows one",
            )
            continue
        lines[field.name] = field.line
        if field.listed and not _repeated(kind):
            yield found(f"field {field.name!r}{where} is a list", "one value is expected: leave the brackets out")
            continue
        if inside == "layer" and message.get("type") == "Python" and is_param(field.name):
            problem = f"{field.name} has no effect in a Python layer"
            remedy = _in_place(field.name, of) or "a Python layer has its options in param_str"
            yield Finding(file, field.line, name, WARNING, problem, remedy)
        wrong = _wrong(field, kind) and (_today(field, inside) or _wrong(field, kind))
        if wrong:
            yield found(f"field {field.name!r}{where} is {_shown(field.value)}", wrong)
        elif isinstance(field.value, Message):
            yield from check_fields(field.value, kind.message_type, file, of, field.name)


@functools.lru_cache(maxsize=None)
def _fields_of(descriptor: Any) -> Dict[str, Any]:
    """The fields of a message by name; protobuf makes them again at each call."""
    return {field.name: field for field in descriptor.fields}


def _in_place(field: str, layer: Optional[Layer]) -> str:
    """What to do about a field that a layer cannot have; "" where nothing is known."""
    return in_place_of_field(field, layer) if layer else ""


def _today(field: Field, inside: str) -> str:
    """What to write in place of a field that today's `layer` no longer has, or `layers` not yet; "" for any other."""
    if inside == "layer" and field.name in ("blobs_lr", "weight_decay"):
        new = "lr_mult" if field.name == "blobs_lr" else "decay_mult"
        return f"today write `param {{ {new}: {_shown(field.value)} }}`, one for each blob"
    if inside == "layer" and field.name == "type" and isinstance(field.value, Word):
        return f'today write `type: "{V1_TYPES.get(field.value, field.value)}"`, in quotes'
    if inside == "layers" and field.name == "type" and _is_text(field.value):
        return "in `layers` it is a word in capitals, without quotes; today write `layer`, with quotes"
    return ""


def _repeated(kind: Any) -> bool:
    repeated = getattr(kind, "is_repeated", None)  # `label` is what protobuf before 6 has
    return bool(kind.label == kind.LABEL_REPEATED if repeated is None else repeated)


def _wrong(field: Field, kind: Any) -> Optional[str]:
    """What the value must be where it is something else."""
    value, name = field.value, _KINDS.get(kind.type, "message")
    if name == "message":
        return None if isinstance(value, Message) else f"write `{field.name} {{ ... }}`"
    if isinstance(value, Message):
        return f"write `{field.name}: VALUE`, a {name} without braces"
    if name == "string":
        return None if _is_text(value) else f'write it in quotes: `{field.name}: "{_shown(value)}"`'
    if name == "enum":
        return _wrong_enum(value, kind.enum_type)
    if name == "bool":
        right = str(value) in _BOOLS if isinstance(value, Word) else _is_whole(value) and value in (0, 1)
        return None if right else "it must be true or false"
    if name == "float":
        if isinstance(value, NotDecimal):
            return "it must be a decimal number, without 0x or a leading 0"
        return None if isinstance(value, (int, float)) else "it must be a number, without quotes"
    low, high = _INTEGERS[name]
    if not _is_whole(value):
        return "it must be an integer, without quotes"
    return None if low <= int(value) <= high else f"it must be from {low} to {high}"


def _wrong_enum(value: Any, enum: Any) -> Optional[str]:
    names: List[str] = [each.name for each in enum.values]
    numbers = [each.number for each in enum.values]
    if (isinstance(value, Word) and value in names) or (_is_whole(value) and value in numbers):
        return None
    if _is_text(value) and value in names:
        return f"write it without quotes: {value}"
    guess = did_you_mean(str(value), names) if isinstance(value, str) else ""
    return f"{guess + ' ' if guess else ''}Allowed: {', '.join(names)}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Word)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    if isinstance(value, Message):
        return "{ ... }"
    shown = repr(str(value)) if _is_text(value) else str(value)
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}..."
