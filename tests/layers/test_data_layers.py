"""Data layers in nets: against stock Data, the seed's own prototxt, and bad input."""

import logging
import shutil
import subprocess

import caffe
import cv2
import numpy as np
import psutil
import pytest

import caffe_pylayers
from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests.layers.runs import CAFFE
from tests.refusals import refused


@pytest.fixture(autouse=True)
def no_process_is_left():
    yield
    caffe_pylayers.close()
    assert psutil.Process().children() == []


@pytest.fixture
def net(tmp_path):
    """Make a net of one data layer."""

    def make(layer, tops, options, phase=caffe.TRAIN):
        path = tmp_path / "data.prototxt"
        path.write_text(
            f'layer {{ name: "train_data" type: "Python" {" ".join(f"top: {chr(34)}{top}{chr(34)}" for top in tops)} '
            f'python_param {{ module: "caffe_pylayers" layer: "{layer}" param_str: "{options}" }} }}'
        )
        return caffe.Net(str(path), phase)

    return make


TRIPLET = ["anchor", "positive", "negative"]


EPOCHS = {  # of 12 records with the labels 0 0 0 0 1 1 1 2 2 2 2 3: batches, and the line of the log
    "images": ("ImageDataLayer", ["data", "label"], {"batch_size": 5}, 3, "12 records, 3 batches of 5 per epoch"),
    "whole batches": ("ImageDataLayer", ["data"], {"batch_size": 12}, 1, "12 records, 1 batch of 12 per epoch"),
    "a label alone is no anchor": ("TripletDataLayer", TRIPLET, {"batch_size": 4}, 3, "12 records, 3 batches of 4 triplets per epoch"),
    "pairs": ("SiameseDataLayer", ["data", "data_p", "sim"], {"batch_size": 2}, 6, "12 records, 6 batches of 2 pairs per epoch"),
    "classes": ("ImageDataLayer", ["data", "label"], {"type": "PK", "classes_per_batch": 2, "samples_per_class": 3}, 1,
                "12 records, 1 batch of 6 per epoch"),  # one pass over the classes
}  # fmt: skip


@pytest.mark.parametrize("case", EPOCHS)
def test_the_length_of_an_epoch_is_told(case, net, tmp_path, monkeypatch, caplog):
    layer, tops, options, batches, line = EPOCHS[case]
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "list.csv").write_text("".join(f"{tmp_path}/a.png,{label}\n" for label in "000011122223"))
    monkeypatch.setenv("GLOG_minloglevel", "0")
    caplog.set_level(logging.INFO, "caffe_pylayers")
    made = net(layer, tops, {**options, "source": str(tmp_path / "list.csv")}).layer_dict["train_data"]
    assert (made.num_records, made.batches_per_epoch) == (12, batches)
    told = f"{layer}: CSV source {tmp_path}/list.csv: {line}"
    assert caplog.messages.count(told) == 1, caplog.messages
    caplog.clear()
    monkeypatch.setenv("GLOG_minloglevel", "2")  # Caffe's own log is as quiet then
    net(layer, tops, {**options, "source": str(tmp_path / "list.csv")})
    assert told not in caplog.messages


def test_so_many_batches_have_every_record(net, photos):
    made = net(
        "ImageDataLayer",
        ["data", "label"],
        {"source": photos.csv, "root": str(photos.folder), "batch_size": 5, "resize": 8},
    )
    seen = set()
    layer = made.layer_dict["train_data"]
    for number in range(layer.batches_per_epoch):
        assert len(seen) < layer.num_records, number
        made.forward()
        seen |= {image.tobytes() for image in made.blobs["data"].data}
    assert len(seen) == layer.num_records == len(photos.names)


