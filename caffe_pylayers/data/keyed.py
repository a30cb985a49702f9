"""Random numbers as a pure function of what they are for.

Every draw of this package is keyed by a tuple such as (seed, stream, epoch, position, purpose), so that any
batch can be made by any process, in any order, again. Keys are mixed one after the other, never added (seed 1
at position 2 is not seed 2 at position 1). The mixer is SplitMix64's finaliser (Steele, Lea, Flood 2014): unlike
numpy's generators its values are fixed for good, so that a run repeats under every version of numpy.
"""

from typing import Union, cast

import numpy as np

Key = Union[int, np.ndarray]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


def bits(*key: Key) -> np.ndarray:
    """64 random bits for each key: uint64 of the shape that the parts of the key broadcast to.

    Parts are integers or integer arrays; their order matters. ``bits(seed, stream, np.arange(5))`` has shape (5,).
    """
    state = np.zeros((), np.uint64)
    for part in key:
        word = np.asarray(part).astype(np.int64).view(np.uint64)
        # Arrays of one element, since numpy warns of overflow on scalars and wraps silently on arrays.
        state = np.atleast_1d(state) ^ word
        state = state + _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * _MIX_1
        state = (state ^ (state >> np.uint64(27))) * _MIX_2
        state = state ^ (state >> np.uint64(31))
    shape = np.broadcast(*key).shape
    return cast(np.ndarray, state.reshape(shape))


def uniform(*key: Key) -> np.ndarray:
    """Uniform in [0, 1): float64, 53 bits each, of the shape of the key. Times n and rounded down it is one of n."""
    return (bits(*key) >> np.uint64(11)) * _TO_UNIT


def normal(*key: Key) -> np.ndarray:
    """Standard normal: float64, by Box and Muller from two uniforms of the key."""
    radius = np.sqrt(-2.0 * np.log1p(-uniform(*key, 0)))
    return radius * np.cos(2.0 * np.pi * uniform(*key, 1))


def permutation(size: int, *key: int) -> np.ndarray:
    """A permutation of 0 .. size-1: int64 (size,). Sorts one draw a number, so it is as stable as `bits`."""
    return np.argsort(bits(*key, np.arange(size)), kind="stable")
