"""convert with `label_format: values`: the values that come out are those that went in, bit for bit."""

import caffe
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers.commands.convert.convert import Origin
from caffe_pylayers.data.sources import Record, open_source
from caffe_pylayers.data.sources.csv import write_csv
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.errors import DataError
from tests.caffe_nets import layer_text, python_layer, write
from tests.data.conversions import SUFFIXES, converted, origin_of
from tests.refusals import refused

#: One format after the other, so that each is once made of each.
CHAIN = [
    "CSV",
    "CSV",
    "LMDB",
    "LMDB",
    "BCF",
    "BCF",
    "HDF5",
    "HDF5",
    "CSV",
    "BCF",
    "CSV",
    "HDF5",
    "LMDB",
    "HDF5",
    "BCF",
    "LMDB",
    "CSV",
]

FEW = 9  # records
NAN = float("nan")


def rows():
    """Values of all kinds: -1 and NaN at the ends of rows too, and the largest and the smallest numbers of float32."""
    values = np.random.default_rng(0).normal(30, 40, (FEW, 4)).astype(np.float32)
    most = np.finfo(np.float32).max
    values[:5] = [[31.1, 0.1, -0.0, -1], [NAN, 1, 2, NAN], [-1, -1, -1, -1], [NAN] * 4, [most, -most, 1e-45, 1e-30]]
    return values


def list_of(photos, folder, values, names, weights=None):
    """A list with a header, of photos with these values, in columns of these names."""
    lines = [",".join(["file", *names, *["weight"] * (weights is not None)])]
    for number, row in enumerate(values.reshape(len(values), -1)):
        fields = ["" if np.isnan(value) else repr(float(value)) for value in row]
        lines.append(",".join([photos.names[number], *fields, *([] if weights is None else [str(weights[number])])]))
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    return Origin("CSV", f"{folder}/list.csv", root=str(photos.folder), header=True, label_format="values")


def stream(origin, labels="label", batches=4):
    """What a layer feeds in TRAIN: images, values and weights."""
    options = {name: value for name, value in vars(origin).items() if value and value != "error"}
    options.update(batch_size=4, resize=[24, 20], crop_size=16, shuffle=True, mirror=True)
    text = python_layer("ImageDataLayer", [], ["data", labels, "weight"], options)
    net = caffe.Net(write(text), caffe.TRAIN)
    fed = []
    for _ in range(batches):
        net.forward()
        fed.append([net.blobs[top].data.tobytes() for top in ("data", labels, "weight")])
    caffe_pylayers.close()
    return fed


@pytest.mark.parametrize("columns", [4, 1])
def test_every_pair_of_formats_feeds_the_same(columns, photos, tmp_path):
    values = rows()[:, :columns]
    origin = list_of(photos, tmp_path, values, ["age", "x", "y", "z"][:columns], weights=np.arange(FEW) / 4)
    original = stream(origin)
    chain = CHAIN if columns > 1 else ["CSV", "LMDB", "BCF", "HDF5", "CSV"]
    for number, (first, second) in enumerate(zip(chain, chain[1:])):
        source, entry = converted(origin, tmp_path / f"{number}{SUFFIXES[second]}", second)
        origin = origin_of(entry)
        assert source.labels.dtype == np.float32 and source.labels.shape == ((FEW, 4) if columns > 1 else (FEW,))
        assert source.labels.tobytes() == values.tobytes(), (first, second)
        assert entry["layer_options"]["label_format"] == "values"
        assert stream(origin) == original, (first, second)


def header_of(entry):
    with open(entry["layer_options"]["source"]) as stream:
        return stream.readline().strip()


@pytest.mark.parametrize(
    "names, labels, written, note",
    [
        (["age", "x", "y"], None, "name,age,x,y", None),
        (["age", "x", "y"], ["y", "age"], "name,y,age", None),
        (["age", "x", "y"], "x", "name,x", None),
        (["label_x", "label_y", "other"], None, "name,label_x,label_y", None),
        (
            ["label_x", "other", "y"],
            ["label_x", "other"],
            "name,label1,label2",
            "in columns label1 to label2 of the list, because as 'label_x', 'other'",
        ),
        (["height", "weight", "z"], ["height", "weight"], "name,label1,label2,weight", "because as 'height', 'weight'"),
        (["height", "weight", "z"], "weight", "name,label,weight", "in column label of the list, because as 'weight'"),
    ],
)
def test_a_list_keeps_the_names_of_its_columns(names, labels, written, note, photos, tmp_path):
    """Unless a layer would not read all of them as values then."""
    origin = list_of(photos, tmp_path, np.abs(rows()[5:, :3]), names)
    origin = Origin(**{**vars(origin), "labels": labels})
    source, entry = converted(origin, tmp_path / "new.csv", "CSV")
    assert header_of(entry) == written
    np.testing.assert_array_equal(source.labels, origin.open().labels)
    assert entry["notes"] == [] if note is None else note in entry["notes"][0]


