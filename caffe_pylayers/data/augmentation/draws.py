"""What is drawn for each image, as a function of its key."""

from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.augmentation.colour import Colours

#: Those of torchvision's ColorJitter, whose order is drawn too, and where their numbers are around.
_JITTER: Dict[str, float] = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}

# What a draw is for, the second part of its key; those below 4 are in data/transforms.py. A new one comes last, so that streams stay.
_PURPOSES = {name: number for number, name in enumerate(("order", *_JITTER, "gray"), 4)}
_VALUE, _HAPPENS = range(2)


class Drawn(NamedTuple):
    """What is done to an image. colours: in their order."""

    colours: Colours = ()


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

    def drawn(self, keys: np.ndarray, purpose: int) -> List[Optional[float]]:
        """One for each key, None where it is left out."""
        values = self.low + (self.high - self.low) * keyed.uniform(keys, purpose, _VALUE)
        return [value if there else None for value, there in zip(values.tolist(), happens(keys, purpose, self.p))]


def happens(keys: np.ndarray, purpose: int, p: float) -> List[bool]:
    """With probability p."""
    there = keyed.uniform(keys, purpose, _HAPPENS) < p
    return list(there.tolist())


@dataclass(frozen=True)
class Augmentation:
    """What the option `augment` says. jitter: by name; gray: probability."""

    jitter: Tuple[Tuple[str, Amount], ...] = ()
    gray: float = 0.0

    @classmethod
    def of(cls, options: Any) -> "Augmentation":
        """That of the options of a layer's `augment`."""
        amounts = ((name, Amount.of(getattr(options, name), around)) for name, around in _JITTER.items())
        return cls(tuple((name, amount) for name, amount in amounts if amount is not None), options.gray)

    def draws(self, keys: np.ndarray) -> List[Drawn]:
        """One for each key."""
        return [Drawn(colours) for colours in self._colours(keys)]

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
