"""AUC and average precision against scikit-learn, with ties, weights, and samples that are left out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from caffe_pylayers.losses.ranking import mean_rank_metrics, rank_metrics


@st.composite
def samples(draw):
    rng = np.random.RandomState(draw(st.integers(0, 2**31)))
    size, tied = draw(st.integers(1, 60)), draw(st.booleans())
    scores = rng.randint(0, 4, size) if tied else rng.randn(size)
    if draw(st.booleans()):
        scores = np.where(rng.rand(size) < 0.2, rng.choice([-np.inf, np.inf], size), scores)
    positive = rng.rand(size) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    weights = rng.choice([0, 0.5, 1, 3], size).astype(np.float32) if draw(st.booleans()) else None
    return scores.astype(np.float32), positive, weights


def by_scikit_learn(scores, positive, weights):
    there = np.ones(len(scores), bool) if weights is None else weights > 0
    scores, positive = np.clip(scores[there], -1e30, 1e30), positive[there]  # it refuses infinity
    weights = None if weights is None else weights[there]
    auc = roc_auc_score(positive, scores, sample_weight=weights) if 0 < positive.sum() < len(positive) else math.nan
    precision = average_precision_score(positive, scores, sample_weight=weights) if positive.any() else math.nan
    return auc, precision


@given(samples())
def test_equals_scikit_learn(batch):
    assert rank_metrics(*batch) == pytest.approx(by_scikit_learn(*batch), nan_ok=True)


def test_nothing_has_no_rank():
    assert np.isnan(rank_metrics(np.zeros(0), np.zeros(0, bool))).all()
    assert np.isnan(rank_metrics(np.ones(3), np.ones(3, bool), np.zeros(3))).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["classes", "targets"])
def test_a_mean_over_classes_is_over_those_in_which_it_is_defined(kind, weighted):
    """Class 4 has no label; of the targets, column 4 has no positive and column 3 no negative one."""
    rng = np.random.RandomState(0)
    scores = rng.randn(30, 5).astype(np.float32)
    labels = rng.randint(0, 4, 30) if kind == "classes" else rng.randint(0, 2, (30, 5))
    if kind == "targets":
        labels[:, 3:] = [1, 0]
    weights = rng.randint(0, 3, labels.shape).astype(np.float32) if weighted else None
    positive = labels[:, None] == np.arange(5) if kind == "classes" else labels == 1
    of_columns = np.broadcast_to(weights if kind == "targets" else weights[:, None], (30, 5)) if weighted else None
    columns = [by_scikit_learn(scores[:, c], positive[:, c], of_columns[:, c] if weighted else None) for c in range(5)]
    assert np.isnan(columns[4]).all()
    assert mean_rank_metrics(scores, labels, weights) == pytest.approx(tuple(np.nanmean(columns, axis=0)))


def test_one_column_is_that_of_class_1():
    scores, labels = np.array([[0.1], [0.9], [0.5], [0.4]]), np.array([0, 1, 0, 1])
    assert mean_rank_metrics(scores, labels) == pytest.approx(by_scikit_learn(scores[:, 0], labels == 1, None))
