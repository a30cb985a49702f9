"""BatchPairLoss and LiftedStructSimilaritySoftmaxLoss, beside what tests/losses/test_every_loss.py shows of every loss."""

import json

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from tests.caffe_nets import build, python_layer, run
from tests.losses import of_another_library as other
from tests.losses.pair_cases import TYPES
from tests.losses.pair_references import pair_loss
from tests.refusals import refused

RNG = np.random.RandomState(0)
X, LABELS = RNG.randn(8, 5), np.array([0, 1, 1, 2, 0, 1, 3, 2])
every_type = pytest.mark.parametrize("type", TYPES)
RECORDED = json.loads(other.FILE.read_text())


def net_of(x=X, labels=LABELS, weights=None, phase=caffe.TRAIN, layer="BatchPairLoss", stats=False, **options):
    inputs = {"x": x, "label": labels, **({} if weights is None else {"sample_weight": weights})}
    tops = ["loss", "stats"] if stats else ["loss"]
    return build([python_layer(layer, list(inputs), tops, options, [1, 0][: len(tops)])], inputs, phase)


def result(net):
    """Loss and gradient of a pass."""
    (gradient,) = run(net, "x")
    return float(net.blobs["loss"].data), gradient


# ---------------------------------------------------------------------------------------------------- another library


