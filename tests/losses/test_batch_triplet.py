import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.losses import batch_triplet
from caffe_pylayers.losses.batch_triplet import Rule, batch_triplet_gradient, batch_triplet_loss
from tests.losses import metric_cases, references
from tests.losses.device_arrays import library

BY_ORDER = ("all", "semihard", "hard")  # not by chance, and not listed
MININGS = (*BY_ORDER, "distance", "given")
DISTANCES = ("squared", "euclidean")


def brute_force(x, triplets, rule):
    """Values, counts, active, d_ap and d_an, each added up by anchor."""
    d = metric_cases.distances(x, rule.distance)
    sums = np.zeros((5, len(x)))
    for a, p, n in triplets:
        value = metric_cases.one_triplet(d[a, p], d[a, n], rule.margin, rule.soft)
        active = d[a, p] >= d[a, n] if rule.soft else value > 0
        sums[:, a] += (value, 1, active, d[a, p], d[a, n])
    return sums


def triplets_of(x, labels, rule):
    return metric_cases.mined(metric_cases.distances(x, rule.distance), labels, rule.mining, rule.margin)


def draw(anchors, positives):
    """A draw for tests, in place of random numbers: any function of the pair that spreads over [0, 1)."""
    return (anchors * 0.618033988749895 + positives * 0.414213562373095) % 1


def choices(x, rule):
    """P(n) for an anchor's negatives by Wu's rule, in plain loops: (anchor, negatives) -> probabilities."""
    d = metric_cases.distances(x, "euclidean")
    size = x.shape[1]

    def probabilities(a, negatives):
        weights = []
        for n in negatives:
            clipped = max(d[a, n], rule.cutoff)
            q = clipped ** (size - 2) * (1 - clipped**2 / 4) ** ((size - 3) / 2)
            weights.append(1 / q if d[a, n] < rule.nonzero_loss_cutoff else 0.0)
        total = sum(weights)
        return [w / total for w in weights] if total > 0 else [1 / len(negatives)] * len(negatives)

    return probabilities


def drawn(x, labels, rule):
    """The triplets of distance mining with the uniforms of `draw`."""
    probabilities = choices(x, rule)
    found = []
    for a, p in itertools.permutations(range(len(x)), 2):
        negatives = [j for j in range(len(x)) if labels[j] != labels[a]]
        if labels[a] != labels[p] or not negatives:
            continue
        below = np.cumsum(probabilities(a, negatives)) <= draw(a, p)
        found.append((a, p, negatives[np.count_nonzero(below)]))
    return found


def sphere(seed, number, size, spread=1.0):
    x = np.random.RandomState(seed).randn(number, size) * spread
    x[:, 0] += 1
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@st.composite
def batches(draw):
    """Points of a coarse grid, so that many distances are equal and many are 0."""
    number, size = draw(st.integers(0, 9)), draw(st.integers(1, 3))
    x = draw(st.lists(st.integers(-3, 3), min_size=number * size, max_size=number * size))
    labels = draw(st.lists(st.integers(0, 3), min_size=number, max_size=number))
    return np.array(x, np.float64).reshape(number, size) / 2, np.array(labels, int)


rules = st.builds(
    Rule,
    st.sampled_from(BY_ORDER),
    st.sampled_from([0.0, 0.25, 0.5, 2.0]),
    st.sampled_from(DISTANCES),
    st.booleans(),
)


