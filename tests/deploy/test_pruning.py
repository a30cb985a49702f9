"""Which layers, inputs and outputs a deployed net has."""

import pytest

from caffe_pylayers.caffe_files.nets import NetState, net_of
from caffe_pylayers.caffe_files.prototxt import parse
from caffe_pylayers.commands.deploy.inputs import input_shapes
from caffe_pylayers.commands.deploy.pruning import live_layers
from caffe_pylayers.errors import ConfigError
from tests.caffe_nets import layer_text, python_layer

DATA = layer_text("Data", [], ["data", "label"])
FC = layer_text("InnerProduct", ["data"], ["fc"], "inner_product_param { num_output: 4 }")
LOSS = layer_text("SoftmaxWithLoss", ["fc", "label"], ["loss"])
ACCURACY = layer_text("Accuracy", ["fc", "label"], ["accuracy"], "include { phase: TEST }")


def live(text, *outputs, stages=()):
    net = net_of(parse(text, "net.prototxt"), "net.prototxt")
    return live_layers(net.in_state(NetState("TEST", tuple(stages))), net.path, outputs)


def shown(found):
    return list(found.inputs), [layer.name[: -len("_layer")] for layer in found.layers], found.outputs


#: name -> (net, wanted outputs, (inputs, layers, outputs))
NETS = {
    "a classifier": (DATA + FC + LOSS + ACCURACY, [], (["data"], ["fc"], ["fc"])),
    "without a loss": (DATA + FC, [], (["data"], ["fc"], ["fc"])),
    "a probability": (
        DATA + FC + layer_text("Softmax", ["fc"], ["p"]) + ACCURACY,
        [],
        (["data"], ["fc", "p"], ["fc", "p"]),
    ),
    "the probability of a loss": (
        DATA + FC + layer_text("SoftmaxWithLoss", ["fc", "label"], ["loss", "p"]),
        ["p"],
        (["data"], ["fc", "loss"], ["p"]),
    ),
    "a part of it": (DATA + FC + layer_text("ReLU", ["fc"], ["r"]) + LOSS, ["fc"], (["data"], ["fc"], ["fc"])),
    "labels that are computed": (
        DATA + FC + layer_text("Power", ["label"], ["t"]) + layer_text("EuclideanLoss", ["fc", "t"], ["loss"]),
        [],
        (["data"], ["fc"], ["fc"]),
    ),
    "noise on labels": (
        DATA
        + FC
        + python_layer("LabelNoise", ["label"], ["n"], {"distribution": "uniform", "low": 0, "high": 1})
        + layer_text("Power", ["n"], ["t"])
        + layer_text("EuclideanLoss", ["fc", "t"], ["loss"]),
        [],
        (["data"], ["fc"], ["fc"]),
    ),
    "a branch that is silenced": (
        DATA
        + FC
        + layer_text("TanH", ["data"], ["t"])
        + layer_text("Silence", ["t"], ["none"]).replace('top: "none"', "")
        + LOSS,
        [],
        (["data"], ["fc"], ["fc"]),
    ),
    "stacked images": (
        layer_text("Data", [], ["data"])
        + FC
        + layer_text("Slice", ["fc"], ["a", "b"], "slice_param { axis: 0 }")
        + layer_text("ContrastiveLoss", ["a", "b", "data"], ["loss"]),
        [],
        (["data"], ["fc"], ["fc"]),
    ),
    "a slice of the samples that is an output": (
        DATA
        + FC
        + layer_text("Slice", ["fc"], ["a", "b"], "slice_param { axis: 0 }")
        + layer_text("TanH", ["a"], ["t"]),
        ["b"],
        (["data"], ["fc"], ["fc"]),
    ),
    "images joined": (
        python_layer("TripletDataLayer", [], ["a", "p", "n"], {"source": "x.csv"})
        + layer_text("Concat", ["a", "p", "n"], ["data"], "concat_param { axis: 0 }")
        + FC,
        [],
        (["data"], ["fc"], ["fc"]),
    ),
    "samples that are mixed": (
        DATA
        + FC
        + layer_text("Reshape", ["fc"], ["r"], "reshape_param { shape { dim: 4 dim: -1 } }")
        + layer_text("TanH", ["r"], ["t"]),
        [],
        (["data"], ["fc"], ["fc"]),
    ),
    "an autoencoder": (
        DATA + FC + layer_text("EuclideanLoss", ["fc", "data"], ["loss"]),
        [],
        (["data"], ["fc"], ["fc"]),
    ),
    "a teacher": (
        DATA
        + FC
        + layer_text("InnerProduct", ["data"], ["t"])
        + python_layer("KnowledgeDistillation", ["fc", "t"], ["loss"]),
        [],
        (["data"], ["fc"], ["fc"]),
    ),
    "a margin": (
        DATA
        + python_layer("MarginInnerProduct", ["data", "label"], ["s"], {"num_output": 3, "type": "DOUBLE"})
        + layer_text("SoftmaxWithLoss", ["s", "label"], ["loss"]),
        [],
        (["data"], ["s"], ["s"]),
    ),
    "a margin and its lambda": (
        DATA
        + python_layer("MarginInnerProduct", ["data", "label"], ["s", "lambda"], {"num_output": 3, "type": "DOUBLE"}),
        [],
        (["data"], ["s"], ["s"]),
    ),
    "an embedding": (
        DATA + FC + python_layer("MarginSoftmaxLoss", ["fc", "label"], ["loss"], {"num_output": 3}),
        [],
        (["data"], ["fc"], ["fc"]),
    ),
    "its scores": (
        DATA + FC + python_layer("MarginSoftmaxLoss", ["fc", "label"], ["loss", "s"], {"num_output": 3}),
        ["s"],
        (["data"], ["fc", "loss"], ["s"]),
    ),
    "an unknown loss": (
        DATA + FC + layer_text("Python", ["fc", "label"], ["l"], 'python_param { module: "m" layer: "L" }', 1),
        [],
        (["data"], ["fc"], ["fc"]),
    ),
    "regions": (
        layer_text("Data", [], ["data"])
        + layer_text("HDF5Data", [], ["rois", "label"])
        + python_layer("ROIPooling", ["data", "rois"], ["p"], {"pooled_h": 2, "pooled_w": 2})
        + layer_text("SoftmaxWithLoss", ["p", "label"], ["l"]),
        [],
        (["data", "rois"], ["p"], ["p"]),
    ),
}


