"""Pipes, devices, sockets and folders where a file is asked for: an error at once, never a wait or a read without end."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from caffe_pylayers.caffe_files import nets, prototxt
from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.caffe_files.snapshots import read_state
from caffe_pylayers.caffe_files.weights import read_weights
from caffe_pylayers.commands.balance import net_labels
from caffe_pylayers.commands.check.check import check
from caffe_pylayers.commands.convert.replacing import old_pieces
from caffe_pylayers.commands.convert.segments import Segment
from caffe_pylayers.commands.convert.targets import BCFTarget
from caffe_pylayers.commands.preview.preview import is_preview
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.data.formats import guessed_format
from caffe_pylayers.data.samplers.graph import read_graph
from caffe_pylayers.data.samplers.graph.__main__ import _load
from caffe_pylayers.data.samplers.lists import _rows
from caffe_pylayers.data.sources import open_source, sources_of
from caffe_pylayers.data.sources.index import cached
from caffe_pylayers.data.sources.lmdb import read_table, write_lmdb
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.class_names import read_class_names
from caffe_pylayers.files.counts import read_counts
from caffe_pylayers.files.matrix import read_matrix
from caffe_pylayers.files.mean import read_mean
from caffe_pylayers.training.log import TrainingLog, read_log
from caffe_pylayers.training.parameter import read_parameter
from tests.data.mutations import SPECIAL_FILES, make_special_file
from tests.layers.runs import assert_gone, command_line
from tests.transcripts import environment

SECONDS = 120


def a_source(path):
    """Three images without labels."""
    names = [f"{path}.{number}.png" for number in range(3)]
    for name in names:
        with open(name, "wb") as file:
            file.write(cv2_png())
    with open(f"{path}.list", "w") as file:
        file.write("".join(f"{name}\n" for name in names))
    return open_source("CSV", f"{path}.list")


def with_maps(path, line, **options):
    """Open a list with that line in which the path is named, and read its record; `{good}` is an image."""
    good = f"{a_source(f'{path}.source').path[:-5]}.0.png"
    with open(f"{path}.pairs", "w") as file:
        file.write(line.format(good=good, path=path))
    schema = SCHEMAS["ImageMapDataLayer"](**{"source": f"{path}.pairs", **options})
    for source in sources_of(schema):
        source.read(0)


def cv2_png():
    import cv2

    return cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()


def an_image(path):
    with open(f"{path}.list", "w") as file:
        file.write(f"{path}\n")
    open_source("CSV", f"{path}.list").read(0)


def a_database(path):
    """A folder whose data.mdb it is."""
    folder = f"{path}.folder"
    os.mkdir(folder)
    os.symlink(path, f"{folder}/data.mdb")
    return folder


def a_small_database(path):
    write_lmdb(f"{path}.images", [Datum(cv2_png(), 0, encoded=True)])
    return f"{path}.images"


def listed(path):
    with open(f"{path}.list", "w") as file:
        file.write(f"{path}\n")
    return f"{path}.list"


def checked(text, path):
    """What check says of a net in which a file of that path is named."""
    with open(f"{path}.prototxt", "w") as file:
        file.write(text.replace("PATH", path).replace("LIST", f"{path}.list").replace("GOOD", f"{path}.good"))
    with open(f"{path}.list", "w") as file:
        file.write(f"{path} 0\n")
    with open(f"{path}.good", "w") as file:
        file.write(f"{a_source(f'{path}.source').path[:-5]}.0.png 0\n")
    findings = check(f"{path}.prototxt", build=False)
    raise ValueError("\n".join(map(str, findings)))


def layer(type, more):
    return f'layer {{ name: "in"  type: "{type}"  top: "data"  top: "label"  {more} }}'


READERS = {
    "CSV": lambda path: open_source("CSV", path),
    "CSV with a header": lambda path: open_source("CSV", path, header=True),
    "an image": an_image,
    "LMDB": lambda path: open_source("LMDB", path),
    "list of images with maps": lambda path: with_maps(path, "", source=path),
    "a map": lambda path: with_maps(path, "{good},{path}"),
    "weights of pixels": lambda path: with_maps(path, "{good},{good},{path}", weights=True),
    "LMDB of maps": lambda path: with_maps(
        path, "", source_type="LMDB", source=a_small_database(path), maps=a_database(path)),
    "HDF5 with maps": lambda path: with_maps(path, "", source_type="HDF5", source=path),
    "data.mdb of an LMDB": lambda path: open_source("LMDB", a_database(path)),
    "LMDB of labels": lambda path: read_table(a_database(path)),
    "BCF": lambda path: open_source("BCF", path),
    "BCF in memory": lambda path: open_source("BCF", path, bcf_mode="MEM"),
    "HDF5": lambda path: open_source("HDF5", path),
    "HDF5 list": lambda path: open_source("HDF5", listed(path)),
    "labels": lambda path: open_source("CSV", a_source(path).path, labels=path),
    "sample weights": lambda path: open_source("CSV", a_source(path).path, sample_weights=path),
    "mean": lambda path: read_mean(path, None),
    "counts": lambda path: read_counts(path, 3),
    "matrix": lambda path: read_matrix(path, 3),
    "graph": lambda path: read_graph(path, a_source(f"{path}.source"), "number"),
    "features for a graph": _load,
    "pairs": lambda path: _rows(path, (2, 3), "two names"),
    "class names": lambda path: read_class_names(path, 3),
    "net": lambda path: nets.read_net(path),
    "solver": lambda path: nets.read_solver(path),
    "solver for training": read_parameter,
    "prototxt": prototxt.read,
    "weights": read_weights,
    "log": read_log,
    "log to go on with": lambda path: TrainingLog(path, ["loss"], 3),
    "segment of a conversion": Segment.read,
    "check of ImageData's list": lambda path: checked(layer("ImageData", 'image_data_param { source: "PATH" }'), path),
    "check of ImageData's images": lambda path: checked(layer("ImageData", 'image_data_param { source: "LIST" }'), path),
    "check of HDF5Data's list": lambda path: checked(layer("HDF5Data", 'hdf5_data_param { source: "PATH" }'), path),
    "check of WindowData": lambda path: checked(layer("WindowData", 'window_data_param { source: "PATH" }'), path),
    "check of a mean": lambda path: checked(
        layer("ImageData", 'transform_param { mean_file: "PATH" }  image_data_param { source: "GOOD" }'), path),
    "check of Data": lambda path: checked(
        layer("Data", f'data_param {{ source: "{a_database(path)}"  backend: LMDB }}'), path),
    "check of our layer": lambda path: checked(
        layer("Python", 'python_param { module: "caffe_pylayers"  layer: "ImageDataLayer"  param_str: '
        "\"{'source': 'PATH', 'batch_size': 2}\" }"), path),
    "check of a net": lambda path: check(path),
    "labels of ImageData": lambda path: labels_of(layer("ImageData", 'image_data_param { source: "PATH" }'), path),
    "labels of HDF5Data": lambda path: labels_of(layer("HDF5Data", 'hdf5_data_param { source: "PATH" }'), path),
    "labels of HDF5Data's file": lambda path: list(net_labels._hdf5_labels("list", [path], "label")),
}  # fmt: skip

ENDINGS = {
    "mean": (".npy", ".binaryproto"), "counts": (".npy", ".txt"), "matrix": (".npy", ".binaryproto"),
    "labels": ("", ".npy"), "graph": (".json", ".npz"), "HDF5": (".h5", ".txt"), "weights": (".caffemodel", ".h5"),
    "HDF5 list": (".h5",), "HDF5 with maps": (".h5", ".txt"), "check of a mean": (".npy", ".binaryproto"),
}  # fmt: skip
CASES = [(name, ending) for name in READERS for ending in ENDINGS.get(name, ("",))]


def labels_of(text, path):
    with open(f"{path}.prototxt", "w") as file:
        file.write(text.replace("PATH", path))
    (stock,) = nets.read_net(f"{path}.prototxt").layers
    net_labels._READERS[stock.type](stock)


@pytest.fixture(autouse=True)
def at_once():
    """What waits, or reads without end, is ended and fails."""

    def give_up(*_):
        raise AssertionError(f"it takes more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", SPECIAL_FILES)
@pytest.mark.parametrize("name, ending", CASES, ids=["".join(case) for case in CASES])
def test_a_reader_says_what_it_is(tmp_path, name, ending, kind, capsys):
    path = str(tmp_path / f"it{ending}")
    make_special_file(kind, path)
    with pytest.raises((ValueError, OSError, SystemExit)) as error:
        READERS[name](path)
    assert path in f"{error.value} {capsys.readouterr().err}"


def test_a_state_of_a_solver(tmp_path):
    path = str(tmp_path / "it.solverstate")
    make_special_file("pipe", path)
    with pytest.raises(DataError) as error:
        read_state(path)
    assert path in str(error.value) and "a pipe" in error.value.problem


def test_where_anything_else_will_do_it_is_passed_over(tmp_path):
    path = str(tmp_path / "it.bcf")
    make_special_file("pipe", path)
    assert guessed_format(path, "--source-type") == "BCF"
    assert not is_preview(path)
    assert cached(str(tmp_path / "it"), (1,), lambda: None, lambda: False) is None
    make_special_file("pipe", f"{tmp_path}/it.caffe_pylayers.npz")
    assert cached(str(tmp_path / "it"), (1,), lambda: None, lambda: False) is None
    shutil.move(path, f"{tmp_path}/it.provenance.json")
    with pytest.raises(DataError) as error:
        old_pieces(BCFTarget(str(tmp_path / "it")), force=True)
    assert error.value.problem.startswith(f"{tmp_path}/it.provenance.json ")
    assert error.value.remedy == "move it away"


NET = """
layer { name: "train_data"  type: "Python"  top: "data"  top: "label"  python_param { module: "caffe_pylayers"
  layer: "ImageDataLayer"  param_str: "{'source': 'SOURCE', 'batch_size': 2, 'prefetch': PREFETCH}" } }
