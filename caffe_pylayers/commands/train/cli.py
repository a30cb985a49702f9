"""`caffe-pylayers train`."""

import logging
import math
import os
import re
import shutil
import signal
import sys
import traceback
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Iterator, List, Optional

import click

from caffe_pylayers.commands.console import Command, echo, give_stdout_to, out, silence

if TYPE_CHECKING:
    from caffe_pylayers.training import Row, Training
    from caffe_pylayers.training.progress import TrainingProgress
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
@click.option("--no-check", is_flag=True, help="Begin even if `caffe-pylayers check` finds an error.")
def train(
    solver: Optional[str],
    resume: Optional[str],
    weights: Optional[str],
    gpu: Optional[str],
    log: Optional[str],
    plot: Optional[str],
    no_plot: bool,
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
            if root and not no_check and not _is_ours(error):
                _tell_what_is_wrong(solver)
            raise click.ClickException(_told(error)) from error
        prefix = training.parameter.snapshot_prefix
        log, plot = log or f"{prefix}_log.csv", "" if no_plot else plot or f"{prefix}_loss.png"
        with closing(training):
            if root:
                _tell(training, resumed=resume is not None)
            return _train(training, solver, log, plot) if root else _follow(training)


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
        why = error.format_message() if isinstance(error, click.ClickException) else _told(error)
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
    newest = "" if resumed else _newest(training)
    earlier = f"beginning at iteration 0; an earlier run left {newest}: --resume continues from it"
    with suppress(OSError):
        for note in [*training.notes, *[earlier] * bool(newest)]:
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


def _train(training: "Training", solver: str, log: str, plot: str) -> int:
    """Run it. plot: "" for none. Returns the exit status."""
    from tqdm.contrib.logging import logging_redirect_tqdm

    from caffe_pylayers import regular_file
    from caffe_pylayers.files.output_file import is_made_here
    from caffe_pylayers.training.log import TrainingLog
    from caffe_pylayers.training.plot import MADE_BY, LivePlot
    from caffe_pylayers.training.progress import TrainingProgress
    from caffe_pylayers.training.signals import StopSignals

    for option, path in (("--log", log), ("--plot", plot)):
        try:
            if os.path.exists(path):
                regular_file.require_regular(path)
        except OSError as error:
            raise click.ClickException(f"{option} {path}: {error.strerror}; give another {option}") from error
        if not os.path.isdir(os.path.dirname(path) or "."):
            raise click.ClickException(f"{path}: there is no folder {os.path.abspath(os.path.dirname(path))}; make it")
    if plot and os.path.lexists(plot) and not is_made_here(plot, MADE_BY):
        raise click.ClickException(f"{plot} is there already, but is not a plot of a training; give another --plot")
    if training.iteration >= training.max_iter:
        echo(f"nothing to do: iteration {training.iteration} of max_iter {training.max_iter}; raise max_iter to go on")
        return 0
    rows = TrainingLog(log, training.output_names, training.iteration)
    picture = LivePlot(log, plot, solver, max(20, training.parameter.average_loss)) if plot else None
    watch = _LossWatch(training)
    above_the_bar = logging_redirect_tqdm([logging.getLogger("caffe_pylayers")])  # what layers have to say
    with StopSignals(training) as signals, closing(rows), closing(
        TrainingProgress(training)
    ) as progress, above_the_bar:
        try:
            for row in training:
                rows.write(row)
                progress.show(row)
                watch.look(row, progress)
                if picture:
                    picture.update()
            if training.iteration < training.max_iter:
                training.snapshot()
        except Exception as error:
            raise _failed(training, error) from error
        finally:
            if picture:
                picture.draw()
    # Another rank may have been told to stop.
    stopped_by = (signals.got or signal.SIGTERM) if training.iteration < training.max_iter else 0
    _report(training, solver, stopped_by, [log, plot] if plot else [log])
    return 128 + stopped_by if stopped_by else int(watch.bad)


def _report(training: "Training", solver: str, stopped_by: int, written: List[str]) -> None:
    """Say what there is now, and how to go on."""
    from caffe_pylayers.caffe_files.snapshots import state_path

    iteration, state = training.iteration, state_path(training.parameter.snapshot_prefix, training.iteration)
    snapshot = f": {state}" if os.path.exists(state) else ", without a last snapshot"
    lines = [f"trained {iteration} iterations{snapshot}"]
    if stopped_by:
        name = signal.Signals(stopped_by).name
        lines = [f"stopped by {name} after {iteration} of {training.max_iter} iterations{snapshot}"]
        lines += [f"to go on: caffe-pylayers train {solver} --resume"]
    try:
        echo("\n".join([*lines, f"written: {', '.join(written)}"]))
    except OSError:  # the terminal is gone, which is no reason to fail
        for stream in (out(), sys.stderr):
            silence(stream)


def _failed(training: "Training", error: Exception) -> click.ClickException:
    """What to tell of an error in the middle."""
    newest = _newest(training)
    where = f"the newest snapshot is {newest}" if newest else "there is no snapshot"
    return click.ClickException(f"iteration {training.iteration}: {_told(error)}\n{where}")


def _told(error: BaseException) -> str:
    """An error in a line; one that is none of ours is shown whole before, for the author of the layer needs that."""
    if _is_ours(error):
        return str(error)
    traceback.print_exception(type(error), error, error.__traceback__)
    return f"{type(error).__name__}: {error}"


def _is_ours(error: BaseException) -> bool:
    """Whether its text says all."""
    from caffe_pylayers.errors import ConfigError, DataError

    return isinstance(error, (ConfigError, DataError, OSError))


def _newest(training: "Training") -> str:
    """The newest whole state of this solver, or nothing."""
    from caffe_pylayers.caffe_files.snapshots import newest_state
    from caffe_pylayers.errors import ConfigError

    try:
        return newest_state(training.parameter.snapshot_prefix)[0].path
    except ConfigError:
        return ""


class _LossWatch:
    """Tells at once when the loss is no number any more."""

    def __init__(self, training: "Training") -> None:
        self._training = training
        self.bad = False

    def look(self, row: "Row", progress: "TrainingProgress") -> None:
        if self.bad or row.loss is None or math.isfinite(row.loss):
            return
        self.bad = True
        newest = _newest(self._training)
        before = f"--resume {newest} continues from before that" if newest else "there is no earlier snapshot"
        progress.say(
            f"caffe-pylayers: iteration {row.iteration}: the loss is {row.loss}, and the weights are useless from here on. "
            f"Stop with Ctrl-C; lower base_lr or set clip_gradients, and look at the data with `caffe-pylayers preview`; {before}"
        )
