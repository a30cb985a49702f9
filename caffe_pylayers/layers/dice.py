"""Losses on how regions overlap."""

from typing import NamedTuple, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.layers.adapter import Blobs, place
from caffe_pylayers.layers.loss_layer import Terms, Wanted
from caffe_pylayers.layers.pair_loss import PairLoss
from caffe_pylayers.layers.scores import ClassAxis
from caffe_pylayers.losses import overlap
from caffe_pylayers.losses.reduction import Array, Reduction, in_rows


class Regions(NamedTuple):
    """Scores, what is true of them, and their overlap, as planes (M, K, P): M samples, or more where `axis` is beyond 1."""

    scores: Array
    target: Array
    excluded: Optional[Array]  #: (M, 1 or K, P), bool
    weights: Optional[Array] = None  #: (M, 1 or K, P), 0 where excluded
    of_samples: Optional[Array] = None  #: the weights if there is one per sample, (M, 1)
    probabilities: Optional[Array] = None
    planes: Sequence[Array] = ()  #: the sums of p t, p and t in each plane, (M, K)
    sums: Sequence[Array] = ()  #: the same in each region

    def every_weight(self, inside: bool = True) -> Sequence[Array]:
        """The weights, as arrays that go with the planes. inside: those of samples too."""
        of_samples = self.of_samples[:, :, None] if inside and self.of_samples is not None else None
        return [each for each in (self.weights, of_samples) if each is not None]


