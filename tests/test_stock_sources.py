"""What Caffe's own data layers read: `check`, `balance` and Caffe take the same for wrong."""

import cv2
import h5py
import lmdb
import numpy as np
import pytest

from caffe_pylayers.caffe_files import nets
from caffe_pylayers.caffe_files.nets import NetState
from caffe_pylayers.commands.balance import net_labels
from caffe_pylayers.commands.check.check import check
from caffe_pylayers.commands.stock_sources import ImageList, hdf5_files
from caffe_pylayers.errors import DataError
from caffe_pylayers.processes.probe import ask_caffe

NET = """layer {{ name: "in"  type: "{type}"  top: "data"  top: "label"
  {param} {{ source: "source"  batch_size: 1 {more} }} }}"""

#: What is wrong: the type of layer, more of its parameters, and what lies at `source`, None where nothing does.
WRONG = {
    "no list": ("ImageData", "image_data_param", "", None),
    "an empty list": ("ImageData", "image_data_param", "", b""),
    "no list of files": ("HDF5Data", "hdf5_data_param", "", None),
    "an empty list of files": ("HDF5Data", "hdf5_data_param", "", b"\n"),
    "a file for a list": ("HDF5Data", "hdf5_data_param", "", "HDF5"),
    "a list of no file": ("HDF5Data", "hdf5_data_param", "", b"none.h5"),
    "a list of something else": ("HDF5Data", "hdf5_data_param", "", b"source"),
    "a file without labels": ("HDF5Data", "hdf5_data_param", "", b"data.h5"),
    "no database": ("Data", "data_param", "backend: LMDB", None),
    "an LMDB as LevelDB": ("Data", "data_param", "", "LMDB"),
    "a LevelDB as LMDB": ("Data", "data_param", "backend: LMDB", "LevelDB"),
}


def put(source, what):
    if isinstance(what, bytes):
        source.write_bytes(what)
    elif what == "HDF5":
        h5py.File(source, "w").close()
    elif what == "LMDB":
        lmdb.open(str(source)).close()
    elif what == "LevelDB":
        source.mkdir()
        (source / "CURRENT").touch()


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_wrong_everywhere(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    kind, param, more, what = WRONG[name]
    with h5py.File("data.h5", "w") as file:
        file["data"] = np.zeros((2, 3, 4, 4), np.float32)
    put(tmp_path / "source", what)
    (tmp_path / "net.prototxt").write_text(NET.format(type=kind, param=param, more=more))
    (found,) = check("net.prototxt", build=False)
    with pytest.raises(DataError) as error:
        net_labels.of_net(nets.read_net("net.prototxt"), NetState("TRAIN"))
    assert str(error.value) == f"{found.message}; {found.remedy}"
    assert not ask_caffe("import caffe\ncaffe.Net('net.prototxt', caffe.TRAIN)").ok


def test_a_list_as_caffe_reads_it(tmp_path):
    """Lines end with \\n alone, and a name may have spaces."""
    (tmp_path / "list").write_bytes("a b.png 3\r\nc\x0bd\u2028e.png -1\nf.png +2".encode())
    param = f'image_data_param {{ source: "{tmp_path}/list"  root_folder: "in/" }}'
    (tmp_path / "net").write_text(f'layer {{ name: "in"  type: "ImageData"  top: "x"  top: "y"  {param} }}')
    images = ImageList(nets.read_net(str(tmp_path / "net")).layers[0])
    assert [images.image(number) for number in range(3)] == ["in/a b.png", "in/c\x0bd\u2028e.png", "in/f.png"]
    assert images.labels() == [3, -1, 2]
    assert images.where(2) == f"{tmp_path}/list:3"


@pytest.mark.parametrize(
    "line", ["a.png", "a.png 1.5", "a.png --1", "a.png ²", "a.png 1_0", " 1", "a.png 1 ", "a.png " + "9" * 19]
)
def test_a_line_without_a_label(tmp_path, line):
    (tmp_path / "list").write_text(f"a.png 0\n{line}\n")
    param = f'image_data_param {{ source: "{tmp_path}/list" }}'
    (tmp_path / "net").write_text(f'layer {{ name: "in"  type: "ImageData"  top: "x"  top: "y"  {param} }}')
    images = ImageList(nets.read_net(str(tmp_path / "net")).layers[0])
    with pytest.raises(DataError) as error:
        images.labels()
    assert error.value.source.endswith("list:2") and "`path label`" in error.value.remedy


@pytest.mark.stock_data
def test_labels_that_no_layer_reads_need_not_be_there(tmp_path, monkeypatch):
    """As for an autoencoder, which Caffe trains."""
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("a.png", np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "list").write_text("a.png\na.png\n")
    param = 'image_data_param { source: "list"  batch_size: 1 }'
    (tmp_path / "net.prototxt").write_text(f'layer {{ name: "in"  type: "ImageData"  top: "x"  top: "y"  {param} }}')
    assert check("net.prototxt") == []
    assert ask_caffe("import caffe\ncaffe.Net('net.prototxt', caffe.TRAIN).forward()").ok


@pytest.mark.parametrize("block", [0, 512])
def test_an_hdf5_file_for_a_list_of_them(tmp_path, block):
    """MATLAB writes 512 bytes before its data."""
    h5py.File(tmp_path / "train.mat", "w", userblock_size=block).close()
    param = f'hdf5_data_param {{ source: "{tmp_path}/train.mat"  batch_size: 1 }}'
    (tmp_path / "net").write_text(f'layer {{ name: "in"  type: "HDF5Data"  top: "data"  {param} }}')
    with pytest.raises(DataError, match="is an HDF5 file") as error:
        hdf5_files(nets.read_net(str(tmp_path / "net")).layers[0])
    assert "into a text file" in error.value.remedy
