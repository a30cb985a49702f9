"""ProxyLoss, beside what tests/losses/test_every_loss.py shows of every loss."""

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from tests.caffe_nets import build, python_layer, run
from tests.losses.embedding_cases import unit, vectors_of
from tests.losses.proxy_cases import anchor_loss
from tests.losses.references import numeric_gradient
from tests.refusals import refused

RNG = np.random.RandomState(0)
X, LABELS = RNG.randn(6, 5), np.array([0, 1, 1, 3, 0, 1])
TYPES = ["proxy_nca", "proxy_anchor", "normalized_softmax", "soft_triple"]
every_type = pytest.mark.parametrize("type", TYPES)


def net_of(type, x=X, labels=LABELS, weights=None, phase=caffe.TRAIN, loss_weight=1, **options):
    inputs = {"embedding": x, "label": labels, **({} if weights is None else {"sample_weight": weights})}
    options = {"num_output": 4, "type": type, **({"sub_centers": 2} if type == "soft_triple" else {}), **options}
    net = build([python_layer("ProxyLoss", list(inputs), ["loss"], options, loss_weight)], inputs, phase)
    (blob,) = net.params["loss_layer"]
    blob.data[...] = vectors_of(*blob.shape)
    return net


def numbers(net):
    """The loss, the gradient by the embedding and that by the proxies."""
    (gradient,) = run(net, "embedding")
    return float(net.blobs["loss"].data), gradient, net.params["loss_layer"][0].diff.copy()


@every_type
@pytest.mark.parametrize("num_classes", [1, 4])
@pytest.mark.parametrize("options", [{}, {"extreme": True}], ids=["", "extreme"])
def test_samples_on_their_proxy_or_opposite_to_it_are_finite(type, num_classes, options):
    """Duplicates, cosines of exactly 1 and -1, a class that is absent, proxies of 0, a single sample, a scale of 64 and more."""
    extremes = {"proxy_nca": {"scale": 64}, "proxy_anchor": {"alpha": 90}, "normalized_softmax": {"temperature": 1e-3},
                "soft_triple": {"la": 1000, "gamma": 1e-3, "tau": 1}}  # fmt: skip
    labels = np.array([0, 0, 0, 0, 0]) if num_classes == 1 else np.array([0, 0, 1, 2, 2])
    w = vectors_of(2 * num_classes, 3)
    x = np.stack([w[0], w[0], -w[labels[2]], 0 * w[0], 1e6 * w[labels[4]]])
    for count in (5, 1):
        net = net_of(type, x[:count], labels[:count], num_output=num_classes, **(extremes[type] if options else {}))
        for _ in range(2):
            assert all(np.isfinite(each).all() for each in numbers(net))
            net.params["loss_layer"][0].data[0] = 0


@every_type
def test_all_labels_ignored_give_zeros(type):
    more = {"tau": 0.3} if type == "soft_triple" else {}
    loss, *gradients = numbers(net_of(type, labels=np.full(6, 255), ignore_label=255, **more))
    assert loss == 0
    assert not any(each.any() for each in gradients)


