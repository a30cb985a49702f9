"""The layers with a vector for each class, and those with a margin on cosines: plain loops in float64, and cases."""

import math

import numpy as np

from tests.features.feature import Feature
from tests.losses.embedding_cases import dot, psi, unit, vectors_of, with_margin
from tests.losses.stock_cases import rows


def cosines(x, num_output, blobs, sub_centers=1, normalize_x=True, **_):
    x = rows(x)
    found = np.zeros((len(x), num_output, sub_centers))
    for i, k, s in np.ndindex(*found.shape):
        one = unit(x[i]) if normalize_x else x[i]
        found[i, k, s] = dot(one, unit(blobs[0][k * sub_centers + s]))
    return found.max(axis=2)


def plain_products(x, label, num_output, blobs, of_unit_vectors, **_):
    vectors = [unit(vector) if of_unit_vectors else vector for vector in blobs[0]]
    return np.array([[dot(one, vector) for vector in vectors] for one in rows(x)]).reshape(len(x), num_output)


def angular(
    x, label, num_output, blobs, of_unit_vectors, type="SINGLE", base=1000.0, lambda_min=0.0, ignore_label=None, **_
):
    """Where lambda stays the same."""
    scores, mixed = plain_products(x, label, num_output, blobs, of_unit_vectors), max(base, lambda_min)
    for i, y in enumerate(np.reshape(label, -1).astype(int)):
        if y != ignore_label:
            lengths = math.sqrt(dot(rows(x)[i], rows(x)[i]))
            if not of_unit_vectors:
                lengths *= math.sqrt(dot(blobs[0][y], blobs[0][y]))
            m = ("SINGLE", "DOUBLE", "TRIPLE", "QUADRUPLE").index(type) + 1
            scores[i, y] = (lengths * psi(scores[i, y] / lengths, m) + mixed * scores[i, y]) / (1 + mixed)
    return scores


def at_labels(cos, label, ignore_label, of_label):
    out = rows(np.array(cos, np.float64))
    for i, y in enumerate(np.reshape(label, -1).astype(int)):
        if y != ignore_label:
            out[i, y] = of_label(out[i, y])
    return out.reshape(cos.shape)


def label_specific_add(cos, label, bias=-0.35, where="fork", ignore_label=None):
    return at_labels(cos, label, ignore_label, lambda c: c + bias if where == "everywhere" or c > -bias else c)


def cosin_addm(cos, label, m=0.5, ignore_label=None):
    return at_labels(cos, label, ignore_label, lambda c: with_margin(c, margin=math.degrees(m)))


def combined_margin(cos, label, ignore_label=None, **margins):
    return at_labels(cos, label, ignore_label, lambda c: with_margin(c, "combined", **margins))


def labelled(name, *shape, ignore=None, bounded=False):
    """Embeddings or cosines of three classes, and labels, the last `ignore`."""

    def inputs(rng):
        labels = rng.randint(0, 3, shape[0])
        if ignore is not None:
            labels[-1] = ignore
        return {name: rng.uniform(-0.95, 0.95, shape) if bounded else rng.randn(*shape), "label": labels}

    return inputs


def vectors(num_vectors, size):
    return lambda rng: [vectors_of(num_vectors, size)]


def margin_case(layer, of_unit_vectors, shape=(5, 4), ignore=None, **options):
    """With a lambda that stays; tests/layers/test_angular_margins.py has the schedule."""
    inputs = [labelled("x", *each, ignore=ignore) for each in (shape, (7, *shape[1:]), (1 << 13, 128))]
    given = {"num_output": 3, "gamma": 0.0, **options}
    if ignore is not None:
        given["ignore_label"] = ignore
    return Feature(
        layer,
        inputs[0],
        lambda **each: angular(**each, of_unit_vectors=of_unit_vectors),
        *inputs[1:],
        given,
        blobs=vectors(3, int(np.prod(shape[1:]))),
        in_test=lambda **each: plain_products(**each, of_unit_vectors=of_unit_vectors),
    )


def cosine_case(layer, reference, shape=(6, 3), ignore=None, **options):
    inputs = [labelled("cos", *each, ignore=ignore, bounded=True) for each in (shape, (4, *shape[1:]), (1000, 1000))]
    if ignore is not None:
        options["ignore_label"] = ignore
    return Feature(
        layer, inputs[0], reference, *inputs[1:], options, ("cos",), in_place=True, in_test=lambda cos, **_: cos.copy()
    )


def normalized_case(shape=(5, 4), count=1, **options):
    inputs = [lambda rng, each=each: {"x": rng.randn(*each)} for each in (shape, (3, *shape[1:]), (1 << 13, 128))]
    given = {"num_output": 3, **options}
    blobs = vectors(3 * count, int(np.prod(shape[1:])))
    return Feature("NormalizedInnerProduct", inputs[0], cosines, *inputs[1:], given, blobs=blobs)


SPHERE, LARGE = ("MarginInnerProduct", True), ("LargeMarginInnerProduct", False)
TYPES = ("SINGLE", "DOUBLE", "TRIPLE", "QUADRUPLE")

MARGINS = [
    normalized_case(),
    normalized_case((5, 2, 2), normalize_x=False),
    normalized_case(count=3, sub_centers=3),
    *(margin_case(*layer, type=each, base=0.5, lambda_min=0.0) for layer in (SPHERE, LARGE) for each in TYPES),
    *(margin_case(*layer, (5, 2, 2), 255, type="TRIPLE", base=0.0, lambda_min=0.0) for layer in (SPHERE, LARGE)),
    cosine_case("LabelSpecificAdd", label_specific_add),
    cosine_case("LabelSpecificAdd", label_specific_add, (6, 3, 1, 1), 255, bias=-0.5, where="everywhere"),
    cosine_case("CosinAddm", cosin_addm),
    cosine_case("CosinAddm", cosin_addm, (6, 3, 1, 1), 255, m=1.5),
    cosine_case("CombinedMargin", combined_margin),
    cosine_case("CombinedMargin", combined_margin, ignore=2, m1=1.35, m2=0.0, m3=0.1),
]
