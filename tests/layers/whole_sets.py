"""A set in batches, what layers of metrics give for each of them, and what scikit-learn gives for the whole set."""

import warnings

import caffe
import numpy as np
from sklearn import metrics as sk

from tests.caffe_nets import build, python_layer

COUNTED = ["pixel_accuracy", "mean_recall", "mean_iou", "precision", "recall", "f1"]
RANKED = ["average_precision", "auc"]


def metrics(*bottoms, tops=("metrics",), **options):
    return python_layer("Metrics", bottoms, tops, options)


def batches_of(shape, axis=1, seed=0, num=4, weighted=False, ignored=None):
    """Batches of scores and labels, whose parts of each class differ; most of the last class's are in the last batch."""
    rng = np.random.RandomState(seed)
    num_classes = shape[axis]
    result = []
    for number in range(num):
        labels = rng.randint(0, num_classes - (number < num - 1), shape[:axis] + shape[axis + 1 :])
        scores = rng.randn(*shape).astype(np.float32) + 1.5 * np.moveaxis(np.eye(num_classes)[labels], -1, axis)
        if ignored is not None:
            labels[rng.rand(*labels.shape) < 0.3] = ignored
        batch = {"scores": scores.astype(np.float32), "label": labels}
        if weighted:
            batch["sample_weight"] = rng.choice([0, 0.5, 1, 2], labels.shape)
        result.append(batch)
    return result


def passing(layer, batches, *tops, phase=caffe.TEST):
    """What each of the tops gives for each batch."""
    net = build([layer], batches[0], phase)
    found = []
    for batch in batches:
        for name, array in batch.items():
            net.blobs[name].data[...] = array
        net.forward()
        found.append([net.blobs[top].data.copy() for top in tops])
    return [np.array(each) for each in zip(*found)]


def printed(values):
    """The mean that Caffe prints: it adds up in float32."""
    total = np.float32(0)
    for value in values:
        total = total + value
    return total / np.float32(len(values))


def whole(batches, axis=1, ignored=None):
    """Scores (N, K), labels and weights of all that counts in the batches."""
    rows = [np.moveaxis(batch["scores"], axis, -1).reshape(-1, batch["scores"].shape[axis]) for batch in batches]
    labels = np.concatenate([batch["label"].ravel() for batch in batches])
    weights = np.concatenate([batch.get("sample_weight", np.ones(batch["label"].shape)).ravel() for batch in batches])
    there = (labels != ignored) & (weights > 0)
    return np.concatenate(rows)[there], labels[there], weights[there]


def by_scikit_learn(scores, labels, weights, average="macro"):
    predicted, num_classes = scores.argmax(axis=1), scores.shape[1]
    of, weighted = {"zero_division": 0, "average": average}, {"sample_weight": weights}
    column = (lambda c: scores[:, 1] - scores[:, 0]) if num_classes == 2 else (lambda c: scores[:, c])
    classes = [1] if num_classes == 2 else np.unique(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are predicted but have no labels
        return {
            "pixel_accuracy": sk.accuracy_score(labels, predicted, **weighted),
            "mean_recall": sk.balanced_accuracy_score(labels, predicted, **weighted),
            "mean_iou": sk.jaccard_score(labels, predicted, average="macro", **weighted),
            "precision": sk.precision_score(labels, predicted, **of, **weighted),
            "recall": sk.recall_score(labels, predicted, **of, **weighted),
            "f1": sk.f1_score(labels, predicted, **of, **weighted),
            "average_precision": np.mean(
                [sk.average_precision_score(labels == c, column(c), **weighted) for c in classes]
            ),
            "auc": np.mean([sk.roc_auc_score(labels == c, column(c), **weighted) for c in classes]),
        }


def seg_accuracy(**options):
    return python_layer("SegAccuracy", ["scores", "label"], ["accuracy"], options)


def matrix_of(*batches, ignored=()):
    matrix = np.zeros((5, 5))
    for batch in batches:
        there = ~np.isin(batch["label"], ignored)
        np.add.at(matrix, (batch["label"][there], batch["scores"].argmax(axis=1)[there]), 1)
    return matrix.tolist()
