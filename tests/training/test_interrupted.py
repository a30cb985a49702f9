"""A training that is interrupted and resumed ends as one that is not: snapshots and log, bit for bit."""

import random
import signal

import psutil
import pytest

from tests.layers.runs import assert_gone, workers_of
from tests.training import failing
from tests.training.runs import COMMAND, ended, group

TRAIN = (COMMAND, "train", "solver.prototxt", "--no-plot", "--no-check")


@pytest.fixture(scope="module")
def unbroken(module_folder):
    run = module_folder(max_iter=40, snapshot=10)
    run.train_here()
    return run


@pytest.fixture
def broken(folder):
    return folder(max_iter=40, snapshot=10)


def test_ctrl_c_twice_in_a_run(unbroken, broken):
    """Wherever it comes, in the test passes too."""
    at = 0
    for _ in range(2):
        process = broken.fork(*TRAIN, *(["--resume"] if at else []))
        broken.wait_for_rows(process, at + random.randint(1, 12))
        workers = workers_of(process)
        group(process, signal.SIGINT)
        printed = ended(process, 130)
        assert_gone(workers)
        rows = broken.rows()
        at = len(rows) - 1
        state = f"snap/net_iter_{at}.solverstate"
        assert f"stopped by SIGINT after {at} of 40 iterations: {state}\n" in printed
        assert "to go on: caffe-pylayers train solver.prototxt --resume\n" in printed
        assert (broken.path / state).exists()
        assert rows == unbroken.rows()[: at + 1]
    printed = broken.train_here("--resume")
    assert f"continuing from {state}, iteration {at}\n" in printed
    assert broken.rows() == unbroken.rows()
    assert unbroken.snapshots().items() <= broken.snapshots().items()


def test_killed(unbroken, broken):
    """The log has more rows than the snapshot has iterations; they come again, and once only."""
    process = broken.fork(*TRAIN)
    broken.wait_for_rows(process, 10 + random.randint(4, 9))
    workers = workers_of(process)
    process.kill()
    process.communicate()
    assert_gone(workers)
    (broken.snap / "net_iter_20.solverstate").write_bytes(b"")  # as a kill in the middle of a snapshot leaves it
    (broken.snap / "net_iter_30.solverstate").write_bytes((broken.snap / "net_iter_10.solverstate").read_bytes()[:-10])
    printed = broken.train_here("--resume")
    for state in ("snap/net_iter_20.solverstate", "snap/net_iter_30.solverstate"):
        assert f"skipped: {state}: not a .solverstate, or cut short" in printed
    assert "continuing from snap/net_iter_10.solverstate, iteration 10\n" in printed
    assert broken.rows() == unbroken.rows()
    assert unbroken.snapshots().items() <= broken.snapshots().items()


def test_sigterm_and_sighup(broken):
    process = broken.fork(*TRAIN)
    broken.wait_for_rows(process, 2)
    process.send_signal(signal.SIGHUP)
    broken.wait_for_rows(process, 6)
    process.terminate()
    assert "stopped by SIGTERM after " in ended(process, 143)
    at = {int(path.stem[9:]) for path in broken.snap.glob("*.solverstate")} - {10, 20, 30}
    assert len(at) == 2
    assert max(at) == len(broken.rows()) - 1


def test_a_second_ctrl_c_ends_it_at_once(folder):
    """In the middle of a forward pass that would take for ever."""
    broken = folder(more=failing.layer("hangs"), test_initialization="false")
    process = broken.fork(*TRAIN)
    assert "it hangs\n" in iter(process.stdout.readline, "")
    below = psutil.Process(process.pid).children(recursive=True)
    assert below
    group(process)
    assert process.stdout.readline() == "\n"
    assert "once more to end at once" in process.stdout.readline()
    group(process)
    process.communicate(timeout=200)
    assert process.returncode == -signal.SIGINT
    assert_gone(below)
    assert not broken.snapshots()
