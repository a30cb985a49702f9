import os

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.data import keyed
from caffe_pylayers.layers import metric_losses
from caffe_pylayers.layers.adapter import log
from caffe_pylayers.losses.batch_triplet import Rule, batch_triplet_gradient, batch_triplet_loss
from tests.caffe_nets import build, layer_text, net_text, python_layer, run, write
from tests.losses import metric_cases
from tests.refusals import refused

RNG = np.random.RandomState(0)
EMBEDDING = RNG.randn(12, 2, 1, 2)
UNIT = RNG.randn(12, 4)
UNIT /= np.linalg.norm(UNIT, axis=1, keepdims=True)
LABEL = np.arange(12) % 4
TRIPLETS = np.array([[0, 4, 1], [8, 0, 3], [0, 8, 2], [5, 9, 0], [0, 0, 1]])


def net_of(embedding=EMBEDDING, second=LABEL, weights=None, tops=("loss",), phase=caffe.TRAIN, more="", **options):
    inputs = {"embedding": embedding, "triplets" if options.get("mining") == "given" else "label": second}
    if weights is not None:
        inputs["sample_weight"] = weights
    loss_weight = [1, 0] if len(tops) > 1 else 1
    layer = python_layer("BatchTripletLoss", list(inputs), tops, options, loss_weight, more)
    return build([layer], {name: np.asarray(value) for name, value in inputs.items()}, phase)


def test_given_triplets_equal_a_triplet_loss_on_the_gathered_rows():
    """With the weights of the anchors."""
    weights = RNG.uniform(0, 2, 12)
    for options in ({}, {"distance": "euclidean"}, {"average": "active", "margin": 3}, {"soft": True}):
        net = net_of(EMBEDDING, TRIPLETS, weights, mining="given", **options)
        names = ["anchor", "positive", "negative"]
        gathered = {name: EMBEDDING[rows] for name, rows in zip(names, TRIPLETS.T)}
        bottoms = [*names, "sample_weight"]
        of_rows = build(
            [python_layer("TripletLoss", bottoms, ["loss"], {**options, "bottoms": ["sample_weight"]}, 1)],
            {**gathered, "sample_weight": weights[TRIPLETS[:, 0]]},
        )
        gradients = run(of_rows, *names)
        expected = np.zeros_like(EMBEDDING)
        for rows, gradient in zip(TRIPLETS.T, gradients):
            np.add.at(expected, rows, gradient)
        np.testing.assert_allclose(run(net, "embedding")[0], expected, rtol=1e-5, atol=1e-6)
        assert net.blobs["loss"].data == pytest.approx(float(of_rows.blobs["loss"].data), rel=1e-6)


@pytest.mark.parametrize("mining", ["all", "semihard", "hard"])
def test_stats(mining):
    net = net_of(tops=["loss", "stats"], mining=mining, distance="euclidean", margin=0.5)
    net.forward()
    d = metric_cases.distances(EMBEDDING, "euclidean")
    pairs = [(d[a, p], d[a, n]) for a, p, n in metric_cases.mined(d, LABEL, mining, 0.5)]
    active = np.mean([d_ap - d_an + 0.5 > 0 for d_ap, d_an in pairs])
    norm = np.linalg.norm(EMBEDDING.reshape(12, 4), axis=1).mean()
    assert net.blobs["stats"].data.shape == (4,)
    np.testing.assert_allclose(net.blobs["stats"].data, [active, *np.mean(pairs, axis=0), norm], rtol=1e-5)


@pytest.mark.parametrize("mining", ["all", "semihard", "hard", "distance"])
@pytest.mark.parametrize("label", [np.zeros(12), np.arange(12)], ids=["one class", "singletons"])
@pytest.mark.parametrize("average", ["all", "active"])
def test_a_batch_without_triplets_has_no_loss_and_no_stats(mining, label, average):
    net = net_of(UNIT, label, np.ones(12), ["loss", "stats"], mining=mining, average=average)
    for _ in range(2):
        assert not any(diff.any() for diff in run(net, "embedding", "sample_weight"))
    assert net.blobs["loss"].data == 0
    np.testing.assert_allclose(net.blobs["stats"].data, [np.nan, np.nan, np.nan, 1], rtol=1e-5)


def test_no_triplets_given_or_no_embeddings():
    for mining, second, empty in [
        ("given", TRIPLETS, {"triplets": (0, 3)}),
        ("given", TRIPLETS, {"triplets": (0, 3), "embedding": (0, 4)}),
        ("all", LABEL, {"label": (0,), "embedding": (0, 4)}),
    ]:
        net = net_of(second=second, mining=mining, tops=["loss", "stats"])
        net.forward()
        assert net.blobs["loss"].data != 0
        for name, shape in empty.items():
            net.blobs[name].reshape(*shape)
        net.forward()
        assert net.blobs["loss"].data == 0
        assert np.isnan(net.blobs["stats"].data[:3]).all()


