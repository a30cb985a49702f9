"""Pixels that are stored as height x width x channels."""

import h5py
import numpy as np
import pytest

from caffe_pylayers.caffe_files import nets
from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.commands.check.checking import check_files
from caffe_pylayers.commands.preview.fed_batch import fed_by
from caffe_pylayers.commands.preview.preview import preview_of
from caffe_pylayers.data.axes import axes_doubt
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests.stock_data_layers import parameters

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 40, 60, 3), np.uint8)

OURS = """layer {{ name: "train_data" type: "Python" top: "data"
  python_param {{ module: "caffe_pylayers" layer: "ImageDataLayer"
                  param_str: "{{'source_type': '{kind}', 'source': '{source}', 'batch_size': 8, 'scale': 0.01{more}}}" }} }}"""
NETS = {
    "LMDB": OURS.format(kind="LMDB", source="lmdb", more=""),
    "resized": OURS.format(kind="LMDB", source="lmdb", more=", 'resize': 24"),
    "HDF5": OURS.format(kind="HDF5", source="rows.h5", more=""),
    "stock Data": """layer { name: "stock" type: "Data" top: "data" data_param { source: "lmdb" batch_size: 8 backend: LMDB }
      transform_param { scale: 0.01 } }""",
    "stock HDF5Data": """layer { name: "stock" type: "HDF5Data" top: "data"
      hdf5_data_param { source: "list.txt" batch_size: 8 } }""",
}


def write(folder, images):
    """An LMDB, HDF5 and its list, whose axes are said to be channels, height, width."""
    write_lmdb(str(folder / "lmdb"), [Datum(image.tobytes(), 0, *image.shape) for image in images])
    with h5py.File(folder / "rows.h5", "w") as file:
        file["data"] = images
    (folder / "list.txt").write_text("rows.h5\n")


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("net", parameters(NETS, "stock Data"))
def test_check_and_preview_warn(net, transposed, tmp_path, monkeypatch):
    """And do not where the remedy that they print was followed."""
    monkeypatch.chdir(tmp_path)
    images = [image.transpose(2, 0, 1) for image in IMAGES] if transposed else IMAGES
    write(tmp_path, np.ascontiguousarray(images))
    (tmp_path / "net.prototxt").write_text(NETS[net])
    found = [
        finding for finding in check_files(["net.prototxt"], build=False).findings if "look like" in finding.message
    ]
    said = [
        line
        for line in preview_of(fed_by(nets.read_net("net.prototxt").layers[0], "TRAIN", [0])).findings
        if "look like" in line
    ]
    if transposed:
        assert found == said == []
        return
    ((finding,), (line,)) = found, said
    expected = (
        "numbers of channels x height x width = 40 x 60 x 3 look like height x width x channels: Caffe would see 40"
    )
    assert finding.level == "warning"
    assert expected in finding.message
    assert expected in line
    assert finding.remedy == "write each image as `image.transpose(2, 0, 1)`"
    assert line.endswith(finding.remedy)


@pytest.mark.parametrize("transposed", [False, True])
def test_npy_files_are_the_other_way_round(transposed, tmp_path, monkeypatch):
    """And where the remedy was followed nothing is said."""
    monkeypatch.chdir(tmp_path)
    for number, image in enumerate(IMAGES):
        np.save(tmp_path / f"{number}.npy", image if transposed else image.transpose(2, 0, 1))
    (tmp_path / "list.txt").write_text("".join(f"{number}.npy\n" for number in range(8)))
    (tmp_path / "net.prototxt").write_text(
        OURS.format(kind="CSV", source="list.txt", more=", 'color': 'any', 'resize': 24")
    )
    found = [str(finding) for finding in check_files(["net.prototxt"], build=False).findings]
    said = preview_of(fed_by(nets.read_net("net.prototxt").layers[0], "TRAIN", [0])).findings
    if transposed:
        assert found == said == []
        return
    for lines in (found, said):
        (line,) = (line for line in lines if "look like" in line)
        assert "height x width x channels = 3 x 40 x 60 look like channels x height x width: Caffe would see 60" in line
        assert "image.transpose(1, 2, 0)" in line


@pytest.mark.parametrize(
    ("shape", "whole", "doubted"),
    [
        ((40, 60, 3), False, True),
        ((28, 28, 1), True, True),
        ((60, 40, 4), True, True),
        ((3, 40, 60), True, False),
        ((3, 40, 3), True, False),
        ((1, 28, 28), True, False),
        ((512, 1, 1), False, False),
        ((512, 3, 3), False, False),
        ((64, 100, 1), False, False),
        ((40, 60, 30), True, False),
    ],
)
def test_vectors_feature_maps_and_signals_are_not_doubted(shape, whole, doubted):
    assert bool(axes_doubt(shape, whole)) == doubted
