"""Class weights from label counts, for stock InfogainLoss and for any weighted loss."""

from typing import Optional, Tuple

import numpy as np

from caffe_pylayers.errors import DataError
from caffe_pylayers.layers.adapter import Blobs, Layer, log
from caffe_pylayers.losses.class_weights import (
    class_weights,
    count_labels,
    infogain_matrix,
    mean_weight,
    read_counts,
    scale_weights,
)


class _ClassBalance(Layer):
    """A layer that turns the label counts of the batch, or of a file, into class weights."""

    bottoms = ("label",)
    unless = ""  # what the logged line adds

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._counts: Optional[np.ndarray] = None
        if self.options.counts != "batch":
            self._counts = read_counts(self.options.counts, self.options.n_classes)
        self._logged = False

    def weigh(self, bottom: Blobs) -> Tuple[np.ndarray, np.ndarray, Optional[np.ndarray]]:
        """The class weights (K,), the labels, flat, and which of them are ignored."""
        options = self.options
        labels, ignored = self.labels(bottom[0], options.n_classes, options.ignore_label)
        counts = self._counts
        if counts is None:
            counts = count_labels(labels, options.n_classes, ignored)
        if options.empty == "error" and not counts.all():
            absent = ", ".join(str(c) for c in np.flatnonzero(counts == 0))
            source = "the batch" if options.counts == "batch" else options.counts
            raise DataError(
                f"{self.name}: no label of class {absent} in {source}, and 'empty' is 'error'; "
                f"'empty': 'zero' gives an absent class weight 0"
            )
        if options.weights is not None:
            weights = np.asarray(options.weights, np.float64)
        else:
            weights = class_weights(counts, options.rule)
        weights = scale_weights(weights, counts, options.scale)
        if not self._logged:
            self._logged = True
            log.info(
                f"{self.name}: class weights {', '.join(f'{w:.4g}' for w in weights)}; they multiply the "
                f"mean loss by {mean_weight(weights, counts):.4g}{self.unless}"
            )
        return weights, labels, ignored


class ComputeH(_ClassBalance):
    """The infogain matrix H = diag(w) ((1 - e) I + e/K 11'), for stock InfogainLoss as its third bottom.

    w are the class weights, e is the option `smoothing`.
    bottom: label, of any shape, counted over all of it.
    top: H, (1, 1, K, K). The row of a class without labels is 0, and never read.
    """

    tops = ("H",)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(1, 1, self.options.n_classes, self.options.n_classes)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        weights, _, _ = self.weigh(bottom)
        top[0].data[0, 0] = infogain_matrix(weights, self.options.smoothing)


class SampleWeight(_ClassBalance):
    """The class weight of each label: the sample_weight of any weighted loss.

    bottom: label, of any shape.
    top: weights, of the label's shape; an ignored label has weight 0. Works in place.
    """

    tops = ("weights",)
    unless = " where it is not divided by the weights too"
    in_place = True

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        weights, labels, ignored = self.weigh(bottom)
        each = weights[labels]
        if ignored is not None:
            each[ignored] = 0
        top[0].data.reshape(-1)[...] = each
