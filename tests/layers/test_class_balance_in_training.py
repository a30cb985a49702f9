"""Class weights over a run: running counts, deferred weights, and what TEST and a restored run make of them."""

import os

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.layers.adapter import log
from caffe_pylayers.losses.class_weights import class_weights
from tests.caffe_nets import build, layer_text, net_text, python_layer, write
from tests.refusals import refused

BATCHES = np.random.RandomState(5).choice(4, (14, 6), p=[0.6, 0.25, 0.1, 0.05])


def weights_of(net, batches):
    """The weight of each class, for each of the batches."""
    seen = []
    for batch in batches:
        net.blobs["label"].data[...] = batch
        net.forward()
        seen.append(np.diag(net.blobs["H"].data[0, 0]).copy())
    return np.array(seen)


def balance_net(phase=caffe.TRAIN, **options):
    options = {"n_classes": 4, "scale": "none", **options}
    return build([python_layer("ComputeH", ["label"], ["H"], options)], {"label": BATCHES[0]}, phase)


@pytest.mark.parametrize("resume", [False, True])
def test_running_counts(resume):
    counts, expected = np.zeros(4), []
    for batch in BATCHES:
        counts = 0.5 * counts + np.bincount(batch, minlength=4)
        expected.append(class_weights(counts))
    assert (np.array(expected) == 0).any()
    got = weights_of(balance_net(counts="running", decay=0.5, resume=resume), BATCHES)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_running_counts_of_median_frequency():
    batches = np.random.RandomState(5).choice(4, (8, 3, 5), p=[0.6, 0.25, 0.1, 0.05])
    counts, in_images, expected = np.zeros(4), np.zeros(4), []
    for batch in batches:
        counts, in_images = 0.9 * counts, 0.9 * in_images
        for image in batch:
            for c in set(image):
                counts[c] += (image == c).sum()
                in_images[c] += len(image)
        frequencies = counts[counts > 0] / in_images[counts > 0]
        expected.append(np.where(counts > 0, np.median(frequencies), 0))
        expected[-1][counts > 0] /= frequencies
    options = {"n_classes": 4, "scale": "none", "rule": "median_frequency", "counts": "running", "decay": 0.9}
    net = build([python_layer("ComputeH", ["label"], ["H"], options)], {"label": batches[0]})
    np.testing.assert_allclose(weights_of(net, batches), expected, rtol=1e-5)


def test_a_class_must_have_been_seen_if_empty_is_an_error():
    net = balance_net(counts="running", empty="error")
    weights_of(net, [[0, 1, 2, 3, 0, 0], [0] * 6])
    with refused(DataError, "class 1, 2, 3 in the batches so far"):
        weights_of(balance_net(counts="running", empty="error"), [[0] * 6])


@pytest.mark.parametrize("iter_size", [1, 2])
@pytest.mark.parametrize(
    "options", [{}, {"counts": "running"}, {"weights": [1, 2, 3, 0]}, {"scale": "mean_one"}], ids=str
)
def test_deferred_weights_do_not_change_the_mean_weight(options, iter_size):
    net = balance_net(defer=3, iter_size=iter_size, **options)
    now = weights_of(net, BATCHES)
    then = (
        weights_of(balance_net(**options), BATCHES) if "weights" not in options else np.array([options["weights"]] * 14)
    )
    switch = 3 * iter_size
    np.testing.assert_array_equal(now[switch:], then[switch:])
    counts = np.zeros(4)
    for batch, weights, later in zip(BATCHES[:switch], now, then):
        counts = np.bincount(batch, minlength=4) + (0.99 * counts if options.get("counts") == "running" else 0)
        present = (counts > 0) | ("weights" in options)
        np.testing.assert_allclose(weights[present], (later * counts).sum() / counts.sum(), rtol=1e-5)
        assert not weights[~present].any()


def test_sample_weight_can_be_deferred_too():
    options = {"n_classes": 3, "scale": "none", "defer": 1}
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    net = build([python_layer("SampleWeight", ["label"], ["w"], options)], {"label": labels})
    assert net.forward()["w"].tolist() == pytest.approx([12 / 7] * 7)
    assert net.forward()["w"].tolist() == pytest.approx([1, 1, 1, 1, 2, 2, 4])


def test_a_line_tells_both_weights_and_another_the_switch(caplog):
    caplog.set_level("INFO", log.name)
    net = balance_net(defer=2, resume=True, weights=[1, 2, 3, 4])
    weights_of(net, [[0, 0, 0, 0, 1, 1]] * 5)
    assert caplog.messages == [
        "ComputeH: every class has weight 1.333 up to iteration 2, then class weights 1, 2, 3, 4; both multiply the "
        "mean loss by 1.333",
        "ComputeH: iteration 2: from now on class weights 1, 2, 3, 4; they multiply the mean loss by 1.333",
    ]


