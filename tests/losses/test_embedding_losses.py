"""MarginSoftmaxLoss and CenterLoss, beside what tests/losses/test_every_loss.py shows of every loss."""

import tracemalloc

import caffe
import numpy as np
import psutil
import pytest

from caffe_pylayers import ConfigError, DataError
from tests.caffe_nets import build, net_text, one_pass, python_layer, run, write
from tests.losses.embedding_cases import unit, vectors_of
from tests.refusals import refused

RNG = np.random.RandomState(0)
X, LABELS = RNG.randn(6, 5), np.array([0, 1, 1, 3, 0, 1])
WEIGHTS = np.array([0.5, 2, 0, 1, 3, 1])
TYPES = ["arcface", "cosface", "combined", "sphereface"]
every_type = pytest.mark.parametrize("type", TYPES)


def net_of(layer, x=X, labels=LABELS, weights=None, loss_weight=1, phase=caffe.TRAIN, tops=("loss",), **options):
    inputs = {"x": x, "label": labels, **({} if weights is None else {"sample_weight": weights})}
    options = {"num_output": 4, **options}
    more = [loss_weight, *[0] * (len(tops) - 1)]
    net = build([python_layer(layer, list(inputs), list(tops), options, more)], inputs, phase)
    vectors = net.params["loss_layer"][0]
    vectors.data[...] = vectors_of(*vectors.shape)
    return net


# --------------------------------------------------------------------------------------------------- MarginSoftmaxLoss


@every_type
@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_the_scores_are_without_margin(type, phase):
    net = net_of("MarginSoftmaxLoss", type=type, phase=phase, tops=("loss", "scores"))
    w = np.array([unit(each) for each in vectors_of(4, 5)])
    one = X if type == "sphereface" else np.array([unit(each) for each in X])
    for _ in range(2):
        gradient = run(net, "x")
        scale = 1 if type == "sphereface" else 64
        np.testing.assert_allclose(net.blobs["scores"].data, scale * one @ w.T, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(gradient, run(net_of("MarginSoftmaxLoss", type=type), "x"))


@every_type
@pytest.mark.parametrize("num_classes", [1, 4])
def test_samples_on_their_vector_or_opposite_to_it_are_finite(type, num_classes):
    """Duplicates, a cosine of exactly 1 and of -1, a class that is absent, vectors of 0, a single sample."""
    labels = np.array([0, 0, 0, 0, 0]) if num_classes == 1 else np.array([0, 0, 1, 2, 2])
    w = vectors_of(num_classes, 3)
    x = np.stack([w[labels[0]], w[labels[0]], -w[labels[2]], 0 * w[0], 1e6 * w[labels[4]]])
    for count in (5, 1):
        net = net_of("MarginSoftmaxLoss", x[:count], labels[:count], type=type, num_output=num_classes)
        (blob,) = net.params["loss_layer"]
        for _ in range(2):
            run(net, "x")
            assert all(np.isfinite(each).all() for each in (net.blobs["loss"].data, net.blobs["x"].diff, blob.diff))
            assert num_classes > 1 or net.blobs["loss"].data == 0
            blob.data[0] = 0


def test_all_labels_ignored_give_zeros():
    for layer in ("MarginSoftmaxLoss", "CenterLoss"):
        net = net_of(layer, labels=np.full(6, 255), ignore_label=255)
        (gradient,) = run(net, "x")
        assert net.blobs["loss"].data == 0 and not gradient.any() and not net.params["loss_layer"][0].diff.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("layer", ["MarginSoftmaxLoss", "CenterLoss"])
@pytest.mark.parametrize("absent", ["weight", "ignored"])
def test_a_sample_that_does_not_count_may_be_anything(layer, absent, bad):
    """0 times NaN is NaN: it must not be in the gradient of the vectors."""
    x, labels, weights = X.copy(), LABELS.copy(), np.ones(6)
    options = {} if absent == "weight" else {"ignore_label": 255}
    weights[2], labels[2] = (0, labels[2]) if absent == "weight" else (1, 255)
    good = net_of(layer, x.copy(), labels, weights, **options)
    x[2, 1] = bad
    net = net_of(layer, x, labels, weights, **options)
    for _ in range(2):
        (found,), (expected,) = (run(each, "x") for each in (net, good))
        assert np.isfinite(net.blobs["loss"].data)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(*(each.params["loss_layer"][0].diff for each in (net, good)), rtol=1e-5, atol=1e-6)


def test_x_as_it_is():
    one = np.array([unit(each) for each in X])
    for type in ("arcface", "cosface", "combined"):
        nets = [net_of("MarginSoftmaxLoss", one, type=type, scale=8, normalize_x=each) for each in (False, True)]
        for net in nets:
            run(net, "x")
        assert nets[0].blobs["loss"].data == pytest.approx(float(nets[1].blobs["loss"].data), rel=1e-5)
        np.testing.assert_allclose(*(net.params["loss_layer"][0].diff for net in nets), rtol=1e-4, atol=1e-5)
    run(net_of("MarginSoftmaxLoss", 3 * one, type="cosface", normalize_x=False), "x")
    for type in ("arcface", "combined"):
        x = one.copy()
        x[3] *= 1.5
        with refused(DataError, "norm 1.5", "sample 3", remedy="L2Normalize", option="normalize_x"):
            net_of("MarginSoftmaxLoss", x, type=type, normalize_x=False).forward()


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"type": "sphereface", "margin": 2.5}, "margin"),
        ({"type": "sphereface", "margin": 5}, "margin"),
        ({"margin": 181}, "margin"),
        ({"margin": -1}, "margin"),
        ({"scale": 0}, "scale"),
        ({"num_output": 0}, "num_output"),
        ({"m1": 0, "type": "combined"}, "m1"),
    ],
)
def test_options_that_make_no_sense(options, option):
    with refused(ConfigError, layer="MarginSoftmaxLoss", option=option):
        net_of("MarginSoftmaxLoss", **options)