def test_shapes_that_do_not_fit_are_errors():
    with refused(ConfigError, "5 labels", "12 embeddings", layer="BatchTripletLoss"):
        net_of(second=np.zeros(5))
    with refused(ConfigError, "(12,)", remedy="(T, 3)"):
        net_of(mining="given")
    with refused(ConfigError, "1 bottom", "embedding, triplets, [sample_weight]"):
        build([python_layer("BatchTripletLoss", ["x"], ["loss"], {"mining": "given"}, 1)], {"x": EMBEDDING})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (-3, "label -3 at sample 2 is outside 0..16777215"),
        (0.5, "label 0.5 at sample 2 is not an integer"),
        (np.nan, "label nan at sample 2 is not an integer"),
        (2.0**24, "label 16777216 at sample 2 is outside"),
    ],
)
def test_bad_labels_are_errors_that_name_the_sample(bad, message):
    labels = LABEL.astype(float)
    labels[2] = bad
    with refused(DataError, message, layer="BatchTripletLoss"):
        net_of(second=labels).forward()


@pytest.mark.parametrize(("bad", "rule"), [(12, "is outside 0..11"), (-1, "is outside"), (1.5, "is not an integer")])
def test_bad_row_numbers_are_errors_that_name_the_place(bad, rule):
    triplets = TRIPLETS.astype(float)
    triplets[3, 1] = bad
    with refused(DataError, f"row number {bad} at index (3, 1) {rule}", layer="BatchTripletLoss"):
        net_of(second=triplets, mining="given").forward()


def expected_of_draw(*key):
    triplets = batch_triplet_loss(
        UNIT, LABEL, Rule("distance", 2.0), lambda anchors, positives: keyed.uniform(*key, anchors, positives)
    )
    gradient = np.empty_like(UNIT)
    batch_triplet_gradient(triplets, 1 / triplets.counts.sum(), gradient)
    return triplets.values.sum() / triplets.counts.sum(), gradient


def check_draws(keys, phase=caffe.TRAIN, **options):
    """One forward and backward after the other has the draws of these keys."""
    net = net_of(UNIT, phase=phase, mining="distance", margin=2.0, **options)
    for key in keys:
        (gradient,) = run(net, "embedding")
        loss, expected = expected_of_draw(*key)
        assert float(net.blobs["loss"].data) == pytest.approx(loss, rel=1e-5)
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def test_what_is_drawn_is_a_function_of_seed_stream_rank_and_iteration():
    keys = [(0, 0, 0, 0, 0), (0, 0, 0, 1, 0), (0, 0, 0, 2, 0), (7, 0, 0, 0, 0), (0, 7, 0, 0, 0), (0, 0, 1, 0, 0)]
    assert len({expected_of_draw(*key)[0] for key in keys}) == len(keys)
    check_draws(keys[:3])
    check_draws(keys[3:4], seed=7)
    check_draws(keys[4:5], stream=7)
    check_draws([(0, 0, 0, 0, 0), (0, 0, 0, 0, 1), (0, 0, 0, 1, 0)], iter_size=2)
    caffe.set_solver_rank(1)
    try:
        check_draws(keys[5:])
    finally:
        caffe.set_solver_rank(0)


def test_backward_does_not_draw_again():
    net = net_of(UNIT, mining="distance", margin=2.0)
    net.forward()
    first = [run_backward(net) for _ in range(2)]
    np.testing.assert_allclose(first[0], first[1], rtol=1e-6)
    np.testing.assert_allclose(first[0], expected_of_draw(0, 0, 0, 0, 0)[1], rtol=1e-4, atol=1e-6)


def run_backward(net):
    net.backward()
    return net.blobs["embedding"].diff.copy()


def test_test_draws_as_iteration_0_and_writes_no_blob():
    check_draws([(0, 0, 0, 0, 0)] * 3, caffe.TEST)
    net = net_of(UNIT, phase=caffe.TEST, mining="distance", resume=True, more="param { lr_mult: 0 decay_mult: 0 }")
    (blob,) = net.params["loss_layer"]
    before = blob.data.copy()
    net.forward()
    np.testing.assert_array_equal(blob.data, before)


def test_without_resume_a_warning_says_what_a_restart_does(caplog):
    caplog.set_level("INFO", log.name)
    distance = {"mining": "distance"}
    for options, phase, count in [(distance, 0, 1), ({**distance, "resume": True}, 0, 0), (distance, 1, 0), ({}, 0, 0)]:
        caplog.clear()
        net_of(UNIT, phase=phase, **options)
        assert len([m for m in caplog.messages if "'resume': True" in m]) == count


