"""The loss of embeddings and learned proxies of the classes."""

from typing import Any, Optional

import numpy as np

from caffe_pylayers.embeddings import angles
from caffe_pylayers.embeddings.class_vectors import inverse_lengths
from caffe_pylayers.embeddings.margin_softmax import margin_head, margin_softmax, margin_softmax_gradient
from caffe_pylayers.embeddings.proxy_anchor import proxy_anchor, proxy_anchor_gradient, proxy_anchor_weight_gradient
from caffe_pylayers.embeddings.soft_triple import soft_triple, soft_triple_gradient, spread
from caffe_pylayers.layers.adapter import Blobs
from caffe_pylayers.layers.class_vector_losses import CosineLoss
from caffe_pylayers.layers.loss_layer import Terms
from caffe_pylayers.losses.reduction import Array, Reduction


class ProxyLoss(CosineLoss):
    """Embeddings against learned proxies, vectors for the classes: Proxy-NCA, Proxy-Anchor, normalized softmax, SoftTriple.

    bottoms: embedding, float32 (N, ...), flattened to (N, D); label, one per sample, integers in 0 .. K-1; sample_weight, at least 0, one
        per sample.
    tops: loss, a scalar.
    errors: ConfigError for an embedding without samples or numbers, or whose size changes, and for another number of labels; DataError for a
        label that is not an integer in range, a weight that is negative or not finite, and for proxy_anchor with `normalize_x: false` an
        embedding that is longer than 1.
    With the cosines c of embedding and proxies: proxy_nca is the softmax loss of -scale (2 - 2 c), which is minus the squared distance;
    normalized_softmax that of c / temperature; soft_triple that of la s, s the mean of a class's cosines weighted by softmax(c / gamma),
    less a margin at the label. They are means over the samples. proxy_anchor is the mean over the classes in the batch of log(1 + sum of
    e^(-alpha (c - margin))) over their samples, and the mean over all classes of log(1 + sum of e^(alpha (c + margin))) over the other samples;
    weights, scaled to a mean of 1, multiply the summands. The proxies are the layer's blob, (K, D), for soft_triple (K S, D). Their lengths
    do not count.
    """

    @property
    def num_vectors(self) -> int:
        return int(self.options.num_output * self.options.vectors_per_class)

    @property
    def needs_unit(self) -> bool:
        return bool(self.options.type == "proxy_anchor")

    def compute(self, bottom: Blobs, top: Blobs) -> None:
        super().compute(bottom, top)
        if self._spreads:
            vectors = self.data(self.blobs[0])
            top[0].data[...] += self.options.tau * spread(vectors, inverse_lengths(vectors), self.options.sub_centers)

    def with_weights(self, terms: Terms, weights: Optional[Array]) -> Terms:
        if self.options.type != "proxy_anchor":
            return terms
        each = self.buffer("each", terms.shape)
        each[...] = 1 if weights is None else weights.reshape(-1)
        if terms.ignored is not None:
            each[terms.ignored] = 0
        self._total, self._counted = float(each.sum(dtype=np.float64)), int(self.xp.count_nonzero(each))
        if self._total > 0:
            each *= self._counted / self._total
        self._each = each
        return terms

    def reduction(self, terms: Terms, weights: Optional[Array]) -> Reduction:
        if self.options.type == "proxy_anchor":
            return Reduction((1,))
        return Reduction(terms.shape, weights, terms.ignored, buffer=self.buffer)

    def evaluate(self, labels: Array) -> Any:
        options = self.options
        given = self.x, self.vectors, self.inverse, labels
        if options.type == "proxy_anchor":
            return proxy_anchor(*given, self._each, options.margin_of_type, options.alpha, self.buffer)
        if options.type == "soft_triple":
            return soft_triple(
                *given, options.sub_centers, options.gamma, options.la, options.margin_of_type, self.buffer
            )
        return margin_softmax(
            *given, margin_head(lambda cosine: angles.subtracted(cosine, 0.0)), self._scale, buffer=self.buffer
        )

    def write_gradients(self, of: Any, labels: Array, by_x: Optional[Array], factor: Any, step: float) -> None:
        given, by_vectors = (of, self.x, self.vectors, self.inverse, labels), self.diff(self.blobs[0])
        if self.options.type == "proxy_anchor":
            proxy_anchor_gradient(*given, self._each, by_x, by_vectors, step, self.buffer)
        elif self.options.type == "soft_triple":
            soft_triple_gradient(*given, self.options.la, factor, by_x, by_vectors, step, self.buffer)
        else:
            margin_softmax_gradient(*given, self._scale, factor, by_x, by_vectors, step, self.buffer)

    def learn(self, terms: Terms, loss_weight: float) -> None:
        super().learn(terms, loss_weight)
        if self._spreads:
            vectors, step = self.data(self.blobs[0]), loss_weight * self.options.tau
            spread(vectors, inverse_lengths(vectors), self.options.sub_centers, self.diff(self.blobs[0]), step)

    def weight_gradient(self, terms: Terms, size: int) -> Array:
        if self.options.type != "proxy_anchor":
            return super().weight_gradient(terms, size)
        if not self._total:
            return self.xp.zeros(size)
        gradient = proxy_anchor_weight_gradient(self._of)
        counted = self._each > 0
        # All weights times one number change nothing.
        gradient -= float((gradient[counted] * self._each[counted]).sum(dtype=np.float64)) / self._counted
        if terms.ignored is not None:
            gradient[terms.ignored] = 0
        return gradient * (self._counted / self._total)

    @property
    def _scale(self) -> float:
        """The factor of the cosines in a softmax."""
        options = self.options
        return float(2 * options.scale if options.type == "proxy_nca" else 1 / options.temperature)

    @property
    def _spreads(self) -> bool:
        return bool(self.options.type == "soft_triple" and self.options.tau > 0 and self._reduction.normalizer > 0)
