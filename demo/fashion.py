"""The demo's images: Fashion-MNIST of Debian's package dataset-fashion-mnist, or else scikit-learn's digits.

Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 60,000 training and 10,000 test photographs of clothes, 28 x 28
pixels, grey, ten classes of equal size; MIT licence.
"""

import gzip
import os
import shutil
import struct
import subprocess
import tempfile
import zlib
from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np

PACKAGE = "dataset-fashion-mnist"
INSTALLED = "/usr/share/datasets/fashion-mnist"
CLASSES = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot"]
_FILES = (  # name in the package, shape
    ("train-images-idx3-ubyte.gz", (60000, 28, 28)),
    ("train-labels-idx1-ubyte.gz", (60000,)),
    ("t10k-images-idx3-ubyte.gz", (10000, 28, 28)),
    ("t10k-labels-idx1-ubyte.gz", (10000,)),
)


class Unavailable(Exception):
    """The data set cannot be had here; the message says why."""


@dataclass(frozen=True)
class DataSet:
    """Images uint8 (N, 28, 28), labels int64 (N,) from 0 to len(classes) - 1."""

    name: str
    origin: str
    classes: List[str]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def cache_folder() -> str:
    """${XDG_CACHE_HOME:-~/.cache}/caffe_pylayers."""
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "caffe_pylayers")


def fashion_mnist() -> DataSet:
    """Fashion-MNIST: installed, from the cache, or from Debian's archive. Raises Unavailable."""
    cached = os.path.join(cache_folder(), "fashion-mnist")
    problems = []
    for folder in (INSTALLED, cached):
        if os.path.isdir(folder):
            try:
                return _read_package(folder)
            except Unavailable as problem:
                problems.append(str(problem))
    if os.path.isdir(cached):
        shutil.rmtree(cached)  # damaged: it is ours, and is fetched again
    try:
        _fetch_package(cached)
        return _read_package(cached)
    except Unavailable as problem:
        problems.append(str(problem))
    raise Unavailable("; ".join(problems))


def digits() -> DataSet:
    """scikit-learn's 1797 handwritten digits, 8 x 8 pixels enlarged to 28 x 28; every fourth is for tests."""
    import cv2
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.stack([cv2.resize((image * 255 / 16).astype(np.uint8), (28, 28)) for image in bunch.images])
    labels = bunch.target.astype(np.int64)
    test = np.arange(len(labels)) % 4 == 3
    classes = [str(digit) for digit in range(10)]
    origin = "bundled with scikit-learn"
    return DataSet("digits", origin, classes, images[~test], labels[~test], images[test], labels[test])


def held_out(dataset: DataSet) -> DataSet:
    """For choosing settings: the first sixth of each class's training images for tests, and the others for training."""
    test = np.zeros(len(dataset.train_labels), bool)
    for c in range(len(dataset.classes)):
        members = np.flatnonzero(dataset.train_labels == c)
        test[members[: len(members) // 6]] = True
    images, labels = dataset.train_images, dataset.train_labels
    name = f"{dataset.name}, held-out training images"
    return DataSet(name, dataset.origin, dataset.classes, images[~test], labels[~test], images[test], labels[test])


def read_idx(path: str, shape: Tuple[int, ...]) -> np.ndarray:
    """The array of a gzipped idx file of uint8. Raises Unavailable unless it holds just that shape, whole."""
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise Unavailable(f"{path}: cannot be read ({error})") from error
    head = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)  # type 8: uint8; then each dimension
    if content[: len(head)] != head or len(content) != len(head) + np.prod(shape):
        raise Unavailable(f"{path}: {len(content)} bytes, not an idx file of uint8 {' x '.join(map(str, shape))}")
    return np.frombuffer(content, np.uint8, offset=len(head)).reshape(shape)


def _read_package(folder: str) -> DataSet:
    arrays = [read_idx(os.path.join(folder, name), shape) for name, shape in _FILES]
    for labels in (arrays[1], arrays[3]):
        counts = np.bincount(labels, minlength=10)
        if len(counts) != 10 or counts.min() != counts.max():
            raise Unavailable(f"{folder}: label counts {counts.tolist()}, not ten equal classes")
    return DataSet(
        "Fashion-MNIST",
        f"Debian's {PACKAGE}, in {folder}",
        CLASSES,
        arrays[0],
        arrays[1].astype(np.int64),
        arrays[2],
        arrays[3].astype(np.int64),
    )


def _fetch_package(target: str) -> None:
    """Download and unpack Debian's package; `target` appears only when it is whole. Works without root."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise Unavailable(f"apt-get or dpkg-deb is missing, but Debian's package {PACKAGE} needs both")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fashion-mnist.", dir=os.path.dirname(target)) as work:
        # As root apt-get would hand the download to a user that may not write here, and complain.
        download = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", PACKAGE]
        failure = _failure(download, work)
        if failure and os.geteuid() == 0:  # a machine that never ran `apt-get update` knows no packages
            failure = _failure(["apt-get", "-q", "update"], work) or _failure(download, work)
        if failure:
            raise Unavailable(f"apt-get cannot download {PACKAGE}: {failure}")
        (package,) = (name for name in os.listdir(work) if name.endswith(".deb"))
        failure = _failure(["dpkg-deb", "-x", package, "."], work)
        if failure:
            raise Unavailable(f"dpkg-deb cannot unpack {package}: {failure}")
        os.rename(os.path.join(work, INSTALLED.lstrip("/")), target)


def _failure(command: List[str], folder: str) -> Optional[str]:
    """Run a command; its last line where it failed, else None."""
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 0:
        return None
    return (done.stdout.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
