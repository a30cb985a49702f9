"""How strongly a gradient is reversed in an iteration (DANN, Ganin and Lempitsky 2015)."""

import math


def coefficient(progress: float, lower: float, upper: float, alpha: float) -> float:
    """2 (u - l) / (1 + e^(-alpha p)) - (u - l) + l: from l at p = 0 to nearly u at p = 1.

    >>> round(coefficient(0.1, 0, 1, 10), 8)
    0.46211716
    """
    height = upper - lower
    return 2 * height / (1 + math.exp(-alpha * progress)) - height + lower
