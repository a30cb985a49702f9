"""The training of `train` itself: what is written and told meanwhile, and how it ends."""

import logging
import math
import os
import signal
import sys
import traceback
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, List, NamedTuple

import click

from caffe_pylayers.commands.console import echo, out, silence

if TYPE_CHECKING:
    from caffe_pylayers.training import Row, Training
    from caffe_pylayers.training.progress import TrainingProgress
    from caffe_pylayers.training.tensorboard import EventFile


class Written(NamedTuple):
    """What a training writes beside its snapshots; "" for none."""

    log: str
    plot: str
    tensorboard: str


def run(training: "Training", solver: str, written: Written) -> int:
    """Train to the end. Returns the exit status."""
    from tqdm.contrib.logging import logging_redirect_tqdm

    from caffe_pylayers.training.log import TrainingLog
    from caffe_pylayers.training.plot import LivePlot
    from caffe_pylayers.training.progress import TrainingProgress
    from caffe_pylayers.training.signals import StopSignals

    log, plot, tensorboard = written
    _refuse(log, plot)
    if training.iteration >= training.max_iter:
        echo(f"nothing to do: iteration {training.iteration} of max_iter {training.max_iter}; raise max_iter to go on")
        return 0
    with ExitStack() as stack:
        events = stack.enter_context(closing(_events(tensorboard, training.iteration))) if tensorboard else None
        rows = stack.enter_context(closing(TrainingLog(log, training.output_names, training.iteration)))
        picture = LivePlot(log, plot, solver, max(20, training.parameter.average_loss)) if plot else None
        watch = _LossWatch(training)
        signals = stack.enter_context(StopSignals(training))
        progress = stack.enter_context(closing(TrainingProgress(training)))
        # What layers have to say comes above the bar.
        stack.enter_context(logging_redirect_tqdm([logging.getLogger("caffe_pylayers")]))
        try:
            for row in training:
                rows.write(row)
                if events:
                    events.write(row)
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
    _report(training, solver, stopped_by, [path for path in (log, plot, events and events.path) if path])
    return 128 + stopped_by if stopped_by else int(watch.bad)


def _refuse(log: str, plot: str) -> None:
    """Raise ClickException where one of them cannot be written, or is something else already."""
    from caffe_pylayers import regular_file
    from caffe_pylayers.files.output_file import is_made_here
    from caffe_pylayers.training.plot import MADE_BY

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


def _events(folder: str, begin: int) -> "EventFile":
    from caffe_pylayers.processes.limits import NO_ROOM
    from caffe_pylayers.training.tensorboard import EventFile

    try:
        return EventFile(folder, begin)
    except OSError as error:
        remedy = NO_ROOM.get(error.errno or 0, "give another folder")
        raise click.ClickException(f"--tensorboard {folder}: cannot write there: {error.strerror}; {remedy}") from error


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
    state = newest(training)
    where = f"the newest snapshot is {state}" if state else "there is no snapshot"
    return click.ClickException(f"iteration {training.iteration}: {told(error)}\n{where}")


def told(error: BaseException) -> str:
    """An error in a line; one that is none of ours is shown whole before, for the author of the layer needs that."""
    if is_ours(error):
        return str(error)
    traceback.print_exception(type(error), error, error.__traceback__)
    return f"{type(error).__name__}: {error}"


def is_ours(error: BaseException) -> bool:
    """Whether its text says all."""
    from caffe_pylayers.errors import ConfigError, DataError

    return isinstance(error, (ConfigError, DataError, OSError))


def newest(training: "Training") -> str:
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
        from caffe_pylayers.caffe_files.snapshots import newest_sound_state

        self.bad = True
        state = newest_sound_state(self._training.parameter.snapshot_prefix, row.iteration)
        before = f"--resume {state} continues from before that" if state else "there is no earlier snapshot"
        progress.say(
            f"caffe-pylayers: iteration {row.iteration}: the loss is {row.loss}, and the weights are useless from here on. "
            f"Stop with Ctrl-C; lower base_lr or set clip_gradients, and look at the data with `caffe-pylayers preview`; {before}"
        )
