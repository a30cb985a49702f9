"""The limit: what processes do that make images and nothing else, without a ring, a net, or anybody to wait for."""

import contextlib
import os
import pickle
import subprocess
import sys
import time
from typing import List

import cv2
import numpy as np

from caffe_pylayers import interpreter
from caffe_pylayers.data.recipe import Recipe
from caffe_pylayers.data.worker import keep_freed_memory
from caffe_pylayers.errors import DataError

_BOOT = "import sys; sys.path = {path!r}; from caffe_pylayers.throughput.bare import main; main({order})"

_CHUNK = 16  # images between two looks at the clock


class Bare:
    """So many processes, that read, decode, resize and write images drawn from all of the source when they are told to."""

    def __init__(self, recipe: Recipe, processes: int) -> None:
        self._processes: List[subprocess.Popen] = []
        self._order = os.memfd_create("caffe_pylayers bench")
        with open(self._order, "wb", closefd=False) as file:
            pickle.dump(recipe, file)
        for _ in range(processes):
            self._processes.append(
                subprocess.Popen(
                    [interpreter.executable(), "-c", _BOOT.format(path=sys.path, order=self._order)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=(self._order, *recipe.source.fds),
                    env=interpreter.environment(),
                )
            )

    def rate(self, seconds: float) -> float:
        """Images a second of all together, over so many seconds. Raises DataError where one of them fails."""
        for line in (b"0\n", b"%f\n" % seconds):  # first until all are there
            for process in self._processes:
                assert process.stdin is not None
                with contextlib.suppress(BrokenPipeError):  # why it is gone is told below
                    process.stdin.write(line)
                    process.stdin.flush()
            rates = [self._answer(process) for process in self._processes]
        return sum(rates)

    def _answer(self, process: subprocess.Popen) -> float:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        if not line:
            said = process.stderr.read().decode(errors="replace").strip().splitlines()
            raise DataError(f"a process that makes images ended: {said[-1] if said else 'without a word'}")
        return float(line)

    def __enter__(self) -> "Bare":
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._order)
        for process in self._processes:
            process.kill()
            process.communicate()


def main(order: int) -> None:
    """The process: for every line, which says for how many seconds, it prints how many images a second it made."""
    with open(f"/proc/self/fd/{order}", "rb") as file:
        recipe: Recipe = pickle.load(file)
    keep_freed_memory()
    cv2.setNumThreads(0)
    rng = np.random.default_rng(os.getpid())
    out = np.empty((_CHUNK, *recipe.shape), recipe.dtype)

    def make() -> int:
        records = rng.integers(len(recipe.source), size=_CHUNK)
        keys = rng.integers(2**63, size=_CHUNK).astype(np.uint64)
        return _CHUNK - len(recipe.fill(records, keys, out, tolerant=True))

    for line in sys.stdin:
        make()  # whatever is slow the first time
        begun = time.perf_counter()
        made = make()
        while time.perf_counter() - begun < float(line):
            made += make()
        print(made / (time.perf_counter() - begun), flush=True)
