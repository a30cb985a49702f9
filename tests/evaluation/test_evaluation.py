"""`Evaluation` against plain loops and scikit-learn, with many ties, and blocks of any size."""

import tracemalloc

import numpy as np
import pytest
from sklearn import metrics as sk

from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.evaluation import Evaluation, Records
from caffe_pylayers.evaluation.verification import best_threshold
from tests.evaluation import brute_force
from tests.refusals import refused

AT = (1, 2, 4, 8)


def tied(seed, count=60, size=3, classes=7):
    """Small integers, so that many distances are equal; class -1 is none, and one class has a single record."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, classes, count)
    labels[0] = classes
    return rng.integers(-1, 3, (count, size)), labels, rng.integers(0, 3, count)


@pytest.mark.parametrize("seed", range(4))
def test_retrieval_is_that_of_plain_loops(seed):
    features, labels, _ = tied(seed)
    rows = brute_force.distances(features, features)
    recall, map_at_r, r_precision, queries, alone = brute_force.retrieval(rows, labels, labels, True, AT)
    found = Evaluation(features, labels, metric="euclidean").retrieval(AT)
    assert found.recall == pytest.approx(recall, abs=1e-12)
    assert (found.map_at_r, found.r_precision) == pytest.approx((map_at_r, r_precision), abs=1e-12)
    assert (found.queries, found.alone, found.unlabelled) == (queries, alone, (labels < 0).sum())
    assert alone and found.unlabelled


@pytest.mark.parametrize("seed", range(2))
def test_a_gallery_of_its_own(seed):
    features, labels, _ = tied(seed)
    gallery, others, _ = tied(seed + 10, count=37, classes=5)
    rows = brute_force.distances(features, gallery)
    recall, map_at_r, *_ = brute_force.retrieval(rows, labels, others, False, (1, 3, 100))
    found = Evaluation(features, labels, metric="euclidean", gallery=(gallery, others)).retrieval((1, 3, 100))
    assert found.recall == pytest.approx(recall, abs=1e-12)
    assert found.map_at_r == pytest.approx(map_at_r, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_reidentification_is_that_of_plain_loops_and_scikit_learn(seed):
    features, labels, cameras = tied(seed)
    gallery, others, of_others = tied(seed + 10, count=50)
    rows = brute_force.distances(features, gallery)
    cmc, lists = brute_force.reidentification(rows, labels, cameras, others, of_others, {2}, (1, 5, 10))
    precisions = [sk.average_precision_score(*zip(*each)) for each in lists]
    found = Evaluation(features, labels, cameras, metric="euclidean", gallery=(gallery, others, of_others))
    found = found.reidentification(junk=[2])
    assert found.cmc == pytest.approx(cmc, abs=1e-12)
    assert found.mean_ap == pytest.approx(np.mean(precisions), abs=1e-12)
    assert found.queries == len(lists)
    assert found.junk == np.isin(others, [-1, 2]).sum()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("seed", range(3))
def test_verification_is_that_of_scikit_learn_and_plain_loops(metric, seed):
    rng = np.random.default_rng(seed)
    features = rng.choice([-0.5, 0.5], (40, 4))  # cosines and distances are exact, and of five values
    pairs = rng.integers(0, 40, (2, 303))
    same = rng.random(303) < 0.4
    scores = (features[pairs[0]] * features[pairs[1]]).sum(1)
    found = Evaluation(features, metric=metric).verification(pairs, same)
    if metric == "euclidean":
        scores = -np.sqrt(((features[pairs[0]] - features[pairs[1]]) ** 2).sum(1))
    far, tpr, _ = sk.roc_curve(same, scores, drop_intermediate=False)
    np.testing.assert_allclose(found.far, far, atol=1e-15)
    np.testing.assert_allclose(found.accepted, tpr, atol=1e-15)
    assert found.auc == pytest.approx(sk.roc_auc_score(same, scores), abs=1e-12)
    accuracies = brute_force.fold_accuracies(scores.tolist(), same.tolist(), 10)
    assert (found.accuracy, found.deviation) == pytest.approx((np.mean(accuracies), np.std(accuracies)), abs=1e-12)
    assert found.tar == {each: max(tpr[far <= each]) for each in (1e-1, 1e-2, 1e-3, 1e-4)}
    crossing = np.interp(found.eer, far, tpr)  # where no step of the ROC is in between, the two parts are equal
    assert 1 - crossing == pytest.approx(found.eer, abs=1e-12)


def test_eer_of_separable_and_of_opposite_pairs():
    features, same = np.array([[1.0, 0], [1, 0], [0, 1]]), [True, False, True, False]
    right = Evaluation(features).verification([[0, 0, 1, 1], [1, 2, 0, 2]], same, folds=2)
    assert (right.accuracy, right.eer, right.auc, right.tar[1e-4]) == (1, 0, 1, 1)
    assert 0 < right.threshold < 1
    wrong = Evaluation(features).verification([[0, 0, 1, 1], [2, 1, 2, 0]], same, folds=2)
    assert (wrong.eer, wrong.auc, wrong.tar[1e-1]) == (1, 0, 0)


def test_of_several_best_thresholds_the_lowest_is_taken():
    assert best_threshold(np.array([0.0, 1, 2, 3]), np.array([False, True, False, True])) == 0.5
    assert best_threshold(np.array([1.0, 2]), np.array([True, True])) == 1
    assert best_threshold(np.array([1.0, 2]), np.array([False, False])) > 2
    close = np.array([1.0, np.nextafter(1, 2)])
    assert best_threshold(close, np.array([False, True])) == close[1]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_blocks_of_any_size_give_equal_figures(metric):
    """Copies must be equally near, although a product of matrices adds up in another order at its edges."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(101, 67)).astype(np.float32)
    features[1::2] = features[:-1:2]
    labels, cameras = rng.integers(0, 6, 101), rng.integers(0, 2, 101)
    found = []
    for at_once in (None, 1, 2, 7, 50, 101, 1000):
        evaluation = Evaluation(features, labels, cameras, metric=metric, at_once=at_once)
        found.append((evaluation.retrieval(), evaluation.reidentification()))
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_order_of_records_changes_nothing(metric):
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(90, 33)).astype(np.float32)[rng.integers(0, 40, 90)], rng.integers(0, 5, 90)
    first = Evaluation(features, labels, metric=metric).retrieval()
    shuffled = rng.permutation(90)
    second = Evaluation(features[shuffled], labels[shuffled], metric=metric).retrieval()
    assert second.recall == first.recall
    assert (second.map_at_r, second.r_precision) == pytest.approx((first.map_at_r, first.r_precision), abs=1e-14)


