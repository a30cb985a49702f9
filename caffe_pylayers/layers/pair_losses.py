"""Losses on all pairs of a batch, or of a batch and a memory of earlier ones."""

import math
from typing import Any, Optional, Sequence

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.embeddings.pair_blocks import Draw, Others, Rule
from caffe_pylayers.embeddings.pair_stats import pair_stats
from caffe_pylayers.embeddings.pairs import Pairs, pair_loss, pairs_gradient, weigh_pairs
from caffe_pylayers.features.l2_normalize import unit_vectors, unit_vectors_gradient
from caffe_pylayers.layers.adapter import Blobs
from caffe_pylayers.layers.class_vectors import as_rows, labels_of
from caffe_pylayers.layers.frozen import counter, draw_key, warn_of_repeated
from caffe_pylayers.layers.loss_layer import LossLayer, Terms, Wanted
from caffe_pylayers.layers.memory import Memory
from caffe_pylayers.losses.means import SumOfMeans
from caffe_pylayers.losses.reduction import Array
from caffe_pylayers.losses.triplet import mean_norm

_LABELS = 1 << 24  # float32, which labels come as, holds every integer up to this


class _PairsLayer(LossLayer):
    """What the losses on pairs share. Ignored rows leave the batch before anything is computed."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._rule = Rule(**self.options.rule(), unit=self.options.normalize_x)
        self._memory: Optional[Memory] = None
        self._forwards: Any = None
        self._number = 0  # of this forward, where it is counted
        self._pushing = False
        self._copies: Optional[Array] = None  # where in the memory the rows of the last forward are; -1: nowhere

    def terms(self, inputs: Sequence[Array]) -> Terms:
        x, self._num = as_rows(inputs[0]), len(inputs[0])
        labels, ignored = labels_of(self, inputs[1], inputs[0], _LABELS)
        labels = labels.astype(np.float32)
        if self._pushing:
            self.weights(inputs, labels.shape)  # a batch with an error is not remembered
        self._rows = None if ignored is None else self.xp.flatnonzero(~ignored)
        if self._rows is not None:
            kept = self.buffer("kept", (len(self._rows), x.shape[1]))
            x, labels = self.xp.take(x, self._rows, axis=0, out=kept), labels[self._rows]
        self._norm = mean_norm(x) if "stats" in self.gives else 0.0
        points = self._points(x)
        draw = self._draw() if self._rule.mining == "distance" else None
        return Terms(
            (self._num,), None, pair_loss(points, labels, self._rule, draw, self._others(points, labels), self.buffer)
        )

    def with_weights(self, terms: Terms, weights: Optional[Array]) -> Terms:
        if weights is not None and self._rows is not None:
            weights = weights[self._rows]
        self._means = SumOfMeans(terms.of.counts, weights)
        self._factor = weigh_pairs(terms.of, self._means.factor)
        return terms

    def reduction(self, terms: Terms, weights: Optional[Array]) -> Any:
        return self._means

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        if wanted.gradients[0] is not None:
            self._write_gradient(terms.of, as_rows(wanted.gradients[0]))
        return terms.of.values

    def weight_gradient(self, terms: Terms, size: int) -> Array:
        return self._placed(self._means.weight_gradient(self._values, self._loss), self.xp.zeros(size))

    def _write_gradient(self, pairs: Pairs, out: Array) -> None:
        gradient = self.buffer("by points", pairs.points.shape, pairs.points.dtype)
        pairs_gradient(pairs, self._factor, gradient)
        if self.options.normalize_x:
            scratch = self.buffer("weighted", gradient.shape, gradient.dtype)
            unit_vectors_gradient(gradient, pairs.points, self._inverse, (1,), scratch, gradient)
        out[...] = 0
        self._placed(gradient, out)

    def _placed(self, of_rows: Array, out: Array) -> Array:
        """`out`, with what the rows have that are not ignored."""
        rows = slice(None) if self._rows is None else self._rows
        out[rows] = of_rows
        return out

    def _points(self, x: Array) -> Array:
        """The embeddings that the loss goes by: of length 1 if they shall be, else float64, because products have any size."""
        if self.options.normalize_x:
            unit, self._inverse = unit_vectors(x, (1,), 0.0, self.buffer("unit", x.shape))
            return unit
        points = self.buffer("points", x.shape, np.float64)
        points[...] = x
        return points

    def _others(self, points: Array, labels: Array) -> Optional[Others]:
        """What the batch is compared with, if not with itself."""
        return None

    def _draw(self) -> Draw:
        """The draws of this forward pass: (anchors, others) -> uniform in [0, 1)."""
        key = draw_key(self.options, self._number)

        def draw(anchors: Array, others: Array) -> Array:
            return self.xp.asarray(keyed.uniform(*key, self.on_host(anchors), self.on_host(others)))

        return draw


class BatchPairLoss(_PairsLayer):
    """A loss on all pairs of a batch, by the option `type`; with `memory`, on the pairs of the batch and of the last M embeddings.

    bottoms: embedding, float32 (N, ...), flattened to (N, D); label, one per embedding, integers from 0 to below 2**24, or
        `ignore_label`, which leaves the row out; sample_weight, at least 0, one per embedding: a pair's weight is its anchor's.
    tops: loss, a scalar; stats, (5,): fractions of the pairs of one class and of two classes that have a gradient, mean cosines of both,
        mean norm of the embeddings.
    errors: ConfigError for counts that do not fit, a batch larger than `memory`, or a memory that the solver has changed; DataError for a
        label that is not an integer in range, or a weight that is negative or not finite.
    Each embedding is an anchor; its positives are the others of its class, its negatives those of other classes. Where there is no pair, loss
    and gradient are 0. The memory is three blobs: embeddings (M, D), their labels (M,), and a counter (8,). TRAIN puts the batch in before it
    compares, and leaves an anchor's own copy out; what is in the memory has no gradient. TEST compares the batch with itself.
    What `mining: distance` draws goes by (seed, stream, rank, iteration, forward within it), as in BatchTripletLoss.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if self.options.memory:
            self._memory = Memory(self, self.options.memory, math.prod(tuple(bottom[0].shape)[1:]))
            self._forwards = self._memory.forwards
        else:
            self._forwards = counter(self, order=self.name)
            if self.options.mining == "distance":
                warn_of_repeated(self, "draws")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if self._memory is not None and self.training:
            self._memory.check_batch(bottom[0])
        if len(top) > 1:
            top[1].reshape(len(self.options.holds["stats"]))

    def compute(self, bottom: Blobs, top: Blobs) -> None:
        self._number = self._forwards.read() if self.training else 0
        self._pushing = self.training
        try:
            super().compute(bottom, top)
        finally:
            self._pushing = False
        if self.training:
            self._forwards.write(self._number + 1)
        if len(top) > 1:
            top[1].data[...] = (*pair_stats(self._terms.of, self._factor), self._norm)

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        if self._memory is not None and wanted.gradients[0] is not None:
            self._memory.check_own()
        return super().values(terms, wanted)

    def _others(self, points: Array, labels: Array) -> Optional[Others]:
        """The memory, in TRAIN. Only forward puts the batch in: behind it the labels may change, but not what is remembered."""
        if self._memory is None or not self.training:
            return None
        if self._pushing:
            self._copies = self._placed(self._memory.push(points, labels), self.xp.full(self._num, -1))
        remembered = self._memory.points
        if remembered.dtype != points.dtype:
            remembered = self.buffer("remembered", remembered.shape, points.dtype)
            remembered[...] = self._memory.points
        copies = self.xp.full(self._num, -1) if self._copies is None else self._copies
        return Others(remembered, self._memory.labels, copies if self._rows is None else copies[self._rows])


class LiftedStructSimilaritySoftmaxLoss(_PairsLayer):
    """The lifted structured loss of its fork (Oh Song et al. 2016), on embeddings as they are, of any length.

    bottoms: embedding, float32 (N, ...), flattened to (N, D); label, one per embedding, integers from 0 to below 2**24, or
        `ignore_label`, which leaves the row out; sample_weight, at least 0, one per embedding: a pair's weight is its anchor's.
    tops: loss, a scalar.
    errors: ConfigError for counts that do not fit; DataError for a label that is not an integer in range, or a weight that is negative or not
        finite.
    The mean over the pairs i, j of one class of [d_ij + log(sum over the negatives n of i and of j of e^(margin - d))]+^2 / 2, with Euclidean
    distances d.
    """
