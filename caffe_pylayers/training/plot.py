"""The log of a training as a picture."""

import logging
import math
import time
from collections import deque
from typing import Any, Deque, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from caffe_pylayers.files.output_file import output_file
from caffe_pylayers.training.log import COLUMNS, read_log
from caffe_pylayers.training.passes import is_entry

#: By which a plot is known again, so that the next training of the same name may replace it.
MADE_BY = "caffe-pylayers train"

logger = logging.getLogger("caffe_pylayers")

_DASHES = ("-", "--", ":", "-.")
_POINTS = 4000  # of a line at most: more than the picture has pixels


class LivePlot:
    """A picture of a log that is drawn again now and then, with at most 1% of the time.

    path: of the PNG, which is replaced as a whole. average: iterations that the smoothed loss is the mean of.
    """

    def __init__(self, log: str, path: str, title: str, average: int) -> None:
        self._log, self._path, self._title, self._average = log, path, title, average
        self._next = time.perf_counter() + 15

    def update(self) -> None:
        """Draw it if it is time to."""
        if time.perf_counter() >= self._next:
            self.draw()

    def draw(self) -> None:
        """Draw it now. What goes wrong with it is told, and ends the drawing and not the training."""
        began = time.perf_counter()
        try:
            plot_log(self._log, self._path, self._title, self._average)
        except Exception as error:  # of matplotlib, of a disk: whatever it is
            logger.warning("%s is not drawn: %s: %s", self._path, type(error).__name__, error)
            self._next = math.inf
            return
        took = time.perf_counter() - began
        self._next = began + max(15.0, 100 * took)


def plot_log(log: str, path: str, title: str, average: int) -> None:
    """Draw a log as a PNG: the loss, raw and as the mean of `average` iterations, the other outputs, the rate."""
    plot_runs({"": read_log(log)}, path, title, average)


def plot_runs(runs: Mapping[str, Mapping[str, Sequence[float]]], path: str, title: str, average: int) -> None:
    """Draw one or several runs as a PNG, each by its columns, as `read_log` gives them. Of several, each has a colour."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no pyplot: whoever calls this may have a figure open
    from matplotlib.figure import Figure

    names = dict.fromkeys(name for columns in runs.values() for name in columns if name not in COLUMNS)
    losses, others = _split(list(names))
    heights = [3.0, 2.0, 1.0] if others else [3.0, 1.0]
    figure = Figure(figsize=(9, 1.6 * sum(heights)))
    FigureCanvasAgg(figure)  # without one, tight_layout of matplotlib 3.3 warns
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]

    shown: List[Sequence[float]] = []
    for number, (run, columns) in enumerate(runs.items()):
        style = _Style(run, number, len(runs))
        shown += _draw_losses(panels[0], columns, losses, average, style)
        _draw(panels[1], columns, others, style, 0 if len(runs) > 1 else len(losses) + 1)
        _line(panels[-1], columns["iteration"], columns["lr"], color=f"C{number}" if len(runs) > 1 else "0.4")
    panels[0].set(title=title, ylabel="loss")
    panels[0].set_ylim(*_limits(*shown))
    panels[-1].set(xlabel="iteration", ylabel="lr")
    for panel in panels:
        panel.grid(alpha=0.3)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    for panel in panels[:-1]:
        panel.legend(loc="best", frameon=False, fontsize="small")

    figure.tight_layout()
    with output_file(path) as part:
        figure.savefig(part, format="png", dpi=100, metadata={"Software": MADE_BY})


class _Style(NamedTuple):
    """How the lines of a run look: of one run each has a colour of its own, of several each run has one, and lines differ in dashes."""

    run: str
    number: int
    runs: int

    def of(self, line: int, name: str) -> Dict[str, Any]:
        if self.runs == 1:
            return {"color": f"C{line}", "label": name}
        return {"color": f"C{self.number}", "linestyle": _DASHES[line % len(_DASHES)], "label": f"{self.run}: {name}"}


def _draw_losses(
    panel: Any, columns: Mapping[str, Sequence[float]], tests: Sequence[str], average: int, style: _Style
) -> List[Sequence[float]]:
    """Returns the numbers that shall be in sight."""
    iterations, smoothed = columns["iteration"], smooth(columns["loss"], average)
    if average > 1:
        raw = {"color": "0.8", "label": "loss"} if style.runs == 1 else {"color": f"C{style.number}", "alpha": 0.25}
        _line(panel, iterations, columns["loss"], linewidth=0.8, **raw)
    _line(panel, iterations, smoothed, **style.of(0, f"loss, mean of {average}" if average > 1 else "loss"))
    _draw(panel, columns, tests, style, 1)
    return [smoothed, *(columns[name] for name in tests if name in columns)]


def _draw(panel: Any, columns: Mapping[str, Sequence[float]], names: Sequence[str], style: _Style, begin: int) -> None:
    """begin: the number of the first line."""
    for number, name in enumerate(names, begin):
        if name in columns:
            faint = {} if name.startswith("test") else {"alpha": 0.4, "linewidth": 0.8}
            _line(panel, columns["iteration"], columns[name], **style.of(number, name), **faint)


def smooth(losses: Sequence[float], average: int) -> List[float]:
    """The mean of each loss and those before it, `average` in all; what is no number is left out, and NaN itself."""
    means: List[float] = []
    window: Deque[float] = deque()
    total = 0.0
    for loss in losses:
        if not math.isfinite(loss):
            means.append(math.nan)
            continue
        if len(window) == average:
            total -= window.popleft()
        window.append(loss)
        total += loss
        means.append(total / len(window))
    return means


def _split(names: Sequence[str]) -> Tuple[List[str], List[str]]:
    """The losses of tests, and what is no loss; vectors are neither, as there may be too many to tell apart."""
    single = [name for name in names if not is_entry(name)]
    losses = [name for name in single if "loss" in name.lower()]
    return [name for name in losses if name.startswith("test")], [name for name in single if name not in losses]


def _line(panel: Any, x: Sequence[float], y: Sequence[float], **style: Any) -> None:
    """The points that there are; with marks where they are few."""
    points = [(one, other) for one, other in zip(x, y) if math.isfinite(other)]
    points = points[:: max(1, math.ceil(len(points) / _POINTS))]
    marks: Dict[str, Any] = {"marker": "o", "markersize": 3} if len(points) < 60 else {}
    panel.plot(*zip(*points) if points else ([], []), **marks, **style)


def _limits(*lines: Sequence[float]) -> Tuple[float, float]:
    """What shows the smoothed losses, so that the peaks of single batches do not flatten them."""
    finite = [number for line in lines for number in line if math.isfinite(number)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    margin = 0.15 * (high - low) or 0.5
    return low - margin, high + margin
