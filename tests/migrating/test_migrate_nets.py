"""Nets in the style of forks: after `migrate` nothing is wrong with them, Caffe sets them up, and they train."""

import os

import caffe
import numpy as np
import pytest

from caffe_pylayers.caffe_files.edits import as_bytes
from caffe_pylayers.commands.check.checking import check_files
from caffe_pylayers.commands.migrate.migrate import migrate

MOVED = (
    "center_mnist", "sphereface20", "am_softmax", "arcface", "l_softmax", "segnet", "hed", "fcn", "pspnet", "faster_rcnn",
)  # fmt: skip


@pytest.fixture(scope="module")
def moved(of_forks):
    """What became of each net, by its name; they and their solvers are in the folder `moved`, which is the working directory's."""
    before = os.getcwd()
    os.chdir(of_forks)
    os.mkdir("moved")
    found = {}
    try:
        for name in MOVED:
            solver, net = found[name] = migrate(f"{name}_solver.prototxt", folder="moved")
            files = {f"moved/{name}_solver.prototxt": solver.new, f"moved/{name}.prototxt": net.new, **net.lists}
            for path, text in files.items():
                (of_forks / path).write_bytes(as_bytes(text))
        yield found
    finally:
        os.chdir(before)


def test_nothing_is_wrong_with_the_moved_nets(moved):
    report = check_files([f"moved/{name}_solver.prototxt" for name in MOVED])
    assert [str(finding) for finding in report.findings] == []
    assert report.skipped == []


@pytest.mark.parametrize("name", MOVED)
def test_a_moved_net_trains(name, moved):
    solver = caffe.get_solver(f"moved/{name}_solver.prototxt")
    solver.step(1)
    losses = [
        float(solver.net.blobs[blob].data)
        for blob, weight in zip(solver.net._blob_names, solver.net._blob_loss_weights)
        if weight
    ]
    assert losses and np.isfinite(losses).all()
    assert any(np.any(blob.diff) for blobs in solver.net.params.values() for blob in blobs)


@pytest.mark.parametrize("name", MOVED)
def test_only_what_may_be_two_things_is_left(name, moved):
    left = [finding for each in moved[name] for finding in each.left]
    doubtful = ["dsn1_loss"] if name == "hed" else []
    assert [finding.message for finding in left] == [
        "forks with ImageLabelmapData have changed SigmoidCrossEntropyLoss: it is Caffe's, or BalancedSigmoidCrossEntropyLoss"
    ] * len(doubtful)


@pytest.mark.parametrize("name", MOVED)
def test_comments_stay(name, moved):
    net = moved[name][1]
    for line in net.old.splitlines():
        if "#" in line:
            assert f"#{line.partition('#')[2].rstrip()}" in net.new


def test_ssd_is_refused_with_reasons(of_forks, monkeypatch):
    monkeypatch.chdir(of_forks)
    (net,) = migrate("ssd.prototxt")
    assert [(each.line, each.layer) for each in net.left] == [(3, "data"), (17, "mbox_priorbox"), (21, "mbox_loss")]
    assert {each.remedy for each in net.left} == {
        "it is a fork's: stock Caffe has no such layer, and no layer of caffe_pylayers does it"
    }
    assert set(net.moved) == {"conv4_3_norm", "mbox_loc_perm"}
