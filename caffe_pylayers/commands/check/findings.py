"""What a check finds: where, how bad, what is wrong and what to do."""

from dataclasses import dataclass
from typing import Iterable, List

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.prototxt import Message, PrototxtError
from caffe_pylayers.errors import readable

ERROR, WARNING, NOTE = "error", "warning", "note"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or worth knowing, in a line of a file.

    layer: the layer's name, "" where it is no layer's. level: "error" (Caffe stops, or learns nothing), "warning" (it
    runs, and hardly as was meant) or "note". remedy: what to do.
    """

    file: str
    line: int
    layer: str
    level: str
    message: str
    remedy: str = ""

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"

    @property
    def text(self) -> str:
        """Layer and message."""
        return readable(f"layer {self.layer!r}: {self.message}" if self.layer else self.message)

    def __str__(self) -> str:
        return f"{self.place}: {self.level}: {self.text}" + (f"; {self.remedy}" if self.remedy else "")


def of_layer(layer: Layer, level: str, message: str, remedy: str = "", at: str = "", number: int = -1) -> Finding:
    """A finding in a layer, at its field `at`, by default the last of that name; at its first line without one."""
    return Finding(layer.file, line_of(layer.message, at, number), layer.name, level, message, remedy)


def error(layer: Layer, message: str, remedy: str = "", at: str = "", number: int = -1) -> Finding:
    return of_layer(layer, ERROR, message, remedy, at, number)


def warning(layer: Layer, message: str, remedy: str = "", at: str = "", number: int = -1) -> Finding:
    return of_layer(layer, WARNING, message, remedy, at, number)


def times(count: int) -> str:
    """How often something is given."""
    return "once" if count == 1 else f"{count} times"


def of_error(error: PrototxtError) -> Finding:
    """The finding that a file that cannot be read as prototxt is."""
    remedy = error.remedy or "look at this line, and at the end of the line before it"
    return Finding(error.where, error.line, "", ERROR, error.problem, remedy)


def line_of(message: Message, path: str, number: int = -1) -> int:
    """The line of a field, by its names with dots between; of the innermost message on the way that there is."""
    *outer, name = path.split(".")
    for each in outer:
        message = message.message(each)
    lines = [field.line for field in message.fields if field.name == name]
    return lines[number] if lines else message.line


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Names in a row; of many, the first ones."""
    known: List[str] = list(dict.fromkeys(names))
    more = f" and {len(known) - limit} more" if len(known) > limit else ""
    return ", ".join(repr(name) for name in known[:limit]) + more if known else "none"
