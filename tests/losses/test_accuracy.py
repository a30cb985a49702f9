import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.losses.accuracy import accuracy, count_right, recall
from caffe_pylayers.losses.blocks import BLOCK
from tests.losses.references import plain_counts


@st.composite
def batches(draw):
    shape = draw(st.sampled_from([(1, 1), (5, 3), (4, 2, 3), (2, 4, 1), (3, 5, 2)]))
    rng = np.random.RandomState(draw(st.integers(0, 2**31)))
    scores = rng.randint(0, 4, shape).astype(np.float32)  # many ties
    if draw(st.booleans()):
        scores[rng.rand(*shape) < 0.2] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    terms = shape[:1] + shape[2:]
    labels = rng.randint(0, shape[1], terms)
    weights = rng.choice([0, 0.5, 1, 3], terms).astype(np.float32) if draw(st.booleans()) else None
    ignored = rng.rand(*terms) < 0.4 if draw(st.booleans()) else None
    return scores, labels, draw(st.integers(1, shape[1])), weights, ignored


@given(batches())
def test_equals_the_plain_loop(batch):
    expected = plain_counts(*batch)
    np.testing.assert_allclose(count_right(*batch), expected)
    right, total = expected
    assert accuracy(right, total) == pytest.approx(right.sum() / total.sum() if total.any() else np.nan, nan_ok=True)
    recalls = [right[c] / total[c] for c in range(len(total)) if total[c] > 0]
    assert accuracy(right, total, balanced=True) == pytest.approx(
        sum(recalls) / len(recalls) if recalls else np.nan, nan_ok=True
    )
    np.testing.assert_allclose(recall(right, total)[total > 0], recalls)
    assert np.isnan(recall(right, total)[total == 0]).all()


@pytest.mark.parametrize("num_classes", [255, 256, 300, 70000])
def test_many_classes_that_all_tie(num_classes):
    scores = np.zeros((2, num_classes), np.float32)
    scores[0, 0] = 1
    right, total = count_right(scores, np.array([0, 1]))
    assert (right[0], right[1], total[0], total[1]) == (1, 0, 1, 1)
    assert count_right(scores, np.array([0, 1]), num_classes)[0].sum() == 2


@pytest.mark.parametrize("shape", [(2 * BLOCK // 10 + 7, 10), (3, 7, BLOCK // 7 + 11)])
def test_batches_of_several_blocks(shape):
    rng = np.random.RandomState(0)
    scores = rng.randn(*shape).astype(np.float32)
    labels = rng.randint(0, shape[1], shape[:1] + shape[2:])
    weights = rng.randint(0, 3, labels.shape).astype(np.float32)
    own = np.take_along_axis(scores, labels[:, None], 1)
    among = (scores >= own).sum(axis=1) <= 2
    right, total = count_right(scores, labels, 2, weights)
    assert right.sum() == weights[among].sum()
    np.testing.assert_array_equal(total, np.bincount(labels.ravel(), weights.ravel(), shape[1]))
