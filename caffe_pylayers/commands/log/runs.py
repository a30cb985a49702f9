"""A training as its log tells it."""

import datetime
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

#: Columns that the log of `train` has too, in its order, and the speed that a log of Caffe tells by its times.
OWN = ("loss", "lr", "images_per_s", "waiting", "cached", "iterations_per_s")


@dataclass
class Place:
    """Where something stands: the file, its line from 1, and when it was written, None where the log does not say."""

    source: str
    line: int
    time: Optional[datetime.datetime] = None

    def __str__(self) -> str:
        return f"{self.source}:{self.line}"


@dataclass
class Row:
    """What a log has of an iteration: numbers by column, and where the first of them stands."""

    place: Place
    numbers: Dict[str, float] = field(default_factory=dict)


@dataclass
class Part:
    """What one process wrote, from its start to its end.

    rows: by iteration. resumed: the state that it went on from, "" for none. states: those that it wrote, each with its place.
    end: how it ended, in the log's words, "" where it does not say; failed: whether that was an error. began, last: the
    first and the last of its lines. thread: its number, as glog writes it, "" where it does not. has_year: whether times have the right year. tells_its_end: whether a log of this
    kind says how the process ended.
    """

    began: Place
    last: Place
    thread: str = ""
    rows: Dict[int, Row] = field(default_factory=dict)
    resumed: str = ""
    states: List[Tuple[str, Place]] = field(default_factory=list)
    end: str = ""
    failed: Optional[Place] = None
    has_year: bool = True
    tells_its_end: bool = True


@dataclass
class Run:
    """A training: a process, or several of which each went on from a state of the one before.

    rows: by iteration, in order; what a process did again after a state is taken from the later one.
    """

    name: str
    parts: List[Part]
    rows: Dict[int, Row]

    @property
    def columns(self) -> List[str]:
        """The names of all its numbers: the loss and the learning rate, whatever else is in OWN, then the outputs of nets."""
        found = dict.fromkeys(name for row in self.rows.values() for name in row.numbers)
        own = [name for name in OWN if name in found or name in ("loss", "lr")]
        return own + sorted((name for name in found if name not in OWN), key=lambda name: not name.startswith("train "))

    def numbers(self, column: str) -> Dict[int, float]:
        """Those of a column, by iteration."""
        return {iteration: row.numbers[column] for iteration, row in self.rows.items() if column in row.numbers}
