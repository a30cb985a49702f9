"""The other losses of stock Caffe, with a weight for each sample."""

import math
from typing import Any, Optional, Sequence, Tuple

from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.layers.adapter import Blobs, place
from caffe_pylayers.layers.loss_layer import LossLayer, Terms, Wanted
from caffe_pylayers.losses.contrastive import contrastive
from caffe_pylayers.losses.euclidean import euclidean
from caffe_pylayers.losses.hinge import hinge
from caffe_pylayers.losses.multinomial import multinomial_logistic
from caffe_pylayers.losses.reduction import Array, Reduction
from caffe_pylayers.losses.sigmoid import sigmoid_cross_entropy

#: How far beyond 0 and 1 a target of the sigmoid loss may lie: images by `scale: 0.003922` for 1/255 have a white of 1.0001.
_ROUNDED = 1e-3


class PairLoss(LossLayer):
    """A loss that compares its first two bottoms number by number: of one count, and of one first dimension."""

    def pair(self, inputs: Sequence[Array]) -> Tuple[Array, Array]:
        """The two as (N, D)."""
        one, other = inputs[:2]
        if one.size != other.size or len(one) != len(other):
            raise ConfigError(
                f"{self.bottom_names[0]} has shape {one.shape} and {self.bottom_names[1]} {other.shape}",
                remedy="expected as many numbers in both, for as many samples",
                layer=self.name,
            )
        return _rows(one), _rows(other)

    def without_missing(self, target: Array) -> Tuple[Array, Optional[Array]]:
        """Targets with 0 in the place of NaN, and which those are; None where there are none, or 'ignore_nan' is false."""
        if not self.options.ignore_nan:
            return target, None
        missing = self.xp.isnan(target, out=self.buffer("missing", target.shape, bool))
        if not bool(missing.any()):
            return target, None
        there = self.buffer("there", target.shape)
        there[...] = target
        there[missing] = 0
        return there, missing


class WeightedSigmoidCrossEntropyLoss(PairLoss):
    """Stock SigmoidCrossEntropyLoss with sample weights: sum of w_e (-t_e log p_e - (1 - t_e) log(1 - p_e)) / Z.

    bottoms: scores, float32 (N, ...), p = sigmoid(scores); target, numbers from 0 to 1, as many as there are scores;
        sample_weight, at least 0, one per score or one per sample.
    tops: loss, a scalar.
    errors: ConfigError for counts that do not fit; DataError for a target outside 0 .. 1, or a weight that is negative or not finite.
    A target that is ignored, or has weight 0, may be any number. A target whose whole part is `ignore_label` is ignored, as in
    stock Caffe: 0 ignores all between -1 and 1. With `ignore_nan` a target that is NaN is ignored.
    """

    one_factor_per_sample = True

    def reduction(self, terms: Terms, weights: Optional[Array]) -> Reduction:
        self._check_targets(terms, weights)
        return super().reduction(terms, weights)

    def _check_targets(self, terms: Terms, weights: Optional[Array]) -> None:
        """Raises DataError where a target that counts is not from 0 to 1: stock's loss is below 0 there, without bound."""
        _, target = terms.of
        if not target.size or (
            float(target.min()) >= -_ROUNDED and float(target.max()) <= 1 + _ROUNDED
        ):  # NaN is in no range
            return
        right = self.xp.greater_equal(target, -_ROUNDED, out=self.buffer("right", target.shape, bool))
        right &= self.xp.less_equal(target, 1 + _ROUNDED, out=self.buffer("below", target.shape, bool))
        if terms.ignored is not None:
            right |= terms.ignored
        if weights is not None:
            right |= weights == 0
        if not bool(right.all()):
            at = int(self.xp.argmin(right))
            found = float(target.reshape(-1)[at])
            hint = "" if self.options.ignore_label is None else f", and is not ignore_label {self.options.ignore_label}"
            remedy = "scale the targets, or exclude this one with 'ignore_label' or with the weight 0"
            raise DataError(
                f"target {found:.9g} at {place(self.inputs[1], at)} is not from 0 to 1{hint}",
                remedy="if it is a missing value, set 'ignore_nan': true" if math.isnan(found) else remedy,
                layer=self.name,
            )

    def terms(self, inputs: Sequence[Array]) -> Terms:
        scores, target = self.pair(inputs)
        target, missing = self.without_missing(target)
        if self.options.ignore_label is None:
            return Terms(scores.shape, missing, (scores, target))
        whole = self.xp.trunc(target, out=self.buffer("values", target.shape))
        ignored = self.xp.equal(whole, self.options.ignore_label, out=self.buffer("ignored", target.shape, bool))
        if missing is not None:
            ignored |= missing
        return Terms(scores.shape, ignored if bool(ignored.any()) else None, (scores, target))

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        scores, target = terms.of
        return sigmoid_cross_entropy(scores, target, wanted.factor, _rows(wanted.gradients[0]), self.buffer)


