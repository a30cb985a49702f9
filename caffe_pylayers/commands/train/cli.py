"""`caffe-pylayers train`."""

import os
import re
import shutil
import sys
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Iterator, List, Optional

import click

from caffe_pylayers.commands.console import Command, echo, give_stdout_to
from caffe_pylayers.commands.train.run import Written, is_ours, newest, run, told

if TYPE_CHECKING:
    from caffe_pylayers.training import Training
    from caffe_pylayers.training.ranks import Ranks

_NEWEST = "the newest"


@click.command(cls=Command)
@click.argument("solver", required=False)
@click.option(
    "--resume",
    is_flag=False,
    flag_value=_NEWEST,
    metavar="[STATE]",
    help="Continue from a .solverstate; without a value, from the newest whole one with the solver's snapshot_prefix.",
)
@click.option("--weights", metavar="W[,W2]", help="Begin with the weights of .caffemodel files, matched by layer name.")
@click.option(
    "--gpu",
    "--gpus",
    metavar="ID[,ID]",
    help="Train on this GPU, or with mpirun on several, one process each.  [default: the solver's solver_mode]",
)
@click.option("--log", metavar="CSV", help="The log, one row per iteration.  [default: snapshot_prefix + _log.csv]")
@click.option(
    "--plot", metavar="PNG", help="The plot of the loss, drawn during training.  [default: snapshot_prefix + _loss.png]"
)
@click.option("--no-plot", is_flag=True, help="Draw no plot.")
@click.option("--tensorboard", metavar="DIR", help="Write what the log has for TensorBoard too, in this folder.")
@click.option("--no-check", is_flag=True, help="Begin even if `caffe-pylayers check` finds an error.")
def train(
    solver: Optional[str],
    resume: Optional[str],
    weights: Optional[str],
    gpu: Optional[str],
    log: Optional[str],
    plot: Optional[str],
    no_plot: bool,
    tensorboard: Optional[str],
    no_check: bool,
) -> int:
    """Train a net as `caffe train` does, with a progress bar, a log, a plot, and a way to continue.

    \b
    caffe-pylayers train solver.prototxt
    caffe-pylayers train solver.prototxt --resume
    mpirun -n 2 caffe-pylayers train solver.prototxt

    The weights are those of `caffe train`, bit for bit, if the solver has a random_seed. Ctrl-C (or SIGTERM) finishes
    the iteration, takes a snapshot and ends with status 130 (143); a second one ends at once. SIGHUP takes a snapshot.
    The status is 1 if the loss became infinite or NaN. Caffe's own log is shown with GLOG_minloglevel=0.
    """
    if solver is None and resume is not None and not resume.endswith((".solverstate", ".h5")):
        solver, resume = resume, _NEWEST  # `train --resume solver.prototxt`
    if solver is None:
        raise click.UsageError("name the solver: caffe-pylayers train SOLVER")
    from caffe_pylayers.training import Training
    from caffe_pylayers.training.ranks import ranks_of_mpirun

    gpus = _numbers(gpu)
    ranks = ranks_of_mpirun()
    if len(gpus) > 1 and ranks is None:
        _start_again_under_mpirun(len(gpus))
    device = gpus[ranks.device % len(gpus) if ranks else 0] if gpus else None
    root = ranks is None or ranks.rank == 0
    with _aborting(ranks):
        if root and not no_check:
            _check(solver)
        begin_with = [path.strip() for path in weights.split(",")] if weights else []
        try:
            training = Training(solver, begin_with, True if resume == _NEWEST else resume or False, device, ranks)
        except Exception as error:
            if root and not no_check and not is_ours(error):
                _tell_what_is_wrong(solver)
            raise click.ClickException(told(error)) from error
        prefix = training.parameter.snapshot_prefix
        written = Written(
            log or f"{prefix}_log.csv", "" if no_plot else plot or f"{prefix}_loss.png", tensorboard or ""
        )
        with closing(training):
            if root:
                _tell(training, resumed=resume is not None)
            return run(training, solver, written) if root else _follow(training)


def _numbers(gpu: Optional[str]) -> List[int]:
    """The GPUs of `--gpu`, as in '0' or '0,1'."""
    words = gpu.split(",") if gpu else []
    if not all(re.fullmatch(r"\s*[0-9]{1,4}\s*", word) for word in words) or len(set(words)) < len(words):
        raise click.UsageError(f"--gpu must be numbers of GPUs, each once, as in 0 or 0,1, not {gpu!r}")
    return [int(word) for word in words]


def _start_again_under_mpirun(count: int) -> None:
    """Become mpirun, which starts this command so many times, once a GPU."""
    mpirun = mpirun_beside(os.path.dirname(sys.executable))
    if mpirun is None:
        raise click.ClickException(
            f"{count} GPUs take {count} processes, which mpirun starts, but mpirun is neither on PATH nor beside {sys.executable}: "
            f"install Open MPI or MPICH, and pip install mpi4py"
        )
    give_stdout_to(mpirun, [mpirun, "-n", str(count), sys.executable, "-m", "caffe_pylayers", *sys.argv[1:]])


def mpirun_beside(folder: str) -> Optional[str]:
    """The mpirun on PATH, else that in the folder of the Python program, where pip puts MPICH's."""
    names = [(name, path) for path in (None, folder) for name in ("mpirun", "mpiexec")]
    return next(filter(None, (shutil.which(name, path=path) for name, path in names)), None)


@contextmanager
def _aborting(ranks: Optional["Ranks"]) -> Iterator[None]:
    """An error in one rank ends all; else the others would wait for its gradients for ever."""
    try:
        yield
    except BaseException as error:
        if ranks is None:
            raise
        why = error.format_message() if isinstance(error, click.ClickException) else told(error)
        echo(f"caffe-pylayers: rank {ranks.rank}: {why}", err=True)
        ranks.abort(2)


def _follow(training: "Training") -> int:
    """Train as a rank that tells nothing."""
    from caffe_pylayers.training.signals import StopSignals

    with StopSignals(training):
        for _ in training:
            pass
    return 0


def _tell(training: "Training", resumed: bool) -> None:
    """Say how it begins. A terminal that is closed does not end it."""
    state = "" if resumed else newest(training)
    earlier = f"beginning at iteration 0; an earlier run left {state}: --resume continues from it"
    with suppress(OSError):
        for note in [*training.notes, *[earlier] * bool(state)]:
            echo(note, err=True)


def _check(solver: str) -> None:
    """Raises ClickException with what `check` finds wrong, warnings aside."""
    from caffe_pylayers.commands.check.checking import check_files

    found = check_files([solver], build=False, code=True).findings
    errors = [finding for finding in found if finding.level == "error"]
    for finding in errors:
        echo(str(finding), err=True)
    if errors:
        raise click.ClickException(
            f"{solver}: {len(errors)} error{'s' if len(errors) > 1 else ''} (above), so nothing was trained; --no-check trains anyway"
        )


def _tell_what_is_wrong(solver: str) -> None:
    """Say what `check` finds, warnings too, with nets that Caffe has set up: its own error does not name the layer."""
    from caffe_pylayers.commands.check.check import check

    for finding in check(solver):
        if finding.level != "note":
            echo(str(finding), err=True)
