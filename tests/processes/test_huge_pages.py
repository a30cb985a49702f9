"""Huge pages: asked for where they can be, and nothing around them is touched."""

import mmap
import os

import numpy as np
import pytest

from caffe_pylayers.processes.huge_pages import want_huge_pages
from tests.processes.mappings import advised

HUGE = 2 << 20


@pytest.mark.parametrize("start, size", [(0, 8 * HUGE), (4096, 5 * HUGE), (HUGE - 4, 3 * HUGE + 8), (100, HUGE)])
def test_only_whole_huge_pages_of_the_array_are_given_up(start, size):
    memory = np.frombuffer(mmap.mmap(-1, 10 * HUGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.uint8)
    memory[:] = 7
    array = memory[start : start + size]
    want_huge_pages(array)
    begin = -(-array.ctypes.data // HUGE) * HUGE
    end = (array.ctypes.data + size) // HUGE * HUGE
    lost = np.zeros(len(memory), bool)
    if end > begin and os.path.exists("/sys/kernel/mm/transparent_hugepage"):  # else the kernel has none
        first = begin - memory.ctypes.data
        lost[first : first + end - begin] = True
        assert advised(begin)
    np.testing.assert_array_equal(memory, np.where(lost, 0, 7))


def test_small_and_empty_arrays_stay():
    for array in (np.ones(0, np.float32), np.ones(5, np.float32), np.ones(300_000, np.float32)):
        want_huge_pages(array)
        assert (array == 1).all()
