"""Sources that change while a net is fed from them: never labels of one version and images of the other."""

import os
import shutil
import signal
import subprocess
import sys

import caffe
import numpy as np
import psutil
import pytest

import caffe_pylayers
from caffe_pylayers import DataError
from caffe_pylayers.caffe_files.datum import Datum, write_datum
from caffe_pylayers.commands.convert.convert import Conversion, Images, Origin
from caffe_pylayers.commands.convert.run import Run
from caffe_pylayers.data.sources import Record
from caffe_pylayers.data.sources.bcf import write_bcf
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests import caffe_nets
from tests.refusals import refused

NUM_RECORDS, NUM_BATCHES = 40, 20  # of 5: two epochs and a half


def write(kind, path, version):
    """A source in which each pixel of an image is its label; the labels of two versions differ everywhere."""
    labels = [(record + 100 * version) % 256 for record in range(NUM_RECORDS)]
    if kind == "LMDB of labels":
        write_lmdb(path, (Datum(label=label) for label in labels))
        return
    if kind == "LMDB":
        write_lmdb(path, (Datum(bytes([label]) * 64, label, 1, 8, 8) for label in labels))
        return
    records = [Record(np.full((8, 8, 1), label, np.uint8), (label,)) for label in labels]
    if kind == "BCF":
        write_bcf(path, records)
    else:
        write_hdf5(path, records)


def remove(path):
    shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


def in_place(path, other):
    """By another process, as a tool of the user's does: the records of an LMDB put one by one, other files written over."""
    if not os.path.isdir(path):
        shutil.copyfile(other, path)
        return
    code = (
        "import lmdb, sys\n"
        "for number, value in enumerate(eval(sys.argv[2])):\n"
        "    with lmdb.open(sys.argv[1], map_size=1 << 30, sync=False) as environment:\n"
        "        with environment.begin(write=True) as transaction:\n"
        "            transaction.put(b'%08d' % number, value)\n"
    )
    values = [write_datum(Datum(bytes([label]) * 64, label, 1, 8, 8)) for label in range(100, 100 + NUM_RECORDS)]
    subprocess.run([sys.executable, "-c", code, path, repr(values)], check=True)


def by_a_map(path, other):
    """An LMDB written through a map in one go, its file of the same size and date as before."""
    code = (
        "import lmdb, os, sys\n"
        "status = os.stat(sys.argv[1] + '/data.mdb')\n"
        "with lmdb.open(sys.argv[1], map_size=1 << 20, writemap=True) as environment:\n"
        "    with environment.begin(write=True) as transaction:\n"
        "        transaction.put(b'%08d' % 3, eval(sys.argv[2]))\n"
        "os.truncate(sys.argv[1] + '/data.mdb', status.st_size)\n"
        "os.utime(sys.argv[1] + '/data.mdb', ns=(status.st_atime_ns, status.st_mtime_ns))\n"
    )
    value = write_datum(Datum(bytes([200]) * 64, 200, 1, 8, 8))
    subprocess.run([sys.executable, "-c", code, path, repr(value)], check=True)


def renamed(path, other):
    if os.path.isdir(path):
        os.rename(path, f"{path}.old")
    os.rename(other, path)


def renamed_inside(path, other):
    os.rename(f"{other}/data.mdb", f"{path}/data.mdb")


def overwritten(path, other):
    with open(f"{other}/data.mdb", "rb") as new, open(f"{path}/data.mdb", "r+b") as old:
        old.write(new.read())


def switched(path, other):
    """The symlink `train` from one to the other."""
    os.symlink(other, f"{path}.new")
    os.rename(f"{path}.new", path)


def removed(path, other):
    remove(os.path.realpath(path))


IN_PLACE, GOES_ON = "changed in place", "goes on where it is open"
CHANGES = {
    "updated": (in_place, IN_PLACE, ("LMDB", "BCF", "HDF5")),
    "updated through a map": (by_a_map, IN_PLACE, ("LMDB",)),
    "overwritten": (overwritten, IN_PLACE, ("LMDB",)),
    "renamed": (renamed, GOES_ON, ("LMDB", "BCF", "HDF5")),
    "data.mdb renamed": (renamed_inside, GOES_ON, ("LMDB",)),
    "link switched": (switched, GOES_ON, ("LMDB", "BCF", "HDF5")),
    "removed": (removed, GOES_ON, ("LMDB", "BCF", "HDF5")),
}
CASES = [(kind, change) for change, (_, _, kinds) in CHANGES.items() for kind in kinds]


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    caffe_pylayers.close()
    assert psutil.Process().children() == []


