"""What the tops for labels and weights hold, against the files they come from."""

import caffe
import numpy as np
import pytest

from caffe_pylayers import DataError
from tests.caffe_nets import layer_text, python_layer
from tests.refusals import refused


def lines(path, text):
    path.write_text(text)
    return str(path)


SETS = [{0, 4}, {1}, {2, 3}, set(), {4}, {0, 1, 2}, {3}]


@pytest.fixture
def sets(tmp_path):
    return lines(
        tmp_path / "sets.txt", "".join(":".join(map(str, sorted(one))) + "\n" if one else "-1\n" for one in SETS)
    )


@pytest.mark.parametrize("label_dim", [None, 5, 8])
def test_several_labels_as_zeros_and_ones(data_net, pixels, sets, label_dim):
    more = {} if label_dim is None else {"label_dim": label_dim}
    many = data_net("MultiLabelDataLayer", ["data", "label"], multilabel=True, labels=sets, **more, **pixels)
    labels = many.blobs["label"].data
    assert labels.shape == (7, label_dim or 5, 1, 1)
    assert [set(np.flatnonzero(row)) for row in labels] == SETS
    assert set(np.unique(labels)) == {0, 1}


def test_indicator_rows_come_out_as_they_are(data_net, pixels, tmp_path):
    rows = [[number in one for number in range(6)] for one in SETS]
    np.save(str(tmp_path / "rows.npy"), np.array(rows, np.uint8))
    options = {"labels": str(tmp_path / "rows.npy"), "label_format": "indicator", **pixels}
    indicated = data_net("MultiLabelDataLayer", ["data", "label"], multilabel=True, **options)
    np.testing.assert_array_equal(indicated.blobs["label"].data[..., 0, 0], rows)
    listed = data_net("ImageDataLayer", ["data", "label"], **options).blobs["label"].data
    assert [set(row[row >= 0]) for row in listed] == SETS


def test_what_is_not_known_passes_to_the_loss_and_has_no_gradient(data_net, pixels, tmp_path):
    """-1 of an indicator is -1 in the top, for `ignore_label: -1`; the other terms are as if it were not there."""
    rows = np.random.RandomState(0).choice([-1, 0, 1], (7, 5), p=[0.3, 0.4, 0.3])
    np.save(str(tmp_path / "rows.npy"), rows)
    options = {"labels": str(tmp_path / "rows.npy"), "label_format": "indicator", "multilabel": True, **pixels}
    path = tmp_path / "net.prototxt"
    path.write_text(
        python_layer("MultiLabelDataLayer", [], ["data", "label"], options)
        + layer_text(
            "InnerProduct",
            ["data"],
            ["scores"],
            'inner_product_param { num_output: 5 weight_filler { type: "xavier" } }',
        )
        + layer_text("Reshape", ["scores"], ["shaped"], "reshape_param { shape { dim: 0 dim: 0 dim: 1 dim: 1 } }")
        + python_layer(
            "WeightedSigmoidCrossEntropyLoss",
            ["shaped", "label"],
            ["loss"],
            {"ignore_label": -1, "normalization": "VALID"},
            1,
            "propagate_down: true propagate_down: false",
        )
    )
    made = caffe.Net(str(path), caffe.TRAIN)
    made.forward()
    made.backward()
    label, gradient = (blob[..., 0, 0] for blob in (made.blobs["label"].data, made.blobs["shaped"].diff))
    np.testing.assert_array_equal(label, rows)
    known = rows >= 0
    assert 5 < known.sum() < 30
    assert not gradient[~known].any()
    scores = made.blobs["scores"].data.astype(np.float64)
    expected = (1 / (1 + np.exp(-scores)) - rows) / known.sum()
    np.testing.assert_allclose(gradient[known], expected[known], rtol=1e-4, atol=1e-6)


def test_what_is_not_known_has_no_place_among_numbers_of_labels(data_net, pixels, tmp_path):
    np.save(str(tmp_path / "rows.npy"), [[1, 0, 0], [0, -1, 1], *[[0, 1, 1]] * 5])
    options = {"labels": str(tmp_path / "rows.npy"), "label_format": "indicator", **pixels}
    assert data_net("ImageDataLayer", ["data"], **options).blobs["data"].data.any()
    with refused(DataError, "label 1", "(-1)", record=1, remedy="'multilabel': true"):
        data_net("ImageDataLayer", ["data", "label"], **options)


