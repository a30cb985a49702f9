"""Several processes that train one net, as `mpirun` starts them, with mpi4py.

Each reads its share of the data and computes its own gradients; their mean updates the weights of all alike. Rank 0
tests, takes snapshots and tells.
"""

import time
from typing import Any, Optional, Tuple

import numpy as np

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.processes import mpirun
from caffe_pylayers.processes.stock import import_caffe


class Ranks:
    """The processes of this training: `rank` of `size`."""

    def __init__(self) -> None:
        try:
            from mpi4py import MPI
        except Exception as error:  # it is not there, or finds no MPI
            raise ConfigError(
                f"mpirun started this, but `from mpi4py import MPI` fails: {error}",
                remedy="pip install mpi4py",
            ) from error
        self._mpi = MPI
        self._world = MPI.COMM_WORLD
        self.rank, self.size = int(self._world.rank), int(self._world.size)
        started = mpirun.size()
        if self.size != started:
            raise ConfigError(
                f"mpirun started {started} processes, but mpi4py sees {self.size}: mpi4py is built for another MPI than this mpirun"
            )

    def tell_caffe(self) -> None:
        """Tell Caffe of the ranks; behind the choice of the GPU, since Caffe's state takes memory on the one that is current."""
        caffe = import_caffe()
        caffe.set_solver_count(self.size)
        caffe.set_solver_rank(self.rank)
        caffe.set_multiprocess(True)

    @property
    def device(self) -> int:
        """The GPU of this rank: its number on its machine."""
        local = mpirun.local_rank()
        return self.rank if local is None else local

    def share(self, solver: Any) -> None:
        """Give all ranks the weights of rank 0, with which they begin."""
        for blob in _parameters(solver):
            self._world.Bcast(blob.data)

    def average(self, solver: Any, loss: float, stop: bool) -> Tuple[float, bool]:
        """Give all ranks the mean gradients; returns the mean loss, and whether any rank wants to stop."""
        blobs = _parameters(solver)
        # One message: many small ones cost more than the copies.
        numbers = np.concatenate([*(blob.diff.ravel() for blob in blobs), np.array([loss, stop], np.float32)])
        self._world.Allreduce(self._mpi.IN_PLACE, numbers)
        numbers[:-1] /= self.size
        at = 0
        for blob in blobs:
            blob.diff.ravel()[...] = numbers[at : at + blob.count]
            at += blob.count
        return float(numbers[-2]), bool(numbers[-1])

    def abort(self, status: int) -> None:
        """End all ranks at once: the others wait for this one's gradients."""
        time.sleep(0.5)  # mpirun drops what it has not yet passed on of what this one said
        self._world.Abort(status)


def ranks_of_mpirun() -> Optional[Ranks]:
    """The ranks, where `mpirun` started this process as one of several."""
    return Ranks() if mpirun.size() > 1 else None


def _parameters(solver: Any) -> Any:
    return [blob for blobs in solver.net.params.values() for blob in blobs]
