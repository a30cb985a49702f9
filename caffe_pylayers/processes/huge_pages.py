"""Pages of 2 MB for large arrays, as NumPy asks for with its own: to write such an array then takes a fifth less."""

import ctypes
import sys

import numpy as np

_HUGE = 2 << 20
_DONTNEED, _HUGEPAGE = 4, 14  # advice of Linux


def want_huge_pages(array: np.ndarray) -> None:
    """Let the kernel use huge pages for an array of ordinary memory, whose numbers are lost: they become 0.

    No effect on what is smaller than two such pages, and where the system has none.
    """
    madvise = getattr(ctypes.CDLL(None), "madvise", None)
    if madvise is None or sys.platform != "linux":
        return
    begin = -(-array.ctypes.data // _HUGE) * _HUGE
    size = (array.ctypes.data + array.nbytes) // _HUGE * _HUGE - begin
    if size <= 0:
        return
    place, length = ctypes.c_void_p(begin), ctypes.c_size_t(size)
    if madvise(place, length, _HUGEPAGE) == 0:
        madvise(place, length, _DONTNEED)  # the small pages, so that those that come next are huge
