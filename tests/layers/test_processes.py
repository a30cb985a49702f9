"""However a run ends, in whatever host, nothing is left: no process, no memory, no hang."""

import os
import signal
import time

import psutil
import pytest

from tests.layers.runs import CAFFE, Run, assert_gone, command_line, workers_of
from tests.transcripts import without_complaints

SCRIPT = """
import multiprocessing, os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe

def solve():
    solver = caffe.AdamSolver("solver.prototxt")
    for iteration in range(int(sys.argv[2])):
        solver.step(1)
        if sys.argv[3:] == ["exception"] and os.path.exists("now"):
            raise RuntimeError("on purpose")

if sys.argv[1] == "daemonic":  # as upstream's python/train.py makes its solvers
    process = multiprocessing.Process(target=solve, daemon=True)
    process.start()
    process.join()
    sys.exit(process.exitcode)
solve()
"""

HOSTS = ["caffe", "pycaffe", "daemonic"]
FOREVER = 10_000_000


@pytest.fixture
def run(tmp_path, photos):
    return Run(
        tmp_path / "run",
        "TripletDataLayer",
        source_type="LMDB",
        source=photos.lmdb,
        batch_size=5,
        resize=[30, 28],
        prefetch=True,
        workers=1,
        resume=True,
    )


@pytest.fixture(scope="module")
def undisturbed(photos, tmp_path_factory):
    """What 200 iterations of `run` feed."""
    run = Run(
        tmp_path_factory.mktemp("undisturbed") / "run",
        "TripletDataLayer",
        source_type="LMDB",
        source=photos.lmdb,
        batch_size=5,
        resize=[30, 28],
        resume=True,
    ).solver(max_iter=200)
    run.train()
    return run.record()


def set_timeout(run, seconds):
    net = run.folder / "net.prototxt"
    text = net.read_text()
    assert text.count("'workers': 1") == 2  # TRAIN and TEST
    net.write_text(text.replace("'workers': 1", f"'workers': 1, 'timeout': {seconds}"))


def start(run, host, max_iter=FOREVER, *more, begin=Run.fork):
    """Hosts that are Python begin as forks of one that has imported Caffe, where nothing else is said."""
    run.solver(max_iter=max_iter)
    if host == "caffe":
        return run.caffe()
    (run.folder / "solve.py").write_text(SCRIPT)
    python = str(CAFFE.parent / "python")
    return begin(run, python, "solve.py", host, str(max_iter), *more)


def test_the_launcher_is_one_process(run):
    """`exec`: signals sent to the pid that a shell knows reach Caffe itself."""
    process = start(run, "caffe")
    run.wait_for_batches(process, 1)
    assert os.path.basename(psutil.Process(process.pid).exe()) == "caffe"
    process.kill()
    process.communicate()


@pytest.mark.parametrize("host", HOSTS)
def test_normal_end(run, host):
    process = start(run, host, 200, begin=Run.start)
    run.wait_for_batches(process, 1)
    workers = workers_of(process)
    log, _ = process.communicate(timeout=200)
    assert process.returncode == 0, log
    assert "Traceback" not in log
    assert_gone(workers)
    assert len(run.record()) == 200


@pytest.mark.parametrize("host", HOSTS[1:])
def test_exception(run, host):
    process = start(run, host, FOREVER, "exception")
    run.wait_for_batches(process, 2)
    workers = workers_of(process)
    (run.folder / "now").touch()
    log, _ = process.communicate(timeout=200)
    assert "RuntimeError: on purpose" in log
    assert process.returncode == 1
    assert_gone(workers)


#: Ctrl-C goes to the group, as a terminal sends it, and what `kill` sends to the process.
USUAL = (("group", "SIGINT"), ("process", "SIGTERM"), ("process", "SIGKILL"))


