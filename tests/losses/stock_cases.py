"""The other losses of stock Caffe: references as plain loops in float64, and cases."""

import math

import numpy as np

from tests.losses.case import Case, large, scores_and_labels


def rows(array):
    array = np.asarray(array, np.float64)
    return array.reshape(len(array), -1)


def sigmoid(scores, target, ignore_label=None, pos_weight=1.0, **_):
    """Values and ignored of sigmoid cross-entropy, (N, D)."""
    labels = np.shape(scores)[1]
    factors = np.resize(np.asarray(pos_weight, np.float64), labels).repeat(np.size(scores[0]) // labels)
    scores, target = rows(scores), rows(target)
    values, ignored = np.zeros(scores.shape), np.zeros(scores.shape, bool)
    for index in np.ndindex(*scores.shape):
        x, t = scores[index], target[index]
        ignored[index] = int(t) == ignore_label
        # -log p is log(1 + exp(-x)), -log(1 - p) is log(1 + exp(x)).
        to_one, to_zero = (math.log(1 + math.exp(z)) if z < 30 else z for z in (-x, x))
        values[index] = factors[index[1]] * t * to_one + (1 - t) * to_zero
    return values, ignored


def euclidean(prediction, target, **_):
    """Values and ignored of half the squared distance, an element at a time, (N, D)."""
    prediction, target = rows(prediction), rows(target)
    values = np.zeros(prediction.shape)
    for index in np.ndindex(*values.shape):
        values[index] = (prediction[index] - target[index]) ** 2 / 2
    return values, np.zeros(values.shape, bool)


def hinge(scores, label, norm="L1", **_):
    """Values and ignored of the one-vs-all hinge, (N,)."""
    scores, label = rows(scores), np.reshape(label, -1)
    values = np.zeros(len(scores))
    for i, k in np.ndindex(*scores.shape):
        slack = max(0.0, 1 - scores[i, k] if k == label[i] else 1 + scores[i, k])
        values[i] += slack if norm == "L1" else slack**2
    return values, np.zeros(len(scores), bool)


def multinomial(prob, label, **_):
    """Values and ignored of -log p, (N,)."""
    prob, label = rows(prob), np.reshape(label, -1)
    values = [-math.log(max(row[int(k)], 1e-20)) for row, k in zip(prob, label)]
    return np.array(values), np.zeros(len(prob), bool)


def contrastive(feature, feature_p, sim, margin=1.0, legacy_version=False, **_):
    """Values and ignored of the contrastive loss, (N,)."""
    values = []
    for a, b, similar in zip(rows(feature), rows(feature_p), np.reshape(sim, -1)):
        squared = sum((x - y) ** 2 for x, y in zip(a, b))
        if similar:
            values.append(squared / 2)
        elif legacy_version:
            values.append(max(0.0, margin - squared) / 2)
        else:
            values.append(max(0.0, margin - math.sqrt(squared)) ** 2 / 2)
    return np.array(values), np.zeros(len(values), bool)


IMAGE = (4, 3, 2, 2)


def two_blobs(names, shape, ignore=None, whole=False, part=False):
    """Inputs that are numbers of any size; the second may be 0 and 1 (whole) or from 0 to 1 (part), and two of it `ignore`."""

    def inputs(rng):
        one = rng.randn(*shape) * 2
        other = (
            rng.randint(0, 2, shape).astype(float) if whole else rng.rand(*shape) if part else rng.randn(*shape) * 1.5
        )
        if ignore is not None:
            other.flat[[1, 2]] = ignore
        return {names[0]: one, names[1]: other}

    return inputs


def sigmoid_case(shape, twin_params="", ignore=None, whole=False, **options):
    names = ("scores", "target")
    small, big = (two_blobs(names, each, ignore, whole, part=True) for each in (shape, large(shape)))
    twin = "SigmoidCrossEntropyLoss"
    case = Case(
        "WeightedSigmoidCrossEntropyLoss", small, sigmoid, ("scores",), big, options, twin, twin_params, "BATCH_SIZE"
    )
    if "pos_weight" not in options:
        return case
    lists = {name: value[:1] * 100 for name, value in options.items() if isinstance(value, list)}
    return case._replace(twin="", large_options=lists)


def euclidean_case(shape):
    names = ("prediction", "target")
    small, big = (two_blobs(names, each) for each in (shape, large(shape)))
    return Case("WeightedEuclideanLoss", small, euclidean, names, big, twin="EuclideanLoss", normalization="BATCH_SIZE")


def hinge_case(shape, twin_params="", **options):
    def inputs(shape):
        """With one label per sample, whatever the rank of the scores."""

        def of(rng):
            flat = scores_and_labels(shape[0], int(np.prod(shape[1:])))(rng)
            return {**flat, "scores": flat["scores"].reshape(shape)}

        return of

    return Case(
        "WeightedHingeLoss",
        inputs(shape),
        hinge,
        ("scores",),
        inputs(large(shape)),
        options,
        "HingeLoss",
        twin_params,
        "BATCH_SIZE",
    )


def multinomial_case(shape):
    def inputs(shape):
        def of(rng):
            # Like a softmax's, and far from 0, where its slopes bend most.
            prob = rng.uniform(0.2, 1, shape)
            return {"prob": prob / prob.sum(axis=1, keepdims=True), "label": rng.randint(0, shape[1], shape[0])}

        return of

    return Case(
        "WeightedMultinomialLogisticLoss",
        inputs(shape),
        multinomial,
        ("prob",),
        inputs(large(shape)),
        twin="MultinomialLogisticLoss",
        normalization="BATCH_SIZE",
    )


def contrastive_case(shape, twin_params="", **options):
    def inputs(shape):
        def of(rng):
            # Alike, unlike within the margin, alike, unlike beyond it. Distances are large, so that the 0.0001 that the
            # gradient adds to them does not show in its differences from the plain loop's.
            far = np.resize([1.0, 6.0, 6.0, 20.0], shape[0]).reshape(-1, *[1] * (len(shape) - 1))
            step = rng.uniform(1, 1.2, shape) * rng.choice([-1, 1], shape)
            feature = rng.randn(*shape)
            similar = np.resize([1, 0, 1, 0], shape[0])
            return {"feature": feature, "feature_p": feature + far * step, "sim": similar}

        return of

    names = ("feature", "feature_p")
    return Case(
        "WeightedContrastiveLoss",
        inputs(shape),
        contrastive,
        names,
        inputs(large(shape)),
        options,
        "ContrastiveLoss",
        twin_params,
        "BATCH_SIZE",
    )


CASES = [
    sigmoid_case((4, 3)),
    sigmoid_case(IMAGE, whole=True),
    *(
        sigmoid_case(
            IMAGE,
            f"loss_param {{ ignore_label: -1 normalization: {mode} }}",
            ignore=-1.7,
            ignore_label=-1,
            normalization=mode,
        )
        for mode in ("FULL", "VALID", "BATCH_SIZE", "NONE")
    ),
    sigmoid_case(IMAGE, "loss_param { ignore_label: 0 }", whole=True, ignore_label=0),
    sigmoid_case((4, 3), "loss_param { normalize: true }", normalize=True),
    sigmoid_case((4, 3), "loss_param { normalize: false }", normalize=False),
    sigmoid_case((4, 3), "loss_param { normalization: VALID }", normalization="VALID"),
    sigmoid_case((4, 3), pos_weight=3.0),
    sigmoid_case(IMAGE, whole=True, pos_weight=[0.5, 2.0, 0.0]),
    sigmoid_case(IMAGE, ignore=-1.7, ignore_label=-1, normalization="VALID", pos_weight=[2.0, 1.0, 4.0]),
    euclidean_case((4, 3)),
    euclidean_case(IMAGE),
    hinge_case((4, 3)),
    hinge_case(IMAGE, "hinge_loss_param { norm: L1 }", norm="L1"),
    hinge_case((4, 3), "hinge_loss_param { norm: L2 }", norm="L2"),
    multinomial_case((4, 3)),
    contrastive_case((4, 3), "contrastive_loss_param { margin: 12 }", margin=12.0),
    contrastive_case((4, 3, 1, 1), "contrastive_loss_param { margin: 150 legacy_version: true }", margin=150.0,
                     legacy_version=True),
    contrastive_case((4, 3)),
]  # fmt: skip
