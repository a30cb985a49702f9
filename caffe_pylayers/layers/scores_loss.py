"""What the losses on scores share: what goes with the number of classes, the softmax as a second top."""

from typing import List, Optional, Tuple

import numpy as np

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.adapter import Blobs
from caffe_pylayers.layers.loss_layer import LossLayer
from caffe_pylayers.layers.scores import ScoresLayer
from caffe_pylayers.losses.blocks import work_size
from caffe_pylayers.losses.reduction import Array


class ScoresLoss(ScoresLayer, LossLayer):
    """A loss on scores, with K classes along the option `axis`, that may give their softmax as a second top."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._num_classes = 0
        self._top: Blobs = None

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        shape = tuple(bottom[0].shape) if len(top) > 1 or not self._num_classes else ()
        if not self._num_classes:
            self._set_classes(self.plane_shape(shape)[1])
        if len(top) > 1:
            top[1].reshape(*shape)

    def for_classes(self, num_classes: int) -> None:
        """Checks and prepares what goes with the number of classes, before the first forward."""

    def compute(self, bottom: Blobs, top: Blobs) -> None:
        self._top = top
        super().compute(bottom, top)
        self._top = None

    def scores(self, bottom: Blobs) -> Array:
        """The scores, as planes."""
        scores = self.planes(self.data(bottom[0]))
        if scores.shape[1] != self._num_classes:
            self._set_classes(scores.shape[1])
        return scores

    def gradient(self, gradients: List[Optional[Array]]) -> Optional[Array]:
        """Where the gradient of the scores goes, as planes."""
        return None if gradients[0] is None else self.planes(gradients[0])

    def prob(self) -> Optional[Array]:
        """Where the softmax goes, as planes; None in backward, and where the net has no top for it."""
        return None if self._top is None or len(self._top) < 2 else self.planes(self.data(self._top[1]))

    def work(self, scores: Array, arrays: int = 1) -> Array:
        """What the functions of the losses work in."""
        return self.buffer("work", (work_size(scores, arrays),))

    def one_a_class(self, option: str, num_classes: int) -> np.ndarray:
        """The numbers of an option, of which there must be one a class, float64."""
        numbers = getattr(self.options, option)
        if len(numbers) != num_classes:
            raise ConfigError(
                f"option '{option}' has {len(numbers)} numbers, but the scores have {num_classes} classes along axis {self.options.axis}",
                remedy=f"give it {num_classes}",
                layer=self.name,
                option=option,
            )
        return np.array(numbers, np.float64)

    def here(self, name: str, numbers: np.ndarray) -> Array:
        """Numbers that do not change, as a float32 array where this layer computes, made once."""
        if name not in self._buffers:
            self._buffers[name] = self.xp.asarray(numbers, np.float32)
        return self._buffers[name]

    def _set_classes(self, num_classes: int) -> None:
        self.for_classes(num_classes)
        self._num_classes = num_classes


class ClassLoss(ScoresLoss):
    """A loss on scores and labels that are class numbers, one a position."""

    def terms(self, bottom: Blobs) -> Tuple[Tuple[int, ...], Optional[Array]]:
        """The labels are kept as self.index, and which are ignored as self.ignored, of the terms' shape."""
        shape, self.ignored = self.index_labels(self.scores(bottom), bottom)
        return shape, self.ignored
