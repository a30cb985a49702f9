"""Every layer gives on device arrays what it gives on NumPy's, and reads no blob in host memory, where that would copy it."""

import caffe
import numpy as np
import pytest

from caffe_pylayers.config import load
from tests.caffe_nets import one_pass
from tests.layers.layer_nets import CASES, RESUMING, net_of, passes


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST], ids=["TRAIN", "TEST"])
@pytest.mark.parametrize(("layer", "inputs", "options"), CASES + RESUMING, ids=str)
def test_device_arrays_give_the_same(layer, inputs, options, phase, on_device):
    for in_place in {False, load(layer, repr(options)).works_in_place()}:
        expected = passes(net_of(layer, inputs, options, phase, in_place))
        found = on_device(passes, net_of(layer, inputs, options, phase, in_place))
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("layer", "inputs", "options"), CASES, ids=str)
def test_no_blob_is_read_in_host_memory(layer, inputs, options, on_device, seen_by_the_host):
    for phase in (caffe.TRAIN, caffe.TEST):
        net = net_of(layer, inputs, options, phase)
        for _ in range(2):
            seen_by_the_host.clear()
            on_device(one_pass, net)
            assert seen_by_the_host == []


@pytest.mark.parametrize(
    ("layer", "inputs", "options"), RESUMING, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_a_snapshot_keeps_of_a_position_is_on_the_host(layer, inputs, options, on_device, seen_by_the_host):
    net = net_of(layer, inputs, options, caffe.TRAIN)
    (blob,) = net.params["top 0_layer"]
    seen_by_the_host.clear()
    on_device(one_pass, net)
    assert set(seen_by_the_host) == {("data", tuple(blob.shape))}
