"""`caffe-pylayers log` on what stock `caffe train` and `caffe-pylayers train` wrote."""

import csv
import math
import os
import re
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.commands.log.findings import findings
from caffe_pylayers.commands.log.log import log
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.output_file import is_made_here
from caffe_pylayers.training import read_log
from caffe_pylayers.training.plot import MADE_BY
from tests.layers.runs import CAFFE
from tests.training.events import shown
from tests.training.runs import ended

PER_CLASS = """layer { name: "each"  type: "Accuracy"  bottom: "scores"  bottom: "label"  top: "top2"  top: "each"
  include { phase: TEST  stage: "each" }  accuracy_param { top_k: 2 } }
"""


@pytest.fixture(scope="module")
def run(module_folder):
    """12 iterations of `caffe train`, with two test nets: caffe.log; 14 from the state at 10 on: resumed.log."""
    run = module_folder(
        "logs", average_loss=1, test_iter="3  test_iter: 2", test_state='{ }  test_state { stage: "each" }'
    )
    net = run.path / "net.prototxt"
    net.write_text(net.read_text() + PER_CLASS)
    run.log, run.resumed = run.path / "caffe.log", run.path / "resumed.log"
    run.log.write_text(run.caffe())
    run.caffes = run.snapshots()
    text = (run.path / "solver.prototxt").read_text()
    (run.path / "solver.prototxt").write_text(text.replace("max_iter: 12", "max_iter: 14"))
    os.mkdir(run.path / "glog")
    command = (CAFFE, "train", "--solver=solver.prototxt", "--snapshot=snap/net_iter_10.solverstate")
    ended(run.start(*command, GLOG_minloglevel="0", GLOG_log_dir=str(run.path / "glog")))
    (file,) = (run.path / "glog").glob("*.log.INFO.*")
    shutil.copy(file, run.resumed)
    (run.path / "solver.prototxt").write_text(text)
    return run


def numbers(one):
    return {(iteration, name): number for iteration, row in one.rows.items() for name, number in row.numbers.items()}


@pytest.fixture(scope="module")
def ours(run):
    """The rows of the log that `caffe-pylayers train` writes of the same training, and what it shows."""
    shown = run.train_here()
    assert run.snapshots() == {**run.snapshots(), **run.caffes}
    (run.path / "ours.log").write_text(shown)
    return read_log(str(run.snap / "net_log.csv"))


def test_it_has_the_numbers_and_columns_of_train(run, ours):
    """Caffe writes six digits. At the end it writes the loss of the next iteration too."""
    (one,) = log([str(run.log)])
    whole = {
        (int(iteration), name): column[row]
        for name, column in ours.items()
        for row, iteration in enumerate(ours["iteration"])
        if name not in ("iteration", "images_per_s", "waiting", "cached") and not math.isnan(column[row])
    }
    found = {key: number for key, number in numbers(one).items() if key[1] != "iterations_per_s"}
    assert set(found) - set(whole) == {(12, "loss")} and not set(whole) - set(found)
    assert {name for _, name in found} >= {
        "loss",
        "lr",
        "train accuracy",
        "test0 accuracy",
        "test1 accuracy",
        "test1 top2",
        "test1 each[0]",
    }
    for key in whole:
        assert found[key] == pytest.approx(whole[key], rel=1e-5, abs=1e-12), key
    assert all(speed > 0 for _, speed in one.numbers("iterations_per_s").items())
    assert [finding.text for finding in findings(one)] == ["it ended: Optimization Done."]


def test_what_train_shows_and_its_csv(run, ours):
    one, table = log([str(run.path / "ours.log"), str(run.snap / "net_log.csv")])
    for (iteration, name), number in numbers(one).items():
        within = {"images_per_s": 0.51, "waiting": 0.006}.get(name, 0)
        if name not in ("images_per_s", "waiting"):  # the line has a mean of some iterations
            assert number == pytest.approx(table.rows[iteration].numbers[name], rel=1e-5, abs=within), name
    assert findings(one)[-1].text.startswith("it ended: trained 12 iterations: snap/net_iter_12.solverstate")
    assert findings(table) == [] and len(table.rows) == 13
    assert table.columns == [name for name in ours if name not in ("iteration", "cached")]


def test_what_train_shows_among_the_lines_of_caffe(run, folder):
    """With GLOG_minloglevel=0 both are there."""
    caffe, ours = run.log.read_text().splitlines(), ["Iteration 4, loss = 9, lr = 9, 9 images/s, 0:00 left", "x"]
    both = run.path / "both.log"
    both.write_text("\n".join(line for number, line in enumerate(caffe) for line in (line, ours[number % 2])) + "\n")
    assert numbers(log([str(both)])[0]) == numbers(log([str(run.log)])[0])


def test_a_run_that_was_resumed_is_one(run):
    (one,) = log([str(run.resumed), str(run.log)])
    assert list(one.rows) == list(range(15))
    assert one.rows[9].place.source == str(run.log) and one.rows[10].place.source == str(run.resumed)
    assert [finding.text for finding in findings(one)] == ["it ended: Optimization Done."] * 2
    in_one = run.path / "in_one.log"
    in_one.write_bytes(run.log.read_bytes() + run.resumed.read_bytes())
    assert numbers(log([str(in_one)])[0]) == numbers(one)


