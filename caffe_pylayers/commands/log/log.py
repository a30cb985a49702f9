"""The trainings that logs tell of: those of Caffe, those that `caffe-pylayers train` shows, and its CSV.

for run in log(["first.log", "resumed.log"]):
    print(run.name, run.numbers("test accuracy"), *findings(run))
"""

import csv
import os
import re
from contextlib import closing
from typing import Dict, List, Optional, Sequence, Tuple

from caffe_pylayers.caffe_files.kinds import GZIP, TEXT, kind_of
from caffe_pylayers.commands.log.caffe_log import read_caffe_log
from caffe_pylayers.commands.log.glog_lines import whole_lines
from caffe_pylayers.commands.log.runs import Part, Place, Row, Run
from caffe_pylayers.errors import DataError

_ITERATION_OF_A_STATE = re.compile(r"_iter_(\d+)\.solverstate")


def log(paths: Sequence[str]) -> List[Run]:
    """The trainings in these files. A process that went on from a state of another one belongs to the training of that.

    Raises OSError where a file cannot be read, DataError where it tells of no training.
    """
    parts: List[Part] = []
    names: List[str] = []
    for path in dict.fromkeys(paths):
        found = _read(path)
        parts += found
        names += [path] if len(found) == 1 else [f"{path} ({number})" for number in range(1, len(found) + 1)]
    before = _predecessors(parts)
    gone_on = {index for index in before if index is not None}
    return [_run(_chain(last, before), parts, names) for last in range(len(parts)) if last not in gone_on]


def _read(path: str) -> List[Part]:
    with closing(whole_lines(path)) as lines:
        is_csv = next(lines, (1, ""))[1].startswith("iteration,")
    parts = [_read_csv(path)] if is_csv else read_caffe_log(path)
    if not parts:
        kind = kind_of(path)
        remedy = "give what `caffe train` or `caffe-pylayers train` wrote: `caffe train --solver=solver.prototxt 2> train.log`"
        if kind not in ("", TEXT):
            remedy = f"it is {kind}, but a log is a text file" + "; `gunzip` unpacks it" * (kind == GZIP)
        raise DataError("it tells of no training", remedy=remedy, source=path)
    return parts


def _read_csv(path: str) -> Part:
    """The log of `caffe-pylayers train`, whose rows are one run, over all its resumptions."""
    lines = whole_lines(path)
    columns = next(csv.reader([next(lines)[1]]))
    part = Part(Place(path, 1), Place(path, 1), tells_its_end=False)
    for number, line in lines:
        cells = next(csv.reader([line]), [])
        if len(cells) == len(columns):  # else it was cut short
            part.last = Place(path, number)
            iteration, numbers = _numbers(columns, cells, part.last)
            part.rows[iteration] = Row(part.last, numbers)
    return part


def _numbers(columns: Sequence[str], cells: Sequence[str], place: Place) -> Tuple[int, Dict[str, float]]:
    try:
        return int(cells[0]), {name: float(cell) for name, cell in zip(columns[1:], cells[1:]) if cell}
    except ValueError as error:
        raise DataError(f"a cell is no number: {error}", source=f"{place.source}:{place.line}") from error


def _predecessors(parts: Sequence[Part]) -> List[Optional[int]]:
    """For each part the one that wrote the state which it went on from, by its place; None where none did."""
    before: List[Optional[int]] = [None] * len(parts)
    for index, part in enumerate(parts):
        writers = [
            other
            for other, writer in enumerate(parts)
            if any(state == part.resumed for state, _ in writer.states)
            and index not in _chain(other, before)
            and not _is_later(writer, part)
        ]
        if part.resumed and writers:
            before[index] = max(writers, key=lambda other: (_nearness(parts[other], part), other < index, other))
    return before


def _nearness(writer: Part, part: Part) -> Tuple[bool, bool, str]:
    """Orders those that wrote a state of one name: in the same log, in the same folder, and the last one before."""
    source, other = part.began.source, writer.began.source
    return source == other, os.path.dirname(source) == os.path.dirname(other), _written(writer)


def _written(part: Part) -> str:
    """When a part began, in the order of texts; "" where nothing tells the year."""
    return part.began.time.isoformat() if part.began.time and part.has_year else ""


def _is_later(one: Part, other: Part) -> bool:
    return bool(_written(one)) and bool(_written(other)) and _written(one) > _written(other)


def _chain(last: int, before: Sequence[Optional[int]]) -> List[int]:
    """A part and those that it went on from, the first one first."""
    chain: List[int] = []
    at: Optional[int] = last
    while at is not None:
        chain.insert(0, at)
        at = before[at]
    return chain


def _run(chain: Sequence[int], parts: Sequence[Part], names: Sequence[str]) -> Run:
    rows: Dict[int, Row] = {}
    for part in (parts[index] for index in chain):
        state = _ITERATION_OF_A_STATE.search(part.resumed)
        begin = int(state[1]) if state else min(part.rows, default=None)
        if begin is not None:
            rows = {iteration: row for iteration, row in rows.items() if iteration < begin}
        rows.update(part.rows)
    return Run(
        " + ".join(names[index] for index in chain), [parts[index] for index in chain], dict(sorted(rows.items()))
    )
