"""What commands write over: only what they were told to, and never what they read or what somebody else made."""

import contextlib
import os
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.commands.convert.segments import write_segment
from caffe_pylayers.data.sources.bcf import write_bcf
from caffe_pylayers.data.sources.csv import write_csv
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.data.sources.records import Record
from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.files.output_file import output_file, private_name, refuse_existing

THESIS = "years of work"

PACKAGE = Path(__file__).parent.parent / "caffe_pylayers"


@pytest.fixture
def thesis(tmp_path):
    path = tmp_path / "thesis"
    path.write_text(THESIS)
    return path


def test_a_file_is_there_whole_or_not_at_all_and_not_written_through_a_link(tmp_path, thesis):
    path = str(tmp_path / "out")
    os.symlink(thesis, path)
    with pytest.raises(KeyError), output_file(path) as partial:
        (tmp_path / partial).write_text("half")
        raise KeyError
    assert os.path.islink(path)
    with output_file(path) as partial:
        (tmp_path / partial).write_text("whole")
    assert (tmp_path / "out").read_text() == "whole" and not os.path.islink(path)
    assert thesis.read_text() == THESIS
    assert sorted(os.listdir(tmp_path)) == ["out", "thesis"]
    assert private_name(path) != private_name(path)


def test_a_folder_too(tmp_path):
    path = tmp_path / "folder"
    for fails in (True, False):
        with contextlib.suppress(KeyError), output_file(str(path)) as partial:
            os.mkdir(partial)
            (tmp_path / partial / "file").write_text("whole")
            if fails:
                raise KeyError
        assert os.listdir(tmp_path) == ([] if fails else ["folder"])
    assert (path / "file").read_text() == "whole"


def test_what_must_last_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        do = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *arguments, name=name, do=do: calls.append(name) or do(*arguments))
    for durable in (True, False):
        with output_file(str(tmp_path / "out"), durable) as partial:
            (tmp_path / partial).write_text("whole")
    assert calls == ["fsync", "replace", "replace"]


#: A function that writes records to a path, and what must not be there then.
WRITERS = {
    "CSV": (lambda path, records: write_csv(path, records, f"{path}_images"), ["", "_images"]),
    "LMDB": (write_lmdb, [""]),
    "BCF": (write_bcf, ["", ".labels.npy", ".weights.npy"]),
    "HDF5": (write_hdf5, [""]),
    "segment": (lambda path, records: write_segment(path, range(3), lambda _: next(records).image, False), []),
}


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_is_left_of_what_breaks_off(tmp_path, name):
    write, pieces = WRITERS[name]

    def records(count):
        for number in range(count):
            yield Record(cv2.imencode(".png", np.zeros((2, 2, 3), np.uint8))[1].tobytes(), (1,), 0.5, f"{number}.png")
        if count < 3:
            raise KeyError

    path = str(tmp_path / "it")
    with pytest.raises(KeyError):
        write(path, records(2))
    assert os.listdir(tmp_path) == []
    write(path, records(3))
    written = {piece: (tmp_path / piece).stat().st_mtime_ns for piece in os.listdir(tmp_path)}
    assert written.keys() >= {f"it{piece}" for piece in pieces}
    for piece in pieces:
        for other in os.listdir(tmp_path):
            os.rename(tmp_path / other, tmp_path / f"{other}.away")
        (tmp_path / f"it{piece}").write_text(THESIS)
        with pytest.raises(DataError) as error:
            write(path, records(3))
        assert error.value.problem.startswith(f"{tmp_path}/it{piece} ") and "another name" in error.value.remedy
        os.remove(tmp_path / f"it{piece}")
        assert all(left.endswith(".away") for left in os.listdir(tmp_path))


def test_nobody_else_gives_a_file_its_name():
    """Those that are named move what is whole: an old log aside, and what a conversion made to its place."""
    moving = re.compile(r"\bos\.(replace|rename|fsync|link)\(|\bmkstemp\(|\bshutil\.move\(")
    found = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if moving.search(path.read_text())}
    assert found == {"files/output_file.py", "training/log.py", "commands/convert/unfinished.py"}


def test_what_is_read_is_never_overwritten(tmp_path, thesis):
    os.link(thesis, tmp_path / "same")
    for name in ("thesis", "same"):
        with pytest.raises(ConfigError) as error:
            refuse_existing([str(tmp_path / name)], True, (None, str(thesis), "none"))
        assert error.value.problem == f"{tmp_path / name} is also the input"
    with pytest.raises(ConfigError) as error:
        refuse_existing([str(tmp_path / "out"), str(tmp_path / "." / "out")], True)
    assert error.value.problem.startswith(f"{tmp_path}/out ") and "one of them" in error.value.remedy
    with pytest.raises(ConfigError) as error:
        refuse_existing([str(thesis)], False)
    assert error.value.problem.startswith(f"{thesis} ") and "--force" in error.value.remedy
    refuse_existing([str(thesis), str(tmp_path / "out")], True, [None])


