"""The other losses of stock Caffe, with a weight for each sample."""

import math
from typing import Any, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.adapter import Blobs
from caffe_pylayers.layers.loss_layer import LossLayer, Terms, Wanted
from caffe_pylayers.layers.pair_loss import PairLoss, rows
from caffe_pylayers.losses.contrastive import contrastive
from caffe_pylayers.losses.euclidean import euclidean
from caffe_pylayers.losses.hinge import hinge
from caffe_pylayers.losses.multinomial import multinomial_logistic
from caffe_pylayers.losses.reduction import Array
from caffe_pylayers.losses.sigmoid import sigmoid_cross_entropy


class WeightedSigmoidCrossEntropyLoss(PairLoss):
    """Stock SigmoidCrossEntropyLoss with sample weights: sum of w_e (-t_e log p_e - (1 - t_e) log(1 - p_e)) / Z.

    bottoms: scores, float32 (N, ...), p = sigmoid(scores); target, numbers from 0 to 1, as many as there are scores;
        sample_weight, at least 0, one per score or one per sample.
    tops: loss, a scalar.
    errors: ConfigError for counts that do not fit; DataError for a target outside 0 .. 1, or a weight that is negative or not finite.
    A target that is ignored, or has weight 0, may be any number. A target whose whole part is `ignore_label` is ignored, as in
    stock Caffe: 0 ignores all between -1 and 1. With `ignore_nan` a target that is NaN is ignored. `pos_weight` multiplies the part
    of the loss that is t_e log p_e; Z does not count it.
    """

    one_factor_per_sample = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._pos_weights: Optional[np.ndarray] = None  # one per label

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if isinstance(self.options.pos_weight, (tuple, str)):
            self._set_pos_weights(tuple(bottom[0].shape))

    def with_weights(self, terms: Terms, weights: Optional[Array]) -> Terms:
        self.check_targets(terms.of[1], terms.ignored, weights)
        return terms

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
        gradient, pos_weight = rows(wanted.gradients[0]), self._pos_weight()
        return sigmoid_cross_entropy(scores, target, wanted.factor, gradient, pos_weight, self.buffer)

    def _pos_weight(self) -> Any:
        """What positives are multiplied by: one number, or one per column of the scores as rows; None: 1."""
        if self._pos_weights is None:
            return self.options.pos_weight
        return self.here("pos_weight", np.repeat(self._pos_weights, math.prod(self.inputs[0].shape[2:])))

    def _set_pos_weights(self, shape: Tuple[int, ...]) -> None:
        """Checks and reads one number per label. shape: of the scores."""
        if len(shape) < 2:
            raise ConfigError(
                f"option 'pos_weight' has one number per label, but scores of shape {shape} have no axis 1 for labels",
                remedy="give one number",
                layer=self.name,
                option="pos_weight",
            )
        if self._pos_weights is None or len(self._pos_weights) != shape[1]:
            self._pos_weights = self.one_each("pos_weight", shape[1], f"{shape[1]} labels along axis 1")


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
    finite = ("target",)

    def terms(self, inputs: Sequence[Array]) -> Terms:
        prediction, target = self.pair(inputs)
        target, missing = self.without_missing(target)
        weight = self.bottom(inputs, "sample_weight")
        # With `keep` a term is a number, however the weights come.
        one_a_sample = missing is None and not self.options.keep and (weight is None or weight.size == len(inputs[0]))
        shape = prediction.shape[:1] if one_a_sample else prediction.shape
        return Terms(shape, missing, (prediction, target))

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        prediction, target = terms.of
        both = [rows(gradient) for gradient in wanted.gradients[:2]]
        return euclidean(prediction, target, wanted.factor, both, len(terms.shape) > 1, self.buffer)


class LabelLoss(LossLayer):
    """A loss with one label per sample, among as many classes as the first bottom has numbers per sample."""

    def terms(self, inputs: Sequence[Array]) -> Terms:
        scores, label = rows(inputs[0]), inputs[1]
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
        return hinge(scores, labels, self.options.norm, wanted.factor, rows(wanted.gradients[0]), self.buffer)


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
        return multinomial_logistic(prob, labels, wanted.factor, rows(wanted.gradients[0]))


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
        both = [rows(gradient) for gradient in wanted.gradients[:2]]
        return contrastive(feature, feature_p, similar, margin, legacy_version, wanted.factor, both, self.buffer)
