"""What is drawn for each image, as a function of its key."""

from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.augmentation.amount import PURPOSES, VALUE, Amount, X, Y, happens
from caffe_pylayers.data.augmentation.erasing import MEAN, Erasing
from caffe_pylayers.data.augmentation.moves import UNTURNED, Turn, moved
from caffe_pylayers.data.augmentation.pixels import Steps
from caffe_pylayers.data.augmentation.rectangle import Patch, Rectangle
from caffe_pylayers.data.geometry import Size, Window

#: Those of torchvision's ColorJitter, whose order is drawn too, and where their numbers are around.
_JITTER: Dict[str, float] = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}
#: The steps of a turn, and where their numbers are around.
_TURN: Dict[str, float] = {"rotate": 0.0, "scale": 1.0, "translate": 0.0}

Amounts = Tuple[Tuple[str, Amount], ...]


class Drawn(NamedTuple):
    """What is done to an image. turn, part: before the crop; steps: what is done to its pixels, in their order."""

    turn: Optional[Turn] = None
    part: Optional[Patch] = None
    steps: Steps = ()
    erasing: Optional[Erasing] = None

    def moved(self, window: Window, old: Size) -> Window:
        """What is fed of an image of that size, where it would be this window."""
        return moved(window, old, self.turn, self.part and self.part.inside_or_largest(window.scaled))


NOTHING = Drawn()


@dataclass(frozen=True)
class Augmentation:
    """What the option `augment` says.

    jitter, turn: steps by name. gray: probability. part: of `resized_crop`. blur: its sigma. erased, by: where `erase` is, by what.
    """

    jitter: Amounts
    turn: Amounts
    gray: float
    part: Optional[Rectangle]
    blur: Optional[Amount]
    erased: Optional[Rectangle]
    by: Union[str, int]

    @classmethod
    def of(cls, options: Any) -> "Augmentation":
        """That of the options of a layer's `augment`."""
        blur, erase = options.blur, options.erase
        return cls(
            _amounts(options, _JITTER),
            _amounts(options, _TURN),
            options.gray,
            options.resized_crop and Rectangle.of(options.resized_crop),
            blur and Amount(blur.sigma[0], blur.sigma[1], blur.p),
            erase and Rectangle.of(erase),
            erase.value if erase else 0,
        )

    @property
    def moves(self) -> bool:
        """Whether pixels are moved."""
        return bool(self.turn or self.part)

    @property
    def shows_mean(self) -> bool:
        """Whether the mean may cover a part of an image."""
        return self.erased is not None and self.by == MEAN

    @property
    def fills(self) -> bool:
        """Whether any image is made as large as the crop."""
        return self.part is not None and self.part.p == 1

    def draws(self, keys: np.ndarray) -> List[Drawn]:
        """One for each key."""
        parts = self.part.drawn(keys, "resized_crop") if self.part else [None] * len(keys)
        return [Drawn(*each) for each in zip(self._turns(keys), parts, self._steps(keys), self._erasings(keys))]

    def _turns(self, keys: np.ndarray) -> Sequence[Optional[Turn]]:
        if not self.turn:
            return [None] * len(keys)
        amounts = dict(self.turn)

        def numbers(name: str, which: int = VALUE) -> List[float]:
            found = amounts[name].drawn(keys, name, which) if name in amounts else [None] * len(keys)
            return [_TURN[name] if number is None else number for number in found]

        columns = numbers("rotate"), numbers("scale"), numbers("translate", Y), numbers("translate", X)
        return [None if each == UNTURNED else Turn(*each) for each in zip(*columns)]

    def _steps(self, keys: np.ndarray) -> List[Steps]:
        """The jitter in an order that is drawn, then gray, then blur."""
        jitter = [(name, amount.drawn(keys, name)) for name, amount in self.jitter]
        ranks = [keyed.uniform(keys, PURPOSES["order"], PURPOSES[name]) for name, _ in self.jitter]
        orders = np.argsort(np.reshape(ranks, (len(jitter), len(keys))), axis=0).T.tolist()
        gray = [1.0 if there else None for there in happens(keys, "gray", self.gray)]
        last = [("gray", gray), ("blur", self.blur.drawn(keys, "blur") if self.blur else [None] * len(keys))]
        return [_steps_at(place, [*(jitter[step] for step in order), *last]) for place, order in enumerate(orders)]

    def _erasings(self, keys: np.ndarray) -> Sequence[Optional[Erasing]]:
        if self.erased is None:
            return [None] * len(keys)
        patches = zip(self.erased.drawn(keys, "erase"), keys)
        return [patch and Erasing(patch, self.by, key) for patch, key in patches]


def _steps_at(place: int, steps: Sequence[Tuple[str, Sequence[Optional[float]]]]) -> Steps:
    """Those of the steps that the image at this place of the batch has."""
    values = ((name, numbers[place]) for name, numbers in steps)
    return [(name, value) for name, value in values if value is not None]


def _amounts(options: Any, around: Dict[str, float]) -> Tuple[Tuple[str, Amount], ...]:
    """Those of the steps that are given, by name."""
    amounts = ((name, Amount.of(getattr(options, name), middle)) for name, middle in around.items())
    return tuple((name, amount) for name, amount in amounts if amount is not None)