@pytest.mark.parametrize("encoded", [False, True], ids=["raw", "png"])
@pytest.mark.parametrize("prefetch", [False, 2])
@pytest.mark.stock_data
def test_equals_stock_data(net, tmp_path, encoded, prefetch):
    """Bit for bit, in TEST: order over the end of an epoch, centre crop, mean, scale, labels."""
    rng = np.random.default_rng(0)
    data = []
    for label in range(7):
        planes = rng.integers(0, 256, (3, 11, 9), dtype=np.uint8)
        png = cv2.imencode(".png", planes.transpose(1, 2, 0))[1].tobytes()
        data.append(Datum(png, label, 3, 11, 9, True) if encoded else Datum(planes.tobytes(), label, 3, 11, 9))
    write_lmdb(str(tmp_path / "db"), data)
    stock_path = tmp_path / "stock.prototxt"
    stock_path.write_text(f"""layer {{ name: "stock" type: "Data" top: "data" top: "label"
        data_param {{ source: "{tmp_path / "db"}" backend: LMDB batch_size: 4 }}
        transform_param {{ crop_size: 6 scale: 0.017 mean_value: 104 mean_value: 117.5 mean_value: 123 }} }}""")
    stock = caffe.Net(str(stock_path), caffe.TEST)
    ours = net("ImageDataLayer", ["data", "label"], {
        "source_type": "LMDB", "source": str(tmp_path / "db"), "batch_size": 4, "crop_size": 6, "scale": 0.017,
        "mean_value": [104, 117.5, 123], "prefetch": prefetch, "mirror": True, "shuffle": True,
    }, caffe.TEST)  # fmt: skip
    for _ in range(5):
        stock.forward()
        ours.forward()
        np.testing.assert_array_equal(ours.blobs["data"].data, stock.blobs["data"].data)
        np.testing.assert_array_equal(ours.blobs["label"].data, stock.blobs["label"].data)
        assert ours.blobs["label"].data.shape == stock.blobs["label"].data.shape


def test_reshape_draws_nothing(net, photos):
    options = {"source": photos.lmdb, "source_type": "LMDB", "batch_size": 3, "resize": 8}
    once, often = (net("ImageDataLayer", ["data", "label"], options) for _ in range(2))
    for _ in range(4):
        once.forward()
        often.reshape()
        often.forward()
        np.testing.assert_array_equal(once.blobs["data"].data, often.blobs["data"].data)


def test_several_labels_a_record(net, photos, tmp_path):
    lines = [f"{name},{label},{label + 10}" for name, label in zip(photos.names, photos.labels)]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    options = {"source": str(tmp_path / "list.csv"), "root": str(photos.folder), "batch_size": 3, "resize": 8}
    several = net("ImageDataLayer", ["data", "label"], options)
    several.forward()
    assert several.blobs["label"].data.tolist() == [[0, 10], [1, 11], [2, 12]]