class WeightedEuclideanLoss(PairLoss):
    """Stock EuclideanLoss with sample weights: sum of w_i |prediction_i - target_i|^2 / 2 / Z.

    bottoms: prediction, float32 (N, ...); target, any finite numbers, as many as there are predictions; sample_weight, at least 0,
        one per sample or one per number. Both of the first two have a gradient.
    tops: loss, a scalar.
    errors: ConfigError for counts that do not fit; DataError for a target that is not finite, or a weight that is negative or not finite.
    Z is the sum of the weights of all numbers over the numbers per sample: without weights the batch size. With `ignore_nan` a target
    that is NaN is left out of the sum, and counts in Z.
    """

    differentiable = (0, 1)

    def compute(self, bottom: Blobs, top: Blobs) -> None:
        super().compute(bottom, top)
        # Targets that are not finite make a loss that is not, so there is no need to look at them before.
        if not math.isfinite(self._loss):
            remedy = "to exclude it, give its sample the weight 0, or set it to NaN, with 'ignore_nan': true"
            self.check_finite(self._terms.of[1].reshape(self.inputs[1].shape), self.bottom_names[1], remedy)

    def terms(self, inputs: Sequence[Array]) -> Terms:
        prediction, target = self.pair(inputs)
        target, missing = self.without_missing(target)
        weight = self.bottom(inputs, "sample_weight")
        one_a_sample = missing is None and (weight is None or weight.size == len(inputs[0]))
        shape = prediction.shape[:1] if one_a_sample else prediction.shape
        return Terms(shape, missing, (prediction, target))

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        prediction, target = terms.of
        both = [_rows(gradient) for gradient in wanted.gradients[:2]]
        return euclidean(prediction, target, wanted.factor, both, len(terms.shape) > 1, self.buffer)


class LabelLoss(LossLayer):
    """A loss with one label per sample, among as many classes as the first bottom has numbers per sample."""

    def terms(self, inputs: Sequence[Array]) -> Terms:
        scores, label = _rows(inputs[0]), inputs[1]
        if label.size != len(scores):
            raise ConfigError(
                f"label has shape {label.shape} and {self.bottom_names[0]} {inputs[0].shape}",
                remedy=f"expected {len(scores)} labels, one per sample",
                layer=self.name,
            )
        labels, _ = self.labels(label, scores.shape[1])
        return Terms(labels.shape, None, (scores, labels))


class WeightedHingeLoss(LabelLoss):
    """Stock HingeLoss with sample weights: sum over samples and classes of w_i max(0, 1 - s_ik scores_ik) / Z.

    bottoms: scores, float32 (N, K), flattened to it; label, integers in 0 .. K-1, one per sample; sample_weight, at least 0, one per
        sample.
    tops: loss, a scalar.
    errors: ConfigError for counts that do not fit; DataError for a label that is not an integer in range, or a weight that is negative or
        not finite.
    s_ik is 1 at the label and -1 elsewhere; with `norm: 'L2'` the hinges are squared. Z is the sum of the weights.
    """

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        scores, labels = terms.of
        return hinge(scores, labels, self.options.norm, wanted.factor, _rows(wanted.gradients[0]), self.buffer)


class WeightedMultinomialLogisticLoss(LabelLoss):
    """Stock MultinomialLogisticLoss with sample weights: sum of w_i * -log prob_i[label_i] / Z.

    bottoms: prob, float32 (N, K), flattened to it; label, integers in 0 .. K-1, one per sample; sample_weight, at least 0, one per
        sample.
    tops: loss, a scalar.
    errors: ConfigError for counts that do not fit; DataError for a label that is not an integer in range, or a weight that is negative or
        not finite.
    Z is the sum of the weights. WeightedSoftmaxLoss takes the scores in place of prob, and is more accurate.
    """

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        prob, labels = terms.of
        return multinomial_logistic(prob, labels, wanted.factor, _rows(wanted.gradients[0]))


class WeightedContrastiveLoss(PairLoss):
    """Stock ContrastiveLoss with sample weights (Hadsell et al. 2006): pulls similar pairs together, others apart.

    bottoms: feature, feature_p, float32 (N, D), flattened to it: both have a gradient; sim, 1 for a similar pair and 0 for
        another, one per pair; sample_weight, at least 0, one per pair.
    tops: loss, a scalar.
    errors: ConfigError for counts that do not fit; DataError for a sim that is not 0 or 1, or a weight that is negative or not finite.
    A term is d^2 / 2, or max(0, margin - d)^2 / 2 for pairs that are not similar (max(0, margin - d^2) / 2 with
    `legacy_version`), d the Euclidean distance. Z is the sum of the weights.
    """

    differentiable = (0, 1)

    def terms(self, inputs: Sequence[Array]) -> Terms:
        pair, sim = self.pair(inputs), inputs[2]
        if sim.size != len(inputs[0]):
            raise ConfigError(
                f"sim has shape {sim.shape} and feature {inputs[0].shape}",
                remedy=f"expected {len(inputs[0])} numbers, one per pair",
                layer=self.name,
            )
        similar = self.labels(sim, 2, what="sim")[0] == 1
        return Terms(similar.shape, None, (*pair, similar))

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        feature, feature_p, similar = terms.of
        margin, legacy_version = self.options.margin, self.options.legacy_version
        both = [_rows(gradient) for gradient in wanted.gradients[:2]]
        return contrastive(feature, feature_p, similar, margin, legacy_version, wanted.factor, both, self.buffer)


def _rows(array: Optional[Array]) -> Any:
    """The array as (N, D); None stays None."""
    return None if array is None else array.reshape(len(array), math.prod(array.shape[1:]))
