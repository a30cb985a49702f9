"""Random labels for training: regularisation, and soft targets without a new data set."""

from typing import Iterator, Tuple

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.layers.adapter import Blobs, Layer
from caffe_pylayers.layers.frozen import counter, draw_key, warn_of_repeated
from caffe_pylayers.layers.targets import Targets
from caffe_pylayers.losses.distributions import add_one_hot, clear_ignored, distribution_shape, spread
from caffe_pylayers.losses.reduction import Array

_BLOCK = 1 << 14  # draws made at a time; each takes about 100 bytes while it is made


class LabelNoise(Layer):
    """Random labels in TRAIN; TEST passes them on as they are.

        uniform    label + u, low <= u < high
        gaussian   label + std * z, z standard normal
        flip       with `probability` another label, any of n_classes alike, the true one too (DisturbLabel,
                   Xie et al. 2016)

    With `one_hot` a label becomes a distribution: 1 for its class plus noise on each of the K entries, clipped and
    divided by the sum; in TEST just 1 for its class.

    bottoms: label, float32 of any shape. With flip and one_hot it must be an integer in 0 .. n_classes-1.
    tops: noisy, float32 of the label's shape, and in place if wanted; a label that is `ignore_label` stays. With `one_hot`
        distributions of the shape that LabelSmoothing gives, all zeros for `ignore_label`.
    errors: ConfigError for a top in place with `one_hot`; DataError for a label that is not an integer in range where it must be one.
    The noise is a function of (seed, stream, rank, iteration, forward within it): a run repeats, and with `resume` it
    goes on after a restore.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._forwards = counter(self, order="LabelNoise")
        warn_of_repeated(self, "noise")
        num_classes = self.options.n_classes  # none where labels are only numbers
        self._targets = Targets(num_classes, self.options.ignore_label) if num_classes else None

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = tuple(bottom[0].shape)
        if self.options.one_hot:
            shape = distribution_shape(shape, self.options.n_classes)
        self.give_shape(top[0], shape, "'n_classes'")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        forwards = self._forwards.read()
        with self.on_device(bottom[0]):
            self._pass_on(draw_key(self.options, forwards), bottom, top)
        if self.training:
            self._forwards.write(forwards + 1)

    def _pass_on(self, key: Tuple[int, ...], bottom: Blobs, top: Blobs) -> None:
        options = self.options
        if self._targets is not None:
            remedy = (
                "one_hot needs one label per position"
                if options.one_hot
                else "with 'n_classes': 2 the layer draws only 0 and 1"
            )
            self._targets.warn(self.name, self.read(bottom[0]), remedy)
        if options.one_hot:
            self._one_hot(key, bottom, top)
        elif not self.training:
            self.data(top[0])[...] = self.read(bottom[0])
        elif options.distribution == "flip":
            self._flip(key, bottom, top)
        else:
            self._jitter(key, bottom, top)

    def _jitter(self, key: Tuple[int, ...], bottom: Blobs, top: Blobs) -> None:
        xp, labels, out = self.xp, self.read(bottom[0]).reshape(-1), self.data(top[0]).reshape(-1)
        for place in _blocks(labels.size):
            label = labels[place]
            noisy = label + self._noise(key, np.arange(place.start, place.stop))
            if self.options.clip is not None:
                noisy = xp.clip(noisy, *self.options.clip)
            if self.options.ignore_label is not None:
                noisy = xp.where(label == self.options.ignore_label, label, noisy)
            out[place] = noisy

    def _flip(self, key: Tuple[int, ...], bottom: Blobs, top: Blobs) -> None:
        options = self.options
        labels, ignored = self.labels(self.read(bottom[0]), options.n_classes, options.ignore_label)
        xp, given, out = self.xp, self.read(bottom[0]).reshape(-1), self.data(top[0]).reshape(-1)
        for place in _blocks(labels.size):
            position = np.arange(place.start, place.stop)
            drawn = xp.asarray(keyed.uniform(*key, position, 0) < options.probability)
            if ignored is not None:
                drawn &= ~ignored[place]
            again = np.floor(keyed.uniform(*key, position, 1) * options.n_classes)
            out[place] = xp.where(drawn, xp.asarray(again), given[place])

    def _one_hot(self, key: Tuple[int, ...], bottom: Blobs, top: Blobs) -> None:
        options = self.options
        flat, ignored = self.labels(self.read(bottom[0]), options.n_classes, options.ignore_label)
        num_samples = bottom[0].shape[0]
        labels = flat.reshape(num_samples, flat.size // max(num_samples, 1))
        num_classes, size = options.n_classes, labels.shape[1]
        out = self.data(top[0]).reshape(num_samples, num_classes, size)
        if self.training:
            clip = (0.0, 1.0) if options.clip is None else options.clip
            classes = np.arange(num_classes)[:, None]
            for samples in _blocks(num_samples, num_classes * size):
                first = np.arange(samples.start, samples.stop)[:, None, None] * num_classes
                for places in _blocks(size, num_classes):
                    position = (first + classes) * size + np.arange(places.start, places.stop)
                    noise = self._noise(key, position)
                    add_one_hot(labels[samples, places], noise, clip)
                    out[samples, :, places] = noise
        else:
            spread(labels, 1, 0, out)
        clear_ignored(None if ignored is None else ignored.reshape(labels.shape), out)

    def _noise(self, key: Tuple[int, ...], position: np.ndarray) -> Array:
        """The noise at these positions: float64 of their shape, drawn on the host, so that it is the same bit for bit."""
        options = self.options
        if options.distribution == "gaussian":
            return self.xp.asarray(options.std * keyed.normal(*key, position))
        return self.xp.asarray(options.low + (options.high - options.low) * keyed.uniform(*key, position))


def _blocks(size: int, cost: int = 1) -> Iterator[slice]:
    """Slices that cover `size` items, each of as many items of that cost as a block has, and one at least."""
    step = max(_BLOCK // max(cost, 1), 1)
    return (slice(start, min(start + step, size)) for start in range(0, size, step))