def test_train_and_test_nets_share_an_lmdb(photos, tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(f"""layer {{ name: "train_data" type: "Python" top: "data" top: "label" python_param {{
        module: "caffe_pylayers" layer: "ImageDataLayer"
        param_str: "'source_type': 'LMDB', 'source': '{photos.lmdb}', 'batch_size': 5, 'resize': 9" }} }}""")
    nets = [caffe.Net(str(path), phase) for phase in (caffe.TRAIN, caffe.TEST)]
    for _ in range(3):
        first, second = (net.forward()["label"].copy() for net in nets)
        np.testing.assert_array_equal(first, second)


SEEDS_OWN = (
    "{'source_type': 'CSV', 'root': '../data/ALISC/train_image', 'batch_size': 32, 'source': "
    "'../data/ALISC/train_cat.csv', 'prefetch': True, 'type': 'RANDOM', 'resize': [256, 256], 'compressed': True}"
)


def test_the_seeds_own_prototxt(net, photos, tmp_path, monkeypatch):
    """As published, but for the module's name, on files laid out so."""
    folder = tmp_path / "data" / "ALISC"
    shutil.copytree(photos.folder, folder / "train_image", ignore=shutil.ignore_patterns("lmdb", "*.csv"))
    shutil.copy(photos.csv, folder / "train_cat.csv")
    (tmp_path / "examples").mkdir()
    monkeypatch.chdir(tmp_path / "examples")
    triplets = net("TripletDataLayer", TRIPLET, SEEDS_OWN)
    triplets.forward()
    whole = {
        cv2.resize(photos.decoded(r), (256, 256)).transpose(2, 0, 1).astype("f4").tobytes(): label
        for r, label in enumerate(photos.labels)
    }
    assert triplets.blobs["anchor"].data.shape == (32, 3, 256, 256)
    blobs = [triplets.blobs[top].data for top in TRIPLET]
    for anchor, positive, negative in zip(*blobs):
        labels = [whole[image.tobytes()] for image in (anchor, positive, negative)]
        assert labels[0] == labels[1] != labels[2]
        assert anchor.tobytes() != positive.tobytes()


def with_file(photos, tmp_path, name, data):
    """A list whose tenth image is another file."""
    (tmp_path / name).write_bytes(data)
    names = [str(photos.folder / file) for file in photos.names]
    names[9] = str(tmp_path / name)
    (tmp_path / "list.csv").write_text("".join(f"{file},{number % 5}\n" for number, file in enumerate(names)))
    return {"source": str(tmp_path / "list.csv"), "batch_size": 5, "resize": 16}


def empty_lmdb(tmp_path):
    write_lmdb(str(tmp_path / "empty"), [])
    return {"source_type": "LMDB", "source": str(tmp_path / "empty")}


# name: layer, tops, options from (photos, tmp_path), error, message
BAD = {
    "unknown option": (
        "TripletDataLayer", TRIPLET, lambda photos, tmp: {"source": photos.csv, "batchsize": 3}, ConfigError,
        "TripletDataLayer: unknown option 'batchsize'; did you mean 'batch_size'?",
    ),
    "wrong type": (
        "ImageDataLayer", ["data"], lambda photos, tmp: {"source": photos.csv, "batch_size": "many"}, ConfigError,
        "option 'batch_size' must be an integer",
    ),
    "runs code": (
        "ImageDataLayer", ["data"], lambda photos, tmp: f"{{'source': open('{tmp / 'ran'}', 'w')}}", ConfigError,
        "ImageDataLayer: ",
    ),
    "missing source": (
        "ImageDataLayer", ["data"], lambda photos, tmp: {"source": str(tmp / "none.csv")}, DataError,
        "none.csv: cannot read it: No such file or directory",
    ),
    "list names a missing file": (
        "ImageDataLayer", ["data"], lambda photos, tmp: {"source": photos.csv, "root": "/nowhere"}, DataError,
        "37 of 37 files do not exist; the first is record 0, /nowhere/photo 0.jpg",
    ),
    "truncated JPEG": (
        "ImageDataLayer", ["data"],
        lambda photos, tmp: with_file(photos, tmp, "short.jpg", photos.bytes_of(9)[:-300]), DataError,
        "short.jpg'): not an image that OpenCV can decode, or cut short",
    ),
    "empty LMDB": (
        "ImageDataLayer", ["data"], lambda photos, tmp: empty_lmdb(tmp), DataError, "empty: it has no records",
    ),
    "two tops": (
        "TripletDataLayer", TRIPLET[:2], lambda photos, tmp: {"source": photos.csv}, ConfigError,
        "TripletDataLayer: found 2 tops, expected 3 to 4: anchor, positive, negative, [margin]",
    ),
    "margin of RANDOM": (
        "TripletDataLayer", [*TRIPLET, "margin"],
        lambda photos, tmp: {"source": photos.csv, "root": str(photos.folder), "resize": 9}, ConfigError,
        "TripletDataLayer: type RANDOM has no margin; use three tops",
    ),
    "unlike sizes": (
        "ImageDataLayer", ["data"], lambda photos, tmp: {"source": photos.csv, "root": str(photos.folder)}, DataError,
        "images of different sizes need `resize` or `crop_size`",
    ),
    "no labels": (
        "ImageDataLayer", ["data", "label"],
        lambda photos, tmp: {"source": str(shutil.copy(_names_only(photos, tmp), tmp / "copy.csv")), "resize": 9}, DataError,
        "it has no labels, but the layer has a top for them; write a label after each file name, leave the top out, or",
    ),
    "mean of other channels": (
        "ImageDataLayer", ["data"],
        lambda photos, tmp: {**gray_lmdb(tmp), "mean_value": [1, 2, 3]}, DataError,
        "1 channels, but the mean has 3; give one number for all channels, or one per channel",
    ),
}  # fmt: skip


def _names_only(photos, tmp):
    (tmp / "names.csv").write_text("\n".join(str(photos.folder / name) for name in photos.names))
    return tmp / "names.csv"


def gray_lmdb(tmp_path):
    write_lmdb(str(tmp_path / "gray"), [Datum(bytes(20), 0, 1, 4, 5)] * 3)
    return {"source_type": "LMDB", "source": str(tmp_path / "gray")}


@pytest.mark.parametrize("prefetch", [False, True])
@pytest.mark.parametrize("layer, tops, options, error, message", BAD.values(), ids=BAD.keys())
def test_bad_input_in_pycaffe(net, photos, tmp_path, layer, tops, options, error, message, prefetch):
    options = options(photos, tmp_path)
    if isinstance(options, dict):
        options["prefetch"] = prefetch
    with pytest.raises(error) as raised:
        bad = net(layer, tops, options)
        for _ in range(3):
            bad.forward()
    assert message in str(raised.value)
    assert "pydantic" not in str(raised.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name", ["unknown option", "runs code", "list names a missing file", "truncated JPEG", "unlike sizes"]
)
def test_bad_input_in_the_program(photos, tmp_path, name):
    """The message is printed, once; the program ends, and so do the workers."""
    layer, tops, options, _, message = BAD[name]
    options = options(photos, tmp_path)
    if isinstance(options, dict):
        options["prefetch"] = True
    (tmp_path / "net.prototxt").write_text(f"""
        layer {{ name: "train_data" type: "Python" {" ".join(f'top: "{top}"' for top in tops)} python_param {{
            module: "caffe_pylayers" layer: "{layer}" param_str: "{options}" }} }}
        layer {{ name: "ip" type: "InnerProduct" bottom: "{tops[0]}" top: "ip" inner_product_param {{ num_output: 1 }} }}
        layer {{ name: "loss" type: "Reduction" bottom: "ip" top: "loss" loss_weight: 1 }}""")
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 9 snapshot_after_train: false'
    )
    run = subprocess.run(
        [str(CAFFE), "train", "--solver=solver.prototxt"], cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert run.returncode != 0
    (_,) = [line for line in run.stderr.splitlines() if line.startswith("caffe_pylayers: ")]
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("prefetch", [False, True])
def test_decoded_up_front_feeds_the_same(net, photos, caplog, prefetch):
    caplog.set_level("INFO", "caffe_pylayers")
    options = {
        "source": photos.lmdb,
        "source_type": "LMDB",
        "batch_size": 6,
        "resize": [20, 18],
        "crop_size": 16,
        "mirror": True,
        "prefetch": prefetch,
    }
    kept, decoded = (
        net("TripletDataLayer", TRIPLET, {**options, "compressed": compressed}) for compressed in (True, False)
    )
    assert f"{len(photos.names)} images decoded, 0 MB" in caplog.text
    for _ in range(8):
        kept.forward()
        decoded.forward()
        for top in TRIPLET:
            np.testing.assert_array_equal(decoded.blobs[top].data, kept.blobs[top].data)


def test_decoding_up_front_needs_images_of_one_size(net, photos):
    with refused(DataError, "first record", remedy="`compressed: false`"):
        net(
            "ImageDataLayer",
            ["data"],
            {"source": photos.lmdb, "source_type": "LMDB", "compressed": False, "crop_size": 9},
        )


@pytest.mark.parametrize(
    "layer, tops, shuffle", [("ImageDataLayer", ["data"], True), ("TripletDataLayer", TRIPLET, False)]
)
def test_ranks_share_one_stream(net, photos, layer, tops, shuffle):
    """Batch k of rank r of R is batch kR + r of the whole."""
    options = {
        "source": photos.lmdb,
        "source_type": "LMDB",
        "batch_size": 5,
        "resize": 12,
        "crop_size": 9,
        "mirror": True,
    }
    if shuffle:
        options["shuffle"] = True
    whole = net(layer, tops, options)
    ranks = []
    try:
        caffe.set_solver_count(3)
        caffe.set_multiprocess(True)  # as upstream's train.py says it
        for rank in range(3):
            caffe.set_solver_rank(rank)
            ranks.append(net(layer, tops, {**options, "prefetch": True}))
    finally:
        caffe.set_solver_count(1)
        caffe.set_solver_rank(0)
        caffe.set_multiprocess(False)
    for _ in range(6):
        for rank in ranks:
            rank.forward()
            whole.forward()
            for top in tops:
                np.testing.assert_array_equal(rank.blobs[top].data, whole.blobs[top].data)


def test_workers_may_stay_where_prefetch_is_turned_off(net, photos, caplog):
    """Whoever looks for a fault turns `prefetch` off, and leaves the rest as it is."""
    options = {"source": photos.lmdb, "source_type": "LMDB", "batch_size": 4, "resize": 12}
    plain = net("ImageDataLayer", ["data", "label"], options)
    caplog.clear()
    looked_at = net("ImageDataLayer", ["data", "label"], {**options, "prefetch": False, "workers": 4})
    for _ in range(3):
        plain.forward()
        looked_at.forward()
        np.testing.assert_array_equal(looked_at.blobs["data"].data, plain.blobs["data"].data)
    assert caplog.messages == [
        "ImageDataLayer: option 'workers' has no effect, because 'prefetch' is false; leave it out"
    ], "once, at set-up"
