"""What all losses share: from the terms of a loss to its value and the gradients that Caffe asks for."""

import math
from typing import Any, ClassVar, Dict, List, Optional, Sequence, Tuple

from caffe_pylayers.errors import DataError
from caffe_pylayers.layers.adapter import Blobs, Layer, log, place
from caffe_pylayers.losses.reduction import Array, Reduction


class LossLayer(Layer):
    """A loss: from what a term of it is to what Caffe wants, a scalar and the gradients it asks for.

    A subclass writes two methods:

    - `terms(bottom)` checks the bottoms and returns the shape of the terms, the outer index first, and which
      of them are ignored (bool of that shape, or None).
    - `values(bottom, factor, gradients)` returns the terms' values, of that shape. Where gradients[i] is an
      array it writes there the derivative by bottom i, each term's multiplied by its `factor` (a float or an
      array of the terms' shape).

    Both take the blobs' arrays from `data(blob)` and compute with `xp`, so that they run on the GPU where Caffe
    does and CuPy is installed.

    differentiable: the bottoms, by place, that have a gradient. Others get zeros where `force_backward: true`
        asks for one, but for sample_weight, whose gradient is there for any loss.
    one_factor_a_sample: with one weight a sample the loss takes a `factor` of shape (N, 1, ...), so that it need not
        be repeated for every term.

    In TRAIN a forward prepares the gradients that the last backward was asked for, straight in the bottoms'
    diffs, which takes a tenth less time than a buffer of our own. Caffe writes nothing there in between: a blob
    with two consumers is split, and each branch has its own diff. Backward then only multiplies by the loss
    weight. In TEST, or a second time, or where a script has written into the diff, it computes the gradient anew.
    """

    differentiable: ClassVar[Sequence[int]] = (0,)

    def terms(self, bottom: Blobs) -> Tuple[Tuple[int, ...], Optional[Array]]:
        raise NotImplementedError(f"{self.name} has no terms")

    def values(self, bottom: Blobs, factor: Any, gradients: List[Optional[Array]]) -> Array:
        raise NotImplementedError(f"{self.name} has no values")

    def reduction(self, shape: Tuple[int, ...], weights: Optional[Array], ignored: Optional[Array]) -> Reduction:
        options = self.options
        return Reduction(shape, weights, ignored, options.normalization, options.normalize_by, buffer=self.buffer)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._asked: List[int] = []  # bottoms whose gradient the last backward was asked for
        self._prepared: Dict[int, bytes] = {}  # those whose diff holds it now, and a sample of it
        self._loss_weight_seen = False

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape()

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            self.compute(bottom, top)

    def compute(self, bottom: Blobs, top: Blobs) -> None:
        """What forward does, where the arrays are; a subclass with more tops extends it."""
        shape, ignored = self.terms(bottom)
        self._reduction = self.reduction(shape, self.weights(bottom, shape), ignored)
        prepare = self._asked if self.training else []
        gradients = self._gradients(bottom, prepare)
        self._values = self.values(bottom, self._reduction.factor, gradients)
        self._loss = self._reduction.loss(self._values)
        top[0].data[...] = self._loss
        self._prepared = {i: self.sample(gradients[i]) for i in prepare}
        if self.training and not self._loss_weight_seen:
            self._loss_weight_seen = True
            if not top[0].diff.any():
                log.warning(
                    f"{self.name}: its loss_weight is 0, as that of any Python layer without one in the "
                    f"prototxt: nothing will learn from it, unless another layer takes this loss. Add "
                    f"loss_weight: 1 to the layer, and loss_weight: 0 for a second top"
                )

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        with self.device.of(bottom[0]):
            self._differentiate(top, propagate_down, bottom)

    def _differentiate(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        loss_weight = float(top[0].diff)
        asked = [i for i in self.differentiable if propagate_down[i]]
        missing = [i for i in asked if not self._is_prepared(i, self.diff(bottom[i]))]
        if missing:
            self.values(bottom, self._reduction.factor * loss_weight, self._gradients(bottom, missing))
        if loss_weight != 1:
            for i in asked:
                if i not in missing:
                    self.diff(bottom[i])[...] *= loss_weight
        for i in range(len(bottom)):
            if propagate_down[i] and i not in self.differentiable:
                diff = self.diff(bottom[i]).reshape(-1)
                diff[...] = self.weight_gradient(diff.size) * loss_weight if self.given[i] == "sample_weight" else 0
        self._asked = asked
        self._prepared = {}

    def check_finite(self, blob: Any, what: str, remedy: str = "") -> None:
        """Raises DataError where a number of a blob is not finite."""
        numbers = self.data(blob).reshape(-1)
        at = int(self.xp.argmin(self.xp.isfinite(numbers)))
        if not math.isfinite(float(numbers[at])):
            found = f"{what} {float(numbers[at]):g} at {place(blob, at)} is not finite"
            raise DataError(found, remedy=remedy, layer=self.name)

    def weight_gradient(self, size: int) -> Array:
        """dL/dw, flat, for `size` weights: one a term, or one a sample."""
        return self._reduction.weight_gradient(self._values, self._loss, size)

    def sample(self, diff: Array) -> bytes:
        """A few numbers of a diff, which tell whether anyone, such as a script that zeroes diffs, wrote there."""
        sample: bytes = diff.reshape(-1)[:: diff.size // 64 + 1].tobytes()
        return sample

    def _is_prepared(self, i: int, diff: Array) -> bool:
        sample = self._prepared.get(i, b"")
        # One of zeros, of either sign, does not tell.
        return sample.strip(b"\0\x80") != b"" and sample == self.sample(diff)

    def _gradients(self, bottom: Blobs, which: Sequence[int]) -> List[Optional[Array]]:
        return [self.diff(bottom[i]) if i in which else None for i in range(len(bottom))]
