"""convert: what comes out. Refusals and interruptions have files of their own."""

import itertools
import json
import os
import subprocess
import sys

import cv2
import h5py
import lmdb
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from caffe_pylayers.caffe_files.datum import Datum, write_datum
from caffe_pylayers.commands.convert.convert import Images, Origin
from caffe_pylayers.commands.convert.records import Naming, difference
from caffe_pylayers.commands.convert.segments import write_segment
from caffe_pylayers.commands.convert.tasks import Compare, Written
from caffe_pylayers.data.sources import Record, open_source
from caffe_pylayers.data.sources.bcf import write_bcf
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import DataError
from tests.data.conversions import FORMATS, SUFFIXES, converted, origin_of
from tests.refusals import refused
from tests.transcripts import environment


@pytest.fixture(scope="module")
def in_each_format(several, tmp_path_factory):
    folder = tmp_path_factory.mktemp("each")
    entries = {format: converted(several, folder / f"a{SUFFIXES[format]}", format)[1] for format in FORMATS}
    return {format: origin_of(entry) for format, entry in entries.items()}


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("second", FORMATS)
def test_every_pair_of_formats(first, second, in_each_format, several, photos, tmp_path):
    """Bytes, ragged labels, weights, and names where both formats have them."""
    source, entry = converted(in_each_format[first], tmp_path / f"b{SUFFIXES[second]}", second)
    original = several.open()
    assert entry["records"] == len(source) == 37
    np.testing.assert_array_equal(source.labels, original.labels)
    np.testing.assert_array_equal(source.sample_weights, original.sample_weights)
    assert all(bytes(source.read(number)) == photos.bytes_of(number) for number in range(37))
    names = [name.decode() for name in source.names]
    if second == "BCF" or (first == "BCF" and second == "HDF5"):
        assert names == [str(number) for number in range(37)]
    elif first == "BCF":
        assert names[7] == {"CSV": "00000007.jpg", "LMDB": "00000007"}[second]
    else:
        assert names[7] == {"LMDB": "00000007_"}.get(second, "") + "class 2/photo 7.jpg"
    assert ("BCF has no names: records have only numbers" in entry["notes"]) == (second == "BCF" and first != "BCF")


def test_rows_of_labels_and_weights_stay_rows(photos, tmp_path):
    """0 and 1 for each of four labels, with a weight each; a record may have none of them."""
    labels = np.random.default_rng(0).integers(0, 2, (37, 4))
    labels[5] = 0
    weights = np.random.default_rng(1).random((37, 4), np.float32)
    np.save(tmp_path / "labels.npy", labels)
    np.save(tmp_path / "weights.npy", weights)
    origin = Origin(
        "CSV",
        photos.csv,
        root=str(photos.folder),
        labels=f"{tmp_path}/labels.npy",
        label_format="indicator",
        sample_weights=f"{tmp_path}/weights.npy",
    )
    for format in FORMATS:
        source, entry = converted(origin, tmp_path / f"out{SUFFIXES[format]}", format)
        assert entry["layer_options"]["label_format"] == "indicator" and source.label_dim == 4
        np.testing.assert_array_equal(source.labels, origin.open().labels)
        np.testing.assert_array_equal(source.sample_weights, weights)


@pytest.mark.parametrize("label_format", ["indicator", "sign"])
def test_indicators_that_are_not_known_and_signs_are_kept(photos, tmp_path, label_format):
    values = [-1, 1] if label_format == "sign" else [-1, 0, 1]
    labels = np.random.default_rng(0).choice(values, (37, 4))
    labels[:3, 2:] = -1  # at the end of rows too, where it could fill up
    np.save(tmp_path / "labels.npy", labels)
    origin = Origin(
        "CSV", photos.csv, root=str(photos.folder), labels=f"{tmp_path}/labels.npy", label_format=label_format
    )
    for format in FORMATS:
        source, entry = converted(origin, tmp_path / f"out{SUFFIXES[format]}", format)
        assert entry["layer_options"]["label_format"] == "indicator"
        np.testing.assert_array_equal(source.labels, origin.open().labels)
        np.testing.assert_array_equal(source.unknown, labels == -1 if label_format == "indicator" else None)


