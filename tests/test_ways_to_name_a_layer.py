"""A layer of this package is known by every command, whichever way a net names it."""

import importlib
import json
import sys

import caffe
import numpy as np
import pytest

from caffe_pylayers.caffe_files.nets import NetState, read_net
from caffe_pylayers.commands.balance.net_labels import of_net
from caffe_pylayers.commands.bench.run import closing, run_net
from caffe_pylayers.commands.check.checking import check_files
from caffe_pylayers.commands.export.blob_shapes import Blob, shapes_of
from caffe_pylayers.commands.layer_files import files_read
from caffe_pylayers.commands.preview.fed_batch import fed_by
from caffe_pylayers.processes.boot import fork, status_of
from tests.checks.good_nets import write_good

#: Module and layer, each the same layer.
WAYS = {
    "the package": ("caffe_pylayers", "MultiLabelDataLayer"),
    "another name": ("caffe_pylayers", "MultiLabelLayer"),
    "its module": ("caffe_pylayers.layers.data_layers", "MultiLabelDataLayer"),
}
OPTIONS = {"source": "train.csv", "batch_size": 4, "multilabel": True, "label_dim": 5, "scale": 0.5}
STOCK = """layer { name: "stock"  type: "ImageData"  top: "image"  top: "number"
  image_data_param { source: "images.txt"  batch_size: 4 } }
"""


def data_layer(way, **options):
    module, layer = WAYS[way]
    return (
        f'layer {{ name: "own"  type: "Python"  top: "data"  top: "label"  python_param {{ module: "{module}"  layer: "{layer}"\n'
        f"  param_str: {json.dumps(repr({**OPTIONS, **options}))} }} }}\n"
    )


@pytest.fixture
def net(tmp_path, monkeypatch):
    """A function: text -> the net, in a folder with data."""
    write_good(tmp_path)
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "own.prototxt").write_text(text)
        return read_net("own.prototxt")

    return write


@pytest.mark.parametrize("way", WAYS)
def test_check_reads_its_options_and_data(way, net):
    net(data_layer(way, batchsize=4))
    (finding,) = check_files(["own.prototxt"]).findings
    assert finding.message.startswith("unknown option 'batchsize'")
    net(data_layer(way, label_dim=3))
    (finding,) = check_files(["own.prototxt"]).findings
    assert "has label 4, but 'label_dim' is 3" in finding.message
    net(data_layer(way))
    report = check_files(["own.prototxt"])
    assert (report.findings, report.skipped, report.sources) == ([], [], 1)


@pytest.mark.parametrize("way", WAYS)
def test_balance_counts_its_labels(way, net):
    assert of_net(net(data_layer(way)), NetState()).counts.tolist() == [2] * 5


@pytest.mark.parametrize("way", WAYS)
def test_preview_knows_its_records(way, net):
    fed = fed_by(net(data_layer(way)).layers[0], "TRAIN", [0])
    assert (fed.kind, fed.names["data"]) == ("MultiLabelDataLayer", ["0.png", "1.png", "2.png", "3.png"])
    assert fed.labels["data"].tolist() == [[0], [1], [2], [3]]
    assert fed.prepared["data"].words == "x * 0.5"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.stock_data
def test_bench_takes_it_before_one_of_caffes(way, net):
    with closing(run_net(net(STOCK + data_layer(way)), NetState(), None)[0]) as run:
        assert run.layer is not None
        assert run.layer.name == "MultiLabelDataLayer"


@pytest.mark.parametrize("way", WAYS)
def test_what_it_reads_is_not_written_over(way, net, tmp_path):
    assert {str(tmp_path / "train.csv"), str(tmp_path / "9.png")} <= set(files_read(net(data_layer(way)).layers))


@pytest.mark.parametrize("module", ["caffe_pylayers", "caffe_pylayers.layers.feature_layers"])
def test_export_knows_its_shape(module, net):
    text = f"""
        layer {{ name: "in"  type: "Input"  top: "x"  input_param {{ shape {{ dim: 1  dim: 3  dim: 4  dim: 5 }} }} }}
        layer {{ name: "unit"  type: "Python"  bottom: "x"  top: "y"
          python_param {{ module: "{module}"  layer: "L2Normalize" }} }}"""
    assert shapes_of(net(text).layers, {})[1][1] == [Blob((3, 4, 5))]


@pytest.mark.parametrize("way", WAYS)
def test_caffe_makes_it(way, net):
    made = caffe.Net(net(data_layer(way)).path, caffe.TEST)
    made.forward()
    assert np.argmax(made.blobs["label"].data, 1).ravel().tolist() == [0, 1, 2, 3]


OTHERS = [
    ("caffe_pylayers", "ImageDataLayers", "caffe_pylayers has no layer 'ImageDataLayers'", "did you mean 'ImageDataLayer'?"),
    ("caffe_pylayers.layers.data_layers", "ImageDataLayers", "has no 'ImageDataLayers'", "did you mean 'ImageDataLayer'?"),
    ("caffe_pylayers.layers.data_layers", "MultiLabelLayer", "has no 'MultiLabelLayer'", "did you mean 'MultiLabelDataLayer'?"),
    ("caffe_pylayers.errors", "ImageDataLayer", "has no 'ImageDataLayer'", "its classes: "),
    ("caffe_pylayers.data_layers", "ImageDataLayer", "cannot import module 'caffe_pylayers.data_layers'", 'is in `module: "caffe_pylayers"`'),
]  # fmt: skip


@pytest.mark.parametrize(("module", "layer", "says", "remedy"), OTHERS)
def test_what_is_not_there_is_told(module, layer, says, remedy, net):
    net(f'layer {{ name: "own"  type: "Python"  top: "x"  python_param {{ module: "{module}"  layer: "{layer}" }} }}')
    (finding,) = check_files(["own.prototxt"]).findings
    assert (finding.layer, finding.level) == ("own", "error")
    assert says in finding.message
    assert remedy in finding.remedy


def test_a_library_that_is_missing_is_named_with_the_way_to_a_remedy(tmp_path):
    """As opencv-python's libGL on a system without a desktop; in a fork, which imports the package again."""

    def attempt():
        for name in [name for name in sys.modules if name.startswith("caffe_pylayers")]:
            del sys.modules[name]
        del sys.modules["cv2"]
        (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
        sys.path.insert(0, str(tmp_path))
        try:
            importlib.import_module("caffe_pylayers").__getattr__("ImageDataLayer")
        except ImportError as error:
            (tmp_path / "said").write_text(str(error))

    assert status_of(fork(attempt)) == 0
    words = "libGL.so.1: cannot open shared object file; `caffe-pylayers doctor` says what to do"
    assert (tmp_path / "said").read_text() == words
