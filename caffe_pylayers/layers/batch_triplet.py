"""The triplet loss on triplets that are mined in the batch."""

import math
from typing import Any, Optional, Sequence, Tuple

from caffe_pylayers.data import keyed
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.adapter import Blobs, log
from caffe_pylayers.layers.frozen import counter, draw_key, warn_of_repeated
from caffe_pylayers.layers.loss_layer import Terms, Wanted
from caffe_pylayers.layers.metric_losses import TripletsLayer
from caffe_pylayers.losses.batch_triplet import Rule, batch_triplet_gradient, batch_triplet_loss
from caffe_pylayers.losses.reduction import Array, Reduction
from caffe_pylayers.losses.triplet import mean_norm

_LABELS = 1 << 24  # float32, which labels come as, holds every integer up to this
_UNIT = 0.01  # how far the mean norm of unit vectors may be from 1


class BatchTripletLoss(TripletsLayer):
    """The triplet loss on the triplets that the option `mining` finds in the batch, or on those that a bottom lists.

    bottoms: embedding, float32 (N, ...), flattened to (N, D); label, one per embedding, integers from 0 to below 2**24, or
        with `mining: given` triplets (T, 3), rows of anchor, positive and negative as row numbers of the embedding;
        sample_weight, at least 0, one per embedding: a triplet's weight is its anchor's.
    tops: loss, a scalar; stats, (4,): fraction of triplets active, mean d_ap, mean d_an, mean norm of the embeddings.
    errors: ConfigError for counts that do not fit; DataError for a label or row number that is not an integer in range, or a weight that is
        negative or not finite.
    Where there is no triplet, as in a batch of one class, loss and gradient are 0. What `mining: distance` draws (Wu et al. 2017) is a
    function of (seed, stream, rank, iteration, forward within it): a run repeats, and with `resume` it goes on after a
    restore. In TEST every batch has the draws of iteration 0.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        options = self.options
        self._rule = Rule(**{name: getattr(options, name) for name in Rule._fields})
        self._forwards, self._number = counter(self, order="BatchTripletLoss"), 0
        self._norms_checked = options.mining != "distance"
        if options.mining == "distance":
            warn_of_repeated(self, "draws")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        num, shape = bottom[0].shape[0], tuple(bottom[1].shape)
        if self.options.mining == "given":
            if bottom[1].count != 3 * shape[0]:
                raise ConfigError(
                    f"triplets have shape {shape}",
                    remedy="expected (T, 3), rows of anchor, positive and negative",
                    layer=self.name,
                )
        elif bottom[1].count != num:
            raise ConfigError(
                f"{bottom[1].count} labels for {num} embeddings",
                remedy="expected one label per embedding",
                layer=self.name,
            )

    def compute(self, bottom: Blobs, top: Blobs) -> None:
        self._number = self._forwards.read() if self.training else 0
        super().compute(bottom, top)
        if self.training and self.options.mining == "distance":
            self._forwards.write(self._number + 1)

    def terms(self, inputs: Sequence[Array]) -> Terms:
        embedding = self.embedding(inputs[0])
        labels = triplets = None
        if self.options.mining == "given":
            triplets = self.labels(inputs[1], len(embedding), what="row number")[0].reshape(-1, 3)
        else:
            labels = self.labels(inputs[1], _LABELS)[0]
        if not self._norms_checked:
            self._check_norms(embedding)
        found = batch_triplet_loss(embedding, labels, self._rule, self._draw(), triplets, self.buffer)
        return Terms((len(embedding),), None, (found, embedding))

    def reduction(self, terms: Terms, weights: Optional[Array]) -> Reduction:
        triplets, _ = terms.of
        counts = triplets.active if self.options.average == "active" else triplets.counts
        return Reduction(terms.shape, weights, terms.ignored, counts=counts)

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        triplets, _ = terms.of
        if wanted.gradients[0] is not None:
            batch_triplet_gradient(triplets, wanted.factor, self.embedding(wanted.gradients[0]), self.buffer)
        return triplets.values

    def stats(self, terms: Terms) -> Tuple[float, float, float, float]:
        triplets, embedding = terms.of
        active, d_ap, d_an, number = (
            float(each.sum()) for each in (triplets.active, triplets.d_ap, triplets.d_an, triplets.counts)
        )
        norm = mean_norm(embedding)
        # A mean of nothing, which Caffe would take into its mean over test batches, is no 0.
        return (active / number, d_ap / number, d_an / number, norm) if number else (math.nan, math.nan, math.nan, norm)

    def loss_if_alike(self, terms: Terms) -> float:
        if self._reduction.normalizer <= 0:
            return 0.0
        return math.log(2) if self.options.soft else self.options.margin

    def _draw(self) -> Any:
        """The draws of this forward pass: (anchors, positives) -> uniform in [0, 1)."""
        key = draw_key(self.options, self._number)

        def draw(anchors: Array, positives: Array) -> Array:
            return self.xp.asarray(keyed.uniform(*key, self.on_host(anchors), self.on_host(positives)))

        return draw

    def _check_norms(self, embedding: Array) -> None:
        """Warns once where the embeddings are no unit vectors, whose distances mining: distance goes by."""
        norm = mean_norm(embedding)
        if abs(norm - 1) > _UNIT:
            self._norms_checked = True
            log.warning(
                f"{self.name}: 'mining': 'distance' is made for embeddings of norm 1, but these have a mean norm of "
                f"{norm:.4g}; put L2Normalize before this layer"
            )