layer { name: "scores"  type: "InnerProduct"  bottom: "data"  top: "scores"  inner_product_param { num_output: 2 } }
layer { name: "loss"  type: "SoftmaxWithLoss"  bottom: "scores"  bottom: "label"  top: "loss" }
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "pipe"],
        ["check", "net.prototxt"],
        ["check", "ahead.prototxt"],
        ["check", "listed.prototxt"],
        ["check", "good.prototxt", "--weights", "pipe"],
        ["balance", "pipe", "--source-type", "CSV"],
        ["balance", "pipe", "--source-type", "HDF5"],
        ["balance", "pipe.prototxt"],
        ["balance", "net.prototxt"],
        ["convert", "pipe", "it.bcf", "--source-type", "CSV"],
        ["convert", "pipe", "it.bcf", "--source-type", "LMDB"],
        ["convert", "listed.txt", "it.bcf"],
        ["export", "pipe"],
        ["deploy", "pipe", "good.txt"],
        ["deploy", "good.prototxt", "pipe"],
        ["preview", "pipe"],
        ["preview", "listed.prototxt"],
        ["preview", "ahead.prototxt"],
        ["bench", "pipe"],
        ["bench", "listed.prototxt"],
        ["bench", "ahead.prototxt"],
        ["log", "pipe"],
        ["evaluate", "pipe", "w.caffemodel", "--blob", "x"],
        ["evaluate", "good.prototxt", "pipe", "--blob", "data"],
        ["evaluate", "features.npz"],
        ["evaluate", "features.npy"],
        ["train", "pipe"],
        ["train", "solver.prototxt", "--weights", "pipe"],
        ["train", "solver.prototxt", "--resume", "pipe"],
        ["train", "solver.prototxt", "--log", "pipe"],
        ["train", "solver.prototxt", "--plot", "pipe"],
    ],
    ids=" ".join,
)
def test_a_command_says_what_it_is(tmp_path, command, arguments):
    for name in ("pipe", "pipe.prototxt", "features.npy", "features.npz"):
        make_special_file("pipe", str(tmp_path / name))
    good = f"{tmp_path}/good"
    a_source(good)
    (tmp_path / "good.txt").write_text("".join(f"{good}.{number}.png {number % 2}\n" for number in range(3)))
    (tmp_path / "listed.txt").write_text(f"{good}.0.png 0\npipe 1\n")
    nets = {
        "good": ("good.txt", False),
        "net": ("pipe", False),
        "listed": ("listed.txt", False),
        "ahead": ("listed.txt", 2),
    }
    for name, (source, prefetch) in nets.items():
        text = NET.replace("SOURCE", f"{tmp_path}/{source}").replace("PREFETCH", str(prefetch))
        (tmp_path / f"{name}.prototxt").write_text(text)
    (tmp_path / "solver.prototxt").write_text(
        'net: "good.prototxt"  base_lr: 0.1  lr_policy: "fixed"  max_iter: 2  snapshot_prefix: "it"'
    )
    status, out, err = command(*arguments)
    assert status in (1, 2)
    assert "it is not a file but a pipe" in out + err
    if arguments[-2] in ("--log", "--plot"):
        assert f"{arguments[-2]} pipe: " in err and f"give another {arguments[-2]}" in err
    assert "Traceback" not in out + err


