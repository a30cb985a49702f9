"""SegAccuracy gives what the layer of DeepLab's fork gives."""

import caffe
import numpy as np
import pytest

from caffe_pylayers import DataError
from tests.layers.whole_sets import batches_of, matrix_of, passing, seg_accuracy
from tests.losses.references import plain_deeplab
from tests.refusals import refused


@pytest.mark.parametrize("ignored", [255, [255], [255, 0]])
def test_seg_accuracy_is_the_fork_s(ignored, caplog):
    """Each batch by itself; with `reset: false` all batches since the set-up. Class 4 is absent, and counts as 1."""
    batches = batches_of((2, 5, 3, 4), num=3, ignored=255)
    for batch in batches:
        batch["scores"][:, 4] = -9
        batch["label"][batch["label"] == 4] = 1
    listed = ignored if isinstance(ignored, list) else [ignored]
    (each,) = passing(seg_accuracy(ignore_label=ignored), batches, "accuracy")
    (added,) = passing(seg_accuracy(ignore_label=ignored, reset=False), batches, "accuracy", phase=caffe.TRAIN)
    assert each.shape == (3, 1, 1, 1, 3)
    for number, batch in enumerate(batches):
        np.testing.assert_allclose(each[number].ravel(), plain_deeplab(matrix_of(batch, ignored=listed)), rtol=1e-6)
        so_far = plain_deeplab(matrix_of(*batches[: number + 1], ignored=listed))
        np.testing.assert_allclose(added[number].ravel(), so_far, rtol=1e-6)
    assert len(caplog.messages) == 2
    assert all("mean IoU takes their IoU for 1" in message for message in caplog.messages)


def test_seg_accuracy_of_nothing_is_the_fork_s():
    batch = {"scores": np.zeros((1, 5, 2, 2)), "label": np.full((1, 1, 2, 2), 255)}
    (found,) = passing(seg_accuracy(ignore_label=255), [batch], "accuracy")
    assert found.ravel().tolist() == [0, 0, 1]


def test_a_label_that_none_ignores_names_all_that_are_ignored():
    batch = {"scores": np.zeros((1, 5, 2, 2)), "label": np.full((1, 1, 2, 2), 253)}
    with refused(DataError, "label 253", "not ignore_label 255, 254", remedy="[255, 254, 253]", layer="SegAccuracy"):
        passing(seg_accuracy(ignore_label=[255, 254]), [batch], "accuracy")
    passing(seg_accuracy(ignore_label=[255, 254, 253]), [batch], "accuracy")


def test_the_one_label_that_is_ignored_is_not_to_be_replaced_by_another():
    batch = {"scores": np.zeros((1, 5, 2, 2)), "label": np.array([[[[255, 7], [0, 1]]]])}
    with pytest.raises(DataError) as found:
        passing(seg_accuracy(ignore_label=255), [batch], "accuracy")
    assert found.value.remedy == "if it is a class, there must be 8 of them"
