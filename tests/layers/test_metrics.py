"""Metrics in nets: what a pass of batches gives is what scikit-learn gives for the whole set."""

import os
import subprocess

import caffe
import h5py
import numpy as np
import pytest
from sklearn import metrics as sk

from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.training.passes import Outputs
from tests.caffe_nets import build, layer_text, python_layer
from tests.layers.runs import CAFFE
from tests.layers.whole_sets import (
    COUNTED,
    RANKED,
    batches_of,
    by_scikit_learn,
    matrix_of,
    metrics,
    passing,
    printed,
    seg_accuracy,
    whole,
)
from tests.losses.references import plain_deeplab
from tests.refusals import refused


@pytest.mark.parametrize("average", ["macro", "micro"])
@pytest.mark.parametrize(("weighted", "ignored"), [(False, None), (True, None), (False, 255), (True, 3)])
@pytest.mark.parametrize(("shape", "axis"), [((20, 4), 1), ((30, 2), -1), ((2, 3, 4, 5), 1), ((3, 4, 5), 0)])
def test_the_mean_over_a_pass_is_the_metric_of_the_pass(shape, axis, weighted, ignored, average):
    axis %= len(shape)
    batches = batches_of(shape, axis, weighted=weighted, ignored=ignored)
    options = {"of": COUNTED + RANKED, "axis": axis, "restart_every": 4, "average": average, "ignore_label": ignored}
    layer = metrics(*batches[0], tops=["metrics", "confusion"], **options)
    found, matrices = passing(layer, batches * 2, "metrics", "confusion")
    scores, labels, weights = whole(batches, axis, ignored)
    expected = by_scikit_learn(scores, labels, weights, average)
    matrix = sk.confusion_matrix(labels, scores.argmax(axis=1), sample_weight=weights, labels=range(shape[axis]))
    assert found.shape == (8, len(COUNTED + RANKED))
    for part in (slice(4), slice(4, 8)):  # the second pass begins with nothing
        np.testing.assert_allclose(printed(found[part]), [expected[name] for name in COUNTED + RANKED], rtol=1e-6)
        np.testing.assert_allclose(printed(matrices[part]), matrix, rtol=1e-6)


def test_a_mean_over_batches_would_be_another_number():
    """Else the tests here would show nothing."""
    batches = batches_of((20, 4))
    (found,) = passing(metrics("scores", "label", of=COUNTED[1:] + RANKED, restart_every=1), batches, "metrics")
    expected = by_scikit_learn(*whole(batches))
    assert (abs(printed(found) - [expected[name] for name in COUNTED[1:] + RANKED]) > 1e-3).all()


def test_running_gives_the_metrics_so_far():
    batches = batches_of((20, 4))
    layer = metrics(
        "scores", "label", tops=["metrics", "confusion"], of=COUNTED + RANKED, restart_every=4, output="running"
    )
    found, matrices = passing(layer, batches, "metrics", "confusion")
    for number in range(4):
        scores, labels, weights = whole(batches[: number + 1])
        matrix = sk.confusion_matrix(labels, scores.argmax(axis=1), labels=range(4))
        np.testing.assert_array_equal(matrices[number], matrix)
        expected = by_scikit_learn(scores, labels, weights)
        np.testing.assert_allclose(found[number], [expected[name] for name in COUNTED + RANKED], rtol=1e-6)


def test_in_train_each_batch_is_by_itself(caplog):
    batches = batches_of((20, 4))
    layer = metrics("scores", "label", of=["mean_iou"], restart_every=4)
    (found,) = passing(layer, batches, "metrics", phase=caffe.TRAIN)
    expected = [by_scikit_learn(*whole([batch]))["mean_iou"] for batch in batches[-1:]]
    np.testing.assert_allclose(found[-1], expected, rtol=1e-6)
    (single,) = passing(metrics("scores", "label", of=["mean_iou"], restart_every=1), batches, "metrics")
    np.testing.assert_array_equal(found, single)
    assert caplog.messages == []


def test_the_warning_where_restart_every_is_not_given(caplog):
    batches = batches_of((20, 4))
    passing(metrics("scores", "label", of=["mean_iou"]), batches, "metrics")
    (message,) = caplog.messages
    assert "'restart_every' is not given" in message
    assert "set 'restart_every' to the solver's test_iter" in message


@pytest.mark.parametrize("name", ["mean_iou", "auc"])
def test_a_batch_without_labels_poisons_no_pass(name, caplog):
    batches = batches_of((20, 4))
    empty = {"scores": batches[0]["scores"], "label": np.full(20, 9)}
    one_class = {"scores": batches[0]["scores"], "label": np.full(20, 2)}
    layer = metrics("scores", "label", of=[name], restart_every=6, ignore_label=9)
    (found,) = passing(layer, [empty, one_class, *batches], "metrics")
    expected = by_scikit_learn(*whole([one_class, *batches]))[name]
    np.testing.assert_allclose(printed(found), [expected], rtol=1e-6)
    assert caplog.messages == []


