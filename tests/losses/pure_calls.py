"""A call of every pure loss function, to compare the libraries of arrays that it runs on. Needs no Caffe."""

import itertools
from typing import Any, Callable, Dict, NamedTuple

import numpy as np

from caffe_pylayers.losses import overlap
from caffe_pylayers.losses.accuracy import accuracy, count_right, recall
from caffe_pylayers.losses.balanced_sigmoid import balance
from caffe_pylayers.losses.batch_triplet import Rule, batch_triplet_gradient, batch_triplet_loss
from caffe_pylayers.losses.class_weights import count_in_images, count_labels, target_index
from caffe_pylayers.losses.confusion import (
    confusion_matrix,
    count_classes,
    deeplab_metrics,
    metric_of_counts,
    predictions,
)
from caffe_pylayers.losses.contrastive import contrastive
from caffe_pylayers.losses.distillation import distillation
from caffe_pylayers.losses.distributions import add_one_hot, clear_ignored, spread
from caffe_pylayers.losses.euclidean import euclidean
from caffe_pylayers.losses.focal import focal
from caffe_pylayers.losses.hard_examples import hardest
from caffe_pylayers.losses.hinge import hinge
from caffe_pylayers.losses.infogain import infogain_loss, infogain_of
from caffe_pylayers.losses.ldam import ldam
from caffe_pylayers.losses.multinomial import multinomial_logistic
from caffe_pylayers.losses.ranking import mean_rank_metrics
from caffe_pylayers.losses.reduction import Reduction
from caffe_pylayers.losses.regression import L1, Pairs, Wing, huber, regression, smooth_l1
from caffe_pylayers.losses.sigmoid import sigmoid_cross_entropy
from caffe_pylayers.losses.soft import masses, soft_cross_entropy
from caffe_pylayers.losses.softmax import softmax_cross_entropy
from caffe_pylayers.losses.triplet import triplet_gradients, triplet_loss, triplet_stats


class Call(NamedTuple):
    name: str
    inputs: Callable[[Any], Dict[str, np.ndarray]]  #: rng -> arrays
    run: Callable[..., Any]  #: (xp, **inputs) -> a list of arrays and numbers

    def __str__(self):
        return self.name


#: The last two take several blocks.
SCORES = ((4, 3), (5, 4, 6), (3000, 100), (2, 7, 40000))


def scores_inputs(shape, extreme=False):
    def inputs(rng):
        scores = rng.randn(*shape).astype(np.float32) * 3
        if extreme:
            scores.flat[::2], scores.flat[1::2] = 1e4, -1e4
        terms = shape[:1] + shape[2:]
        factor = rng.rand(*terms).astype(np.float32)
        factor.flat[::5] = 0
        scores.reshape(shape[0], shape[1], -1)[0, :, 0] = np.nan  # of factor 0
        return {"scores": scores, "labels": rng.randint(0, shape[1], terms), "factor": factor}

    return inputs


def scores_calls(name, function, **options):
    """A function of scores and labels, at all shapes; `options` are K -> arrays or numbers."""

    def run(xp, scores, labels, factor):
        given = {key: value(scores.shape[1]) for key, value in options.items()}
        given = {key: xp.asarray(each) if isinstance(each, np.ndarray) else each for key, each in given.items()}
        gradient = xp.empty(scores.shape, np.float32)
        if function is infogain_loss:
            given["infogain"] = infogain_of(given["infogain"])
        return [function(scores, labels, factor=factor, gradient=gradient, **given), gradient]

    yield from (Call(f"{name} {shape}", scores_inputs(shape), run) for shape in SCORES)
    yield Call(f"{name} extreme", scores_inputs((4, 3), extreme=True), run)


def flat_calls(name, function, **options):
    """A function of scores (N, K) and a label per sample."""

    def inputs(rng, shape):
        scores = rng.uniform(0.05, 1, shape).astype(np.float32)
        return {"scores": scores, "labels": rng.randint(0, shape[1], shape[0]), "factor": rng.rand(shape[0])}

    def run(xp, scores, labels, factor):
        gradient = xp.empty(scores.shape, np.float32)
        return [function(scores, labels, factor=factor.astype(np.float32), gradient=gradient, **options), gradient]

    for shape in ((4, 3), (3000, 100)):
        yield Call(f"{name} {shape}", lambda rng, shape=shape: inputs(rng, shape), run)


