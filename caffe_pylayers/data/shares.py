"""How the positions of a stream are shared out among several sources: by weights, in rounds."""

from fractions import Fraction
from typing import List, Optional, Sequence

#: Positions in a round.
ROUND_SIZE = 4096

#: The least part of a round that every round has a position for, wherever the numbers are rounded.
_LEAST = Fraction(2, ROUND_SIZE)


class Shares:
    """Weights above 0, as exact parts of the whole.

    >>> shares = Shares([3, 1])
    >>> shares.before(0), shares.before(1)
    ([0, 0], [3072, 1024])
    """

    def __init__(self, weights: Sequence[float]) -> None:
        exact = [Fraction(weight) for weight in weights]
        self.parts = [weight / sum(exact) for weight in exact]
        self._ends = [sum(self.parts[:number], Fraction(0)) for number in range(len(exact) + 1)]

    @property
    def too_small(self) -> Optional[int]:
        """The first that is too small for a position in each round; None where all are large enough."""
        return next((number for number, part in enumerate(self.parts) if part < _LEAST), None)

    def before(self, number: int) -> List[int]:
        """How many positions of each lie before round `number`: exact in the long run, for the ends are rounded, not the counts."""
        ends = [_rounded(number * ROUND_SIZE * end) for end in self._ends]
        return [end - start for start, end in zip(ends, ends[1:])]


def _rounded(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)
