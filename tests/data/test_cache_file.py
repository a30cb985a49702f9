"""The file of the cache: killed while it is written, a full disk, several runs, folders that are read-only."""

import contextlib
import errno
import logging
import os
import random
import resource
import shutil
import signal
import tempfile
import time
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from caffe_pylayers.data.cache import cache as cache_module
from tests.data.cached_runs import (
    ALL,
    LATER,
    NUM_RECORDS,
    as_nobody,
    batches,
    end_of,
    fed,
    feeder_of,
    file_of,
    image,
    in_fork,
    mounted,
    on_a_read_only_disk,
    plenty,
    write_source,
)


@pytest.mark.parametrize("workers, number", [(0, 10), (2, 3)])
def test_killed_while_it_is_written(folder, workers, number):
    """Each time what is there is right, and the next run goes on; a last one finds all of it."""
    count, dice, kept = 500, random.Random(workers), [0]
    write_source(folder / "large", 2, count)
    everything = range(count // 5)
    expected, _ = batches(feeder_of(folder / "large"), everything)

    def run():
        """Feed where nothing is kept yet, and tell of each batch."""
        feeder = feeder_of(folder / "large", cache="disk", workers=workers)
        for batch in range(kept[-1] // 5, kept[-1] // 5 + 8):
            assert batches(feeder, [batch])[0] == [expected[batch]]
            os.write(told, b".")
        signal.pause()

    for _ in range(number):
        listening, told = os.pipe()
        pid = in_fork(run)
        os.close(told)
        for _ in range(dice.randrange(1, 7)):
            assert os.read(listening, 1)
        time.sleep(dice.random() / 500)
        os.killpg(pid, signal.SIGKILL)
        assert end_of(pid) == -signal.SIGKILL
        os.close(listening)
        feeder = feeder_of(folder / "large", cache="disk")
        feeder._recipe.cache.put = lambda *record: None  # only look
        found, cached = batches(feeder, everything)
        feeder.close()
        assert found == expected
        kept.append(cached)
    assert kept == sorted(set(kept))
    assert kept[-1] < count
    feeder = feeder_of(folder / "large", cache="disk")
    assert batches(feeder, everything) == (expected, kept[-1])
    assert batches(feeder, everything) == (expected, count)
    feeder.close()


def small_disk(folder, size):
    """In this process alone: a disk of that many bytes, or, where the system lets nobody mount one, files of no more."""
    if not mounted(folder, b"tmpfs", 0, b"size=%d" % size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("way", ["a full disk", "a limit on files"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_full_disk(folder, caplog, way, workers):
    """What is kept by then stays, and the stream goes on; one line says it, and what to do."""
    expected, _ = fed(folder / "source")

    def run():
        (folder / "small").mkdir()
        if way == "a full disk":
            small_disk(folder / "small", 1 << 20)
            shutil.copytree(folder / "source", folder / "small" / "source")
            with contextlib.suppress(OSError), open(folder / "small" / "filler", "wb", buffering=0) as filler:
                for _ in range(256):
                    filler.write(bytes(4096))
            os.truncate(folder / "small" / "filler", (folder / "small" / "filler").stat().st_size - 40960)
        else:
            shutil.copytree(folder / "source", folder / "small" / "source")
            resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
        feeder = feeder_of(folder / "small" / "source", cache="disk", workers=workers)
        cache = feeder._recipe.cache
        store = cache._opened()
        store.limit, store.keep_free, store._free = 1 << 40, 0, plenty
        assert (folder / "small") in Path(store.file.path).parents
        found, cached = batches(feeder)
        cache.tell()
        cache.tell()
        assert found == expected
        assert 1 <= cached < LATER  # one worker may be the first to find no room
        remedy = "make room on the disk" if store.stopped == errno.ENOSPC else "`ulimit -f`"
        assert store.stopped == (errno.EFBIG if way == "a limit on files" else store.stopped)
        (told,) = [entry.getMessage() for entry in caplog.records if "cannot be written" in entry.getMessage()]
        assert remedy in told

    assert end_of(in_fork(run)) == 0


# Several runs


def test_a_second_run_reads_what_is_whole(folder, caplog):
    expected, _ = fed(folder / "source")
    writer = feeder_of(folder / "source", cache="disk", workers=1)
    assert batches(writer, range(4))[0] == expected[:4]

    def read():
        cache_module._stores.clear()  # which another process does not have
        reader = feeder_of(folder / "source", cache="disk")
        found, cached = batches(reader)
        assert found == expected
        assert 40 <= cached < ALL
        assert not reader._recipe.cache._opened().file.writable
        assert "another run writes" in caplog.text

    assert end_of(in_fork(read)) == 0
    assert batches(writer)[0] == expected
    writer.close()
    assert fed(folder / "source", cache="disk") == (expected, ALL)


@pytest.mark.parametrize("attempt", range(3))
def test_runs_that_start_at_one_moment(folder, attempt):
    expected, _ = fed(folder / "source")
    start = time.monotonic() + 0.2

    def run():
        feeder = feeder_of(folder / "source", cache="disk")
        while time.monotonic() < start:
            pass
        assert batches(feeder)[0] == expected

    children = [in_fork(run) for _ in range(3)]
    assert [end_of(pid) for pid in children] == [0, 0, 0]
    assert fed(folder / "source", cache="disk") == (expected, ALL)
    assert list((folder / "caches").glob("**/*.cache")) == []


def test_data_sets_of_one_file_and_lists_of_several_folders_have_files_of_their_own(folder):
    with h5py.File(folder / "all.h5", "w") as file:
        for number, name in enumerate(("train", "test")):
            file[name] = np.stack([image(100 * number + record) for record in range(NUM_RECORDS)]).transpose(0, 3, 1, 2)
            (folder / name).mkdir()
            for record in range(NUM_RECORDS):
                cv2.imwrite(str(folder / name / f"{record}.png"), image(100 * number + record))
    (folder / "list.txt").write_text("".join(f"{record}.png\n" for record in range(NUM_RECORDS)))
    cases = [
        {"path": folder / "all.h5", "source_type": "HDF5", "datasets": {"data": name}} for name in ("train", "test")
    ] + [{"path": folder / "list.txt", "source_type": "CSV", "root": str(folder / name)} for name in ("train", "test")]
    expected = [fed(**case)[0] for case in cases]
    for cached in (LATER, ALL):
        feeders = [feeder_of(**case, cache="disk") for case in cases]
        assert [batches(feeder) for feeder in feeders] == [(stream, cached) for stream in expected]
        for feeder in feeders:
            feeder.close()
    assert len(list(folder.glob("*.cache"))) == 4


def test_a_file_that_is_deleted_while_another_run_uses_it(folder):
    expected, _ = fed(folder / "source")
    feeder = feeder_of(folder / "source", cache="disk", workers=1)
    batches(feeder, range(4))
    file_of(folder / "source").unlink()
    assert batches(feeder)[0] == expected
    feeder.close()
    assert fed(folder / "source", cache="disk") == (expected, LATER)


@pytest.fixture
def read_only(folder):
    """A source in a folder that its readers cannot write, beside one for caches that all can."""
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        os.chmod(place, 0o755)
        (place / "data").mkdir()
        shutil.copytree(folder / "source", place / "data" / "source")
        (place / "caches").mkdir()
        os.chmod(place / "caches", 0o777)
        os.chmod(place / "data", 0o555)
        yield place
        os.chmod(place / "data", 0o755)


@pytest.mark.parametrize("before", ["nothing", "a file", "a file of another version"])
@pytest.mark.parametrize("way", ["permissions", "disk"])
def test_beside_a_read_only_source_the_cache_folder_is_used(read_only, monkeypatch, way, before):
    """A file that somebody else has made there is read; one of another version is left."""
    expected, _ = fed(read_only / "data" / "source")
    monkeypatch.setenv("XDG_CACHE_HOME", str(read_only / "caches"))
    if before != "nothing":
        os.chmod(read_only / "data", 0o755)
        with monkeypatch.context() as patch:
            if before == "a file of another version":
                patch.setattr(cv2, "__version__", "0")
            fed(read_only / "data" / "source", cache="disk")
        os.chmod(read_only / "data", 0o555)

    def run():
        as_nobody() if way == "permissions" else on_a_read_only_disk(read_only / "data")
        assert fed(read_only / "data" / "source", cache="disk") == (expected, ALL if before == "a file" else LATER)
        assert fed(read_only / "data" / "source", cache="disk") == (expected, ALL)

    assert end_of(in_fork(run)) == 0
    assert len(list(read_only.glob("caches/caffe_pylayers/images/*.cache"))) == (before != "a file")
    assert len(list((read_only / "data").glob("*.cache"))) == (before != "nothing")


def test_where_nothing_can_be_written_there_is_no_cache(read_only, caplog, monkeypatch):
    expected, _ = fed(read_only / "data" / "source")
    monkeypatch.setenv("XDG_CACHE_HOME", str(read_only / "data"))

    def run():
        as_nobody()
        feeder = feeder_of(read_only / "data" / "source", cache="disk")
        assert batches(feeder) == (expected, 0)
        feeder.close()
        assert batches(feeder) == (expected, 0)
        (told,) = [entry.getMessage() for entry in caplog.records if entry.levelno == logging.WARNING]
        assert "there is no cache" in told and "Permission denied" in told

    assert end_of(in_fork(run)) == 0
