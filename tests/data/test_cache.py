"""What processes share of the cache of decoded images: its memory, its room, and what is kept of a record."""

import gc
import os
import pickle
import random
import resource
import signal
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from caffe_pylayers.data.cache import cache as cache_module
from caffe_pylayers.data.cache.cache import Cache
from caffe_pylayers.data.cache.entry import Loaded, check_sum, packed, unpacked
from caffe_pylayers.data.cache.store import AT_LIMIT, GOES_ON, SHORT, Store
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.processes.memory import available_bytes
from tests.data.cached_runs import (
    ALL,
    EPOCH,
    LATER,
    batches,
    end_of,
    fed,
    feeder_of,
    image,
    in_fork,
    plenty,
    write_source,
)
from tests.processes.control_groups import GB, V1, V2, Machine

# What is killed


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_workers_that_are_killed_and_replaced(folder, kind):
    expected, _ = fed(folder / "source")
    feeder = feeder_of(folder / "source", cache=kind, workers=2)
    found = []
    for start in range(0, 2 * EPOCH, 4):
        found += batches(feeder, range(start, start + 4))[0]
        random.choice(psutil.Process().children()).kill()
    assert found == expected
    assert batches(feeder)[1] >= ALL - 10  # two more epochs; a batch that was lost is made again
    feeder.close()


def test_an_interrupt(folder):
    """As Ctrl-C in the middle of a batch: what was kept is whole, and the run goes on."""
    expected, _ = fed(folder / "source")
    feeder = feeder_of(folder / "source", cache="disk")
    read = feeder._recipe.source.read

    def interrupted(record):
        if len(seen) == 13:
            seen.append(record)
            raise KeyboardInterrupt
        seen.append(record)
        return read(record)

    seen = []
    feeder._recipe.source.read = interrupted
    with pytest.raises(KeyboardInterrupt):
        batches(feeder)
    assert batches(feeder) == (expected, LATER + 13)
    feeder.close()


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_a_fork_goes_on_beside_its_parent(folder, kind):
    expected, _ = fed(folder / "source")
    feeder = feeder_of(folder / "source", cache=kind)
    assert batches(feeder, range(3))[0] == expected[:3]

    def go_on():
        for _ in range(3):
            assert batches(feeder)[0] == expected
        assert batches(feeder)[1] == ALL

    pid = in_fork(go_on)
    for _ in range(3):
        assert batches(feeder)[0] == expected
    assert end_of(pid) == 0
    feeder.close()


def test_a_fork_waits_for_no_thread_of_its_parent(folder):
    expected, _ = fed(folder / "source")
    feeder = feeder_of(folder / "source", cache="memory")
    with feeder._recipe.cache._opened()._lock, cache_module._opening:
        pid = in_fork(lambda: [signal.alarm(20), batches(feeder), fed(folder / "source", cache="disk")])
        assert end_of(pid) == 0
    assert batches(feeder)[0] == expected
    feeder.close()


# What is out of room


def test_the_first_stay_and_the_rest_is_decoded(folder):
    for kind in ("memory", "disk"):
        feeder = feeder_of(folder / "source", cache=kind, cache_limit=20 * 1600)
        first = batches(feeder, range(EPOCH))[1]
        assert first == 0
        assert [batches(feeder, range(EPOCH))[1] for _ in range(3)] == [20] * 3
        feeder.close()


@pytest.mark.parametrize("limit, kept", [(1, 0), (1599, 0), (1600, 1), (3199, 1)])
def test_a_limit_below_an_image(folder, caplog, limit, kept):
    expected, _ = fed(folder / "source")
    feeder = feeder_of(folder / "source", cache="memory", cache_limit=limit)
    assert batches(feeder) == (expected, kept)
    feeder._recipe.cache.tell()
    assert f"keeps {kept} of 40 images" in caplog.records[-1].getMessage()
    feeder.close()


