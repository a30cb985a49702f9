"""Losses on distances between embeddings."""

import math
from typing import Any, Optional, Sequence, Tuple

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.adapter import Blobs, log
from caffe_pylayers.layers.loss_layer import LossLayer, Terms, Wanted
from caffe_pylayers.losses.reduction import Array, Reduction
from caffe_pylayers.losses.triplet import triplet_gradients, triplet_loss, triplet_stats

#: So many iterations at the loss of equal embeddings are called a collapse.
LONG = 200

#: Embeddings that have collapsed still differ a little: the loss wavers by some parts in a hundred, and squared distances are
#: a small part of the squared norm.
NEAR = 0.05

#: Iterations that the loss is averaged over, about.
SMOOTHING = 20


class TripletsLayer(LossLayer):
    """What the losses on triplets share: their top stats, and a warning of collapse."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._alike = 0
        self._level: Optional[float] = None  # of the loss, relative to that of embeddings that are alike

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if len(top) > 1:
            top[1].reshape(len(self.options.holds["stats"]))

    def compute(self, bottom: Blobs, top: Blobs) -> None:
        super().compute(bottom, top)
        if self.training:
            self._watch(self._terms)
        if len(top) > 1:
            top[1].data[...] = self.stats(self._terms)

    def stats(self, terms: Terms) -> Tuple[float, float, float, float]:
        """Fraction of triplets active, mean d_ap, mean d_an, mean norm."""
        raise NotImplementedError(f"{self.name} has no stats")

    def loss_if_alike(self, terms: Terms) -> float:
        """The loss of this batch if all embeddings were alike."""
        raise NotImplementedError(f"{self.name} does not say when it has collapsed")

    def _watch(self, terms: Terms) -> None:
        """Warns when the loss has long been that of embeddings which are all alike (Hermans et al. 2017)."""
        collapsed = self.loss_if_alike(terms)
        if collapsed <= 0:
            return
        now = self._loss / collapsed
        self._level = now if self._level is None else self._level + (now - self._level) / SMOOTHING
        self._alike = self._alike + 1 if abs(self._level - 1) < NEAR and self._are_alike(terms) else 0
        if self._alike == LONG:
            log.warning(
                f"{self.name}: the loss has been about {self._loss:.4g} for {LONG} iterations, which happens "
                f"if all embeddings are nearly equal; try a lower learning rate, or easier triplets first"
            )

    def _are_alike(self, terms: Terms) -> bool:
        """Whether anchors and negatives are on one spot: the loss of semi-hard triplets is near the margin anyway."""
        _, _, d_an, norm = self.stats(terms)
        return (d_an if self.options.distance == "squared" else d_an**2) <= NEAR * norm**2

    def embedding(self, array: Array) -> Array:
        """A bottom's array as (N, D)."""
        return array.reshape(len(array), math.prod(array.shape[1:]))


class TripletLoss(TripletsLayer):
    """The mean of max(0, d(anchor, positive) - d(anchor, negative) + margin) (Schroff et al. 2015).

    bottoms: anchor, positive, negative, float32, all of one shape (N, ...), flattened to (N, D); margin, one per triplet,
        which multiplies the option `margin`; sample_weight, at least 0, one per triplet. With one of the last two, the option
        `bottoms` says which.
    tops: loss, a scalar; stats, (4,): fraction of triplets active, mean d_ap, mean d_an, mean norm.
    errors: ConfigError for shapes or counts that do not fit, or an option `bottoms` that is missing; DataError for a weight
        that is negative or not finite.
    """

    differentiable = (0, 1, 2)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if self.options.soft and "margin" in self.bottom_names:
            raise ConfigError("'soft': True has no margin", remedy="leave the bottom margin out", layer=self.name)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        shapes = [tuple(bottom[i].shape) for i in range(3)]
        if len(set(shapes)) > 1:
            raise ConfigError(
                f"anchor, positive and negative have shapes {', '.join(map(str, shapes))}",
                remedy="expected one shape",
                layer=self.name,
            )
        margin = self.bottom(bottom, "margin")
        if margin is not None and margin.count != shapes[0][0]:
            num_triplets = shapes[0][0]
            raise ConfigError(
                f"{margin.count} margins for {num_triplets} triplets",
                remedy="expected one margin per triplet",
                layer=self.name,
            )

    def terms(self, inputs: Sequence[Array]) -> Terms:
        options = self.options
        margin: Any = options.margin
        if "margin" in self.bottom_names:
            margin = margin * self.bottom(inputs, "margin").reshape(-1)
        anchor, positive, negative = embeddings = [self.embedding(each) for each in inputs[:3]]
        triplets = triplet_loss(anchor, positive, negative, margin, options.distance, options.soft)
        values = triplets.values
        margins = self.xp.zeros_like(values) + (math.log(2) if options.soft else margin)
        ignored = values <= 0 if options.average == "active" else None
        return Terms(values.shape, ignored, (triplets, embeddings, margins))

    def reduction(self, terms: Terms, weights: Optional[Array]) -> Reduction:
        return Reduction(terms.shape, weights, terms.ignored)

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        triplets, embeddings, _ = terms.of
        gradients = [None if each is None else self.embedding(each) for each in wanted.gradients[:3]]
        if any(gradient is not None for gradient in gradients):
            triplet_gradients(triplets, embeddings, gradients, wanted.factor, self.options.distance)
        return triplets.values

    def stats(self, terms: Terms) -> Tuple[float, float, float, float]:
        triplets, embeddings, _ = terms.of
        return triplet_stats(triplets, *embeddings)

    def loss_if_alike(self, terms: Terms) -> float:
        return self._reduction.loss(terms.of[2])
