"""Embeddings against proxies, one per class, from the side of the proxies (Proxy-Anchor, Kim et al. 2020)."""

import math
from typing import NamedTuple, Optional

import numpy as np

from caffe_pylayers.embeddings.class_vectors import at_labels, products, products_gradient, sum_by_class
from caffe_pylayers.losses.blocks import Buffer, clear, row_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module

#: e^60 times any number of embeddings is a number that float32 has. What is above is taken off all exponents: up to 40, so that what becomes 0 is too
#: small to be seen beside 1.
_SAFE = 60.0


class Anchored(NamedTuple):
    """What the gradients are made of."""

    exps: Array  #: e^(alpha (c + margin) - shift), 0 at the label, (N, K)
    by_column: Array  #: derivative by a cosine over its entry of `exps`, for a weight of 1, (K,)
    at_label: Array  #: derivative by the cosine at the label, for a weight of 1, float64 (N,)
    alpha: float
    values: Array  #: the loss, (1,)


def proxy_anchor(
    x: Array,
    vectors: Array,
    inverse: Array,
    labels: Array,
    weights: Array,
    margin: float,
    alpha: float,
    buffer: Optional[Buffer] = None,
) -> Anchored:
    """The mean over the proxies in the batch of log(1 + sum of w e^(-alpha (c - margin))) over the embeddings of their class, and the mean over all
    proxies of log(1 + sum of w e^(alpha (c + margin))) over all others. c: cosines.

    x: unit vectors, (N, D), of which those with weight 0 become 0 if they are not finite. vectors: (K, D), inverse: 1 / their lengths.
    labels: integers, (N,). weights: (N,).
    """
    xp, buffer = array_module(x), scratch(buffer, x)
    num_proxies = len(vectors)
    clear(x, weights[:, None])
    exps = buffer("exps", (len(x), num_proxies), x.dtype)
    products(x, vectors, None, exps)
    at_label = buffer("at label", labels.shape, x.dtype)
    shift, sums = max(0.0, alpha * (1 + margin) - _SAFE), xp.zeros(num_proxies)
    factors = alpha * inverse
    for rows in row_blocks(exps):
        part = exps[rows]
        part *= factors
        place = xp.arange(len(part)), labels[rows]
        at_label[rows] = part[place]
        part += alpha * margin - shift
        xp.exp(part, out=part)
        part[place] = 0
        sums += xp.matmul(weights[rows], part)
    own = xp.exp(alpha * margin - at_label.astype(np.float64))
    own_sums = sum_by_class(own * weights, labels, num_proxies)
    num_present = int((sum_by_class((weights > 0) * 1.0, labels, num_proxies) > 0).sum())
    others = xp.log(math.exp(-shift) + sums) + shift if shift else xp.log1p(sums)
    value = float(xp.log1p(own_sums).sum()) / max(num_present, 1) + float(others.sum()) / num_proxies
    by_column = (alpha / num_proxies / (math.exp(-shift) + sums)).astype(x.dtype)
    at_own = own / (1 + own_sums[labels]) * (-alpha / max(num_present, 1))
    return Anchored(exps, by_column, at_own, alpha, xp.full(1, value))


def proxy_anchor_gradient(
    of: Anchored,
    x: Array,
    vectors: Array,
    inverse: Array,
    labels: Array,
    weights: Array,
    x_gradient: Optional[Array],
    vectors_gradient: Optional[Array],
    step: float = 1.0,
    buffer: Optional[Buffer] = None,
) -> None:
    """Write the gradient by x, and add `step` times that by the vectors to what is there."""
    xp = array_module(x)
    at_label = (of.at_label * weights).astype(x.dtype)

    def slopes(block: slice, out: Array) -> None:
        xp.multiply(of.exps[:, block], weights[:, None], out=out)  # first: without its weight a product may be infinite
        out *= of.by_column[block]
        rows, columns = at_labels(labels, block)
        out[rows, columns] = at_label[rows]

    products_gradient(x, vectors, inverse, slopes, x_gradient, vectors_gradient, scratch(buffer, x), step=step)


def proxy_anchor_weight_gradient(of: Anchored) -> Array:
    """The derivatives by the weights, (N,)."""
    with np.errstate(over="ignore"):  # of a sample of weight 0 it may be beyond float32
        return (array_module(of.exps).matmul(of.exps, of.by_column) - of.at_label) / of.alpha
