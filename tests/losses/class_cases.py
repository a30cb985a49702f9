"""The losses with a softmax inside: references as plain loops in float64, and cases."""

import math

import numpy as np

from tests.losses.case import Case, large, scores_and_labels

IMAGE = (4, 3, 2, 2)


def each_term(scores, axis=1):
    """The index (outer, inner) of each term, and its scores, float64 (K,)."""
    scores = np.asarray(scores, np.float64)
    axis %= scores.ndim
    outer, inner = scores.shape[:axis], scores.shape[axis + 1 :]
    planes = scores.reshape(int(np.prod(outer)), scores.shape[axis], int(np.prod(inner)))
    for i, j in np.ndindex(planes.shape[0], planes.shape[2]):
        yield (i, j), planes[i, :, j]


def log_softmax(row):
    largest = max(row)
    log_sum = largest + math.log(sum(math.exp(x - largest) for x in row))
    return [x - log_sum for x in row]


def by_label(scores, label, axis, ignore_label, value):
    """Values and ignored, both of shape (outer, inner); value(row of scores, label) -> float is that of a term."""
    scores = np.asarray(scores)
    outer = int(np.prod(scores.shape[: axis % scores.ndim]))
    labels = np.asarray(label).reshape(outer, -1)
    values, ignored = np.zeros(labels.shape), labels == ignore_label
    for at, row in each_term(scores, axis):
        if not ignored[at]:
            values[at] = value(row, int(labels[at]))
    return values, ignored


def softmax(scores, label, axis=1, ignore_label=None, **_):
    return by_label(scores, label, axis, ignore_label, lambda row, y: -log_softmax(row)[y])


def focal(scores, label, gamma=2.0, alpha=1.0, axis=1, ignore_label=None, **_):
    def value(row, y):
        log_p = log_softmax(row)
        p_others = sum(math.exp(log_p[k]) for k in range(len(row)) if k != y)
        return -(alpha[y] if isinstance(alpha, list) else alpha) * p_others**gamma * log_p[y]

    return by_label(scores, label, axis, ignore_label, value)


def ldam(scores, label, counts, max_margin=0.5, scale=1.0, axis=1, ignore_label=None, **_):
    fewest = min(n for n in counts if n > 0)

    def value(row, y):
        margin = max_margin * (fewest / counts[y]) ** 0.25 if counts[y] else max_margin
        return -log_softmax([scale * (x - margin * (k == y)) for k, x in enumerate(row)])[y]

    return by_label(scores, label, axis, ignore_label, value)


def infogain(scores, label, H, axis=1, ignore_label=None, **_):
    def value(row, y):
        rows = np.reshape(H, (len(row), len(row)))
        return -sum(rows[y][k] * max(log_p, math.log(1e-20)) for k, log_p in enumerate(log_softmax(row)))

    return by_label(scores, label, axis, ignore_label, value)


def soft_cross_entropy(scores, distribution, axis=1, **_):
    shape = np.array(max(at for at, _ in each_term(scores, axis))) + 1
    values, ignored = np.zeros(shape), np.zeros(shape, bool)
    for (at, row), (_, q) in zip(each_term(scores, axis), each_term(distribution, axis)):
        ignored[at] = not any(q)
        values[at] = -sum(q_k * log_p for q_k, log_p in zip(q, log_softmax(row)))
    return values, ignored


def distillation(student, teacher, label=None, temperature=1.0, scale_loss=False, axis=1, ignore_label=None, **_):
    shape = np.array(max(at for at, _ in each_term(student, axis))) + 1
    values, ignored = np.zeros(shape), np.zeros(shape, bool)
    for (at, s), (_, t) in zip(each_term(student, axis), each_term(teacher, axis)):
        log_p, log_q = log_softmax(s / temperature), log_softmax(t / temperature)
        values[at] = sum(math.exp(q) * (q - p) for p, q in zip(log_p, log_q)) * (temperature**2 if scale_loss else 1)
        ignored[at] = label is not None and np.reshape(label, shape)[at] == ignore_label
    return values, ignored


def scores_and_distributions(*shape, axis=1, empty=False):
    """Inputs with soft labels of any sum, in one of them an entry below 0; with `empty` the first are all zeros."""

    def inputs(rng):
        distribution = rng.uniform(0, 1, shape)
        distribution.flat[-1] = -0.3
        if empty:
            first = [slice(0, 1)] * len(shape)
            first[axis] = slice(None)
            distribution[tuple(first)] = 0
        return {"scores": rng.randn(*shape) * 2, "distribution": distribution}

    return inputs


def with_matrix(inputs, num_classes, diagonal=False, shape=None):
    """The inputs, and H after the label: full, with entries below 0, or diagonal."""

    def more(rng):
        matrix = np.diag(rng.uniform(0.5, 2, num_classes)) if diagonal else rng.randn(num_classes, num_classes)
        return {**inputs(rng), "H": matrix.reshape(shape or matrix.shape)}

    return more


def class_case(layer, reference, shape, twin="", twin_params="", class_axis=1, ignore=None, **options):
    """A case of scores of `shape` and labels."""
    return Case(
        layer,
        scores_and_labels(*shape, axis=class_axis, ignore=ignore),
        reference,
        ("scores",),
        scores_and_labels(*large(shape, class_axis), axis=class_axis, ignore=ignore),
        options,
        twin,
        twin_params,
        copies=options.get("normalize_by") != "count",
        large_options={name: value[:1] * 100 for name, value in options.items() if isinstance(value, list)},
    )


