import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.layers.adapter import log
from tests.caffe_nets import build, layer_text, python_layer, run, write
from tests.refusals import refused

LABELS = np.array([0, 0, 0, 0, 1, 1, 2])  # four, two, one of three classes


def h_of(labels, options, shape=None):
    net = build([python_layer("ComputeH", ["label"], ["H"], options)], {"label": np.reshape(labels, shape or -1)})
    net.forward()
    return net.blobs["H"].data


def test_the_published_snippet_trains_with_stock_infogain_loss():
    """{"n_classes": 7} into InfogainLoss, axis 1, normalization FULL; then a batch that lacks classes."""
    rng = np.random.RandomState(0)
    labels = np.concatenate([np.arange(7), rng.randint(0, 7, 13)])
    infogain = layer_text(
        "InfogainLoss",
        ["scores", "label", "H"],
        ["loss"],
        "infogain_loss_param { axis: 1 } loss_param { normalization: FULL } "
        "propagate_down: true propagate_down: false propagate_down: false",
        1,
    )
    product = layer_text("InnerProduct", ["x"], ["scores"], "inner_product_param { num_output: 7 }")
    fill = product.replace("num_output: 7", 'num_output: 7 weight_filler { type: "xavier" }')
    inputs = {"x": rng.randn(20, 5), "label": labels}
    net = build([fill, python_layer("ComputeH", ["label"], ["H"], '{"n_classes": 7}'), infogain], inputs, 0, False)
    run(net)
    counts = np.bincount(labels, minlength=7)
    weights = counts.max() / counts
    h = net.blobs["H"].data
    assert h.shape == (1, 1, 7, 7)
    np.testing.assert_allclose(h[0, 0], np.diag(weights / weights.sum()), rtol=1e-6)
    prob = np.exp(net.blobs["scores"].data)
    prob /= prob.sum(axis=1, keepdims=True)
    expected = np.mean(-np.log(prob[np.arange(20), labels]) * (weights / weights.sum())[labels])
    assert float(net.blobs["loss"].data) == pytest.approx(expected, rel=1e-5)

    net.blobs["label"].data[...] = labels % 4
    (gradient,) = run(net, "scores")
    assert np.isfinite(gradient).all()
    assert gradient.any()
    assert not net.blobs["H"].data[0, 0, 4:].any()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1 / 7, 2 / 7, 4 / 7]),
        ({"scale": "none"}, [1, 2, 4]),
        ({"scale": "mean_one"}, np.array([1, 2, 4]) * 7 / 12),
        ({"rule": "balanced", "scale": "none"}, np.array([7 / 4, 7 / 2, 7]) / 3),
        ({"rule": "inverse_sqrt", "scale": "none"}, np.sqrt([1, 2, 4])),
        ({"weights": [0.5, 0, 3]}, [0.5, 0, 3]),
        ({"weights": [1, 1, 2], "scale": "mean_one"}, np.array([1, 1, 2]) * 7 / 8),
        ({"ignore_label": 2, "scale": "none"}, [1, 2, 0]),
        ({"rule": "effective_number", "beta": 0.5, "scale": "none"}, np.array([8, 10, 15]) * 3 / 33),
        ({"rule": "effective_number", "beta": 0.5}, np.array([8, 10, 15]) / 33),
        ({"rule": "effective_number", "beta": 0.5, "scale": "mean_one"}, np.array([8, 10, 15]) * 7 / 67),
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(7,), (7, 1, 1, 1), (1, 7, 1)])
def test_weights(options, expected, shape):
    options = {"n_classes": 3, **options}
    np.testing.assert_allclose(h_of(LABELS, options, shape)[0, 0], np.diag(expected), rtol=1e-6)
    net = build([python_layer("SampleWeight", ["label"], ["w"], options)], {"label": LABELS.reshape(shape)})
    net.forward()
    weights = net.blobs["w"].data
    assert weights.shape == shape
    each = np.where(options.get("ignore_label") == LABELS, 0, np.array(expected)[LABELS])
    np.testing.assert_allclose(weights.ravel(), each, rtol=1e-6)


