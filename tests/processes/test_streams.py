"""Programs whose standard streams are closed, as those of daemons: nothing of theirs gets into the batches, nor they abort."""

import itertools
import os
import subprocess
import sys

import pytest

from tests.layers.runs import CAFFE, Run

STREAMS = ("<&-", ">&-", "2>&-")
CLOSED = [" ".join(some) for count in (1, 2, 3) for some in itertools.combinations(STREAMS, count)]
BATCHES = 14

SCRIPT = f"""
import caffe
caffe.get_solver("solver.prototxt").step({BATCHES})
"""

# Opens what stays open after the set-up, when the streams that it closed itself are gone.
CLOSES_ITSELF = f"""
import os, sys
import caffe
solver = caffe.get_solver("solver.prototxt")
sys.stdin.close(); sys.stdout.close(); sys.stderr.close()
os.closerange(0, 3)
solver.step({BATCHES})
"""


def programs():
    """The `caffe` program without what its launcher does for its streams; a script; our own command."""
    launcher = CAFFE.read_text()
    *settings, start = [line for line in launcher.splitlines() if "/dev/fd/" not in line]
    assert start.startswith("exec ")
    python = str(CAFFE.parent / "python")
    return {
        "caffe": ["\n".join(settings) + f"\n{start}", "train", "--solver=solver.prototxt"],
        "script": ['exec "$@"', python, "-c", SCRIPT],
        "daemon": ['exec "$@"', python, "-c", CLOSES_ITSELF],
        "train": ['exec "$@"', str(CAFFE.parent / "caffe-pylayers"), "train", "solver.prototxt", "--no-plot"],
    }


def _run(folder, options):
    """A run with open streams: its folder, and what it was fed."""
    run = Run(folder / "run", "ImageDataLayer", **options, batch_size=5, resize=20, prefetch=True)
    run.solver(max_iter=BATCHES)
    solver = run.folder / "solver.prototxt"
    solver.write_text(solver.read_text().replace("display: 0", "display: 1"))  # a line of the log for each batch
    run.train()
    run.expected = run.record()[:BATCHES]  # `caffe` shows one more at its end
    assert len(run.expected) == BATCHES
    return run


@pytest.fixture(scope="module")
def lmdb_run(photos, tmp_path_factory):
    return _run(tmp_path_factory.mktemp("streams"), {"source_type": "LMDB", "source": photos.lmdb})


@pytest.fixture(scope="module")
def bcf_run(photos, tmp_path_factory):
    """With more memory that is shared with workers: that of the source."""
    folder = tmp_path_factory.mktemp("streams")
    command = [str(CAFFE.parent / "caffe-pylayers"), "convert", photos.lmdb, f"{folder}/photos.bcf"]
    subprocess.run(command, check=True, capture_output=True)
    labels = f"{folder}/photos.bcf.labels.npy"
    return _run(folder, {"source_type": "BCF", "source": f"{folder}/photos.bcf", "bcf_mode": "MEM", "labels": labels})


@pytest.mark.parametrize(
    "host, closed",
    [
        *itertools.product(["script"], ["<&-", ">&- 2>&-", CLOSED[-1]]),
        # Where what is opened gets the number of the log.
        *itertools.product(["caffe", "train"], ["<&- 2>&-", ">&- 2>&-", CLOSED[-1]]),
    ],
)
def test_batches_are_those_of_a_run_with_open_streams(lmdb_run, host, closed):
    _compare(lmdb_run, host, closed)


@pytest.mark.parametrize("host, closed", [(host, CLOSED[-1]) for host in ("caffe", "script")] + [("daemon", "")])
def test_batches_of_a_source_in_memory(bcf_run, host, closed):
    _compare(bcf_run, host, closed)


def _compare(run, host, closed):
    text, *arguments = programs()[host]
    run.forget()
    process = run.start("sh", "-c", f"{text} {closed}", "sh", *arguments)
    log, _ = process.communicate(timeout=200)
    assert process.returncode == 0, log
    assert run.record()[:BATCHES] == run.expected


@pytest.mark.parametrize("closed", CLOSED)
def test_each_that_is_closed_leads_nowhere_and_takes_what_is_written(closed, tmp_path):
    """None of them is what Python reads or writes in the place of another."""
    code = """
import os, sys
from caffe_pylayers.processes.streams import open_closed_streams
open_closed_streams()
there = [os.readlink(f"/proc/self/fd/{number}") for number in range(3)]
assert os.read(0, 1) == b"" and os.write(1, b"x") == os.write(2, b"x") == 1
assert sys.stdin.read() == "" and sys.stdout.write("x") == sys.stderr.write("x") == 1
with open("streams.txt", "w") as file:
    file.write(" ".join(there))
"""
    subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", code],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    for number, found in enumerate((tmp_path / "streams.txt").read_text().split()):
        assert (found == "/dev/null") == (STREAMS[number] in closed.split() or number == 0)


def test_the_launcher_opens_them_before_caffe_opens_a_database(tmp_path, photos):
    """Else the log of Caffe would be written into the LMDB of its own Data layer."""
    (tmp_path / "streams.py").write_text("""
import os, caffe
class Streams(caffe.Layer):
    def setup(self, bottom, top):
        with open("streams.txt", "w") as file:
            file.write(" ".join(os.readlink(f"/proc/self/fd/{number}") for number in range(3)))
    def reshape(self, bottom, top):
        top[0].reshape(1)
    def forward(self, bottom, top): pass
    def backward(self, top, propagate_down, bottom): pass
""")
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "x"  type: "Python"  top: "x"  python_param { module: "streams"  layer: "Streams" } }'
    )
    subprocess.run(
        ["sh", "-c", f"exec {CAFFE} time -model net.prototxt -iterations 1 <&- >&- 2>&-"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=True,
    )
    assert (tmp_path / "streams.txt").read_text().split() == ["/dev/null"] * 3