def test_equals_count_against_the_model():
    collapsed = Evaluation(np.ones((6, 2)), [0, 0, 0, 1, 1, 1])
    assert collapsed.retrieval((1, 3, 4)).recall == {1: 0, 3: 0, 4: 1}
    copies = Evaluation([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]], [0, 0, 0, 1, 1]).retrieval()
    assert (copies.recall[1], copies.map_at_r, copies.r_precision) == (1, 1, 1)


def test_cosines_are_those_of_numpy_and_length_does_not_count():
    rng = np.random.default_rng(2)
    features = (rng.normal(size=(30, 16)) * 10.0 ** rng.integers(-30, 30, (30, 1))).astype(np.float32)
    (records, cosines), *_ = Evaluation(features).nearest([3], 29)
    unit = features.astype(float) / np.abs(features.astype(float)).max(1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    assert sorted(records.tolist()) == [i for i in range(30) if i != 3]
    np.testing.assert_allclose(cosines, (unit @ unit[3])[records], atol=1e-7)
    assert (np.diff(cosines) <= 0).all()


def test_distances_are_those_of_numpy():
    features = np.random.default_rng(3).normal(size=(30, 16)).astype(np.float32)
    (records, distances), *_ = Evaluation(features, metric="euclidean").nearest([0], 4)
    expected = np.linalg.norm(features - features[0], axis=1)
    np.testing.assert_allclose(distances, np.sort(expected)[1:5], atol=1e-6)
    assert records.tolist() == np.argsort(expected)[1:5].tolist()


def test_zeros_are_counted_and_have_no_direction():
    evaluation = Evaluation([[0, 0], [1, 0], [0, -1]], [0, 0, 1])
    assert evaluation.zeros == 1
    assert evaluation.nearest([0], 2)[0][1].tolist() == [0, 0]


def test_memory_is_that_of_a_block(monkeypatch):
    """Never queries x gallery at once."""
    from caffe_pylayers.evaluation.nearness import Nearness

    asked, of = [], Nearness.of
    monkeypatch.setattr(Nearness, "of", lambda self, part: asked.append(of(self, part).nbytes) or of(self, part))
    features = np.random.default_rng(4).normal(size=(3000, 4))
    Evaluation(features, np.arange(3000) // 2).retrieval()
    assert len(asked) > 1
    assert max(asked) <= 1 << 26


@pytest.mark.parametrize(
    ("arguments", "words", "parts"),
    [
        (([[1, 2], [np.nan, 0]], [0, 0]), ["NaN"], {"record": 1}),
        (([[1, 2], [0, np.inf]], [0, 0]), ["infinity"], {"record": 1}),
        (([[1, 2], [0, 1e39]], [0, 0]), ["3e+38"], {"record": 1}),
        ((np.array([[1, 2], [0, np.inf]], np.float16), [0, 0]), ["infinity"], {"record": 1}),
        (([1, 2], [0, 0]), ["shape (2,)"], {}),
        (([["a"]], [0]), ["array of <U1"], {}),
        ((np.zeros((0, 4)), []), ["shape (0, 4)"], {}),
        (([[1, 2], [0, 1]], [0]), ["shape (1,)", "2 records"], {}),
        (([[1, 2], [0, 1]], [0, 0.5]), ["label is 0.5"], {"record": 1}),
        (([[1, 2], [0, 1]], [0, np.nan]), ["label is nan"], {"record": 1}),
        (([[1, 2], [0, 1]], [[0, 1], [1, 0]]), ["labels are an array", "(2, 2)"], {}),
        (([[1, 2], [0, 1]], None), ["no labels"], {}),
        (([[1, 2]], [0]), ["none of its 1 records"], {}),
        (([[1, 2], [0, 1]], [0, 1]), ["none of its 2 records"], {}),
        (([[1, 2], [0, 1]], [-1, -1]), ["none of its 2 records"], {}),
    ],
)
def test_what_cannot_be_evaluated(arguments, words, parts):
    with refused(DataError, *words, source="features", **parts):
        Evaluation(*arguments).retrieval()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble, np.int8, np.uint8, np.int64, ">f8"])
