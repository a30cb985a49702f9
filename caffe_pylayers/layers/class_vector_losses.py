"""What losses with a learned vector for each class share."""

import math
from typing import Any, Sequence, Tuple

from caffe_pylayers.embeddings.class_vectors import inverse_lengths
from caffe_pylayers.errors import DataError
from caffe_pylayers.features.l2_normalize import unit_vectors, unit_vectors_gradient
from caffe_pylayers.layers.adapter import Blobs
from caffe_pylayers.layers.class_vectors import add_vectors, as_rows, check_size, labels_of
from caffe_pylayers.layers.loss_layer import LossLayer, Terms, Wanted
from caffe_pylayers.losses.reduction import Array

#: How much longer than 1 an x may be that is taken for a unit vector.
_ROUNDING = 1e-3


class ClassVectorsLoss(LossLayer):
    """A loss with a vector for each class, its blob: `learn` adds the gradient by them."""

    def learn(self, terms: Terms, loss_weight: float) -> None:
        """Add the gradient by the vectors to the diff of the blob. loss_weight: that of the layer."""
        raise NotImplementedError(f"{self.name} does not learn")

    @property
    def num_vectors(self) -> int:
        """How many vectors the blob has."""
        return int(self.options.num_output)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        filler = getattr(self.options, "center_filler", None) or getattr(self.options, "weight_filler", None)
        add_vectors(self, bottom, self.num_vectors, filler)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        check_size(self, bottom)

    def factors(self, loss_weight: float) -> Tuple[Any, float]:
        """The factor of each value, as in `Wanted`, and what else its gradient is multiplied by."""
        factor = self._reduction.factor
        return (1.0, loss_weight * factor) if isinstance(factor, float) else (factor, loss_weight)

    def _differentiate(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        super()._differentiate(top, propagate_down, bottom)
        self.learn(self._terms, float(top[0].diff))


class CosineLoss(ClassVectorsLoss):
    """A loss on the products of x and the unit vectors of classes. Forward leaves N x K numbers, of which backward makes both gradients at once.

    A subclass writes `evaluate` and `write_gradients`. They have x, (N, D), of unit length if the layer makes it so, vectors, (K, D), and inverse, 1 over
    their lengths.
    """

    prepares = False  # the N x K numbers that forward leaves are enough

    def evaluate(self, labels: Array) -> Any:
        """What the gradients are made of; `values` of it are those of the terms."""
        raise NotImplementedError(f"{self.name} has no values")

    def write_gradients(self, of: Any, labels: Array, by_x: Any, factor: Any, step: float) -> None:
        """Write the gradient by `self.x` where it is wanted, and add `step` times that by the vectors to the diff of the blob. factor: of each value."""
        raise NotImplementedError(f"{self.name} has no gradients")

    @property
    def makes_unit(self) -> bool:
        """Whether x is divided by its length."""
        return bool(self.options.normalize_x)

    @property
    def needs_unit(self) -> bool:
        """Whether an x that is taken as it is must have a cosine."""
        return False

    def terms(self, inputs: Sequence[Array]) -> Terms:
        labels, ignored = labels_of(self, inputs[1], inputs[0], self.options.num_output)
        self._of: Any = None  # until the values are asked for
        return Terms(labels.shape, ignored, labels)

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        if self._of is None:
            self.vectors = self.data(self.blobs[0])
            self.inverse = inverse_lengths(self.vectors)
            self._of = self.evaluate(terms.of)
        if wanted.gradients[0] is not None:
            self._write(terms, as_rows(wanted.gradients[0]))
        return self._of.values

    def learn(self, terms: Terms, loss_weight: float) -> None:
        if not self._learned:
            self._write(terms, None)

    def _take(self, bottom: Blobs, prepare: Sequence[int] = ()) -> None:
        self._terms = None  # if there is an error, nothing of an earlier batch is left
        x = as_rows(self.read(bottom[0]))
        unit = self.buffer("unit", x.shape)
        if self.makes_unit:
            self.x, self._x_inverse = unit_vectors(x, (1,), 0.0, unit)
        else:
            unit[...] = x
            self.x = unit
            self._check_lengths()
        super()._take(bottom, prepare)

    def _differentiate(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        self._learned, self._loss_weight = False, float(top[0].diff)
        super()._differentiate(top, propagate_down, bottom)

    def _write(self, terms: Terms, by_x: Any) -> None:
        """Both in one go: the N x K numbers are gone through once."""
        factor, step = self.factors(self._loss_weight)
        self.vectors, self._learned = self.data(self.blobs[0]), True
        self.write_gradients(self._of, terms.of, by_x, factor, step)
        if by_x is not None and self.makes_unit:
            unit_vectors_gradient(by_x, self.x, self._x_inverse, (1,), self.buffer("scratch", by_x.shape), by_x)

    def _check_lengths(self) -> None:
        """Raises DataError where x is taken as it is and is too long to have a cosine."""
        if not self.needs_unit:
            return
        squares = self.xp.einsum("nd,nd->n", self.x, self.x)
        if not len(squares) or not float(squares.max()) > (1 + _ROUNDING) ** 2:
            return
        at = int(squares.argmax())
        raise DataError(
            f"{self.bottom_names[0]} has norm {math.sqrt(float(squares[at])):.4g} at sample {at}, but with 'normalize_x': False and type "
            f"{self.options.type} it must be a unit vector",
            remedy="leave 'normalize_x' out, or put L2Normalize before this layer",
            layer=self.name,
            option="normalize_x",
        )