def test_a_lower_limit_in_a_later_run_keeps_what_is_there(folder):
    expected, _ = fed(folder / "source", cache="disk")
    assert fed(folder / "source", cache="disk", cache_limit=1000) == (expected, ALL)


@pytest.mark.parametrize("version", [V1, V2], ids=["v1", "v2"])
def test_memory_that_gets_short_meanwhile(tmp_path, version):
    """A control group whose other processes take what is left."""
    machine = Machine(tmp_path, version, "/job")
    machine.group("job", GB, GB // 2)
    store = Store(40, GB // 4, GB // 32, lambda: available_bytes(str(machine.proc)))
    store.write(0, record_of(0))
    assert store.stopped == GOES_ON
    machine.group("job", GB, GB - GB // 33)
    store.write(1, record_of(1))  # has room in what was taken
    store.write(2, packed(2, bytes(16), Loaded(np.zeros((1000, 1000, 3), np.uint8))))
    assert store.stopped == SHORT
    store.write(3, record_of(3))
    assert store.kept[0] == 2


def test_two_stores_take_no_more_than_is_free(folder, tmp_path, monkeypatch):
    write_source(tmp_path / "other", 1)
    free = 1 << 30
    monkeypatch.setattr(cache_module, "available_bytes", lambda: free)
    stores = [
        feeder_of(path, cache="memory")._recipe.cache._opened() for path in (folder / "source", tmp_path / "other")
    ]
    assert [store.limit for store in stores] == [free // 2, free // 4]


@pytest.mark.parametrize("kind, limits", [("memory", [1 << 20, 1 << 20]), ("disk", [1 << 22])])
def test_ranks_share_the_limit_of_memory(folder, kind, limits):
    """The file of a disk has one writer, which takes all of it."""
    options = SimpleNamespace(cache=kind, cache_limit=limits[0] * (4 if kind == "memory" else 1))
    source = feeder_of(folder / "source")._recipe.source
    for limit in limits:
        assert Cache.of(options, (source,), Transforms((24, 20)), (), 4, "the layer")._opened().limit == limit


def test_memory_is_free_again(folder, monkeypatch):
    """Also where less is free by then than `cache_limit` says: a run does not end for that."""
    free = [1 << 30]
    monkeypatch.setattr(cache_module, "available_bytes", lambda: free[0])
    expected, _ = fed(folder / "source")
    feeder = feeder_of(folder / "source", cache="memory", cache_limit=1 << 29)
    assert batches(feeder) == (expected, LATER)
    feeder.close()
    free[0] = 1 << 28
    assert batches(feeder) == (expected, LATER)
    feeder.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_limit_on_the_address_space(folder, workers):
    """What cannot be mapped is read."""
    expected, _ = fed(folder / "source")

    def run():
        feeder = feeder_of(folder / "source", cache="memory", workers=workers)
        store = feeder._recipe.cache._opened()
        os.truncate(store._records.fd, 1 << 44)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 43, 1 << 43))
        assert batches(feeder)[0] == expected
        assert batches(feeder)[1] == ALL

    assert end_of(in_fork(run)) == 0


def record_of(number, version=bytes(16)):
    return packed(number, version, Loaded(image(number)))


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_offsets_above_two_gigabytes(folder, kind):
    expected, _ = fed(folder / "source")
    feeder = feeder_of(folder / "source", cache=kind, workers=1)
    store = feeder._recipe.cache._opened()
    store._head[0] = store._head[1] + 5 * 2**31  # a hole
    store.limit = 2**40
    assert batches(feeder)[0] == expected
    assert batches(feeder) == (expected, ALL)
    feeder.close()
    if kind == "disk":
        assert fed(folder / "source", cache="disk") == (expected, ALL)


def test_a_record_larger_than_what_a_process_takes_at_a_time():
    store = Store(3, 50 << 20, 0, plenty)
    large = Loaded(np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), np.uint8))
    store.write(1, packed(1, bytes(16), large))
    store.write(0, record_of(0))
    store.write(2, packed(2, bytes(16), large))
    assert store.stopped == AT_LIMIT
    np.testing.assert_array_equal(unpacked(store.read(1, bool))[2].image, large.image)
    np.testing.assert_array_equal(unpacked(store.read(0, bool))[2].image, image(0))
    assert store.read(2, bool) is None


