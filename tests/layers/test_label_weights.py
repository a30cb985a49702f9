"""Weights of targets, 0 or 1 for each of several labels: `per: label`; and targets that are taken for class numbers."""

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.layers.adapter import log
from tests.caffe_nets import build, python_layer, run
from tests.refusals import refused

#: Label 0: 4 of 5 samples have it; label 1: 1 has it, of 4 that are known; label 2: none has it.
TARGETS = np.array([[1, 0, 0], [1, -1, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]])
COUNTS = np.array([[1, 4], [3, 1], [5, 0]])  # negatives, positives


def weights_of(targets, options, shape=None, phase=caffe.TRAIN):
    options = {"n_classes": targets.shape[1], "per": "label", **options}
    layer = python_layer("SampleWeight", ["target"], ["w"], options)
    net = build([layer], {"target": targets.reshape(shape or targets.shape)}, phase)
    net.forward()
    assert net.blobs["w"].data.shape == net.blobs["target"].data.shape
    return net.blobs["w"].data.reshape(targets.shape)


def looked_up(table, targets=TARGETS):
    """The entry (negative, positive) of each label's row of a table for each target, 0 where it is not known."""
    table = np.asarray(table, float)
    return np.where(targets < 0, 0, table[np.arange(targets.shape[1]), np.maximum(targets, 0)])


@pytest.mark.parametrize(
    ("options", "table"),
    [
        ({"scale": "none"}, [[4, 1], [1, 3], [1, 0]]),
        ({}, [[0.8, 0.2], [0.25, 0.75], [1, 0]]),
        ({"scale": "mean_one"}, [[2.5, 0.625], [2 / 3, 2], [1, 0]]),
        ({"rule": "balanced", "scale": "none"}, [[2.5, 0.625], [2 / 3, 2], [1, 0]]),
        ({"rule": "inverse_sqrt", "scale": "none"}, [[2, 1], [1, 3**0.5], [1, 0]]),
        # (1 - b) / (1 - b^n), n = 1: 1; 3: 4/7; 4: 8/15; with a sum of the values that occur.
        ({"rule": "effective_number", "beta": 0.5, "scale": "none"}, [[30 / 23, 16 / 23], [8 / 11, 14 / 11], [1, 0]]),
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 1, 1)])
def test_each_label_is_balanced_by_its_own_positives_and_negatives(options, table, shape):
    np.testing.assert_allclose(weights_of(TARGETS, options, shape), looked_up(table), rtol=1e-6)


def test_targets_of_pixels_are_counted_label_by_label():
    targets = np.random.RandomState(0).randint(0, 2, (4, 3, 2, 5))
    net_weights = weights_of(targets, {"scale": "none", "rule": "balanced"})
    for label in range(3):
        of_label = targets[:, label]
        for value in (0, 1):
            expected = of_label.size / (2 * (of_label == value).sum())
            np.testing.assert_allclose(net_weights[:, label][of_label == value], expected, rtol=1e-6)


def test_one_label_a_sample_has_the_shape_of_its_own():
    np.testing.assert_allclose(
        weights_of(np.array([[1], [0], [0], [0]]), {"scale": "none"}, (4,)).ravel(), [3, 1, 1, 1]
    )


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 1, 1)])
def test_weights_by_hand_are_pos_weight(shape):
    """l = -pos_weight t log s - (1 - t) log(1 - s), value and gradient."""
    rng = np.random.RandomState(1)
    scores, targets, pos_weight = rng.randn(5, 3), rng.randint(0, 2, (5, 3)), np.array([0.5, 3, 7])
    layers = [
        python_layer("SampleWeight", ["target"], ["w"], {"n_classes": 3, "per": "label", "weights": pos_weight.tolist()}),
        python_layer("WeightedSigmoidCrossEntropyLoss", ["scores", "target", "w"], ["loss"],
                     {"normalization": "BATCH_SIZE", "normalize_by": "count"}, 1),
    ]  # fmt: skip
    net = build(layers, {"scores": scores.reshape(shape), "target": targets.reshape(shape)})
    (gradient,) = run(net, "scores")
    s = 1 / (1 + np.exp(-scores))
    expected = -(pos_weight * targets * np.log(s) + (1 - targets) * np.log(1 - s)).sum() / 5
    assert float(net.blobs["loss"].data) == pytest.approx(expected, rel=1e-6)
    slope = (-pos_weight * targets * (1 - s) + (1 - targets) * s) / 5
    np.testing.assert_allclose(gradient.reshape(5, 3), slope, rtol=1e-5)


