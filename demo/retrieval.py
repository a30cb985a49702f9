"""How well vectors of the test images find images of their class, each image a query among the others."""

from dataclasses import dataclass
from typing import Dict, Tuple

import numpy as np
from fashion import DataSet

RANKS = (1, 5)
NUM_NEAREST = max(RANKS)


@dataclass(frozen=True)
class Retrieval:
    """The nearest other test images of every test image.

    nearest: int (N, 5), nearest first; right: bool (N, 5), whether they are of the query's class.
    """

    nearest: np.ndarray
    right: np.ndarray

    def recall(self, k: int) -> float:
        """Recall@k: the part of the queries that have one of their class among the k nearest."""
        return float(self.right[:, :k].any(axis=1).mean())

    @property
    def recalls(self) -> Dict[str, float]:
        """Recall@1 and @5."""
        return {f"recall@{k}": self.recall(k) for k in RANKS}


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows divided by their norms: Euclidean distance then orders them as cosine does."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def retrieve(vectors: np.ndarray, labels: np.ndarray, block: int = 1000) -> Retrieval:
    """The five other rows of `vectors` (N, D) at the least Euclidean distance, for each row."""
    half_squares = (vectors**2).sum(axis=1) / 2
    nearest = np.empty((len(vectors), NUM_NEAREST), np.int64)
    for start in range(0, len(vectors), block):
        # |q - x|^2 = |q|^2 - 2 (q.x - |x|^2 / 2), and |q| is the same for all x
        nearness = vectors[start : start + block] @ vectors.T - half_squares
        rows = np.arange(len(nearness))
        nearness[rows, start + rows] = -np.inf  # not itself
        best = np.argpartition(nearness, -NUM_NEAREST, axis=1)[:, -NUM_NEAREST:]
        order = np.argsort(-np.take_along_axis(nearness, best, axis=1), axis=1)
        nearest[start : start + block] = np.take_along_axis(best, order, axis=1)
    return Retrieval(nearest, labels[nearest] == labels[:, None])


def by_raw_pixels(dataset: DataSet) -> Dict[str, Retrieval]:
    """The floor: retrieval without any training."""
    pixels = dataset.test_images.reshape(len(dataset.test_images), -1).astype(np.float32)
    ways: Tuple[Tuple[str, np.ndarray], ...] = (("cosine", unit(pixels)), ("Euclidean", pixels / 255))
    return {f"raw pixels, {name}": retrieve(vectors, dataset.test_labels) for name, vectors in ways}
