"""Whole nets in onnxruntime as in Caffe, at batches of 1, 2 and 7."""

import re

import pytest

from caffe_pylayers.caffe_files.nets import net_of
from caffe_pylayers.caffe_files.prototxt import parse
from tests.caffe_models import folder_with_models
from tests.export.onnx_nets import check
from tests.export.topologies import TOPOLOGIES
from tests.pages import ROOT


def check_whole(folder, layers, inputs):
    """As the net is deployed, and every blob in it: probabilities alone may all be near 0 and 1."""
    check(folder, layers, inputs)
    net = net_of(parse("".join(layers)), "net")
    tops = dict.fromkeys(top for layer in net.layers for top in layer.tops if layer.bottoms)
    assert check(folder, layers, inputs, blobs=list(tops)) == set()


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
