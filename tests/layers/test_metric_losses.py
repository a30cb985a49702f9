import numpy as np
import pytest

from caffe_pylayers import ConfigError
from caffe_pylayers.layers import metric_losses
from tests.caffe_nets import build, python_layer, run
from tests.refusals import refused

RNG = np.random.RandomState(0)
NAMES = ["anchor", "positive", "negative"]
TRIPLETS = {name: RNG.randn(6, 2, 1, 2) for name in NAMES}


def net_of(inputs=TRIPLETS, tops=("loss",), loss_weight=1, **options):
    layer = python_layer("TripletLoss", list(inputs), tops, options, loss_weight)
    return build([layer], inputs)


def test_the_margin_bottom_multiplies_the_option():
    factors = np.linspace(0, 2, 6)
    for shape in [(6,), (6, 1, 1, 1)]:
        net = net_of({**TRIPLETS, "margin": factors.reshape(shape)}, margin=0.5, bottoms=["margin"])
        losses = [
            float(net_of({k: v[i : i + 1] for k, v in TRIPLETS.items()}, margin=0.5 * f).forward()["loss"])
            for i, f in enumerate(factors)
        ]
        assert float(net.forward()["loss"]) == pytest.approx(np.mean(losses), rel=1e-5)
        assert not run(net, "margin")[0].any()


def test_margin_and_sample_weight_together():
    inputs = {**TRIPLETS, "margin": np.ones(6), "sample_weight": np.array([1, 0, 0, 0, 0, 0])}
    alone = {name: value[:1] for name, value in TRIPLETS.items()}
    expected = net_of(alone, margin=3).forward()["loss"]
    for options in ({}, {"bottoms": ["margin", "sample_weight"]}):
        assert net_of(inputs, margin=3, **options).forward()["loss"] == pytest.approx(expected)


def test_average_over_active_triplets():
    values = np.array(
        [float(net_of({k: v[i : i + 1] for k, v in TRIPLETS.items()}).forward()["loss"]) for i in range(6)]
    )
    assert 0 < np.count_nonzero(values) < 6
    assert net_of(average="all").forward()["loss"] == pytest.approx(values.mean(), rel=1e-5)
    assert net_of(average="active").forward()["loss"] == pytest.approx(values[values > 0].mean(), rel=1e-5)


def test_no_active_triplet_gives_zeros():
    inputs = {"anchor": np.zeros((2, 3)), "positive": np.zeros((2, 3)), "negative": np.full((2, 3), 9.0)}
    net = net_of(inputs, average="active")
    assert not any(diff.any() for diff in run(net, *NAMES))
    assert net.blobs["loss"].data == 0


def test_active_is_refused_with_soft():
    with refused(ConfigError, "'active'", "'soft'", layer="TripletLoss"):
        net_of(average="active", soft=True)


def test_a_margin_bottom_is_refused_with_soft():
    for options in ({}, {"bottoms": ["margin", "sample_weight"]}):
        with refused(ConfigError, "'soft'", layer="TripletLoss"):
            net_of({**TRIPLETS, "margin": np.ones(6), "sample_weight": np.ones(6)}, soft=True, **options)


def test_equal_embeddings_have_gradient_zero():
    same = {name: np.ones((3, 4)) for name in NAMES}
    for options in ({}, {"distance": "euclidean"}, {"distance": "euclidean", "soft": True}):
        net = net_of(same, **options)
        assert not any(diff.any() for diff in run(net, *NAMES))
        assert net.blobs["loss"].data == pytest.approx(np.log(2) if options.get("soft") else 0.2)


def test_stats():
    net = net_of(tops=["loss", "stats"], loss_weight=[1, 0], distance="euclidean", margin=1.0)
    run(net)
    a, p, n = (TRIPLETS[name].reshape(6, 4) for name in NAMES)
    d_ap, d_an = np.linalg.norm(a - p, axis=1), np.linalg.norm(a - n, axis=1)
    norms = np.linalg.norm(np.concatenate([a, p, n]), axis=1)
    expected = [(d_ap - d_an + 1 > 0).mean(), d_ap.mean(), d_an.mean(), norms.mean()]
    assert net.blobs["stats"].data.shape == (4,)
    np.testing.assert_allclose(net.blobs["stats"].data, expected, rtol=1e-5)


def test_unlike_shapes_are_an_error():
    with refused(ConfigError, "(6, 4), (6, 3), (6, 4)"):
        net_of({"anchor": np.ones((6, 4)), "positive": np.ones((6, 3)), "negative": np.ones((6, 4))})
    with refused(ConfigError, "5 margins", "6 triplets"):
        net_of({**TRIPLETS, "margin": np.ones(5)}, bottoms=["margin"])


def test_a_loss_at_the_margin_is_no_collapse_while_embeddings_differ(monkeypatch, caplog):
    monkeypatch.setattr(metric_losses, "LONG", 5)
    net = net_of({"anchor": np.array([[1, 0]]), "positive": np.array([[0, 1]]), "negative": np.array([[0, -1]])})
    for _ in range(10):
        assert float(net.forward()["loss"]) == pytest.approx(0.2)
    assert not caplog.messages


@pytest.mark.parametrize(("level", "warnings"), [(1.0, 1), (0.8, 0), (1.3, 0)])
def test_a_collapsed_loss_may_waver(level, warnings, monkeypatch, caplog):
    """It goes up and down by 3 parts in 100, around the margin or far from it."""
    monkeypatch.setattr(metric_losses, "LONG", 30)
    net = net_of({name: np.array([[1, 0]]) for name in NAMES})
    for iteration in range(60):
        gap = 0.2 * (level - 1 + (0.03 if iteration % 2 else -0.03))
        net.blobs["positive"].data[0, 1] = max(gap, 0) ** 0.5
        net.blobs["negative"].data[0, 1] = max(-gap, 0) ** 0.5
        net.forward()
    assert len([message for message in caplog.messages if "embeddings are nearly equal" in message]) == warnings


@pytest.mark.parametrize("options", [{}, {"soft": True}, {"margin": 3.0, "distance": "euclidean"}])
def test_collapse_is_warned_of_once(options, monkeypatch, caplog):
    monkeypatch.setattr(metric_losses, "LONG", 5)
    same = {name: np.ones((3, 4)) for name in NAMES}
    net = net_of(same, **options)
    for _ in range(4):
        net.forward()
    assert not caplog.messages
    for _ in range(10):
        net.forward()
    assert len(caplog.messages) == 1
    assert "all embeddings are nearly equal" in caplog.messages[0]
    caplog.clear()
    healthy = net_of(**options)
    for _ in range(10):
        healthy.forward()
    assert not caplog.messages
