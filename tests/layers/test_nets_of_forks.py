"""Nets that were written for forks load and learn when only the type of their layers changes."""

import caffe
import numpy as np
import pytest

from tests.caffe_nets import write
from tests.layers.fork_nets import NETS, moved

#: Inputs that are numbers of classes, or of few values; others are drawn from a normal distribution.
CLASSES = {"labels": 3, "label": 3, "rpn_labels": 2, "conf_target": 4, "domain": 2}
SOLVER = """net: "%s"  base_lr: %g  momentum: 0.9  lr_policy: "fixed"  max_iter: 100  random_seed: 1  snapshot_after_train: false
test_iter: 1  test_interval: 1000  test_initialization: false"""
RATES = {"faster_rcnn": 0.01, "ssd": 0.0005, "losses": 1e-5}


def feed(net):
    """The same input for the nets of both phases."""
    random = np.random.default_rng(0)
    for name in net.top_names["input"]:
        blob = net.blobs[name].data
        if name in CLASSES:
            classes = 2 if name == "label" and "coverage" in net.blobs else CLASSES[name]
            blob[...] = random.integers(0, classes, blob.shape)
            if blob.shape[-1] > 1 and blob.ndim == 4 and classes > 2:
                blob[..., 0, 0] = 255
        elif name == "rois":
            corners = np.sort(random.uniform(0, 30, (2, 2, len(blob))), axis=0)
            blob[...] = np.stack([np.zeros(len(blob)), *corners.reshape(4, -1)], axis=1)
        elif "weights" in name:
            blob[...] = random.integers(0, 2, blob.shape) / (len(blob) if "outside" in name else 1)
        else:
            blob[...] = random.normal(size=blob.shape)


@pytest.fixture
def train(tmp_path):
    """A function: the name of a net -> its solver, and the sum of its losses in each iteration."""

    def train(name, steps=12):
        net = write(moved(NETS[name]), tmp_path)
        solver = caffe.get_solver(write(SOLVER % (net, RATES.get(name, 0.01)), tmp_path, "solver.prototxt"))
        losses = []
        for _ in range(steps):
            feed(solver.net)
            solver.step(1)
            weighted = zip(solver.net._blobs, solver.net._blob_loss_weights)
            losses.append(sum(weight * float(blob.data) for blob, weight in weighted if weight))
        feed(solver.test_nets[0])
        solver.test_nets[0].share_with(solver.net)
        solver.test_nets[0].forward()
        return solver, losses

    return train


@pytest.mark.parametrize("name", NETS)
def test_a_net_of_a_fork_learns(name, train):
    _, losses = train(name)
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_a_label_map_that_becomes_smaller_keeps_whole_numbers(train):
    """DeepLab's nets take every fourth, or eighth, row and column of a map by a layer Interp."""
    solver, _ = train("deeplab", steps=1)
    for net in (solver.net, solver.test_nets[0]):
        label = net.blobs["label"].data
        np.testing.assert_array_equal(net.blobs["label_shrink"].data, label[..., ::4, ::4])
        assert set(np.unique(label)) == {0, 1, 2, 255}
    test = solver.test_nets[0]
    assert test.blobs["fc8_interp"].data.shape == (2, 5, 33, 33)
    assert [test.blobs[name].data.shape for name in ("accuracy", "accuracy_interp")] == [(1, 1, 1, 3)] * 2
    assert 0 < test.blobs["accuracy_interp"].data[0, 0, 0, 0] < 1