def test_smoothing_makes_infogain_loss_a_smoothed_softmax_loss():
    smoothing, rng = 0.1, np.random.RandomState(1)
    scores = rng.randn(7, 3)
    layers = [
        python_layer("ComputeH", ["label"], ["H"], {"n_classes": 3, "scale": "none", "smoothing": smoothing}),
        layer_text("InfogainLoss", ["scores", "label", "H"], ["loss"], "loss_param { normalization: NONE }", 1),
    ]
    net = build(layers, {"scores": scores, "label": LABELS}, force_backward=False)
    net.forward()
    log_prob = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    target = (1 - smoothing) * np.eye(3)[LABELS] + smoothing / 3
    expected = -(np.array([1, 2, 4])[LABELS] * (target * log_prob).sum(axis=1)).sum()
    assert float(net.blobs["loss"].data) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["counts.npy", "counts.txt"])
def test_counts_from_a_file_hold_for_every_batch(tmp_path, name):
    path = str(tmp_path / name)
    np.save(path, [8, 4, 1]) if name.endswith(".npy") else (tmp_path / name).write_text("8\n4\n1\n")
    for labels in (LABELS, LABELS * 0):
        h = h_of(labels, {"n_classes": 3, "counts": path, "scale": "none"})
        np.testing.assert_allclose(h[0, 0], np.diag([1, 2, 8]))


def test_counts_and_weights_are_lists_or_files(tmp_path):
    """Each takes both, and text has blanks, commas, tabs, lines, comments, and the line ends of Windows."""
    for text in ("8\r\n4\r\n1\r\n", "8,4,1\n", "\ufeff8\t4\t1", "# cat dog emu\n8 4 1\n"):
        (tmp_path / "c.txt").write_bytes(text.encode())
        h = h_of(LABELS, {"n_classes": 3, "counts": str(tmp_path / "c.txt"), "scale": "none"})
        np.testing.assert_allclose(h[0, 0], np.diag([1, 2, 8]))
        h = h_of(LABELS, {"n_classes": 3, "weights": str(tmp_path / "c.txt")})
        np.testing.assert_allclose(h[0, 0], np.diag([8, 4, 1]))
    h = h_of(LABELS, {"n_classes": 3, "counts": [8, 4, 1], "scale": "none"})
    np.testing.assert_allclose(h[0, 0], np.diag([1, 2, 8]))
    rows = {"n_classes": 3, "rule": "median_frequency", "scale": "none"}
    (tmp_path / "rows.txt").write_text("3 7 1\n4 11 3\n")
    two = [h_of(LABELS, {**rows, "counts": counts}) for counts in ([3, 7, 1, 4, 11, 3], str(tmp_path / "rows.txt"))]
    np.testing.assert_array_equal(*two)
    target = {"n_classes": 2, "per": "label", "scale": "none"}
    (tmp_path / "rows.txt").write_text("3 7\n4 11\n")
    inputs = {"target": np.eye(2, dtype=np.float32)}
    found = []
    for counts in ([3, 7, 4, 11], str(tmp_path / "rows.txt")):
        net = build([python_layer("SampleWeight", ["target"], ["w"], {**target, "counts": counts})], inputs)
        found.append(net.forward()["w"].copy())
    np.testing.assert_array_equal(*found)


BAD_LISTS = [
    ({"counts": [8, 4]}, ConfigError, "'counts' has 2 numbers", "give it 3"),
    ({"counts": [8, 4, 1], "rule": "median_frequency"}, ConfigError, "'counts' has 3 numbers", "give it 6"),
    ({"counts": [0, 0, 0]}, ConfigError, "'counts' must have a number above 0", ""),
    ({"counts": [1, -1, 0]}, ConfigError, "'counts' must be", ""),
    ({"weights": "8\n4\n"}, DataError, "has 2 numbers", "3 weights"),
    ({"weights": "8 4\n1\n"}, DataError, "row 2 has 1 numbers", "as many"),
    ({"weights": "8 4 -1\n"}, DataError, "the weight of class 2 is -1", "at least 0"),
    ({"weights": "8 nan 1\n"}, DataError, "the weight of class 1 is nan", "at least 0"),
    ({"weights": "0 0 0\n"}, DataError, "all weights are 0", ""),
    ({"weights": "cat 3\n"}, DataError, "numbers are expected", ""),
    ({"counts": ""}, DataError, "it is empty", ""),
]


