"""A table of label counts and class weights, or of values, on a terminal."""

from typing import Dict, List, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from caffe_pylayers.commands.balance.label_counts import LabelCounts
from caffe_pylayers.commands.balance.value_columns import ValueColumns
from caffe_pylayers.files.class_names import named

_MOST_ROWS = 40
_MOST_LENGTHS = 12  # of rows of labels, in the summary
_NO_CLASS = 255  # by convention


def print_table(
    out: Console, counts: LabelCounts, names: Sequence[str], weights: Dict[str, np.ndarray], scale: str
) -> None:
    """Print what was counted, and a row per class with its count, share and weights.

    names: of the classes, (K,). weights: by rule, each (K,), of that scale.
    """
    total, most = int(counts.counts.sum()), int(counts.counts.max())
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=True)
    table.add_column("class", no_wrap=True, footer="\n".join(["largest / smallest", *_factors(scale)]))
    table.add_column("labels", justify="right", footer=f"{counts.ratio:.4g}")
    table.add_column("share", justify="right")
    table.add_column("", no_wrap=True)
    for rule, values in weights.items():
        ratio = values.max() / values[values > 0].min()
        factors = [counts.mean_weight(values), counts.mean_weight(values / values.sum())][: len(_factors(scale))]
        table.add_column(
            rule.replace("_", "_\n"), justify="right", footer="\n".join(f"{value:.4g}" for value in (ratio, *factors))
        )
    shown = _shown_classes(counts)
    for number in shown:
        count = int(counts.counts[number])
        table.add_row(
            Text(named(number, names)),
            f"{count}",
            f"{count / total:.2%}",
            _bar(count / most),
            *(f"{values[number]:.4g}" for values in weights.values()),
            style=None if count else "red",
        )
        if len(shown) == _MOST_ROWS < len(names) - len(counts.absent) and number == shown[_MOST_ROWS // 2 - 1]:
            table.add_row("...")
    out.print(_summary(counts), markup=False, soft_wrap=True)
    out.print()
    out.print(table)
    out.print(f"\nweights: scale {scale}; a class without labels has weight 0", soft_wrap=True)


def print_targets(out: Console, counts: LabelCounts, names: Sequence[str]) -> None:
    """Print a row per label with its positives, their share of what is known, its negatives, and what is not known."""
    assert counts.negatives is not None
    known = counts.counts + counts.negatives
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("label", no_wrap=True)
    for heading in ("positives", "share", "", "negatives", "not known"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=not heading)
    for number in _shown_classes(counts):
        positives, share = int(counts.counts[number]), counts.counts[number] / max(1, known[number])
        table.add_row(
            Text(named(number, names)),
            f"{positives}",
            f"{share:.2%}",
            _bar(share),
            f"{counts.negatives[number]}",
            f"{counts.num_records - known[number]}",
            style=None if positives else "red",
        )
    out.print(_summary(counts), markup=False, soft_wrap=True)
    out.print()
    out.print(table)


def _factors(scale: str) -> List[str]:
    """What the weights do to the mean loss: the rows below the table."""
    if scale == "sum_one":
        return ["factor on the mean loss"]
    return ["factor on the mean loss", "  with scale sum_one"]


def _shown_classes(counts: LabelCounts) -> List[int]:
    """The classes that get a row: all; where they are many those that occur, or of these the largest and the smallest."""
    if len(counts.counts) <= _MOST_ROWS:
        return list(range(len(counts.counts)))
    present = [int(number) for number in counts.counts.nonzero()[0]]
    if len(present) <= _MOST_ROWS:
        return present
    order = sorted(present, key=lambda number: -counts.counts[number])
    return order[: _MOST_ROWS // 2] + order[-(_MOST_ROWS // 2) :]


def _summary(counts: LabelCounts) -> str:
    """What was counted, in lines."""
    total = int(counts.counts.sum())
    lines = [
        f"{counts.of}: {total} labels of {counts.num_records} records in {len(counts.counts) - len(counts.absent)} classes"
    ]
    if counts.epoch:
        lines.append(f"the net reads {counts.epoch}")
    lengths = [(n, int(records)) for n, records in enumerate(counts.a_record) if records]
    if counts.several and len(lengths) <= _MOST_LENGTHS:
        lines.append("labels per record: " + ", ".join(f"{n} in {records}" for n, records in lengths))
    if counts.num_ignored:
        lines.append(f"ignored: {counts.num_ignored} labels")
    if counts.doubt:
        lines.append(f"warning, if each row is a set of labels: {counts.doubt}")
    absent = counts.absent
    if absent:
        shown = ", ".join(map(str, absent[:20]))
        more = ", ..." if len(absent) > 20 else ""
        lines.append(f"{len(absent)} of {len(counts.counts)} classes have no label: {shown}{more}")
        if len(counts.counts) == _NO_CLASS + 1:
            lines.append(
                f"if {_NO_CLASS} means no class, as in many label maps, leave it out with --ignore-label {_NO_CLASS}"
            )
    return "\n".join(lines)


def print_values(out: Console, values: ValueColumns) -> None:
    """Print where the values of each column lie."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("value", no_wrap=True)
    for name in ("count", "missing", "min", "mean", "max", "std"):
        table.add_column(name, justify="right")
    table.add_column("min to max", no_wrap=True)
    for column in values.columns[:_MOST_ROWS]:
        numbers = (f"{number:.4g}" for number in (column.min, column.mean, column.max, column.std))
        cells = [str(column.count), str(column.missing), *numbers, _sparkline(column.bins)]
        table.add_row(Text(column.name), *cells, style=None if column.count else "red")
    count = sum(column.count for column in values.columns)
    out.print(f"{values.of}: {count} values of {values.num_records} records", markup=False, soft_wrap=True)
    if values.epoch:
        out.print(f"the net reads {values.epoch}", soft_wrap=True)
    out.print()
    out.print(table)
    if len(values.columns) > _MOST_ROWS:
        out.print(f"... and {len(values.columns) - _MOST_ROWS} more, which --json has too", soft_wrap=True)


def _sparkline(bins: np.ndarray) -> str:
    """A column for each bin, in eighths of the fullest; the smallest has one eighth."""
    heights = np.ceil(8 * bins / max(1, int(bins.max()))).astype(int)
    return "".join(" \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"[height] for height in heights)


def _bar(part: float) -> str:
    """A bar of up to 12 characters, in eighths; the smallest has one eighth."""
    eighths = max(1, round(12 * 8 * part)) if part else 0
    return "\u2588" * (eighths // 8) + ("" if eighths % 8 == 0 else chr(0x2590 - eighths % 8))
