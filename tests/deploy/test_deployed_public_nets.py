"""Nets of the structure of well-known public ones, deployed, give what they give in Caffe: heads, crops, shared weights, old formats."""

import caffe
import numpy as np
import pytest

from caffe_pylayers.commands.deploy.deploy import deploy
from tests.checks.public_nets import NETS
from tests.deploy.against_caffe import by_caffe, by_opencv

#: What OpenCV does not read of a net.
NOT_READ = {"recurrent": {"Embed", "LSTM"}}


@pytest.mark.parametrize(
    "options", [{}, {"fold": True}, {"stock": True, "fold": True}], ids=["opencv", "fold", "stock"]
)
@pytest.mark.parametrize("name", sorted({*NETS} - {"alexnet"}))  # which reads a database
def test_a_public_net(tmp_path, name, options):
    path, weights = str(tmp_path / "trained.prototxt"), str(tmp_path / "trained.caffemodel")
    with open(path, "w") as file:
        file.write(NETS[name].net)
    caffe.set_random_seed(1)
    first = caffe.Net(path, caffe.TRAIN)
    for _ in range(3):
        first.forward()
    first.save(weights)
    net = caffe.Net(path, weights, caffe.TEST)
    net.forward()
    deployed = deploy(path, weights, batch=len(net.blobs[net.top_names["given"][0]].data), **options)
    files = str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel")
    deployed.write(*files)
    inputs = {blob: net.blobs[blob].data.copy() for blob in deployed.inputs}
    stock = "stock" in options
    if not stock and name in NOT_READ:
        assert {part.type for part, _ in deployed.unread} == NOT_READ[name]
        return
    assert stock or not deployed.unread
    found = (by_caffe if stock else by_opencv)(*files, deployed, inputs)
    assert found
    for blob, array in found.items():
        np.testing.assert_allclose(array, net.blobs[blob].data, atol=1e-4, rtol=1e-4, err_msg=blob)
