"""The losses on pairs of a batch: cases for the tests that hold for every loss."""

import numpy as np

from tests.losses.case import Case
from tests.losses.pair_references import pair_loss

TYPES = ("contrastive", "ntxent", "supcon", "multi_similarity", "circle", "lifted", "margin")


def batches(number, size, num_classes, ignore=None):
    """The label is called identity: it is any integer."""

    def inputs(rng):
        labels = np.arange(number) % num_classes
        if ignore is not None:
            labels[::4] = ignore
        return {"embedding": rng.randn(number, size, 1, 1), "identity": labels}

    return inputs


def pair_case(layer="BatchPairLoss", ignore=None, **options):
    small, large = batches(4, 3, 2, ignore), batches(1000, 100, 100, ignore)
    if ignore is not None:
        options["ignore_label"] = ignore
    of_layer = {} if layer == "BatchPairLoss" else {"type": "lifted", "normalize_x": False}
    # The brackets of circle are no part of its gradient: they are those of the batch that the tests feed.
    brackets = small(np.random.RandomState(0))["embedding"].astype(np.float32)

    def loss(inputs, weights, given):
        given = {name: value for name, value in given.items() if name not in ("normalization", "normalize_by")}
        if of_layer:
            given["neg_margin"] = given.pop("margin", 1.0)
        return pair_loss(inputs["embedding"], inputs["identity"], weights, brackets=brackets, **given, **of_layer)

    def values(embedding, **_):
        return np.zeros(len(embedding)), np.zeros(len(embedding), bool)

    return Case(layer, small, values, ("embedding",), large, options, copies=False, loss=loss)


CASES = [
    *(pair_case(type=each) for each in TYPES),
    *(pair_case(type=each, average="positive") for each in ("ntxent", "lifted")),
    *(pair_case(type=each, average="all") for each in ("contrastive", "margin", "circle")),
    *(pair_case(type=each, normalize_x=False) for each in ("contrastive", "margin", "lifted", "ntxent")),
    *(pair_case(type="contrastive", mining=each) for each in ("hard", "easy", "semihard", "multi_similarity", "pair_margin")),
    *(pair_case(type=each, mining="multi_similarity") for each in ("supcon", "circle")),
    *(pair_case(type=each, ignore=7) for each in ("ntxent", "lifted")),
    pair_case(type="contrastive", pos_margin=0.3, neg_margin=1.5),
    pair_case(type="supcon", temperature=0.5),
    pair_case(type="multi_similarity", alpha=3.0, beta=20.0, base=0.3, epsilon=0.2, mining="multi_similarity"),
    pair_case(type="circle", margin=0.25, scale=128.0),
    pair_case(type="margin", margin=0.4, beta=1.1),
    pair_case("LiftedStructSimilaritySoftmaxLoss"),
    pair_case("LiftedStructSimilaritySoftmaxLoss", ignore=3, margin=2.0, average="positive"),
]  # fmt: skip
