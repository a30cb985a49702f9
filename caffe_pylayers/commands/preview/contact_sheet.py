"""A contact sheet: pictures in groups (a triplet, a pair, an image) with captions, above a histogram; as PNG.

All places are in pixels of the sheet, from its top left corner.
"""

import warnings
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from caffe_pylayers.commands.preview.fed_values import Channel
from caffe_pylayers.commands.preview.pictures import LABEL_COLOURS
from caffe_pylayers.data.points import outside, sides

#: What a PNG of ours says of its origin.
MADE_BY = "caffe-pylayers preview"

_WIDTH, _MARGIN = 1180, 24
_CELL, _SMALLEST_CELL = 120, 40  # longest side of a picture
_CELL_GAP, _GROUP_GAP, _LINE = 6, 26, 14
_HISTOGRAM = 150
_LOG_FROM = 30  # times that the fullest bin has of what half of the bins have
_DPI = 100
_MOST_NUMBERED, _DOT, _SMALL_DOT = 12, 3, 2  # points on a picture, their radius, and that of more points

# Okabe and Ito's colours stay apart for the colour-blind.
GREY, GREEN, RED = "#555555", "#009E73", "#D55E00"
_CHANNEL_COLOURS = {"blue": "#0072B2", "green": "#009E73", "red": "#D55E00"}
_OTHER_COLOURS = ("#333333", "#E69F00", "#56B4E9", "#CC79A7")


@dataclass(frozen=True)
class Cell:
    """A picture, uint8 (H, W) or (H, W, 3), the lines under it, the colour of its frame, and points on it.

    points: (P, 2), x and y in pixels of the picture; one that is not on it, or NaN, is left out.
    """

    picture: np.ndarray
    caption: Sequence[str] = ()
    frame: str = GREY
    points: Optional[np.ndarray] = None


@dataclass(frozen=True)
class Group:
    """Cells side by side, with a line above them."""

    cells: Sequence[Cell]
    heading: str = ""
    colour: str = GREY


@dataclass(frozen=True)
class Sheet:
    """title: one line. notes: lines under it. columns: what the cells of a group are, as ("anchor", "positive").

    groups: in order, as many in a row as fit, all of like cells. channels: for the histogram, if there is to be one. findings: sentences at
    the end.
    """

    title: str
    notes: Sequence[str]
    columns: Sequence[str]
    groups: Sequence[Group]
    channels: Sequence[Channel] = ()
    findings: Sequence[str] = ()


