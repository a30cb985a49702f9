"""Where Caffe keeps which copy of a blob is the newest. What changes on a GPU is in tests/gpu."""

import numpy as np
import pytest

from caffe_pylayers.config import Options
from caffe_pylayers.layers import synced_memory
from caffe_pylayers.layers.adapter import Layer
from caffe_pylayers.layers.synced_memory import AT_CPU, UNINITIALIZED, head_of
from tests.caffe_nets import build, layer_text

lies_as_expected = synced_memory._lies_as_expected


class WatchedOptions(Options):
    takes = ("x",)
    gives = ("y",)


class Watched(Layer):
    """Looks at its blobs by each way that leads to them."""

    schema = WatchedOptions
    found = {}

    def setup(self, bottom, top):
        super().setup(bottom, top)
        self.blobs.add_blob(3)
        self.blobs[0].data[...] = 1

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        self.found.update(
            bottom=lies_as_expected(bottom[0]), top=lies_as_expected(top[0]), blobs=lies_as_expected(self.blobs[0])
        )
        top[0].data[...] = bottom[0].data


@pytest.mark.parametrize("shape", [(1,), (2, 3), (2, 3, 4, 5), (1, 2, 3, 1, 2)], ids=str)
def test_every_way_to_a_blob(shape):
    Watched.found.clear()
    layer = layer_text("Python", ["x"], ["y"], f'python_param {{ module: "{__name__}" layer: "Watched" }}')
    net = build([layer], {"x": np.ones(shape)})
    net.forward()
    assert Watched.found == {"bottom": True, "top": True, "blobs": True}
    assert lies_as_expected(net.blobs["y"])
    (params,) = net.params.values()
    assert lies_as_expected(params[0])


def test_the_newest_is_where_it_was_written_last():
    net = build([layer_text("Power", ["x"], ["y"], "")], {"x": np.ones((2, 3))})
    net.blobs["x"].data[...] = 1
    assert head_of(net.blobs["x"]).value == AT_CPU
    assert head_of(net.blobs["y"]).value == UNINITIALIZED
    net.forward()
    assert head_of(net.blobs["y"]).value == AT_CPU


@pytest.mark.parametrize("shape, count", [((2, 3), 6), ((), 1)])
def test_what_is_no_blob_of_stock_caffe_is_told_from_one(shape, count):
    class Other:
        data = np.ones(shape, np.float32)

    other = Other()
    other.shape, other.count = shape, count
    assert not lies_as_expected(other)
    assert head_of(other) is None