@pytest.mark.parametrize(("name", "label"), [("mean_iou", 9), ("auc", 9), ("auc", 2)])
def test_a_pass_without_labels_is_nan_and_told_once(name, label, caplog):
    batch = {"scores": np.zeros((5, 4)), "label": np.full(5, label)}
    layer = metrics("scores", "label", of=[name], restart_every=2, ignore_label=9)
    (found,) = passing(layer, [batch] * 4, "metrics")
    assert np.isnan(printed(found[:2])).all() and np.isnan(printed(found[2:])).all()
    assert [message for message in caplog.messages if "is NaN" in message] == caplog.messages[:1]
    assert caplog.messages[0].startswith(f"Metrics: {name} is NaN, and so is the mean")


def test_a_thousand_batches_are_exact_to_float32():
    batches = batches_of((20, 4), num=1000)
    of = [*COUNTED, "auc"]
    (found,) = passing(metrics("scores", "label", of=of, restart_every=1000), batches, "metrics")
    expected = by_scikit_learn(*whole(batches))
    np.testing.assert_allclose(printed(found), [expected[name] for name in of], rtol=1.2e-7)


def test_a_batch_that_fails_is_not_counted():
    batches = batches_of((20, 4))
    of = ["mean_iou", "auc"]
    net = build([metrics("scores", "label", of=of, restart_every=4)], batches[0], caffe.TEST)
    found = []
    for batch in batches:
        net.blobs["scores"].data[...] = batch["scores"]
        net.blobs["label"].data[...] = batch["label"]
        net.blobs["scores"].data[3, 1] = np.nan
        with refused(DataError, "sample 3", "NaN", layer="Metrics"):
            net.forward()
        net.blobs["scores"].data[...] = batch["scores"]
        net.forward()
        found.append(net.blobs["metrics"].data.copy())
    expected = by_scikit_learn(*whole(batches))
    np.testing.assert_allclose(printed(found), [expected[name] for name in of], rtol=1e-6)


@pytest.mark.parametrize("name", ["mean_iou", "auc"])
def test_nan_counts_only_where_the_label_does(name):
    (batch,) = batches_of((2, 3, 4), num=1, ignored=9)
    batch["label"][0, 2], batch["scores"][0, 1, 2] = 9, np.nan
    layer = metrics("scores", "label", of=[name], restart_every=1, ignore_label=9)
    (found,) = passing(layer, [batch], "metrics")
    assert found[0] == pytest.approx(by_scikit_learn(*whole([batch], ignored=9))[name])
    batch["label"][0, 2] = 1
    with refused(DataError, "index (0, 2)", remedy="'ignore_label'", layer="Metrics"):
        passing(layer, [batch], "metrics")


def test_the_remedy_for_a_bad_target_helps():
    batch = {"scores": np.zeros((2, 3)), "label": np.array([[0, 1, 3], [1, 0, 1]])}
    with pytest.raises(DataError) as found:
        passing(metrics("scores", "label", of=["auc"], restart_every=1), [batch], "metrics")
    assert found.value.remedy == "'ignore_label': 3 leaves out what has this label"
    passing(metrics("scores", "label", of=["auc"], restart_every=1, ignore_label=3), [batch], "metrics")


def test_the_first_of_equal_scores_is_predicted():
    batch = {"scores": np.array([[1, 1, 0], [0, 1, 1]]), "label": np.array([0, 2])}
    layer = metrics("scores", "label", tops=["metrics", "confusion"], of=["pixel_accuracy"], restart_every=1)
    accuracy, matrix = passing(layer, [batch], "metrics", "confusion")
    assert accuracy == 0.5
    assert matrix[0].tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("shape", [(30, 1), (30, 3), (5, 2, 6)])
def test_several_labels_are_a_problem_each(shape):
    """A target for each score; -1 is not known, and 9 is ignored."""
    rng = np.random.RandomState(0)
    batches = [
        {"scores": rng.randn(*shape).astype(np.float32), "label": rng.choice([-1, 0, 1, 1, 9], shape)} for _ in range(3)
    ]
    layer = metrics("scores", "label", of=RANKED, restart_every=3, ignore_label=9)
    (found,) = passing(layer, batches, "metrics")
    scores, labels = (
        np.concatenate([np.moveaxis(batch[name], 1, -1).reshape(-1, shape[1]) for batch in batches])
        for name in ("scores", "label")
    )
    columns = [
        (labels[:, c][there], scores[:, c][there]) for c in range(shape[1]) for there in [np.isin(labels[:, c], (0, 1))]
    ]
    expected = [np.mean([of(*column) for column in columns]) for of in (sk.average_precision_score, sk.roc_auc_score)]
    np.testing.assert_allclose(printed(found), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("scores", "label", "of", "tops"),
    [((4, 1), (4,), ["mean_iou"], 1), ((4, 3), (4, 3), ["auc", "f1"], 1), ((4, 3), (4, 3), ["auc"], 2), ((4, 1), (4,), ["auc"], 2)],
)  # fmt: skip
def test_classes_cannot_be_counted_of_targets(scores, label, of, tops):
    layer = metrics("scores", "label", tops=["metrics", "confusion"][:tops], of=of)
    with refused(
        ConfigError, str(scores), str(label), remedy="average_precision and auc", layer="Metrics", option="of"
    ):
        build([layer], {"scores": np.zeros(scores), "label": np.zeros(label)})


