"""Which options give a position in the stream its meaning: a mark on each of them."""

import os
from dataclasses import dataclass
from typing import Any, List, Optional

from caffe_pylayers.config.schema import Options

_VALUES, _FILES = 13, 4  # as many places as there are


@dataclass(frozen=True)
class InOrder:
    """Marks an option that says which records a batch has, as in ``seed: Annotated[int, InOrder()]``.

    A position in the stream means something under its value alone, so snapshots hold a hash of all such values. A new
    option takes no place: its value is among them only where it is not the default, so that older snapshots stay known.
    place: of an option of version 0.1.0. From 13 on it is a file's, which counts by its name without folders: data may
    be moved.
    """

    place: Optional[int] = None


def order_of(options: Options) -> List[Any]:
    """The values of the marked options, in an order that stays: None, or "" for a file, where the layer has none."""
    values: List[Any] = [None] * _VALUES + [""] * _FILES
    later: List[Any] = []
    for name, field in type(options).model_fields.items():
        value = getattr(options, name)
        for mark in field.metadata:
            if not isinstance(mark, InOrder):
                continue
            if mark.place is not None:
                values[mark.place] = value if mark.place < _VALUES else _name(value)
            elif value != field.default:
                later.append(_of_dicts(value))
    return values[:_VALUES] + later + values[_VALUES:]


def _of_dicts(value: Any) -> Any:
    """A list of dicts with options of their own as what they say of the order; another value as it is."""
    dicts = isinstance(value, tuple) and any(isinstance(each, Options) for each in value)
    return [order_of(each) for each in value] if dicts else value


def _name(value: Any) -> str:
    """Of a file without its folders; of columns, as they are."""
    return ",".join(value) if isinstance(value, tuple) else os.path.basename(value or "")
