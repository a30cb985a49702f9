"""The tables for a GPU, made without one, to see that they are made."""

from itertools import islice

import numpy as np

from caffe_pylayers.layers import device
from tests.bench import on_gpu


def test_losses_are_compared_with_caffes_own_and_with_the_host():
    rows = list(islice(on_gpu.compared(device.HOST, on_gpu.SHAPES[:1], 1), 4))
    assert [row.reach for row in rows] == ["<= 2", "<= 0.2"] * 2
    assert all(np.isfinite(row.ratio) and row.ratio > 0 for row in rows)
    assert rows[0].what.startswith("WeightedSoftmaxLoss 256x1000")
    assert rows[1].what == rows[0].what + ", host path"


def test_a_fed_net_is_measured():
    alone, fed = on_gpu.feeding(gpu=None, images=70, seconds=0.1, workers=[1])
    assert alone.what == "the net alone"
    assert fed.what.startswith("fed by 1 workers: ") and np.isfinite(fed.ratio)