def test_without_resume_a_warning_says_what_a_restart_and_a_test_net_do(caplog):
    for phase, options, texts in [
        (caffe.TRAIN, {"defer": 5}, ["will count iterations from 0 again; with 'resume': True"]),
        (caffe.TRAIN, {"defer": 5, "counts": "running"}, ["will count labels and iterations from 0 again"]),
        (caffe.TEST, {"defer": 5}, ["this one uses the weights of iteration 5 and later"]),
        (caffe.TEST, {"counts": "running"}, ["without 'resume': True a TEST net", "counts of its own batches"]),
        (caffe.TRAIN, {"defer": 5, "resume": True}, []),
        (caffe.TEST, {"defer": 5, "counts": "running", "resume": True}, []),
        (caffe.TRAIN, {}, []),
    ]:
        caplog.clear()
        weights_of(balance_net(phase, **options), BATCHES[:2])
        warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
        assert len(warnings) == bool(texts)
        assert all(text in warnings[0] for text in texts)


def test_a_test_net_without_resume_uses_its_own_batches_and_the_weights_after_defer():
    got = weights_of(balance_net(caffe.TEST, counts="running", defer=100), BATCHES)
    np.testing.assert_array_equal(got, weights_of(balance_net(caffe.TEST), BATCHES))


def balance_solver(folder, **options):
    """A solver of a net with class weights."""
    options = {"n_classes": 4, "scale": "none", "resume": True, **options}
    net = net_text(
        [
            python_layer("ComputeH", ["label"], ["H"], options, more="param { lr_mult: 0 decay_mult: 0 }"),
            layer_text("InnerProduct", ["x"], ["scores"], "inner_product_param { num_output: 4 }"),
            layer_text(
                "InfogainLoss",
                ["scores", "label", "H"],
                ["loss"],
                "propagate_down: true propagate_down: false propagate_down: false",
            ),
        ],
        {"x": (6, 3), "label": (6,)},
        force_backward=False,
    )
    text = (
        f'net: "{write(net, folder)}" base_lr: 0.1 lr_policy: "fixed" type: "Adam" weight_decay: 0.1 '
        f'clip_gradients: 1 test_iter: 1 test_interval: 1000 test_initialization: false snapshot_prefix: "{folder}/s" max_iter: 100'
    )
    return caffe.get_solver(write(text, folder, "solver.prototxt"))


def train(solver, batches):
    """One iteration a batch; the class weights in each."""
    seen = []
    for batch in batches:
        solver.net.blobs["label"].data[...] = batch
        solver.step(1)
        seen.append(np.diag(solver.net.blobs["H"].data[0, 0]).copy())
    return seen


@pytest.mark.parametrize("options", [{"counts": "running"}, {"defer": 7}, {"counts": "running", "defer": 10}], ids=str)
def test_a_restored_run_goes_on_bit_for_bit(tmp_path, options):
    straight = train(balance_solver(tmp_path, **options), BATCHES)
    first = balance_solver(tmp_path, **options)
    train(first, BATCHES[:5])
    first.snapshot()
    again = balance_solver(tmp_path, **options)
    again.restore(os.path.join(str(tmp_path), "s_iter_5.solverstate"))
    np.testing.assert_array_equal(train(again, BATCHES[5:]), straight[5:])


def test_test_reads_what_train_counted_and_never_writes(tmp_path):
    solver = balance_solver(tmp_path, counts="running", defer=5)
    test_net = solver.test_nets[0]
    test_net.share_with(solver.net)
    np.testing.assert_array_equal(weights_of(test_net, [BATCHES[0]])[0] > 0, np.bincount(BATCHES[0], minlength=4) > 0)
    for number, batch in enumerate(BATCHES, 1):
        (weights,) = train(solver, [batch])
        before = solver.net.params["H_layer"][0].data.copy()
        tested = weights_of(test_net, [[3] * 6])[0]
        np.testing.assert_array_equal(solver.net.params["H_layer"][0].data, before)
        if number != 5:  # there TEST is the first to have the class weights
            np.testing.assert_array_equal(tested, weights)
        else:
            assert len(set(tested[tested > 0])) > 1


@pytest.mark.parametrize(
    ("place", "number"),
    [
        (0, np.inf),
        (1, np.inf),
        (1, np.nan),
        (1, -1),
        (1, 0.5),
        (1, 2.0**24),
        (2, 1e30),
        (4, np.nan),
        (5, np.inf),
        (6, -1),
    ],
)
def test_a_position_or_counts_that_are_none_are_found(place, number):
    """As after a solver that changes them, or from a damaged snapshot."""
    net = balance_net(counts="running", resume=True)
    weights_of(net, BATCHES[:1])
    net.params["H_layer"][0].data[place] = number
    with refused(ConfigError, "solver", remedy="lr_mult: 0  decay_mult: 0", layer="ComputeH"):
        net.forward()
