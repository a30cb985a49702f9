"""What the tops of each data layer hold, against the files they come from and against stock layers."""

import shutil

import caffe
import cv2
import h5py
import lmdb
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers import ConfigError
from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests.layers.every_source_and_layer import LAYERS, net_of, write_all


@pytest.fixture(scope="module")
def folder(photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("tops")
    write_all(path, photos)
    return path


def labels_of(photos, images):
    """The labels of images that a net fed, found by their pixels."""
    known = {
        cv2.resize(photos.decoded(record), (20, 24)).transpose(2, 0, 1).astype("f4").tobytes(): record
        for record in range(len(photos.names))
    }
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
            "found 4 tops; expected 3, or 5 with the labels of both images",
        ),
        ("SiameseDataLayer", ["data"], {"stacked": True}, "found 1 top, expected 2 to 3: data, sim, \\[label\\]"),
        ("TripletDataLayer", ["data", "margin", "label"], {"stacked": True}, "found 3 tops, expected 1 to 2"),
        ("MultiLabelDataLayer", ["data"], {}, "found 1 top, expected 2 to 3: data, label, \\[sample_weight\\]"),
    ],
)
def test_wrong_numbers_of_tops(data_net, pixels, layer, tops, options, message):
    with pytest.raises(ConfigError, match=message):
        data_net(layer, tops, **options, **pixels)


@pytest.mark.stock_data
def test_float_datums_equal_stock_data(data_net, tmp_path):
    rng = np.random.default_rng(0)
    write_lmdb(str(tmp_path / "floats"), [
        Datum(label=label, channels=5, height=4, width=3, float_data=rng.normal(size=60).astype("f4")) for label in range(6)
    ])  # fmt: skip
    (tmp_path / "stock.prototxt").write_text(f"""layer {{ name: "stock" type: "Data" top: "data" top: "label"
        data_param {{ source: "{tmp_path / "floats"}" backend: LMDB batch_size: 4 }} transform_param {{ scale: 3 }} }}""")
    for prefetch in (False, 2):
        stock = caffe.Net(str(tmp_path / "stock.prototxt"), caffe.TEST)
        ours = data_net(
            "ImageDataLayer",
            ["data", "label"],
            source_type="LMDB",
            source=str(tmp_path / "floats"),
            batch_size=4,
            scale=3,
            prefetch=prefetch,
        )
        stock.forward()
        for top in ("data", "label"):
            np.testing.assert_array_equal(ours.blobs[top].data, stock.blobs[top].data)
    caffe_pylayers.close()


def test_hdf5_equals_stock_hdf5data(data_net, tmp_path):
    """Its three tops, sample_weight too, over two files."""
    rng = np.random.default_rng(0)
    for name, size in (("a.h5", 5), ("b.h5", 4)):
        with h5py.File(str(tmp_path / name), "w") as file:
            file["data"] = rng.normal(size=(size, 3, 4, 5)).astype("f4")
            file["label"] = rng.integers(0, 9, size).astype("f4")
            file["sample_weight"] = rng.random(size).astype("f4")
    listed = tmp_path / "files.txt"
    listed.write_text(f"{tmp_path}/a.h5\n{tmp_path}/b.h5\n")
    (tmp_path / "stock.prototxt").write_text(f"""layer {{ name: "stock" type: "HDF5Data" top: "data" top: "label"
        top: "sample_weight" hdf5_data_param {{ source: "{listed}" batch_size: 3 }} }}""")
    stock = caffe.Net(str(tmp_path / "stock.prototxt"), caffe.TEST)
    ours = data_net(
        "ImageDataLayer", ["data", "label", "sample_weight"], source_type="HDF5", source=str(listed), batch_size=3
    )
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


def test_anchors_left_out_are_counted(data_net, tmp_path, caplog):
    caplog.set_level("INFO")
    write_lmdb(str(tmp_path / "lmdb"), [Datum(bytes(12), label, 3, 2, 2) for label in (0, 0, 1, 1, 2)])
    data_net("TripletDataLayer", ["a", "p", "n"], source_type="LMDB", source=str(tmp_path / "lmdb"), batch_size=2)
    assert (
        f"TripletDataLayer: 1 of 5 records of {tmp_path}/lmdb are left out, because each is the only one of its class"
        in caplog.text
    )


def test_damaged_records_are_not_said_to_have_a_negative_label(data_net, tmp_path, caplog):
    caplog.set_level("INFO")
    path = str(tmp_path / "lmdb")
    write_lmdb(path, [Datum(bytes(12), label, 3, 2, 2) for label in (0, 0, 1, 1, -1)])
    with lmdb.open(path, map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"00000001", b"\x22\x0c")
    options = {"source_type": "LMDB", "source": path, "batch_size": 2, "on_error": "skip"}
    data_net("ImageDataLayer", ["data"], type="BALANCED", **options)
    (line,) = caplog.messages
    damage = f"LMDB source {path}: record 1 ('00000001'): a protobuf message cut short"
    assert (
        f"2 of 5 records of {path} are left out, because they have no label (a negative label means none; damaged ones: 1, the first {damage}"
        in line
    )


@pytest.mark.parametrize("layer, tops, options", [
    ("TripletDataLayer", ["a", "p", "n"], {}),
    ("SiameseDataLayer", ["data", "data_p", "sim"], {}),
    ("ImageDataLayer", ["data"], {"type": "BALANCED"}),
    ("ImageDataLayer", ["data"], {"type": "PK", "classes_per_batch": 2, "samples_per_class": 2}),
])  # fmt: skip
def test_records_without_a_label_are_in_no_batch_and_counted_in_a_line(
    data_net, tmp_path, caplog, layer, tops, options
):
    """Each image is all of its number; from 4 on they are junk."""
    caplog.set_level("INFO")
    labels = (0, 0, 1, 1, -1, -1, -1)
    write_lmdb(str(tmp_path / "lmdb"), [Datum(bytes([n] * 12), label, 3, 2, 2) for n, label in enumerate(labels)])
    options = {"source_type": "LMDB", "source": str(tmp_path / "lmdb"), "batch_size": 4, **options}
    made = data_net(layer, tops, **options)
    line = f"{layer}: 3 of 7 records of {tmp_path}/lmdb are left out, because they have no label (a negative label means none)"
    assert caplog.messages == [line]
    images = [top for top in tops if top != "sim"]
    for _ in range(20):
        made.forward()
        assert max(made.blobs[top].data.max() for top in images) < 4
    if len(tops) == 1:
        return
    caplog.clear()
    made = data_net(layer, tops, unlabelled="negative", **options)
    assert caplog.messages == [
        line.replace(
            "because they have no label (a negative label means none)",
            "except as negatives, because they have no label (a negative label means none)",
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


def test_all_images_are_fed_with_the_labels_that_they_have(data_net, tmp_path):
    write_lmdb(str(tmp_path / "lmdb"), [Datum(bytes(12), label, 3, 2, 2) for label in (0, -1, 1)])
    made = data_net(
        "ImageDataLayer", ["data", "label"], source_type="LMDB", source=str(tmp_path / "lmdb"), batch_size=3
    )
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
    for other in (
        {"k": 4},
        {"n": 7},
        {"seed": 1},
        {"m": str(tmp_path / "other.json")},
        {"type": "RANDOM"},
        {"unlabelled": "negative"},
    ):
        assert order_of(folder, "triplets HARD", **other) != hard
    assert order_of(folder, "images in order") != order_of(folder, "images in order", shuffle=True)
