"""The losses as plain loops in float64: slow, and as near to the paper as it gets."""

import math

import numpy as np


def reduce(values, ignored, weights=None, normalization="VALID", normalize_by="weight"):
    """The loss of `values`, of shape (outer, ...), by the table in caffe_pylayers.losses.reduction."""
    shape = np.shape(values)
    total = normalizer = 0.0
    for index in np.ndindex(*shape):
        weight = 1.0 if weights is None else float(weights[index])
        counted = weight if normalize_by == "weight" else 1.0
        if normalization in ("FULL", "BATCH_SIZE") or (normalization == "VALID" and not ignored[index]):
            normalizer += counted
        if not ignored[index] and weight != 0:
            total += weight * float(values[index])
    if normalization == "BATCH_SIZE":
        normalizer /= np.prod(shape[1:])
    if normalization == "NONE":
        normalizer = 1.0
    return total / normalizer if normalizer > 0 else 0.0


def softmax(scores, label, axis=1, ignore_label=None, **_):
    """Values and ignored of softmax cross-entropy, both of shape (outer, inner)."""
    scores = np.asarray(scores, np.float64)
    axis %= scores.ndim
    outer, inner = scores.shape[:axis], scores.shape[axis + 1 :]
    planes = scores.reshape(int(np.prod(outer)), scores.shape[axis], int(np.prod(inner)))
    labels = np.asarray(label).reshape(len(planes), -1)
    values, ignored = np.zeros(labels.shape), np.zeros(labels.shape, bool)
    for i, j in np.ndindex(*labels.shape):
        if labels[i, j] == ignore_label:
            ignored[i, j] = True
            continue
        row = planes[i, :, j]
        largest = max(row)
        log_sum = largest + math.log(sum(math.exp(x - largest) for x in row))
        values[i, j] = log_sum - row[int(labels[i, j])]
    return values, ignored


def triplet(
    anchor,
    positive,
    negative,
    margin=None,
    distance="squared",
    soft=False,
    average="all",
    margin_option=0.2,
    **_,
):
    """Values and ignored of the triplet loss, (N,)."""
    values = np.zeros(len(anchor))
    for i in range(len(values)):
        a, p, n = (np.asarray(x[i], np.float64).reshape(-1) for x in (anchor, positive, negative))
        d_ap, d_an = sum((a - p) ** 2), sum((a - n) ** 2)
        if distance == "euclidean":
            d_ap, d_an = math.sqrt(d_ap), math.sqrt(d_an)
        if soft:
            values[i] = math.log(1 + math.exp(d_ap - d_an))
        else:
            factor = 1.0 if margin is None else float(np.reshape(margin, -1)[i])
            values[i] = max(0.0, d_ap - d_an + margin_option * factor)
    return values, (values <= 0) if average == "active" else np.zeros(len(values), bool)


def numeric_gradient(function, x, step=1e-6):
    """Central differences of function(x) -> float, in float64."""
    x = np.array(x, np.float64)
    gradient = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        kept = x[index]
        x[index] = kept + step
        above = function(x)
        x[index] = kept - step
        below = function(x)
        x[index] = kept
        gradient[index] = (above - below) / (2 * step)
    return gradient