def test_options_of_other_types_and_a_margin_in_radians_are_told(caplog):
    for options, words in (
        ({"m2": 0.2}, "'m2' has no effect"),
        ({"type": "combined", "margin": 0.3}, "'margin' has no effect"),
        ({"type": "sphereface", "normalize_x": True}, "'normalize_x' has no effect"),
        ({"margin": 0.5}, "0.5 degrees"),
    ):
        caplog.clear()
        net_of("MarginSoftmaxLoss", **options)
        assert any(words in message for message in caplog.messages)
    caplog.clear()
    for type in TYPES:
        net_of("MarginSoftmaxLoss", type=type)
    assert caplog.messages == []


HEADS = {
    "arcface": ("MarginSoftmaxLoss", {}),
    "proxy_nca": ("ProxyLoss", {"type": "proxy_nca"}),
    "proxy_anchor": ("ProxyLoss", {"type": "proxy_anchor"}),
    "normalized_softmax": ("ProxyLoss", {"type": "normalized_softmax"}),
    "soft_triple": ("ProxyLoss", {"type": "soft_triple", "sub_centers": 10, "tau": 0.2}),
}


@pytest.mark.parametrize("head", HEADS)
def test_100_000_vectors_of_classes_train_within_one_array_of_n_x_k(head):
    """At 256 x 128 that is 102 MB; the vectors have 51 MB, and a diff of their own."""
    n, d, k = 256, 128, 100_000
    layer, options = HEADS[head]
    classes = k // options.get("sub_centers", 1)
    options = {**options, "num_output": classes, "weight_filler": {"type": "gaussian", "std": 0.1}}
    x, labels = RNG.randn(n, d), RNG.randint(0, classes, n)
    before = psutil.Process().memory_info().rss
    net = net_of(layer, x, labels, **options)
    tracemalloc.start()
    try:
        for _ in range(2):
            one_pass(net)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    grown = psutil.Process().memory_info().rss - before
    array = 4 * n * k if classes == k else 4 * n * (k + classes)  # soft_triple has the likenesses of the classes too
    assert peak < array + 40e6
    assert grown < 2 * 4 * k * d + array + 80e6
    (blob,) = net.params["loss_layer"]
    assert np.isfinite(blob.diff).all() and 5 < float(net.blobs["loss"].data) < 80
    first = float(net.blobs["loss"].data)
    blob.data[...] -= 0.1 * blob.diff
    net.forward()
    assert net.blobs["loss"].data < first


