"""Values as people spell them: numbers as text, booleans and names in any case."""

import re
from typing import Any, Literal, Union

from typing_extensions import Annotated, get_args, get_origin

_NUMBER = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")


def spell(kind: Any, value: Any) -> Any:
    """Return ``value`` as an option of type ``kind`` spells it; what cannot be that is returned as it is.

    >>> spell(float, "1e-3"), spell(int, 7.0), spell(bool, "True"), spell(Literal["RANDOM"], "random")
    (0.001, 7, True, 'RANDOM')
    """
    origin, members = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return spell(members[0], value)
    if origin is Union:
        if type(None) in members and isinstance(value, str) and value.lower() in ("none", "null"):
            return None
        spelled = (spell(member, value) for member in members)
        return next((new for new in spelled if new is not value), value)
    if origin is tuple and isinstance(value, (list, tuple)):  # the entries of a tuple are of one type here
        return tuple(spell(members[0], entry) for entry in value)
    if origin is dict and isinstance(value, dict):  # whose keys JSON has as text
        entries = {spell(members[0], key): spell(members[1], entry) for key, entry in value.items()}
        return entries if len(entries) == len(value) else value
    if isinstance(value, str):
        if origin is Literal:
            return next((name for name in members if name.lower() == value.lower()), value)
        if kind is bool:
            return {"true": True, "false": False}.get(value.lower(), value)
        if kind is int and re.fullmatch("[-+]?(0|[1-9][0-9]{0,300})", value):
            return int(value)
        if kind in (int, float) and _NUMBER.fullmatch(value):
            return spell(kind, float(value))
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value
