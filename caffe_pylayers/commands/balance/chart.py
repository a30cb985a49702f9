"""A bar chart of label counts, or of values, as PNG."""

from typing import Any, Sequence

import numpy as np

from caffe_pylayers.commands.balance.label_counts import LabelCounts
from caffe_pylayers.commands.balance.value_columns import ValueColumns
from caffe_pylayers.files.class_names import named

#: Classes that get a bar with their name each; more are drawn by size.
_MOST_NAMED = 40

#: Columns of values that get a histogram each.
_MOST_COLUMNS = 24

#: Counts further apart than this are drawn on a log axis.
_LOG_FROM = 20.0

_BLUE, _GREY, _RED = "#0072B2", "#555555", "#D55E00"


def draw_counts(path: str, counts: LabelCounts, names: Sequence[str], title: str) -> None:
    """Write a PNG with a bar a class; above 40 classes, the counts from the largest to the smallest.

    names: of the classes, (K,).
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # without pyplot, which would choose how a notebook shows pictures

    with rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        few = len(counts.counts) <= _MOST_NAMED
        height = 1.3 + 0.27 * len(counts.counts) if few else 4.5
        figure = Figure(figsize=(8, height), constrained_layout=True)
        axes = figure.subplots()
        draw = _named_bars if few else _long_tail
        draw(axes, counts, names)
        (axes.xaxis if few else axes.yaxis).set_major_formatter(lambda value, _: _number(value))
        ratio = f", the largest {_number(counts.ratio)} times the smallest" if counts.ratio > 1 else ", all of one size"
        labels = f"{counts.counts.sum():,} labels in {np.count_nonzero(counts.counts):,} classes{ratio}"
        figure.suptitle(f"{title}\n{labels}", fontsize=11)
        figure.savefig(path, dpi=120, format="png")


def draw_values(path: str, values: ValueColumns) -> None:
    """Write a PNG with a histogram of each column; of many, the first."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    columns = values.columns[:_MOST_COLUMNS]
    a_row = min(4, len(columns))
    rows = -(-len(columns) // a_row)
    with rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(max(5, 2.6 * a_row), 0.8 + 1.9 * rows), constrained_layout=True)
        plots = figure.subplots(rows, a_row, squeeze=False).ravel()
        for plot, column in zip(plots, columns):
            if column.count:
                width = (column.max - column.min) / len(column.bins) or 1
                plot.bar(column.edges[:-1], column.bins, width, align="edge", color=_BLUE)
            missing = f", {column.missing:,} missing" if column.missing else ""
            plot.set_title(f"{_short(column.name)}{missing}", fontsize=9)
        for plot in plots[len(columns) :]:
            plot.axis("off")
        first = (
            f", the first {len(columns)} of {len(values.columns)} values" if len(columns) < len(values.columns) else ""
        )
        figure.suptitle(f"{values.of}\n{values.num_records:,} records{first}", fontsize=10)
        figure.savefig(path, dpi=120, format="png")


def _named_bars(axes: Any, counts: LabelCounts, names: Sequence[str]) -> None:
    places = np.arange(len(counts.counts))
    log = counts.ratio > _LOG_FROM
    axes.barh(places, counts.counts, color=_BLUE, height=0.75, log=log)
    for place, number in enumerate(counts.counts):
        axes.annotate(
            f"{number:,}" if number else "none",
            (max(number, axes.get_xlim()[0] if log else 0), place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=_GREY if number else _RED,
        )
    axes.set_yticks(places)
    axes.set_yticklabels([_short(named(place, names)) for place in range(len(places))])
    axes.set(ylim=(len(places) - 0.4, -0.6), ylabel="class", xlabel="labels, log axis" if log else "labels")
    axes.margins(x=0.1)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _long_tail(axes: Any, counts: LabelCounts, names: Sequence[str]) -> None:
    order = np.argsort(-counts.counts, kind="stable")
    number = counts.counts[order]
    present = number[number > 0]
    log = counts.ratio > _LOG_FROM
    axes.fill_between(np.arange(len(present) + 1), np.append(present, present[-1]), step="post", color=_BLUE, lw=0)
    if log:
        axes.set_yscale("log")
    floor = present[-1] / 2 if log else 0
    if len(present) < len(number):
        axes.axvspan(
            len(present), len(number), color=_RED, alpha=0.2, lw=0, label=f"{len(number) - len(present)} absent"
        )
        axes.legend(frameon=False)
    axes.set(
        xlim=(0, len(number)),
        ylim=(floor, None),
        ylabel="labels, log axis" if log else "labels",
        xlabel=f"classes by size: {_short(named(order[0], names))} first, {_short(named(order[len(present) - 1], names))} last",
    )
    axes.grid(axis="y", alpha=0.3)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _short(name: str) -> str:
    return name if len(name) <= 30 else f"{name[:29]}\N{HORIZONTAL ELLIPSIS}"
