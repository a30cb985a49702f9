"""Descriptors or memory are used up: an error that says so, no record is blamed, and the layer goes on when there is room."""

import contextlib
import gc
import os
import resource

import caffe
import cv2
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers import DataError
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.sources.records import Record
from caffe_pylayers.processes.boot import fork, status_of
from tests.caffe_nets import python_layer, write
from tests.refusals import refused


@contextlib.contextmanager
def limit(kind, number):
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


@contextlib.contextmanager
def descriptors(free):
    """While it lasts, only so many can be opened."""
    held = []
    with limit(resource.RLIMIT_NOFILE, max(map(int, os.listdir("/proc/self/fd"))) + free + 1):
        try:
            with contextlib.suppress(OSError):
                while True:
                    held.append(os.open("/dev/null", os.O_RDONLY))
            for _ in range(free):
                os.close(held.pop())
            yield
        finally:
            for number in held:
                os.close(number)


@contextlib.contextmanager
def memory(room):
    """While it lasts, only so many bytes can be allocated: what tests before this one have freed is taken first."""
    gc.collect()
    with open("/proc/self/statm") as stream:
        now = int(stream.read().split()[0]) * resource.getpagesize()
    held = []
    with limit(resource.RLIMIT_AS, now):
        for size in (16 << 20, 4 << 20, 1 << 20):
            with contextlib.suppress(MemoryError):
                while True:
                    held.append(bytearray(size))
    with limit(resource.RLIMIT_AS, now + room):
        yield


@pytest.fixture
def net_of(photos, tmp_path):
    def make(layer="ImageDataLayer", **options):
        given = {"source": photos.csv, "root": str(photos.folder), "batch_size": 4, "resize": 16, **options}
        return caffe.Net(write(python_layer(layer, [], ["data", "label"], given), tmp_path), caffe.TRAIN)

    yield make
    caffe_pylayers.close()


@pytest.mark.parametrize("free", range(7))
def test_descriptors_used_up_in_the_first_forward(net_of, free):
    """Of the ring: none is lost on the way, and it goes on when there are some again."""
    net = net_of(prefetch=1)
    gc.collect()  # what earlier tests have left
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        with descriptors(free), refused(DataError, "files open", remedy="ulimit -n"):
            net.forward()
    net.forward()
    caffe_pylayers.close()
    gc.collect()  # tracebacks hold the memory of slots
    assert len(os.listdir("/proc/self/fd")) <= before


def test_descriptors_used_up_at_set_up(net_of, photos, tmp_path):
    """One is for the prototxt, then for the LMDB; the labels lack one."""
    np.save(str(tmp_path / "labels.npy"), photos.labels)
    given = {"source": photos.lmdb, "source_type": "LMDB", "labels": str(tmp_path / "labels.npy")}
    net_of(**given)
    with descriptors(1), refused(DataError, "files open", remedy="ulimit -n"):
        net_of(**given)


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_no_record_is_left_out_for_want_of_descriptors_or_memory(net_of, tmp_path, on_error):
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((3000, 4000, 3), np.uint8))
    (tmp_path / "list.csv").write_text("".join(f"{number}.png,{number}\n" for number in range(4)))
    net = net_of(source=str(tmp_path / "list.csv"), root=str(tmp_path), on_error=on_error)
    with descriptors(0), refused(DataError, "files open", remedy="ulimit -n"):
        net.forward()
    with memory(10 << 20), refused(DataError, "not enough memory", remedy="batch_size"):
        net.forward()
    net.forward()
    assert net.blobs["label"].data.tolist() == [0, 1, 2, 3]
    assert net.layers[0].stand_ins == 0


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_no_map_is_left_out_for_want_of_descriptors_or_memory(net_of, tmp_path, on_error):
    cv2.imwrite(str(tmp_path / "image.png"), np.zeros((1500, 2000), np.uint8))
    cv2.imwrite(
        str(tmp_path / "deep.png"), np.zeros((1500, 2000), np.uint16)
    )  # which becomes much larger than its image
    (tmp_path / "list.txt").write_text("image.png deep.png\n" * 4)
    given = {"source": str(tmp_path / "list.txt"), "root": str(tmp_path), "on_error": on_error, "color": False}
    net = net_of("ImageMapDataLayer", **given)
    with descriptors(0), refused(DataError, "files open", remedy="ulimit -n"):
        net.forward()
    with memory(10 << 20), refused(DataError, "not enough memory", remedy="batch_size"):
        net.forward()
    net.forward()
    assert net.layers[0].stand_ins == 0


def test_hdf5_is_indexed_under_a_limit_of_the_users(tmp_path):
    path = str(tmp_path / "a.h5")
    write_hdf5(path, [Record(np.zeros((4, 4, 3), np.uint8), (1,))])

    def index():
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
        open_source("HDF5", path)

    assert status_of(fork(index)) == 0


@pytest.mark.parametrize("free", [1, 4])
def test_a_conversion_without_descriptors_can_be_given_again(command, photos, free):
    arguments = (
        "convert",
        photos.csv,
        "target",
        "--target-type",
        "LMDB",
        "--root",
        str(photos.folder),
        "--workers",
        "1",
    )
    command("convert", "--help")  # imports what it needs
    with descriptors(free):
        status, _, told = command(*arguments)
    assert status and "ulimit -n" in told, told
    status, told, _ = command(*arguments)
    assert status == 0, told
