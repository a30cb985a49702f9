"""Margins on cosines that another layer makes, at the label and in TRAIN alone; `Scale` and a softmax loss come behind."""

import math
from typing import Any, Sequence

from caffe_pylayers.embeddings import angles
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.adapter import Blobs, Layer
from caffe_pylayers.layers.class_vectors import as_rows, labels_of
from caffe_pylayers.losses.reduction import Array


class _CosineMargin(Layer):
    """The cosines, in TRAIN with a margin at the label: `margin` says which."""

    def margin(self, cosine: Array) -> "tuple[Array, Array]":
        """What becomes of the cosines of the labels, and the derivatives."""
        raise NotImplementedError(f"{self.name} has no margin")

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._labels: Any = None  # from the first forward in TRAIN on

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = tuple(bottom[0].shape)
        if len(shape) < 2 or math.prod(shape[:2]) != math.prod(shape) or not shape[1]:
            raise ConfigError(f"cos has shape {shape}", remedy="expected (N, K) for K classes", layer=self.name)
        top[0].reshape(*shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            cosines, out = as_rows(self.read(bottom[0])), as_rows(self.data(top[0]))
            if self.training:
                self._look(cosines, self.read(bottom[1]))
            out[...] = cosines
            if self.training:
                out[self._places()] = self._values

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        with self.on_device(bottom[0]) if self._labels is None else self.device.of(bottom[0]):
            if self.training and self._labels is None:
                self._look(as_rows(self.read(bottom[0])), self.read(bottom[1]))
            if propagate_down[0]:
                gradient = as_rows(self.diff(bottom[0]))
                gradient[...] = as_rows(self.diff(top[0]))
                if self.training:
                    gradient[self._places()] *= self._slopes
            if propagate_down[1]:
                self.diff(bottom[1])[...] = 0

    def _look(self, cosines: Array, given: Array) -> None:
        """What becomes of the cosines of the labels: kept for backward, since in place they are overwritten."""
        self._labels = None  # if there is an error, nothing of an earlier batch is left
        self._labels, ignored = labels_of(self, given, cosines, cosines.shape[1])
        cosine = cosines[self._places()]
        self._values, self._slopes = self.margin(cosine)
        if ignored is not None:
            self._values = self.xp.where(ignored, cosine, self._values)
            self._slopes = self.xp.where(ignored, 1, self._slopes).astype(cosine.dtype)

    def _places(self) -> "tuple[Array, Array]":
        """Rows and columns of the labels."""
        return self.xp.arange(len(self._labels)), self._labels


class LabelSpecificAdd(_CosineMargin):
    """cos + bias at the label, in TRAIN: AM-Softmax with a bias below 0 (Wang et al. 2018).

    bottoms: cos, float32 (N, K); label, one per sample, integers in 0 .. K-1, or `ignore_label`, which leaves the row as it is.
    tops: cos, of the same shape. Works in place. In TEST it is the bottom.
    errors: ConfigError for shapes that do not fit; DataError for a label that is not an integer in range.
    As in its fork only cosines above -bias are changed; with `where: everywhere` all are.
    """

    def margin(self, cosine: Array) -> "tuple[Array, Array]":
        bias = self.options.bias
        return angles.subtracted(cosine, -bias, -bias if self.options.where == "fork" else -math.inf)


class CosinAddm(_CosineMargin):
    """cos(t + m) at the label, in TRAIN, for the angle t (ArcFace, Deng et al. 2019); above pi - m it is cos t - m sin m.

    bottoms: cos, float32 (N, K), from -1 to 1; label, as in LabelSpecificAdd.
    tops: cos, of the same shape. Works in place. In TEST it is the bottom.
    errors: as those of LabelSpecificAdd.
    """

    def margin(self, cosine: Array) -> "tuple[Array, Array]":
        return angles.added_angle(cosine, self.options.m)


class CombinedMargin(_CosineMargin):
    """cos(m1 t + m2) - m3 at the label, in TRAIN, for the angle t (Deng et al. 2019).

    bottoms: cos, float32 (N, K), from -1 to 1; label, as in LabelSpecificAdd.
    tops: cos, of the same shape. Works in place. In TEST it is the bottom.
    errors: as those of LabelSpecificAdd.
    """

    def margin(self, cosine: Array) -> "tuple[Array, Array]":
        options = self.options
        return angles.combined_margin(cosine, options.m1, options.m2, options.m3)