def draw(path: str, sheet: Sheet, made_by: str = MADE_BY) -> None:
    """Write the sheet as PNG. made_by: what it says of its origin."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # without pyplot, which would choose how a notebook shows pictures

    painter = _Painter(sheet)
    with warnings.catch_warnings(), rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        warnings.simplefilter("ignore")  # letters that the font lacks
        height = painter.height
        figure = Figure(figsize=(painter.width / _DPI, height / _DPI), dpi=_DPI)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, painter.width), ylim=(height, 0))
        axes.axis("off")
        painter.paint(figure, axes)
        figure.savefig(path, dpi=_DPI, format="png", metadata={"Software": made_by})


class _Painter:
    """Where everything goes on a sheet."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        cells = sheet.groups[0].cells
        sizes = [(cell.picture.shape[0], cell.picture.shape[1]) for cell in cells]
        self._sizes = [_fitted(size, _cell(len(cells))) for size in sizes]
        self._a_row, self._group_width, self._step = _layout(sizes)
        self._lines = max(len(cell.caption) for group in sheet.groups for cell in group.cells)
        self._heading = _LINE if any(group.heading for group in sheet.groups) else 0
        self._row_height = max(height for height, _ in self._sizes) + self._heading + _LINE * self._lines + 12
        self._rows = -(-len(sheet.groups) // self._a_row)
        self._top = 40 + _LINE * len(sheet.notes) + (20 if len(sheet.columns) > 1 else 6)
        self._below = self._top + self._rows * self._row_height + 12
        self.width = max(_WIDTH, self._group_width) + 2 * _MARGIN
        self._findings = [line for finding in sheet.findings for line in _wrapped(finding, 170)]
        self._end = self._below + (_HISTOGRAM + 60 if sheet.channels else 0)
        self.height = self._end + _LINE * len(self._findings) + 8 * bool(self._findings)

    def paint(self, figure: Any, axes: Any) -> None:
        sheet = self._sheet
        _text(axes, _MARGIN, 24, sheet.title, size=11, weight="bold")
        for number, note in enumerate(sheet.notes):
            _text(axes, _MARGIN, 44 + _LINE * number, note, colour=GREY)
        canvas = np.full((self.height, self.width, 3), 255, np.uint8)
        for number, group in enumerate(sheet.groups):
            row, column = divmod(number, self._a_row)
            x, y = _MARGIN + column * self._step, self._top + row * self._row_height
            if row == 0 and len(sheet.columns) > 1:
                self._head(axes, x)
            self._group(axes, canvas, group, x, y)
        axes.imshow(canvas, extent=(0, self.width, self.height, 0), interpolation="nearest", zorder=0)
        if sheet.channels:
            self._statistics(figure, axes)
        for number, line in enumerate(self._findings):
            _text(axes, _MARGIN, self._end + 2 + _LINE * number, line, colour=RED)

    def _head(self, axes: Any, x: float) -> None:
        for (_, width), name in zip(self._sizes, self._sheet.columns):
            _text(axes, x + width / 2, self._top - 8, name, size=9, anchor="center", colour=GREY, weight="bold")
            x += width + _CELL_GAP

    def _group(self, axes: Any, canvas: np.ndarray, group: Group, x: int, y: int) -> None:
        from matplotlib.patches import Rectangle

        if group.heading:
            _text(axes, x, y + 9, _cut(group.heading, self._group_width), colour=group.colour, weight="bold")
        y += self._heading
        for cell, (height, width) in zip(group.cells, self._sizes):
            picture = _resized(cell.picture, (height, width))
            canvas[y : y + height, x : x + width] = picture if picture.ndim == 3 else picture[:, :, None]
            frame = Rectangle((x - 1, y - 1), width + 2, height + 2, fill=False, edgecolor=cell.frame, linewidth=1.2)
            axes.add_patch(frame)
            self._points(axes, canvas, cell, x, y)
            for number, line in enumerate(cell.caption):
                _text(
                    axes,
                    x + width / 2,
                    y + height + 13 + _LINE * number,
                    _cut(line, width + _CELL_GAP),
                    anchor="center",
                )
            x += width + _CELL_GAP

    def _points(self, axes: Any, canvas: np.ndarray, cell: Cell, x: int, y: int) -> None:
        """Dots, each point in its own colour; a few have their numbers beside them."""
        from matplotlib.patheffects import withStroke

        if cell.points is None:
            return
        height, width = cell.picture.shape[:2]
        factor = _fitted((height, width), _cell(len(self._sizes)))[1] / width
        off = outside(cell.points[None], sides((height, width)))[0] | np.isnan(cell.points).any(1)
        few = len(off) <= _MOST_NUMBERED
        radius = _DOT if few else _SMALL_DOT
        places = np.rint((cell.points + 0.5) * factor - 0.5)
        for number in np.flatnonzero(~off).tolist():
            at_x, at_y = x + int(places[number, 0]), y + int(places[number, 1])
            cv2.circle(canvas, (at_x, at_y), radius + 1, (0, 0, 0), -1)
            cv2.circle(canvas, (at_x, at_y), radius, LABEL_COLOURS[number % 254 + 1].tolist(), -1)
            if few:
                edge = [withStroke(linewidth=1.5, foreground="black")]
                axes.text(at_x + 5, at_y - 3, str(number), fontsize=6, color="white", path_effects=edge)

    def _statistics(self, figure: Any, axes: Any) -> None:
        """The histogram of values as fed, and the numbers beside it."""
        left, bottom, width = _MARGIN + 46, self._below + _HISTOGRAM + 14, 560
        box = (left / self.width, 1 - bottom / self.height, width / self.width, _HISTOGRAM / self.height)
        plot = figure.add_axes(box)
        finite = [channel for channel in self._sheet.channels if len(channel.values)]
        low = min((channel.min for channel in finite), default=0.0)
        high = max((channel.max for channel in finite), default=1.0)
        edges = np.linspace(low, high if high > low else low + 1, 65)
        largest: List[float] = [1.0]
        for number, channel in enumerate(finite):
            colour = _CHANNEL_COLOURS.get(channel.name, _OTHER_COLOURS[number % len(_OTHER_COLOURS)])
            counts = np.histogram(channel.values, edges)[0]
            plot.hist(
                edges[:-1], edges, weights=counts, histtype="step", color=colour, label=channel.name, linewidth=1.4
            )
            largest.append(float(counts.max() / max(np.median(counts), 1)))
        log = max(largest) > _LOG_FROM
        if log:
            plot.set_yscale("log")
        else:
            plot.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4))
        plot.set(title="values as fed", xlabel="value", ylabel=f"count{', log axis' * log}", xlim=(edges[0], edges[-1]))
        plot.set_ylim(bottom=0.8 if log else 0)
        if len(finite) > 1:
            plot.legend(frameon=False)
        table: List[Sequence[str]] = [("", "min", "max", "mean", "std", "not finite")]
        for channel in self._sheet.channels:
            numbers = (f"{value:.4g}" for value in (channel.min, channel.max, channel.mean, channel.std))
            table.append((channel.name, *numbers, str(channel.num_not_finite)))
        for row, words in enumerate(table):
            for column, word in enumerate(words):
                x = left + width + 40 + (0 if column == 0 else 50 + 82 * column)
                weight = "bold" if row == 0 else "normal"
                _text(
                    axes, x, self._below + 40 + 18 * row, word, anchor="left" if column == 0 else "right", weight=weight
                )


