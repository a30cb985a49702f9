"""A number that is drawn for each image, as a function of its key, what it is for, and which of several it is."""

from dataclasses import dataclass
from typing import Any, List, Optional

import numpy as np

from caffe_pylayers.data import keyed

#: What a draw is for, the second part of its key; those below 4 are in data/transforms.py. A new one comes last, so that streams stay.
PURPOSES = {
    name: number
    for number, name in enumerate(
        (
            "order",
            "brightness",
            "contrast",
            "saturation",
            "hue",
            "gray",
            "rotate",
            "scale",
            "translate",
            "resized_crop",
            "blur",
            "erase",
        ),
        4,
    )
}
#: Which of the numbers of a step, the third part of its key.
VALUE, HAPPENS, RATIO, Y, X, NOISE_BITS = range(6)


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

    def drawn(self, keys: np.ndarray, step: str, which: int = VALUE) -> List[Optional[float]]:
        """One for each key, None where it is left out. which: where a step has several numbers."""
        values = self.low + (self.high - self.low) * keyed.uniform(keys, PURPOSES[step], which)
        return [value if there else None for value, there in zip(values.tolist(), happens(keys, step, self.p))]


def happens(keys: np.ndarray, step: str, p: float) -> List[bool]:
    """Whether a step is done, with probability p."""
    there = keyed.uniform(keys, PURPOSES[step], HAPPENS) < p
    return list(there.tolist())