@pytest.mark.parametrize("shape", [(20, 4), (20, 2)])
def test_more_scores_than_allowed_are_an_error_that_says_how_many_a_pass_has(shape):
    batches = batches_of(shape)
    kept = 20 * (4 if shape[1] == 4 else 1)
    options = {"of": ["auc"], "restart_every": 4}
    with refused(DataError, "'max_scores'", remedy=f"'max_scores': {4 * kept}", option="max_scores") as caught:
        passing(metrics("scores", "label", max_scores=4 * kept - 1, **options), batches, "metrics")
    assert f"{4 * kept} numbers of 4 of 4 batches" in caught.value.problem
    passing(metrics("scores", "label", max_scores=4 * kept, **options), batches * 2, "metrics")


def test_the_room_for_scores_that_is_advised_is_enough_when_the_last_batches_are_small():
    batches = [*batches_of((20, 4), num=1), *batches_of((2, 4), num=2)]
    options = {"of": ["auc"], "restart_every": 3}

    def a_pass(room):
        net = build([metrics("scores", "label", max_scores=room, **options)], batches[0], caffe.TEST)
        for batch in batches:
            for name, array in batch.items():
                net.blobs[name].reshape(*array.shape)
                net.blobs[name].data[...] = array
            net.forward()

    with refused(DataError, "'max_scores'", remedy="'max_scores': 96", option="max_scores"):
        a_pass(95)
    a_pass(96)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"of": []}, "a list of one or more, each one of"), ({"of": ["mIoU"]}, "mIoU"), ({"of": ["auc", "auc"]}, "twice"), ({"of": ["auc"], "restart_every": 0}, "restart_every")],
)  # fmt: skip
def test_options_that_are_refused(options, words):
    with refused(ConfigError, words):
        build([metrics("scores", "label", **options)], batches_of((20, 4))[0])


def test_a_log_of_training_names_the_numbers():
    net = build([metrics("scores", "label", of=["auc", "f1"]), seg_accuracy()], batches_of((20, 4))[0])
    of_fork = [f"test accuracy[{name}]" for name in COUNTED[:3]]
    assert Outputs(net, "test").names == [*of_fork, "test metrics[auc]", "test metrics[f1]"]


# ------------------------------------------------------------------------------------------------- the caffe program


def test_caffe_train_prints_the_metrics_of_the_whole_set(tmp_path):
    """Before the first iteration and behind the last; a snapshot comes between. Beside it what SegAccuracy makes of it."""
    batches = batches_of((6, 5, 2, 2), num=4, ignored=255)
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        for name in ("scores", "label"):
            file[name] = np.concatenate([batch[name] for batch in batches]).astype("f4")
    (tmp_path / "list.txt").write_text("rows.h5\n")
    of = COUNTED + RANKED
    test = "include { phase: TEST }"
    (tmp_path / "net.prototxt").write_text(
        layer_text("HDF5Data", [], ["scores", "label"], f'{test} hdf5_data_param {{ source: "list.txt" batch_size: 6 }}')
        + python_layer("Metrics", ["scores", "label"], ["metrics"], {"of": of, "restart_every": 4, "ignore_label": 255}, more=test)
        + python_layer("SegAccuracy", ["scores", "label"], ["seg"], {"ignore_label": 255}, more=test)
        + layer_text("DummyData", [], ["x", "y"], "dummy_data_param { shape { dim: 2 dim: 3 } }")
        + layer_text("InnerProduct", ["x"], ["fit"], "inner_product_param { num_output: 3 }")
        + layer_text("EuclideanLoss", ["fit", "y"], ["loss"])
    )  # fmt: skip
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 2 display: 0 snapshot: 1 snapshot_prefix: "net"\n'
        "test_iter: 4 test_interval: 1 solver_mode: CPU"
    )
    done = subprocess.run(
        [str(CAFFE), "train", "--solver", "solver.prototxt"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "GLOG_logtostderr": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line.split("Test net output #")[1] for line in done.stderr.splitlines() if "Test net output" in line]
    found = {
        name: [float(line.split(" = ")[1].split()[0]) for line in lines if f" {name} =" in line]
        for name in ("metrics", "seg")
    }
    expected = by_scikit_learn(*whole(batches, ignored=255))
    np.testing.assert_allclose(
        found["metrics"], 3 * [expected[name] for name in of], rtol=1e-5
    )  # six digits are printed
    by_batch = np.mean([plain_deeplab(matrix_of(batch, ignored=[255])) for batch in batches], axis=0)
    np.testing.assert_allclose(found["seg"], [*by_batch] * 3, rtol=1e-5)
    assert abs(by_batch[2] - expected["mean_iou"]) > 1e-3