@pytest.mark.parametrize(
    "options, numbers",
    list(zip(other.OPTIONS, RECORDED["one"])),
    ids=lambda each: str(each) if isinstance(each, dict) else "",
)
def test_equals_another_library(options, numbers):
    found = other.described(*result(net_of(*other.batch(0), **options)))
    np.testing.assert_allclose(found, numbers, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize(
    "options, numbers",
    list(zip(other.WITH_MEMORY, RECORDED["memory"])),
    ids=lambda each: str(each) if isinstance(each, dict) else "",
)
def test_equals_another_library_with_a_memory(options, numbers):
    net = net_of(*other.batch(0), memory=20, **options)
    run(net)
    for number, expected in zip((1, 2, 3), numbers):
        net.blobs["x"].data[...], net.blobs["label"].data[...] = other.batch(number)
        np.testing.assert_allclose(other.described(*result(net)), expected, rtol=2e-4, atol=2e-6)


# --------------------------------------------------------------------------------------------------- special batches


SCALED = {
    "ntxent": {"temperature": 1 / 64},
    "supcon": {"temperature": 1 / 128},
    "multi_similarity": {"alpha": 64, "beta": 100},
    "circle": {"scale": 256},
}


@every_type
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(
    "x, labels",
    [
        (np.ones((6, 4)), [0, 0, 1, 1, 2, 2]),
        (np.zeros((6, 4)), [0, 0, 1, 1, 2, 2]),
        (np.repeat(X[:3, :4], 2, axis=0), [0, 0, 1, 1, 0, 1]),
        (
            np.array([[1, 0, 0, 0], [-1, 0, 0, 0], [1e18, 0, 0, 0], [1e-18, 0, 0, 0], [0, 0, 0, 0], [-3, 0, 0, 0]]),
            [0, 0, 1, 1, 2, 2],
        ),
    ],
    ids=["alike", "zero", "duplicates", "one line"],
)
def test_embeddings_that_are_alike_or_0_or_opposite_are_finite(type, scaled, x, labels):
    for layer, options in (
        ("BatchPairLoss", {"type": type, **(SCALED.get(type, {}) if scaled else {})}),
        ("LiftedStructSimilaritySoftmaxLoss", {}),
    ):
        net = net_of(x, np.array(labels), np.array([1, 2, 0, 1, 0.5, 1]), layer=layer, **options)
        for _ in range(2):
            loss, gradient = result(net)
            assert (
                np.isfinite(loss) and np.isfinite(gradient).all() and np.isfinite(net.blobs["sample_weight"].diff).all()
            )


@every_type
@pytest.mark.parametrize("memory", [0, 16])
@pytest.mark.parametrize(
    "labels, ignore_label",
    [([4], None), ([0, 1, 2, 3, 4, 5, 6, 7], "P"), ([9] * 8, "N"), ([255] * 8, 255), ([1, *[255] * 7], 255)],
    ids=["one sample", "no positives", "one class", "all ignored", "all but one ignored"],
)
def test_a_batch_without_pairs(type, memory, labels, ignore_label):
    """Of one kind, or at all: a loss that needs what is missing is 0, and so is its gradient."""
    options = {"ignore_label": ignore_label} if isinstance(ignore_label, int) else {}
    net = net_of(X[: len(labels)], np.array(labels), type=type, memory=memory, stats=True, **options)
    loss, gradient = result(net)
    of_one_kind = {
        "P": ("supcon", "multi_similarity", "contrastive", "margin"),
        "N": ("multi_similarity", "contrastive", "margin"),
    }
    expected = {"N": of_one_kind["P"], "P": of_one_kind["N"]}.get(ignore_label, ())
    if type in expected:
        assert np.isfinite(loss) and loss >= 0
    else:
        assert loss == 0 and not gradient.any()
    positives, negatives, cos_p, cos_n, norm = net.blobs["stats"].data
    if ignore_label != "N":
        assert np.isnan([positives, cos_p]).all()
    if ignore_label != "P":
        assert np.isnan([negatives, cos_n]).all()
    assert np.isnan(norm) == (labels == [255] * 8)


@every_type
def test_what_is_ignored_is_not_there(type):
    """Be it NaN."""
    there = LABELS != 1
    x = np.where(there[:, None], X, np.nan)
    loss, gradient = result(net_of(x, LABELS, np.arange(8.0), type=type, ignore_label=1))
    expected, of_rest = result(net_of(X[there], LABELS[there], np.arange(8.0)[there], type=type))
    assert loss == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(gradient[there], of_rest, rtol=1e-5, atol=1e-7)
    assert not gradient[~there].any()


@every_type
def test_embeddings_that_are_not_finite_make_the_loss_nan(type):
    x = X.copy()
    for bad in (np.nan, np.inf):
        x[6, 2] = bad  # which has no positive
        loss, gradient = result(net_of(x, type=type))
        assert np.isnan(loss) and np.isnan(gradient).any()


@every_type
def test_without_normalize_x_lengths_count(type):
    loss, _ = result(net_of(0.5 * X, type=type, normalize_x=False))
    assert loss == pytest.approx(pair_loss(0.5 * X, LABELS, type=type, normalize_x=False), rel=1e-5)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    assert result(net_of(unit, type=type, normalize_x=False))[0] == pytest.approx(
        result(net_of(type=type))[0], rel=1e-4
    )


def test_the_fork_with_two_samples_on_one_spot():
    """There its own layer divides by 0."""
    x = X.copy()
    x[2] = x[1]
    loss, gradient = result(net_of(x, layer="LiftedStructSimilaritySoftmaxLoss"))
    assert np.isfinite(gradient).all()
    assert loss == pytest.approx(pair_loss(x, LABELS, type="lifted", normalize_x=False), rel=1e-6)


def test_lifted_of_large_embeddings_far_from_0():
    """Distances are small beside the lengths."""
    x = (1000 + 0.5 * X).astype(np.float32)
    loss, gradient = result(net_of(x, layer="LiftedStructSimilaritySoftmaxLoss"))
    _, expected = result(net_of(x - np.float32(1000), layer="LiftedStructSimilaritySoftmaxLoss"))
    assert loss == pytest.approx(pair_loss(x, LABELS, type="lifted", normalize_x=False), rel=1e-5)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


# ----------------------------------------------------------------------------------------------- stats, mining: distance


@every_type
def test_stats(type):
    net = net_of(type=type, stats=True)
    for _ in range(2):
        run(net)
        unit = X / np.linalg.norm(X, axis=1, keepdims=True)
        cosines, same = unit @ unit.T, LABELS[:, None] == LABELS
        negatives = ~same
        np.fill_diagonal(same, False)
        positives_active, negatives_active, *means = net.blobs["stats"].data
        expected = [cosines[same].mean(), cosines[negatives].mean(), np.linalg.norm(X, axis=1).mean()]
        np.testing.assert_allclose(means, expected, rtol=1e-5, atol=1e-6)
    distances = np.sqrt(np.maximum(2 - 2 * cosines, 0))
    if type in ("contrastive", "margin"):
        low, high = (0, 1) if type == "contrastive" else (1.0, 1.4)
        assert positives_active == pytest.approx((distances[same] > low).mean())
        assert negatives_active == pytest.approx((distances[negatives] < high).mean())
    else:
        assert positives_active > 0 and negatives_active > 0


def test_stats_count_pairs_that_mining_and_weights_leave():
    weights = np.array([0, 1, 1, 1, 1, 1, 1, 1.0])
    net = net_of(weights=weights, type="ntxent", mining="hard", stats=True)
    net.forward()
    # Of the seven anchors that have a positive one has weight 0: one pair of each kind is left of each.
    np.testing.assert_allclose(net.blobs["stats"].data[:2], [6 / 10, 6 / 46], rtol=1e-6)


def test_negatives_drawn_by_distance_go_by_the_iteration():
    rng = np.random.RandomState(1)
    x, labels = rng.randn(40, 3), np.arange(40) % 8
    given = {"type": "contrastive", "mining": "distance", "neg_margin": 2.0}
    first, second = ([result(net)[0] for _ in range(4)] for net in (net_of(x, labels, **given) for _ in range(2)))
    assert first == second and len(set(first)) == 4
    of_two = [result(net)[0] for net in [net_of(x, labels, iter_size=2, **given)] for _ in range(4)]
    assert len(set(of_two)) == 4 and of_two[0] == first[0]
    assert result(net_of(x, labels, seed=1, **given))[0] not in first
    test = net_of(x, labels, phase=caffe.TEST, **given)
    assert [result(test)[0] for _ in range(2)] == first[:1] * 2
    # Nearer negatives are drawn more often than of all: what they cost is more.
    assert np.mean(first) > result(net_of(x, labels, type="contrastive", neg_margin=2.0))[0]


def test_a_pair_that_is_drawn_several_times_counts_once():
    """All positives count, and the one negative that there is."""
    labels = np.array([0, 0, 0, 1])
    loss, _ = result(
        net_of(X[:4], labels, type="contrastive", mining="distance", average="all", nonzero_loss_cutoff=3.0)
    )
    d = np.linalg.norm((u := X[:4] / np.linalg.norm(X[:4], axis=1, keepdims=True))[:, None] - u[None], axis=2)
    positives, negatives = (
        [d[i, j] for i in range(3) for j in range(3) if i != j],
        [max(1 - d[i, 3], 0) for i in range(3)],
    )
    assert loss == pytest.approx(np.mean(positives) + np.mean(negatives), rel=1e-5)


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "layer, options", [("BatchPairLoss", {"type": "ntxent"}), ("LiftedStructSimilaritySoftmaxLoss", {})]
)
@pytest.mark.parametrize(
    "bad, words", [(-1, "outside"), (0.5, "not an integer"), (np.nan, "not an integer"), (2**24, "outside")]
)
def test_bad_labels(layer, options, bad, words):
    labels = LABELS.astype(float)
    labels[3] = bad
    with refused(DataError, f"label {bad:.9g}", "sample 3", words, layer=layer):
        net_of(labels=labels, layer=layer, **options).forward()


