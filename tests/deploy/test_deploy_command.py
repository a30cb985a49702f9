"""`caffe-pylayers deploy`: the files that it writes, what it prints, and what it refuses."""

import json
import os
from pathlib import Path

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from caffe_pylayers.caffe_files.weights import LayerWeights, by_name, read_weights, write_weights
from caffe_pylayers.commands.deploy.deploy import deploy
from caffe_pylayers.errors import ConfigError, DataError
from tests.caffe_nets import layer_text, net_text, python_layer, write

FC = layer_text(
    "InnerProduct",
    ["x"],
    ["fc"],
    "param { lr_mult: 2 } inner_product_param { num_output: 4 weight_filler { type: 'xavier' } }",
)
UNIT = python_layer("L2Normalize", ["fc"], ["unit"])
LOSS = layer_text("SoftmaxWithLoss", ["unit", "label"], ["loss"])
INPUTS = {"x": (5, 3, 2, 2), "label": (5,)}
FILES = ["made.prototxt", "made.caffemodel", "made.json", "made.py"]


@pytest.fixture
def net(tmp_path, monkeypatch):
    """net.prototxt and w.caffemodel in the working directory; the net."""
    monkeypatch.chdir(tmp_path)
    write(net_text([FC, UNIT, LOSS], INPUTS), tmp_path)
    made = caffe.Net("net.prototxt", caffe.TEST)
    made.params["fc_layer"][0].data[...] = np.arange(48).reshape(4, 12)
    made.save("w.caffemodel")
    return made


def test_the_files(net, command):
    status, out, err = command("deploy", "net.prototxt", "w.caffemodel", "-o", "made", "--batch", "2")
    assert status == 0
    assert "Input layer 'x_layer' says nothing of images" in err and len(err.split("\n")) < 4
    assert sorted(os.listdir()) == sorted([*FILES, "net.prototxt", "w.caffemodel"])
    rows = [line.split() for line in out.splitlines()]
    assert ["loss_layer", "SoftmaxWithLoss", "left", "out:", "it", "is", "for", "training", "and", "tests"] in rows
    assert ["unit_layer", "L2Normalize", "is", "Normalize"] in rows
    assert "inputs: x (2 x 3 x 2 x 2)" in out and "outputs: unit" in out and "2 layers, 2 with weights" in out
    text = Path("made.prototxt").read_text()
    assert not any(word in text for word in ("lr_mult", "filler", "include", "Python", "label"))


def test_a_net_that_stays_as_it_is(net, command, tmp_path):
    write(net_text([FC], {"x": INPUTS["x"]}), tmp_path)
    status, out, _ = command("deploy", "net.prototxt", "w.caffemodel", "-o", "made")
    assert (status, out.splitlines()[0]) == (0, "inputs: x (5 x 3 x 2 x 2)")


def test_by_default_they_are_named_as_the_weights(net, command):
    assert command("deploy", "net.prototxt", "w.caffemodel")[0] == 0
    assert {"w_deploy.prototxt", "w_deploy.caffemodel", "w_deploy.json", "w_deploy.py"} < set(os.listdir())


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_there_stays(net, command, name):
    Path(name).write_text("mine")
    status, _, err = command("deploy", "net.prototxt", "w.caffemodel", "-o", "made")
    assert (status, f"{name} is there already; --force overwrites it" in err) == (2, True)
    assert sorted(os.listdir()) == sorted([name, "net.prototxt", "w.caffemodel"])
    assert Path(name).read_text() == "mine"
    assert command("deploy", "net.prototxt", "w.caffemodel", "-o", "made", "--force")[0] == 0
    assert Path(name).read_bytes() != b"mine"


def test_the_input_is_never_replaced(net, command):
    os.rename("w.caffemodel", "net.caffemodel")
    status, _, err = command("deploy", "net.prototxt", "net.caffemodel", "-o", "net", "--force")
    assert (status, "net.prototxt is also the input" in err) == (2, True)


def test_json(net, command):
    status, out, _ = command("deploy", "net.prototxt", "w.caffemodel", "-o", "made", "--stock", "--json")
    about = json.loads(out)
    assert (status, about["files"], about["outputs"]) == (0, FILES, ["unit"])
    assert about["replaced"] == [{"name": "unit_layer", "by": ["Reduction", "Power", "Scale"]}]
    assert about["inputs"] == {"x": [5, 3, 2, 2]}


