"""A call of every pure function of `caffe_pylayers.embeddings`, to compare the libraries of arrays that it runs on. Needs no Caffe."""

import itertools

import numpy as np

from caffe_pylayers.embeddings import angles
from caffe_pylayers.embeddings.centers import add_center_steps, center_loss
from caffe_pylayers.embeddings.class_vectors import inverse_lengths, lengths, products
from caffe_pylayers.embeddings.margin_products import entries_of_fork, label_entries
from caffe_pylayers.embeddings.margin_softmax import margin_head, margin_softmax, margin_softmax_gradient, sphere_head
from caffe_pylayers.embeddings.proxy_anchor import proxy_anchor, proxy_anchor_gradient, proxy_anchor_weight_gradient
from caffe_pylayers.embeddings.soft_triple import soft_triple, soft_triple_gradient, spread
from caffe_pylayers.features.l2_normalize import unit_vectors
from tests.losses.pure_calls import Call


def embeddings(num_samples, size, num_classes):
    """x, one of them 0 and one that is NaN and does not count, vectors of classes, one of them 0, and labels."""

    def inputs(rng):
        x, vectors = (rng.randn(count, size).astype(np.float32) for count in (num_samples, num_classes))
        x[0] = vectors[-1] = 0
        factor = rng.rand(num_samples).astype(np.float32)
        x[1], factor[1] = np.nan, 0
        return {"x": x, "vectors": vectors, "labels": rng.randint(0, num_classes, num_samples), "factor": factor}

    return inputs


def cosines(rng):
    return {"cosine": np.append(rng.uniform(-1, 1, 50), [-1.0, 0, 1, -1.0001, 1.0001]).astype(np.float32)}


def angles_run(xp, cosine):
    margins = [
        *(angles.multiplied_angle(cosine, m) for m in (1, 2, 3, 4)),
        angles.added_angle(cosine, 0.5),
        angles.combined_margin(cosine, 1.35, 0.2, 0.1),
        angles.subtracted(cosine, 0.35),
        angles.subtracted(cosine, 0.35, 0.35),
    ]
    return list(itertools.chain(*margins))


def entries_run(xp, x, vectors, labels, factor):
    at_label, inverse = x[:, 0], inverse_lengths(x)
    found = [lengths(inverse), inverse_lengths(vectors * 1e19)]
    for entries in (label_entries, entries_of_fork):
        for ignored in (None, labels == 0):
            found += entries(at_label, inverse, 3, 0.5, ignored)
    return found


def softmax_run(head_of):
    def run(xp, x, vectors, labels, factor):
        inverse, scores = inverse_lengths(vectors), xp.empty((len(x), len(vectors)), np.float32)
        x = x.copy()
        of = margin_softmax(x, vectors, inverse, labels, head_of(x), 4.0, scores)
        found = [of.values.copy(), scores]
        for each, by_x, step in ((factor, xp.empty(x.shape, np.float32), 1.0), (factor * 2, None, 3.0)):
            by_vectors = xp.ones_like(vectors)
            margin_softmax_gradient(of, x, vectors, inverse, labels, 4.0, each, by_x, by_vectors, step)
            found += [by_vectors] if by_x is None else [by_x, by_vectors]
        return found

    return run


def centers_run(distance):
    def run(xp, x, vectors, labels, factor):
        slopes = xp.empty(x.shape, np.float32)
        x[1] = 1
        found = [center_loss(x, vectors, labels, distance, slopes), slopes]
        for damped in (False, True):
            found.append(xp.ones_like(vectors))
            add_center_steps(slopes, labels, factor, found[-1], damped)
        return found

    return run


def products_run(xp, x, vectors, labels, factor):
    found = []
    for inverse in (None, inverse_lengths(vectors)):
        found.append(xp.empty((len(x), len(vectors)), np.float32))
        products(x, vectors, inverse, found[-1])
    return found


def proxy_anchor_run(alpha):
    def run(xp, x, vectors, labels, factor):
        inverse = inverse_lengths(vectors)
        x = unit_vectors(x, (1,), 0.0, xp.empty_like(x))[0]
        of = proxy_anchor(x, vectors, inverse, labels, factor, 0.1, alpha)
        found = [of.values, of.exps.copy(), proxy_anchor_weight_gradient(of)]
        for by_x in (xp.empty_like(x), None):
            by_vectors = xp.ones_like(vectors)
            proxy_anchor_gradient(of, x, vectors, inverse, labels, factor, by_x, by_vectors, 2.0)
            found += [by_vectors] if by_x is None else [by_x, by_vectors]
        return found

    return run


def soft_triple_run(xp, x, vectors, labels, factor):
    sub_centers = 2 if len(vectors) % 2 == 0 else 1
    inverse, labels = inverse_lengths(vectors), labels // sub_centers
    of = soft_triple(x, vectors, inverse, labels, sub_centers, 0.1, 4.0, 0.01)
    by_x, by_vectors = xp.empty_like(x), xp.ones_like(vectors)
    soft_triple_gradient(of, x, vectors, inverse, labels, 4.0, factor, by_x, by_vectors)
    apart = xp.ones_like(vectors)
    value = xp.full(1, spread(vectors, inverse, sub_centers, apart, 2.0))
    return [of.values, by_x, by_vectors, value, xp.full(1, spread(vectors, inverse, sub_centers)), apart]


#: The last takes several blocks.
SIZES = ((6, 3, 4), (5, 4, 1), (300, 16, 5000))

CALLS = [
    Call("angles", cosines, angles_run),
    *(
        Call(f"{name} {size}", embeddings(*size), run)
        for name, run in (
            ("entries", entries_run),
            ("products", products_run),
            ("margin softmax", softmax_run(lambda x: margin_head(lambda cosine: angles.added_angle(cosine, 0.5)))),
            ("sphere softmax", softmax_run(lambda x: sphere_head(4, inverse_lengths(x)))),
            ("proxy anchor", proxy_anchor_run(4.0)),
            ("proxy anchor with a shift", proxy_anchor_run(70.0)),
            ("soft triple", soft_triple_run),
            *((f"centers {each}", centers_run(each)) for each in ("squared", "l1")),
        )
        for size in SIZES
    ),
]
