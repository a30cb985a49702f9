"""Runs as a picture."""

import math
from typing import Dict, List, Sequence

from caffe_pylayers.commands.log.runs import OWN, Run
from caffe_pylayers.errors import readable
from caffe_pylayers.training.plot import plot_runs

_AVERAGED = 25  # means that the line of a loss is made of, at least


def draw(runs: Sequence[Run], path: str) -> None:
    """Draw all runs as one PNG. Rows of `train` are averaged as it does it; Caffe writes means already, where a solver says so."""
    average = max(1, min(20, *(len(run.rows) // _AVERAGED for run in runs)))
    title = readable(runs[0].name) if len(runs) == 1 else f"{len(runs)} runs"
    plot_runs({readable(run.name): _columns(run) for run in runs}, path, title, average)


def _columns(run: Run) -> Dict[str, List[float]]:
    names = [name for name in run.columns if name in ("loss", "lr") or name not in OWN]
    columns = {name: [row.numbers.get(name, math.nan) for row in run.rows.values()] for name in names}
    return {"iteration": [float(iteration) for iteration in run.rows], **columns}
