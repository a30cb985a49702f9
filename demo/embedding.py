"""Part (b): an embedding trained on mined triplets and on random ones, and how well each retrieves images of a class."""

import os
from typing import Dict, List, Tuple

import mining
import numpy as np
from fashion import DataSet
from retrieval import Retrieval, by_raw_pixels
from runs import Run
from stock_caffe import describe_solver, first_batch, layer_options

MINED, RANDOM = "distance", "random"
TITLES = {MINED: "mined triplets", RANDOM: "random triplets"}


def prepare(examples: str, folder: str, quick: bool) -> List[Run]:
    """Put the examples' nets into the folder, with copies for both; `quick` trains 60 iterations."""
    return mining.prepare(examples, folder, (1,), 60 if quick else None, tuple(TITLES))


def evaluate(runs: List[Run], folder: str, dataset: DataSet) -> Tuple[Dict[str, Retrieval], Dict[str, object]]:
    """Retrieval by the trained embeddings and by raw pixels, and the results as numbers."""
    retrievals = {TITLES[each.method]: mining.retrieved(each, folder, dataset) for each in runs}
    retrievals.update(by_raw_pixels(dataset))
    training = runs[0].training
    results: Dict[str, object] = {
        "iterations": training.num_iterations,
        "images a batch": training.num_images // training.num_iterations,
        "losses": {
            TITLES[each.method]: {
                "options": mining.loss_options(folder, each),
                "seconds": round(each.training.seconds, 1),
                "final loss": each.training.curve[-1][1],
            }
            for each in runs
        },
        "solver": describe_solver(training.solver),
        "queries": len(dataset.test_labels),
        "recall": {name: retrieval.recalls for name, retrieval in retrievals.items()},
    }
    return retrievals, results


def triplets_as_fed(net: str, folder: str, dataset: DataSet) -> Tuple[List[np.ndarray], List[List[str]]]:
    """The first batch of a net's TripletDataLayer: images, mean and scale undone, uint8 (B, 28, 28), and classes.

    Triplets carry no labels: each image is looked up, pixel by pixel, among the training images.
    """
    options = layer_options(os.path.join(folder, net), "train_data")
    label_of = {image.tobytes(): label for image, label in zip(dataset.train_images, dataset.train_labels)}
    triplets, names = [], []
    for blob in first_batch(net, folder, ["anchor", "positive", "negative"]):
        images = np.rint(blob[:, 0] / options["scale"] + options["mean_value"]).astype(np.uint8)
        triplets.append(images)
        names.append([dataset.classes[label_of[image.tobytes()]] for image in images])
    return triplets, names