@every_type
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("absent", ["weight", "ignored"])
def test_a_sample_that_does_not_count_may_be_anything_and_is_as_if_it_were_not_there(type, absent, bad):
    x, labels, weights = X.copy(), LABELS.copy(), np.array([1, 2, 1, 1, 0.5, 1])
    options = {} if absent == "weight" else {"ignore_label": 255}
    weights[3], labels[3] = (0, labels[3]) if absent == "weight" else (1, 255)
    x[3, 1] = bad
    net = net_of(type, x, labels, weights, **options)
    without = net_of(type, *(np.delete(each, 3, axis=0) for each in (X, LABELS, weights)))
    for _ in range(2):
        (loss, found, by_proxies), (expected_loss, expected, expected_by) = numbers(net), numbers(without)
        assert loss == pytest.approx(expected_loss, rel=1e-5)
        np.testing.assert_allclose(np.delete(found, 3, axis=0), expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(by_proxies, expected_by, rtol=1e-4, atol=1e-5)
        assert not found[3].any()


@pytest.mark.parametrize("absent", ["weight", "ignored"])
@pytest.mark.parametrize("others", [0, 2])
def test_a_sample_that_does_not_count_may_be_where_no_other_is(absent, others):
    """On the proxy of another class and opposite to its own its slopes are beyond float32: 0 times infinity is NaN."""
    w = np.eye(4, 5)
    w[3] = -w[2]
    x, labels, weights = w[[2, 0, 1]][: others + 1], np.array([3, 0, 1])[: others + 1], np.ones(others + 1)
    ignored = {"ignore_label": 255} if absent == "ignored" else {}
    weights[0], labels[0] = (0, 3) if absent == "weight" else (1, 255)
    net = net_of("proxy_anchor", x, labels, weights, alpha=90, **ignored)
    net.params["loss_layer"][0].data[...] = w
    for _ in range(2):
        loss, *gradients = numbers(net)
        given = {"embedding": x, "label": labels, "vectors": w}
        expected = anchor_loss(given, weights, {"num_output": 4, "alpha": 90.0, **ignored})
        assert loss == pytest.approx(expected, rel=1e-5)
        assert all(np.isfinite(each).all() for each in gradients)
        assert not gradients[0][0].any()
        assert not np.isnan(net.blobs["sample_weight"].diff).any()


@pytest.mark.parametrize("alpha", [32, 64, 90])
def test_proxy_anchor_at_any_alpha(alpha):
    """Beyond an exponent of 60 a number is taken off."""
    options = {"num_output": 4, "alpha": float(alpha)}
    given = {"embedding": X, "label": LABELS}
    loss, found, _ = numbers(net_of("proxy_anchor", alpha=alpha))
    assert loss == pytest.approx(anchor_loss(given, None, options), rel=1e-5)
    slopes = numeric_gradient(lambda x: anchor_loss({**given, "embedding": x}, None, options), X)
    np.testing.assert_allclose(found, slopes, rtol=1e-3, atol=1e-4)


def test_embeddings_far_from_all_proxies_still_count_behind_the_shift():
    """Where the largest exponent of all is 99, log(1 + e^-20) must not be lost, nor e^50."""
    x = np.array([[1.0, 0], [0, 1], [-0.6, 0.8]])
    options = {"num_output": 2, "alpha": 90.0, "type": "proxy_anchor"}
    for label in ([0, 1, 1], [0, 0, 0], [1, 1, 1]):
        net = net_of("proxy_anchor", x, np.array(label), **{name: options[name] for name in ("num_output", "alpha")})
        given = {"embedding": x, "label": np.array(label)}
        assert numbers(net)[0] == pytest.approx(anchor_loss(given, None, options), rel=1e-5)


@pytest.mark.parametrize("loss_weight", [1, 3])
def test_the_distances_of_the_vectors_of_a_class_are_added(loss_weight):
    def spread(vectors):
        w = np.array([unit(each) for each in vectors]).reshape(4, 3, 5)
        pairs = [(k, s, t) for k in range(4) for t in range(3) for s in range(t)]
        return sum(np.sqrt(2 - 2 * w[k, s] @ w[k, t] + 1e-5) for k, s, t in pairs) / (4 * 3 * 2)

    plain, drawn = (net_of("soft_triple", sub_centers=3, tau=tau, loss_weight=loss_weight) for tau in (0, 0.2))
    (loss, by_x, by_vectors), (other_loss, other_by_x, other_by_vectors) = numbers(plain), numbers(drawn)
    assert other_loss - loss == pytest.approx(0.2 * spread(vectors_of(12, 5)), rel=1e-4)
    np.testing.assert_array_equal(by_x, other_by_x)
    slopes = 0.2 * loss_weight * numeric_gradient(spread, vectors_of(12, 5))
    np.testing.assert_allclose(other_by_vectors - by_vectors, slopes, rtol=1e-3, atol=1e-5)


@every_type
def test_test_is_as_train(type):
    nets = [net_of(type, phase=phase) for phase in (caffe.TRAIN, caffe.TEST)]
    (loss, *gradients), (other, *others) = map(numbers, nets)
    assert loss == other
    for one, each in zip(gradients, others):
        np.testing.assert_array_equal(one, each)


def test_embeddings_as_they_are():
    ones = np.array([unit(each) for each in X])
    for type in TYPES:
        found = [numbers(net_of(type, ones, normalize_x=each))[0] for each in (False, True)]
        assert found[0] == pytest.approx(found[1], rel=1e-5)
    numbers(net_of("proxy_nca", 3 * ones, normalize_x=False))
    with refused(DataError, "embedding has norm 3", "sample 0", remedy="L2Normalize", option="normalize_x"):
        net_of("proxy_anchor", 3 * ones, normalize_x=False).forward()


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"type": None}, "type"),
        ({"type": "proxy"}, "type"),
        ({"alpha": 95}, "alpha"),
        ({"alpha": 60, "margin": 1}, "alpha"),
        ({"alpha": 0}, "alpha"),
        ({"margin": -0.1}, "margin"),
        ({"type": "normalized_softmax", "temperature": 0}, "temperature"),
        ({"type": "soft_triple", "sub_centers": 0}, "sub_centers"),
        ({"type": "soft_triple", "gamma": 0}, "gamma"),
    ],
)
def test_options_that_make_no_sense(options, option):
    given = {"type": "proxy_anchor", "num_output": 4, **options}
    given = {name: value for name, value in given.items() if value is not None}
    with refused(ConfigError, layer="ProxyLoss", option=option):
        build([python_layer("ProxyLoss", ["x", "label"], ["loss"], given, 1)], {"x": X, "label": LABELS})


def test_options_of_other_types_are_told(caplog):
    for type, name in (
        ("proxy_nca", "margin"),
        ("proxy_anchor", "scale"),
        ("soft_triple", "alpha"),
        ("proxy_anchor", "tau"),
    ):
        caplog.clear()
        net_of(type, **{name: 0.5})
        assert [f"{name!r} has no effect" in message for message in caplog.messages] == [True]
    caplog.clear()
    for type in TYPES:
        net_of(type)
    assert caplog.messages == []
