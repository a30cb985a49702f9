"""What the tops of each data layer hold, against the files they come from and against stock layers."""

import shutil

import caffe
import cv2
import h5py
import lmdb
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests.caffe_nets import layer_text, python_layer
from tests.layers.every_source_and_layer import LAYERS, net_of, write_all


@pytest.fixture(scope="module")
def folder(photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("tops")
    write_all(path, photos)
    return path


@pytest.fixture
def net(tmp_path):
    """Make a net of one layer."""

    def make(layer, tops, phase=caffe.TRAIN, **options):
        path = tmp_path / "data.prototxt"
        path.write_text(
            f'layer {{ name: "train_data" type: "Python" {" ".join(f"top: {chr(34)}{top}{chr(34)}" for top in tops)} '
            f'python_param {{ module: "caffe_pylayers" layer: "{layer}" param_str: "{options}" }} }}'
        )
        made = caffe.Net(str(path), phase)
        made.forward()
        return made

    return make


@pytest.fixture
def pixels(tmp_path):
    """An LMDB of seven small images, each all of its number."""
    write_lmdb(str(tmp_path / "lmdb"), [Datum(bytes([number] * 12), number % 3, 3, 2, 2) for number in range(7)])
    return {"source_type": "LMDB", "source": str(tmp_path / "lmdb"), "batch_size": 7}


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
def test_several_labels_as_zeros_and_ones(net, pixels, sets, label_dim):
    more = {} if label_dim is None else {"label_dim": label_dim}
    many = net("MultiLabelDataLayer", ["data", "label"], multilabel=True, labels=sets, **more, **pixels)
    labels = many.blobs["label"].data
    assert labels.shape == (7, label_dim or 5, 1, 1)
    assert [set(np.flatnonzero(row)) for row in labels] == SETS
    assert set(np.unique(labels)) == {0, 1}


def test_indicator_rows_come_out_as_they_are(net, pixels, tmp_path):
    rows = [[number in one for number in range(6)] for one in SETS]
    np.save(str(tmp_path / "rows.npy"), np.array(rows, np.uint8))
    options = {"labels": str(tmp_path / "rows.npy"), "label_format": "indicator", **pixels}
    indicated = net("MultiLabelDataLayer", ["data", "label"], multilabel=True, **options)
    np.testing.assert_array_equal(indicated.blobs["label"].data[..., 0, 0], rows)
    listed = net("ImageDataLayer", ["data", "label"], **options).blobs["label"].data
    assert [set(row[row >= 0]) for row in listed] == SETS


def test_what_is_not_known_passes_to_the_loss_and_has_no_gradient(net, pixels, tmp_path):
    """-1 of an indicator is -1 in the top, for `ignore_label: -1`; the other terms are as if it were not there."""
    rows = np.random.RandomState(0).choice([-1, 0, 1], (7, 5), p=[0.3, 0.4, 0.3])
    np.save(str(tmp_path / "rows.npy"), rows)
    options = {"labels": str(tmp_path / "rows.npy"), "label_format": "indicator", "multilabel": True, **pixels}
    path = tmp_path / "net.prototxt"
    path.write_text(
        python_layer("MultiLabelDataLayer", [], ["data", "label"], options)
        + layer_text("InnerProduct", ["data"], ["scores"], 'inner_product_param { num_output: 5 weight_filler { type: "xavier" } }')
        + layer_text("Reshape", ["scores"], ["shaped"], "reshape_param { shape { dim: 0 dim: 0 dim: 1 dim: 1 } }")
        + python_layer(
            "WeightedSigmoidCrossEntropyLoss", ["shaped", "label"], ["loss"],
            {"ignore_label": -1, "normalization": "VALID"}, 1, "propagate_down: true propagate_down: false",
        )
    )  # fmt: skip
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


def test_what_is_not_known_has_no_place_among_numbers_of_labels(net, pixels, tmp_path):
    np.save(str(tmp_path / "rows.npy"), [[1, 0, 0], [0, -1, 1], *[[0, 1, 1]] * 5])
    options = {"labels": str(tmp_path / "rows.npy"), "label_format": "indicator", **pixels}
    assert net("ImageDataLayer", ["data"], **options).blobs["data"].data.any()
    message = (
        r"record 1 .*whether it has label 1 is not known .-1., .*; use MultiLabelDataLayer with 'multilabel': true"
    )
    with pytest.raises(DataError, match=message):
        net("ImageDataLayer", ["data", "label"], **options)


def test_signs_come_out_as_0_and_1(net, pixels, tmp_path):
    rows = np.random.RandomState(0).choice([-1, 1], (7, 5))
    np.save(str(tmp_path / "rows.npy"), rows)
    options = {"labels": str(tmp_path / "rows.npy"), "label_format": "sign", "multilabel": True, **pixels}
    label = net("MultiLabelDataLayer", ["data", "label"], **options).blobs["label"].data
    np.testing.assert_array_equal(label[..., 0, 0], rows > 0)


def test_rows_of_0_and_1_are_not_taken_for_numbers(net, pixels, tmp_path):
    np.save(str(tmp_path / "rows.npy"), [[0, 0, 1, 1]] * 7)
    options = {"labels": str(tmp_path / "rows.npy"), **pixels}
    with pytest.raises(DataError, match="labels 0:0:1:1: .*; set `label_format: indicator`"):
        net("MultiLabelDataLayer", ["data", "label"], multilabel=True, **options)
    two_tasks = net("ImageDataLayer", ["data", "label"], **options).blobs["label"].data
    np.testing.assert_array_equal(two_tasks, [[0, 0, 1, 1]] * 7)


def test_one_label_has_the_seeds_shape_under_either_name(net, pixels):
    for name in ("MultiLabelDataLayer", "MultiLabelLayer"):
        labels = net(name, ["data", "label"], **pixels).blobs["label"].data
        assert labels.shape == (7, 1, 1, 1)
        assert labels.ravel().tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_wrong_numbers_of_labels(net, pixels, sets):
    with pytest.raises(DataError, match=r"record 0 .*label 4, but 'label_dim' is 3: labels are 0 to 2"):
        net("MultiLabelDataLayer", ["data", "label"], multilabel=True, label_dim=3, labels=sets, **pixels)
    with pytest.raises(DataError, match="records of .*lmdb have 3 labels; set 'multilabel': true"):
        net("MultiLabelDataLayer", ["data", "label"], labels=sets, **pixels)


@pytest.mark.parametrize("layer, shape", [("ImageDataLayer", (7,)), ("MultiLabelDataLayer", (7, 1, 1, 1))])
def test_sample_weights(net, pixels, tmp_path, layer, shape):
    weights = lines(tmp_path / "weights.txt", "0.5\n" * 3 + "2\n" * 4)
    weighted = net(layer, ["data", "label", "weight"], sample_weights=weights, **pixels)
    assert weighted.blobs["weight"].data.shape == weighted.blobs["label"].data.shape == shape
    assert weighted.blobs["weight"].data.ravel().tolist() == [0.5] * 3 + [2] * 4


def test_a_weight_a_sample_is_that_of_all_its_labels(net, pixels, sets, tmp_path):
    one = lines(tmp_path / "one.txt", "".join(f"{number}\n" for number in range(7)))
    many = net("MultiLabelDataLayer", ["data", "label", "weight"], multilabel=True, labels=sets, sample_weights=one,
               **pixels)  # fmt: skip
    np.testing.assert_array_equal(many.blobs["weight"].data[..., 0, 0], np.repeat(np.arange(7)[:, None], 5, axis=1))
    with pytest.raises(DataError, match="2 columns|2 sample weights a record"):
        two = lines(tmp_path / "two.txt", "1 2\n" * 7)
        net(
            "MultiLabelDataLayer",
            ["data", "label", "weight"],
            multilabel=True,
            labels=sets,
            sample_weights=two,
            **pixels,
        )


def test_weights_of_a_csv_with_a_header(net, photos, tmp_path):
    rows = "".join(
        f"{number % 3},{photos.folder}/{name},{number},{2 * number}\n" for number, name in enumerate(photos.names)
    )
    listed = lines(tmp_path / "list.csv", f"label,name,weight,other\n{rows}")
    for option, factor in (({}, 1), ({"sample_weights": "other"}, 2)):
        csv = net(
            "ImageDataLayer", ["data", "label", "weight"], source=listed, header=True, resize=8, batch_size=5, **option
        )
        assert csv.blobs["label"].data.tolist() == [0, 1, 2, 0, 1]
        assert csv.blobs["weight"].data.tolist() == [factor * number for number in range(5)]


def test_a_top_of_weights_needs_weights(net, pixels):
    with pytest.raises(DataError, match="it has no sample weights, but the layer has a top for them"):
        net("ImageDataLayer", ["data", "label", "weight"], **pixels)


def test_weights_without_a_top_are_told(net, pixels, tmp_path, caplog):
    net("ImageDataLayer", ["data", "label"], sample_weights=lines(tmp_path / "w.txt", "1\n" * 7), **pixels)
    assert "ImageDataLayer: 'sample_weights' has no effect: the layer has no third top" in caplog.text


def labels_of(photos, images):
    """The labels of images that a net fed, found by their pixels."""
    known = {cv2.resize(photos.decoded(record), (20, 24)).transpose(2, 0, 1).astype("f4").tobytes(): record
             for record in range(len(photos.names))}  # fmt: skip
    return photos.labels[[known[image.tobytes()] for image in images]]


def test_pairs(folder, photos):
    pairs = net_of(folder, "LMDB", "pairs HARD", batch_size=8)
    similar = 0
    for _ in range(10):
        pairs.forward()
        one, other, sim, label, label_p = (pairs.blobs[top].data for top in LAYERS["pairs HARD"][1])
        np.testing.assert_array_equal(label, labels_of(photos, one))
        np.testing.assert_array_equal(label_p, labels_of(photos, other))
        np.testing.assert_array_equal(sim, label == label_p)
        assert sim.shape == label.shape == label_p.shape == (8,)
        assert sim.sum() == 4
        similar += sim.sum()
    assert similar == 40


def test_stacked_tops_are_the_others_one_after_the_other(folder, photos):
    apart, stacked = net_of(folder, "LMDB", "pairs"), net_of(folder, "LMDB", "pairs stacked")
    for _ in range(4):
        apart.forward()
        stacked.forward()
        np.testing.assert_array_equal(
            stacked.blobs["data"].data, np.concatenate([apart.blobs[top].data for top in ("data", "data_p")])
        )
        np.testing.assert_array_equal(stacked.blobs["sim"].data, apart.blobs["sim"].data)
        np.testing.assert_array_equal(stacked.blobs["label"].data, labels_of(photos, stacked.blobs["data"].data))


def test_stacked_triplets_with_margins(folder):
    apart, stacked = net_of(folder, "LMDB", "triplets MULTILABEL"), net_of(folder, "LMDB", "triplets stacked")
    for _ in range(4):
        apart.forward()
        stacked.forward()
        blobs = [apart.blobs[top].data for top in ("anchor", "positive", "negative")]
        np.testing.assert_array_equal(stacked.blobs["data"].data, np.concatenate(blobs))
        np.testing.assert_array_equal(stacked.blobs["margin"].data, apart.blobs["margin"].data)
        anchors, positives, negatives = stacked.blobs["label"].data.reshape(3, 5, 2)
        for anchor, positive, negative, margin in zip(anchors, positives, negatives, stacked.blobs["margin"].data):
            assert margin == pytest.approx(similarity(anchor, positive) - similarity(anchor, negative))
            assert margin > 0


def similarity(one, other):
    one, other = set(one), set(other)
    return len(one & other) / len(one | other)


@pytest.mark.parametrize(
    "layer, tops, options, message",
    [
        (
            "SiameseDataLayer",
            ["data", "data_p", "sim", "label"],
            {},
            "found 4 tops; it has 3, or 5 with the labels of both",
        ),
        ("SiameseDataLayer", ["data"], {"stacked": True}, "found 1 top, but it has 2 to 3: data, sim, \\[label\\]"),
        ("TripletDataLayer", ["data", "margin", "label"], {"stacked": True}, "found 3 tops, but it has 1 to 2"),
        ("MultiLabelDataLayer", ["data"], {}, "found 1 top, but it has 2 to 3: data, label, \\[sample_weight\\]"),
    ],
)
def test_wrong_numbers_of_tops(net, pixels, layer, tops, options, message):
    with pytest.raises(ConfigError, match=message):
        net(layer, tops, **options, **pixels)


def test_float_datums_equal_stock_data(net, tmp_path):
    rng = np.random.default_rng(0)
    write_lmdb(str(tmp_path / "floats"), [
        Datum(label=label, channels=5, height=4, width=3, float_data=rng.normal(size=60).astype("f4")) for label in range(6)
    ])  # fmt: skip
    (tmp_path / "stock.prototxt").write_text(f"""layer {{ name: "stock" type: "Data" top: "data" top: "label"
        data_param {{ source: "{tmp_path / "floats"}" backend: LMDB batch_size: 4 }} transform_param {{ scale: 3 }} }}""")
    for prefetch in (False, 2):
        stock = caffe.Net(str(tmp_path / "stock.prototxt"), caffe.TEST)
        ours = net(
            "ImageDataLayer", ["data", "label"], source_type="LMDB", source=str(tmp_path / "floats"), batch_size=4,
            scale=3, prefetch=prefetch,
        )  # fmt: skip
        stock.forward()
        for top in ("data", "label"):
            np.testing.assert_array_equal(ours.blobs[top].data, stock.blobs[top].data)
    caffe_pylayers.close()


def test_hdf5_equals_stock_hdf5data(net, tmp_path):
    """Its three tops, sample_weight too, over two files."""
    rng = np.random.default_rng(0)
    for name, size in (("a.h5", 5), ("b.h5", 4)):
        with h5py.File(str(tmp_path / name), "w") as file:
            file["data"] = rng.normal(size=(size, 3, 4, 5)).astype("f4")
            file["label"] = rng.integers(0, 9, size).astype("f4")
            file["sample_weight"] = rng.random(size).astype("f4")
    listed = lines(tmp_path / "files.txt", f"{tmp_path}/a.h5\n{tmp_path}/b.h5\n")
    (tmp_path / "stock.prototxt").write_text(f"""layer {{ name: "stock" type: "HDF5Data" top: "data" top: "label"
        top: "sample_weight" hdf5_data_param {{ source: "{listed}" batch_size: 3 }} }}""")
    stock = caffe.Net(str(tmp_path / "stock.prototxt"), caffe.TEST)
    ours = net("ImageDataLayer", ["data", "label", "sample_weight"], source_type="HDF5", source=listed, batch_size=3)
    for number in range(7):
        stock.forward()
        if number:
            ours.forward()
        for top in ("data", "label", "sample_weight"):
            np.testing.assert_array_equal(ours.blobs[top].data, stock.blobs[top].data)


def test_hard_negatives_that_begin_later_are_told_without_resume(folder, caplog):
    net_of(folder, "LMDB", "pairs HARD")
    assert "starts again at iteration 0, with 4 iterations of plain sampling ('n'); set 'resume': true" in caplog.text
    caplog.clear()
    net_of(folder, "LMDB", "pairs HARD", resume=True)
    net_of(folder, "LMDB", "triplets HARD")
    assert "plain sampling" not in caplog.text


def test_anchors_left_out_are_counted(net, tmp_path, caplog):
    caplog.set_level("INFO")
    write_lmdb(str(tmp_path / "lmdb"), [Datum(bytes(12), label, 3, 2, 2) for label in (0, 0, 1, 1, 2)])
    net("TripletDataLayer", ["a", "p", "n"], source_type="LMDB", source=str(tmp_path / "lmdb"), batch_size=2)
    assert (
        f"TripletDataLayer: 1 of 5 records of {tmp_path}/lmdb are left out, being the only ones of their class"
        in caplog.text
    )


def test_damaged_records_are_not_said_to_have_a_negative_label(net, tmp_path, caplog):
    caplog.set_level("INFO")
    path = str(tmp_path / "lmdb")
    write_lmdb(path, [Datum(bytes(12), label, 3, 2, 2) for label in (0, 0, 1, 1, -1)])
    with lmdb.open(path, map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"00000001", b"\x22\x0c")
    options = {"source_type": "LMDB", "source": path, "batch_size": 2, "on_error": "skip"}
    net("ImageDataLayer", ["data"], type="BALANCED", **options)
    (line,) = caplog.messages
    damage = f"LMDB source {path}: record 1 ('00000001'): a protobuf message cut short"
    assert (
        f"2 of 5 records of {path} are left out, having no label (a negative one; damaged ones: 1, the first {damage}"
        in line
    )


@pytest.mark.parametrize("layer, tops, options", [
    ("TripletDataLayer", ["a", "p", "n"], {}),
    ("SiameseDataLayer", ["data", "data_p", "sim"], {}),
    ("ImageDataLayer", ["data"], {"type": "BALANCED"}),
    ("ImageDataLayer", ["data"], {"type": "PK", "classes_per_batch": 2, "samples_per_class": 2}),
])  # fmt: skip
def test_records_without_a_label_are_in_no_batch_and_counted_in_a_line(net, tmp_path, caplog, layer, tops, options):
    """Each image is all of its number; from 4 on they are junk."""
    caplog.set_level("INFO")
    labels = (0, 0, 1, 1, -1, -1, -1)
    write_lmdb(str(tmp_path / "lmdb"), [Datum(bytes([n] * 12), label, 3, 2, 2) for n, label in enumerate(labels)])
    options = {"source_type": "LMDB", "source": str(tmp_path / "lmdb"), "batch_size": 4, **options}
    made = net(layer, tops, **options)
    line = f"{layer}: 3 of 7 records of {tmp_path}/lmdb are left out, having no label (a negative one)"
    assert caplog.messages == [line]
    images = [top for top in tops if top != "sim"]
    for _ in range(20):
        made.forward()
        assert max(made.blobs[top].data.max() for top in images) < 4
    if len(tops) == 1:
        return
    caplog.clear()
    made = net(layer, tops, unlabelled="negative", **options)
    assert caplog.messages == [
        line.replace(
            "having no label (a negative one)", "except as negatives (having a negative label, which means none)"
        )
    ]
    seen = set()
    for _ in range(20):
        made.forward()
        assert made.blobs[tops[0]].data.max() < 4
        assert made.blobs["p"].data.max() < 4 if "p" in tops else True
        last = made.blobs[tops[len(images) - 1]].data[:, 0, 0, 0]
        if "sim" in tops:
            assert (made.blobs["sim"].data[last >= 4] == 0).all()
        seen |= set(last.tolist())
    assert seen >= {4, 5, 6}


def test_all_images_are_fed_with_the_labels_that_they_have(net, tmp_path):
    write_lmdb(str(tmp_path / "lmdb"), [Datum(bytes(12), label, 3, 2, 2) for label in (0, -1, 1)])
    made = net("ImageDataLayer", ["data", "label"], source_type="LMDB", source=str(tmp_path / "lmdb"), batch_size=3)
    assert made.blobs["label"].data.tolist() == [0, -1, 1]


def order_of(folder, layer, **options):
    """What the layer's frozen blob says of the order that its position is in."""
    return net_of(folder, "LMDB", layer, resume=True, **options).params["train_data"][0].data[2:].tolist()


def test_a_position_is_in_the_order_that_the_options_make(folder, tmp_path):
    """Whatever changes the order is told after a restore; what does not, such as where a file lies, is not."""
    shutil.copy(folder / "graph.json", tmp_path)
    shutil.copy(folder / "graph.json", tmp_path / "other.json")
    hard = order_of(folder, "triplets HARD")
    for same in ({"shuffle": True}, {"m": str(tmp_path / "graph.json")}, {"prefetch": 2}, {"mirror": True}):
        assert order_of(folder, "triplets HARD", **same) == hard
    for other in ({"k": 4}, {"n": 7}, {"seed": 1}, {"m": str(tmp_path / "other.json")}, {"type": "RANDOM"},
                  {"unlabelled": "negative"}):  # fmt: skip
        assert order_of(folder, "triplets HARD", **other) != hard
    assert order_of(folder, "images in order") != order_of(folder, "images in order", shuffle=True)
