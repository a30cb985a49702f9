"""Processes of `mpirun` that know nothing of each other, as those of `mpirun caffe train`."""

import functools
import logging
import sys

import caffe

from caffe_pylayers.processes import mpirun

log = logging.getLogger("caffe_pylayers")


def warn_of_separate_ranks() -> None:
    """Say once, in the first of the processes, that each trains a net of its own.

    Nothing is said where Caffe knows of the others, as under `caffe-pylayers train`, or where the program itself uses MPI.
    """
    size = mpirun.size()
    if size > 1 and mpirun.rank() == 0 and caffe.solver_count() == 1 and not _uses_mpi():
        _warn(size)


def _uses_mpi() -> bool:
    mpi = sys.modules.get("mpi4py.MPI")
    return mpi is not None and bool(mpi.Is_initialized())


@functools.lru_cache(maxsize=None)
def _warn(size: int) -> None:
    log.warning(
        "mpirun started %d processes, but Caffe does not know of the others: each process trains a net of its own on the same "
        "data, and they overwrite each other's snapshots. To train one net with all of them, use "
        "`mpirun -n %d caffe-pylayers train SOLVER`; with a GPU each, `caffe-pylayers train SOLVER --gpus %s`",
        size,
        size,
        ",".join(map(str, range(size))),
    )
