"""The log of a training as CSV, a row per iteration: iteration, loss, lr, images_per_s, waiting, cached, outputs of nets."""

import csv
import os
from array import array
from typing import Dict, List, Optional, Sequence

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.output_file import output_file
from caffe_pylayers.training.loop import Row

COLUMNS = ("iteration", "loss", "lr", "images_per_s", "waiting", "cached")


class TrainingLog:
    """A log that is written row by row; each row is in the file when `write` returns.

    names: the columns behind COLUMNS, as in the outputs of the rows. begin: the iteration that comes next. Rows of an
    earlier run from there on are dropped, since they come again, and the others kept; a run that begins at 0 puts an
    earlier log aside, as PATH.old.
    """

    def __init__(self, path: str, names: Sequence[str], begin: int = 0) -> None:
        kept: List[Dict[str, str]] = []
        columns = [*COLUMNS, *names]
        if os.path.exists(path):
            before, kept = _rows_before(path, begin)
            if begin == 0:
                os.replace(path, f"{path}.old")
            else:
                columns = [*before, *(name for name in columns if name not in before)]
        with output_file(path) as part:
            self._file = open(part, "w", newline="", encoding="utf-8")  # noqa: SIM115 - open as long as the run
            self._writer = csv.DictWriter(self._file, columns, restval="", lineterminator="\n")
            self._writer.writeheader()
            self._writer.writerows(kept)
            self._file.flush()

    def write(self, row: Row) -> None:
        numbers = {
            "iteration": row.iteration,
            "loss": "" if row.loss is None else _float32(row.loss),
            "lr": _shown(row.lr, ".6g"),
            "images_per_s": _shown(row.images_per_s, ".1f"),
            "waiting": _shown(row.waiting, ".3f"),
            "cached": _shown(row.cached, ".3f"),
        }
        self._writer.writerow({**numbers, **{name: _float32(number) for name, number in row.outputs.items()}})
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_log(path: str) -> Dict[str, array]:
    """The columns of a log, float64; NaN where a row has no number. Raises DataError where it is none."""
    with regular_file.open_text(path, newline="") as file:
        reader = csv.DictReader(file)
        columns = {name: array("d") for name in _header(path, reader)}
        for row in reader:
            for name, numbers in columns.items():
                numbers.append(float(row[name] or "nan"))
    return columns


def _rows_before(path: str, iteration: int) -> "tuple[List[str], List[Dict[str, str]]]":
    """The columns of a log and its rows before an iteration; a row that was cut short is none."""
    with regular_file.open_text(path, errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        columns = _header(path, reader)
        rows = [row for row in reader if None not in row.values() and row["iteration"].isdigit()]
    return columns, [row for row in rows if int(row["iteration"]) < iteration]


def _header(path: str, reader: "csv.DictReader[str]") -> List[str]:
    columns = list(reader.fieldnames or [])
    if columns[:1] != ["iteration"]:
        raise DataError(
            "not the log of a training: its first column must be 'iteration'", remedy="give another --log", source=path
        )
    return columns


def _float32(number: float) -> str:
    """As few digits as tell it from every other float32."""
    return str(np.float32(number))


def _shown(number: Optional[float], form: str) -> str:
    return "" if number is None else format(number, form)
