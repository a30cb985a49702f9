"""Losses of embeddings and a learned vector for each class."""

import math
from typing import Any, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.embeddings import angles
from caffe_pylayers.embeddings.centers import add_center_steps, center_loss
from caffe_pylayers.embeddings.class_vectors import inverse_lengths
from caffe_pylayers.embeddings.margin_softmax import (
    Head,
    margin_head,
    margin_softmax,
    margin_softmax_gradient,
    sphere_head,
)
from caffe_pylayers.errors import DataError
from caffe_pylayers.features.l2_normalize import unit_vectors, unit_vectors_gradient
from caffe_pylayers.layers.adapter import Blobs
from caffe_pylayers.layers.class_vectors import add_vectors, as_rows, check_size, labels_of
from caffe_pylayers.layers.loss_layer import LossLayer, Terms, Wanted
from caffe_pylayers.losses.blocks import clear
from caffe_pylayers.losses.reduction import Array

#: How much longer than 1 an x may be that is taken for a unit vector.
_ROUNDING = 1e-3


class _ClassVectorsLoss(LossLayer):
    """A loss with a vector for each class, its blob: `learn` adds the gradient by them."""

    def learn(self, terms: Terms, loss_weight: float) -> None:
        """Add the gradient by the vectors to the diff of the blob. loss_weight: that of the layer."""
        raise NotImplementedError(f"{self.name} does not learn")

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        filler = getattr(self.options, "center_filler", None) or getattr(self.options, "weight_filler", None)
        add_vectors(self, bottom, self.options.num_output, filler)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        check_size(self, bottom)

    def factors(self, loss_weight: float) -> Tuple[Any, float]:
        """The factor of each value, as in `Wanted`, and what else its gradient is multiplied by."""
        factor = self._reduction.factor
        return (1.0, loss_weight * factor) if isinstance(factor, float) else (factor, loss_weight)

    def _differentiate(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        super()._differentiate(top, propagate_down, bottom)
        self.learn(self._terms, float(top[0].diff))


class MarginSoftmaxLoss(_ClassVectorsLoss):
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

    prepares = False  # the N x K numbers that forward leaves are enough

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

    def terms(self, inputs: Sequence[Array]) -> Terms:
        labels, ignored = labels_of(self, inputs[1], inputs[0], self.options.num_output)
        self._softmaxed: Any = None  # until the values are asked for
        return Terms(labels.shape, ignored, labels)

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        if self._softmaxed is None:
            vectors, scale = self.data(self.blobs[0]), self.options.scale_of_type
            self._inverse, head = inverse_lengths(vectors), self._head()
            given = self._x, vectors, self._inverse, terms.of, head, scale
            self._softmaxed = margin_softmax(*given, self._scores, self.buffer)
        if wanted.gradients[0] is not None:
            self._write_gradients(terms, as_rows(wanted.gradients[0]))
        return self._softmaxed.values

    def learn(self, terms: Terms, loss_weight: float) -> None:
        if not self._learned:
            self._write_gradients(terms, None)

    def _take(self, bottom: Blobs, prepare: Sequence[int] = ()) -> None:
        self._terms = None  # if there is an error, nothing of an earlier batch is left
        x = as_rows(self.data(bottom[0]))
        unit = self.buffer("unit", x.shape)
        if self.options.normalize_x and self.options.type != "sphereface":
            self._x, self._x_inverse = unit_vectors(x, (1,), 0.0, unit)
        else:
            unit[...] = x
            self._x = unit
            self._check_lengths()
        super()._take(bottom, prepare)

    def _differentiate(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        self._learned, self._loss_weight = False, float(top[0].diff)
        super()._differentiate(top, propagate_down, bottom)

    def _write_gradients(self, terms: Terms, by_x: Optional[Array]) -> None:
        """Both in one go: the N x K numbers are gone through once."""
        factor, step = self.factors(self._loss_weight)
        vectors, scale, self._learned = self.data(self.blobs[0]), self.options.scale_of_type, True
        given = self._softmaxed, self._x, vectors, self._inverse, terms.of, scale, factor
        margin_softmax_gradient(*given, by_x, self.diff(self.blobs[0]), step, self.buffer)
        if by_x is not None and self.options.normalize_x and self.options.type != "sphereface":
            unit_vectors_gradient(by_x, self._x, self._x_inverse, (1,), self.buffer("scratch", by_x.shape), by_x)

    def _head(self) -> Head:
        options = self.options
        margin = options.margin_of_type
        if options.type == "sphereface":
            return sphere_head(int(margin), inverse_lengths(self._x))
        if options.type == "combined":
            return margin_head(lambda cosine: angles.combined_margin(cosine, options.m1, options.m2, options.m3))
        if options.type == "cosface":
            return margin_head(lambda cosine: angles.subtracted(cosine, margin))
        return margin_head(lambda cosine: angles.added_angle(cosine, math.radians(margin)))

    def _check_lengths(self) -> None:
        """Raises DataError where x is taken as it is and is too long to have a cosine."""
        if self.options.type not in ("arcface", "combined"):
            return
        squares = self.xp.einsum("nd,nd->n", self._x, self._x)
        if not len(squares) or not float(squares.max()) > (1 + _ROUNDING) ** 2:
            return
        at = int(squares.argmax())
        raise DataError(
            f"x has norm {math.sqrt(float(squares[at])):.4g} at sample {at}, but with 'normalize_x': False and type {self.options.type} it "
            "must be a unit vector",
            remedy="leave 'normalize_x' out, put L2Normalize before this layer, or take type cosface",
            layer=self.name,
            option="normalize_x",
        )


class CenterLoss(_ClassVectorsLoss):
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
