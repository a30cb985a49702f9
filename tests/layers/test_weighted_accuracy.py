import os
import subprocess
import tracemalloc

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from tests.caffe_nets import build, layer_text, python_layer
from tests.layers.runs import CAFFE
from tests.losses.references import plain_counts
from tests.refusals import refused

RNG = np.random.RandomState(0)


def ours(*bottoms, tops=("accuracy",), **options):
    return python_layer("WeightedAccuracy", bottoms, tops, options)


def outputs(layers, inputs, *names, phase=caffe.TEST):
    net = build(layers, inputs, phase)
    net.forward()
    return [net.blobs[name].data.copy() for name in names]


def batch(shape, axis=1, ignore=None, ties=True):
    axis %= len(shape)
    scores = RNG.randint(0, 3, shape) if ties else RNG.randn(*shape)
    labels = RNG.randint(0, shape[axis], shape[:axis] + shape[axis + 1 :])
    if ignore is not None:
        labels.flat[::3] = ignore
    return {"scores": scores, "label": labels}


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize(
    ("shape", "axis", "options"),
    [
        ((8, 5), 1, {}),
        ((8, 5), 1, {"top_k": 2}),
        ((8, 5), 1, {"top_k": 5}),
        ((8, 5), -1, {"axis": -1}),
        ((8, 5, 1, 1), 1, {}),
        ((4, 5, 3, 2), 1, {"top_k": 2}),
        ((4, 3, 5), 2, {"axis": 2}),
        ((5, 4, 3), 0, {"axis": 0, "top_k": 3}),
        ((4, 5, 3), 1, {"ignore_label": 255}),
        ((4, 5, 3), 1, {"ignore_label": 1}),
        ((4, 5, 3), 1, {"ignore_label": -1, "top_k": 4}),
    ],
)
def test_equals_stock(shape, axis, options, ties):
    inputs = batch(shape, axis, options.get("ignore_label"), ties)
    params = " ".join(f"{name}: {value}" for name, value in options.items())
    tops = ["accuracy", "per_class"]
    stock = [layer_text("Accuracy", list(inputs), tops, f"accuracy_param {{ {params} }}")]
    for given in (inputs, {**inputs, "sample_weight": np.ones(inputs["label"].shape if axis == 0 else shape[0])}):
        for phase in (caffe.TRAIN, caffe.TEST):
            got = outputs([ours(*given, tops=tops, **options)], given, *tops, phase=phase)
            expected = outputs(stock, inputs, *tops)
            assert got[0].shape == expected[0].shape == ()
            assert got[1].shape == expected[1].shape == (shape[axis],)
            np.testing.assert_allclose(got[0], expected[0], rtol=1e-6)
            assert not np.isnan(got[0])
            # Stock has 0 for a class without labels.
            there = np.isin(np.arange(shape[axis]), inputs["label"][inputs["label"] != options.get("ignore_label")])
            np.testing.assert_array_equal(np.isnan(got[1]), ~there)
            np.testing.assert_allclose(got[1][there], expected[1][there], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_count_as_in_stock(bad):
    inputs = batch((40, 5), ties=False)
    inputs["scores"][RNG.rand(40, 5) < 0.3] = bad
    tops = ["accuracy", "per_class"]
    got = outputs([ours("scores", "label", tops=tops)], inputs, *tops)
    expected = outputs([layer_text("Accuracy", ["scores", "label"], tops)], inputs, *tops)
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-6)
    np.testing.assert_allclose(got[1], expected[1], rtol=1e-6)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("ignore", [None, 2])
def test_weights(each, balanced, ignore):
    """One per sample or one per label, some of them 0; class 4 has no weight at all."""
    inputs = batch((6, 5, 3), ignore=ignore)
    weights = RNG.uniform(0.2, 2, (6, 3) if each else 6)
    weights.flat[2] = 0
    inputs["label"][inputs["label"] == 4] = 0
    inputs["label"][2, 0] = 4
    if each:
        weights[2, 0] = 0
    inputs["sample_weight"] = weights
    every = weights if each else np.repeat(weights[:, None], 3, axis=1)
    labels = inputs["label"]
    right, total = plain_counts(inputs["scores"], labels, 2, every, labels == ignore if ignore else None)
    recalls = np.where(total > 0, right / np.where(total > 0, total, 1), np.nan)
    layer = ours(*inputs, tops=["accuracy", "per_class"], balanced=balanced, top_k=2, ignore_label=ignore)
    got, per_class = outputs([layer], inputs, "accuracy", "per_class")
    np.testing.assert_allclose(got, np.nanmean(recalls) if balanced else right.sum() / total.sum(), rtol=1e-6)
    np.testing.assert_allclose(per_class, recalls, rtol=1e-6)


def test_a_weight_of_k_is_k_copies_and_a_common_factor_is_nothing():
    inputs = batch((6, 5))
    copies = np.array([2, 0, 3, 1, 1, 4])
    copied = {name: np.repeat(value, copies, axis=0) for name, value in inputs.items()}
    (expected,) = outputs([ours("scores", "label")], copied, "accuracy")
    for factor in (1, 1e-3):
        given = {**inputs, "sample_weight": copies * factor}
        np.testing.assert_allclose(outputs([ours(*given)], given, "accuracy")[0], expected, rtol=1e-6)


@pytest.mark.parametrize("balanced", [False, True])
def test_nothing_to_count_gives_nan(balanced, caplog):
    inputs = {"scores": np.eye(3), "label": np.arange(3), "sample_weight": np.zeros(3)}
    tops = ["accuracy", "per_class"]
    for values in outputs([ours(*inputs, tops=tops, balanced=balanced)], inputs, *tops):
        assert np.isnan(values).all()
    ignored = {"scores": np.eye(3), "label": np.full(3, 9)}
    for values in outputs([ours(*ignored, tops=tops, balanced=balanced, ignore_label=9)], ignored, *tops):
        assert np.isnan(values).all()
    assert caplog.messages[0].startswith(
        "WeightedAccuracy: no label counts in this batch: its accuracy is NaN, and so is the mean"
    )


