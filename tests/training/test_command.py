"""`caffe-pylayers train` as its user meets it: on a terminal, with bad numbers, with a layer that fails."""

import fcntl
import math
import os
import pty
import re
import struct
import subprocess
import termios

import psutil
import pytest

from caffe_pylayers.processes.blas import processor_flags
from caffe_pylayers.training import read_log
from tests.layers.runs import assert_gone, command_line
from tests.training import failing
from tests.training.runs import COMMAND, NO_GPU_99, ended


def test_on_a_terminal(folder):
    run = folder()
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 150, 0, 0))
    process = subprocess.Popen(
        [COMMAND, "train", "solver.prototxt"], cwd=run.path, stdin=child, stdout=child, stderr=child
    )
    os.close(child)
    printed = b""
    try:
        while True:
            printed += os.read(parent, 1 << 16)
    except OSError:  # the terminal is gone with its last program
        os.close(parent)
    assert process.wait() == 0
    text = printed.decode()
    assert re.search(r"100%\|█+\| 12/12 \[.*, loss = [\d.]+, lr = 0.0025, \d+ images/s, \d+% waiting\]", text)
    assert re.search(r"^Iteration 4, test loss = [\d.]+, test accuracy = [\d.]+\r$", text, re.MULTILINE) or re.search(
        r"Iteration 4, test accuracy = [\d.]+, test loss = [\d.]+", text
    )
    assert "Iteration 5, loss" not in text
    assert (run.snap / "net_loss.png").read_bytes().startswith(b"\x89PNG")


def test_lines_where_there_is_no_terminal(folder):
    run = folder(display=5)
    printed = run.train("--plot", "curve.png", "--log", "rows.csv")
    shown = re.findall(
        r"^Iteration (\d+), loss = [\d.]+, lr = [\d.]+, \d+ images/s, \d+% waiting, 0:\d\d left$", printed, re.MULTILINE
    )
    assert shown == ["0", "5", "10"]
    assert printed.endswith("trained 12 iterations: snap/net_iter_12.solverstate\nwritten: rows.csv, curve.png\n")
    assert sorted(path.name for path in run.path.iterdir()) == [
        "curve.png",
        "net.prototxt",
        "rows.csv",
        "snap",
        "solver.prototxt",
    ]
    assert {path.name for path in run.snap.iterdir()} == set(run.snapshots())


def test_a_layer_that_fails(folder):
    """What its author wrote is shown whole; no snapshot, no worker that runs on."""
    run = folder(more=failing.layer("later"), snapshot=2)
    printed = ended(run.fork(COMMAND, "train", "solver.prototxt", "--no-plot"), 2)
    assert_gone([psutil.Process(pid) for pid in psutil.pids() if _is_worker_in(pid, run.path)])
    assert 'raise KeyError("a mistake of its author")' in printed
    assert (
        "caffe-pylayers: iteration 3: KeyError: 'a mistake of its author'\n"
        "the newest snapshot is snap/net_iter_2.solverstate\n"
    ) in printed
    assert len(run.rows()) == 1 + 3
    assert set(run.snapshots()) == {"net_iter_2.caffemodel", "net_iter_2.solverstate"}


def _is_worker_in(pid, folder) -> bool:
    """Whether it is a worker of a run in this folder; other tests may run beside this one."""
    try:
        process = psutil.Process(pid)
        return "caffe_pylayers worker" in command_line(process) and process.cwd() == str(folder)
    except psutil.Error:
        return False


def test_a_loss_that_is_no_number(folder):
    """It is told at once, goes on as Caffe does, and ends with status 1."""
    run = folder(more=failing.layer("infinite"), snapshot=2, max_iter=3, display=2)
    printed = run.train_here(status=1)
    assert printed.count("iteration 2: the loss is inf, and the weights are useless from here on") == 1
    assert "lower base_lr or set clip_gradients" in printed
    assert "--resume snap/net_iter_2.solverstate continues from before that" in printed
    assert run.rows()[3][1] == "inf"


def test_a_terminal_that_is_closed_does_not_end_it(folder):
    run = folder()
    process = run.fork(COMMAND, "train", "solver.prototxt", "--no-plot", "--no-check")
    process.stdout.close()
    assert process.wait(200) == 0
    assert len(run.rows()) == 1 + 12 + 1
    assert (run.snap / "net_iter_12.solverstate").exists()


def test_an_earlier_run_is_told_of_and_its_log_is_kept(folder):
    run = folder(max_iter=2, snapshot=0)
    assert "an earlier run" not in run.train_here()
    first = (run.snap / "net_log.csv").read_bytes()
    assert "an earlier run left snap/net_iter_2.solverstate: --resume continues from it" in run.train_here()
    assert (run.snap / "net_log.csv.old").read_bytes() == first
    assert "nothing to do: iteration 2 of max_iter 2; raise max_iter to go on" in run.train_here("--resume")
    run.write_solver(max_iter=4, snapshot=0)
    run.train_here("--resume")
    assert [row[0] for row in run.rows()] == ["iteration", "0", "1", "2", "3", "4"]