def test_embeddings_that_are_no_unit_vectors_are_warned_of_once(caplog):
    for embedding, options, count in [
        (2 * UNIT, {"mining": "distance"}, 1),
        (UNIT, {"mining": "distance"}, 0),
        (2 * UNIT, {"mining": "hard"}, 0),
    ]:
        caplog.clear()
        net = net_of(embedding, **options)
        for _ in range(3):
            net.forward()
        assert len([m for m in caplog.messages if "mean norm of 2; put L2Normalize before" in m]) == count


@pytest.mark.parametrize("mining", ["all", "semihard", "hard"])
@pytest.mark.parametrize("options", [{}, {"soft": True}, {"margin": 3.0, "distance": "euclidean", "average": "active"}])
def test_collapse_is_warned_of_once(mining, options, monkeypatch, caplog):
    monkeypatch.setattr(metric_losses, "LONG", 5)
    options = {"mining": mining, **options}
    net = net_of(np.ones((12, 4)), **options)
    for _ in range(4):
        net.forward()
    assert not caplog.messages
    for _ in range(10):
        net.forward()
    assert len(caplog.messages) == 1
    assert "all embeddings are nearly equal" in caplog.messages[0]
    caplog.clear()
    for healthy in (net_of(**options), net_of(np.ones((12, 4)), np.zeros(12), **options)):
        for _ in range(10):
            healthy.forward()
    assert not caplog.messages


@pytest.mark.filterwarnings("ignore:invalid value")
def test_nan_gives_a_nan_loss():
    embedding = EMBEDDING.copy()
    embedding[3, 1] = np.nan
    for mining in ("all", "semihard", "hard", "distance"):
        net = net_of(embedding, mining=mining)
        run(net)
        assert np.isnan(net.blobs["loss"].data)


def solver(folder, resume, iter_size=1):
    """A solver with learning rate 0, so that losses differ by what is drawn alone."""
    frozen = "param { lr_mult: 0 decay_mult: 0 }" if resume else ""
    options = {"mining": "distance", "margin": 2.0, "resume": resume, "iter_size": iter_size}
    product = (
        'param { lr_mult: 0 } inner_product_param { num_output: 4 bias_term: false weight_filler { type: "xavier" } }'
    )
    layers = [
        layer_text("InnerProduct", ["x"], ["p"], product),
        python_layer("BatchTripletLoss", ["p", "label"], ["loss"], options, 1, frozen),
    ]
    path = write(net_text(layers, {"x": UNIT, "label": LABEL}, force_backward=False), folder)
    text = (
        f'net: "{path}" base_lr: 0.1 lr_policy: "fixed" iter_size: {iter_size} random_seed: 1 '
        f'snapshot_prefix: "{folder}/s" max_iter: 100'
    )
    made = caffe.get_solver(write(text, folder, "solver.prototxt"))
    made.net.params["p_layer"][0].data[...] = np.eye(4)
    made.net.blobs["x"].data[...], made.net.blobs["label"].data[...] = UNIT, LABEL
    return made


@pytest.mark.parametrize(("resume", "iter_size"), [(True, 1), (True, 2), (False, 1)])
def test_a_restored_run_goes_on_with_the_very_next_draw_if_told_to_resume(tmp_path, resume, iter_size):
    def losses(run, iterations):
        seen = []
        for _ in range(iterations):
            run.step(1)
            seen.append(float(run.net.blobs["loss"].data))
        return seen

    straight = losses(solver(tmp_path, resume, iter_size), 7)
    assert len(set(straight)) == 7
    first = solver(tmp_path, resume, iter_size)
    losses(first, 4)
    first.snapshot()
    again = solver(tmp_path, resume, iter_size)
    again.restore(os.path.join(str(tmp_path), "s_iter_4.solverstate"))
    assert losses(again, 3) == (straight[4:] if resume else straight[:3])


def test_a_net_learns():
    """Points of two classes on a line, in turns: a linear map brings them apart by the coordinate that tells them."""
    rng = np.random.RandomState(1)
    labels = np.arange(20) % 2
    points = np.stack([rng.randn(20) * 2, labels + rng.randn(20) * 0.1], axis=1)
    for mining in ("all", "semihard", "hard"):
        net = build(
            [
                layer_text("InnerProduct", ["x"], ["p"], "inner_product_param { num_output: 2 bias_term: false }"),
                python_layer("BatchTripletLoss", ["p", "label"], ["loss"], {"mining": mining, "margin": 1}, 1),
            ],
            {"x": points, "label": labels},
            force_backward=False,
        )
        (weights,) = net.params["p_layer"]
        weights.data[...] = np.eye(2)
        for _ in range(200):
            weights.diff[...] = 0
            run(net)
            weights.data[...] -= 0.02 * weights.diff
        d = metric_cases.distances(net.blobs["p"].data, "squared")
        np.fill_diagonal(d, np.inf)
        assert (labels[d.argmin(axis=1)] == labels).all(), mining
