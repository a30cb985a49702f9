"""Random labels for training: regularisation, and soft targets without a new data set."""

from typing import Optional

import caffe
import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.layers.adapter import Blobs, Layer, log
from caffe_pylayers.layers.frozen import FrozenCounter


class LabelNoise(Layer):
    """Adds random jitter to labels in TRAIN; in TEST it passes them on as they are.

        uniform    label + u, low <= u < high
        gaussian   label + std * z, z standard normal

    bottom: label, of any shape.
    top: float label, of its shape. A label that is `ignore_label` stays. Works in place.
    The noise is a function of (seed, stream, iteration, rank): a run repeats, and with `resume` it goes on after
    a restore.
    """

    bottoms = ("label",)
    tops = ("label",)
    in_place = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._forwards = 0
        self._frozen: Optional[FrozenCounter] = None
        if self.options.resume:
            self._frozen = FrozenCounter(self, order="LabelNoise")
        elif self.training:
            log.warning(
                f"{self.name}: a run restored from a snapshot will repeat the noise from the first iteration "
                f"on; with 'resume': True it goes on"
            )

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        label = bottom[0].data
        if not self.training:
            top[0].data[...] = label
            return
        forwards = self._forwards if self._frozen is None else self._frozen.read()
        noisy = label + self._noise(forwards, label.size).reshape(label.shape)
        if self.options.clip is not None:
            noisy = np.clip(noisy, *self.options.clip)
        if self.options.ignore_label is not None:
            noisy = np.where(label == self.options.ignore_label, label, noisy)
        top[0].data[...] = noisy
        if self._frozen is None:
            self._forwards += 1
        else:
            self._frozen.write(forwards + 1)

    def _noise(self, forwards: int, size: int) -> np.ndarray:
        """The noise of the forward pass after `forwards` others: float64 (size,)."""
        options = self.options
        # The forwards of one iteration see different samples, and get different noise.
        key = (options.seed, options.stream, caffe.solver_rank(), *divmod(forwards, options.iter_size))
        if options.distribution == "gaussian":
            return options.std * keyed.normal(*key, np.arange(size))
        return options.low + (options.high - options.low) * keyed.uniform(*key, np.arange(size))