def net_on(path, kind, folder, **more):
    options = {
        "source_type": kind, "source": path, "batch_size": 5, "color": False, "shuffle": True, **more,
    }  # fmt: skip
    if kind == "BCF":
        options["labels"] = f"{path}.labels.npy"
    return caffe.Net(
        caffe_nets.write(caffe_nets.python_layer("ImageDataLayer", [], ["data", "label"], options), folder), caffe.TRAIN
    )


def batches(net, number):
    """Labels of each batch; asserts that they are what their images say."""
    found = []
    for _ in range(number):
        net.forward()
        labels = net.blobs["label"].data
        np.testing.assert_array_equal(
            net.blobs["data"].data, np.broadcast_to(labels[:, None, None, None], (5, 1, 8, 8))
        )
        found.append(labels.tolist())
    return found


@pytest.fixture
def source(tmp_path):
    """Writes version 0 of a source and version 1 beside it; for "link switched" the first is named by a link."""

    def written(kind, change):
        first, second = str(tmp_path / "first"), str(tmp_path / "second")
        write(kind, first, 0)
        write(kind, second, 1)
        if change != "link switched":
            return first, second
        link = str(tmp_path / "link")
        os.symlink(first, link)
        if kind == "BCF":
            shutil.copy(f"{first}.labels.npy", f"{link}.labels.npy")
        return link, second

    return written


@pytest.mark.parametrize("prefetch", [False, 2])
@pytest.mark.parametrize("kind, change", CASES, ids=[" - ".join(case) for case in CASES])
def test_a_source_that_changes(source, tmp_path, kind, change, prefetch):
    path, other = source(kind, change)
    expected = batches(net_on(path, kind, tmp_path), NUM_BATCHES)
    net = net_on(path, kind, tmp_path, prefetch=prefetch)
    assert batches(net, 4) == expected[:4]
    apply, outcome, _ = CHANGES[change]
    apply(path, other)
    if outcome == GOES_ON:
        assert batches(net, NUM_BATCHES - 4) == expected[4:]
    else:
        with refused(DataError, "has changed", source=f"{kind} source {path}: record"):
            batches(net, NUM_BATCHES - 4)


@pytest.mark.parametrize("prefetch", [False, 2])
@pytest.mark.parametrize("kind, change", CASES, ids=[" - ".join(case) for case in CASES])
def test_a_source_that_changes_before_the_first_batch(source, tmp_path, kind, change, prefetch):
    """Between set-up and the first forward, when workers start, it is what was set up, or an error."""
    path, other = source(kind, change)
    expected = batches(net_on(path, kind, tmp_path), NUM_BATCHES)
    net = net_on(path, kind, tmp_path, prefetch=prefetch)
    CHANGES[change][0](path, other)
    try:
        assert batches(net, NUM_BATCHES) == expected
    except DataError as error:
        assert f"{kind} source {path}: record " in str(error)
        assert "has changed while in use" in str(error) or "No such file" in str(error)
    else:
        assert change not in ("updated", "updated through a map", "overwritten")


@pytest.mark.parametrize("kind, change", CASES, ids=[" - ".join(case) for case in CASES])
def test_a_worker_that_is_replaced_after_the_change(source, tmp_path, kind, change):
    path, other = source(kind, change)
    expected = batches(net_on(path, kind, tmp_path), NUM_BATCHES)
    net = net_on(path, kind, tmp_path, prefetch=2)
    assert batches(net, 4) == expected[:4]
    CHANGES[change][0](path, other)
    for worker in psutil.Process().children():
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    try:
        assert batches(net, NUM_BATCHES - 4) == expected[4:]
    except DataError as error:
        assert f"{kind} source {path}: record " in str(error)
        assert "has changed while in use" in str(error) or "No such file" in str(error)
    else:
        assert change == "link switched"  # where the old one is still there


@pytest.mark.parametrize("prefetch", [False, 2])
@pytest.mark.parametrize("on_error", ["skip", "replace"])
@pytest.mark.parametrize("kind, change", [case for case in CASES if CHANGES[case[1]][1] == IN_PLACE])
def test_no_record_is_left_out_since_the_source_has_changed(source, tmp_path, kind, change, on_error, prefetch):
    path, other = source(kind, change)
    net = net_on(path, kind, tmp_path, prefetch=prefetch, on_error=on_error)
    batches(net, 4)
    CHANGES[change][0](path, other)
    with refused(DataError, "has changed", source=f"{kind} source {path}: record"):
        batches(net, NUM_BATCHES - 4)
    assert net.layers[0].stand_ins == 0


