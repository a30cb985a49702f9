"""A gradient that is reversed, more and more in the course of the training."""

from typing import Optional, Sequence

from caffe_pylayers.features.gradient_scale import coefficient
from caffe_pylayers.layers.adapter import Blobs, Layer
from caffe_pylayers.layers.frozen import counter, warn_of_repeated


class GradientScaler(Layer):
    """x as it is; its gradient is that of the top times -c (Ganin and Lempitsky 2015).

    c = 2 (u - l) / (1 + e^(-alpha p)) - (u - l) + l, with u and l the options `upper_bound` and `lower_bound`, and
    p = min(1, iteration / `max_iter`). The first iteration is 0. An iteration is `iter_size` TRAIN forwards.
    In TEST p is 1; with `resume` it is that of TRAIN.

    bottoms: x, float32 of any shape.
    tops: y, of the same shape. Works in place.
    errors: with `resume` ConfigError for a blob of the iteration that the solver has changed.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._forwards = counter(self, order="GradientScaler")
        warn_of_repeated(self, "factors of the gradient")
        self._coefficient: Optional[float] = None  # until the first forward

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self._coefficient = self._now()
        with self.on_device(bottom[0]):
            self.data(top[0])[...] = self.read(bottom[0])
        if self.training:
            self._forwards.write(self._forwards.read() + 1)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            factor = self._now() if self._coefficient is None else self._coefficient
            with self.on_device(bottom[0]):
                self.xp.multiply(self.diff(top[0]), -factor, out=self.diff(bottom[0]))

    def _now(self) -> float:
        options, progress = self.options, 1.0
        if self.training or options.resume:
            progress = min(1.0, self._forwards.read() // options.iter_size / options.max_iter)
        return coefficient(progress, options.lower_bound, options.upper_bound, options.alpha)
