"""Cross-entropy of probabilities and index labels, as stock MultinomialLogisticLoss computes it."""

from typing import Optional, Union

from caffe_pylayers.losses.reduction import Array, array_module

_SMALLEST = 1e-20  # stock Caffe's kLOG_THRESHOLD


def multinomial_logistic(
    prob: Array,
    labels: Array,
    factor: Union[float, Array] = 1.0,
    gradient: Optional[Array] = None,
) -> Array:
    """-log p at each label, of probabilities p, which a softmax has made.

        l = -log max(p[label], 1e-20)        dl/dp[label] = -1 / max(p[label], 1e-20), 0 elsewhere

    prob: float (N, K).
    labels: integers 0 .. K-1, (N,).
    factor: the gradient is multiplied by it: one for all, or one per row (N,). Where an array is 0 the gradient is
        0, be the probability NaN.
    gradient: array (N, K) that receives the gradient; not computed when None. As in stock Caffe it stays where p
        is cut at 1e-20, so that a net can come back from there.
    Returns the values, (N,).

    >>> import numpy as np
    >>> multinomial_logistic(np.array([[0.25, 0.75]]), np.array([1])).round(4)
    array([0.2877])
    """
    xp = array_module(prob)
    at_label = xp.arange(len(prob)), labels
    at_least = xp.maximum(prob[at_label], _SMALLEST)
    if gradient is not None:
        gradient[...] = 0
        slopes = -factor / at_least
        gradient[at_label] = slopes if isinstance(factor, (int, float)) else xp.where(factor == 0, 0, slopes)
    return -xp.log(at_least)
