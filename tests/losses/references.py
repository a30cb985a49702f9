"""What the references of all losses share, as plain loops in float64: slow, and as near to the definition as it gets."""

import numpy as np


def reduce(values, ignored, weights=None, normalization="VALID", normalize_by="weight", counts=None):
    """The loss of `values`, of shape (outer, ...), by the table in caffe_pylayers.losses.reduction.

    counts: of that shape, for values that are sums: of how many terms.
    """
    shape = np.shape(values)
    total = normalizer = 0.0
    for index in np.ndindex(*shape):
        weight = 1.0 if weights is None else float(weights[index])
        counted = weight if normalize_by == "weight" else 1.0
        counted *= 1 if counts is None else counts[index]
        if normalization in ("FULL", "BATCH_SIZE") or (normalization == "VALID" and not ignored[index]):
            normalizer += counted
        if not ignored[index] and weight != 0:
            total += weight * float(values[index])
    if normalization == "BATCH_SIZE":
        normalizer /= np.prod(shape[1:])
    if normalization == "NONE":
        normalizer = 1.0
    return total / normalizer if normalizer > 0 else 0.0


def plain_counts(scores, labels, top_k=1, weights=None, ignored=None):
    """The weight of the labels that are right, and of all, by class, label by label."""
    right, total = np.zeros(scores.shape[1]), np.zeros(scores.shape[1])
    for index in np.ndindex(*labels.shape):
        if ignored is not None and ignored[index]:
            continue
        row = scores[(index[0], slice(None), *index[1:])]
        label = labels[index]
        not_below = [c for c in range(len(row)) if c != label and row[c] >= row[label]]
        weight = 1.0 if weights is None else weights[index]
        total[label] += weight
        right[label] += weight * (len(not_below) < top_k)
    return right, total


def check_nan_of_factor_zero(write_gradient, inner):
    """That terms with NaN scores and factor 0 get gradient 0, and others one of their own.

    write_gradient(scores, factor, gradient): the loss on scores (3, 4, *inner).
    """
    scores = np.random.RandomState(2).randn(3, 4, *inner)
    scores[1] = np.nan
    factor, gradient = np.ones((3, *inner)), np.empty_like(scores)
    factor[1] = 0
    write_gradient(scores, factor, gradient)
    assert np.isfinite(gradient).all()
    assert not gradient[1].any()
    assert gradient[0].any()


def numeric_gradient(function, x, step=1e-6):
    """Central differences of function(x) -> float, in float64."""
    x = np.array(x, np.float64)
    gradient = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        kept = x[index]
        x[index] = kept + step
        above = function(x)
        x[index] = kept - step
        below = function(x)
        x[index] = kept
        gradient[index] = (above - below) / (2 * step)
    return gradient


class Buffers:
    """A `buffer` for the functions of losses, which keeps what it makes."""

    def __init__(self):
        self.made = {}

    def __call__(self, name, shape, dtype):
        if name not in self.made:
            self.made[name] = np.empty(shape, dtype)
        return self.made[name]

    @property
    def size(self):
        """Of all arrays together."""
        return sum(array.size for array in self.made.values())


def plain_deeplab(matrix):
    """Pixel accuracy, mean recall and mean IoU by the rules of DeepLab's class ConfusionMatrix."""
    recalls = [matrix[c][c] / sum(matrix[c]) for c in range(len(matrix)) if sum(matrix[c]) > 0]
    ious = []
    for c in range(len(matrix)):
        union = sum(matrix[c]) + sum(row[c] for row in matrix) - matrix[c][c]
        ious.append(1.0 if union == matrix[c][c] else matrix[c][c] / union)
    total = sum(map(sum, matrix))
    right = sum(matrix[c][c] for c in range(len(matrix)))
    return right / total if total else 0, sum(recalls) / len(recalls) if recalls else 0, sum(ious) / len(ious)
