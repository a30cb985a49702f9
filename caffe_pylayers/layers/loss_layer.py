"""What all losses share: from the terms of a loss to its value and the gradients that Caffe asks for."""

import math
from typing import Any, Callable, ClassVar, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.files.counts import read_class_weights
from caffe_pylayers.layers.adapter import Blobs, Layer, log, place
from caffe_pylayers.losses.blocks import same
from caffe_pylayers.losses.hard_examples import hardest
from caffe_pylayers.losses.reduction import Array, Reduction


class Terms(NamedTuple):
    """What a loss adds up."""

    shape: Tuple[int, ...]  #: of the terms, the outer index first
    ignored: Optional[Array]  #: which of them are ignored, bool of that shape; None: none
    of: Any  #: what the loss needs to know of them


class Wanted(NamedTuple):
    """What a loss writes while it computes the values of its terms."""

    factor: Any  #: what each term's derivatives are multiplied by: a float, or an array of the terms' shape
    gradients: Sequence[Optional[Array]]  #: for each bottom where the derivatives by it go; None: not wanted
    prob: Optional[Array] = None  #: where the top prob goes; None: there is none, or it is backward
    total: bool = (
        False  #: whether only the sum of the values counts, so that an array of any shape will do that has this sum
    )


class LossLayer(Layer):
    """A loss: from what a term of it is to what Caffe wants, a scalar and the gradients it asks for.

    A subclass writes two methods:

    - `terms(inputs)` checks the bottoms' arrays, and returns the Terms.
    - `values(terms, wanted)` returns the terms' values, of the terms' shape, and writes what is wanted.

    It is called twice for a batch if the option `keep` is given, which all losses on terms may have. Both compute with `xp`, so that they run on the GPU where Caffe does and CuPy is installed.

    differentiable: the bottoms, by place, that have a gradient. Others get zeros where `force_backward: true`
        asks for one, but for sample_weight, whose gradient is there for any loss.
    prepares: whether forward in TRAIN prepares gradients. A loss that does not must keep what they are of.
    one_factor_per_sample: with one weight per sample the loss takes a `factor` of shape (N, 1, ...), so that it need not
        be repeated for every term.

    A gradient is that at the differentiable bottoms as forward saw them, and at the others (labels, weights, H) as they are
    in backward. So forward keeps copies of the others, which are small as a rule, and backward compares them. In TRAIN
    forward prepares the gradients that the last backward was asked for, in buffers of our own, because a script may write
    into the diffs; backward multiplies them by the loss weight. Elsewhere forward keeps copies of the differentiable bottoms
    too, and backward computes from them.
    """

    differentiable: ClassVar[Sequence[int]] = (0,)
    prepares: ClassVar[bool] = True

    def terms(self, inputs: Sequence[Array]) -> Terms:
        raise NotImplementedError(f"{self.name} has no terms")

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        raise NotImplementedError(f"{self.name} has no values")

    def with_weights(self, terms: Terms, weights: Optional[Array]) -> Terms:
        """The terms, checked and prepared as far as that takes their weights."""
        return terms

    def reduction(self, terms: Terms, weights: Optional[Array]) -> Reduction:
        options = self.options
        return Reduction(
            terms.shape, weights, terms.ignored, options.normalization, options.normalize_by, buffer=self.buffer
        )

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if not len(bottom[0].shape):
            found = f"{self.bottom_names[0]} has shape ()"
            raise ConfigError(found, remedy="expected (N, ...), with an axis of samples", layer=self.name)
        self._terms: Any = None  # until the first forward, and behind one that raised an error
        self._asked: List[int] = []  # bottoms whose gradient the last backward was asked for
        self._prepared: Dict[int, Array] = {}  # those whose gradient is prepared, and it
        self._loss_weight_seen = False

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape()

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            self.compute(bottom, top)

    def compute(self, bottom: Blobs, top: Blobs) -> None:
        """What forward does, where the arrays are; a subclass with more tops extends it."""
        prepare = self._asked if self.training and self.prepares else []
        self._take(bottom, prepare)
        gradients = [self.buffer(f"gradient {i}", self.inputs[i].shape) for i in prepare]
        prob = self.data(top[self.gives.index("prob")]) if "prob" in self.gives else None
        self._evaluate(dict(zip(prepare, gradients)), prob)
        self._prepared = dict(zip(prepare, gradients))
        top[0].data[...] = self._loss
        if self.training and not self._loss_weight_seen:
            self._loss_weight_seen = True
            if not top[0].diff.any():
                log.warning(
                    f"{self.name}: its loss_weight is 0, the default of a Python layer: nothing will learn from this "
                    f"loss, unless another layer uses it. Add "
                    f"loss_weight: 1 to the layer, and loss_weight: 0 for a second top"
                )

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        with self.on_device(bottom[0]) if self._terms is None else self.device.of(bottom[0]):
            self._differentiate(top, propagate_down, bottom)

    def _differentiate(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        loss_weight = float(top[0].diff)
        self._asked = [i for i in self.differentiable if propagate_down[i]]
        changed = self._follow(bottom)
        missing = {i: self.diff(bottom[i]) for i in self._asked if i not in self._prepared}
        if changed or missing:
            self._evaluate(missing)
        factor = self._reduction.factor
        scale = loss_weight * factor if isinstance(factor, float) else loss_weight
        for i in self._asked:
            if i not in missing or scale != 1:
                self.xp.multiply(missing.get(i, self._prepared.get(i)), scale, out=self.diff(bottom[i]))
        for i in range(len(bottom)):
            if propagate_down[i] and i not in self.differentiable:
                diff = self.diff(bottom[i]).reshape(-1)
                weighted = self.bottom_names[i] == "sample_weight"
                diff[...] = self.weight_gradient(self._terms, diff.size) * loss_weight if weighted else 0

    def one_each(
        self,
        option: str,
        count: int,
        of: str,
        read: Callable[[str, int], np.ndarray] = read_class_weights,
    ) -> np.ndarray:
        """The numbers of an option, of which there must be `count`, float64. of: what the scores have so many of, in words."""
        numbers = getattr(self.options, option)
        if isinstance(numbers, str):
            return read(numbers, count)
        if len(numbers) != count:
            raise ConfigError(
                f"option '{option}' has {len(numbers)} numbers, but the scores have {of}",
                remedy=f"give it {count}",
                layer=self.name,
                option=option,
            )
        return np.array(numbers, np.float64)

    def check_finite(self, array: Array, what: str, remedy: str = "") -> None:
        """Raises DataError where a number of a bottom's array is not finite."""
        numbers = array.reshape(-1)
        at = int(self.xp.argmin(self.xp.isfinite(numbers)))
        if not math.isfinite(float(numbers[at])):
            found = f"{what} {float(numbers[at]):g} at {place(array, at)} is not finite"
            raise DataError(found, remedy=remedy, layer=self.name)

    def weight_gradient(self, terms: Terms, size: int) -> Array:
        """dL/dw, flat, for `size` weights: one per term, or one per sample."""
        return self._reduction.weight_gradient(self._values, self._loss, size)

    def _take(self, bottom: Blobs, prepare: Sequence[int] = ()) -> None:
        """Read all bottoms as they are now. prepare: those whose gradient forward prepares."""
        keeps_all = self.prepares and not prepare
        self._kept = [i for i in range(len(bottom)) if keeps_all or i not in self.differentiable]
        self.inputs = [self._input(bottom, i) for i in range(len(bottom))]
        self._look_at_terms()

    def _look_at_terms(self) -> None:
        """What the inputs say, before any value is known; where they are wrong nothing of an earlier batch is left."""
        self._prepared = {}
        self._terms = None
        terms = self.terms(self.inputs)
        weights = self.weights(self.inputs, terms.shape)
        terms = self._hard(self.with_weights(terms, weights), weights)
        self._reduction = self.reduction(terms, weights)
        self._terms = terms

    def _hard(self, terms: Terms, weights: Optional[Array]) -> Terms:
        """The terms, all but the hardest ignored if the option `keep` says so; their values are needed first.

        A term of weight 0 whose value is NaN is not there, so that it takes no other's place.
        """
        keep = getattr(self.options, "keep", None)
        if keep is None:
            return terms
        values = self.values(terms, Wanted(1.0, [None] * len(self.inputs)))
        ignored, missing = terms.ignored, self.xp.isnan(values)
        if bool(missing.any()):
            missing &= self.reduction(terms, weights).scale == 0
            ignored = missing if ignored is None else missing | ignored
        ways = (keep.top_k, keep.fraction, keep.threshold, keep.min_kept)
        return terms._replace(ignored=~hardest(values, ignored, *ways))

    def _evaluate(self, gradients: Dict[int, Array], prob: Optional[Array] = None) -> None:
        """Values, loss and gradients, without one factor for all terms: backward multiplies anyway."""
        factor = self._reduction.factor
        factor = 1.0 if isinstance(factor, float) else factor
        each = [gradients.get(i) for i in range(len(self.inputs))]
        unweighted = self._terms.ignored is None and isinstance(self._reduction.scale, float)
        total = unweighted and "sample_weight" not in self.bottom_names
        self._values = self.values(self._terms, Wanted(factor, each, prob, total))
        self._loss = self._reduction.loss(self._values)

    def _follow(self, bottom: Blobs) -> bool:
        """Looks at the terms again where what forward left is not enough; returns whether it did.

        That is where a bottom without a gradient has changed, or where a gradient is asked for that forward has not
        prepared, and no copies of the bottoms that it is of.
        """
        if self._terms is None:  # there is no forward to follow: the gradient is that at the bottoms as they are
            self._take(bottom)
            return True
        others = [i for i in range(len(bottom)) if i not in self.differentiable]
        changed = [i for i in others if not same(self.inputs[i], self.read(bottom[i]))]
        unkept = [i for i in self.differentiable if i not in self._kept and self.prepares]
        again = bool(changed or (unkept and any(i not in self._prepared for i in self._asked)))
        if again:
            for i in [*changed, *unkept]:
                self.inputs[i] = self._input(bottom, i)
            self._look_at_terms()
        return again

    def _input(self, bottom: Blobs, i: int) -> Array:
        """A bottom's array; a copy of it where the blob may be written into before the array is read for the last time."""
        array = self.read(bottom[i])
        if i not in self._kept:
            return array
        copy = self.buffer(f"bottom {i}", array.shape)
        copy[...] = array
        return copy
