"""What went wrong in a training: where its loss became NaN, where it was slow, and how each of its processes ended."""

import math
import statistics
from dataclasses import dataclass
from typing import Iterator, List, Optional, Sequence, Tuple

from caffe_pylayers.commands.log.runs import Part, Place, Run

_SLOW = 2 / 3  # of the median
_WORTH_TELLING = 0.02  # of the whole time
_FEWEST = 20  # speeds that have a median worth the name
_MOST = 5  # slow stretches that are told
_STRETCHES = 200  # that a run is divided into, so that one slow iteration of many is none


@dataclass
class Finding:
    """One of them. is_fault: whether the training is lost from there on; to be slow, or not to have ended, is no fault."""

    place: Place
    iteration: Optional[int]
    text: str
    is_fault: bool = False
    has_year: bool = True

    def __str__(self) -> str:
        time = f" ({when(self.place, self.has_year)})" if self.place.time else ""
        at = "before the first iteration" if self.iteration is None else f"iteration {self.iteration}"
        return f"{self.place}{time}: {at}: {self.text}"


def when(place: Place, has_year: bool) -> str:
    """The time of a line as text."""
    return place.time.strftime("%Y-%m-%d %H:%M:%S" if has_year else "%m-%d %H:%M:%S") if place.time else ""


def findings(run: Run) -> List[Finding]:
    """What is found in a run, in the order of its iterations."""
    ends = (_end(part) for part in run.parts if part.tells_its_end)
    return sorted(
        [*_not_finite(run), *_slow(run), *ends], key=lambda each: -1 if each.iteration is None else each.iteration
    )


def _not_finite(run: Run) -> Iterator[Finding]:
    """The first loss that is infinite or NaN."""
    losses = [column for column in run.columns if "loss" in column.lower()]
    good: Optional[int] = None
    for iteration, row in run.rows.items():
        bad = [name for name in losses if not math.isfinite(row.numbers.get(name, 0))]
        if bad:
            text = f"{bad[0]} is {row.numbers[bad[0]]}{_last_good(run, good)}"
            yield Finding(row.place, iteration, text, is_fault=True, has_year=_has_year(run, row.place))
            return
        if "loss" in row.numbers:
            good = iteration


def _last_good(run: Run, iteration: Optional[int]) -> str:
    if iteration is None:
        return ""
    row = run.rows[iteration]
    state = _state_before(run, row.place)  # a later one may have bad weights already
    newest = f", and the newest state before it is {state}" if state else ""
    return f"; the last good loss is {row.numbers['loss']:.6g} at iteration {iteration}{newest}"


def _state_before(run: Run, place: Place) -> str:
    """The newest state that was written before a line."""
    found = ""
    for part in run.parts:
        here = part.began.source == place.source and part.began.line <= place.line <= part.last.line
        states = [state for state, at in part.states if not here or at.line < place.line]
        found = states[-1] if states else found
        if here:
            return found
    return found


def _slow(run: Run) -> Iterator[Finding]:
    """The stretches that were far slower than the median, and took much of the time for it."""
    column = next((name for name in ("images_per_s", "iterations_per_s") if run.numbers(name)), "")
    speeds = [(iteration, speed) for iteration, speed in run.numbers(column).items() if speed > 0]
    del speeds[:1]  # the first one starts workers
    if len(speeds) < _FEWEST:
        return
    median = statistics.median(speed for _, speed in speeds)
    size = math.ceil(len(speeds) / _STRETCHES)
    stretches = _joined([speeds[at : at + size] for at in range(0, len(speeds), size)], _SLOW * median)
    total = sum(1 / speed for _, speed in speeds)
    lost = [(sum(1 / speed - 1 / median for _, speed in stretch) / total, stretch) for stretch in stretches]
    for share, stretch in sorted(sorted(lost, reverse=True)[:_MOST], key=lambda each: each[1][0]):
        if share >= _WORTH_TELLING:
            first, last, place = stretch[0][0], stretch[-1][0], run.rows[stretch[0][0]].place
            unit = column.replace("_per_s", "/s")
            text = (
                f"slow until iteration {last}: {_speed(stretch):.3g} {unit}, but the median is {median:.3g}; "
                f"{share:.0%} of the time was lost"
            )
            yield Finding(place, first, text, has_year=_has_year(run, place))


_Speeds = Sequence[Tuple[int, float]]


def _joined(stretches: Sequence[_Speeds], limit: float) -> List[_Speeds]:
    """Those below a speed, the ones beside each other as one."""
    slow: List[List[Tuple[int, float]]] = []
    was_slow = False
    for stretch in stretches:
        is_slow = _speed(stretch) < limit
        if is_slow and was_slow:
            slow[-1] += stretch
        elif is_slow:
            slow.append(list(stretch))
        was_slow = is_slow
    return [_without_ends(stretch, limit) for stretch in slow]


def _without_ends(stretch: _Speeds, limit: float) -> _Speeds:
    """Without what is no slower than the limit at both ends."""
    slow = [number for number, (_, speed) in enumerate(stretch) if speed < limit]
    return stretch[slow[0] : slow[-1] + 1]


def _speed(stretch: _Speeds) -> float:
    """Over all of it: each speed is of as many iterations."""
    return len(stretch) / sum(1 / speed for _, speed in stretch)


def _end(part: Part) -> Finding:
    at = max(part.rows, default=None)
    if part.failed:
        return Finding(part.failed, at, f"it failed: {part.end}", is_fault=True, has_year=part.has_year)
    text = f"it ended: {part.end}" if part.end else "the log ends here: it was killed, or still trains"
    return Finding(part.last, at, text, has_year=part.has_year)


def _has_year(run: Run, place: Place) -> bool:
    part: Optional[Part] = next((part for part in run.parts if part.began.source == place.source), None)
    return part is not None and part.has_year