# ----------------------------------------------------------------------------------------------------------- CenterLoss


def steps(weights=None, distance="squared"):
    """-sum w (x - c) / (sum w + 1) over the samples of each class, by a loop."""
    w, centers, found = np.ones(6) if weights is None else weights, vectors_of(4, 5), np.zeros((4, 5))
    for k in range(4):
        for i in np.flatnonzero(k == LABELS):
            difference = X[i] - centers[k]
            found[k] -= w[i] * (np.sign(difference) if distance == "l1" else difference)
        found[k] /= sum(w[k == LABELS]) + 1
    return found


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["none", "weights"])
@pytest.mark.parametrize("distance", ["squared", "l1"])
@pytest.mark.parametrize("loss_weight", [1, 0.008])
@pytest.mark.parametrize("normalization", ["BATCH_SIZE", "NONE"])
def test_centres_move_as_in_the_fork(weights, distance, loss_weight, normalization):
    """Whatever loss_weight and Z are; what an earlier pass left stays, so that iter_size adds up."""
    options = {"distance": distance, "normalization": normalization}
    net = net_of("CenterLoss", weights=weights, loss_weight=loss_weight, **options)
    (blob,) = net.params["loss_layer"]
    for passes in (1, 2):
        run(net)
        np.testing.assert_allclose(blob.diff, passes * steps(weights, distance), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(blob.diff[2], 0)  # of which there is no sample
    np.testing.assert_allclose(blob.data, vectors_of(4, 5), rtol=1e-6)


def test_the_distances_of_a_fork():
    for theirs, ours in (("L1", "l1"), ("L2", "squared")):
        nets = [net_of("CenterLoss", distance_type=theirs), net_of("CenterLoss", distance=ours)]
        assert len({float(run(net) or net.blobs["loss"].data) for net in nets}) == 1
    with refused(ConfigError, option="distance"):
        net_of("CenterLoss", distance="l3")


def test_samples_that_do_not_count_move_no_centre():
    net = net_of("CenterLoss", labels=np.where(LABELS == 1, 255, LABELS), ignore_label=255)
    run(net)
    expected = steps()
    expected[1] = 0
    np.testing.assert_allclose(net.params["loss_layer"][0].diff, expected, rtol=1e-5, atol=1e-6)
    kept = net_of("CenterLoss", keep={"top_k": 1})
    run(kept)
    assert (kept.params["loss_layer"][0].diff.any(axis=1)).sum() == 1


def test_a_sample_of_weight_k_moves_its_centre_as_k_samples():
    copies = np.array([2, 0, 3, 1, 1, 2])
    nets = [
        net_of("CenterLoss", weights=copies),
        net_of("CenterLoss", np.repeat(X, copies, axis=0), np.repeat(LABELS, copies)),
    ]
    for net in nets:
        run(net)
    np.testing.assert_allclose(*(net.params["loss_layer"][0].diff for net in nets), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("update", ["fork", "gradient"])
def test_centres_come_to_the_means_of_their_classes(update, tmp_path):
    text = net_text(
        [
            python_layer(
                "CenterLoss",
                ["x", "label"],
                ["loss"],
                {"num_output": 4, "update": update},
                1,
                "param { decay_mult: 0 }",
            )
        ],
        {"x": X, "label": LABELS},
    )
    path = write(text, tmp_path)
    solver = write(f'net: "{path}" base_lr: 0.5 lr_policy: "fixed" weight_decay: 0.1', tmp_path, "solver.prototxt")
    made = caffe.SGDSolver(solver)
    made.net.blobs["x"].data[...], made.net.blobs["label"].data[...] = X, LABELS
    made.step(150)
    centers = made.net.params["loss_layer"][0].data
    for k in (0, 1, 3):
        np.testing.assert_allclose(centers[k], X[k == LABELS].mean(axis=0), atol=1e-3)