def soft_run(xp, scores, labels, factor):
    distribution = xp.abs(scores)
    distribution[~xp.isfinite(scores)] = 0
    mass, _ = masses(distribution)
    gradient, prob = xp.empty(scores.shape, np.float32), xp.empty(scores.shape, np.float32)
    return [soft_cross_entropy(scores, distribution, mass, factor, gradient, prob), gradient, prob]


def prob_run(xp, scores, labels, factor):
    prob = xp.empty(scores.shape, np.float32)
    return [softmax_cross_entropy(scores, labels, prob=prob), prob]


def pair_inputs(shape):
    def inputs(rng):
        one, other = rng.randn(2, *shape).astype(np.float32)
        other[0] = one[0]
        return {"one": one, "other": other, "factor": rng.rand(shape[0]).astype(np.float32)}

    return inputs


def pair_calls(name, run):
    """A function of two arrays (N, D)."""
    yield from (Call(f"{name} {shape}", pair_inputs(shape), run) for shape in ((4, 3), (3000, 100)))


def sigmoid_run(xp, one, other, factor):
    gradient = xp.empty(one.shape, np.float32)
    return [sigmoid_cross_entropy(one, other, factor[:, None], gradient), gradient]


def pos_weight_run(xp, one, other, factor):
    gradient = xp.empty(one.shape, np.float32)
    pos_weight = xp.asarray(np.linspace(0.5, 2, one.shape[1]), np.float32)
    return [sigmoid_cross_entropy(one, other, factor[:, None], gradient, pos_weight), gradient]


def regression_run(curve):
    def run(xp, one, other, factor):
        found = []
        for given in (1.0, factor[:, None]):
            gradients = [xp.empty(one.shape, np.float32) for _ in range(2)]
            for pairs in (Pairs(one, other), Pairs(one, other, xp.abs(other), xp.abs(one))):
                found += [regression(pairs, curve, given, gradients), *(each.copy() for each in gradients)]
                found.append(float(regression(pairs, curve, given, gradients, only_total=True).sum()))
        return found

    return run


def distillation_run(xp, one, other, factor):
    gradient = xp.empty(one.shape, np.float32)
    return [distillation(one, other, 3.0, factor, gradient), gradient]


def balance_run(xp, one, other, factor):
    target = (other > 0) * np.float32(1)
    found = balance(target, one > 1, xp.abs(one))
    ones, zeros = (xp.ones((len(one), 1)) * each for each in (0.3, 0.7))
    return [*found, *found.parts(), *found.slopes(ones, zeros), *balance(target)]


def overlap_run(activation):
    def run(xp, one, other, factor):
        scores, target = one[:, :, None], xp.clip(other, 0, 1)[:, :, None]
        weights = xp.abs(one)[:, :, None]
        p = overlap.activate(scores, activation, [weights])
        sums = [each.sum(axis=0) for each in overlap.add_up(p, target, weights)]
        values, slopes = overlap.ratio("tversky", 0.3, 0.7).of(sums)
        gradient = xp.empty(scores.shape, np.float32)
        overlap.gradient_of(p, target, [each[None] for each in slopes[:2]], [weights], activation, gradient)
        by_weight = overlap.weight_gradient(p, target, [each[None] for each in slopes], weights.shape)
        return [p, values, *slopes, gradient, by_weight]

    return run


def hardest_run(xp, one, other, factor):
    ways = ({"top_k": 5}, {"fraction": 0.3}, {"threshold": 0.5}, {"threshold": 99.0, "min_kept": 7})
    values = xp.floor(one * 4)  # many are equal
    return [hardest(values, ignored, **way) for way in ways for ignored in (None, other > 0)]


def euclidean_run(xp, one, other, factor):
    gradients = [xp.empty(one.shape, np.float32) for _ in range(2)]
    return [euclidean(one, other, factor, gradients), *gradients]


