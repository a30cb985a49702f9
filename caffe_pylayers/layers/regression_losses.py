"""Losses on differences that a few far ones do not rule: smooth L1, L1, Huber and wing."""

from typing import Optional, Sequence

from caffe_pylayers.layers.adapter import Blobs
from caffe_pylayers.layers.loss_layer import Terms, Wanted
from caffe_pylayers.layers.pair_loss import PairLoss, rows
from caffe_pylayers.losses.reduction import Array
from caffe_pylayers.losses.regression import L1, Curve, Pairs, Wing, huber, regression, smooth_l1


class RegressionLoss(PairLoss):
    """The sum of w_e outside_e l(d_e) / Z, with d_e = inside_e (prediction_e - target_e): a subclass has the curve l."""

    differentiable = (0, 1)
    one_factor_per_sample = True
    finite = ("target", "inside_weight", "outside_weight")

    def curve(self) -> Curve:
        raise NotImplementedError(f"{self.name} has no curve")

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._curve = self.curve()

    def terms(self, inputs: Sequence[Array]) -> Terms:
        prediction, target = self.pair(inputs)
        target, missing = self.without_missing(target)
        factors = [self._factors(inputs, name) for name in ("inside_weight", "outside_weight")]
        return Terms(prediction.shape, missing, Pairs(prediction, target, *factors))

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        both = [rows(gradient) for gradient in wanted.gradients[:2]]
        return regression(terms.of, self._curve, wanted.factor, both, self.buffer, wanted.total)

    def _factors(self, inputs: Sequence[Array], name: str) -> Optional[Array]:
        """A bottom of factors as (N, D); None where the net does not give it."""
        given = self.bottom(inputs, name)
        if given is not None:
            self.check_same_count(inputs[0], given, name)
        return rows(given)


class SmoothL1Loss(RegressionLoss):
    """Smooth L1 loss (Girshick 2015): squares of small differences, sizes of large ones. The sum is divided by the batch size.

        l(d) = sigma^2 d^2 / 2 where |d| < 1 / sigma^2, |d| - 1 / (2 sigma^2) elsewhere

    bottoms: prediction, float32 (N, ...); target, any finite numbers; inside_weight, which multiplies the differences, and
        outside_weight, which multiplies l: as many numbers each as there are predictions; sample_weight, at least 0, one per number
        or one per sample. Of four bottoms the last two are inside_weight and outside_weight, as in py-faster-rcnn; of three, the
        option `bottoms` says which the last is. The first two have a gradient.
    tops: loss, a scalar.
    errors: ConfigError for counts that do not fit, or an option `bottoms` that is missing; DataError for a target or factor that is not
        finite, or a sample_weight that is negative or not finite.
    With `ignore_nan` a target that is NaN is ignored.
    """

    def curve(self) -> Curve:
        return smooth_l1(self.options.sigma)


class L1Loss(RegressionLoss):
    """The sum of the sizes of differences, divided by the batch size: l(d) = |d|, with slope 0 at 0.

    bottoms: prediction, target, inside_weight, outside_weight, sample_weight: as those of SmoothL1Loss.
    tops: loss, a scalar.
    errors: as those of SmoothL1Loss.
    """

    def curve(self) -> Curve:
        return L1()


class HuberLoss(RegressionLoss):
    """Huber's loss (Huber 1964), divided by the batch size: l(d) = d^2 / 2 where |d| < delta, delta (|d| - delta / 2) elsewhere.

    bottoms: prediction, target, inside_weight, outside_weight, sample_weight: as those of SmoothL1Loss.
    tops: loss, a scalar.
    errors: as those of SmoothL1Loss.
    """

    def curve(self) -> Curve:
        return huber(self.options.delta)


class WingLoss(RegressionLoss):
    """Wing loss, for landmarks (Feng et al. 2018): small differences count more than in L1Loss. Divided by the batch size.

        l(d) = w log(1 + |d| / epsilon) where |d| < w, |d| - w + w log(1 + w / epsilon) elsewhere

    bottoms: prediction, target, inside_weight, outside_weight, sample_weight: as those of SmoothL1Loss.
    tops: loss, a scalar.
    errors: as those of SmoothL1Loss.
    """

    def curve(self) -> Curve:
        return Wing(self.options.w, self.options.epsilon)
