"""Labels counted in arrays, sources and nets, against plain loops and against what Caffe feeds."""

from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.caffe_files import nets
from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.caffe_files.nets import NetState
from caffe_pylayers.commands.balance import net_labels
from caffe_pylayers.commands.balance.label_counts import RULES, count, of_source
from caffe_pylayers.config.labels import SampleWeightOptions
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.errors import ConfigError, DataError
from tests import caffe_nets
from tests.stock_data_layers import parameters

TRAIN = NetState("TRAIN")


def as_a_loop(records, ignored):
    """counts, in_images, labels per record: of lists of labels."""
    kept = [[label for label in record if label != ignored] for record in records]
    size = max((label for record in kept for label in record), default=0) + 1
    counts = [sum(record.count(label) for record in kept) for label in range(size)]
    in_images = [sum(len(record) for record in kept if label in record) for label in range(size)]
    return counts, in_images, [len(record) for record in kept]


@given(
    st.lists(st.lists(st.integers(0, 6), max_size=4), min_size=1, max_size=12),
    st.one_of(st.none(), st.integers(0, 6)),
    st.integers(1, 12),
)
def test_ragged_rows_are_counted_as_in_a_loop(records, ignored, part):
    counts, in_images, lengths = as_a_loop(records, ignored)
    rows = np.full((len(records), 4), -1)
    for row, record in zip(rows, records):
        row[: len(record)] = record
    parts = [rows[at : at + part] for at in range(0, len(rows), part)]
    if not any(counts):
        with pytest.raises(DataError) as error:
            count("rows", parts, ignore_label=ignored, padded=True)
        assert (error.value.source, error.value.remedy) == ("rows", "")
        return
    found = count("rows", parts, ignore_label=ignored, padded=True)
    assert found.counts.tolist() == counts
    assert found.a_record.tolist() == np.bincount(lengths).tolist()
    assert found.in_images.tolist() == (in_images if max(lengths) > 1 else counts)
    assert (found.num_records, found.num_ignored) == (len(records), sum(map(len, records)) - sum(lengths))


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (
            [0, 1, -1],
            {},
            r"record 2: label -1; classes are numbered from 0; if -1 is not a class, leave it out with --ignore-label -1",
        ),
        ([0, 1.5], {}, r"record 1: label 1.5; labels of classes are integers"),
        ([0, np.nan], {}, r"record 1: label nan; labels of classes are integers"),
        ([0, 7, 2], {"num_classes": 7}, r"record 1: label 7; with 7 classes, labels are 0 to 6"),
        ([0, 1 << 25], {}, r"record 1: label 33554432; classes are numbered from 0, up to 16777215"),
        ([255, 255], {"ignore_label": 255}, r"it has no labels to count: all 2 labels are 255, and 255 is ignored"),
        ([], {}, r"it has no labels to count"),
    ],
)
def test_what_cannot_be_counted_is_an_error(labels, options, message):
    with pytest.raises(DataError, match=message):
        count("the list", [np.array(labels)], **options)


def test_a_label_in_a_later_part_is_named_by_its_own_record():
    with pytest.raises(DataError) as error:
        count("parts", [np.array([0, 1, 2]), np.array([0, 1, -2])])
    assert (error.value.source, error.value.problem) == ("record 5", "label -2")


def test_rules_are_those_of_the_layers():
    assert SampleWeightOptions.model_fields["rule"].annotation.__args__ == RULES


def test_absent_classes_are_named_and_have_no_weight():
    counts = count("labels", [np.array([0, 0, 3, 3, 3, 3])], num_classes=5)
    assert counts.absent == [1, 2, 4]
    assert counts.ratio == 2
    assert counts.weights("balanced", scale="none").tolist() == [1.5, 0, 0, 0.75, 0]
    assert counts.mean_weight(counts.weights("max_count")) == pytest.approx(1)


def test_the_source_tells_how_many_classes_there_are(tmp_path):
    Path(tmp_path / "list.csv").write_text("a.jpg\nb.jpg\nc.jpg\n")
    np.save(tmp_path / "labels.npy", np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]))
    source = open_source(
        "CSV",
        str(tmp_path / "list.csv"),
        missing=None,
        labels=str(tmp_path / "labels.npy"),
        label_format="indicator",
    )
    counts = of_source(source)
    assert counts.counts.tolist() == [2, 1, 0, 0]
    assert counts.in_images.tolist() == [3, 2, 0, 0]
    assert counts.a_record.tolist() == [1, 1, 1]


