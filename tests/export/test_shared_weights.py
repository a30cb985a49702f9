"""Layers that share blobs have in every program the weights that Caffe gives them, also from the file of another net."""

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from caffe_pylayers.commands.deploy.deploy import deploy
from caffe_pylayers.commands.export.onnx.export import export_onnx
from caffe_pylayers.errors import DataError
from tests.deploy.against_caffe import by_opencv
from tests.export.onnx_nets import compare, layer, made

PARAMS = 'param { name: "w" } param { name: "b" } '
INPUTS = {"x": (2, 3, 7, 6), "z": (2, 3, 7, 6)}


def branches(first=PARAMS, second=PARAMS):
    convolution = "convolution_param { num_output: 4 kernel_size: 3 }"
    both = layer("Convolution", "x", "c", first + convolution), layer("Convolution", "z", "d", second + convolution)
    return [*both, layer("Eltwise", "c d", "y", "eltwise_param { coeff: 1 coeff: -1 }")]


def saved(tmp_path, layers, kept):
    """A net with the weights of one that shares none, of which only some layers are kept; and its files."""
    _, _, weights = made(str(tmp_path), branches("", ""), INPUTS)
    file = caffe_pb2.NetParameter()
    with open(weights, "rb") as read:
        file.ParseFromString(read.read())
    _, prototxt, _ = made(str(tmp_path), layers, INPUTS)
    left = [each for each in file.layer if each.name in kept]
    del file.layer[:]
    file.layer.extend(left)
    with open(weights, "wb") as written:
        written.write(file.SerializeToString())
    return caffe.Net(prototxt, weights, caffe.TEST), prototxt, weights


@pytest.mark.parametrize("kept", [["c_layer", "d_layer"], ["c_layer"], ["d_layer"]])
def test_as_caffe_loads_them(tmp_path, kept):
    made_net, prototxt, weights = saved(tmp_path, branches(), kept)
    np.testing.assert_array_equal(made_net.params["c_layer"][0].data, made_net.params["d_layer"][0].data)
    compare(made_net, export_onnx(prototxt, weights, str(tmp_path / "net.onnx")).path)
    fed = {
        name: np.random.default_rng(number).normal(size=shape) for number, (name, shape) in enumerate(INPUTS.items())
    }
    for name, array in fed.items():
        made_net.blobs[name].reshape(*array.shape)
        made_net.blobs[name].data[...] = array
    made_net.forward()
    deployed = deploy(prototxt, weights)
    files = tmp_path / "deployed.prototxt", tmp_path / "deployed.caffemodel"
    deployed.write(*map(str, files))
    found = by_opencv(*files, deployed, {name: array.astype(np.float32) for name, array in fed.items()})
    np.testing.assert_allclose(found["y"], made_net.blobs["y"].data, atol=1e-5)


def test_a_layer_that_shares_one_of_two_blobs_must_be_there(tmp_path):
    _, prototxt, weights = saved(tmp_path, branches(second='param { name: "w" } param { lr_mult: 2 } '), ["c_layer"])
    for write in (lambda: deploy(prototxt, weights), lambda: export_onnx(prototxt, weights, str(tmp_path / "n.onnx"))):
        with pytest.raises(DataError, match="d_layer"):
            write()
