"""What `mpirun` tells the processes that it starts, in their environment; it is known without MPI."""

import os
from typing import Optional, Sequence

#: Where Open MPI, and MPICH, Intel MPI or Slurm, say how many processes there are, which each is, and which on its machine.
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
_SIZE_BESIDE_PMIX = "SLURM_STEP_NUM_TASKS"  # by itself it is no sign of MPI
_RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK")
_LOCAL = ("OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID")


def size() -> int:
    """How many processes it started; 1 without it."""
    return _number((*_SIZES, _SIZE_BESIDE_PMIX) if "PMIX_RANK" in os.environ else _SIZES) or 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return _number(_RANKS) or 0


def local_rank() -> Optional[int]:
    """Which of those on its machine this one is, where that is told."""
    return _number(_LOCAL)


def _number(names: Sequence[str]) -> Optional[int]:
    values = (os.environ.get(name, "") for name in names)
    return next((int(value) for value in values if value.isdigit()), None)
