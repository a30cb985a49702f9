"""Counts of predicted classes, and the metrics of them: against scikit-learn on the labels that count."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from caffe_pylayers.losses.blocks import BLOCK
from caffe_pylayers.losses.confusion import (
    confusion_matrix,
    count_classes,
    deeplab_metrics,
    metric_of_counts,
    predictions,
)
from tests.losses.references import plain_deeplab

AVERAGED = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}


@st.composite
def labelled(draw):
    """Labels, predictions, number of classes, weights or None; not all classes occur, and some weights are 0."""
    num_classes = draw(st.sampled_from([2, 3, 7]))
    rng = np.random.RandomState(draw(st.integers(0, 2**31)))
    shape = draw(st.sampled_from([(0,), (1,), (5,), (3, 40)]))
    labels, predicted = (rng.randint(0, draw(st.integers(1, num_classes)), shape) for _ in range(2))
    weights = rng.choice([0, 0.5, 1, 3], shape).astype(np.float32) if draw(st.booleans()) else None
    return labels, predicted, num_classes, weights


def counting(labels, predicted, weights):
    """What counts, flat, as arguments of scikit-learn."""
    there = np.ones(labels.shape, bool) if weights is None else weights > 0
    return labels[there], predicted[there], {"sample_weight": None if weights is None else weights[there]}


@given(labelled())
def test_counts_are_those_of_a_plain_loop(batch):
    labels, predicted, num_classes, weights = batch
    expected = np.zeros((num_classes, num_classes))
    for place in np.ndindex(labels.shape):
        expected[labels[place], predicted[place]] += 1 if weights is None else weights[place]
    np.testing.assert_allclose(confusion_matrix(*batch), expected)
    np.testing.assert_allclose(count_classes(*batch), [expected.diagonal(), expected.sum(1), expected.sum(0)])


@given(labelled())
def test_metrics_are_those_of_scikit_learn(batch):
    labels, predicted, _, weights = batch
    counts = count_classes(*batch)
    found = {name: metric_of_counts(name, counts) for name in ("pixel_accuracy", "mean_recall", "mean_iou")}
    found.update({(name, way): metric_of_counts(name, counts, way) for name in AVERAGED for way in ("macro", "micro")})
    true, answered, weighted = counting(labels, predicted, weights)
    if not len(true):
        assert np.isnan(list(found.values())).all()
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are predicted but have no labels
        expected = {
            "pixel_accuracy": sk.accuracy_score(true, answered, **weighted),
            "mean_recall": sk.balanced_accuracy_score(true, answered, **weighted),
            "mean_iou": sk.jaccard_score(true, answered, average="macro", **weighted),
        }
        for name, way in (key for key in found if isinstance(key, tuple)):
            expected[name, way] = AVERAGED[name](true, answered, average=way, zero_division=0, **weighted)
    assert found == pytest.approx(expected)


def test_a_weight_of_k_is_k_copies_and_one_of_0_is_none():
    rng = np.random.RandomState(0)
    labels, predicted, weights = rng.randint(0, 3, 50), rng.randint(0, 3, 50), rng.randint(0, 4, 50)
    copied = count_classes(np.repeat(labels, weights), np.repeat(predicted, weights), 4)
    np.testing.assert_array_equal(count_classes(labels, predicted, 4, weights.astype(np.float32)), copied)


@given(labelled())
def test_deeplab_counts_absent_classes_as_perfect(batch):
    labels, predicted, num_classes, _ = batch
    matrix = confusion_matrix(labels, predicted, num_classes).tolist()
    assert deeplab_metrics(count_classes(labels, predicted, num_classes)) == pytest.approx(plain_deeplab(matrix))


@given(st.sampled_from([(1, 1), (5, 3), (4, 2, 3), (2, 4, 1), (3, 5, 2), (0, 3)]), st.integers(0, 2**31))
def test_the_first_of_the_highest_scores_is_predicted(shape, seed):
    scores = np.random.RandomState(seed).choice([-np.inf, 0, 1, 2, np.inf], shape).astype(np.float32)
    np.testing.assert_array_equal(predictions(scores), scores.argmax(axis=1))


@given(st.sampled_from([(5, 3), (3, 5, 2)]), st.integers(0, 2**31))
def test_no_class_is_predicted_from_nan(shape, seed):
    rng = np.random.RandomState(seed)
    scores = rng.randint(0, 3, shape).astype(np.float32)
    scores[rng.rand(*shape) < 0.3] = np.nan
    expected = np.where(np.isnan(scores).any(axis=1), shape[1], scores.argmax(axis=1))
    np.testing.assert_array_equal(predictions(scores), expected)


@pytest.mark.parametrize("num_classes", [255, 256, 300, 70000])
def test_many_classes(num_classes):
    scores = np.zeros((3, num_classes), np.float32)
    scores[1, -1], scores[2, 0] = 1, np.nan
    assert predictions(scores).tolist() == [0, num_classes - 1, num_classes]


@pytest.mark.parametrize("shape", [(2 * BLOCK // 10 + 7, 10), (3, 7, BLOCK // 7 + 11)])
def test_batches_of_several_blocks(shape):
    scores = np.random.RandomState(0).randint(0, 9, shape).astype(np.float32)
    np.testing.assert_array_equal(predictions(scores), scores.argmax(axis=1))
