"""`check --weights`: what Caffe would make of a file of weights, compared with what Caffe does."""

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from caffe_pylayers.commands.check.check import check
from caffe_pylayers.commands.check.checking import check_files
from tests.checks.good_nets import DEPLOY, NET, write_good
from tests.checks.real_caffe import ending


@pytest.fixture
def good(tmp_path, monkeypatch):
    write_good(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trained(good):
    """The weights of the good net, as a snapshot has them."""
    caffe.Net("net.prototxt", caffe.TRAIN).save("net.caffemodel")
    return "net.caffemodel"


def found(*files, weights):
    return [(each.layer, each.level, each.message) for each in check_files(files, weights=weights).findings]


def stops(net, weights):
    """Whether Caffe stops at these weights."""
    return not ending(lambda: caffe.Net(net, caffe.TEST if "deploy" in net else caffe.TRAIN, weights=weights)).ok


def test_weights_of_the_net_itself_fit(good, trained):
    assert found("net.prototxt", weights=trained) == [
        ("train_data", "note", "net.caffemodel has its position: training continues from there in the data")
    ]


def test_a_layer_of_another_size_is_to_be_renamed(good, trained):
    (good / "net.prototxt").write_text(
        NET.replace("num_output: 5", "num_output: 7").replace("'n_classes': 5", "'n_classes': 7")
    )
    findings = [finding for finding in check("net.prototxt", weights=trained) if finding.level == "error"]
    assert [(each.layer, each.line) for each in findings] == [("scores", 29), ("scores", 29)]
    assert findings[0].message == "its weights in net.caffemodel are 5 x 200, but the net's are 7 x 200: Caffe stops"
    assert findings[1].message == "its bias in net.caffemodel are 5, but the net's are 7: Caffe stops"
    assert findings[0].remedy.startswith(
        'rename the layer, for example `name: "scores_new"`, to learn it from the start'
    )
    assert stops("net.prototxt", trained)
    (good / "net.prototxt").write_text(
        (good / "net.prototxt").read_text().replace('name: "scores"', 'name: "scores_new"')
    )
    assert not [finding for finding in check("net.prototxt", weights=trained) if finding.level == "error"]
    caffe.Net("net.prototxt", caffe.TRAIN, weights=trained)


def test_layers_without_weights_and_weights_without_layers_are_notes(good, trained):
    (good / "net.prototxt").write_text(NET.replace('name: "scores"', 'name: "scores_new"'))
    assert found("net.prototxt", weights=trained) == [
        ("", "note", "net.caffemodel has weights for layers that are not in the net, and Caffe ignores them: 'scores'"),
        ("train_data", "note", "net.caffemodel has its position: training continues from there in the data"),
        ("scores_new", "note", "net.caffemodel has no weights for it: it starts from its fillers"),
    ]


def test_a_position_in_weights_for_a_net_without_resume(good, trained):
    plain = NET.replace("  param { lr_mult: 0  decay_mult: 0 }\n", "").replace(", 'resume': True", "")
    (good / "net.prototxt").write_text(plain)
    (finding,) = check("net.prototxt", weights=trained)
    assert (finding.layer, finding.level) == ("train_data", "error")
    assert finding.message == "net.caffemodel has 1 blob (4) for it, but the layer has no blobs: Caffe stops"
    assert finding.remedy.startswith("they are its position in a run with 'resume': True: set this")
    assert stops("net.prototxt", trained)
    caffe.Net("net.prototxt", caffe.TRAIN).save("plain.caffemodel")
    (good / "net.prototxt").write_text(NET)
    (finding,) = check("net.prototxt", weights="plain.caffemodel")
    assert finding.message == "plain.caffemodel has no blobs for it, but the layer has 1 blob (4): Caffe stops"
    assert finding.remedy.startswith("they are from a run without 'resume': True: rename the layer")
    assert stops("net.prototxt", "plain.caffemodel")


def test_a_deploy_net_with_an_input_named_as_the_data_layer(good, trained):
    (good / "deploy.prototxt").write_text(DEPLOY.replace('name: "data"', 'name: "train_data"'))
    (finding,) = (each for each in check("deploy.prototxt", weights=trained) if each.level == "error")
    assert (finding.layer, finding.line) == ("train_data", 2)
    assert "rename this Input" in finding.remedy
    assert stops("deploy.prototxt", trained)


@pytest.mark.parametrize("shape", [(1, 1, 1, 5), (1, 1, 5, 1), (5,)])
def test_shapes_of_old_files_fit_where_caffe_copies_them(good, trained, shape):
    """A bias of 1 x 1 x 1 x 5 is 5 where the file is an old one, with num, channels, height, width."""
    weights = caffe_pb2.NetParameter.FromString((good / trained).read_bytes())
    matrix, bias = next(layer for layer in weights.layer if layer.name == "scores").blobs
    if len(shape) == 4:
        for blob, old in ((matrix, (1, 1, *matrix.shape.dim)), (bias, shape)):
            blob.ClearField("shape")
            blob.num, blob.channels, blob.height, blob.width = old
    (good / "old.caffemodel").write_bytes(weights.SerializeToString())
    wrong = [finding for finding in check("net.prototxt", weights="old.caffemodel") if finding.level == "error"]
    assert bool(wrong) == (shape == (1, 1, 5, 1)) == stops("net.prototxt", "old.caffemodel")
    if not wrong:
        net = caffe.Net("net.prototxt", caffe.TRAIN, weights="old.caffemodel")
        np.testing.assert_array_equal(net.params["scores"][1].data, np.array(bias.data, np.float32))


def test_a_shape_of_four_is_not_one_where_the_file_is_new(good, trained):
    weights = caffe_pb2.NetParameter.FromString((good / trained).read_bytes())
    bias = next(layer for layer in weights.layer if layer.name == "scores").blobs[1]
    bias.shape.dim[:] = [1, 1, 1, 5]
    (good / "new.caffemodel").write_bytes(weights.SerializeToString())
    (wrong,) = (finding for finding in check("net.prototxt", weights="new.caffemodel") if finding.level == "error")
    assert wrong.message == "its bias in new.caffemodel are 1 x 1 x 1 x 5, but the net's are 5: Caffe stops"
    assert stops("net.prototxt", "new.caffemodel")


def test_without_caffe_the_weights_are_said_to_be_unchecked(good, trained):
    report = check_files(["net.prototxt"], weights=trained, build=False)
    assert report.findings == []
    assert "not checked: shapes (--no-build); weights, for nets that are not set up" in report.summary


MEMORY = """
layer {{ name: "in"  type: "DummyData"  top: "embedding"  top: "label"  dummy_data_param {{ shape {{ dim: 4 dim: 3 }} shape {{ dim: 4 }} }} }}
layer {{ name: "loss"  type: "Python"  bottom: "embedding"  bottom: "label"  top: "loss"  loss_weight: 1
  param {{ lr_mult: 0  decay_mult: 0 }}  param {{ lr_mult: 0  decay_mult: 0 }}  param {{ lr_mult: 0  decay_mult: 0 }}
  python_param {{ module: "caffe_pylayers"  layer: "BatchPairLoss"  param_str: "type: contrastive, memory: {}" }} }}
"""


def test_a_memory_of_another_size_is_one_error(good):
    """Not errors of weights and bias, nor the note that training goes on with it."""
    (good / "net.prototxt").write_text(MEMORY.format(8))
    caffe.Net("net.prototxt", caffe.TRAIN).save("eight.caffemodel")
    assert found("net.prototxt", weights="eight.caffemodel") == [
        ("loss", "note", "eight.caffemodel has its memory: training continues from what is in it")
    ]
    (good / "net.prototxt").write_text(MEMORY.format(12))
    (finding,) = check_files(["net.prototxt"], weights="eight.caffemodel").findings
    assert (finding.layer, finding.level) == ("loss", "error")
    assert finding.message == (
        "its memory in eight.caffemodel has 3 blobs (8 x 3 and 8 and 8), but the net's has 3 blobs (12 x 3 and 12 and 8): Caffe stops"
    )
    assert (
        finding.remedy
        == 'rename the layer, for example `name: "loss_new"`, to begin with a new memory, or set its options as in that run'
    )
    assert stops("net.prototxt", "eight.caffemodel")
    for other in (MEMORY.format(8), MEMORY.format(12).replace('"loss"  type', '"loss_new"  type')):
        (good / "net.prototxt").write_text(other)
        assert not stops("net.prototxt", "eight.caffemodel")
        assert all(each.level == "note" for each in check_files(["net.prototxt"], weights="eight.caffemodel").findings)
