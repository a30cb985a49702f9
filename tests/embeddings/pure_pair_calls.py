"""Calls of the pure functions of losses on pairs, to compare the libraries of arrays that they run on. Needs no Caffe."""

import itertools

import numpy as np

from caffe_pylayers.embeddings.pair_blocks import Others, Rule
from caffe_pylayers.embeddings.pair_stats import pair_stats
from caffe_pylayers.embeddings.pairs import pair_loss, pairs_gradient, weigh_pairs
from caffe_pylayers.losses.means import SumOfMeans
from tests.losses.pair_references import DEFAULTS
from tests.losses.pure_calls import Call

MINED = ("hard", "easy", "semihard", "multi_similarity", "pair_margin", "distance")


def inputs_of(num_samples, num_others):
    def inputs(rng):
        x, y = rng.randn(num_samples, 5), rng.randn(num_others, 5)
        x[1] = x[0]
        y[:num_samples] = x
        x, y = ((each / np.linalg.norm(each, axis=1, keepdims=True)).astype(np.float32) for each in (x, y))
        x[2] = 0
        labels = rng.randint(0, 3, num_others).astype(np.float32)
        return {"x": x, "y": y, "labels": labels, "weights": rng.rand(num_samples).astype(np.float32)}

    return inputs


def run_of(type, mining="all", average=None, with_memory=False):
    numbers = {**DEFAULTS[type], **({"average": average} if average else {})}

    def run(xp, x, y, labels, weights):
        found, num = [], len(x)
        memory = Others(y, labels, xp.arange(num)) if with_memory else None
        for each in (None, weights):
            rule = Rule(type, mining, unit=each is None, **numbers)
            pairs = pair_loss(
                x, labels[:num], rule, lambda anchors, others: (anchors * 0.37 + others * 0.11) % 1, memory
            )
            means = SumOfMeans(pairs.counts, each)
            factor, gradient = weigh_pairs(pairs, means.factor), xp.empty(x.shape, np.float32)
            pairs_gradient(pairs, factor, gradient)
            loss = means.loss(pairs.values)
            found += [pairs.values, pairs.counts, gradient, means.weight_gradient(pairs.values, loss), loss]
            found += pair_stats(pairs, factor)
        return found

    return run


#: The last takes several blocks.
SIZES = ((6, 6), (40, 1200))

CALLS = [
    *(
        Call(
            f"pairs {type} {average} {with_memory} {size}",
            inputs_of(*size),
            run_of(type, average=average, with_memory=with_memory),
        )
        for type, average, with_memory, size in itertools.product(DEFAULTS, ("all", "positive"), (False, True), SIZES)
    ),
    *(
        Call(f"pairs {type} {mining}", inputs_of(40, 60), run_of(type, mining, with_memory=True))
        for type, mining in itertools.product(("contrastive", "circle"), MINED)
    ),
]