def softmax_case(shape, twin_params="", **options):
    return class_case("WeightedSoftmaxLoss", softmax, shape, "SoftmaxWithLoss", twin_params, **options)


def focal_case(shape, **options):
    return class_case("FocalLoss", focal, shape, **options)


def ldam_case(shape, **options):
    return class_case("LDAMLoss", ldam, shape, **options)


def soft_case(shape, class_axis=1, empty=False, **options):
    return Case(
        "SoftCrossEntropyLoss",
        scores_and_distributions(*shape, axis=class_axis, empty=empty),
        soft_cross_entropy,
        ("scores",),
        scores_and_distributions(*large(shape, class_axis), axis=class_axis, empty=empty),
        options,
        copies=options.get("normalize_by") != "count",
    )


def infogain_case(shape, twin_params="", class_axis=1, diagonal=False, h_shape=None, **options):
    case = class_case("WeightedInfogainLoss", infogain, shape, "InfogainLoss", twin_params, class_axis, **options)
    return case._replace(
        inputs=with_matrix(case.inputs, shape[class_axis], diagonal, h_shape),
        large=with_matrix(case.large, 100, diagonal),
    )


def distillation_case(shape, class_axis=1, label=False, **options):
    """Of a temperature above 1 only with `scale_loss`: else the gradient is not the derivative, as in the fork."""

    def of(shape):
        def inputs(rng):
            blobs = {"student": rng.randn(*shape) * 2, "teacher": rng.randn(*shape) * 3}
            if label:
                blobs["label"] = scores_and_labels(*shape, axis=class_axis, ignore=255)(rng)["label"]
            return blobs

        return inputs

    if label:
        options["ignore_label"] = 255
    copies = options.get("normalize_by") != "count"
    return Case(
        "KnowledgeDistillation",
        of(shape),
        distillation,
        ("student",),
        of(large(shape, class_axis)),
        options,
        copies=copies,
    )


MODES = ("FULL", "VALID", "BATCH_SIZE", "NONE")

CASES = [
    softmax_case((4, 3)),
    softmax_case(IMAGE),
    softmax_case((4, 2, 3), "softmax_param { axis: 2 }", class_axis=2, axis=2),
    softmax_case((4, 2, 3), "softmax_param { axis: -1 }", class_axis=2, axis=-1),
    softmax_case(IMAGE, "loss_param { ignore_label: 255 }", ignore=255, ignore_label=255),
    *(
        softmax_case(
            IMAGE,
            f"loss_param {{ ignore_label: 1 normalization: {mode} }}",
            ignore=1,
            ignore_label=1,
            normalization=mode,
        )
        for mode in MODES
    ),
    softmax_case(IMAGE, "loss_param { normalize: false }", normalize=False),
    softmax_case((4, 3), normalize_by="count"),
    infogain_case((4, 3)),
    infogain_case((4, 3), diagonal=True),
    infogain_case(IMAGE, h_shape=(1, 1, 3, 3)),
    infogain_case(IMAGE, diagonal=True, h_shape=(9,)),
    infogain_case((4, 2, 3), "infogain_loss_param { axis: 2 }", 2, axis=2),
    infogain_case((4, 2, 3), "infogain_loss_param { axis: -1 }", 2, axis=-1, diagonal=True),
    *(
        infogain_case(
            IMAGE,
            f"loss_param {{ ignore_label: 1 normalization: {mode} }}",
            ignore=1,
            ignore_label=1,
            normalization=mode,
        )
        for mode in MODES
    ),
    infogain_case((4, 3), normalize_by="count"),
    soft_case((4, 3)),
    soft_case(IMAGE, empty=True),
    soft_case((4, 2, 3), class_axis=2, axis=-1),
    *(soft_case(IMAGE, empty=True, normalization=mode) for mode in MODES),
    soft_case((4, 3), normalize_by="count"),
    focal_case((4, 3)),
    focal_case(IMAGE, alpha=0.25, gamma=1.0),
    focal_case(IMAGE, alpha=[0.5, 2.0, 1.0], gamma=0.5),
    focal_case((4, 2, 3), class_axis=2, axis=2, gamma=5.0),
    *(focal_case(IMAGE, ignore=1, ignore_label=1, normalization=mode) for mode in MODES),
    focal_case((4, 3), normalize_by="count"),
    focal_case(IMAGE, normalize=False),
    class_case("FocalLoss", softmax, IMAGE, "SoftmaxWithLoss", gamma=0.0),
    ldam_case((4, 3), counts=[100, 10, 1]),
    ldam_case(IMAGE, counts=[5, 0, 80], max_margin=1.5),
    ldam_case(IMAGE, counts=[10, 20, 30], scale=3.0),
    ldam_case((4, 2, 3), class_axis=2, axis=2, counts=[1, 2, 3]),
    *(ldam_case(IMAGE, ignore=1, ignore_label=1, normalization=mode, counts=[9, 1, 1]) for mode in MODES),
    ldam_case((4, 3), normalize_by="count", counts=[1, 1, 1]),
    ldam_case(IMAGE, normalize=False, counts=[2, 1, 4]),
    distillation_case((4, 3)),
    distillation_case(IMAGE, temperature=4.0, scale_loss=True),
    distillation_case((4, 2, 3), class_axis=2, axis=2),
    *(distillation_case(IMAGE, label=True, normalization=mode) for mode in MODES),
    distillation_case((4, 3), normalize_by="count", temperature=2.0, scale_loss=True),
]
