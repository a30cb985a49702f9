"""What margins make of the cosine c of the angle t between an embedding and the vector of its class.

Each function takes cosines, which rounding may have moved a little beyond -1 and 1, and returns what it makes of them and the
derivative by c. Both are finite everywhere. Where the derivative has no bound, at c = 1 and -1, it is `m1^2`: the vectors point
the same way there, so that c has no gradient.
"""

import math
from typing import Callable, Tuple

from caffe_pylayers.losses.reduction import Array, array_module

#: Cosines -> what becomes of them, and the derivatives.
Margin = Callable[[Array], Tuple[Array, Array]]


def added_angle(cosine: Array, margin: float) -> Tuple[Array, Array]:
    """cos(t + m), and c - m sin m for angles above pi - m, from where cos(t + m) would grow (ArcFace, Deng et al. 2019).

    >>> import numpy as np
    >>> added_angle(np.array([0.5]), math.pi / 6)[0].round(4)
    array([0.])
    """
    xp = array_module(cosine)
    cosine = xp.clip(cosine, -1, 1)
    value, slope = combined_margin(cosine, 1.0, margin, 0.0)
    beyond = cosine <= math.cos(math.pi - margin)
    value = xp.where(beyond, cosine - margin * math.sin(margin), value)
    return value, xp.where(beyond, 1, slope).astype(slope.dtype)


def combined_margin(cosine: Array, m1: float, m2: float, m3: float) -> Tuple[Array, Array]:
    """cos(m1 t + m2) - m3.

    >>> import numpy as np
    >>> combined_margin(np.array([0.5]), 2, math.pi / 3, 0.25)[0].round(4)
    array([-1.25])
    """
    xp = array_module(cosine)
    cosine = xp.clip(cosine, -1, 1)
    sine = xp.sqrt((1 - cosine) * (1 + cosine))
    angle = xp.arctan2(sine, cosine) * m1 + m2
    flat = sine == 0
    slope = m1 * xp.sin(angle) / xp.where(flat, 1, sine)
    return xp.cos(angle) - m3, xp.where(flat, m1 * m1, slope).astype(cosine.dtype)


def multiplied_angle(cosine: Array, m: int) -> Tuple[Array, Array]:
    """psi = (-1)^k cos(m t) - 2 k, with k = floor(m t / pi): falls from 1 at t = 0 to 1 - 2 m at pi (Liu et al. 2016, 2017).

    >>> import numpy as np
    >>> multiplied_angle(np.array([1.0, 0.5, -1.0]), 2)[0].round(4)
    array([ 1. , -0.5, -3. ])
    """
    xp = array_module(cosine)
    cosine = xp.clip(cosine, -1, 1)
    value, slope = _chebyshev(cosine, m)
    steps = sum((cosine < math.cos(j * math.pi / m)).astype(cosine.dtype) for j in range(1, m)) if m > 1 else 0
    sign = 1 - 2 * (steps % 2)
    return sign * value - 2 * steps, sign * slope


def _chebyshev(cosine: Array, m: int) -> Tuple[Array, Array]:
    """cos(m t) and its derivative by c, as polynomials of c."""
    if m == 1:
        return cosine, array_module(cosine).ones_like(cosine)
    square = cosine * cosine
    if m == 2:
        return 2 * square - 1, 4 * cosine
    if m == 3:
        return (4 * square - 3) * cosine, 12 * square - 3
    return 8 * square * (square - 1) + 1, (32 * square - 16) * cosine


def subtracted(cosine: Array, margin: float, above: float = -math.inf) -> Tuple[Array, Array]:
    """c - margin where c is above a bound, elsewhere c (CosFace, Wang et al. 2018).

    >>> import numpy as np
    >>> subtracted(np.array([0.5, 0.25]), 0.375, above=0.375)[0]
    array([0.125, 0.25 ])
    """
    xp = array_module(cosine)
    return xp.where(cosine > above, cosine - margin, cosine).astype(cosine.dtype), xp.ones_like(cosine)
