"""The losses on regions: references as plain loops in float64, and cases."""

import math

import numpy as np

from tests.losses.case import Case, large, scores_and_labels
from tests.losses.class_cases import log_softmax
from tests.losses.stock_cases import rows, sigmoid, two_blobs

IMAGE = (4, 3, 2, 2)


def each_weight(weights, shape):
    """Weights of terms of `shape`, from one per term, one per sample or none."""
    if weights is None:
        return np.ones(shape)
    each = np.asarray(weights, np.float64).reshape(len(weights), -1)
    return np.repeat(each, np.prod(shape[1:], dtype=int) // each.shape[1], axis=1).reshape(shape)


# -------------------------------------------------------------------------------------------- balanced sigmoid


def balanced(scores, target, weights=None, **_):
    """Values and ignored, (N, D); what is neither 0 nor 1 is ignored."""
    values, _ = sigmoid(scores, target)
    target = rows(target)
    each = each_weight(weights, target.shape)
    ignored = (target != 0) & (target != 1)
    for i, row in enumerate(target):
        ones = sum(w for t, w in zip(row, each[i]) if t == 1)
        zeros = sum(w for t, w in zip(row, each[i]) if t == 0)
        for j, t in enumerate(row):
            if not ignored[i, j]:
                values[i, j] *= (zeros if t == 1 else ones) / ((ones + zeros) or 1)
    return values, ignored


def balanced_case(shape, others=False, **options):
    small, big = (
        two_blobs(("scores", "target"), each, 0.5 if others else None, whole=True) for each in (shape, large(shape))
    )
    layer = "BalancedSigmoidCrossEntropyLoss"
    return Case(
        layer,
        small,
        balanced,
        ("scores",),
        big,
        options,
        normalization="BATCH_SIZE",
        copies=options.get("normalize_by") != "count",
    )


# --------------------------------------------------------------------------------------------------------- dice


def probabilities(scores, activation):
    """Of scores (N, K, P)."""
    p = np.zeros(scores.shape)
    for i, j in np.ndindex(scores.shape[0], scores.shape[2]):
        for k, log_p in enumerate(log_softmax(scores[i, :, j])):
            x = scores[i, k, j]
            p[i, k, j] = {"softmax": math.exp(log_p), "none": x}.get(activation, 0)
            if activation == "sigmoid":
                p[i, k, j] = 1 / (1 + math.exp(-x)) if x > -700 else 0
    return p


def dice_loss(inputs, weights, options):
    """The mean over regions, of sums that a plain loop adds up."""
    scores = np.asarray(inputs["scores"], np.float64)
    scores = scores.reshape(*scores.shape[:2], -1)
    given, ignore = np.asarray(inputs["target"], np.float64), options.get("ignore_label")
    of_labels = given.size != scores.size
    activation = options.get("activation") or ("softmax" if of_labels else "sigmoid")
    p, over, e = probabilities(scores, activation), options.get("over", "batch"), options.get("epsilon", 1e-6)
    given = given.reshape(len(scores), 1 if of_labels else scores.shape[1], -1)
    each = each_weight(weights, given.shape)
    sums = {}
    for i, k, j in np.ndindex(*scores.shape):
        at = (i, 0, j) if of_labels else (i, k, j)
        t = float(given[at] == k) if of_labels else given[at]
        total = sums.setdefault({"batch": 0, "sample": i, "class": k}[over], np.zeros(3))
        if given[at] != ignore:
            total += each[at] * np.array([p[i, k, j] * t, p[i, k, j], t])
    losses = {}
    for region, (tp, of_p, of_t) in sums.items():
        fp, fn = of_p - tp, of_t - tp
        a, b = {"dice": (0.5, 0.5), "jaccard": (1, 1)}.get(options.get("type", "dice")) or (
            options.get("alpha", 0.5),
            options.get("beta", 0.5),
        )
        half = 0.5 if options.get("type", "dice") == "dice" else 1
        losses[region] = 1 - (tp + half * e) / (tp + a * fp + b * fn + half * e)
    if over == "sample" and weights is not None:
        mean = each.reshape(len(scores), -1).mean(axis=1)
        return sum(mean[i] * losses[i] for i in losses) / mean.sum() if mean.sum() else 0.0
    return sum(losses.values()) / len(losses)


def shape_of_terms(scores, target, **_):
    """No values: only the shape of the weights."""
    return np.zeros(np.shape(target)), np.zeros(np.shape(target), bool)


def dice_case(shape, labels=False, ignore=None, activation=None, **options):
    def of(shape):
        def inputs(rng):
            if labels:
                blobs = scores_and_labels(*shape, ignore=ignore)(rng)
                return {"scores": blobs["scores"], "target": blobs["label"]}
            blobs = two_blobs(("scores", "target"), shape, ignore, part=True)(rng)
            return {**blobs, "scores": rng.uniform(0.1, 0.9, shape)} if activation == "none" else blobs

        return inputs

    # With an epsilon that nothing feels, scaled weights give the same.
    options = {"epsilon": 1e-12, **options, **({"activation": activation} if activation else {})}
    if ignore is not None:
        options["ignore_label"] = ignore
    return Case("DiceLoss", of(shape), shape_of_terms, ("scores",), of(large(shape)), options, loss=dice_loss)


CASES = [
    balanced_case((4, 3)),
    balanced_case((4, 1, 3, 3), others=True),
    *(balanced_case((4, 1, 3, 3), others=True, normalization=mode) for mode in ("FULL", "VALID", "NONE")),
    balanced_case((4, 3), normalize_by="count"),
    dice_case((4, 3)),
    dice_case(IMAGE),
    dice_case(IMAGE, over="sample"),
    dice_case(IMAGE, over="class", type="jaccard"),
    dice_case(IMAGE, type="tversky", alpha=0.3, beta=0.7, ignore=-1),
    dice_case(IMAGE, activation="softmax", over="class"),
    dice_case(IMAGE, activation="none", over="sample", type="jaccard"),
    dice_case(IMAGE, labels=True),
    dice_case(IMAGE, labels=True, over="class", ignore=255),
    dice_case((4, 3), labels=True, over="sample", type="tversky", alpha=0.7, beta=0.3),
    dice_case(IMAGE, labels=True, activation="sigmoid"),
]
