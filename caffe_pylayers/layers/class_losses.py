"""Losses on scores and the classes they are for, with a softmax inside."""

import math
from typing import Any, List, Optional, Tuple

import numpy as np

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.files.counts import read_counts
from caffe_pylayers.files.matrix import read_matrix
from caffe_pylayers.layers.adapter import Blobs
from caffe_pylayers.layers.scores_loss import ClassLoss, ScoresLoss
from caffe_pylayers.losses.focal import focal
from caffe_pylayers.losses.infogain import Infogain, infogain_loss, infogain_of
from caffe_pylayers.losses.ldam import ldam, ldam_margins
from caffe_pylayers.losses.reduction import Array, in_rows
from caffe_pylayers.losses.soft import masses, soft_cross_entropy
from caffe_pylayers.losses.softmax import softmax_cross_entropy


class WeightedSoftmaxLoss(ClassLoss):
    """Stock SoftmaxWithLoss with sample weights: sum of w_e * -log softmax(scores)[label_e] / Z.

    bottoms: scores, with the K classes along `axis`; label, whole numbers in 0 .. K-1, of the scores' shape
        without that axis or any shape of that count; sample_weight, of the label's shape or one a sample.
    tops: loss; prob, the softmax of the scores.
    Z is as `caffe_pylayers.losses.reduction` has it; without weights it is stock Caffe's. With `class_weights` w_e is
    the sample's weight times that of its label, as if the layer SampleWeight gave it; an ignored label has weight 0.
    """

    def for_classes(self, num_classes: int) -> None:
        self._class_weights: Optional[np.ndarray] = None
        if self.options.class_weights is not None:
            self._class_weights = self.one_a_class("class_weights", num_classes)

    def values(self, bottom: Blobs, factor: Any, gradients: List[Optional[Array]]) -> Array:
        scores, gradient = self.scores(bottom), self.gradient(gradients)
        values = self.buffer("values", self.index.shape)
        return softmax_cross_entropy(scores, self.index, factor, gradient, self.prob(), values, self.work(scores))

    def weights(self, bottom: Blobs, shape: Tuple[int, ...]) -> Optional[Array]:
        weights = super().weights(bottom, shape)
        if self._class_weights is None:
            return weights
        self._label_weights = self.here("class_weights", self._class_weights)[self.index]
        if self.ignored is not None:
            self._label_weights[self.ignored] = 0
        return self._label_weights if weights is None else self._label_weights * weights

    def weight_gradient(self, size: int) -> Array:
        if self._class_weights is None:
            return super().weight_gradient(size)
        by_weight = super().weight_gradient(self._label_weights.size) * self._label_weights.reshape(-1)
        return in_rows(by_weight, size).sum(axis=1)


class WeightedInfogainLoss(ClassLoss):
    """Stock InfogainLoss with sample weights: sum of w_e * -sum_k H[label_e, k] log softmax(scores)_k / Z.

    bottoms: scores, label and sample_weight as in WeightedSoftmaxLoss; H after the label, K x K finite numbers in any
        shape, or in a file with the option `source`, and then there is no such bottom. H gets no gradient.
    tops: loss; prob, the softmax of the scores.
    """

    def for_classes(self, num_classes: int) -> None:
        self._infogain: Optional[Infogain] = None
        self._matrix: Optional[np.ndarray] = None
        if self.options.source is not None:
            self._matrix = read_matrix(self.options.source, num_classes)

    def terms(self, bottom: Blobs) -> Tuple[Tuple[int, ...], Optional[Array]]:
        terms = super().terms(bottom)
        if self._matrix is None:
            self._infogain = self._of_bottom(bottom[2])
        else:
            matrix = self.here("H", self._matrix)
            if self._infogain is None or self._infogain.rows is not matrix:
                self._infogain = infogain_of(matrix)
        return terms

    def values(self, bottom: Blobs, factor: Any, gradients: List[Optional[Array]]) -> Array:
        scores, gradient = self.scores(bottom), self.gradient(gradients)
        values, work = self.buffer("values", self.index.shape), self.work(scores, 3)
        assert self._infogain is not None
        return infogain_loss(scores, self.index, self._infogain, factor, gradient, self.prob(), values, work)

    def _of_bottom(self, blob: Any) -> Infogain:
        num_classes = self._num_classes
        if blob.count != num_classes**2:
            raise ConfigError(
                f"H has shape {tuple(blob.shape)}, {blob.count} numbers",
                remedy=f"expected {num_classes} x {num_classes} for scores with {num_classes} classes along axis {self.options.axis}",
                layer=self.name,
            )
        matrix = self.data(blob).reshape(num_classes, num_classes)
        infogain = infogain_of(matrix)
        if not bool(self.xp.isfinite(infogain.sums).all()):
            self.check_finite(blob, "H")
        return infogain


