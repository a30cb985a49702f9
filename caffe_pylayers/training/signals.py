"""Signals that stop a training, as in the `caffe` program."""

import os
import signal
import sys
from contextlib import suppress
from typing import Any, Dict

from caffe_pylayers.training.loop import Training


class StopSignals:
    """While it lasts, SIGINT and SIGTERM stop a training behind its iteration, and SIGHUP takes a snapshot.

    got: the signal that stopped it, or 0.
    """

    def __init__(self, training: Training) -> None:
        self._training = training
        self._before: Dict[int, Any] = {}
        self.got = 0

    def __enter__(self) -> "StopSignals":
        for number, handler in (
            (signal.SIGINT, self._stop),
            (signal.SIGTERM, self._stop),
            (signal.SIGHUP, lambda *_: self._training.request_snapshot()),
        ):
            self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: object) -> None:
        self.got = number
        self._training.stop()
        signal.signal(number, signal.SIG_DFL)  # the second one ends the process, wherever it is
        # Not print: this may have come in the middle of another.
        with suppress(OSError):
            os.write(sys.stderr.fileno(), b"\nfinishing the iteration, then a snapshot; once more to end at once\n")
