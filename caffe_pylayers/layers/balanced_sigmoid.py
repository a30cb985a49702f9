"""The sigmoid loss of images in which few pixels are of the one class."""

from typing import NamedTuple, Optional, Sequence

import numpy as np

from caffe_pylayers.errors import DataError
from caffe_pylayers.layers.adapter import Blobs, log, place
from caffe_pylayers.layers.loss_layer import Terms, Wanted
from caffe_pylayers.layers.pair_loss import PairLoss, rows
from caffe_pylayers.losses.balanced_sigmoid import Balance, balance
from caffe_pylayers.losses.reduction import Array
from caffe_pylayers.losses.sigmoid import sigmoid_cross_entropy


class Balanced(NamedTuple):
    """Scores, their targets and what each image has of both kinds, (N, D)."""

    scores: Array
    target: Array
    ignored: Optional[Array]
    balance: Optional[Balance] = None
    factors: Optional[Array] = None  #: what each value is multiplied by


class BalancedSigmoidCrossEntropyLoss(PairLoss):
    """Sigmoid cross-entropy in which both kinds of pixels count alike in each image (HED, Xie and Tu 2015).

        sum of w_e b_e (-t_e log p_e - (1 - t_e) log(1 - p_e)) / Z, b_e the part of the zeros of its image at a one, of the ones at a zero

    bottoms: scores, float32 (N, ...), p = sigmoid(scores); target, 0 or 1, as many as there are scores; sample_weight, at least 0, one
        per score or one per sample.
    tops: loss, a scalar.
    errors: ConfigError for counts that do not fit; DataError for a target that is NaN, or a weight that is negative or not finite.
    Z is the batch size, unless `normalization` says otherwise. A target that is neither 0 nor 1 is ignored, and NaN if its weight is 0. Ones and zeros are counted by
    their weights, without those that are ignored.
    """

    one_factor_per_sample = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._told = False

    def terms(self, inputs: Sequence[Array]) -> Terms:
        scores, target = self.pair(inputs)
        known = self.xp.equal(target, 0, out=self.buffer("known", target.shape, bool))
        known |= target == 1
        if bool(known.all()):
            return Terms(scores.shape, None, Balanced(scores, target, None))
        ignored = self.xp.logical_not(known, out=known)
        return Terms(scores.shape, ignored, Balanced(scores, target, ignored))

    def with_weights(self, terms: Terms, weights: Optional[Array]) -> Terms:
        of = terms.of
        # One weight per sample does not change the parts of its image.
        one_each = weights is None or weights.size == len(of.target)
        found = balance(of.target, of.ignored, None if one_each else weights)
        if of.ignored is not None:
            self._look_at_others(of, found, weights)
        ones, zeros = (each.astype(np.float32) for each in found.parts())
        # Without masks, which take ten times as long where ones and zeros are mixed.
        factors = self.buffer("factors", of.target.shape)
        self.xp.equal(of.target, 1, out=factors)
        factors *= ones - zeros
        factors += zeros
        return terms._replace(of=of._replace(balance=found, factors=factors))

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        scores, target, _, _, factors = terms.of
        gradient, each = rows(wanted.gradients[0]), wanted.factor
        if gradient is not None:
            each = self.xp.multiply(factors, each, out=self.buffer("balanced factor", factors.shape))
        values = sigmoid_cross_entropy(scores, target, each, gradient, buffer=self.buffer)
        values *= factors
        return values

    def weight_gradient(self, terms: Terms, size: int) -> Array:
        gradient = super().weight_gradient(terms, size)
        scores, target, ignored, balance, _ = terms.of
        if size != target.size or size == len(scores):  # one factor on an image does not change its parts
            return gradient
        xp, positive, scale = self.xp, target == 1, self._reduction.scale
        added = xp.where(scale > 0, self._values, 0) * scale
        of_ones = xp.where(positive, added, 0).sum(axis=1, dtype=np.float64)[:, None]
        of_zeros = added.sum(axis=1, dtype=np.float64)[:, None] - of_ones
        by_one, by_zero = balance.slopes(of_ones, of_zeros)
        more = xp.where(positive, by_one, by_zero)
        if ignored is not None:
            more[ignored] = 0
        return gradient + more.reshape(-1)

    def _look_at_others(self, of: Balanced, found: Balance, weights: Optional[Array]) -> None:
        """Raises DataError for NaN, and tells once of a batch that has others but not both 0 and 1, so that its loss is 0."""
        nan = self.xp.isnan(of.target)
        if weights is not None:
            nan &= weights > 0
        if bool(nan.any()):
            raise DataError(
                f"target nan at {place(self.inputs[1], int(self.xp.argmax(nan)))} is not a number",
                remedy="write another number than 0 and 1, for example 255, where the target is not known",
                layer=self.name,
            )
        if not self._told and not all(bool(each.any()) for each in found):
            self._told = True
            number = float(of.target.reshape(-1)[int(self.xp.argmax(of.ignored))])
            log.warning(
                "%s: the targets of a batch have no %d, and others, for example %.9g, are left out, so its loss is 0; if they are "
                "meant, scale the targets to 0 and 1",
                self.name,
                0 if bool(found.positives.any()) else 1,
                number,
            )
