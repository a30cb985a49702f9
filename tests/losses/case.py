"""What the tests that hold for every loss need to know of one."""

from types import MappingProxyType
from typing import Any, Callable, Dict, Mapping, NamedTuple, Tuple

import numpy as np


class Case(NamedTuple):
    """A loss layer with some options. Its inputs have four samples."""

    layer: str
    inputs: Callable[..., Dict[str, np.ndarray]]  #: rng -> the bottoms without sample_weight
    #: (**inputs, **options) -> values of the terms and which are ignored, by plain loops in float64; for values that are
    #: sums a third array says of how many terms
    reference: Callable[..., Any]
    differentiable: Tuple[str, ...]  #: names of the bottoms that get a gradient
    large: Callable[..., Dict[str, np.ndarray]]  #: as inputs, of 1000 samples with 100 classes or dimensions each
    options: Mapping[str, Any] = MappingProxyType({})
    twin: str = ""  #: type of the stock layer that it equals without weights
    twin_params: str = ""  #: and the parameters that go with `options`
    normalization: str = "VALID"  #: the layer's default
    copies: bool = True  #: whether a weight of k is k copies
    large_options: Mapping[str, Any] = MappingProxyType({})  #: those of `options` that go with the number of classes

    def __str__(self):
        return " ".join([self.layer, *(f"{name}={value}" for name, value in self.options.items())])


def scores_and_labels(*shape, axis=1, ignore=None):
    """Inputs of a loss on scores of `shape` and index labels, two of them `ignore`."""

    def inputs(rng):
        labels = rng.randint(0, shape[axis], shape[:axis] + shape[axis + 1 :])
        if ignore is not None:
            labels.flat[[1, 2]] = ignore
        return {"scores": rng.randn(*shape) * 2, "label": labels}

    return inputs


def large(shape, axis=1):
    """A shape of four samples and a few classes along `axis`, as that of 1000 samples and 100 classes."""
    return (1000, *(100 if i == axis else size for i, size in enumerate(shape[1:], 1)))