HOW = {
    "raw": ({"encode": "raw"}, np.uint8),
    "raw for want of another": ({}, np.uint8),
    "grey": ({"gray": True, "encode": "raw"}, np.uint8),
    "png": ({"encode": "png"}, b"\x89PNG"),
    "jpg": ({"encode": "jpg:80"}, b"\xff\xd8\xff"),
}


@pytest.mark.parametrize("options, kind", HOW.values(), ids=HOW)
def test_images_are_resized_and_encoded_as_the_layers_resize(options, kind, photos):
    source = open_source("CSV", photos.csv, root=str(photos.folder))
    image = Images("LMDB", resize=(30, 40), **options).make(source, 7)
    expected = Transforms(resize=(30, 40), color=not options.get("gray")).load(source, 7)
    assert expected.shape == (30, 40, 1 if options.get("gray") else 3)
    if options.get("encode") == "jpg:80":
        assert image == cv2.imencode(".jpg", expected, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
    elif isinstance(kind, bytes):
        assert image.startswith(kind)
        np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_UNCHANGED), expected)
    else:
        np.testing.assert_array_equal(image, expected)
        assert image.dtype == kind


def test_grey_targets_are_read_as_grey(photos, tmp_path):
    """Else a layer makes three channels of a grey JPEG."""
    origin = Origin("CSV", photos.csv, root=str(photos.folder))
    for format, images in (("BCF", {"gray": True}), ("HDF5", {"gray": True, "resize": (9, 8)})):
        source, entry = converted(origin, tmp_path / f"out{SUFFIXES[format]}", format, images)
        assert entry["layer_options"]["color"] is False
        assert Transforms(color=False).load(source, 0).shape[2] == 1


def test_pixels_become_png_where_only_files_are_held_and_come_back(photos, tmp_path):
    origin = Origin("CSV", photos.csv, root=str(photos.folder))
    pixels, entry = converted(origin, tmp_path / "pixels_lmdb", "LMDB", {"resize": (20, 20)})
    assert pixels.read(0).shape == (20, 20, 3)
    for format in ("CSV", "BCF"):
        files, there = converted(origin_of(entry), tmp_path / f"x{SUFFIXES[format]}", format)
        assert bytes(files.read(3)).startswith(b"\x89PNG")
        again, _ = converted(origin_of(there), tmp_path / f"{format}.h5", "HDF5", {"encode": "raw"})
        np.testing.assert_array_equal(again.read(3), pixels.read(3))


def test_features_stay_float(tmp_path):
    values = np.random.default_rng(0).normal(size=(20, 600)).astype(np.float32)
    with h5py.File(tmp_path / "features.h5", "w") as file:
        file["data"], file["label"] = values, np.arange(20)
    origin = Origin("HDF5", str(tmp_path / "features.h5"))
    source, entry = converted(origin, tmp_path / "features_lmdb", "LMDB")
    again, _ = converted(origin_of(entry), tmp_path / "again.h5", "HDF5")
    for number in range(20):
        for found in (source, again):
            np.testing.assert_array_equal(found.read(number).reshape(-1), values[number])
    with refused(DataError, "float32", "600 channels", record=0):
        converted(origin, tmp_path / "features.bcf", "BCF")
    assert not os.path.exists(tmp_path / "features.bcf") and not os.path.exists(tmp_path / "features.bcf.partial")


