"""A graph of ONNX as it is made: tensors by name with their shapes, the nodes between them, and what is constant."""

import math
from dataclasses import dataclass, field
from typing import Any, Dict, List, NamedTuple, Sequence, Set, Tuple, Union

import numpy as np


class Rows(NamedTuple):
    """A first axis whose size is known when the net runs: so many times what has this name."""

    name: str
    times: int = 1

    def __str__(self) -> str:
        return self.name if self.times == 1 else f"{self.times}{self.name}"


Size = Union[int, Rows]
Shape = Tuple[Size, ...]


def times(size: Size, factor: int) -> Size:
    """A size so many times as large."""
    return Rows(size.name, size.times * factor) if isinstance(size, Rows) else size * factor


def count(shape: Shape) -> int:
    """The numbers of a shape, per one of what its first axis is of."""
    return math.prod(size.times if isinstance(size, Rows) else size for size in shape)


@dataclass(frozen=True, eq=False)
class Tensor:
    """What a node gives or takes. Only the first axis of a shape may be of rows."""

    name: str
    shape: Shape


class Node(NamedTuple):
    """An operator with its inputs and outputs by name; "" is an optional input that is missing."""

    op: str
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]
    attributes: Dict[str, Any]


@dataclass
class Graph:
    """reserved: names that are not given to anything on the way: those of the net's blobs."""

    name: str
    reserved: Set[str]
    inputs: List[Tensor] = field(default_factory=list)
    outputs: List[Tensor] = field(default_factory=list)
    nodes: List[Node] = field(default_factory=list)
    constants: Dict[str, np.ndarray] = field(default_factory=dict)

    def fresh(self, begin: str) -> str:
        """A name that nothing else has."""
        number = next(number for number in range(len(self.reserved) + 1) if f"{begin}/{number}" not in self.reserved)
        self.reserved.add(f"{begin}/{number}")
        return f"{begin}/{number}"

    def constant(self, begin: str, value: np.ndarray) -> Tensor:
        """A tensor of these numbers."""
        name = self.fresh(begin)
        self.constants[name] = value
        return Tensor(name, value.shape)

    def node(
        self, begin: str, op: str, inputs: Sequence[str], shapes: Sequence[Shape], **attributes: Any
    ) -> List[Tensor]:
        """What a new node gives, tensors of these shapes."""
        tensors = [Tensor(self.fresh(begin), shape) for shape in shapes]
        self.nodes.append(Node(op, tuple(inputs), tuple(tensor.name for tensor in tensors), attributes))
        return tensors

    def rename(self, names: Dict[str, str]) -> None:
        """Give tensors other names."""
        self.nodes = [
            node._replace(
                inputs=tuple(names.get(name, name) for name in node.inputs),
                outputs=tuple(names.get(name, name) for name in node.outputs),
            )
            for node in self.nodes
        ]
        self.constants = {names.get(name, name): value for name, value in self.constants.items()}
