"""One layer on its way to ONNX: what a function of a kind of layer takes, and how it makes nodes."""

from dataclasses import dataclass, field
from typing import Any, Dict, List, NoReturn, Optional, Sequence, Set, Tuple, TypeVar, Union

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.prototxt import Message
from caffe_pylayers.caffe_files.weights import LayerWeights
from caffe_pylayers.commands.export.layouts import dims
from caffe_pylayers.commands.export.onnx.graph import Graph, Rows, Shape, Size, Tensor
from caffe_pylayers.commands.export.windows import whole_number, whole_numbers
from caffe_pylayers.errors import ConfigError, DataError

#: What a node takes: a tensor, or numbers that become a constant; None is an optional input that is missing.
Input = Union[Tensor, np.ndarray, float, Sequence[int], None]
_Choice = TypeVar("_Choice", bound=str)


#: Fields that make no difference in TEST, or only to how fast it is.
_WITHOUT_EFFECT = {
    "engine", "weight_filler", "bias_filler", "filler", "force_nd_im2col", "moving_average_fraction", "stable_prod_grad",
}  # fmt: skip


@dataclass(frozen=True)
class Fields:
    """The fields of a parameter of a layer, checked as they are read. asked: those that were asked for."""

    layer: Layer
    message: Message
    asked: Set[str] = field(default_factory=lambda: set(_WITHOUT_EFFECT))

    def __contains__(self, name: str) -> bool:
        self.asked.add(name)
        return name in self.message

    # Each of these raises ConfigError where the field is something else.
    def integer(self, name: str, default: Optional[int] = None) -> int:
        self.asked.add(name)
        return whole_number(self.layer, self.message, name, default)

    def integers(self, name: str) -> List[int]:
        self.asked.add(name)
        return whole_numbers(self.layer, self.message, name)

    def number(self, name: str, default: float) -> float:
        return (self.numbers(name) or [default])[-1]

    def numbers(self, name: str) -> List[float]:
        self.asked.add(name)
        values = self.message.all(name)
        for value in values:
            if not isinstance(value, (int, float)):
                raise self._wrong(name, f"{name} must be a number, not {value!r}")
        return [float(value) for value in values]

    def flag(self, name: str, default: bool = False) -> bool:
        self.asked.add(name)
        return self.message.flag(name, default)

    def choice(self, name: str, choices: Sequence[_Choice], first: int = 0) -> _Choice:
        """One of the names of an enum, whose first number is `first`; without the field the first name."""
        self.asked.add(name)
        value = self.message.get(name, choices[0])
        found = choices[value - first] if value in range(first, first + len(choices)) else value
        if found not in choices:
            raise self._wrong(name, f"{name} must be one of {', '.join(choices)}, not {value}")
        return choices[choices.index(found)]

    def require_asked(self) -> None:
        """Raise ConfigError for a field that nothing asked for: a fork's, which would silently count for nothing."""
        for name in (each.name for each in self.message.fields if each.name not in self.asked):
            known = ", ".join(sorted(self.asked - _WITHOUT_EFFECT))
            raise self._wrong(name, f"{name} is no field that counts here", f"those that do: {known}")

    def _wrong(self, name: str, problem: str, remedy: str = "") -> ConfigError:
        source = f"{self.layer.file}:{self.message.line_of(name)}: layer {self.layer.name!r}"
        return ConfigError(problem, remedy=remedy, source=source)