class DiceLoss(PairLoss):
    """How far predicted regions miss the true ones, 1 - (2 sum p t + e) / (sum p + sum t + e) (Milletari et al. 2016).

        tversky   1 - (tp + e) / (tp + alpha fp + beta fn + e), with tp = sum p t, fp = sum p (1 - t), fn = sum (1 - p) t
        jaccard   1 - (tp + e) / (tp + fp + fn + e)

    bottoms: scores, float32, with K classes along `axis`; target, numbers from 0 to 1 of the scores' count, or labels, integers in
        0 .. K-1, one per position; sample_weight, at least 0, one per number of the target or one per sample.
    tops: loss, a scalar.
    errors: ConfigError for counts that do not fit, or an axis that is not there; DataError for a target, or with `activation: none` a
        score, that is not from 0 to 1, a label that is not an integer in range, or a weight that is negative or not finite.
    A region is the batch, or with `over` each sample or each class, and then the loss is the mean over regions. Weights multiply p t, p
    and t in the sums; in the mean over samples a sample counts by the mean of its weights. What has the target or the label
    `ignore_label` is in no sum.
    """

    prepares = False  # the probabilities are kept, of which backward makes the gradient
    one_factor_per_sample = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._probabilities: Optional[Array] = None  # of the scores that the last forward had
        self._axis = ClassAxis(self)
        options = self.options
        self._ratio = overlap.ratio(options.type, options.alpha, options.beta, options.epsilon)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        self._check_axis(tuple(bottom[0].shape))

    def terms(self, inputs: Sequence[Array]) -> Terms:
        self._of_labels = inputs[1].size != inputs[0].size
        scores, given = self._planes(inputs[0]), inputs[1]
        if self._of_labels:
            labels, ignored = self._axis.index_labels(inputs[0], given)
            shape = (len(scores), 1, scores.shape[2])
            target = self.buffer("target", scores.shape)
            classes = self.xp.arange(scores.shape[1], dtype=np.float32)[:, None]
            self.xp.equal(labels.reshape(shape).astype(np.float32), classes, out=target)
            return Terms(shape, None, Regions(scores, target, None if ignored is None else ignored.reshape(shape)))
        target, excluded = given.reshape(scores.shape), None
        if self.options.ignore_label is not None:
            excluded = target == self.options.ignore_label
            target = self._without(target, excluded)
        return Terms(scores.shape, None, Regions(scores, target, excluded))

    def with_weights(self, terms: Terms, weights: Optional[Array]) -> Terms:
        of, num_samples = terms.of, len(self.inputs[0])
        of_samples = None
        if weights is not None and weights.size == num_samples:
            of_samples, weights = self._for_planes(weights.reshape(-1), of.scores), None
        each = weights if of_samples is None else of_samples[:, :, None]
        if not self._of_labels and not self.check_targets(of.target, of.excluded, each):
            # Those that are not finite have the weight 0.
            of = of._replace(target=self._without(of.target, ~self.xp.isfinite(of.target)))
        if of.excluded is not None:
            there = self.buffer("there", of.excluded.shape)
            self.xp.logical_not(of.excluded, out=there)
            weights = there if weights is None else self.xp.multiply(there, weights, out=there)
        of = of._replace(weights=weights, of_samples=of_samples)
        if self._activation == "none":
            self._check_probabilities(of, each)
        if self._probabilities is None:
            self._probabilities = overlap.activate(of.scores, self._activation, of.every_weight(), self.buffer)
        p = self._probabilities
        folded, target = self._folded(p, of.target, weights, of_samples)
        planes = overlap.add_up(folded, target, weights, self.buffer)
        return terms._replace(of=of._replace(probabilities=p, planes=planes, sums=self._regions(planes, of_samples)))

    def reduction(self, terms: Terms, weights: Optional[Array]) -> Reduction:
        of_regions = None
        if weights is not None and self.options.over == "sample":
            rows_of = in_rows(weights, len(self.inputs[0]))
            of_regions = rows_of.sum(axis=1) / max(rows_of.shape[1], 1)
        return Reduction(terms.of.sums[0].shape, of_regions)

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        of = terms.of
        values, slopes = self._ratio.of(of.sums)
        if wanted.gradients[0] is not None:
            by_plane = [self._by_plane(slope * wanted.factor, of) for slope in slopes[:2]]
            weights = of.every_weight(inside=self.options.over != "sample")
            gradient = self._planes(wanted.gradients[0])
            overlap.gradient_of(of.probabilities, of.target, by_plane, weights, self._activation, gradient, self.buffer)
        return values

    def weight_gradient(self, terms: Terms, size: int) -> Array:
        of, over_samples = terms.of, self.options.over == "sample"
        by_mean = self._reduction.weight_gradient(self._values, self._loss)  # that of the mean over samples
        by_plane = [self._by_plane(slope * self._reduction.scale, of) for slope in self._ratio.of(of.sums)[1]]
        if of.of_samples is not None:
            if over_samples:
                return by_mean
            return sum(self._along(slope, total) for slope, total in zip(by_plane, of.planes))
        each = overlap.weight_gradient(of.probabilities, of.target, by_plane, terms.shape)
        if of.excluded is not None:
            each *= ~of.excluded
        if over_samples:
            each = in_rows(each, len(by_mean))
            each += (by_mean / max(each.shape[1], 1))[:, None]
        return each.reshape(-1)

    def _take(self, bottom: Blobs, prepare: Sequence[int] = ()) -> None:
        self._probabilities = None
        super()._take(bottom, prepare)

    def _check_probabilities(self, of: Regions, weights: Optional[Array]) -> None:
        """Raises DataError where a score that counts is not from 0 to 1: the loss has no bound there."""
        at, _ = self.out_of_range(of.scores, of.excluded, weights)
        if at is not None:
            raise DataError(
                f"score {float(of.scores.reshape(-1)[at]):.9g} at {place(self.inputs[0], at)} is not from 0 to 1, but 'activation' is 'none'",
                remedy="'activation': 'sigmoid' or 'softmax' makes probabilities of scores",
                layer=self.name,
                option="activation",
            )

    def _without(self, target: Array, left_out: Array) -> Array:
        """A copy of targets with 0 in the place of some."""
        there = self.buffer("target", target.shape)
        there[...] = target
        self.xp.copyto(there, 0, where=left_out)
        return there

    @property
    def _activation(self) -> str:
        options = self.options
        return "softmax" if self._of_labels and not options.given("activation") else str(options.activation)

    def _check_axis(self, shape: Tuple[int, ...]) -> None:
        """Raises ConfigError where scores of this shape have no classes along `axis`."""
        self._axis.plane_shape(shape)
        if self.options.axis in (0, -len(shape)):
            raise ConfigError(
                f"axis {self.options.axis} of scores of shape {shape} is that of the samples",
                remedy="give the axis of the classes, 1 as a rule",
                layer=self.name,
                option="axis",
            )

    def _planes(self, array: Array) -> Array:
        """An array of the scores' shape as (M, K, P)."""
        outer, classes, *inner = self._axis.plane_shape(array.shape)
        return array.reshape(outer, classes, *(inner or [1]))

    def _folded(
        self, p: Array, target: Array, weights: Optional[Array], of_samples: Optional[Array]
    ) -> Tuple[Array, Array]:
        """Both with the classes in one plane, where nothing asks which is which."""
        if self.options.over == "class" or weights is not None:
            return p, target
        rows = 1 if self.options.over == "batch" and of_samples is None else len(p)
        shape = (rows, 1, p.size // max(rows, 1))
        return p.reshape(shape), target.reshape(shape)

    def _regions(self, planes: Sequence[Array], of_samples: Optional[Array]) -> Sequence[Array]:
        """The sums of planes, (M, K) each, as float64, one for each region."""
        over, num_samples = self.options.over, len(self.inputs[0])
        if over == "sample":  # a weight per sample counts in the mean, where it is alone
            return [in_rows(total, num_samples).sum(axis=1, dtype=np.float64) for total in planes]
        if of_samples is not None:
            weighted = [self.buffer(f"weighted {i}", total.shape) for i, total in enumerate(planes)]
            planes = [self.xp.multiply(total, of_samples, out=out) for total, out in zip(planes, weighted)]
        if over == "class":
            return [total.sum(axis=0, dtype=np.float64) for total in planes]
        return [total.sum(dtype=np.float64).reshape(1) for total in planes]

    def _along(self, slopes: Array, total: Array) -> Array:
        """The sum over each sample's planes of slope times sum, (N,)."""
        slopes = self.xp.broadcast_to(slopes.astype(total.dtype), total.shape)
        by_row = self.xp.einsum("mk,mk->m", slopes, total)
        return in_rows(by_row, len(self.inputs[0])).sum(axis=1)

    def _by_plane(self, numbers: Array, of: Regions) -> Array:
        """A number for each region, as an array that goes with (M, K)."""
        return self._for_planes(numbers, of.scores) if self.options.over == "sample" else numbers[None, :]

    def _for_planes(self, numbers: Array, scores: Array) -> Array:
        """A number for each sample, as (M, 1)."""
        return self.xp.repeat(numbers, len(scores) // max(len(numbers), 1))[:, None]
