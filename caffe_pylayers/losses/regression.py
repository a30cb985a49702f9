"""Losses on the differences of predictions and targets, number by number: smooth L1, L1, Huber and wing."""

import math
from typing import NamedTuple, Optional, Sequence, Union

import numpy as np

from caffe_pylayers.losses.blocks import Buffer, blocks, clear, factor_of, largest_block, part_of, scratch
from caffe_pylayers.losses.reduction import Array, array_module, total


class Curve:
    """A loss of a difference d, l(d): zero at 0."""

    def write(self, difference: Array, slope: Array, value: Array, work: Array) -> None:
        """Writes l(d) into `value` and dl/dd into `slope`, arrays (n, m) of one shape. All four are free to work in."""
        raise NotImplementedError

    def add_up(self, difference: Array, slope: Array, value: Array, work: Array) -> float:
        """Writes dl/dd into `slope` alone, and returns the sum of l(d)."""
        self.write(difference, slope, value, work)
        return total(value)


class Pairs(NamedTuple):
    """What a regression loss compares, (N, D) each."""

    prediction: Array
    target: Array
    inside: Optional[Array] = None  #: factors of the differences
    outside: Optional[Array] = None  #: factors of the losses


def regression(
    pairs: Pairs,
    curve: Curve,
    factor: Union[float, Array] = 1.0,
    gradients: Sequence[Optional[Array]] = (None, None),
    buffer: Optional[Buffer] = None,
    only_total: bool = False,
) -> Array:
    """outside l(d) for each number, with d = inside (prediction - target).

        dl/dprediction = outside inside l'(d)        dl/dtarget = - dl/dprediction

    pairs: float (N, D).
    curve: l; see `smooth_l1`, `L1`, `huber` and `Wing`.
    factor: the gradients are multiplied by it: one for all, one per row (N, 1), or (N, D). Where an array is 0 the
        gradients are 0, be the prediction NaN.
    gradients: arrays (N, D) that receive those by prediction and target; None: not computed.
    buffer: makes the arrays that live from call to call, as `Layer.buffer` does; None: new ones each time.
    only_total: return the sums of the values of some parts instead, which takes less time.
    Returns the values, (N, D).

    >>> import numpy as np
    >>> regression(Pairs(np.array([[0.5, 3.0]]), np.zeros((1, 2))), smooth_l1(1.0))
    array([[0.125, 2.5  ]])
    """
    prediction = pairs.prediction
    xp = array_module(prediction)
    buffer, size = scratch(buffer, prediction), largest_block(prediction)
    values = buffer("values", (size,) if only_total else prediction.shape, prediction.dtype)
    work = [buffer(name, (size,), prediction.dtype) for name in ("difference", "slope", "work")]
    totals = []

    for part in blocks(prediction):
        y, t = prediction[part], pairs.target[part]
        inside, outside = part_of(pairs.inside, part), part_of(pairs.outside, part)
        difference, slope, free = (each[: y.size].reshape(y.shape) for each in work)
        value = values[: y.size].reshape(y.shape) if only_total else values[part]
        each = factor_of(factor, *part)
        as_it_is = isinstance(each, float) and each == 1 and inside is None and outside is None
        first = slope if gradients[0] is None else gradients[0][part]
        if as_it_is:
            slope = first
        xp.subtract(y, t, out=difference)
        if inside is not None:
            difference *= inside
        if only_total and outside is None:
            totals.append(curve.add_up(difference, slope, value, free))
        else:
            curve.write(difference, slope, value, free)
            if outside is not None:
                value *= outside
            if only_total:
                totals.append(total(value))
        if gradients[0] is None and gradients[1] is None:
            continue
        if not as_it_is:
            for weight in (inside, outside):
                if weight is not None:
                    slope *= weight
            clear(slope, each)
            xp.multiply(slope, each, out=first)
        if gradients[1] is not None:
            xp.negative(first, out=gradients[1][part])
    return xp.asarray(totals, np.float64) if only_total else values