def test_signs_come_out_as_0_and_1(data_net, pixels, tmp_path):
    rows = np.random.RandomState(0).choice([-1, 1], (7, 5))
    np.save(str(tmp_path / "rows.npy"), rows)
    options = {"labels": str(tmp_path / "rows.npy"), "label_format": "sign", "multilabel": True, **pixels}
    label = data_net("MultiLabelDataLayer", ["data", "label"], **options).blobs["label"].data
    np.testing.assert_array_equal(label[..., 0, 0], rows > 0)


def test_rows_of_0_and_1_are_not_taken_for_numbers(data_net, pixels, tmp_path):
    np.save(str(tmp_path / "rows.npy"), [[0, 0, 1, 1]] * 7)
    options = {"labels": str(tmp_path / "rows.npy"), **pixels}
    with refused(DataError, "0:0:1:1", remedy="`label_format: indicator`"):
        data_net("MultiLabelDataLayer", ["data", "label"], multilabel=True, **options)
    two_tasks = data_net("ImageDataLayer", ["data", "label"], **options).blobs["label"].data
    np.testing.assert_array_equal(two_tasks, [[0, 0, 1, 1]] * 7)


def test_one_label_has_the_seeds_shape_under_either_name(data_net, pixels):
    for name in ("MultiLabelDataLayer", "MultiLabelLayer"):
        labels = data_net(name, ["data", "label"], **pixels).blobs["label"].data
        assert labels.shape == (7, 1, 1, 1)
        assert labels.ravel().tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_wrong_numbers_of_labels(data_net, pixels, sets):
    with refused(DataError, "label 4", "'label_dim' is 3", record=0):
        data_net("MultiLabelDataLayer", ["data", "label"], multilabel=True, label_dim=3, labels=sets, **pixels)
    with refused(DataError, "3 labels", remedy="'multilabel': true"):
        data_net("MultiLabelDataLayer", ["data", "label"], labels=sets, **pixels)


@pytest.mark.parametrize("layer, shape", [("ImageDataLayer", (7,)), ("MultiLabelDataLayer", (7, 1, 1, 1))])
def test_sample_weights(data_net, pixels, tmp_path, layer, shape):
    weights = lines(tmp_path / "weights.txt", "0.5\n" * 3 + "2\n" * 4)
    weighted = data_net(layer, ["data", "label", "weight"], sample_weights=weights, **pixels)
    assert weighted.blobs["weight"].data.shape == weighted.blobs["label"].data.shape == shape
    assert weighted.blobs["weight"].data.ravel().tolist() == [0.5] * 3 + [2] * 4


def test_a_weight_a_sample_is_that_of_all_its_labels(data_net, pixels, sets, tmp_path):
    one = lines(tmp_path / "one.txt", "".join(f"{number}\n" for number in range(7)))
    many = data_net(
        "MultiLabelDataLayer", ["data", "label", "weight"], multilabel=True, labels=sets, sample_weights=one, **pixels
    )
    np.testing.assert_array_equal(many.blobs["weight"].data[..., 0, 0], np.repeat(np.arange(7)[:, None], 5, axis=1))
    with pytest.raises(DataError, match="2 columns|2 sample weights per record"):
        two = lines(tmp_path / "two.txt", "1 2\n" * 7)
        data_net(
            "MultiLabelDataLayer",
            ["data", "label", "weight"],
            multilabel=True,
            labels=sets,
            sample_weights=two,
            **pixels,
        )


def test_weights_of_a_csv_with_a_header(data_net, photos, tmp_path):
    rows = "".join(
        f"{number % 3},{photos.folder}/{name},{number},{2 * number}\n" for number, name in enumerate(photos.names)
    )
    listed = lines(tmp_path / "list.csv", f"label,name,weight,other\n{rows}")
    for option, factor in (({}, 1), ({"sample_weights": "other"}, 2)):
        csv = data_net(
            "ImageDataLayer", ["data", "label", "weight"], source=listed, header=True, resize=8, batch_size=5, **option
        )
        assert csv.blobs["label"].data.tolist() == [0, 1, 2, 0, 1]
        assert csv.blobs["weight"].data.tolist() == [factor * number for number in range(5)]


def test_a_top_of_weights_needs_weights(data_net, pixels):
    with refused(DataError, "no sample weights", remedy="'sample_weights'"):
        data_net("ImageDataLayer", ["data", "label", "weight"], **pixels)


def test_weights_without_a_top_are_told(data_net, pixels, tmp_path, caplog):
    data_net("ImageDataLayer", ["data", "label"], sample_weights=lines(tmp_path / "w.txt", "1\n" * 7), **pixels)
    assert "ImageDataLayer: 'sample_weights' has no effect: the layer has no third top" in caplog.text
