"""Part (c): a classifier on a long-tailed set, trained three ways at one learning rate, three seeds each."""

import os
import shutil
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from fashion import DataSet
from runs import Run, prepare_run
from stock_caffe import answers, describe_solver, layer_options, write_net

EXAMPLE = "fashion_long_tail"
METHODS = {  # the net's name: what it is
    "softmax": "stock SoftmaxWithLoss",
    "infogain": "ComputeH into stock InfogainLoss",
    "weighted_softmax": "SampleWeight into WeightedSoftmaxLoss",
}
SEEDS = (1, 2, 3)
NUM_RAREST = 3
MEASURES = ("accuracy", "balanced accuracy", "recall of the rarest", "accuracy at the training frequencies")


def prepare(examples: str, folder: str, seeds: Sequence[int], quick: bool) -> List[Run]:
    """Put the example's nets into the folder, with a copy for each seed of solver and data."""
    shutil.copytree(os.path.join(examples, EXAMPLE), os.path.join(folder, EXAMPLE))
    shorter: Dict[str, Any] = {"max_iter": 20, "test_interval": 20, "test_iter": [5]} if quick else {}
    batch_size = layer_options(os.path.join(folder, EXAMPLE, "softmax.prototxt"), "train_data")["batch_size"]
    solver = f"{EXAMPLE}/solver.prototxt"
    return [
        prepare_run(folder, method, title, seed, f"{EXAMPLE}/{method}.prototxt", solver, {}, batch_size, **shorter)
        for seed in seeds
        for method, title in METHODS.items()
    ]


def evaluate(run: Run, folder: str, dataset: DataSet, train_labels: np.ndarray) -> Dict[str, Any]:
    """How one run does on the test images, and on the long-tailed training images, whose labels are given."""
    watched = f"{os.path.splitext(run.net)[0]}_on_train.prototxt"
    write_net(os.path.join(folder, run.net), os.path.join(folder, watched), test_data={"source": "long_tail_lmdb"})
    classes = len(dataset.classes)
    weights = run.training.weights
    (scores,) = answers(run.net, weights, folder, ["scores"], len(dataset.test_labels))
    (fitted,) = answers(watched, weights, folder, ["scores"], len(train_labels))
    predicted = scores.argmax(axis=1)
    recall = recalls(predicted, dataset.test_labels, classes)
    frequency = np.bincount(train_labels, minlength=classes) / len(train_labels)
    return {
        "accuracy": float((predicted == dataset.test_labels).mean()),
        "balanced accuracy": float(recall.mean()),
        "recall of the rarest": float(recall[-NUM_RAREST:].mean()),
        "accuracy at the training frequencies": float(recall @ frequency),
        "recall": recall.tolist(),
        "recall in training": recalls(fitted.argmax(axis=1), train_labels, classes).tolist(),
        "seconds": round(run.training.seconds, 1),
        "final loss": run.training.curve[-1][1],
    }


def recalls(predicted: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Of the images of each class, the part that is taken for that class."""
    right = np.bincount(labels[predicted == labels], minlength=num_classes)
    return right / np.bincount(labels, minlength=num_classes)


def summarize(results: List[Dict[str, Any]], measure: str) -> Tuple[float, float]:
    """Mean over the seeds, and spread: the sample standard deviation; 0 for one seed."""
    values = [result[measure] for result in results]
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def settings(folder: str, seeds: Sequence[int]) -> Dict[str, Any]:
    """How the three were trained, from the files that they were trained by."""
    nets = {method: os.path.join(folder, EXAMPLE, f"{method}.prototxt") for method in METHODS}
    return {
        "solver": describe_solver(os.path.join(folder, EXAMPLE, "solver.prototxt")),
        "batch size": layer_options(nets["softmax"], "train_data")["batch_size"],
        "ComputeH": layer_options(nets["infogain"], "H"),
        "SampleWeight": layer_options(nets["weighted_softmax"], "weight"),
        "seeds": list(seeds),
    }


def remarks(found: Dict[str, Any], classes: Sequence[str]) -> List[str]:
    """What the numbers say: each method against the stock loss, where it wins and loses, what was left to fit."""
    stock = found["runs"]["softmax"]
    before = np.mean([run["recall"] for run in stock], axis=0)
    lines = []
    for method in list(METHODS)[1:]:
        runs = found["runs"][method]
        gains = [gain(runs, stock, measure) for measure in MEASURES[1:]]
        after = np.mean([run["recall"] for run in runs], axis=0)
        most = [f"{classes[c]} {before[c]:.3f} -> {after[c]:.3f}" for c in np.argsort(after - before)[[-1, 0]]]
        lines.append(
            f"{METHODS[method]} against {METHODS['softmax']}: {'; '.join(gains)}. "
            f"It gains most in class {most[0]}, and least in {most[1]}."
        )
    fitted = {
        name: np.mean([run["recall in training"][-NUM_RAREST:] for run in found["runs"][method]])
        for method, name in METHODS.items()
    }
    own = ", ".join(f"{name} {recall:.3f}" for name, recall in fitted.items())
    lines.append(
        f"Recall of the {NUM_RAREST} rarest classes on their own {sum(found['counts'][-NUM_RAREST:])} training images: "
        f"{own}. If all are 1, all methods fit these images, and they differ only in how the net generalises."
    )
    lines.append(f"(clear: a difference of means beyond twice its standard error, over {len(stock)} seeds each)")
    return lines


def difference(runs: List[Dict[str, Any]], stock: List[Dict[str, Any]], measure: str) -> Tuple[float, float]:
    """The difference of the means, and its standard error."""
    (mean, spread), (stock_mean, stock_spread) = summarize(runs, measure), summarize(stock, measure)
    return mean - stock_mean, float(np.sqrt(spread**2 / len(runs) + stock_spread**2 / len(stock)))


def gain(runs: List[Dict[str, Any]], stock: List[Dict[str, Any]], measure: str) -> str:
    """The difference in words, and whether it is beyond twice its standard error."""
    more, error = difference(runs, stock, measure)
    verdict = "clear" if abs(more) > 2 * error else "within the noise"
    return f"{measure} {more:+.3f} ({verdict}; standard error {error:.3f})"