@pytest.mark.parametrize(("options", "kind", "problem", "remedy"), BAD_LISTS, ids=str)
def test_wrong_lists_and_files(tmp_path, options, kind, problem, remedy):
    for name, text in options.items():
        if isinstance(text, str) and name != "rule":
            (tmp_path / "file.txt").write_text(text)
            options = {**options, name: str(tmp_path / "file.txt")}
    with refused(kind, problem, remedy=remedy):
        h_of(LABELS, {"n_classes": 3, **options})


def test_bad_counts_are_found_at_set_up(tmp_path):
    with refused(DataError, "cannot be read", source="none.txt"):
        h_of(LABELS, {"n_classes": 3, "counts": str(tmp_path / "none.txt")})


def test_an_absent_class_can_be_an_error():
    h_of(LABELS, {"n_classes": 3, "empty": "error"})
    with refused(DataError, "class 1, 2 in the batch", remedy="'empty': 'zero'", layer="ComputeH"):
        h_of(LABELS * 0, {"n_classes": 3, "empty": "error"})


@pytest.mark.parametrize(("label", "message"), [(3, "label 3 at sample 2 is outside 0..2"), (0.5, "integer")])
def test_bad_labels_are_errors(label, message):
    labels = LABELS.astype(float)
    labels[2] = label
    with pytest.raises(DataError, match=f"ComputeH: .*{message}"):
        h_of(labels, {"n_classes": 3})


def test_n_classes_is_required():
    with refused(ConfigError, "required", option="n_classes", layer="ComputeH"):
        h_of(LABELS, {})


def test_sample_weight_feeds_a_weighted_loss():
    """Under its own normalisation the weighted softmax loss is the mean of the classes' mean losses."""
    scores = np.random.RandomState(2).randn(7, 3)
    layers = [
        python_layer("SampleWeight", ["label"], ["w"], {"n_classes": 3, "rule": "balanced"}),
        python_layer("WeightedSoftmaxLoss", ["scores", "label", "w"], ["loss"], loss_weight=1),
    ]
    net = build(layers, {"scores": scores, "label": LABELS})
    run(net)
    losses = -(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))[np.arange(7), LABELS]
    expected = np.mean([losses[c == LABELS].mean() for c in range(3)])
    assert float(net.blobs["loss"].data) == pytest.approx(expected, rel=1e-5)
    assert not net.blobs["label"].diff.any()


def test_sample_weight_works_in_place_and_compute_h_does_not():
    net = build(
        [python_layer("SampleWeight", ["label"], ["label"], {"n_classes": 3, "scale": "none"})], {"label": LABELS}
    )
    net.forward()
    np.testing.assert_array_equal(net.blobs["label"].data, np.array([1, 2, 4])[LABELS])
    with refused(ConfigError, "top 1", "bottom 1", layer="ComputeH"):
        build([python_layer("ComputeH", ["label"], ["label"], {"n_classes": 3})], {"label": LABELS})


def test_one_line_tells_the_weights_and_what_they_do_to_the_loss(caplog):
    caplog.set_level("INFO", log.name)
    net = build([python_layer("ComputeH", ["label"], ["H"], "n_classes: 3")], {"label": LABELS}, caffe.TEST)
    net.forward()
    net.forward()
    assert caplog.messages == ["ComputeH: class weights 0.1429, 0.2857, 0.5714; they multiply the mean loss by 0.2449"]


@pytest.mark.parametrize("rule", ["max_count", "median_frequency", "effective_number"])
def test_all_labels_ignored_gives_zeros(rule, caplog):
    assert not h_of(LABELS * 0 + 255, {"n_classes": 3, "ignore_label": 255, "rule": rule}).any()
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("rule", ["max_count", "median_frequency"])
def test_an_empty_batch(rule):
    options = {"n_classes": 3, "rule": rule}
    net = build(
        [python_layer("SampleWeight", ["label"], ["w"], options), python_layer("ComputeH", ["label"], ["H"], options)],
        {"label": LABELS},
    )
    net.blobs["label"].reshape(0)
    net.forward()
    assert net.blobs["w"].count == 0
    assert not net.blobs["H"].data.any()


