"""Which numbers options and files may have, so that what is computed with them fits float32, the numbers of Caffe's blobs."""

from typing import Any

#: The largest number: float32 holds the product of two of them, up to 3.4e38, and a batch of squares.
LARGEST = 1e18
#: The smallest number that is not 0: float32 would make 0, or a few digits, of a smaller one.
SMALLEST = 1e-37

RULE = f"of at most {LARGEST:g} in size"


def in_range(number: float) -> bool:
    """Whether float32 can be computed with a number: 0, or from SMALLEST to LARGEST in size.

    >>> in_range(0.0), in_range(-1e18), in_range(1e39), in_range(1e-50)
    (True, True, False, False)
    """
    return number == 0 or SMALLEST <= abs(number) <= LARGEST


def too_large(numbers: Any) -> Any:
    """Which numbers of an array are NaN, or infinite, or above LARGEST in size: bool of its shape."""
    return ~(abs(numbers) <= LARGEST)
