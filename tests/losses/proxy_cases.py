"""ProxyLoss: references as plain loops in float64, and cases."""

import math

import numpy as np

from tests.losses.case import Case
from tests.losses.class_cases import log_softmax
from tests.losses.embedding_cases import dot, unit, vectors_of
from tests.losses.stock_cases import rows


def cosines_of(embedding, vectors, count, normalize_x=True):
    x = rows(embedding)
    vectors = vectors_of(count, x.shape[1]) if vectors is None else np.asarray(vectors, np.float64)
    return [[dot(unit(one) if normalize_x else one, unit(each)) for each in vectors] for one in x]


def softmax_terms(
    embedding, label, num_output, type, vectors=None, ignore_label=None, normalize_x=True, scale=1.0, temperature=0.05,
    sub_centers=10, la=20.0, gamma=0.1, margin=0.01, **_,
):  # fmt: skip
    """Values and ignored, (N,), of the types that are a softmax loss."""
    labels = np.reshape(label, -1)
    values, ignored = np.zeros(len(labels)), labels == ignore_label
    count = num_output * (sub_centers if type == "soft_triple" else 1)
    for i, cosines in enumerate(cosines_of(embedding, vectors, count, normalize_x)):
        if ignored[i]:
            continue
        y = int(labels[i])
        if type == "proxy_nca":
            scores = [-scale * (2 - 2 * c) for c in cosines]
        elif type == "normalized_softmax":
            scores = [c / temperature for c in cosines]
        else:
            scores = []
            for k in range(num_output):
                own = cosines[k * sub_centers : (k + 1) * sub_centers]
                exps = [math.exp(c / gamma) for c in own]
                scores.append(la * (sum(e * c for e, c in zip(exps, own)) / sum(exps) - margin * (k == y)))
        values[i] = -log_softmax(scores)[y]
    return values, ignored


def only_their_shape(label, **_):
    """Of proxy_anchor, whose loss is no sum over samples."""
    return np.zeros(len(label)), np.zeros(len(label), bool)


def anchor_loss(inputs, weights, options):
    """The loss of type proxy_anchor."""
    labels, k = np.reshape(inputs["label"], -1), options["num_output"]
    margin, alpha = options.get("margin", 0.1), options.get("alpha", 32.0)
    given = inputs["embedding"], inputs.get("vectors"), k, options.get("normalize_x", True)
    w = np.ones(len(labels)) if weights is None else np.array(weights, np.float64).reshape(-1)
    w[labels == options.get("ignore_label")] = 0
    if not w.any():
        return 0.0
    w *= np.count_nonzero(w) / w.sum()
    own, others = {}, [0.0] * k
    for each, y, cosines in zip(w, labels, cosines_of(*given)):
        for c in range(k):
            if c == y and each:
                own[c] = own.get(c, 0.0) + each * math.exp(-alpha * (cosines[c] - margin))
            elif c != y:
                others[c] += each * math.exp(alpha * (cosines[c] + margin))
    return sum(map(math.log1p, own.values())) / len(own) + sum(map(math.log1p, others)) / k


def embeddings(*shape, num_classes=3, ignore=None):
    def inputs(rng):
        x, labels = rng.randn(*shape), rng.randint(0, num_classes, shape[0])
        if ignore is not None:
            labels[[1, 2]] = ignore
        return {"embedding": x, "label": labels}

    return inputs


def proxy_case(type, shape=(4, 5), ignore=None, **options):
    if ignore is not None:
        options["ignore_label"] = ignore
    small, large = (embeddings(*each, ignore=ignore) for each in (shape, (1000, 100)))
    anchor = type == "proxy_anchor"
    return Case(
        "ProxyLoss",
        small,
        only_their_shape if anchor else softmax_terms,
        ("embedding",),
        large,
        {"num_output": 3, "type": type, **options},
        copies=not anchor,
        loss=anchor_loss if anchor else None,
        vectors=vectors_of,
        jumps_at_weight_0=anchor,
    )


CASES = [
    proxy_case("proxy_anchor", alpha=4.0),
    proxy_case("proxy_anchor", (4, 5, 1, 1), ignore=255, alpha=6.0, margin=0.3),
    proxy_case("proxy_nca"),
    proxy_case("proxy_nca", (4, 2, 3), scale=3.0, ignore=1),
    proxy_case("proxy_nca", normalize_x=False, scale=0.5),
    proxy_case("normalized_softmax", temperature=0.2),
    proxy_case("soft_triple", sub_centers=2),
    proxy_case("soft_triple", sub_centers=3, la=5.0, gamma=0.3, margin=0.2, ignore=255),
    proxy_case("soft_triple", sub_centers=1),
]
