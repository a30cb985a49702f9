"""Losses that compare a prediction with a target, number by number."""

import math
from typing import Any, ClassVar, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.layers.adapter import Blobs, place
from caffe_pylayers.layers.loss_layer import LossLayer
from caffe_pylayers.losses.reduction import Array

#: How far beyond 0 and 1 a target may lie that is to be between them: images by `scale: 0.003922` for 1/255 have a white of 1.0001.
_ROUNDED = 1e-3
_HIGHEST = int(np.float32(1 + _ROUNDED).view(np.uint32))


class PairLoss(LossLayer):
    """A loss that compares its first two bottoms number by number: of one count, and of one first dimension.

    finite: the names of bottoms whose numbers must be finite, if they count. They are looked at where the loss is not: such a
        number makes a loss that is not.
    """

    finite: ClassVar[Sequence[str]] = ()

    def compute(self, bottom: Blobs, top: Blobs) -> None:
        super().compute(bottom, top)
        if not math.isfinite(self._loss):
            self._check_finite()

    def pair(self, inputs: Sequence[Array]) -> Tuple[Array, Array]:
        """The two as (N, D)."""
        one, other = inputs[:2]
        self.check_same_count(one, other, self.bottom_names[1])
        return rows(one), rows(other)

    def check_same_count(self, one: Array, other: Array, what: str) -> None:
        """Raises ConfigError where a bottom has other counts than the first."""
        if not other.ndim or rows(one).shape != rows(other).shape:
            raise ConfigError(
                f"{self.bottom_names[0]} has shape {one.shape} and {what} {other.shape}",
                remedy="expected as many numbers in both, for as many samples",
                layer=self.name,
            )

    def without_missing(self, target: Array) -> Tuple[Array, Optional[Array]]:
        """Targets with 0 in the place of NaN, and which those are; None where there are none, or 'ignore_nan' is false."""
        if not self.options.ignore_nan:
            return target, None
        missing = self.xp.isnan(target, out=self.buffer("missing", target.shape, bool))
        if not bool(missing.any()):
            return target, None
        there = self.buffer("there", target.shape)
        there[...] = target
        there[missing] = 0
        return there, missing

    def check_targets(self, target: Array, ignored: Optional[Array], weights: Optional[Array]) -> bool:
        """Raises DataError where a target that counts is not from 0 to 1: stock's sigmoid loss is below 0 there, without bound.

        The arguments and the answer are those of `out_of_range`.
        """
        at, all_right = self.out_of_range(target, ignored, weights)
        if at is not None:
            found = float(target.reshape(-1)[at])
            hint = "" if self.options.ignore_label is None else f", and is not ignore_label {self.options.ignore_label}"
            missing = math.isnan(found) and "ignore_nan" in type(self.options).model_fields
            remedy = "scale the targets, or exclude this one with 'ignore_label' or with the weight 0"
            raise DataError(
                f"target {found:.9g} at {place(self.inputs[1], at)} is not from 0 to 1{hint}",
                remedy="if it is a missing value, set 'ignore_nan': true" if missing else remedy,
                layer=self.name,
            )
        return all_right

    def out_of_range(
        self, numbers: Array, ignored: Optional[Array], weights: Optional[Array]
    ) -> Tuple[Optional[int], bool]:
        """The first number that counts and is not from 0 to 1; and whether all are, those too that do not count.

        numbers: of any shape. ignored, weights: that go with them.
        """
        # As integers the bits of numbers from 0 on are in their order, those of NaN above, and those of numbers below 0 above these.
        if not numbers.size or int(numbers.view(np.uint32).max()) <= _HIGHEST:
            return None, True
        right = self.xp.greater_equal(numbers, -_ROUNDED, out=self.buffer("right", numbers.shape, bool))
        right &= self.xp.less_equal(numbers, 1 + _ROUNDED, out=self.buffer("below", numbers.shape, bool))
        if ignored is not None:
            right |= ignored
        if weights is not None:
            right |= weights == 0
        return (None if bool(right.all()) else int(self.xp.argmin(right))), False

    def _check_finite(self) -> None:
        factor = self._reduction.factor  # 0 for a term that does not count
        for name in self.finite:
            numbers = self.bottom(self.inputs, name)
            if numbers is None:
                continue
            if not isinstance(factor, float):
                counts = factor.reshape(len(factor), -1) != 0
                numbers = self.xp.where(counts, rows(numbers), np.float32(0)).reshape(numbers.shape)
            remedy = "exclude its sample with the weight 0"
            if name == "target":
                remedy = "to exclude it, give its sample the weight 0, or set it to NaN, with 'ignore_nan': true"
            self.check_finite(numbers, name, remedy)


def rows(array: Optional[Array]) -> Any:
    """The array as (N, D); None stays None."""
    return None if array is None else array.reshape(len(array), math.prod(array.shape[1:]))
