"""Logs of `caffe train`, and what `caffe-pylayers train` shows, read into parts: one for each process."""

import datetime
from typing import Dict, List, Optional

from caffe_pylayers.commands.log import messages
from caffe_pylayers.commands.log.failures import Failures
from caffe_pylayers.commands.log.glog_lines import Line, glog_lines
from caffe_pylayers.commands.log.outputs import Outputs
from caffe_pylayers.commands.log.runs import Part, Place, Row
from caffe_pylayers.commands.log.speed import Speed


def read_caffe_log(path: str) -> List[Part]:
    """The parts of a log in the order of their starts; none where it tells of no training. Raises OSError."""
    reader = _Reader(path)
    for line in glog_lines(path):
        reader.read(line)
    parts = [writer.finished() for writer in reader.writers]
    some = [part for part in parts if part.rows or part.failed] or parts  # threads that only begin are no trainings
    of_caffe = [part for part in some if part.thread]
    return of_caffe or some  # `caffe-pylayers train` may show lines of its own between those of Caffe


class _Reader:
    """A file, in which processes write one after the other or at the same time; glog tells their threads."""

    def __init__(self, path: str) -> None:
        self.writers: List[_Writer] = []
        self._path = path
        self._now: Dict[str, _Writer] = {}  # by thread
        self._latest: Optional[_Writer] = None
        self._failures = Failures()
        self._time: Optional[datetime.datetime] = None

    def read(self, line: Line) -> None:
        self._time = line.time or self._time
        place, text = Place(self._path, line.number, self._time), line.text.strip()
        iteration = messages.iteration(text)
        if messages.FILE.match(text):
            self._now.clear()
        elif line.thread or iteration is not None or messages.is_of_a_process(text):
            self._read_of_a_process(line, text, place, iteration)
        elif self._latest:
            self._latest.read_event(text, place)
        failure = self._failures.read(line, place)
        writer = self._now.get(line.thread) or self._latest if line.thread else self._latest
        if failure and writer:
            writer.fail(*failure)

    def _read_of_a_process(self, line: Line, text: str, place: Place, iteration: Optional[int]) -> None:
        writer = self._now.get(line.thread)
        if messages.START.match(text) or (writer and writer.is_over(text, iteration)):
            writer = None
        failed_at_once = line.level == "F" and not self.writers
        if writer is None and (iteration is not None or messages.begins(text) or failed_at_once):
            writer = self._now[line.thread] = _Writer(Part(place, place, line.thread, has_year=line.has_year))
            self.writers.append(writer)
        if writer:
            writer.read(text, place, iteration)
            if line.thread or not (self._latest and self._latest.thread):
                self._latest = writer


class _Writer:
    """A process that writes to a log."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._outputs = Outputs()
        self._speed = Speed()
        self._iteration = -1

    @property
    def thread(self) -> str:
        return self._part.thread

    def is_over(self, text: str, iteration: Optional[int]) -> bool:
        """Whether a line is of the next process: it goes on from a state, or begins again."""
        goes_on = bool(self._part.rows) and messages.RESUMED.fullmatch(text) is not None
        return goes_on or (iteration is not None and iteration < self._iteration)

    def read(self, text: str, place: Place, iteration: Optional[int]) -> None:
        self._part.last = place
        if self._outputs.read(text, place):
            self._speed.test_goes_on(place.time)
        elif iteration is not None:
            self._iteration = iteration
            self._read_iteration(text, place)
        else:
            self.read_event(text, place)

    def read_event(self, text: str, place: Place) -> None:
        """A line that is of no iteration."""
        self._part.last = place
        resumed, wrote = messages.RESUMED.fullmatch(text), messages.WROTE.fullmatch(text)
        test_net = messages.TEST_NET.match(text)
        if resumed:
            self._part.resumed = resumed["state"]
        elif wrote:
            self._part.states.append((wrote["state"], place))
            self._speed.snapshot()
        elif test_net:
            self._outputs.net(test_net["net"])
        elif messages.END.fullmatch(text) and not self._part.end:
            self._part.end = text

    def fail(self, text: str, place: Place) -> None:
        """The process has failed, unless it goes on; the first line that says so says most."""
        if not self._part.failed and not self._part.end:
            self._part.failed, self._part.end = place, text

    def finished(self) -> Part:
        """The part, when the log is at its end."""
        for iteration, column, value, place in self._outputs.columns():
            self._row(iteration, place).numbers[column] = value
        return self._part

    def _row(self, iteration: int, place: Place) -> Row:
        return self._part.rows.setdefault(iteration, Row(place))

    def _read_iteration(self, text: str, place: Place) -> None:
        testing = messages.TESTING.fullmatch(text)
        if testing:
            self._outputs.expect(testing["net"] or "0", self._iteration)
            self._speed.test_begins(place.time)
            return
        numbers = messages.columns(text)
        self._row(self._iteration, place).numbers.update(numbers)
        self._part.failed, self._part.end = None, ""
        if "loss" in numbers:
            speed = self._speed.loss(self._iteration, place.time)
            if speed:
                self._row(self._iteration, place).numbers["iterations_per_s"] = speed
            self._outputs.expect("train", self._iteration)
