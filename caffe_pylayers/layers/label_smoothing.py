"""Exact label smoothing, for SoftCrossEntropyLoss."""

from caffe_pylayers.layers.adapter import Blobs, Layer
from caffe_pylayers.layers.targets import Targets
from caffe_pylayers.losses.distributions import clear_ignored, distribution_shape, spread


class LabelSmoothing(Layer):
    """Labels as distributions over the classes from which a part e is taken off the true one, in TRAIN and TEST.

        over: all      (1 - e) onehot + e/K       (Szegedy et al. 2016)
        over: others   1 - e for the true class, e/(K-1) for each other   (Goodfellow, Bengio, Courville 2016)

    bottoms: label, float32 of any shape, integers in 0 .. K-1.
    tops: distribution, float32, with K in the place of an axis 1 of one element and put in there otherwise: (N,),
        (N, 1) give (N, K); (N, H, W), (N, 1, H, W) give (N, K, H, W). All zeros where the label is `ignore_label`.
    errors: ConfigError for a top that Caffe cannot count; DataError for a label that is not an integer in range.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._targets = Targets(self.options.n_classes, self.options.ignore_label)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self.give_shape(top[0], distribution_shape(tuple(bottom[0].shape), self.options.n_classes), "'n_classes'")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            self._smooth(bottom, top)

    def _smooth(self, bottom: Blobs, top: Blobs) -> None:
        options = self.options
        num_classes, smoothing = options.n_classes, options.smoothing
        self._targets.warn(self.name, self.read(bottom[0]), "the layer needs one label per position")
        labels, ignored = self.labels(self.read(bottom[0]), num_classes, options.ignore_label)
        off = smoothing / (num_classes if options.over == "all" else num_classes - 1)
        on = 1 - smoothing + (off if options.over == "all" else 0)
        num_samples = bottom[0].shape[0]
        distribution = self.data(top[0]).reshape(num_samples, num_classes, labels.size // max(num_samples, 1))
        by_sample = (num_samples, distribution.shape[2])
        spread(labels.reshape(by_sample), on, off, distribution)
        clear_ignored(None if ignored is None else ignored.reshape(by_sample), distribution)