@pytest.mark.parametrize("header", [True, False])
def test_values_without_names_get_numbers(header, photos, tmp_path):
    """The columns of the list are not those of a file."""
    np.save(tmp_path / "values.npy", rows())
    origin = list_of(photos, tmp_path, rows(), ["a", "b", "c", "d"])
    if not header:
        (tmp_path / "list.csv").write_text("".join(f"{name}\n" for name in photos.names[:FEW]))
    origin = Origin(**{**vars(origin), "header": header, "labels": f"{tmp_path}/values.npy"})
    source, entry = converted(origin, tmp_path / "new.csv", "CSV")
    assert header_of(entry) == "name,label1,label2,label3,label4" and not entry["notes"]
    assert source.labels.tobytes() == rows().tobytes()


def test_stock_caffe_reads_the_values_of_hdf5(photos, tmp_path):
    origin = list_of(photos, tmp_path, rows(), ["a", "b", "c", "d"])
    converted(origin, tmp_path / "values.h5", "HDF5", {"encode": "raw", "resize": (9, 8)})
    (tmp_path / "values.txt").write_text(f"{tmp_path}/values.h5\n")
    param = f'hdf5_data_param {{ source: "{tmp_path}/values.txt"  batch_size: {FEW} }}'
    net = caffe.Net(write(layer_text("HDF5Data", [], ["data", "label"], param)), caffe.TEST)
    net.forward()
    assert net.blobs["label"].data.tobytes() == rows().tobytes()


def test_resizing_says_that_points_do_not_follow(photos, tmp_path):
    origin = list_of(photos, tmp_path, rows(), ["a", "b", "c", "d"])
    _, entry = converted(origin, tmp_path / "small_lmdb", "LMDB", {"resize": (9, 8)})
    assert any("points" in note and "--resize" in note for note in entry["notes"])


def test_the_command_takes_columns_by_name_and_goes_on_where_it_was(photos, tmp_path, command):
    list_of(photos, tmp_path, rows(), ["age", "x", "y", "z"])
    given = ("--root", str(photos.folder), "--header", "--labels", "x", "--labels", "age", "--label-format", "values")
    status, out, err = command("convert", "list.csv", "new_lmdb", *given, "--workers", "1")
    assert status == 0, err
    assert (
        "{'source_type': 'LMDB', 'source': 'new_lmdb', 'labels': 'new_lmdb.labels.npy', 'label_format': 'values'}"
        in out
    )
    assert "stock Data" in out
    assert np.load("new_lmdb.labels.npy").tobytes() == np.ascontiguousarray(rows()[:, [1, 0]]).tobytes()
    status, _, err = command("convert", "list.csv", "new_lmdb", *given, "--workers", "1", "--force")
    assert (status, err) == (0, "")


def test_a_list_whose_columns_are_no_labels_says_so(photos, tmp_path, command):
    list_of(photos, tmp_path, rows(), ["age", "x", "y", "z"])
    given = ("convert", "list.csv", "new.csv", "--root", str(photos.folder), "--workers", "1")
    status, out, _ = command(*given, "--header")
    assert status == 0 and "none of the columns file, age, x, y, z is called label; --labels names one" in out
    status, _, err = command(*given, "--force", "--labels", "x", "--labels", "y")
    assert status == 2 and "only a CSV with --header has them" in err
    status, out, err = command(
        *given, "--force", "--labels", "x", "--labels", "y", "--header", "--label-format", "values"
    )
    assert (status, err) == (0, "") and "no labels" not in out


def test_writers_refuse_what_they_cannot_keep(photos, tmp_path):
    record = Record(photos.bytes_of(0), labels=(0.5, 1.0))
    with refused(DataError, "record 0", "(0.5, 1.0)", "integers", remedy=".npy", source="x_lmdb"):
        write_lmdb(f"{tmp_path}/x_lmdb", [record])
    with refused(DataError, "record 1", "2", "1", remedy="nan", source="x.csv"):
        write_csv(f"{tmp_path}/x.csv", [record, Record(photos.bytes_of(1), labels=(0.5,))], f"{tmp_path}/x")
    assert sorted(tmp_path.iterdir()) == []


def test_a_list_is_written_by_numbers_of_python_and_numpy(photos, tmp_path):
    labels = [(0.1, np.float32(0.1)), (NAN, 3), (1, -1)]
    records = [Record(photos.bytes_of(number), labels=row) for number, row in enumerate(labels)]
    write_csv(f"{tmp_path}/x.csv", records, f"{tmp_path}/x")
    assert (tmp_path / "x.csv").read_text().splitlines()[1:] == [
        "00000000.jpg,0.1,0.1", "00000001.jpg,nan,3", "00000002.jpg,1,-1",
    ]  # fmt: skip
    source = open_source("CSV", f"{tmp_path}/x.csv", root=f"{tmp_path}/x", header=True, label_format="values")
    np.testing.assert_array_equal(source.labels, np.array(labels, np.float32))
