"""Losses of embeddings and a learned vector for each class."""

import math
from typing import Any, Optional, Sequence

import numpy as np

from caffe_pylayers.embeddings import angles
from caffe_pylayers.embeddings.centers import add_center_steps, center_loss
from caffe_pylayers.embeddings.class_vectors import inverse_lengths
from caffe_pylayers.embeddings.margin_softmax import (
    Head,
    Softmaxed,
    margin_head,
    margin_softmax,
    margin_softmax_gradient,
    sphere_head,
)
from caffe_pylayers.layers.adapter import Blobs
from caffe_pylayers.layers.class_vector_losses import ClassVectorsLoss, CosineLoss
from caffe_pylayers.layers.class_vectors import as_rows, labels_of
from caffe_pylayers.layers.loss_layer import Terms, Wanted
from caffe_pylayers.losses.blocks import clear
from caffe_pylayers.losses.reduction import Array


class MarginSoftmaxLoss(CosineLoss):
    """Softmax loss on the cosines of x and a learned vector for each class, with a margin at the label: ArcFace and its kin.

    bottoms: x, float32 (N, ...), flattened to (N, D); label, one per sample, integers in 0 .. K-1; sample_weight, at least 0, one per
        sample.
    tops: loss, a scalar; scores, (N, K), `scale` times the cosines, without a margin.
    errors: ConfigError for an x without samples or numbers, or whose size changes, and for another number of labels; DataError for a
        label that is not an integer in range, a weight that is negative or not finite, and with `normalize_x: false` for an x that is
        longer than 1 where its angle counts.
    The scores of the softmax are `scale` times the cosines c, that of the label with a margin, by the option `type`: arcface
    cos(t + m), above pi - m c - m sin m; cosface c - m; combined cos(m1 t + m2) - m3; sphereface |x| psi as in MarginInnerProduct, and
    |x| c for the other classes. TEST has the margin in the loss too. The vectors are the layer's blob, (K, D); they keep their
    lengths, which do not count. A zero vector has the cosine 0, and no gradient.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._scores: Optional[Array] = None  # where the top goes, in forward

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if len(top) > 1:
            top[1].reshape(bottom[0].shape[0], self.options.num_output)

    def compute(self, bottom: Blobs, top: Blobs) -> None:
        self._scores = self.data(top[1]) if len(top) > 1 else None
        super().compute(bottom, top)
        self._scores = None

    @property
    def makes_unit(self) -> bool:
        return bool(self.options.divides_x)

    @property
    def needs_unit(self) -> bool:
        return self.options.type in ("arcface", "combined")

    def evaluate(self, labels: Array) -> Softmaxed:
        head, scale = self._head(), self.options.scale_of_type
        return margin_softmax(self.x, self.vectors, self.inverse, labels, head, scale, self._scores, self.buffer)

    def write_gradients(self, of: Softmaxed, labels: Array, by_x: Optional[Array], factor: Any, step: float) -> None:
        given = of, self.x, self.vectors, self.inverse, labels, self.options.scale_of_type, factor
        margin_softmax_gradient(*given, by_x, self.diff(self.blobs[0]), step, self.buffer)

    def _head(self) -> Head:
        options = self.options
        margin = options.margin_of_type
        if options.type == "sphereface":
            return sphere_head(int(margin), inverse_lengths(self.x))
        if options.type == "combined":
            return margin_head(lambda cosine: angles.combined_margin(cosine, options.m1, options.m2, options.m3))
        if options.type == "cosface":
            return margin_head(lambda cosine: angles.subtracted(cosine, margin))
        return margin_head(lambda cosine: angles.added_angle(cosine, math.radians(margin)))


class CenterLoss(ClassVectorsLoss):
    """The mean of |x - c|^2 / 2, c the centre of the class, which is learned (Wen et al. 2016). It stands beside a softmax loss.

    bottoms: x, float32 (N, ...), flattened to (N, D); label, one per sample, integers in 0 .. K-1; sample_weight, at least 0, one per
        sample.
    tops: loss, a scalar.
    errors: ConfigError for an x without samples or numbers, or whose size changes, and for another number of labels; DataError for a
        label that is not an integer in range, or a weight that is negative or not finite.
    With `distance: l1` it is the sum of |x_j - c_j|. The centres are the layer's blob, (K, D). With `update: fork` their diff is
    -sum w (x - c) / (sum w + 1) over the samples of the class, whatever Z and loss_weight are (for l1 of the signs); with
    `update: gradient` it is the derivative.
    """

    def terms(self, inputs: Sequence[Array]) -> Terms:
        labels, ignored = labels_of(self, inputs[1], inputs[0], self.options.num_output)
        return Terms(labels.shape, ignored, (as_rows(inputs[0]), labels))

    def with_weights(self, terms: Terms, weights: Optional[Array]) -> Terms:
        self._weights = weights
        return terms

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        x, labels = terms.of
        self._slopes = self.buffer("slopes", x.shape)
        values = center_loss(x, self.data(self.blobs[0]), labels, self.options.distance, self._slopes, self.buffer)
        if wanted.gradients[0] is not None:
            each = self._each(wanted.factor)
            clear(self._slopes, each[:, None])
            self.xp.multiply(self._slopes, each[:, None], out=as_rows(wanted.gradients[0]))
        return values

    def learn(self, terms: Terms, loss_weight: float) -> None:
        damped = self.options.update == "fork"
        if damped:
            each = self._each(1.0 if self._weights is None else self._weights)
            if terms.ignored is not None:
                each = each * ~terms.ignored
        else:
            factor, step = self.factors(loss_weight)
            each = self._each(factor) * step
        clear(self._slopes, each[:, None])
        add_center_steps(self._slopes, terms.of[1], each, self.diff(self.blobs[0]), damped, self.buffer)

    def _each(self, factor: Any) -> Array:
        """A factor of all samples, or of each, as (N,)."""
        return self.xp.ones(len(self._slopes), np.float32) * factor