class SoftCrossEntropyLoss(ScoresLoss):
    """Softmax loss on soft labels: sum of w_e * -sum_k q_ek log softmax(scores)_ek / Z.

    bottoms: scores, with the K classes along `axis`; distribution, q, of the scores' shape (but for ones at its
        end): any finite numbers, which need not add up to 1; sample_weight, one a position or one a sample.
    tops: loss; prob, the softmax of the scores.
    A position whose distribution is all zeros is ignored: it is what LabelSmoothing gives for an ignored label. The
    distribution gets no gradient. With one-hot distributions this is WeightedSoftmaxLoss.
    """

    def terms(self, bottom: Blobs) -> Tuple[Tuple[int, ...], Optional[Array]]:
        scores = self.scores(bottom)
        distribution = self._distribution(bottom)
        shape = scores.shape[:1] + scores.shape[2:]
        self._mass, empty = masses(distribution, self.buffer("mass", shape))
        if self._mass.size and not (-math.inf < float(self._mass.min()) and float(self._mass.max()) < math.inf):
            self.check_finite(bottom[1], "distribution")
        return shape, empty

    def values(self, bottom: Blobs, factor: Any, gradients: List[Optional[Array]]) -> Array:
        scores, gradient = self.scores(bottom), self.gradient(gradients)
        distribution, values = self._distribution(bottom), self.buffer("values", self._mass.shape)
        work = self.work(scores, 2)
        return soft_cross_entropy(scores, distribution, self._mass, factor, gradient, self.prob(), values, work)

    def _distribution(self, bottom: Blobs) -> Array:
        """The distributions, as planes."""
        scores, distribution = self.data(bottom[0]), self.data(bottom[1])
        if _without_ones(scores.shape) != _without_ones(distribution.shape):
            raise ConfigError(
                f"distribution has shape {distribution.shape}",
                remedy=f"expected that of the scores, {scores.shape}",
                layer=self.name,
            )
        return self.planes(distribution.reshape(scores.shape))


def _without_ones(shape: Tuple[int, ...]) -> Tuple[int, ...]:
    """The shape without the ones at its end."""
    while shape[-1:] == (1,):
        shape = shape[:-1]
    return shape


class FocalLoss(ClassLoss):
    """Focal loss (Lin et al. 2017) on a softmax: sum of w_e * -alpha[label_e] (1 - p_e)^gamma log p_e / Z.

    bottoms: as in WeightedSoftmaxLoss. p_e is the softmax at the label. Unlike class weights alpha is no part of Z.
    """

    def for_classes(self, num_classes: int) -> None:
        self._alphas: Optional[np.ndarray] = None
        if isinstance(self.options.alpha, tuple):
            self._alphas = self.one_a_class("alpha", num_classes)

    def values(self, bottom: Blobs, factor: Any, gradients: List[Optional[Array]]) -> Array:
        scores, gradient = self.scores(bottom), self.gradient(gradients)
        alpha = self.options.alpha if self._alphas is None else self.here("alpha", self._alphas)
        values, work = self.buffer("values", self.index.shape), self.work(scores)
        return focal(scores, self.index, self.options.gamma, alpha, factor, gradient, values, work)


class LDAMLoss(ClassLoss):
    """Softmax loss with a margin for each class (Cao et al. 2019): the scores are z_k = scale (score_k - m [k = label]).

    The margin m of the label's class is C / n^(1/4), n of `counts`, with C such that the rarest class has `max_margin`;
    so has a class with count 0, which the paper does not define.
    bottoms: as in WeightedSoftmaxLoss. The paper's scores are cosines, times a scale of 30.
    """

    def for_classes(self, num_classes: int) -> None:
        counts = self.options.counts
        if isinstance(counts, str):
            counts = read_counts(counts, num_classes)
        else:
            counts = self.one_a_class("counts", num_classes)
        self._margins = ldam_margins(counts, self.options.max_margin)

    def values(self, bottom: Blobs, factor: Any, gradients: List[Optional[Array]]) -> Array:
        scores, gradient = self.scores(bottom), self.gradient(gradients)
        margins, scale = self.here("margins", self._margins), self.options.scale
        values, work = self.buffer("values", self.index.shape), self.work(scores, 2)
        return ldam(scores, self.index, margins, scale, factor, gradient, values, work)