class Bounded(Curve):
    """Half the square up to a bound, and from there on its tangent, times `scale`: with c = d cut at the bound, scale c (d - c / 2)."""

    def __init__(self, bound: float, scale: float) -> None:
        self._bound, self._scale = bound, scale

    def write(self, difference: Array, slope: Array, value: Array, work: Array) -> None:
        xp = array_module(difference)
        xp.clip(difference, -self._bound, self._bound, out=slope)
        xp.multiply(slope, -0.5, out=value)
        value += difference
        self._multiply(slope)
        value *= slope

    def add_up(self, difference: Array, slope: Array, value: Array, work: Array) -> float:
        xp = array_module(difference)
        xp.clip(difference, -self._bound, self._bound, out=slope)
        cut, flat = slope.reshape(-1), difference.reshape(-1)
        added = float(cut.dot(flat)) - 0.5 * float(cut.dot(cut))
        self._multiply(slope)
        return self._scale * added

    def _multiply(self, slope: Array) -> None:
        if self._scale != 1:
            slope *= self._scale


def smooth_l1(sigma: float) -> Curve:
    """sigma^2 d^2 / 2 where |d| < 1 / sigma^2, |d| - 1 / (2 sigma^2) elsewhere (Girshick 2015; sigma as in py-faster-rcnn)."""
    return Bounded(1 / sigma**2, sigma**2)


def huber(delta: float) -> Curve:
    """d^2 / 2 where |d| < delta, delta (|d| - delta / 2) elsewhere (Huber 1964)."""
    return Bounded(delta, 1.0)


class L1(Curve):
    """|d|; its slope at 0 is 0."""

    def write(self, difference: Array, slope: Array, value: Array, work: Array) -> None:
        xp = array_module(difference)
        xp.abs(difference, out=value)
        if value.size and math.isfinite(float(value.max())):
            _signs(difference, value, slope, work)
        else:
            xp.sign(difference, out=slope)


class Wing(Curve):
    """width log(1 + |d| / epsilon) where |d| < width, |d| - C elsewhere, continuous (Feng et al. 2018). Its slope at 0 is 0."""

    def __init__(self, width: float, epsilon: float) -> None:
        self._width, self._epsilon = width, epsilon

    def write(self, difference: Array, slope: Array, value: Array, work: Array) -> None:
        # With c = d cut at the width, l = width log(1 + |c| / epsilon) + |d| - |c|. Without masks, which take five times as long.
        xp, width, epsilon = array_module(difference), self._width, self._epsilon
        size = xp.abs(xp.clip(difference, -width, width, out=slope), out=slope)
        size /= epsilon
        _log1p(size, value, work)
        value *= width

        cut = xp.clip(difference, -width, width, out=slope)
        size = xp.abs(difference, out=difference)
        far = size >= width
        value += size
        xp.abs(cut, out=work)
        value -= work
        _signs(cut, work, slope, difference)
        work += epsilon
        xp.divide(width, work, out=work)
        work += xp.multiply(far, np.float32(1 - width / (epsilon + width)), out=difference)
        slope *= work


#: Above 0, and nothing beside any number that is not.
_TINY = 1e-37


def _signs(x: Array, size: Array, out: Array, work: Array) -> None:
    """Writes the signs of finite numbers of known size, 0 for 0, in half the time of sign()."""
    xp = array_module(x)
    xp.add(size, _TINY, out=work)
    xp.divide(x, work, out=out)


def _log1p(x: Array, out: Array, work: Array) -> None:
    """Writes log(1 + x) for x >= 0, exact near 0 too; overwrites x.

    What 1 + x loses by rounding is put right by the factor x / ((1 + x) - 1) (Goldberg 1991). NumPy's log1p does not
    use the processor's vector units everywhere, its log does.
    """
    xp = array_module(x)
    xp.add(x, 1, out=work)
    xp.log(work, out=out)
    work -= 1
    nothing = work == 0
    xp.copyto(work, 1, where=nothing)
    xp.copyto(out, 1, where=nothing)
    x /= work
    out *= x