@given(batches(), rules)
def test_equals_brute_force_over_all_triplets(batch, rule):
    x, labels = batch
    expected = brute_force(x, triplets_of(x, labels, rule), rule)
    np.testing.assert_allclose(batch_triplet_loss(x, labels, rule)[:5], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("mining", BY_ORDER)
def test_gradients_equal_finite_differences(mining, soft, distance):
    rule = Rule(mining, 0.7, distance, soft)
    for seed in range(5):
        rng = np.random.RandomState(seed)
        x, labels, factor = rng.randn(7, 3) / 2, rng.randint(0, 3, 7), rng.uniform(0, 2, 7)
        triplets = triplets_of(x, labels, rule)  # which a small step does not change
        gradient = np.full_like(x, np.nan)
        batch_triplet_gradient(batch_triplet_loss(x, labels, rule), factor, gradient)

        def total(y, triplets=triplets, factor=factor):
            return float(factor @ brute_force(y, triplets, rule)[0])

        np.testing.assert_allclose(gradient, references.numeric_gradient(total, x), atol=1e-6)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("mining", MININGS)
def test_blocks_of_anchors_make_no_difference(mining, soft, distance, monkeypatch):
    x, labels = sphere(0, 40, 4), np.arange(40) % 7
    rule = Rule(mining, 0.3, distance, soft)
    triplets = np.random.RandomState(1).randint(0, 40, (100, 3)) if mining == "given" else None
    if mining == "distance":
        expected = drawn(x, labels, rule)
    else:
        expected = triplets_of(x, labels, rule) if triplets is None else triplets
    gradients = []
    for block in (1, 40, 7 * 40, 1 << 20):
        monkeypatch.setattr(batch_triplet, "BLOCK", block)
        got = batch_triplet_loss(x, labels, rule, draw, triplets)
        np.testing.assert_allclose(got[:5], brute_force(x, expected, rule), rtol=1e-9, atol=1e-9)
        gradients.append(np.empty_like(x))
        batch_triplet_gradient(got, 0.5, gradients[-1])
    np.testing.assert_allclose(gradients, gradients[:1] * 4, atol=1e-12)


def test_all_the_same_without_buffers_and_with():
    kept = {}

    def buffer(name, shape, dtype):
        return kept.setdefault((name, tuple(shape)), np.full(shape, 1, dtype))

    for seed, rule in itertools.product(
        range(2), (Rule("all"), Rule("semihard"), Rule("hard"), Rule("all", soft=True))
    ):
        x, labels = sphere(seed, 30, 3), np.arange(30) % 4
        got, expected = (batch_triplet_loss(x, labels, rule, buffer=each) for each in (buffer, None))
        for one, other in zip(got, expected):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize(
    "labels",
    [[], [0], [0, 0, 0], [0, 1, 2], [5, 5, 2**24 - 1]],
    ids=["none", "one", "one class", "all differ", "P x K"],
)
def test_batches_with_few_triplets_or_none(mining, labels):
    labels = np.array(labels, int)
    x = sphere(0, len(labels), 2) if len(labels) else np.empty((0, 2))
    triplets = np.empty((0, 3), int) if mining == "given" else None
    got = batch_triplet_loss(x, labels, Rule(mining), draw, triplets)
    gradient = np.full_like(x, np.nan)
    batch_triplet_gradient(got, 1.0, gradient)
    assert got.counts.sum() == (2 if len(labels) == 3 and labels[2] > 10 and mining != "given" else 0)
    assert np.isfinite(got[:5]).all()
    assert np.isfinite(gradient).all()
    if not got.counts.any():
        assert not gradient.any()
        assert not np.any(got[:5])


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("soft", [False, True])
def test_embeddings_that_are_all_alike(mining, distance, soft):
    """Every distance is 0, so the loss is the margin, or ln 2, and nothing pulls anywhere."""
    x = np.tile(np.random.RandomState(0).randn(1, 100).astype(np.float32), (12, 1))
    triplets = np.array([[0, 3, 1], [5, 2, 4]]) if mining == "given" else None
    got = batch_triplet_loss(x, np.arange(12) % 3, Rule(mining, 0.3, distance, soft), draw, triplets)
    gradient = np.full_like(x, np.nan)
    batch_triplet_gradient(got, 1.0, gradient)
    assert got.values.sum() == pytest.approx(got.counts.sum() * (np.log(2) if soft else 0.3))
    assert not got.d_ap.any()
    assert not got.d_an.any()
    assert np.abs(gradient).max() < 1e-6


def test_equal_embeddings_are_at_distance_0_and_near_ones_are_not():
    """|x|^2 + |y|^2 - 2xy loses the digits of a small distance; float32 would leave none of this one."""
    x = np.random.RandomState(0).randn(200, 500).astype(np.float32)
    x[100:] = x[:100]
    x[100:, 0] += 1e-3
    expected = np.linalg.norm(x[100:].astype(np.float64) - x[:100], axis=1)
    triplets = np.array([[i, i + 100, i] for i in range(100)])
    got = batch_triplet_loss(x, None, Rule("given", distance="euclidean"), triplets=triplets)
    np.testing.assert_allclose(got.d_ap[:100], expected, rtol=1e-5)
    assert not got.d_an.any()
    gradient = np.empty_like(x)
    batch_triplet_gradient(got, 1.0, gradient)
    np.testing.assert_allclose(gradient[:100], (x[:100] - x[100:]) / expected[:, None], atol=1e-5)


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_embeddings_that_are_not_finite_make_the_loss_nan(mining, bad):
    x = sphere(0, 12, 3)
    x[5, 1] = bad
    triplets = np.array([[5, 3, 1], [5, 2, 4]]) if mining == "given" else None
    got = batch_triplet_loss(x, np.arange(12) % 5, Rule(mining), draw, triplets)
    assert np.isnan(got.values.sum())
    gradient = np.empty_like(x)
    batch_triplet_gradient(got, 1.0, gradient)
    assert np.isnan(gradient).any()


@pytest.mark.parametrize("size", [2, 3, 8, 128])
def test_distance_mining_equals_the_plain_loop(size):
    """With the same uniforms; spread 0.05 has all negatives near, 5 has many beyond the cut-off."""
    for seed, spread in itertools.product(range(3), (0.05, 0.5, 5.0)):
        x, labels = sphere(seed, 14, size, spread / np.sqrt(size)), np.arange(14) % 4
        rule = Rule("distance", 0.5, "euclidean")
        got = batch_triplet_loss(x, labels, rule, draw)
        np.testing.assert_allclose(got[:5], brute_force(x, drawn(x, labels, rule), rule), rtol=1e-9, atol=1e-9)


def test_distance_mining_is_the_same_on_device_arrays():
    """tests/losses/test_device.py has the other minings."""
    x, labels, rule = sphere(0, 20, 8), np.arange(20) % 6, Rule("distance", 0.5)
    on_device = batch_triplet_loss(library.asarray(x), library.asarray(labels), rule, draw)
    for one, other in zip(on_device, batch_triplet_loss(x, labels, rule, draw)):
        np.testing.assert_allclose(one.get(), other)


def test_distance_mining_draws_by_the_distance():
    """Chi-square of 2000 draws for one anchor with one positive."""
    x = sphere(3, 12, 6, 0.6)
    x[2] = -x[0]  # beyond the cut-off
    labels = np.array([0, 0, *range(1, 11)])
    rule = Rule("distance", nonzero_loss_cutoff=1.2)
    rng = np.random.RandomState(0)
    negatives = range(2, 12)
    counts = np.zeros(10)
    matrix = metric_cases.distances(x, "squared")[0]
    for _ in range(2000):
        d_an = batch_triplet_loss(x, labels, rule, lambda anchors, _: rng.rand(len(anchors))).d_an[0]
        counts[np.abs(matrix[2:] - d_an).argmin()] += 1
    expected = np.array(choices(x, rule)(0, negatives)) * 2000
    assert expected[0] == counts[0] == 0
    possible = expected > 0
    assert expected[possible].min() > 5
    statistic = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    assert statistic < 30  # 9 degrees of freedom at most: exceeded once in 2000


def test_distance_mining_draws_uniformly_where_all_negatives_are_far():
    x = np.zeros((6, 2))
    x[:2, 0], x[2:, 0], x[2:, 1] = 1, -1, [0.0, 0.1, 0.2, 0.3]
    labels = np.array([0, 0, 1, 2, 3, 4])
    for uniform, n in [(0.0, 2), (0.24, 2), (0.26, 3), (0.74, 4), (0.76, 5), (1 - 2**-53, 5)]:
        rule = Rule("distance")
        got = batch_triplet_loss(x, labels, rule, lambda anchors, _, u=uniform: np.full(len(anchors), u))
        assert got.d_an[:2] == pytest.approx([4 + x[n, 1] ** 2] * 2)


@pytest.mark.parametrize("mining", ["all", "semihard", "hard", "distance"])
def test_a_large_batch_stays_within_bounds(mining):
    """64 classes of 64: a billion triplets with "all"."""
    x = sphere(0, 4096, 128).astype(np.float32)
    labels = np.arange(4096) % 64
    gradient = np.empty_like(x)
    tracemalloc.start()
    try:
        got = batch_triplet_loss(x, labels, Rule(mining), draw)
        batch_triplet_gradient(got, 1e-3, gradient)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 300 << 20
    assert got.counts.sum() == 4096 * {"all": 63 * 4032, "hard": 1}.get(mining, 63)
    assert np.isfinite(gradient).all()
