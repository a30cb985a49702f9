"""The LMDBs that the nets read, and the long-tailed subset."""

import os
import shutil
from typing import Callable, Iterator, List, Tuple

import numpy as np
from fashion import DataSet
from rich.progress import Progress

from caffe_pylayers import DataError
from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.data.sources.lmdb import write_lmdb

FEWEST = 5  # images that the rarest class has at least: on a small set the ratio gives way


def provide_all(
    folder: str, dataset: DataSet, ratio: float, progress: Progress, say: Callable[[str], None]
) -> Tuple[np.ndarray, List[int]]:
    """Write the LMDBs of the nets into `folder`, and counts.txt with the long tail's label counts.

    ratio: of the long tail's largest class to its rarest. say: is told a line about each LMDB.
    Returns the labels of the long tail, and how many of each class there are.
    """
    tail, counts = choose_long_tail(dataset.train_labels, len(dataset.classes), ratio)
    tail_labels = dataset.train_labels[tail]
    sets = {
        "train_lmdb": (dataset.train_images, dataset.train_labels),
        "test_lmdb": (dataset.test_images, dataset.test_labels),
        "long_tail_lmdb": (dataset.train_images[tail], tail_labels),
    }
    for name, (images, labels) in progress.track(sets.items(), description="writing LMDBs"):
        made = provide_lmdb(os.path.join(folder, name), images, labels)
        say(f"{name}: {len(labels)} images, {'written' if made else 'already there'}")
    np.savetxt(os.path.join(folder, "counts.txt"), counts, fmt="%d")
    return tail_labels, counts


def provide_lmdb(path: str, images: np.ndarray, labels: np.ndarray) -> bool:
    """Write images into an LMDB, as pixels; returns whether it had to: one with just these labels is kept.

    `write_lmdb` leaves nothing half-written behind, so an LMDB that is there is whole.
    """
    if os.path.exists(path):
        try:
            if np.array_equal(open_source("LMDB", path).labels, labels):
                return False
        except DataError:
            pass  # not one of ours, or damaged
        shutil.rmtree(path)
    write_lmdb(path, _records(images, labels))
    return True


def choose_long_tail(labels: np.ndarray, num_classes: int, ratio: float) -> Tuple[np.ndarray, List[int]]:
    """The records of a long-tailed subset, in their order, and how many of each class there are.

    Class c keeps its first n_0 * ratio^(-c / (K - 1)) images, where n_0 is what the smallest class has: the
    profile of the long-tailed CIFAR sets (Cui et al. 2019), class 0 the largest, the last one the rarest.
    """
    largest = int(np.bincount(labels, minlength=num_classes).min())
    ratio = min(ratio, largest / FEWEST)
    counts = [round(largest * ratio ** (-c / (num_classes - 1))) for c in range(num_classes)]
    chosen = [np.flatnonzero(labels == c)[:count] for c, count in enumerate(counts)]
    return np.sort(np.concatenate(chosen)), counts


def _records(images: np.ndarray, labels: np.ndarray) -> Iterator[Datum]:
    for image, label in zip(images, labels):
        height, width = image.shape
        yield Datum(image.tobytes(), int(label), channels=1, height=height, width=width)