def stock_net(tmp_path, field):
    """Stock Data, or ImageData, with a pipe as its source, mean or lock, or as an image of its list."""
    good = str(tmp_path / "good")
    a_source(good)
    (tmp_path / "good.txt").write_text("".join(f"{good}.{number}.png 0\n" for number in range(3)))
    (tmp_path / "listed.txt").write_text("pipe 0\n" * 3)
    write_lmdb(str(tmp_path / "db"), [Datum(bytes(192), 0, 3, 8, 8)] * 3)
    make_special_file("pipe", str(tmp_path / "pipe"))
    if field == "lock":
        make_special_file("pipe", str(tmp_path / "db" / "lock.mdb"))
    source = {"source": "pipe", "image": "listed.txt"}.get(field, "good.txt")
    param = f'image_data_param {{ source: "{source}"  batch_size: 2 }}'
    if field == "lock":
        param = 'data_param { source: "db"  backend: LMDB  batch_size: 2 }'
    mean = 'transform_param { mean_file: "pipe" }' if field == "mean" else ""
    kind = "Data" if field == "lock" else "ImageData"
    (tmp_path / "stock.prototxt").write_text(
        f'layer {{ name: "in"  type: "{kind}"  top: "data"  top: "label"  {mean}  {param} }}\n'
        'layer { name: "ip"  type: "InnerProduct"  bottom: "data"  top: "ip"  inner_product_param { num_output: 2 } }\n'
        'layer { name: "loss"  type: "SoftmaxWithLoss"  bottom: "ip"  bottom: "label"  top: "loss" }'
    )


