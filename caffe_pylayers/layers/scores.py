"""What layers on scores and the classes they are for share: the axis of the classes, and index labels."""

import math
from typing import Dict, Optional, Sequence, Tuple

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.adapter import Blobs, Layer
from caffe_pylayers.losses.reduction import Array


class ScoresLayer(Layer):
    """A layer on scores, with K classes along the option `axis`, and labels that `ignore_label` may leave out."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._plane_shapes: Dict[Tuple[int, ...], Tuple[int, ...]] = {}  # of the last shape asked for

    def index_labels(self, scores: Array, bottom: Blobs) -> Tuple[Tuple[int, ...], Optional[Array]]:
        """The labels, one a position of the scores (planes), are kept as self.index.

        Returns their shape, (outer,) or (outer, inner), and which of them are ignored, of that shape, or None.
        """
        shape = scores.shape[:1] + scores.shape[2:]
        if bottom[1].count != math.prod(shape):
            raise ConfigError(
                f"{bottom[1].count} labels for scores of shape {tuple(bottom[0].shape)}",
                remedy=f"expected {math.prod(shape)}, one for each position, with the classes along axis {self.options.axis}",
                layer=self.name,
            )
        labels, ignored = self.labels(bottom[1], scores.shape[1], self.options.ignore_label)
        self.index = labels.reshape(shape)
        return shape, None if ignored is None else ignored.reshape(shape)

    def planes(self, array: Array) -> Array:
        """The array as (outer, K), or as (outer, K, inner) where a longer axis follows that of the classes."""
        return array.reshape(self.plane_shape(array.shape))

    def plane_shape(self, shape: Tuple[int, ...]) -> Sequence[int]:
        """The shape of `planes`, for an array of `shape`."""
        if shape not in self._plane_shapes:
            axis = self.options.axis
            if not -len(shape) <= axis < len(shape):
                raise ConfigError(f"axis {axis} is not an axis of scores of shape {shape}", layer=self.name)
            axis %= len(shape)
            planes = (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
            self._plane_shapes = {shape: planes[:2] if planes[2] == 1 else planes}
        return self._plane_shapes[shape]
