"""The losses on distances: references as plain loops in float64, and cases."""

import math

import numpy as np

from tests.losses.case import Case


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
        factor = 1.0 if margin is None else float(np.reshape(margin, -1)[i])
        values[i] = one_triplet(length(a, p, distance), length(a, n, distance), margin_option * factor, soft)
    return values, (values <= 0) if average == "active" else np.zeros(len(values), bool)


def length(x, y, distance):
    """The distance of two embeddings (D,), squared or euclidean."""
    square = float(sum((x - y) ** 2))
    return math.sqrt(square) if distance == "euclidean" else square


def one_triplet(d_ap, d_an, margin, soft):
    """The loss of a triplet."""
    if not soft:
        return max(0.0, d_ap - d_an + margin)
    gap = d_ap - d_an
    return gap if gap > 700 else math.log1p(math.exp(gap))


def distances(embedding, distance):
    """The distances of all embeddings from all, (N, N)."""
    points = [np.asarray(each, np.float64).reshape(-1) for each in embedding]
    return np.array([[length(x, y, distance) for y in points] for x in points]).reshape(len(points), len(points))


def mined(d, labels, mining, margin):
    """The triplets (a, p, n) of a batch with the distances d, by plain loops; of equal distances the first."""
    found = []
    for a in range(len(d)):
        positives = [j for j in range(len(d)) if j != a and labels[j] == labels[a]]
        negatives = [j for j in range(len(d)) if labels[j] != labels[a]]
        if not positives or not negatives:
            continue
        if mining == "hard":
            found.append((a, max(positives, key=lambda j: d[a, j]), min(negatives, key=lambda j: d[a, j])))
            continue
        for p in positives:
            if mining == "all":
                found.extend((a, p, n) for n in negatives)
                continue
            band = [n for n in negatives if d[a, p] < d[a, n] < d[a, p] + margin]
            n = min(band, key=lambda j: d[a, j]) if band else max(negatives, key=lambda j: d[a, j])
            found.append((a, p, n))
    return found


def batch_triplet(
    embedding,
    identity=None,
    triplets=None,
    mining="all",
    margin=0.2,
    distance="squared",
    soft=False,
    average="all",
    **_,
):
    """Sums of the triplets' losses by anchor, which are ignored (none) and how many triplets there are, (N,) each."""
    d = distances(embedding, distance)
    found = mined(d, identity, mining, margin) if triplets is None else np.asarray(triplets, int)
    values, counts = np.zeros(len(d)), np.zeros(len(d))
    for a, p, n in found:
        value = one_triplet(d[a, p], d[a, n], margin, soft)
        values[a] += value
        counts[a] += value > 0 or average == "all"
    return values, np.zeros(len(d), bool), counts


EMBEDDINGS = ("anchor", "positive", "negative")


def triplets(number, size, margin=False):
    def inputs(rng):
        blobs = {name: rng.randn(number, size, 1, 1) for name in EMBEDDINGS}
        return {**blobs, "margin": rng.uniform(0, 2, (number, 1, 1, 1))} if margin else blobs

    return inputs


def triplet_case(margin=False, **options):
    shapes = triplets(4, 3, margin), triplets(1000, 100, margin)
    return Case("TripletLoss", shapes[0], triplet, EMBEDDINGS, shapes[1], options)


def batches(number, size, num_classes):
    return lambda rng: {"embedding": rng.randn(number, size, 1, 1), "identity": np.arange(number) % num_classes}


def rows_of_triplets(number, size, num_triplets):
    def inputs(rng):
        rows = np.array([rng.permutation(number)[:3] for _ in range(num_triplets)])
        return {"embedding": rng.randn(number, size, 1, 1), "triplets": rows}

    return inputs


def batch_case(mining, **options):
    if mining == "given":
        shapes = rows_of_triplets(4, 3, 6), rows_of_triplets(1000, 100, 3000)
    else:
        shapes = batches(4, 3, 2), batches(1000, 100, 100)
    options = {"mining": mining, **options}
    # Copies of a sample are its positives too, so a weight is not as good as copies.
    return Case("BatchTripletLoss", shapes[0], batch_triplet, ("embedding",), shapes[1], options, copies=False)


CASES = [
    triplet_case(),
    triplet_case(distance="euclidean"),
    triplet_case(average="active"),
    triplet_case(soft=True),
    triplet_case(margin=True),
    *(
        batch_case(mining, **options)
        for mining in ("all", "semihard", "hard", "given")
        for options in ({}, {"distance": "euclidean", "margin": 1.0}, {"average": "active"}, {"soft": True})
    ),
    batch_case("semihard", margin=5.0),
    batch_case("semihard", margin=5.0, soft=True),
]