@dataclass
class Step:
    """A layer with its bottoms, what the file of weights has for it, and its options where it is one of this package."""

    graph: Graph
    layer: Layer
    bottoms: List[Tensor]
    weights: LayerWeights
    weights_file: str
    options: Any = None
    _fields: Dict[str, Fields] = field(default_factory=dict)

    @property
    def x(self) -> Tensor:
        """The first bottom."""
        return self.bottoms[0]

    def fields(self, name: str) -> Fields:
        """The parameter of that name."""
        return self._fields.setdefault(name, Fields(self.layer, self.layer.message.message(name)))

    def finish(self, tops: Sequence[Tensor]) -> None:
        """Raise ConfigError where the layer has more than its nodes do."""
        for fields in self._fields.values():
            fields.require_asked()
        if len(tops) < len(self.layer.tops):
            self.fail(f"only {len(tops)} of its {len(self.layer.tops)} tops have a counterpart", "remove the others")

    def fail(self, problem: str, remedy: str = "") -> NoReturn:
        """Raise ConfigError of this layer."""
        raise ConfigError(problem, remedy=remedy, source=self.layer.described)

    def node(self, op: str, *inputs: Input, shape: Optional[Shape] = None, **attributes: Any) -> Tensor:
        """What a new node gives, by default of the shape of its first input."""
        if shape is None:
            shape = inputs[0].shape if isinstance(inputs[0], Tensor) else ()
        return self.nodes(op, inputs, [shape], **attributes)[0]

    def nodes(self, op: str, inputs: Sequence[Input], shapes: Sequence[Shape], **attributes: Any) -> List[Tensor]:
        names = ["" if each is None else self._tensor(each).name for each in inputs]
        return self.graph.node(self.layer.name, op, names, shapes, **attributes)

    def _tensor(self, value: Union[Tensor, np.ndarray, float, Sequence[int]]) -> Tensor:
        if isinstance(value, Tensor):
            return value
        if isinstance(value, np.ndarray):
            return self.graph.constant(self.layer.name, value)
        numbers = np.array(value, np.float32 if isinstance(value, float) else np.int64)
        return self.graph.constant(self.layer.name, numbers)

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        """x with another shape, of as many numbers."""
        if x.shape == shape:
            return x
        sizes = [-1 if isinstance(size, Rows) else size for size in shape]
        return self.node("Reshape", x, sizes, shape=shape)

    def axis(self, axis: int, samples: bool = False) -> int:
        """An axis of the first bottom, counted from 0. samples: whether it may be that of the samples."""
        rank = len(self.x.shape)
        if not -rank <= axis < rank:
            self.fail(f"axis {axis} is not an axis of its bottom, which has {rank}")
        axis %= rank
        if not axis and not samples:
            self.fail(
                "it works along axis 0, over samples, of which ONNX's net takes any number",
                "export the part of the net before it with --blob",
            )
        return axis

    def blob(self, number: int, shape: Sequence[Size]) -> np.ndarray:
        """The parameter blob of that number, with that shape. Raises DataError where the file has none that fits."""
        blobs, wanted = self.weights.blobs, [self.known(size) for size in shape]
        source = f"{self.weights_file}: layer {self.layer.name!r}"
        if number >= len(blobs):
            found = f"it has {len(blobs) or 'no'} blobs, but {self.layer.described} needs at least {number + 1}"
            raise DataError(found, remedy="do these weights belong to another net?", source=source)
        blob = blobs[number]
        if _without_ones(blob.shape) != _without_ones(wanted):
            found = f"blob {number} has shape {dims(blob.shape)}, but {self.layer.described} needs {dims(wanted)}"
            raise DataError(found, remedy="do these weights belong to another net?", source=source)
        return np.asarray(blob, np.float32).reshape(wanted)

    def known(self, size: Size) -> int:
        """A size that must not be one of samples."""
        if isinstance(size, Rows):
            self.fail(
                "its parameters have a number per sample, but ONNX's net takes any number of samples",
                "export the part of the net before it with --blob",
            )
        return size

    def spatial(self, least: int = 1) -> Tuple[int, ...]:
        """The sizes behind the channels of the first bottom."""
        if len(self.x.shape) < 2 + least:
            self.fail(f"its bottom has {len(self.x.shape)} axes, but at least {2 + least} are needed")
        return tuple(map(self.known, self.x.shape[2:]))


def _without_ones(shape: Sequence[int]) -> List[int]:
    return [size for size in shape if size != 1]
