"""What is left of a data layer after `close`: no memory, no descriptor, and a net that goes on where it was."""

import os
import shutil

import caffe
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers.commands.convert.convert import Conversion, Images, Origin, convert
from tests.layers.held import held
from tests.refusals import refused

SIZE = 96
NET = """
layer {{ name: "train_data"  type: "Python"  top: "data"
  python_param {{ module: "caffe_pylayers"  layer: "ImageDataLayer"  param_str: "{options}" }} }}
"""


@pytest.fixture(scope="module")
def sources(photos, tmp_path_factory):
    """The photos in each format, all of one size."""
    folder = tmp_path_factory.mktemp("sources")
    made = {}
    for name, source_type, encode in (("bcf", "BCF", "png"), ("h5", "HDF5", "raw"), ("lmdb", "LMDB", "raw")):
        path = f"{folder}/photos.{name}"
        origin = Origin("CSV", photos.csv, root=str(photos.folder))
        convert(
            Conversion(origin, path, Images(source_type, (SIZE, SIZE), False, encode), False, 0, False), 1, False, print
        )
        made[source_type] = {"source_type": source_type, "source": path}
    made["CSV"] = {"source": photos.csv, "root": str(photos.folder), "resize": SIZE}
    return made


@pytest.mark.parametrize(
    "source_type, options, prefetch",
    [
        ("CSV", {"compressed": False}, 2),
        ("BCF", {"bcf_mode": "MEM"}, 2),
        ("BCF", {}, 0),
        ("HDF5", {}, 2),
        ("LMDB", {}, 2),
        ("BCF", {"bcf_mode": "MEM", "compressed": False}, 0),
        ("HDF5", {"compressed": False}, 0),
        ("CSV", {"compressed": False}, 0),
        ("LMDB", {"compressed": False}, 0),
        ("LMDB", {}, 0),
        ("BCF", {"bcf_mode": "MEM"}, 0),
    ],
)
def test_nothing_is_left(sources, tmp_path, source_type, options, prefetch):
    options = {**sources[source_type], **options, "batch_size": 5, "shuffle": True, "prefetch": prefetch}
    (tmp_path / "net.prototxt").write_text(NET.format(options=options))
    caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)  # what is imported and opened once
    caffe_pylayers.close()
    before = held()
    nets = [caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN) for _ in range(3)]
    batches = [net.forward()["data"].copy() for net in nets]
    assert held() - before
    for net in nets:
        net.layers[0].close()
    assert not held() - before
    following = [net.forward()["data"].copy() for net in nets]
    np.testing.assert_array_equal(batches[0], batches[1])
    np.testing.assert_array_equal(following[0], following[2])
    assert not np.array_equal(batches[0], following[0])
    caffe_pylayers.close()
    assert not held() - before


def test_what_changed_meanwhile_is_an_error(sources, tmp_path):
    path = tmp_path / "photos.bcf"
    shutil.copy(sources["BCF"]["source"], path)
    options = {"source_type": "BCF", "source": str(path), "bcf_mode": "MEM", "batch_size": 5}
    (tmp_path / "net.prototxt").write_text(NET.format(options=options))
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
    net.forward()
    net.layers[0].close()
    os.utime(path, (1, 1))
    with refused(caffe_pylayers.DataError, "photos.bcf has changed"):
        net.forward()
