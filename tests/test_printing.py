"""What the user's own code prints while a command runs, in whatever process: it goes to stderr, and answers stay whole."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests import transcripts

PROGRAM = Path(sys.prefix) / "bin" / "caffe-pylayers"

# By print, by the original stream, by the descriptor, and by C's own buffered stream.
CHATTER = """
import ctypes, os, sys
def chatter(who):
    print(f"{who} says hello")
    print(f"{who} says hello to the terminal", file=sys.__stdout__)
    os.write(1, f"{who} writes\\n".encode())
    libc = ctypes.CDLL(None)
    libc.printf(f"{who} printf\\n".encode())
    libc.fflush(None)
"""
TRANSFORM = """
from chatter import chatter
chatter("transform module")
def loud(image, rng):
    chatter("transform")
    return image
class Loud:
    def __init__(self, labels, options):
        self.size = options.batch_size
    def batch(self, number):
        import numpy
        chatter("sampler")
        return (numpy.arange(self.size) + number)[:, None] % 12
"""
LAYER = """
import caffe
from chatter import chatter
chatter("layer module")
class Loud(caffe.Layer):
    def setup(self, bottom, top):
        chatter("layer")
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top):
        chatter("layer")
        top[0].data[...] = bottom[0].data
    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff
"""
# The Python that a test starts prints it before anything of ours runs; that line is the test's own.
SITE = """
import os, sys
print("sitecustomize says hello", flush=True)
os.write(1, b"sitecustomize writes\\n")
"""
FIRST_WORDS = "sitecustomize says hello\nsitecustomize writes\n"
NET = """
layer {{ name: "train_data"  type: "Python"  top: "data"  top: "label"
  python_param {{ module: "caffe_pylayers"  layer: "ImageDataLayer"  param_str: "{options}" }} }}
layer {{ name: "loud"  type: "Python"  bottom: "data"  top: "same"  python_param {{ module: "loud_layer"  layer: "Loud" }} }}
layer {{ name: "ip"  type: "InnerProduct"  bottom: "same"  top: "ip"
  inner_product_param {{ num_output: 3  weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss"  type: "SoftmaxWithLoss"  bottom: "ip"  bottom: "label"  top: "loss" }}
"""
SOLVER = (
    'net: "net.prototxt"  base_lr: 0.001  lr_policy: "fixed"  max_iter: 3  snapshot_prefix: "net"  solver_mode: CPU'
)


@pytest.fixture
def folder(tmp_path):
    for name, text in (("chatter", CHATTER), ("loud", TRANSFORM), ("loud_layer", LAYER), ("sitecustomize", SITE)):
        (tmp_path / f"{name}.py").write_text(text)
    for number in range(12):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((8, 8, 3), 20 * number, np.uint8))
    (tmp_path / "list.csv").write_text("".join(f"{number}.png,{number % 3}\n" for number in range(12)))
    options = {"source": "list.csv", "batch_size": 4, "transform": "loud:loud", "sampler": "loud:Loud", "prefetch": 2}
    (tmp_path / "net.prototxt").write_text(NET.format(options=options))
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    return tmp_path


def run(folder, *arguments):
    """The command's stdout behind the first words, and its stderr."""
    done = subprocess.run(
        [str(PROGRAM), *arguments],
        cwd=folder,
        env={**transcripts.environment(), "PYTHONPATH": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr
    assert done.stdout.startswith(FIRST_WORDS)
    return done.stdout[len(FIRST_WORDS) :], done.stderr


@pytest.mark.parametrize(
    "arguments, speakers",
    [
        (
            ["bench", "net.prototxt", "--workers", "0,1", "--seconds", "0.2", "--json"],
            ["transform", "sampler", "layer"],
        ),
        (["check", "solver.prototxt", "--json"], ["transform"]),
        (["preview", "net.prototxt", "--json"], ["transform", "sampler"]),
        (["balance", "net.prototxt", "--top", "label", "--batches", "2", "--json"], ["transform", "sampler"]),
        (["convert", "list.csv", "made.h5", "--json"], ["sitecustomize"]),
        (["balance", "made.h5", "--json"], ["sitecustomize"]),
        (["doctor", "--json"], []),
        (["describe", "ComputeH", "--json"], []),
    ],
    ids=lambda value: " ".join(value[:2]) if value and value[-1] == "--json" else None,
)
def test_json_is_json(folder, arguments, speakers):
    if "made.h5" in arguments and arguments[0] != "convert":
        run(folder, "convert", "list.csv", "made.h5")
    out, err = run(folder, *arguments)
    answer = json.loads(out)
    assert answer
    for speaker in speakers:
        assert f"{speaker} says hello" in err
    if arguments[0] == "check":
        assert "loud" not in json.dumps([finding for finding in answer["findings"] if finding["level"] == "error"])


def test_what_train_says(folder):
    out, err = run(folder, "train", "solver.prototxt", "--no-plot")
    assert out.splitlines()[0].startswith("trained 3 iterations: ")
    assert "says hello" not in out and "writes" not in out and "printf" not in out
    for speaker in ("transform", "sampler", "layer"):
        assert f"{speaker} says hello" in err and f"{speaker} says hello to the terminal" in err
        assert f"{speaker} writes" in err and f"{speaker} printf" in err


def test_hdf5_of_a_layer(folder):
    """The program that reads HDF5 answers a script's layer too."""
    run(folder, "convert", "list.csv", "made.h5")
    code = "from caffe_pylayers.data.sources import open_source; print(len(open_source('HDF5', 'made.h5')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**transcripts.environment(), "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "12"