@pytest.mark.parametrize("name", ["counts.npy", "counts.txt"])
def test_counts_from_a_file_are_positives_then_negatives(tmp_path, name):
    path, rows = str(tmp_path / name), np.array([[10, 40, 1], [90, 60, 99]])
    np.save(path, rows) if name.endswith(".npy") else np.savetxt(path, rows, fmt="%d")
    found = weights_of(TARGETS, {"counts": path, "scale": "none"})
    np.testing.assert_allclose(found, looked_up([[1, 9], [1, 1.5], [1, 99]]), rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([10, 40, 1], "has one row; 'per': 'label' needs two rows: the positives of each label, then the negatives"),
        ([[10, 0, 1], [9, 0, 1]], "label 1 has neither positives nor negatives"),
        ([[10, 40], [1, 2]], r"expected 3 counts"),
        ([[10, 40, 1], [9, -1, 1]], "the count -1 of class 1 must be 0, or from"),
    ],
)
def test_bad_counts_are_found_at_set_up(tmp_path, rows, message):
    path = str(tmp_path / "counts.npy")
    np.save(path, rows)
    with pytest.raises(DataError, match=message):
        weights_of(TARGETS, {"counts": path})


@pytest.mark.parametrize("resume", [False, True])
def test_running_counts_fade_by_target(resume):
    batches = np.random.RandomState(3).randint(-1, 2, (6, 5, 3))
    options = {"n_classes": 3, "per": "label", "counts": "running", "decay": 0.5, "scale": "none", "resume": resume}
    net = build([python_layer("SampleWeight", ["target"], ["w"], options)], {"target": batches[0]})
    counts = np.zeros((3, 2))
    for batch in batches:
        net.blobs["target"].data[...] = batch
        net.forward()
        counts = 0.5 * counts + [[(batch[:, label] == value).sum() for value in (0, 1)] for label in range(3)]
        table = counts.max(axis=1, keepdims=True) / np.where(counts > 0, counts, np.inf)
        np.testing.assert_allclose(net.blobs["w"].data, looked_up(table, batch), rtol=1e-5)


def test_deferred_every_target_of_a_label_has_its_mean_weight():
    options = {"n_classes": 3, "per": "label", "scale": "none", "defer": 1}
    net = build([python_layer("SampleWeight", ["target"], ["w"], options)], {"target": TARGETS})
    net.forward()
    means = [8 / 5, 6 / 4, 1]
    np.testing.assert_allclose(net.blobs["w"].data, looked_up([[m, m if n else 0] for m, (_, n) in zip(means, COUNTS)]))
    net.forward()
    np.testing.assert_allclose(net.blobs["w"].data, looked_up([[4, 1], [1, 3], [1, 0]]), rtol=1e-6)


def test_the_log_tells_positives_and_negatives(caplog):
    caplog.set_level("INFO", log.name)
    weights_of(TARGETS, {"scale": "none"})
    assert caplog.messages == [
        "SampleWeight: weights of positives 1, 3, 0 and of negatives 4, 1, 1, one per label; they multiply the mean loss by 1.357, "
        "unless it is divided by the weights too"
    ]
    caplog.clear()
    weights_of(np.tile(TARGETS, 10), {"scale": "none"})
    assert (
        "weights of positives from 1 (label 0) to 3 (label 1) of 30, 0 for 10 labels and of negatives"
        in caplog.messages[0]
    )


@pytest.mark.parametrize(
    ("targets", "options", "error", "message"),
    [
        (TARGETS, {"n_classes": 4}, ConfigError, r"label has shape \(5, 3\), 3 labels per sample; 'n_classes' is 4"),
        (np.array([[1, 0.5, 0]]), {}, DataError, r"target 0.5 at index \(0, 1\) is not an integer"),
        (
            np.array([[1, 2, 0]]),
            {},
            DataError,
            r"target 2 at index \(0, 1\) is outside 0..1 and not -1 .a target not known.",
        ),
        (TARGETS, {"empty": "error"}, DataError, "label 2 has no positives in the batch, and 'empty' is 'error'"),
        (
            TARGETS,
            {"rule": "median_frequency"},
            ConfigError,
            "'rule' cannot be 'median_frequency' if 'per' is 'label'",
        ),
        (TARGETS, {"weights": [1, 2]}, ConfigError, "'weights' has 2 numbers, but 'n_classes' is 3"),
    ],
)
def test_errors_say_what_is_wrong(targets, options, error, message):
    with pytest.raises(error, match=message):
        weights_of(targets, options)


