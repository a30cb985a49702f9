"""What the tests that hold for every layer on features need to know of one."""

from types import MappingProxyType
from typing import Any, Callable, Dict, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

Inputs = Callable[..., Dict[str, np.ndarray]]


class Feature(NamedTuple):
    """A layer with some options, and what it takes."""

    layer: str
    inputs: Inputs  #: rng -> the bottoms by name, in order
    #: (**inputs, **options) -> the first top, by plain loops in float64; with parameter blobs it takes `blobs`, a list, too
    reference: Callable[..., Any]
    reshaped: Inputs  #: as inputs, of other shapes
    large: Inputs  #: as inputs, the first of a million numbers or more
    options: Mapping[str, Any] = MappingProxyType({})
    differentiable: Tuple[str, ...] = ("x",)  #: names of the bottoms that get a gradient
    blobs: Callable[..., Sequence[np.ndarray]] = lambda rng: ()  #: rng -> values of the parameter blobs
    in_place: bool = False  #: whether the first top may be the first bottom
    in_test: Any = None  #: the same as `reference` in TEST, if it is something else there
    extreme: float = 1e10  #: how large the numbers of `differentiable` may be

    def __str__(self):
        return " ".join([self.layer, *(f"{name}={value}" for name, value in self.options.items())])


def only_x(*shape):
    """Inputs of one bottom of normal numbers."""
    return lambda rng: {"x": rng.randn(*shape)}
