"""What is shown while a solver trains: a bar on a terminal, elsewhere a line every `display` iterations."""

import sys
import time
from collections import deque
from typing import Any, Deque, Dict

from caffe_pylayers.training.loop import Row, Training
from caffe_pylayers.training.passes import is_part


class TrainingProgress:
    """Progress on stderr. A terminal that is closed does not end the training."""

    def __init__(self, training: Training) -> None:
        from tqdm import tqdm

        self._display = int(training.parameter.display)
        self._max_iter, self._begin = training.max_iter, training.iteration
        self._losses: Deque[float] = deque(maxlen=max(1, training.parameter.average_loss))
        self._rates: Deque[Row] = deque(maxlen=50)
        self._began = time.perf_counter()
        self._bar: Any = tqdm(
            total=self._max_iter, initial=self._begin, unit="it", disable=None, dynamic_ncols=True, leave=True
        )

    def show(self, row: Row) -> None:
        """An iteration is done."""
        tests = {name: number for name, number in row.outputs.items() if name.startswith("test")}
        if tests:
            self.say(f"Iteration {row.iteration}, {_listed(tests)}")
        if row.loss is None:
            return
        self._losses.append(row.loss)
        self._rates.append(row)
        if not self._bar.disable:
            self._bar.set_postfix_str(self._figures(row), refresh=False)
            self._quietly(self._bar.update)
        elif self._display and row.iteration % self._display == 0:
            self.say(f"Iteration {row.iteration}, {self._figures(row)}, {self._left(row)} left")

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._quietly(lambda: self._bar.write(line, file=sys.stderr))

    def close(self) -> None:
        self._quietly(self._bar.close)

    def _figures(self, row: Row) -> str:
        loss = sum(self._losses) / len(self._losses)
        seconds = [1 / each.images_per_s for each in self._rates if each.images_per_s]
        figures = f"loss = {loss:.6g}, lr = {row.lr:.6g}, {len(seconds) / sum(seconds):.0f} images/s"
        if row.waiting is not None:
            waiting = sum((each.waiting or 0) * share for each, share in zip(self._rates, seconds)) / sum(seconds)
            figures += f", {waiting:.0%} waiting"
        if row.cached is not None:
            figures += f", {row.cached:.0%} from the cache"
        parts = {name.partition(" ")[2]: number for name, number in row.outputs.items() if _is_shown(name)}
        return f"{figures}, {_listed(parts)}" if parts else figures

    def _left(self, row: Row) -> str:
        done = row.iteration + 1 - self._begin
        seconds = (time.perf_counter() - self._began) / done * (self._max_iter - row.iteration - 1)
        minutes, seconds = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"

    def _quietly(self, show: Any) -> None:
        try:
            show()
        except OSError:
            self._bar.disable, self._display = True, 0
            self._quietly = lambda show: None  # type: ignore[method-assign]


def _is_shown(name: str) -> bool:
    """Whether an output is shown beside the loss: a few numbers that a layer has names for."""
    return name.startswith("train ") and is_part(name)


def _listed(numbers: Dict[str, float]) -> str:
    return ", ".join(f"{name} = {number:.6g}" for name, number in numbers.items())
