"""Feeding: how many images per second come, with nothing else running."""

import multiprocessing
import os
import time
from pathlib import Path
from typing import Callable, Iterator, Optional

import cv2
import numpy as np

from caffe_pylayers.data.worker import keep_freed_memory
from tests.bench.nets import BATCH, MEAN, SIZE, fed, ours, pair_folder, photo_folder, stock
from tests.bench.photos import NUM_PAIRS
from tests.bench.rows import Row, in_turns

_CROP = 224  # of 256, of images with maps

TRIPLET = ("anchor", "positive", "negative")

#: Triplets as TripletDataLayer feeds them, from a layer that works as layers on forums do; see `tests.bench.plain`.
PLAIN = """
layer {{ name: "train_data"  type: "Python"  top: "anchor"  top: "positive"  top: "negative"
  python_param {{ module: "tests.bench.plain"  layer: "PlainTripletLayer"  param_str: "{folder}" }} }}
"""


def feeding() -> Iterator[Row]:
    """Two workers against two bare decoding processes, and against stock."""
    figures = in_turns(
        {"limit": limit, "ours": lambda: fed(ours(prefetch=4, workers=2)), "stock": lambda: fed(stock())}
    )
    rate = in_words(figures["ours"])
    yield Row(
        "feeding 500x375 JPEGs to 64x3x256x256 float, 2 workers",
        rate,
        f"limit: {in_words(figures['limit'])}",
        figures["ours"] / figures["limit"],
        ">= 0.90",
    )
    against = f"stock ImageData: {in_words(figures['stock'])}"
    yield Row("", rate, against, figures["ours"] / figures["stock"], ">= 4")
    yield Row("  of which the limit is", in_words(figures["limit"]), against, figures["limit"] / figures["stock"])


def triplets() -> Iterator[Row]:
    """TripletDataLayer against a layer that decodes inside forward, and in reshape too."""
    plain = PLAIN.format(folder=photo_folder())
    figures = in_turns(
        {
            "ours": lambda: fed(ours("TripletDataLayer", TRIPLET, prefetch=4, workers=2), 8),
            "plain": lambda: fed(plain, 2),
        },
        3,
    )
    yield Row(
        "triplets of 64, 2 workers",
        in_words(figures["ours"]),
        f"plain layer: {in_words(figures['plain'])}",
        figures["ours"] / figures["plain"],
        ">= 20",
    )
    most = limit()
    yield Row(
        "  of which the limit is",
        in_words(most),
        f"plain layer: {in_words(figures['plain'])}",
        most / figures["plain"],
    )


def maps() -> Iterator[Row]:
    """ImageMapDataLayer against two processes that make the same calls of OpenCV."""
    folder = pair_folder()
    options = {
        "source": str(folder / "list.txt"), "root": str(folder), "resize": -1, "crop_size": _CROP, "mirror": True,
        "prefetch": 4, "workers": 2,
    }  # fmt: skip
    figures = in_turns(
        {
            "limit": lambda: limit(40, _pairs_only, folder),
            "ours": lambda: fed(ours("ImageMapDataLayer", **options), 40) / 2,  # which counts maps as images
        }
    )
    yield Row(
        f"256x256 JPEGs with PNG maps, crop {_CROP}, mirror, 2 workers",
        in_words(figures["ours"]),
        f"limit: {in_words(figures['limit'])}",
        figures["ours"] / figures["limit"],
        ">= 0.90",
    )


def fast() -> Iterator[Row]:
    """decode: fast against exact, photos 2 and 4 times as large as the target."""
    for times, resize, reach in ((2, [187, 250], ">= 1.25"), (4, [93, 125], ">= 2")):
        figures = in_turns(
            {
                decode: lambda decode=decode, resize=resize: fed(  # type: ignore[misc]
                    ours(prefetch=4, workers=2, resize=resize, decode=decode)
                )
                for decode in ("fast", "exact")
            }
        )
        yield Row(
            f"decode: fast, photos {times} times the target",
            in_words(figures["fast"]),
            f"exact: {in_words(figures['exact'])}",
            figures["fast"] / figures["exact"],
            reach,
        )
        alone = in_turns(
            {
                "fast": lambda times=times: _decode_rate(f"IMREAD_REDUCED_COLOR_{times}"),  # type: ignore[misc]
                "exact": lambda: _decode_rate("IMREAD_COLOR"),
            }
        )
        yield Row(
            "  of which decoding alone, one core",
            in_words(alone["fast"]),
            f"exact: {in_words(alone['exact'])}",
            alone["fast"] / alone["exact"],
        )


