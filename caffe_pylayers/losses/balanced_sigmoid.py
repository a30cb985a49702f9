"""How much the ones and the zeros of a target count, so that in each image both count alike, however many there are."""

from typing import NamedTuple, Optional, Tuple

import numpy as np

from caffe_pylayers.losses.reduction import Array, array_module


class Balance(NamedTuple):
    """The positives and the negatives of N images, by weight, as columns (N, 1)."""

    positives: Array
    negatives: Array

    def parts(self) -> Tuple[Array, Array]:
        """What each positive is multiplied by, the part of the negatives; and each negative, the part of the positives."""
        total = self._total()
        return self.negatives / total, self.positives / total

    def slopes(self, of_positives: Array, of_negatives: Array) -> Tuple[Array, Array]:
        """The derivatives of each image's loss by the weight of a positive, and of a negative, that come from the parts.

        of_positives, of_negatives: what each image's positives and negatives add to its loss, (N, 1).
        """
        # With P and N positives and negatives, T = P + N, and A and B the sums of their values, what they add is A' = A N / T
        # and B' = B P / T. By P the parts have the derivative N (B - A) / T^2 = (B' N / P - A') / T, and by N the same the
        # other way round.
        total = self._total()
        both = (self.positives, self.negatives, of_positives, of_negatives)
        return _slope(*both) / total, _slope(*both[1::-1], *both[:1:-1]) / total

    def _total(self) -> Array:
        """What both come to, 1 where there are none."""
        total = self.positives + self.negatives
        return array_module(total).where(total > 0, total, 1)


def _slope(own: Array, other: Array, of_own: Array, of_other: Array) -> Array:
    """What `Balance.slopes` divides by T, for one of both; it is asked for only where there is one."""
    return of_other * (other / array_module(own).where(own > 0, own, 1)) - of_own


def balance(target: Array, ignored: Optional[Array] = None, weights: Optional[Array] = None) -> Balance:
    """How many ones and zeros the targets of each image have.

    target: float (N, D), 0 or 1 but where it is ignored.
    ignored: bool (N, D).
    weights: (N, D); none: 1 each.

    >>> found = balance(np.array([[1.0, 0, 0, 7]]), np.array([[False, False, False, True]]))
    >>> found.positives.tolist(), found.negatives.tolist()
    ([[1.0]], [[2.0]])
    """

    def added(where: Array) -> Array:
        if ignored is not None:
            where &= ~ignored
        if weights is None:
            return where.sum(axis=1)[:, None] * 1.0
        return array_module(target).einsum("nd,nd->n", where, weights, dtype=np.float64)[:, None]

    return Balance(added(target == 1), added(target == 0))