def test_a_device_or_a_pipe_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("/dev/null", tmp_path / "null")
    for name in ("pipe", "null", "/dev/null"):
        with pytest.raises(ConfigError) as error:
            refuse_existing([str(tmp_path / name)], True)
        assert error.value.problem.startswith(f"{tmp_path / name} is not a file")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["export", "thesis", "--output", "thesis", "--force"], "thesis is also the input"),
        (["export", "net", "--net", "thesis", "--output", "thesis", "--force"], "thesis is also the input"),
        (["deploy", "train.prototxt", "net", "-o", "train", "--force"], "train.prototxt is also the input"),
        (["balance", "thesis", "--source-type", "CSV", "--plot", "thesis", "--force"], "thesis is also the input"),
        (
            ["balance", "net", "--source-type", "CSV", "--classes", "thesis", "--plot", "thesis", "--force"],
            "thesis is also the input",
        ),
        (
            ["balance", "net", "--source-type", "CSV", "--labels", "thesis", "--plot", "thesis", "--force"],
            "thesis is also the input",
        ),
        (
            ["balance", "net", "--source-type", "CSV", "--plot", "x", "--write-counts", "x", "--force"],
            "x is given for two files",
        ),
        (["preview", "train.prototxt", "--output", "train.prototxt", "--force"], "train.prototxt is also the input"),
        (["describe", "--markdown", "--output", "thesis"], "thesis is there already, and was not written by it"),
    ],
)
def test_commands_overwrite_nothing_of_the_users(tmp_path, thesis, command, arguments, message):
    (tmp_path / "net").write_text("net")
    net = (
        'layer { name: "in"  type: "Data"  top: "data"  top: "label" '
        'data_param { source: "none"  backend: LMDB  batch_size: 1 } }'
    )
    (tmp_path / "train.prototxt").write_text(net)
    status, _, err = command(*arguments)
    assert status == 2
    assert message in err
    assert thesis.read_text() == THESIS
    assert (tmp_path / "train.prototxt").read_text() == net
    assert sorted(os.listdir(tmp_path)) == ["net", "thesis", "train.prototxt"]


@pytest.mark.parametrize(
    "read", ["list.txt", "images/0.png", "a_lmdb/data.mdb", "mean.npy", "maps/0.png", "net.prototxt"]
)
@pytest.mark.parametrize("name, arguments", [("preview", ["--output"]), ("balance", ["--plot"])])
def test_what_the_data_layers_of_a_net_read_is_never_overwritten(tmp_path, command, name, arguments, read):
    images = [np.full((8, 8, 1), 90 * number, np.uint8) for number in range(3)]
    (tmp_path / "images").mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), image)
    (tmp_path / "list.txt").write_text("".join(f"{number}.png {number}\n" for number in range(3)))
    write_lmdb(str(tmp_path / "a_lmdb"), (Datum(image.tobytes(), 0, 1, 8, 8) for image in images))
    np.save(tmp_path / "mean.npy", np.zeros((1, 8, 8), np.float32))
    options = {"source": "list.txt", "root": "images", "batch_size": 3, "color": False, "mean_file": "mean.npy"}
    layer = "ImageDataLayer"
    if "lmdb" in read:
        options = {"source_type": "LMDB", "source": "a_lmdb", "batch_size": 3}
    if "maps" in read:
        shutil.copytree(tmp_path / "images", tmp_path / "maps")
        (tmp_path / "list.txt").write_text("".join(f"{number}.png ../maps/{number}.png\n" for number in range(3)))
        layer = "ImageMapDataLayer"
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "train_data" type: "Python" top: "data" top: "label" '
        f'python_param {{ module: "caffe_pylayers" layer: "{layer}" param_str: "{options}" }} }}'
    )
    (tmp_path / "solver.prototxt").write_text('net: "net.prototxt"')
    before = (tmp_path / read).read_bytes()
    status, _, err = command(name, "solver.prototxt", *arguments, read, "--force")
    assert (status, f"{read} is also the input; name another file to write" in err) == (2, True)
    assert (tmp_path / read).read_bytes() == before


def test_weights_that_a_loss_reads_are_made_anew(tmp_path, command):
    (tmp_path / "list.txt").write_text("a.png 0\na.png 0\na.png 1\n")
    (tmp_path / "weights.txt").write_text("1\n1\n")
    layer = 'layer {{ name: "{}" type: "Python" {} python_param {{ module: "caffe_pylayers" layer: "{}" param_str: "{}" }} }}'
    data = layer.format("in", 'top: "data" top: "label"', "ImageDataLayer", {"source": "list.txt"})
    blobs = 'bottom: "data" bottom: "label" top: "loss" loss_weight: 1'
    loss = layer.format("loss", blobs, "WeightedSoftmaxLoss", {"class_weights": "weights.txt"})
    (tmp_path / "net.prototxt").write_text(data + loss)
    status, _, err = command(
        "balance", "net.prototxt", "--rule", "balanced", "--write-weights", "weights.txt", "--force"
    )
    assert (status, err) == (0, "")
    assert [float(line) for line in (tmp_path / "weights.txt").read_text().split()] == [0.75, 1.5]


def test_describe_replaces_its_own_page(tmp_path, command):
    for _ in range(2):
        assert command("describe", "--markdown", "--output", "layers.md")[0] == 0
    assert os.listdir(tmp_path) == ["layers.md"]
