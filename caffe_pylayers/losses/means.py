"""A loss that is the sum of several means over the same samples."""

from typing import Optional, Sequence

from caffe_pylayers.losses.reduction import Array, Reduction, array_module


class SumOfMeans:
    """Means of the same samples' terms, each divided by the number of its own, as one `Reduction`.

    counts: how many terms of each mean a sample has, (means, N). weights: of the samples, (N,); none means 1 each.
    What are values there have the shape (means, N) here, and factors too, or (means, 1) without weights.
    """

    def __init__(self, counts: Sequence[Array], weights: Optional[Array] = None) -> None:
        self._means = [Reduction(each.shape, weights, counts=each) for each in counts]
        xp = array_module(counts[0])
        one = xp.ones(1)
        self.factor = self.scale = xp.stack([one * each.factor for each in self._means])

    def loss(self, values: Array) -> float:
        """The loss, of `values`."""
        return sum(mean.loss(each) for mean, each in zip(self._means, values))

    def weight_gradient(self, values: Array, loss: float) -> Array:
        """dL/dw of the samples, (N,)."""
        gradients = [mean.weight_gradient(each, mean.loss(each)) for mean, each in zip(self._means, values)]
        return sum(gradients[1:], gradients[0])
