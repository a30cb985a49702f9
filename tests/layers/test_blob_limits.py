"""Tops that Caffe could not count: it ends the process there, we say which option to lower before it does."""

import subprocess
import sys

import caffe
import numpy as np
import psutil
import pytest

import caffe_pylayers
from caffe_pylayers.blob_limits import LARGEST_BLOB
from caffe_pylayers.errors import ConfigError
from tests.refusals import refused

LAYER = """
layer {{ name: "train_data"  type: "Python"  {tops}
  python_param {{ module: "caffe_pylayers"  layer: "{kind}"  param_str: "{options}" }} }}
"""


@pytest.fixture
def net(tmp_path):
    def make(kind, tops, before="", **options):
        names = " ".join(f'top: "{top}"' for top in tops)
        path = tmp_path / "net.prototxt"
        path.write_text(before + LAYER.format(tops=names, kind=kind, options=options))
        return caffe.Net(str(path), caffe.TRAIN)

    yield make
    caffe_pylayers.close()


@pytest.mark.parametrize("shape, survives", [((LARGEST_BLOB,), True), ((2**16, 2**15), False)])
def test_the_limit_is_that_of_caffe(tmp_path, shape, survives):
    """Nothing is allocated yet when a blob gets its shape."""
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "x"  type: "Input"  top: "x"  input_param { shape { dim: 1 } } }'
    )
    code = f"import caffe; caffe.Net('net.prototxt', caffe.TEST).blobs['x'].reshape(*{shape})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode == 0) == survives
    assert ("blob size exceeds INT_MAX" in done.stderr) != survives


@pytest.mark.parametrize(
    "kind, tops, options, numbers",
    [
        (
            "ImageDataLayer",
            ["data", "label"],
            {"batch_size": 10**7, "crop_size": 12, "source_type": "LMDB"},
            10**7 * 3 * 144,
        ),
        (
            "SiameseDataLayer",
            ["data", "sim"],
            {"batch_size": 10**7, "stacked": True, "crop_size": 10, "source_type": "LMDB"},
            2 * 10**7 * 3 * 100,
        ),
        (
            "TripletDataLayer",
            ["data"],
            {"batch_size": 10**7, "stacked": True, "crop_size": 8, "source_type": "LMDB"},
            3 * 10**7 * 3 * 64,
        ),
        (
            "TripletDataLayer",
            ["a", "p", "n"],
            {"batch_size": 10**7, "transform": "grown:grow", "source_type": "LMDB"},
            10**7 * 3 * 256,
        ),
    ],
)
def test_data_layers(net, photos, tmp_path, monkeypatch, kind, tops, options, numbers):
    """Where the options alone do not tell: images of an LMDB may have one channel, those of a transform any size."""
    (tmp_path / "grown.py").write_text(
        "def grow(image, rng):\n    return image.repeat(9, 0).repeat(9, 1)[:16, :16].copy()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    before = psutil.Process().memory_info().rss
    expected = f"(?s){kind}: a top of shape .* has {numbers} numbers, but a Caffe blob holds at most 2147483647; lower 'batch_size'"
    with pytest.raises(ConfigError, match=expected):
        net(kind, tops, source=photos.lmdb, **options)
    assert psutil.Process().memory_info().rss - before < 500e6


def test_a_smoothed_label_map(net):
    labels = (
        """layer { name: "label"  type: "Input"  top: "label"  input_param { shape { dim: 8  dim: 512  dim: 512 } } }"""
    )
    kind = "LabelSmoothing"
    text = LAYER.format(tops='bottom: "label"  top: "distribution"', kind=kind, options={"n_classes": 1100})
    with refused(ConfigError, "2306867200 numbers", remedy="'n_classes'", layer="LabelSmoothing"):
        net(kind, [], before=labels + text, n_classes=2)


def test_no_more_workers_than_batches_ahead(net, photos, caplog):
    fed = net(
        "ImageDataLayer",
        ["data"],
        source=photos.csv,
        root=str(photos.folder),
        batch_size=4,
        resize=8,
        prefetch=2,
        workers=5,
    )
    fed.forward()
    assert len(psutil.Process().children()) == 2
    (warning,) = [entry.getMessage() for entry in caplog.records if "workers" in entry.getMessage()]
    assert warning == (
        "ImageDataLayer: option 'workers' is 5, but only 2 are started: 'prefetch' is 2 batches, and each worker makes one at a "
        "time; raise 'prefetch' or lower 'workers'"
    )
    alone = net("ImageDataLayer", ["data"], source=photos.csv, root=str(photos.folder), batch_size=4, resize=8)
    alone.forward()
    np.testing.assert_array_equal(fed.blobs["data"].data, alone.blobs["data"].data)
