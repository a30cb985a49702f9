"""How fast a net trained, by the times of the lines of its log. What Caffe says of it includes tests, and is rounded to 1 ms."""

import datetime
from typing import Optional

Time = Optional[datetime.datetime]


class Speed:
    """Iterations per second from one line of a loss to the next, without the tests between them."""

    def __init__(self) -> None:
        self._begin(-1, None)

    def _begin(self, iteration: int, time: Time) -> None:
        self._iteration, self._since = iteration, time
        self._testing: Time = None
        self._tested = datetime.timedelta()

    def test_begins(self, time: Time) -> None:
        self._testing = time

    def test_goes_on(self, time: Time) -> None:
        """At a line of the outputs of a test, which may be the last one."""
        if time and self._testing:
            self._tested += time - self._testing
            self._testing = time

    def snapshot(self) -> None:
        """A snapshot is written; nothing says how long it takes."""
        self._since = None

    def loss(self, iteration: int, time: Time) -> Optional[float]:
        """At the line of a loss: the speed since the one before, None where it is not known."""
        seconds = (time - self._since - self._tested).total_seconds() if time and self._since else 0
        iterations = iteration - self._iteration
        self._begin(iteration, time)
        return float(f"{iterations / seconds:.5g}") if seconds > 0 and iterations > 0 else None
