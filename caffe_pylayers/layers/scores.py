"""The axis of the classes in the scores of a layer, and the labels that go with it."""

import math
from typing import Any, Dict, Optional, Sequence, Tuple

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.losses.reduction import Array


class ClassAxis:
    """The axis of the K classes in a layer's scores: its option `axis`."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._plane_shapes: Dict[Tuple[int, ...], Tuple[int, ...]] = {}  # of the last shape asked for

    def planes(self, array: Array) -> Array:
        """The array as (outer, K), or as (outer, K, inner) where a longer axis follows that of the classes."""
        return array.reshape(self.plane_shape(array.shape))

    def plane_shape(self, shape: Tuple[int, ...]) -> Sequence[int]:
        """The shape of `planes`, for an array of `shape`."""
        if shape not in self._plane_shapes:
            axis = self._layer.options.axis
            if not -len(shape) <= axis < len(shape):
                raise ConfigError(f"axis {axis} is not an axis of scores of shape {shape}", layer=self._layer.name)
            axis %= len(shape)
            if not shape[axis]:
                raise ConfigError(
                    f"scores of shape {shape} have no classes along axis {axis}",
                    remedy="look at the layer that makes the scores",
                    layer=self._layer.name,
                )
            planes = (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
            self._plane_shapes = {shape: planes[:2] if planes[2] == 1 else planes}
        return self._plane_shapes[shape]

    def index_labels(self, scores: Array, label: Array) -> Tuple[Array, Optional[Array]]:
        """The labels, one a position of the scores, and which of them are ignored, as `Layer.labels` gives them.

        Both are of shape (outer,) or (outer, inner).
        """
        layer, planes = self._layer, self.plane_shape(scores.shape)
        shape = (planes[0], *planes[2:])
        if label.size != math.prod(shape):
            raise ConfigError(
                f"{label.size} labels for scores of shape {scores.shape}",
                remedy=f"expected {math.prod(shape)}, one for each position, with the classes along axis {layer.options.axis}",
                layer=layer.name,
            )
        labels, ignored = layer.labels(label, planes[1], layer.options.ignore_label)
        return labels.reshape(shape), None if ignored is None else ignored.reshape(shape)
