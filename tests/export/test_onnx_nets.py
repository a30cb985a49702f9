"""Whole nets in onnxruntime as in Caffe, at batches of 1, 2 and 7; and in OpenCV."""

import re

import pytest

from caffe_pylayers.caffe_files.nets import read_net
from caffe_pylayers.commands.export.onnx.export import export_onnx
from tests.caffe_models import folder_with_models
from tests.export.onnx_nets import compare, compare_in_opencv, made
from tests.export.topologies import TOPOLOGIES
from tests.pages import ROOT


def check_whole(folder, layers, inputs):
    """As the net is deployed, and every blob in it: probabilities alone may all be near 0 and 1."""
    net, prototxt, weights = made(str(folder), layers, inputs)
    deployed = export_onnx(prototxt, weights, str(folder / "net.onnx"))
    compare(net, deployed.path)
    compare_in_opencv(net, deployed.path)
    tops = list(dict.fromkeys(top for each in read_net(prototxt).layers for top in each.tops if each.bottoms))
    whole = export_onnx(prototxt, weights, str(folder / "whole.onnx"), blobs=tops)
    assert deployed.checked_by and whole.checked_by
    assert compare(net, whole.path, outputs=tops) == set()  # no layer is dead


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_topologies(name, tmp_path):
    layers, shape = TOPOLOGIES[name]
    check_whole(tmp_path, list(layers()), {"data": shape})


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return folder_with_models(tmp_path_factory.mktemp("caffe")) / "models"


@pytest.mark.parametrize("name", ["bvlc_alexnet", "bvlc_googlenet", "bvlc_reference_rcnn_ilsvrc13"])
def test_models_of_caffe_with_an_eighth_of_their_channels(name, models, tmp_path):
    text = (models / name / "deploy.prototxt").read_text()
    text = re.sub(r"num_output: (\d+)", lambda number: f"num_output: {int(number[1]) // 8}", text)
    check_whole(tmp_path, [text], {})


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("prototxt_examples/*/deploy.prototxt")), ids=lambda path: path.parent.name
)
def test_examples(path, tmp_path):
    check_whole(tmp_path, [path.read_text()], {})
