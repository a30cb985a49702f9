"""The losses on pairs of a batch as plain loops in float64, anchor by anchor."""

import math

import numpy as np

from tests.losses.embedding_cases import dot, unit

BY_DISTANCE = ("contrastive", "lifted", "margin")
#: What an option is if it is not given.
DEFAULTS = {
    "contrastive": {"pos_margin": 0.0, "neg_margin": 1.0, "average": "positive"},
    "ntxent": {"temperature": 0.07, "average": "all"},
    "supcon": {"temperature": 0.1, "average": "positive"},
    "multi_similarity": {"alpha": 2.0, "beta": 50.0, "base": 0.5, "average": "all"},
    "circle": {"margin": 0.4, "scale": 80.0, "average": "positive"},
    "lifted": {"neg_margin": 1.0, "average": "all"},
    "margin": {"margin": 0.2, "beta": 1.2, "average": "positive"},
}


def distance(x, y):
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(x, y)))


def lse(numbers):
    top = max(numbers, default=-math.inf)
    return top + math.log(sum(math.exp(each - top) for each in numbers)) if top > -math.inf else top


def softplus(x):
    return x if x > 700 else math.log1p(math.exp(x))


def mined(c, d, positives, negatives, mining="all", epsilon=0.1, pair_margins=(0.2, 0.8)):
    """The positives and negatives of one anchor that a rule leaves; c and d: its cosines and distances."""
    if mining == "multi_similarity":
        nearest, farthest = (
            max((c[n] for n in negatives), default=-math.inf),
            min((c[p] for p in positives), default=math.inf),
        )
        return [p for p in positives if c[p] - epsilon < nearest], [n for n in negatives if c[n] + epsilon > farthest]
    if mining == "pair_margin":
        return [p for p in positives if d[p] > pair_margins[0]], [n for n in negatives if d[n] < pair_margins[1]]
    if mining == "all":
        return positives, negatives
    if not positives:
        return [], []
    p = max(positives, key=lambda j: d[j]) if mining == "hard" else min(positives, key=lambda j: d[j])
    allowed = [n for n in negatives if d[n] > d[p]] if mining == "semihard" else negatives
    return ([p], [min(allowed, key=lambda j: d[j])]) if allowed else ([], [])


def anchor_terms(type, c, d, positives, negatives, o):
    """The terms of one anchor: a list for each mean that the loss is the sum of. Not for lifted."""
    if type in ("contrastive", "margin"):
        low, high = (
            (o["pos_margin"], o["neg_margin"])
            if type == "contrastive"
            else (o["beta"] - o["margin"], o["beta"] + o["margin"])
        )
        kinds = [max(d[p] - low, 0) for p in positives], [max(high - d[n], 0) for n in negatives]
        return list(kinds) if type == "contrastive" else [kinds[0] + kinds[1]]
    if type == "ntxent":
        t = o["temperature"]
        return [[lse([c[p] / t, *(c[n] / t for n in negatives)]) - c[p] / t for p in positives]]
    if type == "supcon":
        t = o["temperature"]
        if not positives:
            return [[0.0]]
        whole = lse([c[j] / t for j in [*positives, *negatives]])
        return [[sum(whole - c[p] / t for p in positives) / len(positives)]]
    if type == "multi_similarity":
        of_p = lse([0, *(-o["alpha"] * (c[p] - o["base"]) for p in positives)]) / o["alpha"]
        of_n = lse([0, *(o["beta"] * (c[n] - o["base"]) for n in negatives)]) / o["beta"]
        return [[of_p + of_n]]
    if not positives or not negatives:
        return [[0.0]]
    m, s, brackets = o["margin"], o["scale"], o.get("brackets", c)  # those that circle's gradient takes for constants
    of_p = lse([-s * max(1 + m - brackets[p], 0) * (c[p] - 1 + m) for p in positives])
    return [[softplus(of_p + lse([s * max(brackets[n] + m, 0) * (c[n] - m) for n in negatives]))]]


def lifted_terms(x, y, labels, other_labels, own, margin):
    """The terms of each anchor; with a memory only the anchor's negatives count."""
    d = [[distance(a, b) for b in y] for a in x]
    logs = [lse([margin - d[i][n] for n in range(len(y)) if other_labels[n] != labels[i]]) for i in range(len(x))]
    found = []
    for i in range(len(x)):
        positives = [j for j in range(len(y)) if j != own[i] and other_labels[j] == labels[i]]
        both = [lse([logs[i], logs[j]]) if x is y else logs[i] for j in positives]
        found.append([max(d[i][j] + each, 0) ** 2 / 2 if each > -math.inf else 0.0 for j, each in zip(positives, both)])
    return found


def pair_loss(
    embedding,
    labels,
    weights=None,
    type="contrastive",
    ignore_label=None,
    normalize_x=True,
    memory=None,
    brackets=None,
    **options,
):
    """The loss. memory: (embeddings, labels, place of each anchor's copy). brackets: embeddings that circle's brackets are of."""
    labels = np.reshape(labels, -1)
    rows = [i for i in range(len(labels)) if labels[i] != ignore_label]
    made = unit if normalize_x else list

    def of(points):
        return [made(np.asarray(point, np.float64).reshape(-1)) for point in points]

    x, labels = of([embedding[i] for i in rows]), [labels[i] for i in rows]
    constant = x if brackets is None else of([brackets[i] for i in rows])
    weights = [1.0] * len(x) if weights is None else [float(np.reshape(weights, -1)[i]) for i in rows]
    y, other_labels, own, constant_y = x, labels, range(len(x)), constant
    if memory is not None:
        y, other_labels, own = of(memory[0]), memory[1], memory[2]
        constant_y = y
    o = {**DEFAULTS[type], **options}
    ways = {name: o[name] for name in ("mining", "epsilon", "pair_margins") if name in o}
    terms = lifted_terms(x, y, labels, other_labels, own, o["neg_margin"]) if type == "lifted" else None
    means = [[], []]
    for i in range(len(x)):
        if terms is not None:
            means[0] += [(weights[i], each) for each in terms[i]]
            continue
        c, d = [dot(x[i], each) for each in y], [distance(x[i], each) for each in y]
        positives = [j for j in range(len(y)) if j != own[i] and other_labels[j] == labels[i]]
        negatives = [j for j in range(len(y)) if j != own[i] and other_labels[j] != labels[i]]
        o["brackets"] = [dot(constant[i], each) for each in constant_y]
        kinds = anchor_terms(type, c, d, *mined(c, d, positives, negatives, **ways), o)
        for mean, each in zip(means, kinds):
            mean += [(weights[i], term) for term in each]
    total = 0.0
    for mean in means:
        counted = [(w, term) for w, term in mean if o["average"] == "all" or term > 0]
        divisor = sum(w for w, _ in counted)
        total += sum(w * term for w, term in counted) / divisor if divisor else 0.0
    return total
