"""Verification: whether two records are of one class, by how near they are."""

from dataclasses import dataclass, field
from typing import Dict, List, Tuple

import numpy as np

from caffe_pylayers.errors import DataError

FAR = (1e-1, 1e-2, 1e-3, 1e-4)


@dataclass(frozen=True)
class Verification:
    """Of M pairs, `same` of which are of one class. A pair is accepted where it is at least as near as a threshold.

    accuracy: the mean over `folds` folds, each with the best threshold of the others. deviation: the standard deviation over folds.
    threshold: the mean of these thresholds, a cosine or a distance.
    eer: where as many of the different pairs are accepted as of the same are rejected, on the line between the two nearest points.
    tar: by FAR, the part of the same pairs that is accepted by a threshold that accepts at most this part of the different ones;
    not interpolated. auc: the area under the ROC. far, accepted: its points, from (0, 0) to (1, 1).
    """

    pairs: int
    same: int
    folds: int
    accuracy: float
    deviation: float
    threshold: float
    eer: float
    auc: float
    tar: Dict[float, float]
    far: np.ndarray = field(repr=False, compare=False)
    accepted: np.ndarray = field(repr=False, compare=False)


def verification(scores: np.ndarray, same: np.ndarray, folds: int, source: str) -> Verification:
    """See :class:`Verification`. scores: (M,), the larger the nearer. same: bool (M,). Folds are parts of the list, in its order.

    Raises DataError where all pairs are the same, or all different, in all or in all but one fold.
    """
    _require_both(same, source)
    if not 2 <= folds <= len(same):
        raise DataError(
            f"it has {len(same)} pairs, but {folds} folds are asked for",
            remedy="take from 2 to as many folds as pairs",
            source=source,
        )
    far, accepted = roc(scores, same)
    accuracies, thresholds = _of_folds(scores, same, folds, source)
    return Verification(
        len(same),
        int(same.sum()),
        folds,
        float(np.mean(accuracies)),
        float(np.std(accuracies)),
        float(np.mean(thresholds)),
        _equal_error(far, accepted),
        float(((far[1:] - far[:-1]) * (accepted[1:] + accepted[:-1])).sum() / 2),
        {each: float(accepted[far <= each].max()) for each in FAR},
        far,
        accepted,
    )


def roc(scores: np.ndarray, same: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """The parts of the different and of the same pairs that are accepted, by each threshold; from (0, 0) on. Equal scores are one threshold."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    right = np.concatenate([[0], np.cumsum(same[order])[last]])
    wrong = np.concatenate([[0], np.cumsum(~same[order])[last]])
    return wrong / wrong[-1], right / right[-1]


def best_threshold(scores: np.ndarray, same: np.ndarray) -> float:
    """The threshold with the most right answers, the middle between two scores; of several the lowest."""
    order = np.argsort(scores, kind="stable")
    ascending, is_same = scores[order], same[order]
    first = np.concatenate([[0], np.flatnonzero(np.diff(ascending)) + 1, [len(ascending)]])  # that is accepted
    right = is_same.sum() - np.concatenate([[0], np.cumsum(is_same)])[first]
    right += np.concatenate([[0], np.cumsum(~is_same)])[first]
    at = int(first[np.argmax(right)])
    if at == 0:
        return float(ascending[0])
    if at == len(ascending):
        return float(np.nextafter(ascending[-1], np.inf))
    middle = (ascending[at - 1] + ascending[at]) / 2
    return float(middle if middle > ascending[at - 1] else ascending[at])


def _of_folds(scores: np.ndarray, same: np.ndarray, folds: int, source: str) -> Tuple[List[float], List[float]]:
    accuracies, thresholds = [], []
    for number, fold in enumerate(np.array_split(np.arange(len(same)), folds)):
        others = np.ones(len(same), bool)
        others[fold] = False
        _require_both(same[others], f"{source}: all folds but number {number + 1} of {folds}")
        thresholds.append(best_threshold(scores[others], same[others]))
        accuracies.append(float(((scores[fold] >= thresholds[-1]) == same[fold]).mean()))
    return accuracies, thresholds


def _equal_error(far: np.ndarray, accepted: np.ndarray) -> float:
    """Where far is 1 - accepted, on the straight lines between the points."""
    over = far - (1 - accepted)  # from -1 to 1, and never less than before
    at = int(np.argmax(over >= 0))
    part = -over[at - 1] / (over[at] - over[at - 1])
    return float(far[at - 1] + part * (far[at] - far[at - 1]))


def _require_both(same: np.ndarray, source: str) -> None:
    if same.all() or not same.any():
        kind = "of one class" if same.any() else "of two classes"
        raise DataError(
            f"all {len(same)} pairs are {kind}",
            remedy="list pairs of both kinds, in turns, so that each fold has both",
            source=source,
        )
