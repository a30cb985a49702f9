"""Part (b): an embedding trained on triplets, and how well it retrieves images of the same class."""

import os
import shutil
from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np
from fashion import DataSet
from stock_caffe import Training, answers, describe_solver, first_batch, layer_options, write_solver

EXAMPLE = "fashion_triplet"
NUM_NEAREST = 5


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


def prepare(examples: str, folder: str, quick: bool) -> Training:
    """Put the example's nets into the folder, as they are; `quick` trains 60 iterations."""
    shutil.copytree(os.path.join(examples, EXAMPLE), os.path.join(folder, EXAMPLE))
    solver = f"{EXAMPLE}/solver.prototxt"
    if quick:
        write_solver(os.path.join(folder, solver), os.path.join(folder, solver), max_iter=60)
    batch_size = 3 * layer_options(os.path.join(folder, EXAMPLE, "train_val.prototxt"), "train_data")["batch_size"]
    return Training("embedding", folder, solver, batch_size)


def evaluate(training: Training, folder: str, dataset: DataSet) -> Tuple[Dict[str, Retrieval], Dict[str, object]]:
    """Retrieval by the trained embedding and by raw pixels, and the results as numbers."""
    net = f"{EXAMPLE}/train_val.prototxt"
    (embedding,) = answers(net, training.weights, folder, ["unit"], len(dataset.test_labels))
    pixels = dataset.test_images.reshape(len(dataset.test_images), -1).astype(np.float32)
    retrievals = {
        "embedding, cosine": retrieve(unit(embedding), dataset.test_labels),
        "raw pixels, cosine": retrieve(unit(pixels), dataset.test_labels),
        "raw pixels, Euclidean": retrieve(pixels / 255, dataset.test_labels),
    }
    data = layer_options(os.path.join(folder, net), "train_data")
    results: Dict[str, object] = {
        "iterations": training.num_iterations,
        "triplets a batch": data["batch_size"],
        "loss options": layer_options(os.path.join(folder, net), "loss"),
        "solver": describe_solver(training.solver),
        "dimensions": embedding.shape[1],
        "seconds": round(training.seconds, 1),
        "final loss": training.curve[-1][1],
        "queries": len(dataset.test_labels),
        "recall": {name: {f"@{k}": retrieval.recall(k) for k in (1, 5)} for name, retrieval in retrievals.items()},
    }
    return retrievals, results


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


def triplets_as_fed(folder: str, dataset: DataSet) -> Tuple[List[np.ndarray], List[List[str]]]:
    """The first batch of TripletDataLayer: images, mean and scale undone, uint8 (B, 28, 28), and classes.

    Triplets carry no labels: each image is looked up, pixel by pixel, among the training images.
    """
    net = f"{EXAMPLE}/train_val.prototxt"
    options = layer_options(os.path.join(folder, net), "train_data")
    label_of = {image.tobytes(): label for image, label in zip(dataset.train_images, dataset.train_labels)}
    triplets, names = [], []
    for blob in first_batch(net, folder, ["anchor", "positive", "negative"]):
        images = np.rint(blob[:, 0] / options["scale"] + options["mean_value"]).astype(np.uint8)
        triplets.append(images)
        names.append([dataset.classes[label_of[image.tobytes()]] for image in images])
    return triplets, names
