"""`train --tensorboard`, read by TensorBoard's own reader."""

import os
import resource
from pathlib import Path

import numpy as np
import pytest

from caffe_pylayers.training import Row, read_log
from caffe_pylayers.training.tensorboard import EventFile
from tests.training import failing
from tests.training.events import shown


@pytest.fixture(scope="module")
def run(module_folder):
    """12 iterations with events, of which those from 10 on came again from the snapshot; and their log."""
    run = module_folder("events", average_loss=1)
    run.train_here("--tensorboard", "events/run")
    run.straight = run.snapshots()
    printed = run.train_here("--tensorboard", "events/run", "--resume", "snap/net_iter_10.solverstate")
    assert printed.rstrip().endswith(str(sorted((run.path / "events/run").iterdir())[-1].relative_to(run.path)))
    return run


def test_it_shows_what_the_log_has(run):
    columns = read_log(str(run.snap / "net_log.csv"))
    tags = {name: name.replace(" ", "/", 1) for name in columns if name not in ("iteration", "cached")}
    numbers = shown(run.path / "events/run")
    assert set(numbers) == set(tags.values()) >= {"loss", "lr", "images_per_s", "waiting", "test/accuracy"}
    for name, tag in tags.items():
        logged = {int(i): number for i, number in zip(columns["iteration"], columns[name]) if not np.isnan(number)}
        assert [step for step, _ in numbers[tag]] == list(logged), tag
        within = {"images_per_s": 0.06, "waiting": 0.0006}.get(name, 0)  # the log has fewer digits of these
        assert [number for _, number in numbers[tag]] == pytest.approx(
            np.float32(list(logged.values())), abs=within, rel=1e-7
        )


def test_the_weights_are_those_of_a_run_without_it(run, folder):
    plain = folder(average_loss=1)
    plain.train_here()
    assert plain.snapshots() == run.straight == run.snapshots()


def row(iteration, **outputs):
    return Row(iteration, 0.5, 0.1, 10.0, None, None, outputs)


def write(folder, iterations, begin=0):
    events = EventFile(str(folder), begin)
    for iteration in iterations:
        events.write(row(iteration))
    events.close()
    return events.path


def test_files_of_a_folder_are_read_in_the_order_of_the_runs(tmp_path):
    """With a clock that goes back, a file that was cut short, and a run that ended before its first row."""
    first = write(tmp_path, range(8))
    os.rename(first, tmp_path / "events.out.tfevents.4000000000.1")
    with open(tmp_path / "events.out.tfevents.4000000000.1", "ab") as file:
        file.write(b"\x80\0\0\0\0\0\0\0cut")
    assert Path(write(tmp_path, range(5, 7), begin=5)).name.startswith("events.out.tfevents.4000000001.")
    write(tmp_path, [], begin=0)
    assert [step for step, _ in shown(tmp_path)["loss"]] == [0, 1, 2, 3, 4, 5, 6]
    write(tmp_path, range(2))
    assert [step for step, _ in shown(tmp_path)["loss"]] == [0, 1]


def test_numbers_and_names_of_any_kind(tmp_path):
    events = EventFile(str(tmp_path))
    outputs = {"test ä [x] y": float("nan"), "test bad\udcff": -1e300, "train big": 1e39}
    events.write(row(2**40, **outputs))
    events.close()
    numbers = shown(tmp_path)
    assert np.isnan(numbers["test/ä [x] y"][0][1])
    assert numbers["test/bad?"] == [(2**40, -np.inf)] and numbers["train/big"] == [(2**40, np.inf)]


@pytest.mark.parametrize("place", ["solver.prototxt", "solver.prototxt/events", "/proc/events"])
def test_a_folder_that_cannot_be_written_is_told_before_the_training(folder, place):
    run = folder()
    printed = run.train_here("--tensorboard", place, status=2)
    assert (
        f"caffe-pylayers: --tensorboard {place}: cannot write there: " in printed and "give another folder" in printed
    )
    assert not list(run.snap.iterdir())


@pytest.fixture
def limited():
    """The length that files may have, as it was before."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_room_is_told_before_the_training(tmp_path, limited):
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))
    with pytest.raises(OSError):
        EventFile(str(tmp_path / "events"))
    assert not list((tmp_path / "events").iterdir())


def test_no_room_in_the_middle_is_told_and_ends_nothing(folder, limited, caplog):
    run = folder(more=failing.layer("1000"), snapshot=0, snapshot_after_train="false", test_interval=100)
    printed = run.train_here("--tensorboard", "events")
    said = [text for text in [*printed.splitlines(), *caplog.messages] if "the training goes on" in text]
    assert len(set(said)) == 1 and "File too large; it ends at iteration " in said[0]
    steps = [step for step, _ in shown(run.path / "events")["loss"]]
    assert steps == list(range(len(steps))) and 2 < len(steps) < 12
    assert len(run.rows()) > 12