def test_features_of_any_type_without_a_warning(dtype, recwarn):
    features, labels, _ = tied(0)
    given = (10 * features).astype(dtype)
    assert Evaluation(given, labels).retrieval() == Evaluation(given.astype(np.float64), labels).retrieval()
    assert not recwarn.list


def test_vectors_of_zeros_are_no_measure_of_lengths():
    """A net with a ReLU behind its embedding may have more of them than others."""
    features, labels, _ = tied(0)
    features[:40] = 0
    found = Evaluation(features, labels, metric="euclidean").nearest([50], 59)[0]
    np.testing.assert_allclose(found[1], np.linalg.norm(features[found[0]] - features[50], axis=1), rtol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_memory_holds_the_features_once_more(metric):
    features = np.random.default_rng(0).normal(size=(50_000, 64)).astype(np.float32)
    tracemalloc.start()
    try:
        Evaluation(features, metric=metric)
        assert tracemalloc.get_traced_memory()[1] < 2.5 * features.nbytes  # of which those in float64 are 2
    finally:
        tracemalloc.stop()


def test_what_does_not_fit_together():
    with refused(ConfigError, "'manhattan'", remedy="cosine, euclidean", option="metric"):
        Evaluation([[1, 2]], metric="manhattan")
    for at in ([0], [], [1.5], 5):
        with refused(ConfigError, str(at), remedy="integers", option="at"):
            Evaluation([[1, 2]] * 2, [0, 0]).retrieval(at)
    with refused(DataError, "3 numbers", "2", source="gallery"):
        Evaluation([[1, 2]], gallery=([[1, 2, 3]], [0]))
    with refused(DataError, "no cameras", source="gallery"):
        Evaluation([[1, 2]], [0], [0], gallery=([[1, 2]], [0])).reidentification()
    with refused(DataError, "another camera", remedy="alike"):
        Evaluation([[1, 2], [1, 2]], [0, 0], [5, 5]).reidentification()
    outlier = np.ones((9, 2))
    outlier[4] = 1e5
    with refused(DataError, "length 1.41e+05", remedy="cosine", record=4):
        Evaluation(outlier, metric="euclidean")


@pytest.mark.parametrize(
    ("pairs", "same", "folds", "words"),
    [
        ([[0, 9], [1, 1]], [True, False], 2, ["no record 9", "pair 1"]),
        ([[0, 0], [1, -1]], [True, False], 2, ["no record -1"]),
        ([[0, 0], [1, 2]], [True, True], 2, ["all 2 pairs are of one class"]),
        ([[0, 0], [1, 2]], [False, False], 2, ["of two classes"]),
        ([[0, 0], [1, 2]], [True, False], 3, ["2 pairs", "3 folds"]),
        ([[0, 0, 1], [1, 2, 2]], [True, False, True], 3, ["all 2 pairs are of one class"]),
        ([[0, 1], [0, 2], [1, 2]], [True, False, True], 2, ["shape (3, 2)"]),
        ([[0, 0.7], [1, 2]], [True, False], 2, ["float64"]),
        (np.zeros((2, 0), int), [], 2, ["shape (2, 0)"]),
        ([[0, 0], [1, 2]], [True], 2, ["shape (1,)", "2 pairs"]),
        ([[0, 0], [1, 2]], [1, -1], 2, ["`same`", "int64"]),
    ],
)
def test_pairs_that_tell_nothing(pairs, same, folds, words):
    with refused(DataError, *words):
        Evaluation([[1, 0], [1, 1], [0, 1]]).verification(pairs, same, folds)


def test_records_are_named_in_messages():
    with refused(DataError, source="faces.npz: record 1 ('b.jpg')", record=1):
        Records([[1.0], [np.nan]], source="faces.npz", name=["a.jpg", "b.jpg"].__getitem__)
