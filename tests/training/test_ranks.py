"""Several ranks under `mpirun`: each has its share of the data, and all end with the same weights."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from caffe_pylayers.caffe_files.weights import read_weights
from tests.layers.runs import assert_gone
from tests.training import failing
from tests.training.runs import COMMAND, ended, group

MPIEXEC = Path(sys.prefix) / "bin" / "mpiexec"
TRAIN = (MPIEXEC, "-n", 2, COMMAND, "train", "solver.prototxt", "--no-plot")

#: Trains a few iterations and writes a rank's weights and the batches that it has read into a file: lines of two ranks may mix.
SCRIPT = """
import hashlib
from caffe_pylayers.training import Training
from caffe_pylayers.training.ranks import ranks_of_mpirun
ranks = ranks_of_mpirun()
training = Training("solver.prototxt", ranks=ranks)
data = training.solver.net.blobs["data"].data
seen = [hashlib.sha1(data.tobytes()).hexdigest()[:8] for row in training]
weights = hashlib.sha1()
for blobs in training.solver.net.params.values():
    for blob in blobs:
        weights.update(blob.data.tobytes())
training.close()
with open(f"rank_{ranks.rank}", "w") as file:
    print(weights.hexdigest(), *seen, file=file)
"""


def weights_of(folder, iteration):
    """The weights that are learned, of all layers."""
    layers = read_weights(str(folder.snap / f"net_iter_{iteration}.caffemodel"))
    return np.concatenate([blob.ravel() for layer in layers for blob in layer.blobs if layer.name != "train_data"])


def losses_of(folder):
    return [float(row[1]) for row in folder.rows()[1:] if row[1]]


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_by_mpich():
    """It leaves its shared memory behind where a rank is killed."""
    yield
    for path in Path("/dev/shm").glob("mpich_shm_*"):
        path.unlink()


@pytest.fixture(scope="module")
def unbroken(module_folder):
    """Two ranks, 30 iterations."""
    run = module_folder(max_iter=30, snapshot=10)
    ended(run.start(*TRAIN))
    return run


def test_two_ranks_are_one_of_twice_the_batch(unbroken, folder):
    one = folder(max_iter=30, snapshot=10, iter_size=2)
    one.train_here()
    assert weights_of(unbroken, 30) == pytest.approx(weights_of(one, 30), abs=1e-6)
    assert losses_of(unbroken) == pytest.approx(losses_of(one), rel=1e-5)
    assert [row[0] for row in unbroken.rows()] == [row[0] for row in one.rows()]


def test_every_rank_ends_with_the_same_weights(folder):
    run = folder(max_iter=5, display=0)  # else rank 0 reads one more batch at the end, to show its loss
    ended(run.start(MPIEXEC, "-n", 2, sys.executable, "-c", SCRIPT))
    (first, *seen_by_first), (second, *seen_by_second) = (
        (run.path / f"rank_{rank}").read_text().split() for rank in (0, 1)
    )
    assert first == second
    assert len({*seen_by_first, *seen_by_second}) == 10  # nothing is read twice


def test_interrupted_and_resumed(unbroken, folder):
    broken = folder(max_iter=30, snapshot=10)
    process = broken.start(*TRAIN)
    broken.wait_for_rows(process, 4)
    group(process, signal.SIGINT)
    process.communicate(timeout=200)
    done = len(broken.rows()) - 1
    assert (broken.snap / f"net_iter_{done}.solverstate").exists()
    printed = ended(broken.start(*TRAIN, "--resume"))
    assert printed.count(f"continuing from snap/net_iter_{done}.solverstate") == 1  # by rank 0 alone
    assert broken.rows() == unbroken.rows()
    assert unbroken.snapshots().items() <= broken.snapshots().items()


def test_an_error_in_one_rank_ends_all(folder):
    run = folder(more=failing.layer("later on rank 1"))
    process = run.start(*TRAIN)
    run.wait_for_rows(process, 1)
    below = psutil.Process(process.pid).children(recursive=True)
    output, _ = process.communicate(timeout=200)
    assert process.returncode != 0
    assert "caffe-pylayers: rank 1: KeyError: 'a mistake of its author'" in output
    assert_gone(below)


def test_several_gpus_are_a_process_each(folder):
    """Each process says that this Caffe knows no GPU, or is ended by another that did."""
    run = folder()
    path = f"{MPIEXEC.parent}:{os.environ['PATH']}"
    process = run.start(COMMAND, "train", "solver.prototxt", "--no-check", "--gpus", "3,5", PATH=path)
    told, _ = process.communicate(timeout=200)
    assert process.returncode != 0
    assert any(f"rank {rank}: GPU {device} is requested, but" in told for rank, device in enumerate((3, 5)))
    assert "rank 2" not in told


def test_several_gpus_without_mpirun(folder):
    run = folder()
    process = run.start(COMMAND, "train", "solver.prototxt", "--no-check", "--gpus", "3,5", PATH="/no/such/folder")
    assert "2 GPUs take 2 processes, which mpirun starts, but mpirun is not on PATH" in ended(process, 2)
