"""How many labels a net gets right."""

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.adapter import Blobs
from caffe_pylayers.layers.scores import ScoresLayer
from caffe_pylayers.losses.accuracy import accuracy, count_right, recall
from caffe_pylayers.losses.blocks import work_size


class WeightedAccuracy(ScoresLayer):
    """Stock Accuracy with sample weights: sum of w_e over the labels that are right / sum of w_e.

    bottoms: scores, with the K classes along `axis`; label, whole numbers in 0 .. K-1, of the scores' shape
        without that axis or any shape of that count; sample_weight, of the label's shape or one a sample.
    tops: accuracy, with `balanced` the mean of the recalls of the classes that occur, and 0 where no label counts;
        per_class, (K,): the recall of each class, weighted too, and 0 for one that does not occur.
    A label is right if its score is among the `top_k` highest; one that shares its score with others counts as
    below them, as in stock. Labels equal to `ignore_label` are left out. It has no gradient: give it no loss_weight.
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        num_classes = self.plane_shape(tuple(bottom[0].shape))[1]
        if self.options.top_k > num_classes:
            raise ConfigError(f"{self.name}: top_k {self.options.top_k} is more than the {num_classes} classes")
        top[0].reshape()
        if len(top) > 1:
            top[1].reshape(num_classes)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            scores = self.planes(self.data(bottom[0]))
            shape, ignored = self.index_labels(scores, bottom)
            weights = self.weights(bottom, shape)
            work = self.buffer("work", (work_size(scores),), bool)
            right, total = count_right(scores, self.index, self.options.top_k, weights, ignored, work)
            if len(top) > 1:
                self.data(top[1])[...] = recall(right, total)
            top[0].data[...] = accuracy(right, total, self.options.balanced)