@pytest.mark.stock_data
def test_stock_caffe_reads_what_it_can(photos, tmp_path):
    """Keys and Datums as convert_imageset writes them; HDF5Data takes pixels."""
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{name} {label}\n" for name, label in zip(photos.names, photos.labels)))
    stock = ["convert_imageset", "-resize_height=24", "-resize_width=20", f"{photos.folder}/", listed, "stock_lmdb"]
    subprocess.run(stock, cwd=tmp_path, env=environment(), check=True, stderr=subprocess.DEVNULL)
    origin = Origin("CSV", str(listed), root=str(photos.folder))
    converted(origin, tmp_path / "ours_lmdb", "LMDB", {"resize": (24, 20)})
    with lmdb.open(str(tmp_path / "stock_lmdb"), lock=False).begin() as theirs, lmdb.open(
        str(tmp_path / "ours_lmdb"), readonly=True, lock=False
    ).begin() as ours:
        for (key, value), (our_key, our_value) in itertools.zip_longest(theirs.cursor(), ours.cursor()):
            assert our_key == key
            datum, our_datum = caffe_pb2.Datum.FromString(value), caffe_pb2.Datum.FromString(our_value)
            difference = np.frombuffer(datum.data, np.uint8).astype(int) - np.frombuffer(our_datum.data, np.uint8)
            assert np.abs(difference).max() <= 2  # another OpenCV
            for field in ("channels", "height", "width", "label", "encoded"):
                assert getattr(our_datum, field) == getattr(datum, field)
    converted(origin, tmp_path / "ours.h5", "HDF5", {"resize": (24, 20)})
    (tmp_path / "ours_h5.txt").write_text(f"{tmp_path}/ours.h5\n")
    for name, parameters in (
        ("Data", f'data_param {{ source: "{tmp_path}/ours_lmdb"  backend: LMDB  batch_size: 37 }}'),
        ("HDF5Data", f'hdf5_data_param {{ source: "{tmp_path}/ours_h5.txt"  batch_size: 37 }}'),
    ):
        (tmp_path / f"{name}.prototxt").write_text(
            f'layer {{ name: "it"  type: "{name}"  top: "data"  top: "label"  {parameters} }}'
        )
    # In a process of its own: stock ends the whole process where it does not like what it reads.
    run = subprocess.run([sys.executable, "-c", STOCK_READS], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == [photos.labels.tolist(), photos.labels.tolist(), True]


STOCK_READS = """
import caffe, json
nets = [caffe.Net(f"{name}.prototxt", caffe.TEST) for name in ("Data", "HDF5Data")]
found = [net.forward() for net in nets]
equal = bool((found[0]["data"] == found[1]["data"]).all())
print(json.dumps([*(blobs["label"].ravel().tolist() for blobs in found), equal]))
"""


def test_the_order_depends_on_the_seed_and_not_on_the_workers(several, tmp_path):
    def labels(name, **options):
        target = tmp_path / name
        source, _ = converted(several, target, "BCF", {"resize": (10, 10)}, **options)
        return source.labels.tolist(), target.read_bytes()

    shuffled = labels("a.bcf", shuffle=True, seed=1)
    assert shuffled == labels("b.bcf", shuffle=True, seed=1, workers=3)
    original = several.open().labels.tolist()
    assert shuffled[0] != original and sorted(shuffled[0]) == sorted(original)
    assert labels("c.bcf", shuffle=True, seed=2)[0] != shuffled[0]


def damaged(photos, tmp_path, numbers):
    """A list in which some files are no images."""
    for number in numbers:
        (tmp_path / f"bad {number}.jpg").write_bytes(b"<html>not found</html>")
    lines = [
        f"{tmp_path}/bad {number}.jpg,{label}"
        if number in numbers
        else f"{photos.folder}/{photos.names[number]},{label}"
        for number, label in enumerate(photos.labels)
    ]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    return Origin("CSV", str(tmp_path / "list.csv"))


@pytest.mark.parametrize("images", [{}, {"resize": (20, 20)}], ids=["kept", "resized"])
def test_records_that_cannot_be_read(images, photos, tmp_path):
    origin = damaged(photos, tmp_path, (3, 4, 30))
    with refused(DataError, "not an image", source="bad 3.jpg", record=3):
        converted(origin, tmp_path / "out.bcf", "BCF", images)
    assert not os.path.exists(tmp_path / "out.bcf")
    for format in FORMATS if images else ["LMDB"]:
        source, entry = converted(origin, tmp_path / f"out{SUFFIXES[format]}", format, images, skip=True)
        assert (entry["records"], entry["skipped"]) == (len(source), 3) == (34, 3)
        assert [f"bad {number}.jpg" in text for number, text in zip((3, 4, 30), entry["complaints"])] == [True] * 3
        np.testing.assert_array_equal(source.labels, np.delete(photos.labels, [3, 4, 30]))
    (tmp_path / "list.csv").write_text(f"{tmp_path}/bad 3.jpg,1\n" * 37)
    with refused(DataError, f"no record of {tmp_path}/list.csv", "record 0"):
        converted(origin, tmp_path / "none.bcf", "BCF", skip=True)


def test_a_file_listed_twice(photos, tmp_path):
    """As people do who want a sample more often."""
    (tmp_path / "list.csv").write_text(f"{photos.folder}/{photos.names[0]},1\n{photos.folder}/{photos.names[0]},2\n")
    source, entry = converted(Origin("CSV", str(tmp_path / "list.csv")), tmp_path / "out.csv", "CSV")
    assert source.labels.tolist() == [1, 2]
    assert [os.path.basename(name.decode()) for name in source.names] == [
        "00000000_photo 0.jpg",
        "00000001_photo 0.jpg",
    ]
    assert entry["notes"] == ["two records have the same name: all file names begin with the number of the record"]


def test_what_was_written_is_compared(several, tmp_path):
    """Images by their checksums, labels, weights and names by themselves: each difference is found."""
    source = several.open()
    other = replace_image(source, 5)
    write_segment(f"{tmp_path}/segment", range(37), source.read, skip=False)
    for records, place in ((range(37), None), (other, 5)):
        path = f"{tmp_path}/{place}.bcf"
        write_bcf(
            path, [Record(source.read(number) if records is not other else other[number]) for number in range(37)]
        )
        assert Compare(open_source("BCF", path)).do(Written(f"{tmp_path}/segment", 0)) == place
    naming, records = Naming.of(source, "HDF5"), np.arange(37)
    assert difference(source, records, naming, several.open()) is None
    assert difference(source, records[:-1], naming, several.open()) == "it has 37 records instead of 36"
    assert difference(source, records[::-1], naming, several.open()) == "its labels are different"
    changed = several.open()
    changed.sample_weights[3] += 1
    assert difference(source, records, naming, changed) == "its sample weights are different"
    changed.sample_weights = None
    assert difference(source, records, naming, changed) == "it has no sample weights"
    renamed, _ = converted(
        Origin("CSV", photos_list(several, tmp_path), root=several.root), tmp_path / "renamed.h5", "HDF5"
    )
    renamed.set_labels(source.labels)
    renamed.sample_weights = source.sample_weights
    assert difference(source, records, naming, renamed) == "its record 0 is called 'class 1/photo 1.jpg'"


def replace_image(source, number):
    """The images, one of them changed in its last byte."""
    images = [source.read(record) for record in range(len(source))]
    images[number] = images[number][:-1] + bytes([images[number][-1] ^ 1])
    return images


def photos_list(origin, folder):
    """A list of the files of another, in an order that begins with the second."""
    names = [name.decode() for name in origin.open().names]
    (folder / "other.csv").write_text("\n".join([*names[1:], names[0]]))
    return str(folder / "other.csv")


def test_datums_that_are_cut_or_empty_are_left_out(photos, tmp_path):
    values = [write_datum(Datum(photos.bytes_of(record), record, encoded=True)) for record in range(12)]
    values[2], values[5] = values[2][:700], b""
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 30) as environment, environment.begin(write=True) as transaction:
        for record, value in enumerate(values):
            transaction.put(b"%08d" % record, value)
    origin = Origin("LMDB", str(tmp_path / "db"))
    with refused(DataError, "protobuf message cut short", source="00000002", record=2):
        converted(origin, tmp_path / "all.bcf", "BCF")
    source, entry = converted(origin, tmp_path / "good.bcf", "BCF", skip=True)
    assert (entry["records"], entry["skipped"]) == (10, 2)
    assert source.labels.tolist() == [record for record in range(12) if record not in (2, 5)]
    assert "record 2 " in entry["complaints"][0] and "record 5 " in entry["complaints"][1]
