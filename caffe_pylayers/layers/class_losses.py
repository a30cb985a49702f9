"""Losses on scores and the classes they are for, with a softmax inside."""

import math
from typing import Any, Callable, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.files.counts import read_class_weights, read_counts
from caffe_pylayers.files.matrix import read_matrix
from caffe_pylayers.layers.adapter import Blobs
from caffe_pylayers.layers.loss_layer import LossLayer, Terms, Wanted
from caffe_pylayers.layers.scores import ClassAxis
from caffe_pylayers.losses.focal import focal
from caffe_pylayers.losses.infogain import Infogain, infogain_loss, infogain_of
from caffe_pylayers.losses.ldam import ldam, ldam_margins
from caffe_pylayers.losses.reduction import Array, Reduction, in_rows
from caffe_pylayers.losses.soft import masses, soft_cross_entropy
from caffe_pylayers.losses.softmax import softmax_cross_entropy


class ScoresLoss(LossLayer):
    """A loss on scores, with K classes along the option `axis`."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self.axis = ClassAxis(self)
        self._num_classes = 0

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        # Caffe takes 12 us to tell a shape.
        shape = tuple(bottom[0].shape) if len(top) > 1 or not self._num_classes else ()
        if not self._num_classes:
            self._set_classes(self.axis.plane_shape(shape)[1])
        if len(top) > 1:
            top[1].reshape(*shape)

    def for_classes(self, num_classes: int) -> None:
        """Checks and prepares what goes with the number of classes, before the first forward."""

    def scores(self, inputs: Sequence[Array]) -> Array:
        """The scores, as planes."""
        scores = self.axis.planes(inputs[0])
        if scores.shape[1] != self._num_classes:
            self._set_classes(scores.shape[1])
        return scores

    def like_scores(self, scores: Array, other: Array, what: str) -> Array:
        """A bottom of the scores' shape, as planes."""
        if _without_ones(scores.shape) != _without_ones(other.shape):
            raise ConfigError(
                f"{what} has shape {other.shape}",
                remedy=f"expected the shape of the scores, {scores.shape}",
                layer=self.name,
            )
        return self.axis.planes(other.reshape(scores.shape))

    def planes(self, wanted: Wanted) -> Tuple[Optional[Array], Optional[Array]]:
        """Where the gradient of the scores and the softmax go, as planes."""
        gradient, prob = (
            None if each is None else self.axis.planes(each) for each in (wanted.gradients[0], wanted.prob)
        )
        return gradient, prob

    def one_per_class(
        self, option: str, num_classes: int, read: Callable[[str, int], np.ndarray] = read_class_weights
    ) -> np.ndarray:
        """The numbers of an option, of which there must be one per class, float64. read: what reads them from a file."""
        return self.one_each(option, num_classes, f"{num_classes} classes along axis {self.options.axis}", read)

    def _set_classes(self, num_classes: int) -> None:
        self.for_classes(num_classes)
        self._num_classes = num_classes


class Labelled(NamedTuple):
    """Scores and their labels."""

    scores: Array  #: as planes
    labels: Array  #: the number of the class of each position
    extra: Any = None  #: what else a loss needs to know of them


class ClassLoss(ScoresLoss):
    """A loss on scores and labels that are class numbers, one per position."""

    def terms(self, inputs: Sequence[Array]) -> Terms:
        scores = self.scores(inputs)
        labels, ignored = self.axis.index_labels(*inputs[:2])
        return Terms(labels.shape, ignored, Labelled(scores, labels))


class WeightedSoftmaxLoss(ClassLoss):
    """Stock SoftmaxWithLoss with sample weights: sum of w_e * -log softmax(scores)[label_e] / Z.

    bottoms: scores, float32, with the K classes along `axis`; label, integers in 0 .. K-1, of the scores' shape without that
        axis or any shape of that count; sample_weight, at least 0, of the label's shape or one per sample.
    tops: loss, a scalar; prob, the softmax of the scores, of their shape.
    errors: ConfigError for counts that do not fit, or an axis that is not there; DataError for a label that is not an integer in
        range, or a weight that is negative or not finite.
    Z is as `caffe_pylayers.losses.reduction` has it; without weights it is stock Caffe's. With `class_weights` w_e is
    the sample's weight times that of its label, as if the layer SampleWeight gave it; an ignored label has weight 0.
    """

    def for_classes(self, num_classes: int) -> None:
        self._class_weights: Optional[np.ndarray] = None
        if self.options.class_weights is not None:
            self._class_weights = self.one_per_class("class_weights", num_classes)

    def terms(self, inputs: Sequence[Array]) -> Terms:
        terms = super().terms(inputs)
        if self._class_weights is None:
            return terms
        of_labels = self.here("class_weights", self._class_weights)[terms.of.labels]
        if terms.ignored is not None:
            of_labels[terms.ignored] = 0
        return terms._replace(of=terms.of._replace(extra=of_labels))

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        scores, labels, _ = terms.of
        gradient, prob = self.planes(wanted)
        return softmax_cross_entropy(scores, labels, wanted.factor, gradient, prob, buffer=self.buffer)

    def reduction(self, terms: Terms, weights: Optional[Array]) -> Reduction:
        of_labels = terms.of.extra
        if of_labels is not None:
            weights = of_labels if weights is None else of_labels * weights
        return super().reduction(terms, weights)

    def weight_gradient(self, terms: Terms, size: int) -> Array:
        of_labels = terms.of.extra
        if of_labels is None:
            return super().weight_gradient(terms, size)
        by_weight = super().weight_gradient(terms, of_labels.size) * of_labels.reshape(-1)
        return in_rows(by_weight, size).sum(axis=1)