@pytest.mark.parametrize("field", ["source", "mean", "lock"])
@pytest.mark.parametrize(
    "arguments", [["preview"], ["bench"], ["balance", "--top", "label", "--batches", "1"]], ids=lambda words: words[0]
)
def test_caffe_is_not_left_to_wait_for_a_pipe(tmp_path, command, arguments, field):
    stock_net(tmp_path, field)
    status, _, err = command(arguments[0], "stock.prototxt", *arguments[1:])
    assert status == 2
    assert "ayer 'in': " in err and "it is not a file but a pipe" in err


@pytest.mark.parametrize("name", ["preview", "bench"])
def test_caffe_that_waits_ends_with_the_command(tmp_path, name):
    """An image of a list that is a pipe is Caffe's to open; a command that is killed leaves nothing that waits there."""
    stock_net(tmp_path, "image")
    process = subprocess.Popen(
        [sys.executable, "-m", "caffe_pylayers", name, "stock.prototxt"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    waiting = []
    while not waiting:
        assert process.poll() is None
        waiting = [child for child in psutil.Process(process.pid).children() if "caffe.Net" in command_line(child)]
        time.sleep(0.05)
    time.sleep(1)  # in which it comes to the pipe
    process.kill()
    process.wait()
    assert_gone(waiting)