SEGMENTATION = np.array([[[0, 0], [0, 1]], [[1, 1], [1, 1]], [[1, 1], [2, 9]]])  # three images of 2 x 2


@pytest.mark.parametrize("shape", [(3, 2, 2), (3, 1, 2, 2), (3, 4)])
def test_median_frequency_has_the_denominator_of_the_paper(shape):
    """Pixels of the class over pixels, ignored ones aside, of the images that contain it."""
    options = {"n_classes": 4, "rule": "median_frequency", "scale": "none", "ignore_label": 9}
    expected = 7 / 11 / np.array([3 / 4, 7 / 11, 1 / 3])
    h = h_of(SEGMENTATION, options, shape)
    np.testing.assert_allclose(h[0, 0], np.diag([*expected, 0]), rtol=1e-6)


def test_median_frequency_from_a_file(tmp_path, caplog):
    caplog.set_level("INFO", log.name)
    path = write("3 7 1\n4 11 3\n", tmp_path, "counts.txt")
    options = {"n_classes": 3, "rule": "median_frequency", "scale": "none", "counts": path}
    expected = 7 / 11 / np.array([3 / 4, 7 / 11, 1 / 3])
    np.testing.assert_allclose(h_of(LABELS, options)[0, 0], np.diag(expected), rtol=1e-6)
    assert len(caplog.messages) == 1
    with refused(DataError, "one row", remedy="median_frequency", source="counts.txt"):
        h_of(LABELS, {**options, "counts": write("3 7 1", tmp_path, "counts.txt")})


def test_median_frequency_of_one_label_an_image_is_a_warning(caplog):
    net = build(
        [python_layer("ComputeH", ["label"], ["H"], {"n_classes": 3, "rule": "median_frequency"})], {"label": LABELS}
    )
    net.forward()
    net.forward()
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "every class the same weight" in warning
    assert "'balanced'" in warning
    np.testing.assert_allclose(np.diag(net.blobs["H"].data[0, 0]), 1 / 3, rtol=1e-6)


@pytest.mark.parametrize("name", ["matrix.npy", "matrix.binaryproto"])
@pytest.mark.parametrize("shape", [(1, 1, 3, 3), (3, 3), (9,)])
def test_a_matrix_from_a_file_is_scaled_by_the_class_weights(tmp_path, name, shape):
    matrix = np.random.RandomState(0).randn(3, 3).astype(np.float32)
    path = str(tmp_path / name)
    if name.endswith(".npy"):
        np.save(path, matrix.reshape(shape))
    else:
        (tmp_path / name).write_bytes(caffe.io.array_to_blobproto(matrix.reshape(shape)).SerializeToString())
    h = h_of(LABELS, {"n_classes": 3, "scale": "none", "source": path})
    np.testing.assert_allclose(h[0, 0], np.diag([1, 2, 4]) @ matrix, rtol=1e-6)


def test_options_of_counts_change_nothing_where_the_weights_are_given(caplog):
    options = {"n_classes": 3, "weights": [1, 2, 3]}
    idle = {"rule": "median_frequency", "empty": "error", "counts": "not_there.npy"}
    np.testing.assert_array_equal(h_of([0, 0, 1], {**options, **idle}), h_of([0, 0, 1], options))
    told = [message for message in caplog.messages if "has no effect, because 'weights' are given" in message]
    assert [message.split("'")[1] for message in told] == ["rule", "empty", "counts"]


def test_twenty_weights_are_listed_and_more_are_summed_up(caplog):
    caplog.set_level("INFO", log.name)
    h_of(np.arange(20), {"n_classes": 20})
    assert caplog.messages.pop().count("0.05,") == 19
    h_of(np.arange(19).repeat(np.arange(1, 20)), {"n_classes": 21, "scale": "none"})
    assert "class weights from 1 (class 18) to 19 (class 0) of 21, 0 for 2 classes; they" in caplog.messages.pop()
