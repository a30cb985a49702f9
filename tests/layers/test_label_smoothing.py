import caffe
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.blob_limits import in_range
from tests.caffe_nets import build, layer_text, python_layer, run
from tests.refusals import refused

LABELS = np.array([0, 2, 1, 2, 0, 3])


def smooth_net(labels, options, phase=caffe.TRAIN):
    options = {"n_classes": 4, **options}
    return build([python_layer("LabelSmoothing", ["label"], ["q"], options)], {"label": np.asarray(labels)}, phase)


def smoothed(labels, phase=caffe.TRAIN, **options):
    return smooth_net(labels, options, phase).forward()["q"]


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
@pytest.mark.parametrize(
    ("options", "on", "off"),
    [
        ({}, 0.9 + 0.1 / 4, 0.1 / 4),
        ({"epsilon": 0.2}, 0.85, 0.05),
        ({"epsilon": 0.3, "over": "others"}, 0.7, 0.1),
        ({"epsilon": 0}, 1, 0),
        ({"epsilon": 0, "over": "others"}, 1, 0),
        ({"epsilon": 1}, 0.25, 0.25),
        ({"epsilon": 1, "over": "others"}, 0, 1 / 3),
    ],
    ids=str,
)
def test_both_parametrisations(options, on, off, phase):
    expected = np.full((6, 4), off)
    expected[np.arange(6), LABELS] = on
    np.testing.assert_allclose(smoothed(LABELS, phase, **options), expected, rtol=1e-6)


def test_goodfellows_e_is_szegedys_times_k_minus_1_over_k():
    np.testing.assert_allclose(
        smoothed(LABELS, epsilon=0.2), smoothed(LABELS, epsilon=0.2 * 3 / 4, over="others"), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((6,), (6, 4)),
        ((6, 1), (6, 4)),
        ((6, 1, 1, 1), (6, 4, 1, 1)),
        ((2, 1, 3, 1), (2, 4, 3, 1)),
        ((2, 3, 1), (2, 4, 3, 1)),
        ((2, 3), (2, 4, 3)),
        ((1, 2, 3), (1, 4, 2, 3)),
    ],
)
def test_shapes(shape, expected):
    labels = LABELS.reshape(shape)
    q = smoothed(labels)
    assert q.shape == expected
    classes = np.moveaxis(q, 1, -1)
    np.testing.assert_array_equal(classes.argmax(axis=-1).ravel(), LABELS)
    np.testing.assert_allclose(classes.sum(axis=-1), 1, rtol=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 2000), st.floats(0, 1).filter(in_range), st.sampled_from(["all", "others"]))
def test_entries_sum_to_1_within_rounding(num_classes, epsilon, over):
    q = smoothed([0, num_classes - 1], n_classes=num_classes, epsilon=epsilon, over=over)
    np.testing.assert_allclose(q.sum(axis=1, dtype=np.float64), 1, rtol=1e-6)
    assert (q >= 0).all()


def test_ignored_labels_give_zeros():
    labels = LABELS.reshape(2, 3).copy()
    labels[1, 1] = 255
    q = smoothed(labels, ignore_label=255)
    assert not q[1, :, 1].any()
    q[1, :, 1] = smoothed(LABELS.reshape(2, 3))[1, :, 1]
    np.testing.assert_array_equal(q, smoothed(LABELS.reshape(2, 3)))


@pytest.mark.parametrize(("label", "message"), [(4, "outside 0..3"), (0.5, "integer")])
def test_bad_labels_are_errors(label, message):
    with refused(DataError, f"label {label} at sample 1", message, layer="LabelSmoothing"):
        smoothed([0, label])


def test_it_follows_a_batch_of_another_size():
    net = smooth_net(LABELS, {})
    net.forward()
    net.blobs["label"].reshape(3)
    net.blobs["label"].data[...] = [3, 3, 0]
    q = net.forward()["q"]
    assert q.shape == (3, 4)
    assert q.argmax(axis=1).tolist() == [3, 3, 0]
    net.blobs["label"].reshape(0, 1, 2)
    net.forward()
    assert tuple(net.blobs["q"].shape) == (0, 4, 2)


def test_it_does_not_work_in_place():
    with refused(ConfigError, "top 1", "bottom 1", layer="LabelSmoothing"):
        build([python_layer("LabelSmoothing", ["label"], ["label"], {"n_classes": 4})], {"label": LABELS})


def test_labels_that_force_backward_asks_for_get_zeros():
    assert not run(smooth_net(LABELS, {}), "label")[0].any()


@pytest.mark.parametrize("weights", [None, [1, 2, 3, 4]])
@pytest.mark.parametrize("ignore", [{}, {"ignore_label": 2}], ids=str)
@pytest.mark.parametrize("size", [(), (5, 2)])
def test_into_soft_cross_entropy_it_equals_stock_infogain_loss_with_the_h_of_smoothing(tmp_path, size, ignore, weights):
    """And with class weights: those of the samples there are those in H here. Stock divides by the count of labels."""
    rng = np.random.RandomState(1)
    inputs = {"scores": rng.randn(6, 4, *size) * 3, "label": rng.randint(0, 4, (6, *size))}
    weights = weights or [1, 1, 1, 1]
    net = build(
        [
            python_layer("SampleWeight", ["label"], ["w"], {"n_classes": 4, "weights": weights, **ignore}),
            python_layer("LabelSmoothing", ["label"], ["q"], {"n_classes": 4, "epsilon": 0.2, **ignore}),
            python_layer("SoftCrossEntropyLoss", ["scores", "q", "w"], ["loss"], {"normalize_by": "count"}, 1),
        ],
        inputs,
    )
    h = build(
        [python_layer("ComputeH", ["label"], ["H"], {"n_classes": 4, "weights": weights, "smoothing": 0.2})],
        {"label": LABELS},
    ).forward()["H"]
    (tmp_path / "h.binaryproto").write_bytes(caffe.io.array_to_blobproto(h).SerializeToString())
    parameters = f'infogain_loss_param {{ source: "{tmp_path}/h.binaryproto" }} loss_param {{ '
    parameters += " ".join(f"{name}: {value}" for name, value in ignore.items()) + " }"
    stock = build([layer_text("InfogainLoss", ["scores", "label"], ["loss"], parameters, 1)], inputs)
    np.testing.assert_allclose(run(net, "scores"), run(stock, "scores"), rtol=1e-4, atol=1e-7)
    assert float(net.blobs["loss"].data) == pytest.approx(float(stock.blobs["loss"].data), rel=1e-5)