@pytest.mark.parametrize("case", NETS)
def test_what_is_left(case):
    text, outputs, wanted = NETS[case]
    assert shown(live(text, *outputs)) == wanted


def test_phases_and_stages():
    rule = layer_text("TanH", ["fc"], ["t"], 'include { phase: TEST stage: "more" }')
    assert live(DATA + FC + rule).outputs == ["fc"]
    found = live(DATA + FC + rule, stages=["more"])
    assert found.outputs == ["t"]
    assert all(name not in layer.message for layer in found.layers for name in ("include", "param", "loss_weight"))


def test_towers_that_are_joined_are_outputs():
    text = (
        layer_text("Input", [], ["a", "b"])
        + layer_text("TanH", ["a"], ["x"])
        + layer_text("TanH", ["b"], ["y"])
        + layer_text("Concat", ["x", "y"], ["both"], "concat_param { axis: 0 }")
    )
    found = live(text)
    assert shown(found) == (["a", "b"], ["x", "y"], ["x", "y"])
    assert [why for _, why in found.left_out] == ["it mixes the samples of a batch"]


def test_pieces_of_a_batch_that_are_compared_are_outputs():
    """For a batch of one both would be the same image, and their difference 0."""
    text = (
        DATA
        + layer_text("Slice", ["data"], ["a", "b"], "slice_param { axis: 0 }")
        + layer_text("TanH", ["a"], ["x"])
        + layer_text("TanH", ["b"], ["y"])
        + layer_text("Eltwise", ["x", "y"], ["difference"], "eltwise_param { coeff: 1 coeff: -1 }")
        + layer_text("Eltwise", ["a", "x"], ["same"])
    )
    found = live(text)
    assert shown(found)[2] == ["x", "y", "same"]
    assert ("difference_layer", "it mixes the samples of a batch") in [
        (layer.name, why) for layer, why in found.left_out
    ]


def test_an_output_that_is_named_twice_comes_once():
    assert live(DATA + FC, "fc", "fc").outputs == ["fc"]


def test_a_parameter_is_no_input(tmp_path):
    net = live(DATA + layer_text("Parameter", [], ["w"]) + layer_text("Eltwise", ["data", "w"], ["y"]))
    with pytest.raises(ConfigError) as refused:
        input_shapes(net.inputs, {"data": (3, 2, 2)}, None, "net.prototxt")
    assert "Parameter layer 'w_layer'" in refused.value.source and "--output" in refused.value.remedy


def test_why_a_layer_is_left_out():
    text = (
        DATA
        + FC
        + python_layer("LabelNoise", ["label"], ["n"], {"distribution": "uniform", "low": 0, "high": 1})
        + layer_text("Power", ["n"], ["t"])
    )
    assert [(layer.name, why) for layer, why in live(text).left_out] == [
        ("n_layer", "it is for training and tests"),
        ("t_layer", "it is behind layer 'n_layer'"),
    ]


@pytest.mark.parametrize("output", ["label", "loss", "fd", "data"])
def test_an_output_that_there_is_not(output):
    with pytest.raises(ConfigError) as refused:
        live(DATA + FC + LOSS, output)
    assert refused.value.option == "output"
    assert repr(output) in refused.value.problem
    assert "fc" in str(refused.value)


def test_a_net_without_outputs():
    with pytest.raises(ConfigError) as refused:
        live(DATA + ACCURACY.replace('"fc"', '"data"'))
    assert "--output" in refused.value.remedy
