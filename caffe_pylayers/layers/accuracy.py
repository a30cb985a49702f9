"""How many labels a net gets right."""

import math
from typing import Sequence

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.adapter import Blobs, Layer, log
from caffe_pylayers.layers.scores import ClassAxis
from caffe_pylayers.losses.accuracy import accuracy, count_right, recall

_LISTED = 10  # classes that a logged line names


class WeightedAccuracy(Layer):
    """Stock Accuracy with sample weights: sum of w_e over the labels that are right / sum of w_e.

    bottoms: scores, float32, with the K classes along `axis`; label, integers in 0 .. K-1, of the scores' shape without that
        axis or any shape of that count; sample_weight, at least 0, of the label's shape or one per sample.
    tops: accuracy, a scalar, with `balanced` the mean of the recalls of the classes that occur, and NaN where no label counts;
        per_class, (K,): the recall of each class, weighted too, and NaN for one that does not occur. Stock Accuracy has 0
        there, which Caffe's mean over test batches takes for labels that are all wrong.
    errors: as those of WeightedSoftmaxLoss.
    A label is right if its score is among the `top_k` highest; one that shares its score with others counts as
    below them, as in stock. Labels equal to `ignore_label` are left out. It has no gradient: give it no loss_weight.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._axis = ClassAxis(self)
        self._told = False

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        num_classes = self._axis.plane_shape(tuple(bottom[0].shape))[1]
        if self.options.top_k > num_classes:
            raise ConfigError(f"top_k {self.options.top_k} is more than the {num_classes} classes", layer=self.name)
        top[0].reshape()
        if len(top) > 1:
            top[1].reshape(num_classes)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            inputs = [self.read(bottom[i]) for i in range(len(bottom))]
            scores = self._axis.planes(inputs[0])
            labels, ignored = self._axis.index_labels(*inputs[:2])
            weights = self.weights(inputs, labels.shape)
            right, total = count_right(scores, labels, self.options.top_k, weights, ignored, self.buffer)
            recalls, of_all = recall(right, total), accuracy(right, total, self.options.balanced)
            if len(top) > 1:
                self.data(top[1])[...] = recalls
            top[0].data[...] = of_all
            absent = self.xp.flatnonzero(total == 0).tolist() if len(top) > 1 or math.isnan(of_all) else []
            if absent and not self._told:
                self._tell(absent, len(total))

    def _tell(self, absent: Sequence[int], num_classes: int) -> None:
        """Say, once, what a class without labels does to the numbers that Caffe prints."""
        self._told = True
        if len(absent) == num_classes:
            what, numbers = "no label counts in this batch", "accuracy is"
        else:
            listed = ", ".join(map(str, absent[:_LISTED])) + (", ..." if len(absent) > _LISTED else "")
            what, numbers = f"no label of class {listed} counts in this batch", "recall is"
        log.warning(
            "%s: %s: its %s NaN, and so is the mean over test batches that Caffe prints; a larger batch_size makes this rarer",
            self.name,
            what,
            numbers,
        )