def ahead() -> Iterator[Row]:
    """How many batches ahead two workers want: against `prefetch: 4`."""
    figures = in_turns(
        {count: lambda count=count: fed(ours(prefetch=count, workers=2)) for count in ("2", "3", "4", "8")}, 3
    )
    for count in ("2", "3", "8"):
        yield Row(
            f"prefetch: {count}, 2 workers",
            in_words(figures[count]),
            f"prefetch: 4: {in_words(figures['4'])}",
            figures[count] / figures["4"],
        )


def ranks() -> Iterator[Row]:
    """Two ranks, one core each, against one; data are made inside forward."""
    figures = in_turns({"two": lambda: fed(ours(), ranks=2), "one": lambda: fed(ours())})
    yield Row(
        "feeding 2 ranks, one core each",
        in_words(figures["two"]),
        f"1 rank: {in_words(figures['one'])}",
        figures["two"] / figures["one"],
        ">= 1.8",
    )


def in_words(images: float) -> str:
    return f"{images:.0f} images/s"


def _decode_rate(flag: str) -> float:
    """Images a second of cv2.imdecode alone, in this process, with its memory as in a worker."""
    keep_freed_memory()
    files = [np.fromfile(photo_folder() / f"{number}.jpg", np.uint8) for number in range(200)]
    start = time.perf_counter()
    for file in files:
        cv2.imdecode(file, getattr(cv2, flag))
    return len(files) / (time.perf_counter() - start)


def limit(num_batches: int = 20, work: Optional[Callable[..., None]] = None, folder: Optional[Path] = None) -> float:
    """Images a second of two processes that do nothing but this work: decode, resize, split and subtract the mean."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    num_images = num_batches * BATCH // 2
    processes = [
        context.Process(target=work or _decode_only, args=(str(folder or photo_folder()), number, num_images, barrier))
        for number in range(2)
    ]
    for process in processes:
        process.start()
    barrier.wait()
    start = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - start
    for process in processes:
        process.join()
    return 2 * num_images / seconds


def _decode_only(folder: str, number: int, num_images: int, barrier: "multiprocessing.synchronize.Barrier") -> None:
    keep_freed_memory()
    cv2.setNumThreads(0)
    files = [os.path.join(folder, f"{(number + 2 * index) % 2000}.jpg") for index in range(num_images)]
    resized = np.empty((SIZE, SIZE, 3), np.uint8)
    out = np.empty((BATCH, 3, SIZE, SIZE), np.float32)
    barrier.wait()
    for index, file in enumerate(files):
        image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
        cv2.resize(image, (SIZE, SIZE), dst=resized)
        for plane, mean, place in zip(cv2.split(resized), MEAN, out[index % BATCH]):
            np.subtract(plane, np.float32(mean), out=place)
    barrier.wait()


def _pairs_only(folder: str, number: int, num_images: int, barrier: "multiprocessing.synchronize.Barrier") -> None:
    """Decode an image and its map, crop and mirror both, subtract the mean."""
    keep_freed_memory()
    cv2.setNumThreads(0)
    draws = np.random.default_rng(number).integers(0, SIZE - _CROP + 1, (num_images, 2)).tolist()
    out = np.empty((BATCH, 3, _CROP, _CROP), np.float32)
    labels = np.empty((BATCH, _CROP, _CROP), np.uint8)
    barrier.wait()
    for index, (y, x) in enumerate(draws):
        name = os.path.join(folder, str((number + 2 * index) % NUM_PAIRS))
        image = cv2.imdecode(np.fromfile(f"{name}.jpg", np.uint8), cv2.IMREAD_COLOR)
        found = cv2.imdecode(np.fromfile(f"{name}.png", np.uint8), cv2.IMREAD_UNCHANGED)
        image, found = image[y : y + _CROP, x : x + _CROP], found[y : y + _CROP, x : x + _CROP]
        if (y + x) % 2:
            image, found = cv2.flip(image, 1), cv2.flip(found, 1)
        for plane, mean, place in zip(cv2.split(image), MEAN, out[index % BATCH]):
            np.subtract(plane, np.float32(mean), out=place)
        labels[index % BATCH] = found
    barrier.wait()
