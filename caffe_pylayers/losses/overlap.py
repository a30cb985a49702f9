"""How far predicted regions miss the true ones: dice, Tversky and Jaccard losses (Milletari et al. 2016, Salehi et al. 2017)."""

from typing import Any, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.losses.blocks import Buffer, largest_block, score_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module, total
from caffe_pylayers.losses.softmax import exponentials, sum_classes

#: Planes of so many numbers have few sums, which are float64.
_LONG = 16


class Ratio(NamedTuple):
    """A loss 1 - (hit tp + e) / (both tp + predicted p + true t + e), of sums tp of p t, p and t over a region."""

    hit: float
    both: float
    predicted: float
    true: float
    epsilon: float = 1e-6

    def of(self, sums: Sequence[Array]) -> Tuple[Array, Sequence[Array]]:
        """The losses of regions, from their three sums, and the derivatives by each sum."""
        tp, p, t = sums
        above = self.hit * tp + self.epsilon
        below = self.both * tp + self.predicted * p + self.true * t + self.epsilon
        each = above / below**2
        return 1 - above / below, (each * self.both - self.hit / below, each * self.predicted, each * self.true)


def ratio(kind: str, alpha: float = 0.5, beta: float = 0.5, epsilon: float = 1e-6) -> Ratio:
    """The ratio of a kind of loss: "dice", "tversky" (false positives count alpha, false negatives beta) or "jaccard".

    >>> losses, _ = ratio("dice", epsilon=0.0).of([np.array([1.0]), np.array([2.0]), np.array([2.0])])
    >>> losses
    array([0.5])
    """
    if kind == "dice":
        return Ratio(2, 0, 1, 1, epsilon)
    return Ratio(1, -1, 1, 1, epsilon) if kind == "jaccard" else Ratio(1, 1 - alpha - beta, alpha, beta, epsilon)


def activate(scores: Array, activation: str, weights: Sequence[Array], buffer: Optional[Buffer] = None) -> Array:
    """The probabilities of scores (M, K, P): "sigmoid", "softmax" along axis 1, or "none", the scores themselves.

    weights: arrays (M, 1 or K, 1 or P); where one is 0 a probability that is not finite is 0.
    """
    xp = array_module(scores)
    out = scratch(buffer, scores)("probabilities", scores.shape, scores.dtype)
    for part, _ in score_blocks(scores):
        block, to = scores[part], out[part]
        if activation == "softmax":
            sums, _ = exponentials(_rows(block), _rows(to))
            to /= sums.reshape(len(to), 1, to.shape[2])
        elif activation == "sigmoid":
            # Exact near 0 too: there sums of many p decide on a region without any target.
            xp.negative(block, out=to)
            with np.errstate(over="ignore"):
                xp.exp(to, out=to)
            to += 1
            xp.divide(1, to, out=to)
        else:
            to[...] = block
        if weights and not bool(xp.isfinite(to).all()):
            for each in weights:
                xp.copyto(to, 0, where=xp.broadcast_to(_part(each, part) == 0, to.shape))
    return out


def add_up(
    probabilities: Array, target: Array, weights: Optional[Array], buffer: Optional[Buffer] = None
) -> Sequence[Array]:
    """The sums over axis 2 of w p t, w p and w t, (M, K) each.

    probabilities, target: float (M, K, P). weights: w, (M, 1 or K, P); none: 1 each.
    """
    buffer, kind = scratch(buffer, probabilities), probabilities.dtype
    work = buffer("products", (largest_block(probabilities),), kind)
    few = probabilities.shape[2] >= _LONG
    of_sums = np.float64 if few else kind
    sums = [buffer(f"sums {name}", probabilities.shape[:2], of_sums) for name in ("of p t", "of p", "of t")]
    for each in sums:
        each[...] = 0
    for part, _ in score_blocks(probabilities):
        p, t = probabilities[part], target[part]
        products = work[: p.size].reshape(p.shape)
        for each, factors in zip(sums, ((p, t), (p,), (t,))):
            each[part[0]] += _along(factors if weights is None else (*factors, _part(weights, part)), products)
    return sums


def _along(factors: Sequence[Array], products: Array) -> Any:
    """The sums along axis 2 of the products of arrays (m, k, p)."""
    xp = array_module(products)
    first, *others = factors
    if products.shape[:2] == (1, 1) and len(others) < 2:
        return float(first.reshape(-1).dot(others[0].reshape(-1))) if others else total(first)
    for other in others:
        first = xp.multiply(first, other, out=products)
    if products.shape[2] == 1:
        return first[:, :, 0]
    return first.dot(xp.ones(products.shape[2], first.dtype))


def gradient_of(
    probabilities: Array,
    target: Array,
    slopes: Sequence[Array],
    weights: Sequence[Array],
    activation: str,
    gradient: Array,
    buffer: Optional[Buffer] = None,
) -> None:
    """Writes the gradient by the scores, (M, K, P), into `gradient`.

    slopes: the derivatives of the loss by the sums of p t and of p, (M or 1, K or 1).
    weights: arrays (M, 1 or K, 1 or P), which multiply each term of the sums.
    """
    xp = array_module(probabilities)
    work = scratch(buffer, probabilities)("products", (largest_block(probabilities),), probabilities.dtype)
    of_hit, of_p = (slope.astype(probabilities.dtype)[:, :, None] for slope in slopes)
    for part, _ in score_blocks(probabilities):
        p, out = probabilities[part], gradient[part]
        xp.multiply(target[part], _part(of_hit, part), out=out)
        out += _part(of_p, part)
        for each in weights:
            out *= _part(each, part)
        if activation == "none":
            continue
        inner = xp.multiply(out, p, out=work[: p.size].reshape(p.shape))
        if activation == "softmax":
            out -= sum_classes(_rows(inner)).reshape(len(out), 1, out.shape[2])
            out *= p
        else:
            xp.multiply(inner, p, out=out)
            xp.subtract(inner, out, out=out)


def weight_gradient(probabilities: Array, target: Array, slopes: Sequence[Array], shape: Sequence[int]) -> Array:
    """The derivatives by weights of `shape`, (M, 1 or K, P), from those by the three sums, (M or 1, K or 1)."""
    of_hit, of_p, of_t = (slope[:, :, None] for slope in slopes)
    each = probabilities * (of_hit * target + of_p) + of_t * target
    return each if shape[1] == each.shape[1] else each.sum(axis=1)[:, None]


def _rows(array: Array) -> Array:
    """An array (m, k, p) as (m, k) where p is 1: there a sum along axis 1 takes a fifth of the time."""
    return array[:, :, 0] if array.shape[2] == 1 else array


def _part(array: Array, part: Any) -> Array:
    """The part of an array (M or 1, K or 1, P or 1) that goes with a part of the scores."""
    rows, _, columns = part
    every = slice(None)
    return array[rows if array.shape[0] > 1 else every, :, columns if array.shape[2] > 1 else every]
