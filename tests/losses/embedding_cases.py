"""The losses of embeddings and a vector for each class: references as plain loops in float64, and cases."""

import math

import numpy as np

from tests.losses.case import Case
from tests.losses.class_cases import log_softmax
from tests.losses.stock_cases import rows


def vectors_of(num_classes, size):
    """What the tests put into the blob of such a layer, (num_classes, size)."""
    k, j = np.arange(num_classes)[:, None], np.arange(size)[None]
    return np.cos(2 + 1.3 * k + 0.9 * j * (k + 1))


def unit(vector):
    norm = math.sqrt(sum(x * x for x in vector))
    return [x / norm for x in vector] if norm else list(vector)


def dot(one, other):
    return sum(x * y for x, y in zip(one, other))


def psi(cosine, m):
    angle = math.acos(min(max(cosine, -1), 1))
    k = min(math.floor(m * angle / math.pi), m - 1)
    return (-1) ** k * math.cos(m * angle) - 2 * k


def with_margin(cosine, type="arcface", margin=None, m1=1.0, m2=0.3, m3=0.2):
    """What becomes of the cosine of a label, but for sphereface."""
    if type == "cosface":
        return cosine - (0.35 if margin is None else margin)
    angle = math.acos(min(max(cosine, -1), 1))
    if type == "combined":
        return math.cos(m1 * angle + m2) - m3
    added = math.radians(28.6 if margin is None else margin)
    return math.cos(angle + added) if angle < math.pi - added else cosine - added * math.sin(added)


def margin_softmax(
    x, label, num_output, vectors=None, type="arcface", scale=None, ignore_label=None, normalize_x=True, **options
):
    """Values and ignored, (N,)."""
    x, labels = rows(x), np.reshape(label, -1)
    vectors = vectors_of(num_output, x.shape[1]) if vectors is None else np.asarray(vectors, np.float64)
    scale = scale or (1.0 if type == "sphereface" else 64.0)
    given = {name: options[name] for name in ("margin", "m1", "m2", "m3") if name in options}
    values, ignored = np.zeros(len(x)), labels == ignore_label
    for i, y in enumerate(labels):
        if ignored[i]:
            continue
        length = math.sqrt(dot(x[i], x[i]))
        one = unit(x[i]) if normalize_x and type != "sphereface" else x[i]
        scores = [dot(one, unit(vector)) for vector in vectors]
        at = scores[int(y)]
        if type == "sphereface":
            scores[int(y)] = length * psi(at / length, int(given.get("margin", 4)))
        else:
            scores[int(y)] = with_margin(at, type, **given)
        values[i] = -log_softmax([scale * score for score in scores])[int(y)]
    return values, ignored


def center(x, label, num_output, vectors=None, distance="squared", ignore_label=None, **_):
    """Values and ignored, (N,)."""
    x, labels = rows(x), np.reshape(label, -1)
    vectors = vectors_of(num_output, x.shape[1]) if vectors is None else np.asarray(vectors, np.float64)
    values, ignored = np.zeros(len(x)), labels == ignore_label
    for i, y in enumerate(labels):
        if not ignored[i]:
            each = [a - b for a, b in zip(x[i], vectors[int(y)])]
            values[i] = sum(map(abs, each)) if distance == "l1" else dot(each, each) / 2
    return values, ignored


def embeddings(*shape, num_classes=3, ignore=None):
    def inputs(rng):
        x, labels = rng.randn(*shape), rng.randint(0, num_classes, shape[0])
        if ignore is not None:
            labels[[1, 2]] = ignore
        return {"x": x, "label": labels}

    return inputs


def vectors_case(layer, reference, shape=(4, 5), ignore=None, default="VALID", **options):
    if ignore is not None:
        options["ignore_label"] = ignore
    small, large = (embeddings(*each, ignore=ignore) for each in (shape, (1000, 100)))
    return Case(
        layer,
        small,
        reference,
        ("x",),
        large,
        {"num_output": 3, **options},
        normalization=default,
        copies=options.get("normalize_by") != "count",
        vectors=vectors_of,
    )


def margin_case(shape=(4, 5), **options):
    return vectors_case("MarginSoftmaxLoss", margin_softmax, shape, **{"scale": 8.0, **options})


def center_case(shape=(4, 5), **options):
    return vectors_case("CenterLoss", center, shape, default="BATCH_SIZE", **{"update": "gradient", **options})


CASES = [
    margin_case(),
    margin_case((4, 5, 1, 1), margin=57.3, normalization="BATCH_SIZE"),
    margin_case(margin=0.0, ignore=255),
    margin_case(type="cosface", margin=0.2, normalize_by="count"),
    margin_case(type="cosface", normalize_x=False, ignore=2, normalization="FULL"),
    margin_case(type="combined", normalization="NONE"),
    margin_case(type="combined", m1=1.35, m2=0.1, m3=0.3),
    *(margin_case((4, 2, 3), type="sphereface", margin=m, scale=1.0) for m in (1, 2, 3, 4)),
    center_case(),
    center_case((4, 5, 1, 1), ignore=255, normalization="VALID"),
    center_case(distance="l1", normalize_by="count"),
    center_case(distance="l1", ignore=1, normalization="NONE"),
]
