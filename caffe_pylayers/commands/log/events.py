"""Runs as files of events, which TensorBoard reads."""

import os
import time
from contextlib import closing
from typing import Dict, Sequence

from caffe_pylayers.commands.log.runs import Run
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.training.tensorboard import EventFile

_LONGEST = 200  # bytes of a name that a folder can have, nearly


def refuse_used(folder: str) -> None:
    """Raise ConfigError where something is in the folder: TensorBoard would mix it with the runs, or no longer show it."""
    if os.path.lexists(folder) and not (os.path.isdir(folder) and not os.listdir(folder)):
        raise ConfigError(f"{folder} is there already", remedy="name a new folder")


def write_events(runs: Sequence[Run], folder: str) -> None:
    """A run into the folder itself, several into a folder each. The times are those of the log, where it has some."""
    for run, where in zip(runs, _folders(runs, folder)):
        with closing(EventFile(where, min(run.rows, default=0))) as events:
            for iteration, row in run.rows.items():
                when = row.place.time.timestamp() if row.place.time else time.time()
                events.add(iteration, row.numbers, when)


def _folders(runs: Sequence[Run], folder: str) -> Sequence[str]:
    if len(runs) == 1:
        return [folder]
    names: Dict[str, None] = {}
    for run in runs:
        files = dict.fromkeys(os.path.basename(part.began.source) for part in run.parts)
        name = "+".join(files)[:_LONGEST]
        names[name if name not in names else f"{name}_{len(names)}"] = None
    return [os.path.join(folder, name) for name in names]