@pytest.mark.parametrize(
    "layer, options", [("BatchPairLoss", {"type": "ntxent"}), ("LiftedStructSimilaritySoftmaxLoss", {})]
)
def test_labels_or_weights_that_are_too_few(layer, options):
    with refused(ConfigError, "label has shape (3,)", "embedding (8, 5)", remedy="8 labels", layer=layer):
        net_of(labels=LABELS[:3], layer=layer, **options).forward()
    with refused(ConfigError, "sample_weight", "(3,)", layer=layer):
        net_of(weights=np.ones(3), layer=layer, **options).forward()


@pytest.mark.parametrize(
    "options, option",
    [
        ({}, "type"),
        ({"type": "lifted", "mining": "hard"}, "mining"),
        ({"type": "supcon", "mining": "easy"}, "mining"),
        ({"type": "supcon", "mining": "distance"}, "mining"),
        ({"type": "circle", "margin": 1.5}, "margin"),
        ({"type": "margin", "margin": 2}, "margin"),
        ({"type": "margin", "mining": "distance", "cutoff": 2}, "cutoff"),
        ({"type": "ntxent", "temperature": 0}, "temperature"),
        ({"type": "ntxent", "memory": -1}, "memory"),
        ({"type": "contrastive", "mining": "pair_margin", "pair_margins": [0.2]}, "pair_margins"),
    ],
    ids=str,
)
def test_options_that_make_no_sense(options, option):
    with refused(ConfigError, layer="BatchPairLoss", option=option):
        net_of(**options)


def test_options_of_other_types_are_told(caplog):
    for options, word in (
        ({"type": "ntxent", "margin": 0.3}, "'margin' has no effect"),
        ({"type": "margin", "alpha": 0.3}, "'alpha' has no effect"),
        ({"type": "ntxent", "epsilon": 0.3}, "'epsilon' has no effect"),
        ({"type": "ntxent", "seed": 3}, "'seed' has no effect"),
    ):
        caplog.clear()
        net_of(**options)
        assert any(word in message for message in caplog.messages)
    caplog.clear()
    for type in TYPES:
        net_of(type=type)
    assert caplog.messages == []
    net_of(type="margin", mining="distance")
    assert any("will repeat the draws" in message for message in caplog.messages)
