"""The limit: what processes do that make images and nothing else, without a ring, a net, or anybody to wait for."""

import contextlib
import os
import time
from multiprocessing.connection import Connection
from typing import Optional, Union

import cv2
import numpy as np

from caffe_pylayers.data.recipe import Recipe
from caffe_pylayers.data.worker import keep_freed_memory
from caffe_pylayers.errors import DataError
from caffe_pylayers.processes.child import Child, Order
from caffe_pylayers.processes.statuses import ending

_CHUNK = 16  # images between two looks at the clock, unless each has its own size


class Bare:
    """So many processes, that read, decode, resize and write images drawn from all of the source when they are told to."""

    def __init__(self, recipe: Recipe, processes: int) -> None:
        labels = recipe.labels_of(np.arange(len(recipe.source)))  # which a source in another process does not have
        with contextlib.closing(Order("caffe_pylayers.commands.bench.bare:main", recipe, labels)) as order:
            self._children = [Child(order, fds=recipe.fds) for _ in range(processes)]

    def rate(self, seconds: float) -> float:
        """Images a second of all together, over so many seconds. Raises DataError where one of them fails."""
        for duration in (0.0, seconds):  # first until all are there
            for child in self._children:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # why it is gone is told below
                    child.connection.send(duration)
            rates = [self._answer(child) for child in self._children]
        return sum(rates)

    def _answer(self, child: Child) -> float:
        try:
            answer: Union[float, DataError] = child.connection.recv()
        except (EOFError, ConnectionResetError):
            status = child.process.wait()
            raise DataError(f"a process that makes images ended: {ending(status)}") from None
        if isinstance(answer, DataError):
            raise answer
        return answer

    def __enter__(self) -> "Bare":
        return self

    def __exit__(self, *error: object) -> None:
        for child in self._children:
            child.end()


def main(recipe: Recipe, labels: Optional[np.ndarray], descriptor: int) -> None:
    """The process: told for how many seconds, it says how many images per second it made."""
    connection = Connection(descriptor)
    keep_freed_memory()
    cv2.setNumThreads(0)
    rng = np.random.default_rng(os.getpid())
    count = 1 if recipe.form.largest else _CHUNK
    out = recipe.room(count)

    def make() -> int:
        records = rng.integers(len(recipe.source), size=count)
        keys = rng.integers(2**63, size=count).astype(np.uint64)
        given = None if labels is None else labels[records]
        return (count - len(recipe.fill(records, keys, out, tolerant=True, labels=given))) * recipe.copies

    def rate(seconds: float) -> float:
        make()  # whatever is slow the first time
        begun = time.perf_counter()
        made = make()
        while time.perf_counter() - begun < seconds:
            made += make()
        return made / (time.perf_counter() - begun)

    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent has seen enough
        while True:
            seconds = connection.recv()
            try:
                answer: Union[float, DataError] = rate(seconds)
            except DataError as error:
                answer = error
            connection.send(answer)