def test_what_a_record_is_made_of_comes_back():
    maps = [
        np.random.default_rng(1).integers(0, 9, (7, 5), np.uint8),
        np.random.default_rng(2).random((7, 5)).astype(np.float32),
    ]
    for channels in (1, 3, 4):
        pixels = np.random.default_rng(3).integers(0, 256, (7, 5, channels), np.uint8)
        loaded = Loaded(pixels, maps, (70, 50), np.arange(6.0).reshape(2, 3), True)
        parts = packed(9, bytes(range(16)), loaded)
        whole = memoryview(b"".join(parts))
        assert check_sum(parts) == check_sum([whole])
        record, version, found = unpacked(whole)
        assert (record, version, found.stored, found.cut_short) == (9, bytes(range(16)), (70, 50), True)
        for one, other in zip((found.image, *found.maps, found.matrix), (pixels, *maps, loaded.matrix)):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
        for size in range(0, len(whole) - 64, 50):
            with pytest.raises(ValueError, match="no record"):
                unpacked(whole[:size])


# What processes share


def test_a_reader_never_sees_half_of_a_row(folder):
    """A process replaces the same records again and again, of different sizes; what another reads is one of them, whole."""
    versions = [
        packed(0, bytes([number]) * 16, Loaded(np.full((8 + number, 9, 3), number, np.uint8))) for number in range(4)
    ]
    store = Store(1, 1 << 28, 0, plenty)

    def write():
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            store._forget(0, store._row(0)[0])
            store.write(0, random.choice(versions))

    pid = in_fork(write)
    seen = set()
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        found = store.read(0, bool)
        if found is not None:
            _, version, loaded = unpacked(found)
            number = version[0]
            assert loaded.image.shape == (8 + number, 9, 3)
            assert (loaded.image == number).all()
            seen.add(number)
    assert seen == {0, 1, 2, 3}


def test_processes_take_different_space():
    store = Store(400, 1 << 24, 0, plenty)

    def write(first):
        for record in range(first, 400, 4):
            store.write(record, record_of(record))

    assert [end_of(pid) for pid in [in_fork(lambda first=first: write(first)) for first in range(4)]] == [0] * 4
    assert store.kept[0] == 400
    for record in range(400):
        number, _, loaded = unpacked(store.read(record, bool))
        assert number == record
        np.testing.assert_array_equal(loaded.image, image(record))


def test_no_descriptor_is_left(folder):
    gc.collect()  # what other tests have left
    opened = set()
    for number in range(60):
        feeder = feeder_of(folder / "source", cache=("memory", "disk")[number % 2])
        batches(feeder, [0])
        if number % 3:  # the others end with their last reference
            feeder.close()
        del feeder
        if number >= 10:
            opened.add(len(os.listdir("/proc/self/fd")))
    assert max(opened) - min(opened) <= 1  # the source of those that were not closed


def test_it_pickles_without_what_is_mapped(folder):
    options = SimpleNamespace(cache="memory", cache_limit=None)
    source = feeder_of(folder / "source")._recipe.source
    cache = Cache.of(options, (source,), Transforms((24, 20)), (), 1, "the layer")
    cache.put(3, cache.version(3), Loaded(image(3)))
    other = pickle.loads(pickle.dumps(cache))
    np.testing.assert_array_equal(other.get(3).image, image(3))
    assert other.get(4) is None
    other.put(4, other.version(4), Loaded(image(4)))
    np.testing.assert_array_equal(cache.get(4).image, image(4))
    assert len(pickle.dumps(cache)) < 20_000
