"""Metrics of a batch: against scikit-learn on the same scores, and against our layer that counts right labels alone."""

from typing import Any, Callable, Iterator, Sequence

import caffe
import numpy as np
from sklearn import metrics as sk

from tests.bench.losses import IMAGES, MAPS, SMALL, WIDE, Shape
from tests.bench.rows import Row, in_turns, milliseconds
from tests.caffe_nets import build, python_layer

_COUNTED = ["pixel_accuracy", "mean_recall", "mean_iou"]
_RANKED = ["auc", "average_precision"]


def metrics() -> Iterator[Row]:
    """Counts of classes at the shapes of the losses, and the order of a hundred thousand scores."""
    for shape, reach in ((SMALL, 0.5), (WIDE, 0.5), (MAPS, 0.5), (IMAGES, 0.5)):
        yield _row(_COUNTED, shape, _confusion, f"<= {reach}")
    yield _row(_RANKED, (100_000, 2), _ranks, "<= 1")


def _row(of: Sequence[str], shape: Shape, by_scikit_learn: Callable[..., object], reach: str) -> Row:
    rng = np.random.default_rng(0)
    inputs = {
        "scores": rng.normal(size=shape).astype(np.float32),
        "label": rng.integers(0, shape[1], (shape[0], *shape[2:])),
    }
    actions = {
        "ours": _layer("Metrics", {"of": list(of), "restart_every": 1}, inputs),
        "scikit-learn": lambda: by_scikit_learn(**inputs),
        "WeightedAccuracy": _layer("WeightedAccuracy", {}, inputs),
    }
    turns = {name: lambda action=action: milliseconds(action, 3) for name, action in actions.items()}
    figures = in_turns(turns)
    ours = figures.pop("ours")
    return Row(
        f"Metrics {', '.join(of)} {'x'.join(map(str, shape))}",
        f"{ours:.3f} ms",
        "  ".join(f"{name}: {figure:.3f} ms" for name, figure in figures.items()),
        ours / figures["scikit-learn"],
        reach,
    )


def _layer(layer: str, options: Any, inputs: Any) -> Callable[[], object]:
    return build([python_layer(layer, list(inputs), ["top"], options)], inputs, caffe.TEST).forward


def _confusion(scores: np.ndarray, label: np.ndarray) -> None:
    sk.confusion_matrix(label.ravel(), scores.argmax(axis=1).ravel())


def _ranks(scores: np.ndarray, label: np.ndarray) -> None:
    margin = scores[:, 1] - scores[:, 0]
    sk.roc_auc_score(label, margin)
    sk.average_precision_score(label, margin)
