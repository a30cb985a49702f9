"""Runs as tables: for a terminal, and as CSV."""

import csv
from typing import List, Optional, Sequence, Tuple

from rich.table import Table

from caffe_pylayers.commands.log.findings import when
from caffe_pylayers.commands.log.runs import Run
from caffe_pylayers.errors import readable
from caffe_pylayers.files.output_file import output_file
from caffe_pylayers.training.passes import is_entry

_MOST_COLUMNS = 8  # that a terminal has room for
_MOST_BESIDE_NAMES = 5


def heading(run: Run) -> str:
    """What a run is, in a line."""
    first, last = run.parts[0], run.parts[-1]
    words = [f"iterations {min(run.rows)} to {max(run.rows)}" if run.rows else "no iteration"]
    if first.began.time and last.last.time:
        seconds = round((last.last.time - first.began.time).total_seconds())
        words.append(f"from {when(first.began, first.has_year)} to {when(last.last, last.has_year)}")
        words.append(f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}")
    return readable(f"{run.name}: {', '.join(words)}")


def rows_table(run: Run, count: int) -> Tuple[Table, List[str]]:
    """`count` rows of a run, tests first of all; and the columns for which there is no room."""
    columns = sorted((name for name in run.columns if not is_entry(name)), key=lambda name: name.startswith("train "))
    columns = [name for name in columns if run.numbers(name)]
    table = _table(["iteration", *columns[:_MOST_COLUMNS]])
    for iteration in _chosen(run, count):
        numbers = run.rows[iteration].numbers
        table.add_row(str(iteration), *(_shown(numbers.get(name)) for name in columns[:_MOST_COLUMNS]))
    return table, [name for name in run.columns if name not in columns[:_MOST_COLUMNS] and run.numbers(name)]


def runs_table(runs: Sequence[Run]) -> Table:
    """A row for each run: its last numbers."""
    columns = [name for name in _columns(runs) if not is_entry(name) and not name.startswith("train ")]
    columns = columns[:_MOST_BESIDE_NAMES]
    table = _table(["run", "iterations", *columns])
    for run in runs:
        last = {name: list(run.numbers(name).values())[-1:] for name in columns}
        table.add_row(readable(run.name), str(max(run.rows, default=0)), *(_shown(*last[name]) for name in columns))
    return table


def write_csv(runs: Sequence[Run], path: str) -> None:
    """All numbers. The columns are those of the log of `train`; of several runs each row has its run in front."""
    columns = _columns(runs)
    with output_file(path) as part, open(part, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*["run"] * (len(runs) > 1), "iteration", *columns])
        for run in runs:
            for iteration, row in run.rows.items():
                numbers = [row.numbers.get(name, "") for name in columns]
                writer.writerow([*[run.name] * (len(runs) > 1), iteration, *numbers])


def _columns(runs: Sequence[Run]) -> List[str]:
    return list(dict.fromkeys(name for run in runs for name in run.columns))


def _chosen(run: Run, count: int) -> List[int]:
    """Iterations at even distances, the first and the last among them: those of tests; of losses too, if no test has one."""
    if len(run.rows) <= count:
        return list(run.rows)
    tested = [i for i, row in run.rows.items() if any(name.startswith("test") for name in row.numbers)]
    losses = list(run.numbers("loss"))
    if len(tested) < 2:
        return _evenly(losses or list(run.rows), count)
    if len(set(tested) & set(losses)) > len(tested) // 2:
        return _evenly(tested, count)
    return sorted({*_evenly(tested, count // 2), *_evenly(losses, count - count // 2)})


def _evenly(iterations: Sequence[int], count: int) -> List[int]:
    if len(iterations) <= count:
        return list(iterations)
    return [iterations[round(k * (len(iterations) - 1) / max(1, count - 1))] for k in range(count)]


def _shown(number: Optional[float] = None) -> str:
    return "" if number is None else f"{number:.6g}"


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        is_text = name == "run"
        table.add_column(readable(name), justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold")
    return table