def test_what_opencv_does_not_read_is_on_stderr(net, command, tmp_path):
    write(net_text([FC, layer_text("ArgMax", ["fc"], ["best"])], INPUTS), tmp_path)
    _, _, err = command("deploy", "net.prototxt", "w.caffemodel", "-o", "made")
    assert "OpenCV does not read layer 'best_layer' (type ArgMax)" in err
    assert "OpenCV" not in command("deploy", "net.prototxt", "w.caffemodel", "-o", "stock", "--stock")[2]


def test_a_solver(net, command):
    with open("solver.prototxt", "w") as file:
        file.write('net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1 solver_mode: CPU')
    assert command("deploy", "solver.prototxt", "w.caffemodel", "-o", "made")[0] == 0


@pytest.mark.parametrize("shape, words", [("y=1,2,2", "no input 'y'"), ("x=a", "--shape is written")])
def test_a_wrong_shape(net, command, shape, words):
    status, _, err = command("deploy", "net.prototxt", "w.caffemodel", "-o", "made", "--shape", shape)
    assert (status, words in err) == (2, True)


def test_a_foreign_python_layer(net, tmp_path):
    foreign = layer_text("Python", ["fc"], ["other"], 'python_param { module: "mine" layer: "Mine" }')
    path = write(net_text([FC, foreign], INPUTS), tmp_path)
    with pytest.raises(ConfigError) as refused:
        deploy(path, "w.caffemodel")
    assert refused.value.source.endswith(":5 Python layer 'other_layer'") and "--output" in refused.value.remedy
    assert [part.type for part in deploy(path, "w.caffemodel", ["fc"]).parts] == ["InnerProduct"]