def test_a_source_without_labels(tmp_path):
    (tmp_path / "list.csv").write_text("a.jpg\n")
    with pytest.raises(DataError) as error:
        of_source(open_source("CSV", str(tmp_path / "list.csv"), missing=None))
    assert error.value.source.endswith("list.csv") and "--labels" in error.value.remedy


LABELS = np.array([0, 2, 2, 1, 0, 2, 2, 4, 2, 0, 1, 2])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Twelve grey pictures with LABELS: an LMDB, a list, and HDF5 in two files."""
    folder = tmp_path_factory.mktemp("data")
    image = np.arange(25, dtype=np.uint8).reshape(1, 5, 5)
    write_lmdb(str(folder / "lmdb"), (Datum(image.tobytes(), int(label), 1, 5, 5) for label in LABELS))
    cv2.imwrite(str(folder / "a b.png"), image[0])
    (folder / "list.txt").write_text("".join(f"{folder}/a b.png {label}\n" for label in LABELS))
    for name, part in (("1.h5", slice(0, 8)), ("2.h5", slice(8, 12))):
        with h5py.File(folder / name, "w") as file:
            file["data"] = np.zeros((len(LABELS[part]), 1, 5, 5), np.float32)
            file["label"] = LABELS[part].astype(np.float32)
    (folder / "h5.txt").write_text(f"{folder}/1.h5\n{folder}/2.h5\n")
    return folder


LAYERS = {
    "Data": 'type: "Data" data_param {{ source: "{folder}/lmdb" backend: LMDB batch_size: 4 }}',
    "ImageData": 'type: "ImageData" image_data_param {{ source: "{folder}/list.txt" batch_size: 4 }}',
    "HDF5Data": 'type: "HDF5Data" hdf5_data_param {{ source: "{folder}/h5.txt" batch_size: 4 }}',
    "ImageDataLayer": 'type: "Python" python_param {{ module: "caffe_pylayers" layer: "ImageDataLayer" param_str: '
    "\"{{'source_type': 'LMDB', 'source': '{folder}/lmdb', 'batch_size': 4, 'color': False}}\" }}",
}


def net_of(folder, layer, more=""):
    text = LAYERS[layer].format(folder=folder)
    path = caffe_nets.write(f'layer {{ name: "in" {text} top: "data" top: "label" }}\n{more}', folder)
    return nets.read_net(path)


@pytest.mark.parametrize("layer", parameters(LAYERS, "Data", "ImageData"))
def test_the_source_of_a_net_has_what_the_net_feeds_in_an_epoch(layer, data, tmp_path):
    net = net_of(data, layer)
    expected = np.bincount(LABELS).tolist()
    found = net_labels.of_net(net, TRAIN)
    assert found.counts.tolist() == expected
    assert str(found.epoch) == "12 records, 3 batches of 4 per epoch"
    fed = net_labels.of_blob(net, TRAIN, "label", range(3))
    assert fed.counts.tolist() == expected
    assert fed.num_records == len(LABELS)


def test_labels_of_hdf5_data_are_found_by_their_name(tmp_path):
    with h5py.File(tmp_path / "1.h5", "w") as file:
        file["data"], file["sample_weight"], file["label"] = (
            np.zeros((3, 1)),
            np.array([0.5, 1, 2]),
            np.array([1, 0, 1]),
        )
    (tmp_path / "h5.txt").write_text(f"{tmp_path}/1.h5\n")
    tops = 'top: "data" top: "sample_weight" top: "label"'
    text = f'layer {{ name: "in" {tops} {LAYERS["HDF5Data"].format(folder=tmp_path)} }}'
    net = nets.read_net(caffe_nets.write(text, tmp_path))
    assert net_labels.of_net(net, TRAIN).counts.tolist() == [1, 2]


@pytest.mark.stock_data
def test_label_maps_are_counted_a_pixel_each(data):
    """The label map of a segmentation net is the data of a Data layer: here pixels 0 to 24, of which 24 is ignored."""
    more = 'layer { name: "map" type: "Slice" bottom: "data" top: "map" top: "rest" slice_param { axis: 2 slice_point: 3 } }'
    net = net_of(data, "Data", more)
    found = net_labels.of_blob(net, TRAIN, "rest", range(2), ignore_label=24)
    assert found.counts.tolist() == [0] * 15 + [8] * 9
    assert found.in_images.tolist() == [0] * 15 + [8 * 9] * 9
    assert (found.num_records, found.num_ignored) == (8, 8)
    assert found.several


@pytest.mark.stock_data
def test_only_what_makes_the_blob_is_run(data):
    """The rest of a net may need weights, memory or minutes, or be wrong."""
    net = net_of(data, "Data", 'layer { name: "bad" type: "NoSuchType" bottom: "data" top: "bad" }')
    assert net_labels.of_blob(net, TRAIN, "label", range(1)).num_records == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"net.prototxt: it has no data layer in TRAIN; its layers: none"),
        ('layer { name: "in" type: "Input" top: "data" }', r"no data layer in TRAIN; its layers: in \(Input\)"),
        (
            'layer { name: "a" type: "HDF5Data" top: "x" } layer { name: "b" type: "Data" top: "y" }',
            r"it has 2 data layers in TRAIN; choose one with --layer: a \(HDF5Data\), b \(Data\)",
        ),
        (
            'layer { name: "d" type: "Data" top: "x" top: "label" data_param { source: "leveldb" } }',
            r"net.prototxt:1: Data layer 'd' reads a LEVELDB \(its default backend\), .* use --top label",
        ),
        (
            'layer { name: "w" type: "WindowData" top: "x" }',
            r"the source of WindowData layer 'w' cannot be read .* --top",
        ),
    ],
)
def test_nets_whose_labels_cannot_be_read(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leveldb").mkdir()
    (tmp_path / "leveldb" / "CURRENT").touch()
    net = nets.read_net(caffe_nets.write(text, tmp_path))
    with pytest.raises(ConfigError, match=message):
        net_labels.of_net(net, TRAIN)


def test_lists_and_files_that_are_wrong_are_named(data, tmp_path):
    (tmp_path / "list.txt").write_text("a.jpg 1\nb.jpg\t2\n")
    with pytest.raises(DataError) as error:
        net_labels.of_net(net_of(tmp_path, "ImageData"), TRAIN)
    assert error.value.source.endswith("list.txt:2") and "`path label`" in error.value.remedy
    (tmp_path / "h5.txt").write_text(f"{tmp_path}/list.txt\n")
    with pytest.raises(DataError) as error:
        net_labels.of_net(net_of(tmp_path, "HDF5Data"), TRAIN)
    assert error.value.source.endswith("list.txt") and "not an HDF5 file" in error.value.problem
    (tmp_path / "h5.txt").write_text(f"{data}/1.h5\n")
    net = nets.read_net(
        caffe_nets.write(
            'layer { name: "in" type: "HDF5Data" top: "data" top: "class" '
            f'hdf5_data_param {{ source: "{tmp_path}/h5.txt" }} }}',
            tmp_path,
        )
    )
    with pytest.raises(DataError) as error:
        net_labels.of_net(net, TRAIN)
    assert error.value.source.endswith("1.h5")
    assert "'class'" in error.value.problem and "data, label" in error.value.remedy


def test_a_blob_that_no_data_is_behind(data, tmp_path):
    net = net_of(data, "Data")
    with pytest.raises(ConfigError) as error:
        net_labels.of_blob(net, TRAIN, "lable", range(1))
    assert "'lable' in TRAIN" in error.value.problem and "data, label" in error.value.remedy
    deploy = nets.read_net(
        caffe_nets.write('layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 } } }', tmp_path)
    )
    with pytest.raises(ConfigError) as error:
        net_labels.of_blob(deploy, NetState("TEST"), "x", range(1))
    assert "'x' comes from in," in error.value.problem


def test_where_caffe_would_abort_there_is_an_error(tmp_path):
    """Caffe ends the process where an LMDB is not there."""
    with pytest.raises(DataError) as error:
        net_labels.of_blob(net_of(tmp_path, "Data"), TRAIN, "label", range(1))
    assert error.value.source.endswith("net.prototxt:1 Data layer 'in'")
    assert "Check failed: " in error.value.problem and "No such file" in error.value.problem
