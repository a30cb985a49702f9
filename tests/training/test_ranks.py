"""Several ranks under `mpirun`: each has its share of the data, and all end with the same weights."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from caffe_pylayers.caffe_files.weights import read_weights
from caffe_pylayers.commands.train.cli import mpirun_beside
from caffe_pylayers.layers import separate_ranks
from tests.layers.runs import CAFFE, assert_gone
from tests.training import failing
from tests.training.runs import COMMAND, ended, group

MPIEXEC = Path(sys.prefix) / "bin" / "mpiexec"
TRAIN = (MPIEXEC, "-n", 2, COMMAND, "train", "solver.prototxt", "--no-plot")

#: What layers say where processes of mpirun do not know of each other.
ALONE = "mpirun started"

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
    assert ALONE not in ended(run.start(*TRAIN))
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


FROZEN = "param { lr_mult: 0  decay_mult: 0 }\n"
KEEPING = f"""
layer {{ name: "pairs"  type: "Python"  bottom: "conv"  bottom: "label"  top: "pairs"  loss_weight: 0.1  {3 * FROZEN}
  python_param {{ module: "caffe_pylayers"  layer: "BatchPairLoss"  param_str: "type: contrastive, memory: 20" }} }}
layer {{ name: "weights"  type: "Python"  bottom: "label"  top: "weights"  {FROZEN}
  python_param {{ module: "caffe_pylayers"  layer: "SampleWeight"  param_str: "n_classes: 5, counts: running, resume: true" }} }}
layer {{ name: "silence"  type: "Silence"  bottom: "weights" }}
"""


def test_what_each_rank_keeps_is_that_of_the_first_behind_a_restore(folder):
    """It is another in each rank, so the run is not the same; that is told, and all ranks agree."""
    run = folder(more=KEEPING, max_iter=6, snapshot=3)
    told = ended(run.start(*TRAIN))
    assert "of rank 0" not in told
    told = ended(run.start(*TRAIN, "--resume", "snap/net_iter_3.solverstate"))
    for name, kept in (("pairs", "memory"), ("weights", "running counts")):
        line = f"layer '{name}': every rank goes on with the {kept} of rank 0, because a snapshot does not have those of the others"
        assert told.count(line) == 1
    one = folder("one", more=KEEPING, max_iter=6, snapshot=3)
    one.train_here()
    assert "of rank 0" not in one.train_here("--resume", "snap/net_iter_3.solverstate")


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
    """Each process says that this Caffe knows no GPU, or is ended by another that did. mpirun lies beside Python."""
    run = folder()
    path = ":".join(set(os.environ["PATH"].split(":")) - {str(MPIEXEC.parent)})
    process = run.start(COMMAND, "train", "solver.prototxt", "--no-check", "--gpus", "3,5", PATH=path)
    told, _ = process.communicate(timeout=200)
    assert process.returncode != 0
    assert any(f"rank {rank}: GPU {device} is requested, but" in told for rank, device in enumerate((3, 5)))
    assert "rank 2" not in told


def test_no_mpirun(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert mpirun_beside(str(tmp_path)) is None
    assert mpirun_beside(str(MPIEXEC.parent)) == str(MPIEXEC.parent / "mpirun")
    monkeypatch.setenv("PATH", str(MPIEXEC.parent))
    assert mpirun_beside(str(tmp_path)) == str(MPIEXEC.parent / "mpirun")


def test_two_trainings_of_caffe_at_once_are_told_of(folder):
    """Once, and with a remedy that is the command of the tests above."""
    run = folder(max_iter=1, snapshot=0)
    told = ended(run.start(MPIEXEC, "-n", 2, CAFFE, "train", "--solver=solver.prototxt"))
    assert told.count(ALONE) == 1
    assert "mpirun started 2 processes, but Caffe does not know of the others" in told
    assert "`mpirun -n 2 caffe-pylayers train SOLVER`" in told and "train SOLVER --gpus 0,1`" in told


#: Makes a net before and after the program itself uses MPI; each rank into a file.
WITH_MPI = """
import logging, os, sys
import caffe
from caffe_pylayers.layers import separate_ranks
told = open("rank_" + os.environ["PMI_RANK"], "w")
logging.getLogger("caffe_pylayers").addHandler(logging.StreamHandler(told))
for uses_mpi in (False, True):
    if uses_mpi:
        from mpi4py import MPI
    separate_ranks._warn.cache_clear()
    for phase in (caffe.TEST, caffe.TRAIN, caffe.TRAIN):
        told.write(f"uses MPI: {uses_mpi}, phase {phase}\\n")
        caffe.Net("unit.prototxt", phase)
told.close()
"""


def test_programs_that_use_mpi_themselves_hear_nothing(folder):
    run = folder()
    (run.path / "unit.prototxt").write_text(
        'layer { name: "x"  type: "Input"  top: "x"  input_param { shape { dim: 2  dim: 3 } } }\n'
        'layer { name: "unit"  type: "Python"  bottom: "x"  top: "y"  python_param { module: "caffe_pylayers"  layer: "L2Normalize" } }'
    )
    ended(run.start(MPIEXEC, "-n", 2, sys.executable, "-c", WITH_MPI))
    first, second = ((run.path / f"rank_{rank}").read_text().splitlines() for rank in (0, 1))
    steps = [f"uses MPI: {uses_mpi}, phase {phase}" for uses_mpi in (False, True) for phase in (1, 0, 0)]
    assert second == steps
    assert [line.startswith(ALONE) for line in first] == [False, False, True, False, False, False, False]
    assert [line for line in first if not line.startswith(ALONE)] == steps


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "0"}, 1),
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"}, 0),
        ({"PMI_SIZE": "1", "PMI_RANK": "0"}, 0),
        ({"PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "2"}, 1),
        ({"SLURM_STEP_NUM_TASKS": "2"}, 0),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}, 0),  # of sbatch, around one training
        ({}, 0),
    ],
)
def test_what_shows_that_there_are_others(variables, told, monkeypatch, caplog):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    separate_ranks._warn.cache_clear()
    for _ in range(2):
        separate_ranks.warn_of_separate_ranks()
    assert len(caplog.messages) == told
