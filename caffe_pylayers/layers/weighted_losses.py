"""The losses of stock Caffe, with a weight for each sample."""

import math
from typing import Any, List, Optional, Tuple

import numpy as np

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.adapter import Blobs, LossLayer
from caffe_pylayers.losses.softmax import softmax_cross_entropy, work_size


class WeightedSoftmaxLoss(LossLayer):
    """Stock SoftmaxWithLoss with sample weights: sum of w_e * -log softmax(scores)[label_e] / Z.

    bottoms: scores, with the K classes along `axis`; label, whole numbers in 0 .. K-1, of the scores' shape
        without that axis or any shape of that count; sample_weight, of the label's shape or one a sample.
    tops: loss; prob, the softmax of the scores.
    Z is as `caffe_pylayers.losses.reduction` has it; without weights it is stock Caffe's.
    """

    bottoms = ("scores", "label", "[sample_weight]")
    tops = ("loss", "[prob]")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if len(top) > 1:
            top[1].reshape(*bottom[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self._prob = self._planes(top[1].data) if len(top) > 1 else None
        super().forward(bottom, top)
        self._prob = None

    def terms(self, bottom: Blobs) -> Tuple[Tuple[int, ...], Optional[np.ndarray]]:
        scores = self._planes(bottom[0].data)
        shape = scores.shape[:1] + scores.shape[2:]
        if bottom[1].count * scores.shape[1] != scores.size:
            expected = scores.size // scores.shape[1]
            raise ConfigError(
                f"{self.name}: {bottom[1].count} labels for scores of shape {bottom[0].data.shape}; expected "
                f"{expected}, one for each position, with the classes along axis {self.options.axis}"
            )
        labels, ignored = self.labels(bottom[1], scores.shape[1], self.options.ignore_label)
        self._labels = labels.reshape(shape)
        return shape, None if ignored is None else ignored.reshape(shape)

    def values(self, bottom: Blobs, factor: Any, gradients: List[Optional[np.ndarray]]) -> np.ndarray:
        scores = self._planes(bottom[0].data)
        gradient = None if gradients[0] is None else self._planes(gradients[0])
        values = self.buffer("values", self._labels.shape)
        work = self.buffer("work", (work_size(scores.shape),))
        return softmax_cross_entropy(scores, self._labels, factor, gradient, self._prob, values, work)

    def _planes(self, array: np.ndarray) -> np.ndarray:
        """The array as (outer, K), or as (outer, K, inner) where a longer axis follows that of the classes."""
        axis = self.options.axis
        if not -array.ndim <= axis < array.ndim:
            raise ConfigError(f"{self.name}: axis {axis} is not an axis of scores of shape {array.shape}")
        axis %= array.ndim
        num_classes, num_inner = array.shape[axis], math.prod(array.shape[axis + 1 :])
        if num_inner == 1:
            return array.reshape(-1, num_classes)
        return array.reshape(-1, num_classes, num_inner)