WRONG = {
    "no weights": (
        [layer_text("InnerProduct", ["x"], ["other"], "inner_product_param { num_output: 4 }")],
        "no weights of layer 'other_layer'",
    ),
    "outputs": ([FC.replace("num_output: 4", "num_output: 5")], "num_output 5"),
    "no bias of a Scale": (
        [layer_text("Scale", ["x"], ["s"], "scale_param { bias_term: false }").replace("s_layer", "fc_layer")],
        "2 blobs",
    ),
    "no bias": ([FC.replace("num_output: 4", "num_output: 4 bias_term: false")], "2 blobs"),
    "no vectors": (
        [python_layer("NormalizedInnerProduct", ["x"], ["cos"], {"num_output": 4})],
        "no weights of layer 'cos_layer'",
    ),
    "other vectors": (
        [python_layer("NormalizedInnerProduct", ["x"], ["cos"], {"num_output": 5}).replace("cos_layer", "fc_layer")],
        "4 vectors, but the net has 5",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_weights_of_another_net(net, tmp_path, case):
    layers, problem = WRONG[case]
    path = write(net_text(layers, INPUTS), tmp_path, "other.prototxt")
    with pytest.raises(DataError) as refused:
        deploy(path, "w.caffemodel")
    assert problem in refused.value.problem and refused.value.remedy
    assert refused.value.source == "w.caffemodel"


#: (layer as trained, layer as it is now)
RESIZED = {
    "kernel": [("Convolution", f"convolution_param {{ num_output: 2 kernel_size: {size} }}") for size in (1, 2)],
    "slopes": [("PReLU", f"prelu_param {{ channel_shared: {shared} }}") for shared in ("true", "false")],
    "factors": [("Scale", f"scale_param {{ axis: {axis} }}") for axis in (1, 2)],
    "means": [("BatchNorm", ""), ("BatchNorm", "")],
}


@pytest.mark.parametrize("case", RESIZED)
@pytest.mark.parametrize("stock", [False, True])
def test_blobs_of_another_shape(tmp_path, case, stock, monkeypatch):
    """Caffe ends the process where it loads them."""
    monkeypatch.chdir(tmp_path)
    for name, channels, (kind, more) in zip(("trained", "now"), (3, 3 + (case == "means")), RESIZED[case]):
        text = net_text([layer_text(kind, ["x"], ["y"], more)], {"x": (1, channels, 5, 6)}, force_backward=False)
        write(text, tmp_path, f"{name}.prototxt")
    caffe.Net("trained.prototxt", caffe.TEST).save("w.caffemodel")
    deploy("trained.prototxt", "w.caffemodel", stock=stock)
    with pytest.raises(DataError) as refused:
        deploy("now.prototxt", "w.caffemodel", stock=stock)
    assert "blob 0 of shape" in refused.value.problem and refused.value.source == "w.caffemodel"


@pytest.mark.parametrize(
    "kind, more",
    [
        ("Convolution", "convolution_param { num_output: 2 kernel_size: 1 }"),
        ("InnerProduct", "inner_product_param { num_output: 2 }"),
    ],
)
def test_images_of_another_size_than_the_weights_are_for(net, tmp_path, kind, more):
    path = write(net_text([layer_text(kind, ["x"], ["y"], more)], INPUTS), tmp_path, "sized.prototxt")
    caffe.Net(path, caffe.TEST).save("sized.caffemodel")
    with pytest.raises(ConfigError) as refused:
        deploy(path, "sized.caffemodel", shapes={"x": (4, 2, 2)})
    assert f"{kind} layer 'y_layer'" in refused.value.source and "--shape" in refused.value.remedy


def test_layers_with_weights_behind_a_fixed_batch_are_not_lost(net, tmp_path):
    rows = layer_text("Reshape", ["x"], ["rows"], "reshape_param { shape { dim: 5 dim: -1 } }")
    text = net_text([layer_text("TanH", ["x"], ["t"]), rows, FC.replace('"x"', '"rows"')], INPUTS)
    path = write(text, tmp_path)
    with pytest.raises(ConfigError) as refused:
        deploy(path, "w.caffemodel")
    assert "InnerProduct layer 'fc_layer'" in refused.value.source and "'rows_layer'" in refused.value.problem
    assert deploy(path, "w.caffemodel", ["t"]).outputs == ["t"]
    write(text.replace("dim: 5 dim: -1", "dim: 0 dim: -1"), tmp_path)  # as the remedy says
    assert deploy(path, "w.caffemodel").outputs == ["t", "fc"]


def test_only_what_the_net_has_is_written(net, command):
    command("deploy", "net.prototxt", "w.caffemodel", "-o", "made", "--output", "fc")
    assert list(by_name(read_weights("made.caffemodel"))) == ["fc_layer"]
    found = caffe.Net("made.prototxt", "made.caffemodel", caffe.TEST)
    np.testing.assert_array_equal(found.params["fc_layer"][0].data, net.params["fc_layer"][0].data)


def test_written_weights_are_read_by_protobuf(tmp_path):
    layers = [
        LayerWeights("é", "Scale", [np.arange(3, dtype=np.float64), np.float32(2).reshape(())]),
        LayerWeights("b", "ReLU"),
    ]
    write_weights(str(tmp_path / "w.caffemodel"), layers)
    read = caffe_pb2.NetParameter.FromString((tmp_path / "w.caffemodel").read_bytes())
    assert [(layer.name, layer.type) for layer in read.layer] == [("é", "Scale"), ("b", "ReLU")]
    assert [(list(blob.shape.dim), list(blob.data)) for blob in read.layer[0].blobs] == [([3], [0, 1, 2]), ([], [2])]


def test_weights_of_an_old_caffe(net, tmp_path):
    """They have four axes, where today's Caffe has fewer."""
    model = caffe_pb2.NetParameter()
    with open("w.caffemodel", "rb") as file:
        model.ParseFromString(file.read())
    for layer in model.layer:
        for blob in layer.blobs:
            blob.num, blob.channels, blob.height, blob.width = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
            blob.ClearField("shape")
    with open("old.caffemodel", "wb") as file:
        file.write(model.SerializeToString())
    deploy("net.prototxt", "old.caffemodel").write("made.prototxt", "made.caffemodel")
    found = by_name(read_weights("made.caffemodel"))
    assert [blob.shape for blob in found["fc_layer"].blobs] == [(4, 12), (4,)]
