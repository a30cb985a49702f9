"""The limit: what processes do that make images and nothing else, without a ring, a net, or anybody to wait for."""

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

_BOOT = "import sys; sys.path = {path!r}; from caffe_pylayers.throughput.bare import main; main({order}, {seconds})"

_CHUNK = 16  # images between two looks at the clock


def limit(recipe: Recipe, processes: int, seconds: float) -> float:
    """Images a second of so many processes together, that read, decode, resize and write images drawn from all of the source.

    Raises DataError where one of them fails.
    """
    order = os.memfd_create("caffe_pylayers bench")
    started: List[subprocess.Popen] = []
    try:
        with open(order, "wb", closefd=False) as file:
            pickle.dump(recipe, file)
        code = _BOOT.format(path=sys.path, order=order, seconds=seconds)
        for _ in range(processes):
            started.append(
                subprocess.Popen(
                    [interpreter.executable(), "-c", code],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=(order, *recipe.source.fds),
                    env=interpreter.environment(),
                )
            )
        for process in started:
            _line(process)  # ready
        for process in started:
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.flush()
        return sum(float(_line(process)) for process in started)
    finally:
        os.close(order)
        for process in started:
            process.kill()
            process.communicate()


def _line(process: subprocess.Popen) -> bytes:
    """The next line that it prints."""
    assert process.stdout is not None and process.stderr is not None
    line: bytes = process.stdout.readline()
    if not line:
        said = process.stderr.read().decode(errors="replace").strip().splitlines()
        raise DataError(f"a process that makes images ended: {said[-1] if said else 'without a word'}")
    return line


def main(order: int, seconds: float) -> None:
    """The process: says that it is ready, waits for a line, and prints how many images a second it made."""
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

    make()
    print("ready", flush=True)
    if not sys.stdin.readline():  # whoever started it is gone
        return
    made, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        made += make()
    print(made / (time.perf_counter() - begun), flush=True)
