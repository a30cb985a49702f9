"""Tops of some megabytes: the kernel may give them huge pages, and the numbers are the same."""

import os

import numpy as np
import pytest

from tests.processes.mappings import advised

HUGE = 2 << 20


@pytest.mark.parametrize("stacked", [False, True])
def test_large_tops_have_huge_pages_and_the_same_numbers(photos, data_net, stacked):
    options = {"source_type": "LMDB", "source": photos.lmdb, "resize": [400, 450], "mean_value": 7, "stacked": stacked}
    tops = ("data", "sim") if stacked else ("left", "right", "sim")
    large = data_net("SiameseDataLayer", tops, batch_size=4, **options)
    first = [blob.data.copy() for blob in large.blobs.values()]
    small = data_net("SiameseDataLayer", tops, batch_size=1, **options)
    rows = [[blob.data.copy() for blob in small.blobs.values()]]
    for _ in range(3):
        small.forward()
        rows.append([blob.data.copy() for blob in small.blobs.values()])
    for number, whole in enumerate(first):
        parts = [row[number] for row in rows]
        images = stacked and number == 0
        expected = np.concatenate([part[place::2] for place in (0, 1) for part in parts] if images else parts)
        np.testing.assert_array_equal(whole, expected)
    if os.path.exists("/sys/kernel/mm/transparent_hugepage"):
        for blob in list(large.blobs.values())[:-1]:
            assert advised(-(-blob.data.ctypes.data // HUGE) * HUGE)
