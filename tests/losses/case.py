"""What the tests that hold for every loss need to know of one."""

import math
from types import MappingProxyType
from typing import Any, Callable, Dict, Mapping, NamedTuple, Tuple

import numpy as np


class Case(NamedTuple):
    """A loss layer with some options. Its inputs have four samples."""

    layer: str
    inputs: Callable[..., Dict[str, np.ndarray]]  #: rng -> the bottoms without sample_weight
    #: (**inputs, **options, weights) -> values of the terms and which are ignored, by plain loops in float64; for values that are
    #: sums a third array says of how many terms
    reference: Callable[..., Any]
    differentiable: Tuple[str, ...]  #: names of the bottoms that get a gradient
    large: Callable[..., Dict[str, np.ndarray]]  #: as inputs, of 1000 samples with 100 classes or dimensions each
    options: Mapping[str, Any] = MappingProxyType({})
    twin: str = ""  #: type of the stock layer that it equals without weights
    twin_params: str = ""  #: and the parameters that go with `options`
    normalization: str = "VALID"  #: the layer's default
    copies: bool = True  #: whether a weight of k is k copies
    #: (inputs, weights, options) -> the loss, where the values of terms do not say it; the reference's values have the terms' shape
    loss: Any = None
    vectors: Any = None  #: shape -> what the tests put into the parameter blob; the reference takes other `vectors` too
    jumps_at_weight_0: bool = False  #: whether the loss is another one as soon as a weight is above 0
    large_options: Mapping[str, Any] = MappingProxyType({})  #: those of `options` that go with the number of classes

    def __str__(self):
        return " ".join([self.layer, *(f"{name}={value}" for name, value in self.options.items())])


def hard(case, keep):
    """The case with the option `keep`: the terms of the highest values, of equal ones the first; the others are ignored."""

    def reference(**given):
        values, ignored, *_ = case.reference(**given)
        places = [at for at in np.ndindex(*values.shape) if not ignored[at]]
        places.sort(key=lambda at: -values[at])  # which leaves equal ones in order
        number = keep.get("top_k", math.ceil(keep.get("fraction", 0) * len(places)))
        if "threshold" in keep:
            number = max(sum(values[at] > keep["threshold"] for at in places), keep.get("min_kept", 0))
        ignored = np.ones(values.shape, bool)
        for at in places[:number]:
            ignored[at] = False
        return values, ignored

    options = {**case.options, "keep": keep}
    return case._replace(reference=reference, options=options, copies=False, twin="", twin_params="")


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