def test_a_class_without_labels_is_told_once(caplog):
    inputs = {"scores": np.eye(30)[:4], "label": np.arange(4)}
    net = build([ours("scores", "label", tops=["accuracy", "per_class"])], inputs, caffe.TEST)
    net.forward()
    net.forward()
    assert caplog.messages == [
        "WeightedAccuracy: no label of class 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, ... counts in this batch: its recall is NaN, and so is "
        "the mean over test batches that Caffe prints; a larger batch_size makes this rarer"
    ]
    caplog.clear()
    outputs([ours("scores", "label")], inputs, "accuracy")
    assert caplog.messages == []


def test_caffe_never_prints_a_recall_that_is_wrong(tmp_path):
    """Three test batches of which one alone has class 0: the mean of 1, 0 and 0 was printed for a net that is always right."""
    import h5py

    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["scores"] = np.eye(3)[[0, 1, 1, 1, 1, 2]].astype("f4")
        file["label"] = np.array([0, 1, 1, 1, 1, 2], "f4")
    (tmp_path / "list.txt").write_text("rows.h5\n")
    data = layer_text("HDF5Data", [], ["scores", "label"], 'hdf5_data_param { source: "list.txt" batch_size: 2 }')
    (tmp_path / "net.prototxt").write_text(data + ours("scores", "label", tops=["accuracy", "recall"]))
    command = [str(CAFFE), "test", "-model", "net.prototxt", "-weights", "none.caffemodel", "-iterations", "3"]
    (tmp_path / "none.caffemodel").write_bytes(b"")
    environment = {"PATH": os.environ["PATH"], "GLOG_logtostderr": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    log_lines = done.stderr.splitlines()
    printed = [
        line.split("] ")[1] for line in log_lines if "caffe.cpp" in line and " = " in line and "Batch" not in line
    ]
    assert printed == ["accuracy = 1", "recall = nan", "recall = 1", "recall = nan"]
    assert sum("no label of class 2 counts in this batch: its recall is NaN" in line for line in log_lines) == 1


def test_where_the_classes_come_first_there_are_no_samples_to_weigh():
    inputs = {"scores": np.zeros((4, 4, 3)), "label": np.zeros((4, 3)), "sample_weight": np.ones(4)}
    with refused(ConfigError, "sample_weight", "(4,)", remedy="one per label (12)"):
        outputs([ours(*inputs, axis=0)], inputs, "accuracy")


def test_balanced_accuracy_is_the_mean_recall():
    inputs = {"scores": np.tile([1.0, 0, 0], (10, 1)), "label": np.array([0] * 9 + [1])}
    assert outputs([ours("scores", "label")], inputs, "accuracy")[0] == pytest.approx(0.9)
    assert outputs([ours("scores", "label", balanced=True)], inputs, "accuracy")[0] == pytest.approx(0.5)


def test_backward_gives_zeros_and_no_loss_weight_is_missed(caplog):
    inputs = {**batch((4, 3)), "sample_weight": np.ones(4)}
    net = build([ours(*inputs)], inputs)
    net.forward()
    for name in inputs:
        net.blobs[name].diff[...] = 7
    net.backward()
    assert not any(net.blobs[name].diff.any() for name in inputs)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("inputs", "options", "error", "message"),
    [
        ({"scores": np.eye(3), "label": np.arange(3)}, {"top_k": 4}, ConfigError, "top_k 4 is more than the 3 classes"),
        ({"scores": np.eye(3), "label": np.arange(3)}, {"top_k": 0}, ConfigError, "top_k"),
        (
            {"scores": np.eye(3), "label": np.arange(3)},
            {"axis": 2},
            ConfigError,
            r"axis 2 is not an axis of scores of shape \(3, 3\)",
        ),
        (
            {"scores": np.eye(3), "label": np.arange(2)},
            {},
            ConfigError,
            r"2 labels for scores of shape \(3, 3\); expected 3, ",
        ),
        ({"scores": np.eye(3), "label": np.array([0, 3, 1])}, {}, DataError, r"label 3 at sample 1 is outside 0\.\.2"),
        (
            {"scores": np.eye(3), "label": np.array([0, 0.5, 1])},
            {},
            DataError,
            "label 0.5 at sample 1 is not an integer",
        ),
        (
            {"scores": np.eye(3), "label": np.arange(3), "w": np.array([1, -1, 1])},
            {},
            DataError,
            "sample_weight -1 at sample 1 must be finite",
        ),
        (
            {"scores": np.eye(3), "label": np.arange(3), "w": np.ones(2)},
            {},
            ConfigError,
            r"2 weights; expected one per sample \(3\)",
        ),
        ({"scores": np.eye(3)}, {}, ConfigError, "found 1 bottom, expected 2 to 3"),
    ],
)
def test_errors_say_what_is_wrong(inputs, options, error, message):
    with pytest.raises(error, match=f"WeightedAccuracy: .*{message}"):
        outputs([ours(*inputs, **options)], inputs, "accuracy")


def test_a_forward_allocates_less_than_a_tenth_of_the_scores():
    shape = (100, 21, 32, 32)
    inputs = {"scores": np.random.RandomState(0).randn(*shape), "label": np.zeros((100, 32, 32))}
    inputs["sample_weight"] = np.ones(100)
    net = build([ours(*inputs, tops=["accuracy", "per_class"])], inputs)
    net.forward()
    tracemalloc.start()
    try:
        net.forward()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.4 * inputs["scores"].size