@given(st.data())
def test_a_log_that_is_cut_anywhere_has_no_other_numbers(run, data):
    """At its end, as of a process that was killed or a full disk, also if the next one writes behind it; or at its start."""
    whole = numbers(log([str(run.log)])[0])
    # Without the lines of the nets, which are most.
    text = b"".join(
        line for line in run.log.read_bytes().splitlines(True) if b"solver.cpp" in line or b"caffe.cpp" in line
    )
    begin = text.index(b"Iteration")
    at = data.draw(st.integers(begin, len(text)))
    cut = run.path / "cut.log"
    for kept in (text[:at], text[at:]):
        cut.write_bytes(kept)
        try:
            runs = log([str(cut)])
        except DataError as error:
            assert error.source == str(cut)
            continue
        assert len(runs) == 1
        assert numbers(runs[0]).items() <= whole.items()
    cut.write_bytes(text[:at] + run.resumed.read_bytes())
    next_ones = numbers(log([str(run.resumed)])[0])
    for one in log([str(cut)]):
        assert all(number in (whole.get(key), next_ones.get(key)) for key, number in numbers(one).items())


def test_a_log_of_caffe_that_fails(folder):
    """A layer's own error, not what C++ and the kernel say of it behind."""
    failed = folder()
    net = failed.path / "net.prototxt"
    net.write_text(net.read_text().replace("'batch_size': 5", "'batch_size': 0"))
    process = failed.start(CAFFE, "train", "--solver=solver.prototxt", GLOG_minloglevel="0", GLOG_logtostderr="1")
    text, _ = process.communicate(timeout=120)
    assert "\nterminate called " in text
    (failed.path / "caffe.log").write_text(text)
    (end,) = findings(log([str(failed.path / "caffe.log")])[0])
    assert (end.is_fault, end.iteration) == (True, None)
    assert end.text.startswith("it failed: caffe_pylayers: ") and "batch_size" in end.text


def test_the_command(run, command):
    status, out, err = command(
        "log", str(run.log), str(run.resumed), "--csv", "all.csv", "--plot", "all.png", "--rows", "3"
    )
    assert (status, err) == (0, "")
    assert re.match(rf"{re.escape(str(run.log))} \+ {re.escape(str(run.resumed))}: iterations 0 to 14, from 20", out)
    assert "iteration 12: it ended: Optimization Done." in out and "iteration 14: it ended: Optimization Done." in out
    rows = [line.split()[0] for line in out.partition("iteration  ")[2].splitlines()[1:4]]
    assert rows == ["0", "4", "12"] or rows == ["0", "8", "12"]
    assert "not shown: " in out and "test1 each[0]" in out.partition("not shown: ")[2]
    assert is_made_here("all.png", MADE_BY)
    columns = read_log("all.csv")
    (one,) = log([str(run.log), str(run.resumed)])
    assert list(columns) == ["iteration", *one.columns]
    for name in one.columns:
        column = {int(i): number for i, number in zip(columns["iteration"], columns[name]) if not np.isnan(number)}
        assert column == one.numbers(name)
    status, _, err = command("log", str(run.log), "--csv", "all.csv")
    assert status == 2 and "all.csv is there already; --force overwrites it" in err
    assert command("log", str(run.log), "--csv", str(run.log), "--force")[0] == 2


def test_several_runs(run, ours, command):
    """A row for each, one CSV with a column `run`, one picture; the status tells of NaN."""
    with open("nan.log", "w") as file:
        file.write("I0312 10:11:12.123456 1 solver.cpp:1] Iteration 0, loss = nan\n")
    shutil.copy(run.log, "caffe.log")
    shutil.copy(run.snap / "net_log.csv", "net_log.csv")
    options = ("--csv", "all.csv", "--plot", "all.png", "--rows", "0", "--tensorboard", "events")
    status, out, err = command("log", "caffe.log", "net_log.csv", "nan.log", *options)
    assert (status, err) == (1, "")
    assert [line.split()[0] for line in out.split("\n\n")[0].splitlines()] == [
        "run",
        "caffe.log",
        "net_log.csv",
        "nan.log",
    ]
    assert "nan.log:1 (03-12 10:11:12): iteration 0: loss is nan\n" in out
    with open("all.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["run"] for row in table].count("nan.log") == 1 and table[-1]["loss"] == "nan" and table[-1]["lr"] == ""
    assert len(table) == 13 + 13 + 1
    assert sorted(os.listdir("events")) == ["caffe.log", "nan.log", "net_log.csv"]
    (one,) = log(["caffe.log"])
    for name in one.columns:
        assert shown("events/caffe.log")[name.replace(" ", "/", 1)] == [
            (iteration, np.float32(number)) for iteration, number in one.numbers(name).items()
        ]
    status, _, err = command("log", "caffe.log", "--tensorboard", "events")
    assert status == 2 and "events is there already; name a new folder" in err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "it tells of no training; give what `caffe train` or `caffe-pylayers train` wrote"),
        (
            b"\x1f\x8b\x08 gzip",
            "it tells of no training; it is a .gz file, but a log is a text file; `gunzip` unpacks it",
        ),
        (b"iteration,loss,lr\n0,0.3,x\n", "bad.log:2: a cell is no number"),
    ],
)
def test_what_is_no_log(command, tmp_path, text, told):
    (tmp_path / "bad.log").write_bytes(text)
    status, out, err = command("log", "bad.log")
    assert (status, out) == (2, "") and told in err and len(err.splitlines()) == 1
