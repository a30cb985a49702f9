"""Losses on distances between embeddings."""

import math
from typing import Any, List, Optional, Tuple

import numpy as np

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.adapter import Blobs, LossLayer, log
from caffe_pylayers.losses.reduction import Reduction
from caffe_pylayers.losses.triplet import triplet_gradients, triplet_loss, triplet_stats

#: So many iterations at the loss of equal embeddings are called a collapse.
LONG = 200


class TripletLoss(LossLayer):
    """The mean of max(0, d(anchor, positive) - d(anchor, negative) + margin) (Schroff et al. 2015).

    bottoms: anchor, positive, negative, all of one shape (N, ...), flattened to (N, D); margin, one a triplet,
        which multiplies the option `margin`; sample_weight, one a triplet. With one of the last two, the option
        `bottoms` says which.
    tops: loss; stats, (4,): fraction of triplets active, mean d_ap, mean d_an, mean norm.
    """

    bottoms = ("anchor", "positive", "negative", "[margin]", "[sample_weight]")
    tops = ("loss", "[stats]")
    differentiable = (0, 1, 2)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._alike = 0
        if self.options.soft and "margin" in self.given:
            raise ConfigError(f"{self.name}: 'soft': True has no margin; leave the bottom margin out")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if len(top) > 1:
            top[1].reshape(4)
        shapes = [tuple(bottom[i].shape) for i in range(3)]
        if len(set(shapes)) > 1:
            raise ConfigError(
                f"{self.name}: anchor, positive and negative have shapes {', '.join(map(str, shapes))}; "
                f"expected one shape"
            )
        margin = self.bottom(bottom, "margin")
        if margin is not None and margin.count != shapes[0][0]:
            num_triplets = shapes[0][0]
            raise ConfigError(f"{self.name}: {margin.count} margins for {num_triplets} triplets; expected one each")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        super().forward(bottom, top)
        if self.training:
            self._watch()
        if len(top) > 1:
            top[1].data[...] = triplet_stats(self._triplets, *self._embeddings(bottom))

    def terms(self, bottom: Blobs) -> Tuple[Tuple[int, ...], Optional[np.ndarray]]:
        options = self.options
        margin: Any = options.margin
        if "margin" in self.given:
            margin = margin * self.bottom(bottom, "margin").data.reshape(-1)
        anchor, positive, negative = self._embeddings(bottom)
        self._triplets = triplet_loss(anchor, positive, negative, margin, options.distance, options.soft)
        values = self._triplets.values
        self._margins = np.broadcast_to(np.asarray(math.log(2) if options.soft else margin), values.shape)
        return values.shape, values <= 0 if options.average == "active" else None

    def reduction(
        self, shape: Tuple[int, ...], weights: Optional[np.ndarray], ignored: Optional[np.ndarray]
    ) -> Reduction:
        return Reduction(shape, weights, ignored, "VALID")

    def values(self, bottom: Blobs, factor: Any, gradients: List[Optional[np.ndarray]]) -> np.ndarray:
        flat = [None if array is None else array.reshape(len(array), -1) for array in gradients[:3]]
        if any(array is not None for array in flat):
            triplet_gradients(self._triplets, factor, *flat)
        return self._triplets.values

    def _watch(self) -> None:
        """Warns when the loss has long been that of embeddings which are all alike (Hermans et al. 2017)."""
        collapsed = self._reduction.loss(self._margins)
        self._alike = self._alike + 1 if collapsed > 0 and abs(self._loss / collapsed - 1) < 1e-3 else 0
        if self._alike == LONG:
            log.warning(
                f"{self.name}: the loss has been {self._loss:.4g} for {LONG} iterations, as when all "
                f"embeddings are alike; try a lower learning rate, or easier triplets first"
            )

    @staticmethod
    def _embeddings(bottom: Blobs) -> List[np.ndarray]:
        return [bottom[i].data.reshape(bottom[i].shape[0], -1) for i in range(3)]