def groups_a_row(sizes: Sequence[Tuple[int, int]]) -> int:
    """How many groups fit side by side, whose pictures have these sizes, (height, width) each."""
    return _layout(sizes)[0]


def _layout(sizes: Sequence[Tuple[int, int]]) -> Tuple[int, int, int]:
    """Groups a row, the width of a group, and the way from one to the next."""
    widths = [max(_fitted(size, _cell(len(sizes)))[1], _SMALLEST_CELL) for size in sizes]
    width = sum(widths) + _CELL_GAP * (len(sizes) - 1)
    step = width + (_GROUP_GAP if len(sizes) > 1 else 2 * _CELL_GAP)
    return max(1, (_WIDTH + step - width) // step), width, step


def _cell(num_cells: int) -> int:
    """The longest side of a picture: smaller where so many side by side would not fit."""
    fitting = (_WIDTH + _CELL_GAP) // max(num_cells, 1) - _CELL_GAP
    return int(np.clip(fitting, _SMALLEST_CELL, _CELL))


def _fitted(size: Tuple[int, int], cell: int) -> Tuple[int, int]:
    """(height, width) of a picture whose longest side is at most `cell`; small ones are enlarged by integers."""
    factor = cell / max(size)
    factor = int(factor) if factor >= 2 else factor
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _resized(picture: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    factor = max(size) / max(picture.shape[:2])
    by = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR if factor < 2 else cv2.INTER_NEAREST
    return cv2.resize(picture, size[::-1], interpolation=by)


def _text(
    axes: Any,
    x: float,
    y: float,
    words: str,
    size: float = 8,
    colour: str = "black",
    anchor: str = "left",
    weight: str = "normal",
) -> None:
    # A dollar sign would begin a formula.
    escaped = words.replace("\\", "\\\\").replace("$", r"\$") if "$" in words else words
    axes.text(x, y, escaped, fontsize=size, color=colour, ha=anchor, va="baseline", weight=weight)


def _cut(words: str, width: float) -> str:
    """As much of it as fits into so many pixels: letters are 6 wide on average."""
    fitting = max(3, int(width / 5.8))
    return words if len(words) <= fitting else f"{words[: fitting - 1]}\N{HORIZONTAL ELLIPSIS}"


def _wrapped(words: str, width: int) -> List[str]:
    import textwrap

    return textwrap.wrap(words, width)
