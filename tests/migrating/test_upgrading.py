"""Nets of older Caffes in today's form: the text says what Caffe itself makes of them."""

import caffe
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.caffe_files.edits import Edits
from caffe_pylayers.caffe_files.legacy_nets import TYPES, upgrade
from caffe_pylayers.caffe_files.prototxt import Message, PrototxtError, parse, text_of
from caffe_pylayers.commands.migrate.migrate import migrate
from caffe_pylayers.commands.migrate.upgrading import upgrade_text

V1 = """
name: "old"  # a net of 2014
input: "data"  # the images
input_dim: 2 input_dim: 3
input_dim: 8 input_dim: 8
layers {
  name: "conv1"  # the first
  type: CONVOLUTION
  bottom: "data"
  top: "conv1"
  blobs_lr: 1   # of the weights
  blobs_lr: 2
  weight_decay: 1
  weight_decay: 0  # none for the bias
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }
}
layers { bottom: "conv1" top: "conv1" name: "relu1" type: RELU }
layers { bottom: "conv1" top: "conv1" name: "relu2" type: 18 }
layers {
  name: "ip" type: INNER_PRODUCT bottom: "conv1" top: "ip"
  param: "w" param: "b" blobs_lr: [1, 2]
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } }
}
layers { name: "prob" type: SOFTMAX bottom: "ip" top: "prob" include: { phase: TEST } }
"""
DATA = """
layers {
  name: "data" type: DATA top: "data" top: "label"
  data_param { source: "lmdb" backend: LMDB batch_size: 2
    scale: 0.5  # of pixels
    mirror: true crop_size: 4 }
  %s
  include: { phase: TRAIN }
}
layers { name: "images" type: IMAGE_DATA top: "x" top: "y" image_data_param { source: "list" mean_file: "m" } }
"""
V0 = """
name: "oldest"
input: "data" input_dim: 2 input_dim: 3 input_dim: 8 input_dim: 8
layers {
  layer {
    name: "conv1"  # the first
    type: "conv" num_output: 4 kernelsize: 3 stride: 2 pad: 1
    weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.5 }
    blobs_lr: 1. blobs_lr: 2. weight_decay: 1. weight_decay: 0.
  }
  bottom: "data" top: "conv1"
}
layers { layer { name: "relu1" type: "relu" } bottom: "conv1" top: "conv1" }
layers { layer { name: "pool1" type: "pool" pool: AVE kernelsize: 2 stride: 2 } bottom: "conv1" top: "pool1" }
layers { layer { name: "norm1" type: "lrn" local_size: 3 alpha: 0.1 beta: 0.75 } bottom: "pool1" top: "norm1" }
layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.4 } bottom: "norm1" top: "norm1" }
layers { layer { name: "ip" type: "innerproduct" num_output: 3 biasterm: false weight_filler { type: "xavier" } } bottom: "norm1" top: "ip" }
layers { layer { name: "prob" type: "softmax" } bottom: "ip" top: "prob" }
"""


def moved(text, tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    (net,) = migrate(str(path))
    assert net.left == []
    return net.new


def in_any_order(net):
    return [sorted(text_of(Message([field])) for field in layer.fields) for layer in net.messages("layer")]


@pytest.mark.parametrize("text", [V1, DATA % "", DATA % "transform_param { mirror: true }  # there"])
def test_the_text_says_what_the_upgrade_says(text, tmp_path):
    new = moved(text, tmp_path)
    expected, _ = upgrade(parse(text), "net")
    assert in_any_order(parse(new)) == in_any_order(expected)
    assert [line.split("#")[1] for line in text.splitlines() if "#" in line] == [
        line.split("#")[-1] for line in new.splitlines() if "#" in line
    ]
    assert moved(new, tmp_path) == new


_SPECS = st.lists(
    st.sampled_from(['blobs_lr: 1', 'blobs_lr: 2', 'weight_decay: 0', 'weight_decay: 1  # w\n', 'param: "p"', "blobs_lr: [3, 4]", "blob_share_mode: STRICT"]),
    max_size=6,
)  # fmt: skip


@given(specs=_SPECS, between=st.sampled_from([" ", "\n", "\n  # a comment\n  "]))
def test_any_params_become_those_of_today(specs, between):
    text = between.join(["layers {", 'name: "x"', "type: POWER", *specs, 'bottom: "a" }'])
    edits = Edits(text)
    upgrade_text(parse(text), edits, "net")
    expected, _ = upgrade(parse(text), "net")
    assert in_any_order(parse(edits.result())) == in_any_order(expected)
    assert edits.result().count("#") == text.count("#")


@pytest.mark.parametrize("text", [V1, V0], ids=["of 2014", "of 2013"])
def test_caffe_makes_the_same_net_of_both(text, tmp_path):
    (tmp_path / "old.prototxt").write_text(text)
    (tmp_path / "new.prototxt").write_text(moved(text, tmp_path))
    nets = []
    for name in ("old", "new"):
        caffe.set_random_seed(1)
        nets.append(caffe.Net(str(tmp_path / f"{name}.prototxt"), caffe.TEST))
        nets[-1].blobs["data"].data[...] = np.random.default_rng(0).normal(size=(2, 3, 8, 8))
        nets[-1].forward()
    old, new = nets
    assert [(layer.type, [blob.data.shape for blob in layer.blobs]) for layer in old.layers] == [
        (layer.type, [blob.data.shape for blob in layer.blobs]) for layer in new.layers
    ]
    np.testing.assert_array_equal(old.blobs["prob"].data, new.blobs["prob"].data)


def test_rates_of_2013_stay(tmp_path):
    (conv, *_) = [layer for layer in parse(moved(V0, tmp_path)).messages("layer") if layer.get("name") == "conv1"]
    assert [(param.get("lr_mult"), param.get("decay_mult")) for param in conv.messages("param")] == [(1, 1), (2, 0)]


def test_a_layer_of_a_fork_in_an_old_net(tmp_path):
    new = moved(
        V1 + 'layers { name: "s" type: SHUFFLE_CHANNEL bottom: "conv1" top: "s" shuffle_channel_param { group: 2 } }',
        tmp_path,
    )
    assert 'layer: "ShuffleChannel"  param_str: "{\'group\': 2}"' in new


@pytest.mark.parametrize(
    "text, line, says",
    [
        ('layers { layer { name: "p"\n type: "padding" pad: 1 } bottom: "data" top: "p" }', 2, "pads"),
        ('layers { layer { name: "p" type: "conf" } bottom: "data" top: "p" }', 1, "'conf'"),
        ('layers { layer { name: "p" type: "interp" } bottom: "data" top: "p" }', 1, "Caffe had not"),
        ('layers { layer { name: "p" type: "relu" pad: 1 } bottom: "data" top: "p" }', 1, "'pad'"),
        ('layers { name: "a" type: RELU }\nlayer { name: "b" type: "ReLU" }', 2, "drops this `layer`"),
    ],
)
def test_what_cannot_be_upgraded_is_told(text, line, says, tmp_path):
    with pytest.raises(PrototxtError) as error:
        moved(text, tmp_path)
    assert error.value.line == line and says in error.value.problem and error.value.remedy


def test_the_types_are_those_of_the_caffe_that_is_here():
    assert set(caffe.layer_type_list()) <= set(TYPES)
