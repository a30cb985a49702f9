"""Augmentation: how many changed images per second come, against the same steps in OpenCV and in albumentations.

albumentations is no part of the environment. This puts it into a folder of its own, beside our NumPy and OpenCV:

    pip install --no-deps --target /tmp/albumentations albumentations==2.0.8 albucore==0.0.24 simsimd stringzilla
    PYTHONPATH=/tmp/albumentations python -m tests.bench augment
"""

import importlib.util
import multiprocessing
import os
from typing import Iterator

import cv2
import numpy as np

from caffe_pylayers.data.worker import keep_freed_memory
from tests.bench.feeding import in_words, limit
from tests.bench.nets import BATCH, MEAN, SIZE, fed, ours
from tests.bench.rows import Row, in_turns

ALBUMENTATIONS = importlib.util.find_spec("albumentations") is not None


def augment() -> Iterator[Row]:
    """Augmented images against two processes that make the same calls of OpenCV, and two that let albumentations do it."""
    options = {"resize": -1, "crop_size": SIZE, "mirror": True, "prefetch": 4, "workers": 2}
    steps = {"resized_crop": {}, "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "erase": {"p": 1}}
    turns = {
        "limit": lambda: limit(20, _in_opencv),
        "ours": lambda: fed(ours(**options, augment=steps)),
        "plain": lambda: fed(ours(**options)),
    }
    if ALBUMENTATIONS:
        turns["albumentations"] = lambda: limit(20, _in_albumentations)
    figures = in_turns(turns)
    yield Row(
        f"resized crop to {SIZE}x{SIZE}, mirror, jitter, erasing, 2 workers",
        in_words(figures["ours"]),
        f"limit: {in_words(figures['limit'])}",
        figures["ours"] / figures["limit"],
        ">= 0.90",
    )
    yield Row(
        "", in_words(figures["ours"]), f"crop, mirror: {in_words(figures['plain'])}", figures["ours"] / figures["plain"]
    )
    name = "  the same in albumentations, two processes"
    if ALBUMENTATIONS:
        against = in_words(figures["albumentations"])
        yield Row(name, in_words(figures["ours"]), against, figures["ours"] / figures["albumentations"], ">= 1")
    else:
        yield Row(name, "-", "not installed: see tests/bench/augmenting.py", float("nan"))


def _in_opencv(folder: str, number: int, num_images: int, barrier: "multiprocessing.synchronize.Barrier") -> None:
    """Decode, cut out a part and resize it, mirror, three steps of jitter, subtract the mean, erase."""
    keep_freed_memory()
    cv2.setNumThreads(0)
    rng = np.random.default_rng(number)
    grey = np.array([[0.114, 0.587, 0.2989, 0]], np.float32)
    out = np.empty((BATCH, 3, SIZE, SIZE), np.float32)
    barrier.wait()
    for index in range(num_images):
        file = os.path.join(folder, f"{(number + 2 * index) % 2000}.jpg")
        image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
        (top, left, bottom, right), factors = _part(rng, *image.shape[:2], (0.08, 1)), rng.uniform(0.6, 1.4, 3).tolist()
        image = cv2.resize(image[top:bottom, left:right], (SIZE, SIZE))
        if index % 2:
            image = cv2.flip(image, 1)
        image = cv2.addWeighted(image, factors[0], image, 0, 0)
        mean = cv2.mean(cv2.transform(image, grey))[0]
        image = cv2.addWeighted(image, factors[1], image, 0, (1 - factors[1]) * mean)
        without = cv2.cvtColor(cv2.transform(image, grey), cv2.COLOR_GRAY2BGR)
        image = cv2.addWeighted(image, factors[2], without, 1 - factors[2], 0)
        place = out[index % BATCH]
        for plane, number_of_mean, target in zip(cv2.split(image), MEAN, place):
            np.subtract(plane, np.float32(number_of_mean), out=target)
        top, left, bottom, right = _part(rng, SIZE, SIZE, (0.02, 0.33))
        place[:, top:bottom, left:right] = 0
    barrier.wait()


def _in_albumentations(
    folder: str, number: int, num_images: int, barrier: "multiprocessing.synchronize.Barrier"
) -> None:
    """The same steps in the classes of albumentations."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it asks the index at import
    import albumentations

    keep_freed_memory()
    cv2.setNumThreads(0)
    changed = albumentations.Compose(
        [
            albumentations.RandomResizedCrop((SIZE, SIZE)),
            albumentations.HorizontalFlip(),
            albumentations.ColorJitter(0.4, 0.4, 0.4, 0, p=1),
            albumentations.Erasing(fill=tuple(MEAN), p=1),
        ],
        seed=number,
    )
    out = np.empty((BATCH, 3, SIZE, SIZE), np.float32)
    barrier.wait()
    for index in range(num_images):
        file = os.path.join(folder, f"{(number + 2 * index) % 2000}.jpg")
        image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
        image = changed(image=image)["image"]
        for plane, number_of_mean, target in zip(cv2.split(image), MEAN, out[index % BATCH]):
            np.subtract(plane, np.float32(number_of_mean), out=target)
    barrier.wait()


def _part(
    rng: np.random.Generator, height: int, width: int, area: "tuple[float, float]"
) -> "tuple[int, int, int, int]":
    """A part of an image, in its shape, with an area between these: top, left, bottom, right."""
    side = float(np.sqrt(rng.uniform(*area)))
    rows, columns = int(height * side), int(width * side)
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    return top, left, top + rows, left + columns
