"""Blobs in one memory: a layer in place on one of them changes the others in Caffe, and nowhere else."""

import caffe
import numpy as np
import pytest

from caffe_pylayers.commands.deploy.deploy import deploy
from caffe_pylayers.commands.export.onnx.export import export_onnx
from caffe_pylayers.errors import ConfigError
from tests.export.onnx_nets import compare, layer, made

IN_PLACE = layer("ReLU", "a", "a").replace("a_layer", "relu")


def net(sharing, reads, then=IN_PLACE):
    return [layer("TanH", "x", "t"), sharing, then, layer("Sigmoid", reads, "y"), layer("Sigmoid", "a", "z")]


SPLIT = layer("Split", "t", "a b")
#: name -> (layers, which blob is read under another name than that which was changed)
CHANGED = {
    "Split": net(SPLIT, "b"),
    "Flatten": net(layer("Flatten", "t", "a"), "t"),
    "Reshape": net(layer("Reshape", "t", "a", "reshape_param { shape { dim: 0 dim: -1 } }"), "t"),
    "Concat of one": net(layer("Concat", "t", "a"), "t"),
    "Slice of one": net(layer("Slice", "t", "a"), "t"),
    "a Flatten of a Split": net(SPLIT + layer("Flatten", "b", "f"), "f"),
}
UNCHANGED = {
    "it reads the changed one": net(SPLIT, "a"),
    "Dropout": net(SPLIT, "b", layer("Dropout", "a", "a").replace("a_layer", "drop")),
    "not in place": net(SPLIT, "b", layer("ReLU", "a", "r")),
    "read before": [
        layer("TanH", "x", "t"),
        layer("Flatten", "t", "a"),
        layer("Sigmoid", "a", "y"),
        layer("ReLU", "y", "y").replace("y_layer", "relu"),
    ],
    "Concat of two": net(layer("Concat", "t x", "a"), "t"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_numbers_that_another_program_does_not_have_are_refused(tmp_path, case):
    _, prototxt, weights = made(str(tmp_path), CHANGED[case], {"x": (2, 3, 4, 5)})
    for write in (lambda: deploy(prototxt, weights), lambda: export_onnx(prototxt, weights, str(tmp_path / "n.onnx"))):
        with pytest.raises(ConfigError) as refused:
            write()
        assert "ReLU layer 'relu'" in refused.value.source
        assert "shares its memory" in refused.value.problem and "read 'a'" in refused.value.remedy


def test_an_output_that_is_changed_is_refused(tmp_path):
    layers = [layer("TanH", "x", "t"), SPLIT, IN_PLACE]
    _, prototxt, weights = made(str(tmp_path), layers, {"x": (2, 3, 4, 5)})
    with pytest.raises(ConfigError, match="the output is 'b'"):
        export_onnx(prototxt, weights, str(tmp_path / "n.onnx"))
    found = export_onnx(prototxt, weights, str(tmp_path / "n.onnx"), blobs=["a"])
    assert [each.name for each in found.outputs] == ["a"]


def test_the_remedy_keeps_the_numbers(tmp_path):
    wanted = []
    for reads in "ba":
        (tmp_path / reads).mkdir()
        made_net, prototxt, weights = made(str(tmp_path / reads), net(SPLIT, reads), {"x": (2, 3, 4, 5)})
        made_net.blobs["x"].data[...] = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
        made_net.forward()
        wanted.append(made_net.blobs["y"].data.copy())
    np.testing.assert_array_equal(*wanted)
    written = export_onnx(prototxt, weights, str(tmp_path / "n.onnx"), blobs=["y", "z"])
    compare(caffe.Net(prototxt, weights, caffe.TEST), written.path, outputs=["y", "z"])


@pytest.mark.parametrize("case", UNCHANGED)
def test_others_are_as_in_caffe(tmp_path, case):
    made_net, prototxt, weights = made(str(tmp_path), UNCHANGED[case], {"x": (2, 3, 4, 5)})
    compare(made_net, export_onnx(prototxt, weights, str(tmp_path / "n.onnx"), blobs=["y"]).path, outputs=["y"])
    deploy(prototxt, weights, ["y"])
