"""The log of a training, over runs that were broken off."""

import math
import re

import pytest

from caffe_pylayers.errors import DataError
from caffe_pylayers.training import Row, TrainingLog, plot_log, read_log
from caffe_pylayers.training.plot import LivePlot, smooth

HEADER = "iteration,loss,lr,images_per_s,waiting,cached,test accuracy"


def write(path, iterations, begin=0, names=("test accuracy",), **outputs):
    log = TrainingLog(str(path), names, begin)
    for iteration in iterations:
        log.write(
            Row(iteration, 1 / 3, 1e-5, 1234.56, 0.1234, None, dict.fromkeys(names, 0.5) if iteration % 2 else {})
        )
    log.close()


def test_rows(tmp_path):
    path = tmp_path / "log.csv"
    log = TrainingLog(str(path), ["test accuracy"])
    log.write(Row(0, 1 / 3, 1e-5, 1234.56, 0.1234, None, {"test accuracy": 0.875}))
    assert path.read_text() == f"{HEADER}\n0,0.33333334,1e-05,1234.6,0.123,,0.875\n"  # before it is closed
    log.write(Row(1, None, None, None, None, None, {}))
    log.close()
    columns = read_log(str(path))
    assert columns["test accuracy"][0] == 0.875
    assert math.isnan(columns["loss"][1])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["log.csv"]


def test_rows_that_come_again_are_dropped(tmp_path):
    path = tmp_path / "log.csv"
    write(path, range(8))
    whole = path.read_text()
    with open(path, "a") as file:
        file.write("1")  # of a row 12, cut short
    write(path, range(5, 8), begin=5)
    assert path.read_text() == whole
    write(path, range(2), begin=0)
    assert path.read_text() == "".join(whole.splitlines(keepends=True)[:3])
    assert (tmp_path / "log.csv.old").read_text() == whole


def test_a_net_with_other_outputs_goes_on_in_the_same_log(tmp_path):
    path = tmp_path / "log.csv"
    write(path, range(2))
    write(path, range(2, 4), begin=2, names=["test loss"])
    lines = path.read_text().splitlines()
    assert lines[0] == f"{HEADER},test loss"
    assert [line.split(",")[6:] for line in lines[1:]] == [["", ""], ["0.5", ""], ["", ""], ["", "0.5"]]


def test_the_share_of_a_cache_is_logged(tmp_path):
    log = TrainingLog(str(tmp_path / "log.csv"), [])
    log.write(Row(0, 0.5, 0.1, 10.0, 0.25, 0.75, {}))
    log.close()
    assert read_log(str(tmp_path / "log.csv"))["cached"].tolist() == [0.75]


def test_a_file_that_is_no_log_is_left_alone(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("name,label\n")
    for begin in (0, 3):
        with pytest.raises(DataError) as error:
            TrainingLog(str(path), [], begin)
        assert error.value.source == str(path) and "'iteration'" in error.value.problem
    assert path.read_text() == "name,label\n"
    path.write_bytes(b"\x89PNG\r\n")
    with pytest.raises(DataError) as error:
        TrainingLog(str(path), [])
    assert error.value.source == str(path) and "'iteration'" in error.value.problem


TRIPLETS = """
layer { name: "unit"  type: "Python"  bottom: "conv"  top: "unit"  python_param { module: "caffe_pylayers"  layer: "L2Normalize"
  param_str: "{'across_spatial': True}" } }
layer { name: "triplets"  type: "Python"  bottom: "unit"  bottom: "label"  top: "triplets"  top: "stats"  loss_weight: 1
  loss_weight: 0  python_param { module: "caffe_pylayers"  layer: "BatchTripletLoss" } }
"""


def test_numbers_that_a_layer_has_names_for_are_logged_by_them(folder):
    run = folder(more=TRIPLETS, max_iter=2, snapshot=None)
    printed = run.train_here()
    columns = read_log(str(run.snap / "net_log.csv"))
    assert [name for name in columns if "stats" in name] == [
        f"{phase} stats[{part}]" for phase in ("train", "test") for part in ("active", "d_ap", "d_an", "norm")
    ]
    parts = ("active", "d_ap", "d_an", "norm")
    for row in range(2):
        active, d_ap, d_an, norm = (columns[f"train stats[{part}]"][row] for part in parts)
        assert norm == pytest.approx(1, abs=1e-5)
        assert 0 < active <= 1 and 0 < d_ap < 4 and 0 < d_an < 4
    for line in (f"test stats[{part}] = " for part in parts):
        assert line in printed
    assert re.search(r"Iteration 0, loss = .*, stats\[active\] = .*, stats\[norm\] = 1, .* left", printed), printed


def test_a_plot_of_any_log(tmp_path):
    """Of a header alone, of one row, of losses that are no numbers; the picture is replaced as a whole."""
    path, png = tmp_path / "log.csv", tmp_path / "loss.png"
    for rows in (0, 1, 5000):
        log = TrainingLog(str(path), ["train size", "test loss", "test accuracy", "test each[0]", "test each[1]"])
        for i in range(rows):
            loss = [math.inf, math.nan, 1.0][i % 3]
            log.write(
                Row(i, loss, 0.1, 10.0, 0.5, None, {"test loss": 2.0, "test accuracy": 0.5} if i % 10 == 0 else {})
            )
        log.close()
        plot_log(str(path), str(png), "solver.prototxt", 20)
        assert png.read_bytes().startswith(b"\x89PNG")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["log.csv", "log.csv.old", "loss.png"]


def test_smoothed():
    assert smooth([4.0, 2.0, 0.0, 6.0], 2) == [4.0, 3.0, 1.0, 3.0]
    assert smooth([1.0, 2.0], 1) == [1.0, 2.0]
    assert smooth([2.0, math.nan, 4.0], 2)[::2] == [2.0, 3.0]


def test_a_plot_that_cannot_be_drawn_ends_nothing(tmp_path, caplog):
    write(tmp_path / "log.csv", range(3))
    plot = LivePlot(str(tmp_path / "log.csv"), str(tmp_path / "gone" / "loss.png"), "solver.prototxt", 20)
    plot.draw()
    assert caplog.messages[0].startswith(f"{tmp_path}/gone/loss.png is not drawn: FileNotFoundError")
