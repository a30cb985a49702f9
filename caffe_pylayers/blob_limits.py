"""What a blob of Caffe can hold: float32 numbers, as many as an int counts."""

from typing import Any

#: Numbers of one blob: Caffe counts them in an int, and ends the process above that.
LARGEST_BLOB = 2**31 - 1

#: Blobs are float32, which holds every integer up to here.
LARGEST_LABEL = 1 << 24

#: The largest number in options and files: float32 holds the product of two of them, up to 3.4e38, and a batch of squares.
LARGEST_NUMBER = 1e18
#: The smallest number that is not 0: float32 would make 0, or a few digits, of a smaller one.
SMALLEST_NUMBER = 1e-37

#: What a message says of numbers that are :func:`too_large`.
NUMBER_RULE = f"of at most {LARGEST_NUMBER:g} in size"


def in_range(number: float) -> bool:
    """Whether float32 can be computed with a number: 0, or from SMALLEST_NUMBER to LARGEST_NUMBER in size.

    >>> in_range(0.0), in_range(-1e18), in_range(1e39), in_range(1e-50)
    (True, True, False, False)
    """
    return number == 0 or SMALLEST_NUMBER <= abs(number) <= LARGEST_NUMBER


def too_large(numbers: Any) -> Any:
    """Which numbers of an array are NaN, or infinite, or above LARGEST_NUMBER in size: bool of its shape."""
    return ~(abs(numbers) <= LARGEST_NUMBER)