def test_an_ignored_target_is_not_counted_and_has_weight_0():
    targets = np.where(TARGETS == -1, 255, TARGETS)
    found = weights_of(targets, {"scale": "none", "ignore_label": 255})
    np.testing.assert_allclose(found, looked_up([[4, 1], [1, 3], [1, 0]]), rtol=1e-6)


# ------------------------------------------------------------------------------- targets that are no class numbers

TWELVE = np.random.RandomState(0).randint(0, 2, (6, 12))


@pytest.mark.parametrize(
    ("layer", "remedy"),
    [
        ("SampleWeight", "'per': 'label' weights each label by its own"),
        ("ComputeH", "for targets of several labels use SampleWeight with 'per': 'label'"),
    ],
)
@pytest.mark.parametrize(
    ("targets", "num_classes"),
    [
        (TWELVE.reshape(6, 12, 1, 1), 12),
        (TWELVE.reshape(6, 12, 1, 1), 5),
        (TWELVE, 12),
        (np.where(TWELVE == 0, -1, TWELVE), 12),
        (TWELVE[:, :2].reshape(6, 2, 1, 1), 2),
    ],
)
def test_targets_are_not_taken_for_class_numbers(layer, remedy, targets, num_classes):
    options = {"n_classes": num_classes, **({"ignore_label": -1} if (targets < 0).any() else {})}
    net = build([python_layer(layer, ["target"], ["out"], options)], {"target": targets})
    with pytest.raises(DataError) as caught:
        net.forward()
    assert f"has a 0 or a 1 for each of {targets.shape[1]} labels" in caught.value.problem
    assert caught.value.remedy.startswith(remedy)
    assert caught.value.remedy.endswith("'per': 'class' reads 0 and 1 as class numbers")


@pytest.mark.parametrize("layer", ["SampleWeight", "ComputeH"])
@pytest.mark.parametrize(
    ("labels", "num_classes"),
    [
        (np.array([0, 1, 1, 0]), 4),  # a label per sample
        (np.array([0, 1, 1, 0]).reshape(4, 1, 1, 1), 4),
        (np.array([0, 1, 1, 0] * 4).reshape(4, 1, 2, 2), 4),  # label maps
        (np.array([0, 1, 1, 0] * 4).reshape(4, 2, 2), 4),
        (TWELVE[:, :2], 2),  # rows of two tasks of two classes, or of more
        (TWELVE[:, :2], 10),
        (TWELVE.reshape(6, 12, 1, 1), 2),  # two classes were asked for
        (np.zeros((4, 3, 1, 1)), 3),  # nothing to tell by
        (np.array([[0, 1, 2], [0, 1, 0]]), 3),  # a row of three tasks of three classes
    ],
)
def test_class_numbers_are_never_taken_for_targets(layer, labels, num_classes):
    net = build([python_layer(layer, ["label"], ["out"], {"n_classes": num_classes})], {"label": labels})
    net.forward()
    assert net.blobs["out"].data.any()


def test_what_was_once_a_class_number_stays_one():
    net = build([python_layer("SampleWeight", ["label"], ["w"], {"n_classes": 3})], {"label": np.array([[0, 1, 2]])})
    net.forward()
    net.blobs["label"].data[...] = [[0, 1, 1]]
    net.forward()


def test_per_class_takes_them_as_they_are():
    options = {"n_classes": 12, "per": "class", "scale": "none"}
    net = build([python_layer("SampleWeight", ["label"], ["w"], options)], {"label": TWELVE})
    net.forward()
    counts = np.bincount(TWELVE.ravel())
    np.testing.assert_allclose(net.blobs["w"].data, (counts.max() / counts)[TWELVE], rtol=1e-6)


def test_h_has_no_labels():
    with refused(ConfigError, "'label'", remedy="SampleWeight", option="per"):
        build([python_layer("ComputeH", ["label"], ["H"], {"n_classes": 3, "per": "label"})], {"label": TARGETS})


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        ("LabelNoise", {"distribution": "flip", "probability": 0.5, "n_classes": 12}),
        ("LabelNoise", {"distribution": "uniform", "low": 0, "high": 0.1, "one_hot": True, "n_classes": 12}),
        ("LabelSmoothing", {"n_classes": 12}),
    ],
)
def test_layers_that_draw_classes_warn_of_targets(layer, options, caplog):
    net = build([python_layer(layer, ["label"], ["out"], options)], {"label": TWELVE.reshape(6, 12, 1, 1)})
    net.forward()
    net.forward()
    told = [text for text in caplog.messages if "has a 0 or a 1 for each of 12 labels" in text]
    assert len(told) == 1
