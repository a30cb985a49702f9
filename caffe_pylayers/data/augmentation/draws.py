"""What is drawn for each image, as a function of its key."""

from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.augmentation.colour import Colours
from caffe_pylayers.data.augmentation.moves import UNTURNED, Patch, Turn, largest, moved
from caffe_pylayers.data.geometry import Size, Window

#: Those of torchvision's ColorJitter, whose order is drawn too, and where their numbers are around.
_JITTER: Dict[str, float] = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}

#: The steps of a turn, and where their numbers are around.
_TURN: Dict[str, float] = {"rotate": 0.0, "scale": 1.0, "translate": 0.0}

# What a draw is for, the second part of its key; those below 4 are in data/transforms.py. A new one comes last, so that streams stay.
_PURPOSES = {name: number for number, name in enumerate(("order", *_JITTER, "gray", *_TURN, "resized_crop"), 4)}
_VALUE, _HAPPENS, _RATIO, _Y, _X = range(5)

#: As many as torchvision makes until a rectangle fits.
_ATTEMPTS = 10


class Drawn(NamedTuple):
    """What is done to an image. colours: in their order. ratio: of `part`, where none of its attempts fits."""

    colours: Colours = ()
    turn: Optional[Turn] = None
    part: Optional[Patch] = None
    ratio: Tuple[float, float] = (1, 1)

    def moved(self, window: Window, old: Size) -> Window:
        """What is fed of an image of that size, where it would be this window."""
        if self.turn is None and self.part is None:
            return window
        frame = window.scaled
        return moved(window, old, self.turn, self.part and (self.part.inside(frame) or largest(frame, self.ratio)))


NOTHING = Drawn()


@dataclass(frozen=True)
class Amount:
    """A number between `low` and `high`, drawn for each image; with probability p, else the step is left out."""

    low: float
    high: float
    p: float = 1.0

    @classmethod
    def of(cls, option: Any, around: float) -> Optional["Amount"]:
        """What an option says: [low, high], or n for from `around` - n to `around` + n, which for a factor is at least 0."""
        if option is None:
            return None
        limits = getattr(option, "range", option)
        if not isinstance(limits, tuple):
            limits = (around - limits, around + limits)
            limits = (max(0.0, limits[0]), limits[1]) if around else limits
        low, high = limits
        return cls(low, high, getattr(option, "p", 1.0))

    def drawn(self, keys: np.ndarray, purpose: int, which: int = _VALUE) -> List[Optional[float]]:
        """One for each key, None where it is left out. which: where a step has several numbers."""
        values = self.low + (self.high - self.low) * keyed.uniform(keys, purpose, which)
        return [value if there else None for value, there in zip(values.tolist(), happens(keys, purpose, self.p))]


def _amounts(options: Any, around: Dict[str, float]) -> Tuple[Tuple[str, Amount], ...]:
    """Those of the steps that are given, by name."""
    amounts = ((name, Amount.of(getattr(options, name), middle)) for name, middle in around.items())
    return tuple((name, amount) for name, amount in amounts if amount is not None)


def happens(keys: np.ndarray, purpose: int, p: float) -> List[bool]:
    """With probability p."""
    there = keyed.uniform(keys, purpose, _HAPPENS) < p
    return list(there.tolist())


@dataclass(frozen=True)
class Rectangle:
    """A rectangle with a part of the area and a width : height between these, drawn for each image, with probability p."""

    area: Tuple[float, float]
    ratio: Tuple[float, float]
    p: float

    @classmethod
    def of(cls, option: Any) -> "Rectangle":
        return cls(option.area, option.ratio, option.p)

    def drawn(self, keys: np.ndarray, purpose: int) -> List[Optional[Patch]]:
        """One for each key, None where it is left out. Ratios have uniform logarithms."""
        attempts = keys[:, None], purpose, np.arange(_ATTEMPTS)
        areas = self.area[0] + (self.area[1] - self.area[0]) * keyed.uniform(*attempts, _VALUE)
        low, high = np.log(self.ratio)
        ratios = np.exp(low + (high - low) * keyed.uniform(*attempts, _RATIO))
        places = (keyed.uniform(keys, purpose, which).tolist() for which in (_Y, _X))
        return [
            Patch(list(zip(*tried)), y, x) if there else None
            for *tried, y, x, there in zip(areas.tolist(), ratios.tolist(), *places, happens(keys, purpose, self.p))
        ]


@dataclass(frozen=True)
class Augmentation:
    """What the option `augment` says. jitter, turn: by name; gray: probability; part: of `resized_crop`."""

    jitter: Tuple[Tuple[str, Amount], ...] = ()
    gray: float = 0.0
    turn: Tuple[Tuple[str, Amount], ...] = ()
    part: Optional[Rectangle] = None

    @classmethod
    def of(cls, options: Any) -> "Augmentation":
        """That of the options of a layer's `augment`."""
        part = options.resized_crop and Rectangle.of(options.resized_crop)
        return cls(_amounts(options, _JITTER), options.gray, _amounts(options, _TURN), part)

    @property
    def moves(self) -> bool:
        """Whether pixels are moved."""
        return bool(self.turn or self.part)

    @property
    def fills(self) -> bool:
        """Whether any image is made as large as the crop."""
        return self.part is not None and self.part.p == 1

    def draws(self, keys: np.ndarray) -> List[Drawn]:
        """One for each key."""
        parts = self.part.drawn(keys, _PURPOSES["resized_crop"]) if self.part else [None] * len(keys)
        ratio = self.part.ratio if self.part else (1, 1)
        return [Drawn(*each, ratio) for each in zip(self._colours(keys), self._turns(keys), parts)]

    def _turns(self, keys: np.ndarray) -> Sequence[Optional[Turn]]:
        if not self.turn:
            return [None] * len(keys)
        amounts = dict(self.turn)

        def numbers(name: str, which: int = _VALUE) -> List[float]:
            if name not in amounts:
                return [_TURN[name]] * len(keys)
            found = amounts[name].drawn(keys, _PURPOSES[name], which)
            return [_TURN[name] if number is None else number for number in found]

        columns = numbers("rotate"), numbers("scale"), numbers("translate", _Y), numbers("translate", _X)
        return [None if each == UNTURNED else Turn(*each) for each in zip(*columns)]

    def _colours(self, keys: np.ndarray) -> List[Colours]:
        purpose = _PURPOSES
        steps = [(name, amount.drawn(keys, purpose[name])) for name, amount in self.jitter]
        places = [keyed.uniform(keys, purpose["order"], purpose[name]) for name, _ in self.jitter]
        orders = np.argsort(np.reshape(places, (len(steps), len(keys))), axis=0).T.tolist()
        grays = happens(keys, purpose["gray"], self.gray)
        return [
            [
                *(
                    (name, values[place])
                    for name, values in (steps[step] for step in order)
                    if values[place] is not None
                ),
                *[("gray", 1.0)] * gray,
            ]
            for place, (order, gray) in enumerate(zip(orders, grays))
        ]