def contrastive_run(legacy_version):
    def run(xp, one, other, factor):
        gradients = [xp.empty(one.shape, np.float32) for _ in range(2)]
        similar = factor > 0.5
        return [contrastive(one, other, similar, 15.0, legacy_version, factor, gradients), *gradients]

    return run


def triplet_run(distance, soft):
    def run(xp, one, other, factor):
        embeddings = one, other, one[::-1] * 0.9
        triplets = triplet_loss(*embeddings, 0.3, distance, soft)
        gradients = [xp.empty(one.shape, np.float32) for _ in range(3)]
        triplet_gradients(triplets, embeddings, gradients, factor, distance)
        return [triplets.values, triplets.slopes, *gradients, *triplet_stats(triplets, *embeddings)]

    return run


def batch_inputs(size):
    def inputs(rng):
        points = rng.randn(size, 8)
        points /= np.sqrt((points**2).sum(axis=1))[:, None]
        return {
            "points": points.astype(np.float32),
            "labels": rng.randint(0, size // 4, size),
            "factor": rng.rand(size),
        }

    return inputs


def batch_run(rule):
    def run(xp, points, labels, factor):
        triplets = None
        if rule.mining == "given":
            triplets = xp.asarray([[0, 1, 2], [3, 1, 0], [0, 2, 1]])
        found = batch_triplet_loss(
            points,
            labels,
            rule,
            draw=lambda anchors, positives: (anchors * 7 + positives * 3) % 10 / 10,
            triplets=triplets,
        )
        gradient = xp.empty(points.shape, np.float32)
        batch_triplet_gradient(found, factor, gradient)
        return [found.values, found.counts, gradient]

    return run


def reduction_run(mode, by, weighted, ignoring):
    def run(xp, values, weights, ignored):
        reduction = Reduction(values.shape, weights if weighted else None, ignored if ignoring else None, mode, by)
        loss = reduction.loss(values)
        return [loss, reduction.factor, *(reduction.weight_gradient(values, loss, size) for size in (None, 40))]

    return run


def reduction_inputs(rng):
    shape = (40, 30)
    values, weights = rng.rand(*shape).astype(np.float32), rng.rand(*shape).astype(np.float32)
    weights[rng.rand(*shape) < 0.2] = 0
    values[weights == 0] = np.nan
    return {"values": values, "weights": weights, "ignored": (rng.rand(*shape) < 0.3) | (weights == 0)}


def accuracy_run(xp, scores, labels, factor):
    found = [
        count_right(scores, labels, 2, weights, ignored)
        for weights in (None, factor)
        for ignored in (None, labels == 1)
    ]
    return [*itertools.chain(*found), *(recall(*each) for each in found), *(accuracy(*each, True) for each in found)]


def label_inputs(rng):
    return {"labels": rng.randint(0, 3, (4, 5)), "ignored": rng.rand(4, 5) < 0.3, "noise": rng.randn(4, 3, 5)}


def distribution_run(xp, labels, ignored, noise):
    out = xp.empty(noise.shape, np.float32)
    spread(labels, 0.8, 0.1, out)
    clear_ignored(ignored, out)
    add_one_hot(labels, noise, (0.0, 1.0))
    return [out, noise]


def label_counts_run(xp, labels, ignored, noise):
    found = [target_index(labels), count_labels(labels.reshape(-1), 4), count_in_images(labels, 4)]
    for left_out in (ignored, ignored | True):
        found.append(count_labels(labels.reshape(-1), 4, left_out.reshape(-1)))
        found.append(count_in_images(labels, 4, left_out))
    return found


METRICS = ("pixel_accuracy", "mean_recall", "mean_iou", "precision", "recall", "f1")


def counts_run(xp, scores, labels, factor):
    predicted, num_classes = predictions(scores), scores.shape[1]
    found = [predicted]
    predicted = xp.where(predicted == num_classes, 0, predicted)  # of NaN
    for weights in (None, factor, labels != 1):
        counts = count_classes(labels, predicted, num_classes, weights)
        found += [counts, confusion_matrix(labels, predicted, num_classes, weights), *deeplab_metrics(counts)]
        found += [metric_of_counts(name, counts, average) for name in METRICS for average in ("macro", "micro")]
    return found


def tied_inputs(rng):
    """Scores of which many are equal, and some NaN."""
    scores = rng.randint(0, 3, (50, 4, 3)).astype(np.float32)
    scores[rng.rand(50, 4, 3) < 0.1] = np.nan
    return {"scores": scores}


def tied_run(xp, scores):
    return [predictions(scores), predictions(scores[:, :, 0])]


def ranking_inputs(rng):
    return {
        "scores": rng.randint(0, 50, (200, 3)).astype(np.float32),
        "labels": rng.randint(0, 2, (200, 3)),
        "weights": rng.randint(0, 3, (200, 3)).astype(np.float32),
    }


def ranking_run(xp, scores, labels, weights):
    of_targets = [mean_rank_metrics(scores, labels, each) for each in (None, weights)]
    return list(itertools.chain(*of_targets, mean_rank_metrics(scores, labels[:, 0], weights[:, 0])))


CALLS = [
    Call("distributions", label_inputs, distribution_run),
    Call("label counts", label_inputs, label_counts_run),
    *scores_calls("softmax", softmax_cross_entropy),
    *scores_calls("focal", focal, gamma=lambda _: 2.0, alpha=lambda k: np.linspace(0.5, 2, k, dtype=np.float32)),
    *scores_calls("focal gamma 0.5", focal, gamma=lambda _: 0.5),
    *scores_calls("ldam", ldam, margins=lambda k: np.linspace(0.1, 0.5, k, dtype=np.float32), scale=lambda _: 3.0),
    *scores_calls("infogain", infogain_loss, infogain=lambda k: np.cos(np.arange(k * k, dtype=np.float32)).reshape(k, k)),
    *scores_calls("diagonal infogain", infogain_loss, infogain=lambda k: np.diag(np.arange(k, dtype=np.float32))),
    *(Call(f"soft {shape}", scores_inputs(shape), soft_run) for shape in SCORES),
    *(Call(f"softmax with prob {shape}", scores_inputs(shape), prob_run) for shape in SCORES),
    *(Call(f"accuracy {shape}", scores_inputs(shape), accuracy_run) for shape in SCORES),
    *(Call(f"counts {shape}", scores_inputs(shape), counts_run) for shape in SCORES),
    Call("predictions of equal scores and NaN", tied_inputs, tied_run),
    Call("ranking", ranking_inputs, ranking_run),
    *flat_calls("hinge L1", hinge, norm="L1"),
    *flat_calls("hinge L2", hinge, norm="L2"),
    *flat_calls("multinomial", multinomial_logistic),
    *pair_calls("sigmoid", sigmoid_run),
    *pair_calls("sigmoid pos_weight", pos_weight_run),
    *pair_calls("euclidean", euclidean_run),
    *(each for curve in (smooth_l1(3.0), huber(0.5), L1(), Wing(1.5, 0.5))
      for each in pair_calls(f"regression {type(curve).__name__}", regression_run(curve))),
    *pair_calls("distillation", distillation_run),
    *pair_calls("balance", balance_run),
    *(each for name in ("sigmoid", "softmax", "none") for each in pair_calls(f"overlap {name}", overlap_run(name))),
    *pair_calls("hardest", hardest_run),
    *(each for legacy in (False, True) for each in pair_calls(f"contrastive {legacy}", contrastive_run(legacy))),
    *(
        each
        for distance in ("squared", "euclidean")
        for soft in (False, True)
        for each in pair_calls(f"triplet {distance} {soft}", triplet_run(distance, soft))
    ),
    *(
        Call(f"batch triplet {mining} {distance} {soft} {size}", batch_inputs(size), batch_run(Rule(mining, 0.2, distance, soft)))
        for mining in ("all", "semihard", "hard", "distance", "given")
        for distance in ("squared", "euclidean")
        for soft in (False, True)
        for size in (12, 300)
    ),
    *(
        Call(f"reduction {mode} {by} {weighted} {ignoring}", reduction_inputs, reduction_run(mode, by, weighted, ignoring))
        for mode in ("FULL", "VALID", "BATCH_SIZE", "NONE")
        for by in ("weight", "count")
        for weighted, ignoring in ((True, True), (False, True), (True, False))
    ),
]  # fmt: skip