@pytest.mark.parametrize(
    "host, whom, how",
    [
        *((host, *signal_sent) for host in HOSTS for signal_sent in USUAL),
        ("caffe", "group", "SIGTERM"),
        ("caffe", "process", "SIGINT"),
    ],
)
def test_signals(run, host, how, whom):
    how = signal.Signals[how]
    process = start(run, host)
    run.wait_for_batches(process, 3)
    below = psutil.Process(process.pid).children(recursive=True)
    assert len(workers_of(process)) == 2  # two layers, TRAIN and TEST
    if whom == "group":
        os.killpg(process.pid, how)
    else:
        process.send_signal(how)
    if host == "daemonic" and whom == "process" and how != signal.SIGINT:
        # Python's daemonic children are left behind by a parent that is killed: not our processes, but Caffe's.
        process.wait(200)
        for child in below:
            if "caffe_pylayers worker" not in command_line(child):
                child.kill()
    log, _ = process.communicate(timeout=200)
    assert_gone(below)
    if host == "caffe" and how == signal.SIGINT:
        assert process.returncode == 0, log
        assert list(run.folder.glob("*.solverstate")), log
        assert "another takes over" not in log


def test_a_snapshot_on_hangup_keeps_the_workers(run):
    """Caffe snapshots on SIGHUP and goes on; a terminal sends it to the whole group."""
    process = start(run, "caffe")
    run.wait_for_batches(process, 3)
    workers = workers_of(process)
    os.killpg(process.pid, signal.SIGHUP)
    run.wait_for_batches(process, len(run.record()) + 20)
    assert list(run.folder.glob("*.solverstate"))
    assert workers_of(process) == workers
    process.kill()
    process.communicate()
    assert_gone(workers)


@pytest.mark.parametrize("host", HOSTS[:2])
def test_stopped_workers_go_with_a_killed_parent(run, host):
    process = start(run, host)
    run.wait_for_batches(process, 3)
    workers = workers_of(process)
    for worker in workers:
        worker.suspend()
    process.kill()
    process.communicate(timeout=200)
    assert_gone(workers)


@pytest.mark.parametrize("host, how", [*((host, signal.SIGKILL) for host in HOSTS), ("caffe", signal.SIGSTOP)])
def test_lost_workers_do_not_change_the_stream(run, undisturbed, host, how):
    set_timeout(run, 2.0)
    process = start(run, host, 200)
    for _ in range(3):
        run.wait_for_batches(process, len(run.record()) + 5)
        for worker in workers_of(process):
            worker.send_signal(how)
            break
        time.sleep(0.05)
    log, _ = process.communicate(timeout=120)
    assert process.returncode == 0, log
    assert "another takes over" in log
    assert run.record() == undisturbed


def test_a_suspended_run_goes_on(run):
    """Ctrl-Z and fg: nobody is taken for stuck, however long it was."""
    set_timeout(run, 2.0)
    process = start(run, "caffe")
    run.wait_for_batches(process, 5)
    os.killpg(process.pid, signal.SIGSTOP)
    time.sleep(4)
    os.killpg(process.pid, signal.SIGCONT)
    run.wait_for_batches(process, len(run.record()) + 20)
    os.killpg(process.pid, signal.SIGINT)
    log, _ = process.communicate(timeout=200)
    assert process.returncode == 0, log
    assert "another takes over" not in log


def test_nets_that_are_dropped_do_not_keep_workers_after_close(tmp_path, photos):
    run = Run(
        tmp_path / "run",
        "ImageDataLayer",
        source_type="LMDB",
        source=photos.lmdb,
        batch_size=5,
        resize=20,
        prefetch=True,
    )
    (run.folder / "many.py").write_text("""
import os
os.environ["GLOG_minloglevel"] = "2"
import caffe, caffe_pylayers, psutil
for _ in range(5):
    net = caffe.Net("net.prototxt", caffe.TRAIN)
    net.forward()
    first = net.blobs["data"].data.copy()
print(len(psutil.Process().children()), "before")
net.layers[0].close()
print(len(psutil.Process().children()), "after the last layer's close")
caffe_pylayers.close()
print(len(psutil.Process().children()), "after close")
net.forward()
assert not (net.blobs["data"].data == first).all()
print(len(psutil.Process().children()), "when used again")
""")
    process = run.fork(str(CAFFE.parent / "python"), "many.py")
    log, _ = process.communicate(timeout=200)
    assert process.returncode == 0, log
    assert without_complaints(log).split("\n")[:4] == [
        "5 before", "4 after the last layer's close", "0 after close", "1 when used again",
    ]  # fmt: skip