class WeightedInfogainLoss(ClassLoss):
    """Stock InfogainLoss with sample weights: sum of w_e * -sum_k H[label_e, k] log softmax(scores)_k / Z.

    bottoms: scores, label and sample_weight as in WeightedSoftmaxLoss; H after the label, K x K finite numbers in any
        shape. With the option `source` H comes from a file, and there is no such bottom. H gets no gradient.
    tops: loss, a scalar; prob, the softmax of the scores, of their shape.
    errors: as those of WeightedSoftmaxLoss; ConfigError for an H of another size, DataError for one that is not finite or cannot be read.
    """

    def for_classes(self, num_classes: int) -> None:
        self._infogain: Optional[Infogain] = None
        self._matrix: Optional[np.ndarray] = None
        if self.options.source is not None:
            self._matrix = read_matrix(self.options.source, num_classes)

    def terms(self, inputs: Sequence[Array]) -> Terms:
        terms = super().terms(inputs)
        infogain = self._of_bottom(inputs[2]) if self._matrix is None else self._of_file(self.here("H", self._matrix))
        return terms._replace(of=terms.of._replace(extra=infogain))

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        scores, labels, infogain = terms.of
        gradient, prob = self.planes(wanted)
        return infogain_loss(scores, labels, infogain, wanted.factor, gradient, prob, self.buffer)

    def _of_file(self, matrix: Array) -> Infogain:
        if self._infogain is None or self._infogain.rows is not matrix:
            self._infogain = infogain_of(matrix)
        return self._infogain

    def _of_bottom(self, given: Array) -> Infogain:
        num_classes = self._num_classes
        if given.size != num_classes**2:
            raise ConfigError(
                f"H has shape {given.shape}, {given.size} numbers",
                remedy=f"expected {num_classes} x {num_classes} for scores with {num_classes} classes along axis {self.options.axis}",
                layer=self.name,
            )
        infogain = infogain_of(given.reshape(num_classes, num_classes))
        if not bool(self.xp.isfinite(infogain.sums).all()):
            self.check_finite(given, "H")
        return infogain


class SoftCrossEntropyLoss(ScoresLoss):
    """Softmax loss on soft labels: sum of w_e * -sum_k q_ek log softmax(scores)_ek / Z.

    bottoms: scores, float32, with the K classes along `axis`; distribution, q, of the scores' shape (ones at its end may be more
        or fewer): any finite numbers, which need not add up to 1; sample_weight, at least 0, one per position or one per sample.
    tops: loss, a scalar; prob, the softmax of the scores, of their shape.
    errors: ConfigError for shapes that do not fit, or an axis that is not there; DataError for a distribution that is not finite, or a
        weight that is negative or not finite.
    A position whose distribution is all zeros is ignored: it is what LabelSmoothing gives for an ignored label. The
    distribution gets no gradient. With one-hot distributions this is WeightedSoftmaxLoss.
    """

    def terms(self, inputs: Sequence[Array]) -> Terms:
        scores, distribution = self.scores(inputs), self.like_scores(inputs[0], inputs[1], "distribution")
        mass, empty = masses(distribution, self.buffer)
        if mass.size and not (-math.inf < float(mass.min()) and float(mass.max()) < math.inf):
            self.check_finite(inputs[1], "distribution")
        return Terms(mass.shape, empty, (scores, distribution, mass))

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        scores, distribution, mass = terms.of
        gradient, prob = self.planes(wanted)
        return soft_cross_entropy(scores, distribution, mass, wanted.factor, gradient, prob, buffer=self.buffer)


def _without_ones(shape: Tuple[int, ...]) -> Tuple[int, ...]:
    """The shape without the ones at its end."""
    while shape[-1:] == (1,):
        shape = shape[:-1]
    return shape


class FocalLoss(ClassLoss):
    """Focal loss (Lin et al. 2017) on a softmax: sum of w_e * -alpha[label_e] (1 - p_e)^gamma log p_e / Z.

    bottoms: scores, label and sample_weight as in WeightedSoftmaxLoss. p_e is the softmax at the label.
    tops: loss, a scalar.
    errors: as those of WeightedSoftmaxLoss; ConfigError for another number of alphas than classes.
    Z counts class weights, but not alpha.
    """

    def for_classes(self, num_classes: int) -> None:
        self._alphas: Optional[np.ndarray] = None
        if isinstance(self.options.alpha, (tuple, str)):
            self._alphas = self.one_per_class("alpha", num_classes)

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        scores, labels, _ = terms.of
        alpha = self.options.alpha if self._alphas is None else self.here("alpha", self._alphas)
        gradient, _ = self.planes(wanted)
        return focal(scores, labels, self.options.gamma, alpha, wanted.factor, gradient, self.buffer)


class LDAMLoss(ClassLoss):
    """Softmax loss with a margin for each class (Cao et al. 2019): the scores are z_k = scale (score_k - m [k = label]).

    bottoms: scores, label and sample_weight as in WeightedSoftmaxLoss. The paper's scores are cosines, times a scale of 30.
    tops: loss, a scalar.
    errors: as those of WeightedSoftmaxLoss; ConfigError for another number of `counts` than classes, DataError for a file that cannot be read.
    The margin m of the label's class is C / n^(1/4), n of `counts`, with C such that the rarest class has `max_margin`;
    so has a class with count 0, which the paper does not define.
    """

    def for_classes(self, num_classes: int) -> None:
        counts = self.one_per_class("counts", num_classes, read_counts)
        self._margins = ldam_margins(counts, self.options.max_margin)

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        scores, labels, _ = terms.of
        margins, scale = self.here("margins", self._margins), self.options.scale
        gradient, _ = self.planes(wanted)
        return ldam(scores, labels, margins, scale, wanted.factor, gradient, self.buffer)
