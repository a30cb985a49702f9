"""The cache: passes over the source that are not the first."""

import contextlib
import multiprocessing
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import cv2
import numpy as np

from caffe_pylayers.data.worker import keep_freed_memory
from tests.bench.feeding import PLAIN, TRIPLET, in_words, limit
from tests.bench.nets import BATCH, MEAN, SIZE, fed, ours, photo_folder, stock
from tests.bench.photos import NUM_PHOTOS
from tests.bench.rows import Row, in_turns

#: A program that prints how many images per second a net feeds in its first pass over the photos, and in later ones.
#: Arguments: net, batches of a pass, passes behind the first that are counted.
PASSES = """
import sys, time, caffe
path, num_batches, passes = sys.argv[1], *map(int, sys.argv[2:])
net = caffe.Net(path, caffe.TRAIN)
images = sum(len(blob.data) for blob in net.blobs.values() if blob.data.ndim == 4)
def rate(batches):
    start = time.perf_counter()
    for _ in range(batches):
        net.forward()
    return batches * images / (time.perf_counter() - start)
net.forward()
first = rate(num_batches - 1)
rate(6)
print(first, rate(num_batches * passes))
"""
_PASSES = 6


def passes(prototxt: str, num_batches: int) -> Tuple[float, float]:
    """Images a second in the first pass over the source, of so many batches, and in later ones."""
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(prototxt)
        file.flush()
        command = [sys.executable, "-c", PASSES, file.name, str(num_batches), str(_PASSES)]
        printed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    first, later = map(float, printed.split())
    return first, later


def cache() -> Iterator[Row]:
    """Passes with and without a cache; then against two processes that only copy, and against stock."""
    batches = -(-NUM_PHOTOS // BATCH)
    found: Dict[str, List[Tuple[float, float]]] = {kind: [] for kind in ("none", "memory", "disk")}
    others: Dict[str, List[float]] = {"copy": [], "stock": []}
    for _ in range(5):
        for kind, figures in found.items():
            with _no_files(photo_folder()):
                figures.append(passes(ours(prefetch=4, workers=2, cache=kind), batches))
        others["copy"].append(limit(300, _copy_only))
        others["stock"].append(fed(stock()))
    medians = {kind: np.median(figures, axis=0).tolist() for kind, figures in found.items()}
    copy, plain = (float(np.median(figures)) for figures in others.values())
    for kind in ("memory", "disk"):
        first, later = medians[kind]
        yield Row(
            f"cache: {kind}, from the second pass on, 2 workers",
            in_words(later),
            f"stock ImageData: {in_words(plain)}",
            later / plain,
            ">= 8",
        )
        yield Row("", in_words(later), f"8-bit images to floats alone: {in_words(copy)}", later / copy, ">= 0.80")
        yield Row(
            "",
            in_words(first),
            f"first pass, no cache: {in_words(medians['none'][0])}",
            first / medians["none"][0],
            ">= 0.95",
        )
    yield from _triplets()


def _triplets() -> Iterator[Row]:
    net = ours("TripletDataLayer", TRIPLET, prefetch=4, workers=2, cache="memory")
    figures = in_turns(
        {
            "ours": lambda: passes(net, -(-NUM_PHOTOS // BATCH))[1],
            "plain": lambda: fed(PLAIN.format(folder=photo_folder()), 2),
        },
        3,
    )
    yield Row(
        "triplets of 64 from the cache, 2 workers",
        in_words(figures["ours"]),
        f"plain layer: {in_words(figures['plain'])}",
        figures["ours"] / figures["plain"],
        ">= 20",
    )


@contextlib.contextmanager
def _no_files(folder: Path) -> Iterator[None]:
    """Remove the files of a cache behind it."""
    yield
    for found in folder.glob("*.cache"):
        found.unlink()


def _copy_only(folder: str, number: int, num_images: int, barrier: "multiprocessing.synchronize.Barrier") -> None:
    """Split 8-bit images that are in memory into planes of floats, less the mean."""
    keep_freed_memory()
    cv2.setNumThreads(0)
    images = np.random.default_rng(number).integers(0, 256, (NUM_PHOTOS // 2, SIZE, SIZE, 3), dtype=np.uint8)
    out = np.zeros((BATCH, 3, SIZE, SIZE), np.float32)
    barrier.wait()
    for index in range(num_images):
        for plane, mean, place in zip(cv2.split(images[index % len(images)]), MEAN, out[index % BATCH]):
            np.copyto(place, plane)
            place -= np.float32(mean)
    barrier.wait()
