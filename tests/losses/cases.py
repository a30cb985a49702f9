"""Every loss layer, with what the tests that hold for all of them need: a new loss is one line in CASES."""

from types import MappingProxyType
from typing import Any, Callable, Dict, Mapping, NamedTuple, Tuple

import numpy as np

from tests.losses import references


class Case(NamedTuple):
    layer: str
    inputs: Callable[..., Dict[str, np.ndarray]]  #: rng -> the bottoms without sample_weight, four samples
    reference: Callable[..., Any]  #: (**inputs, **options) -> values of the terms and which are ignored
    differentiable: Tuple[str, ...]  #: names of the bottoms that get a gradient
    options: Mapping[str, Any] = MappingProxyType({})
    twin: str = ""  #: type of the stock layer that it equals without weights
    twin_params: str = ""  #: and the parameters that go with `options`

    def __str__(self):
        return " ".join([self.layer, *(f"{name}={value}" for name, value in self.options.items())])


def scores_and_labels(*shape, axis=1, ignore=None):
    def inputs(rng):
        labels = rng.randint(0, shape[axis], shape[:axis] + shape[axis + 1 :])
        if ignore is not None:
            labels.flat[[1, 2]] = ignore
        return {"scores": rng.randn(*shape) * 2, "label": labels}

    return inputs


def triplets(rng, margin=False):
    inputs = {name: rng.randn(4, 3, 1, 1) for name in ("anchor", "positive", "negative")}
    return {**inputs, "margin": rng.uniform(0, 2, (4, 1, 1, 1))} if margin else inputs


def triplets_with_margin(rng):
    return triplets(rng, margin=True)


EMBEDDINGS = ("anchor", "positive", "negative")
IMAGE = (4, 3, 2, 2)


def softmax_case(inputs, twin_params="", **options):
    return Case(
        "WeightedSoftmaxLoss",
        inputs,
        references.softmax,
        ("scores",),
        options,
        "SoftmaxWithLoss",
        twin_params,
    )


CASES = [
    softmax_case(scores_and_labels(4, 3)),
    softmax_case(scores_and_labels(*IMAGE)),
    softmax_case(scores_and_labels(4, 2, 3, axis=2), "softmax_param { axis: 2 }", axis=2),
    softmax_case(scores_and_labels(4, 2, 3, axis=-1 + 3), "softmax_param { axis: -1 }", axis=-1),
    softmax_case(scores_and_labels(*IMAGE, ignore=255), "loss_param { ignore_label: 255 }", ignore_label=255),
    *(
        softmax_case(
            scores_and_labels(*IMAGE, ignore=1),
            f"loss_param {{ ignore_label: 1 normalization: {mode} }}",
            ignore_label=1,
            normalization=mode,
        )
        for mode in ("FULL", "VALID", "BATCH_SIZE", "NONE")
    ),
    softmax_case(scores_and_labels(*IMAGE), "loss_param { normalize: false }", normalize=False),
    Case("TripletLoss", triplets, references.triplet, EMBEDDINGS),
    Case("TripletLoss", triplets, references.triplet, EMBEDDINGS, {"distance": "euclidean"}),
    Case("TripletLoss", triplets, references.triplet, EMBEDDINGS, {"average": "active"}),
    Case("TripletLoss", triplets, references.triplet, EMBEDDINGS, {"soft": True}),
    Case("TripletLoss", triplets_with_margin, references.triplet, EMBEDDINGS),
]