def test_what_check_finds_is_told_before_anything_begins(folder):
    run = folder()
    net = run.path / "net.prototxt"
    net.write_text(net.read_text().replace("'shuffle'", "'shufle'"))
    printed = run.train_here(check=True, status=2)
    assert "net.prototxt:5: error: layer 'train_data': unknown option 'shufle'; did you mean 'shuffle'?" in printed
    assert "caffe-pylayers: solver.prototxt: 1 error (above), so nothing was trained" in printed
    assert not list(run.snap.iterdir())


def test_a_layer_that_fails_at_set_up(folder):
    run = folder(more=failing.layer("set-up"))
    printed = run.train_here(status=2)
    assert "in setup\n    raise KeyError" in printed
    assert printed.endswith("caffe-pylayers: KeyError: 'a mistake at set-up'\n")
    assert not list(run.snap.iterdir())


def test_what_check_finds_stands_before_an_error_of_caffe(folder, monkeypatch):
    """Caffe's own does not name the layer."""
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(failing.__file__))
    run = folder(more=failing.layer("").replace('"Failing"', '"NeverMade"'))
    printed = run.train_here(check=True, status=2)
    found = printed.index("error: layer 'failing': its Python code fails: KeyError: 'a mistake of its maker'")
    assert found < printed.index("Traceback (most recent call last)", found)
    assert re.search(r"caffe-pylayers: SystemError: .*\n$", printed)
    assert "SystemError" not in printed[:found]


@pytest.mark.stock_data
def test_a_net_of_old_without_a_layer_of_ours(folder, photos):
    """What nobody measures is not shown as 0."""
    run = folder(max_iter=2, type=None, test_iter=None, test_interval=None, test_initialization=None)
    solver = run.path / "solver.prototxt"
    solver.write_text(solver.read_text() + "solver_type: ADAM\n")
    (run.path / "net.prototxt").write_text(OLD_NET.format(photos.lmdb))
    printed = run.train_here()
    assert re.search(r"^Iteration 1, loss = [\d.]+, lr = 0.01, \d+ images/s, 0:00 left$", printed, re.MULTILINE)
    ours = run.snapshots()
    run.caffe()
    assert run.snapshots() == ours
    assert all(map(math.isnan, read_log(str(run.snap / "net_log.csv"))["waiting"]))


OLD_NET = """
layers {{ name: "photos"  type: DATA  top: "data"  top: "label"  transform_param {{ crop_size: 30 }}
  data_param {{ source: "{}"  backend: LMDB  batch_size: 3 }} }}
layers {{ name: "ip"  type: INNER_PRODUCT  bottom: "data"  top: "ip"  blobs_lr: 1  blobs_lr: 2
  inner_product_param {{ num_output: 5  weight_filler {{ type: "xavier"  }} }} }}
layers {{ name: "loss"  type: SOFTMAX_LOSS  bottom: "ip"  bottom: "label"  top: "loss" }}
"""


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "caffe-pylayers train: name the solver: caffe-pylayers train SOLVER\n"),
        (["solver.prototxt", "--log", "no/log.csv"], "caffe-pylayers: no/log.csv: there is no folder /"),
        (["solver.prototxt", "--plot", "no/loss.png"], "caffe-pylayers: no/loss.png: there is no folder /"),
        (
            ["solver.prototxt", "--plot", "thesis.png"],
            "caffe-pylayers: thesis.png is there already, but is not a plot of a training; give",
        ),
        (
            ["solver.prototxt", "--log", "thesis.png"],
            "caffe-pylayers: thesis.png: not the log of a training: its first column must be",
        ),
        (
            ["--resume", "solver.prototxt"],
            "caffe-pylayers: nothing to resume: no whole snap/net_iter_N.solverstate; snap has no .solv",
        ),
        (
            ["solver.prototxt", "--gpu", "-1"],
            "caffe-pylayers train: --gpu must be numbers of GPUs, each once, as in 0 or 0,1, not '-1'\n",
        ),
        (
            ["solver.prototxt", "--gpus", "1,1"],
            "caffe-pylayers train: --gpu must be numbers of GPUs, each once, as in 0 or 0,1, not '1,1'\n",
        ),
        (
            ["solver.prototxt", "--gpus", "99"],
            f"caffe-pylayers: GPU 99 is requested, but {NO_GPU_99}",
        ),
        (["net.prototxt"], "caffe-pylayers: net.prototxt:1: "),
    ],
)
def test_what_it_cannot_do(folder, arguments, message):
    run = folder()
    (run.path / "thesis.png").write_text("years of work")
    printed = run.here("train", "--no-check", *arguments, status=2)
    assert any(line.startswith(message.rstrip()) for line in printed.splitlines()), printed
    assert not list(run.snap.iterdir())
    assert (run.path / "thesis.png").read_text() == "years of work"


def test_an_openblas_that_does_not_know_the_processor(folder):
    told = ended(folder().start(COMMAND, "train", "solver.prototxt", OPENBLAS_CORETYPE="Prescott"))
    fast = processor_flags() >= {"avx2", "fma"}
    assert ("does not know this processor" in told) is fast
    assert ("; `export OPENBLAS_CORETYPE=" in told) is fast