@pytest.mark.parametrize("change", ["renamed", "removed"])
@pytest.mark.parametrize("kind", ["LMDB", "BCF", "HDF5"])
def test_no_record_is_left_out_where_a_replaced_worker_finds_another_source(source, tmp_path, kind, change):
    path, other = source(kind, change)
    net = net_on(path, kind, tmp_path, prefetch=2, workers=2, on_error="skip")
    batches(net, 4)
    CHANGES[change][0](path, other)
    worker = psutil.Process().children()[0]
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    with pytest.raises(DataError, match=r"has changed while in use|No such file"):
        batches(net, NUM_BATCHES - 4)
    assert net.layers[0].stand_ins == 0


@pytest.mark.parametrize("kind", ["LMDB", "BCF", "HDF5"])
def test_a_conversion_leaves_out_no_record_since_the_source_has_changed(source, tmp_path, kind):
    path, other = source(kind, "updated")
    labels = f"{path}.labels.npy" if kind == "BCF" else None
    run = Run(Conversion(Origin(kind, path, labels=labels), str(tmp_path / "new.csv"), Images("CSV"), skip=True), print)
    CHANGES["updated"][0](path, other)
    with pytest.raises(DataError, match="has changed while in use"):
        run.convert(1, force=False)
    assert not os.path.lexists(tmp_path / "new.csv")


@pytest.mark.parametrize("prefetch", [False, 2])
@pytest.mark.parametrize("on_error", ["stop", "skip"])
@pytest.mark.parametrize("change", [change for change, (_, _, kinds) in CHANGES.items() if "LMDB" in kinds])
def test_maps_that_change(source, tmp_path, change, on_error, prefetch):
    """The LMDB of images stays as it is; each pixel of a map is that of its image."""
    path, other = source("LMDB", change)
    images = str(tmp_path / "images")
    write("LMDB", images, 0)
    options = {
        "source_type": "LMDB", "source": images, "maps": path, "batch_size": 5, "color": False, "shuffle": True,
        "prefetch": prefetch, "on_error": on_error,
    }  # fmt: skip
    text = caffe_nets.python_layer("ImageMapDataLayer", [], ["data", "label"], options)
    net = caffe.Net(caffe_nets.write(text, tmp_path), caffe.TRAIN)

    def feed(number):
        for _ in range(number):
            net.forward()
            np.testing.assert_array_equal(net.blobs["label"].data, net.blobs["data"].data)

    feed(4)
    apply, outcome, _ = CHANGES[change]
    apply(path, other)
    if outcome == GOES_ON:
        feed(NUM_BATCHES - 4)
    else:
        with refused(DataError, "has changed", source=f"LMDB source {path}: record"):
            feed(NUM_BATCHES - 4)
    assert net.layers[0].stand_ins == 0


@pytest.mark.parametrize("change", ["updated", "renamed", "data.mdb renamed", "link switched", "overwritten"])
@pytest.mark.parametrize("option", ["labels", "sample_weights"])
def test_an_lmdb_of_labels_or_weights_that_changes(source, tmp_path, option, change):
    """They are read once, at set-up."""
    path, other = source("LMDB of labels", change)
    images = str(tmp_path / "images")
    write_lmdb(images, (Datum(bytes([record]) * 64, record, 1, 8, 8) for record in range(NUM_RECORDS)))
    tops = ["data", "label", "weight"][: 3 if option == "sample_weights" else 2]
    options = {
        "source_type": "LMDB", "source": images, option: path, "batch_size": 5, "color": False,
    }  # fmt: skip
    net = caffe.Net(
        caffe_nets.write(caffe_nets.python_layer("ImageDataLayer", [], tops, options), tmp_path), caffe.TRAIN
    )
    net.forward()
    CHANGES[change][0](path, other)
    for _ in range(NUM_BATCHES):
        net.forward()
        np.testing.assert_array_equal(net.blobs[tops[-1]].data, net.blobs["data"].data[:, 0, 0, 0])


def test_a_second_net_on_the_new_version(source, tmp_path):
    """Two versions of one name are fed side by side, each with its own labels."""
    path, other = source("LMDB", "renamed")
    first = net_on(path, "LMDB", tmp_path)
    before = batches(first, 2)
    renamed(path, other)
    second = net_on(path, "LMDB", tmp_path, shuffle=False)
    assert batches(second, 1) == [[100, 101, 102, 103, 104]]
    assert max(batches(first, NUM_BATCHES - 2)[0]) < NUM_RECORDS
    assert before != batches(second, 2)
