"""The cached index of an LMDB: used, told from a stale or damaged one, written whole or not at all, and small."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import lmdb
import numpy as np
import pytest

from caffe_pylayers.caffe_files.datum import Datum, write_datum
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.data.sources.base import Names
from caffe_pylayers.data.sources.index import FEWEST_RECORDS, Index, cached
from caffe_pylayers.data.sources.lmdb import write_lmdb

LABELS = np.arange(FEWEST_RECORDS) % 7


def run(code, *arguments, **environment):
    """What a fresh Python prints, as JSON."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    output = subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE).stdout
    return json.loads(output)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("original") / "db")
    write_lmdb(path, (Datum(b"abc", int(label), 3, 1, 1) for label in LABELS))
    return path


@pytest.fixture
def database(original, tmp_path, monkeypatch):
    """An LMDB just large enough for a cached index, alone in a folder; the cache folder is another."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    os.mkdir(tmp_path / "data")
    shutil.copytree(original, tmp_path / "data" / "db")
    return str(tmp_path / "data" / "db")


def cache_of(database):
    return f"{database}.caffe_pylayers.npz"


def forge(place):
    """Put other labels into a cached index, by which its use is seen."""
    with np.load(place) as file:
        arrays = dict(file)
    arrays["labels"] = np.full_like(arrays["labels"], 77)
    np.savez(place, **arrays)


def is_used(database):
    return (open_source("LMDB", database).labels == 77).all()


def is_right(database):
    source = open_source("LMDB", database)
    return np.array_equal(source.labels, LABELS) and list(source.names) == [b"%08d" % key for key in range(len(LABELS))]


def test_an_index_is_cached_and_used(database, tmp_path):
    assert is_right(database)
    assert os.listdir(database) == ["data.mdb"]
    assert sorted(os.listdir(tmp_path / "data")) == ["db", "db.caffe_pylayers.npz"]
    assert not (tmp_path / "cache").exists()
    written = os.stat(cache_of(database))
    assert is_right(database)
    now = os.stat(cache_of(database))  # whose time of reading may be another
    assert (now.st_ino, now.st_size, now.st_mtime_ns) == (written.st_ino, written.st_size, written.st_mtime_ns)
    forge(cache_of(database))
    assert is_used(database)
    os.symlink(database, tmp_path / "another name")
    assert is_used(str(tmp_path / "another name"))
    np.testing.assert_array_equal(open_source("LMDB", database).read(5).ravel(), list(b"abc"))


def test_small_sources_leave_nothing(tmp_path):
    path = str(tmp_path / "db")
    write_lmdb(path, [Datum(b"abc", 1, 3, 1, 1)] * (FEWEST_RECORDS - 1))
    assert len(open_source("LMDB", path)) == FEWEST_RECORDS - 1
    assert os.listdir(tmp_path) == ["db"]


@pytest.mark.parametrize("label", [None, (3, 4)])
def test_an_index_without_labels_and_with_several(tmp_path, label):
    path = str(tmp_path / "db")
    write_lmdb(path, (Datum(b"abc", label, 3, 1, 1) for _ in range(FEWEST_RECORDS)))
    first, second = open_source("LMDB", path), open_source("LMDB", path)
    assert os.path.exists(cache_of(path))
    for source in (first, second):
        assert (source.labels is None) if label is None else (source.labels == label).all()


def change(database, name):
    file = os.path.join(database, "data.mdb")
    before = os.stat(file)
    if name == "its date":
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    elif name == "another file":
        shutil.copy2(file, file + ".copy")
        os.replace(file + ".copy", file)
    elif name == "its size":
        os.truncate(file, before.st_size + 4096)
    else:  # something in it
        with lmdb.open(database, map_size=1 << 30, lock=False) as environment, environment.begin(write=True) as txn:
            assert txn.replace(b"%08d" % 3, write_datum(Datum(b"abc", 3, 3, 1, 1)))
    if name != "its date":
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("name", ["its date", "another file", "its size", "something in it"])
def test_a_database_that_changed_is_indexed_again(database, name):
    open_source("LMDB", database)
    forge(cache_of(database))
    assert is_used(database)
    change(database, name)
    assert is_right(database)
    forge(cache_of(database))  # written again, under the new stamp
    assert is_used(database)


def damages(whole):
    rng = np.random.default_rng(0)
    for size in (0, 1, 30, 100, len(whole) // 2, len(whole) - 100, len(whole) - 22, len(whole) - 1):
        yield whole[:size]
    for _ in range(12):
        flipped = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            flipped[place] ^= 1 << int(rng.integers(0, 8))
        yield bytes(flipped)
    yield rng.bytes(5000)
    yield b"PK\x05\x06" + bytes(18)  # an empty zip file
    yield b"\x80\x04}q\x00."  # a pickle


def test_a_damaged_index_is_built_anew(database, caplog):
    open_source("LMDB", database)
    whole = Path(cache_of(database)).read_bytes()
    for damaged in damages(whole):
        Path(cache_of(database)).write_bytes(damaged)
        assert is_right(database)
        forge(cache_of(database))
        assert is_used(database)
    assert caplog.records == []


def test_the_index_of_another_version_is_built_anew(database):
    open_source("LMDB", database)
    with np.load(cache_of(database)) as file:
        arrays = dict(file)
    arrays["stamp"][0] += 1
    np.savez(cache_of(database), **arrays)
    forge(cache_of(database))
    assert is_right(database)


#: Opens an LMDB as a user who may not write (if root runs this) and prints its labels' sum.
OPEN = """
import io, os, sys
import numpy as np
from caffe_pylayers.data.sources.lmdb import LMDBSource
file = io.BytesIO()
np.savez(file, a=np.zeros(1))
file.seek(0)
np.load(file)["a"]  # what this imports lies where that user may not read
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    open(sys.argv[1] + ".probe", "w")
    sys.exit("the folder can be written")
except PermissionError:
    print(int(LMDBSource(sys.argv[1]).labels.sum()))
"""


@pytest.fixture
def read_only(original):
    """An LMDB in a folder that its readers cannot write, beside one that all can."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shutil.copytree(original, os.path.join(folder, "data", "db"))
        os.mkdir(os.path.join(folder, "cache"))
        os.chmod(os.path.join(folder, "cache"), 0o777)
        os.chmod(os.path.join(folder, "data"), 0o555)
        yield folder
        os.chmod(os.path.join(folder, "data"), 0o755)


def test_beside_a_read_only_source_the_cache_folder_is_used(read_only):
    database, cache = os.path.join(read_only, "data", "db"), os.path.join(read_only, "cache")
    assert run(OPEN, database, XDG_CACHE_HOME=cache) == LABELS.sum()
    assert os.listdir(os.path.join(read_only, "data")) == ["db"]
    (place,) = Path(cache, "caffe_pylayers", "index").iterdir()
    assert place.suffix == ".npz"
    forge(place)
    assert run(OPEN, database, XDG_CACHE_HOME=cache) == 77 * len(LABELS)


@pytest.mark.parametrize("folder", ["data", "data/db/data.mdb"])
def test_where_nothing_can_be_written_there_is_no_cache(read_only, folder):
    database = os.path.join(read_only, "data", "db")
    for _ in range(2):
        assert run(OPEN, database, XDG_CACHE_HOME=os.path.join(read_only, folder)) == LABELS.sum()
    assert os.listdir(os.path.join(read_only, "data")) == ["db"]
    assert os.listdir(os.path.join(read_only, "cache")) == []


def test_what_cannot_be_written_in_full_is_not_there(database, tmp_path):
    """A full disk: of this file system object not one byte more may be written."""
    code = (
        "import resource, signal, sys\nfrom caffe_pylayers.data.sources.lmdb import LMDBSource\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))\n"
        "print(int(LMDBSource(sys.argv[1]).labels.sum()))"
    )
    assert run(code, database) == LABELS.sum()
    assert os.listdir(tmp_path / "data") == ["db"]
    assert list((tmp_path / "cache").rglob("*.*")) == []


def test_what_another_process_writes_just_now_is_left_to_it(database, tmp_path):
    partial = cache_of(database) + ".partial-0"
    with open(partial, "wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert is_right(database)
        assert os.path.exists(partial)
    os.remove(cache_of(database))
    assert is_right(database)
    assert sorted(os.listdir(tmp_path / "data")) == ["db", "db.caffe_pylayers.npz"]


def test_an_index_is_not_written_through_a_link(database, tmp_path):
    """Not at any name that can be known before: neither where it lies, nor where it is written first."""
    thesis = tmp_path / "thesis"
    thesis.write_text("years of work")
    for name in (cache_of(database), cache_of(database) + ".partial", cache_of(database) + ".partial-0"):
        os.symlink(thesis, name)
    assert is_right(database)
    assert thesis.read_text() == "years of work"
    assert not os.path.islink(cache_of(database))
    forge(cache_of(database))
    assert is_used(database)


def test_an_index_that_is_no_file_or_unpacks_to_more_than_it_is(database):
    """Nothing of it is waited for or unpacked, its stamp fitting or not."""
    assert is_right(database)
    with np.load(cache_of(database)) as file:
        stamp = file["stamp"]
    os.remove(cache_of(database))
    os.mkfifo(cache_of(database))
    assert is_right(database)
    for fitting in (stamp, stamp + 1):
        zeros = np.zeros(1 << 26, np.uint8)
        np.savez_compressed(cache_of(database), stamp=fitting, names=zeros, ends=zeros, offsets=zeros, sizes=zeros)
        assert os.path.getsize(cache_of(database)) < 1 << 20
        assert run(GROWTH, database) < 20
        assert is_right(database)


def test_processes_that_index_at_once(database):
    code = (
        "import sys\nfrom caffe_pylayers.data.sources.lmdb import LMDBSource\n"
        "print(LMDBSource(sys.argv[1]).labels.sum())"
    )
    command = [sys.executable, "-c", code, database]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [int(process.communicate()[0]) for process in processes] == [LABELS.sum()] * 4
    forge(cache_of(database))
    assert is_used(database)


#: Writes an index over and over, each under another stamp; labels are the stamp.
WRITE = """
import sys, itertools
import numpy as np
from caffe_pylayers.data.sources.base import Names
from caffe_pylayers.data.sources.index import Index, cached
names, places = Names(b"%08d" % number for number in range(500_000)), np.arange(500_000)
for stamp in itertools.count(1):
    cached(sys.argv[1], (stamp,), lambda: Index(names, np.full(500_000, stamp, np.int32), places, places))
"""


def test_a_killed_writer_leaves_a_whole_file_and_nothing_that_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = str(tmp_path / "db")
    place = Path(cache_of(path))

    def partial():
        return {*tmp_path.glob(f"{place.name}.partial-*")}

    unfinished = 0
    rng = np.random.default_rng(0)
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", WRITE, path])
        while process.poll() is None and not (place.exists() and partial()):
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.01))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert {*tmp_path.iterdir()} == {place, *partial()}
        with np.load(place) as file:
            _, stamp = file["stamp"]
            assert file["labels"].shape == (500_000,)
            assert (file["labels"] == stamp).all()
        unfinished += bool(partial())
        index = Index(Names([b"a", b"bc"]), np.int32([1, 2]), np.int64([0, 9]), np.uint32([9, 9]))
        assert cached(path, (-1,), lambda index=index: index) is index
        assert [file.name for file in tmp_path.iterdir()] == [place.name]
        assert list(cached(path, (-1,), lambda: None).names) == [b"a", b"bc"]
        place.unlink()
    assert unfinished > 0


#: Indexes an LMDB with not more than 50 MB of memory to take.
LITTLE_MEMORY = """
import resource, sys
from caffe_pylayers.data.sources.lmdb import LMDBSource
with open("/proc/self/status") as status:
    taken = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (taken + 50_000_000, taken + 50_000_000))
source = LMDBSource(sys.argv[1])
print(source.labels.tolist())
try:
    source.read(0)
    sys.exit("the limit is none")
except MemoryError:
    pass
"""


def test_images_are_not_copied(tmp_path):
    path = str(tmp_path / "db")
    write_lmdb(path, [Datum(bytes(100_000_000), 3, 1, 10_000, 10_000)])
    assert run(LITTLE_MEMORY, path) == [3]


#: Prints by how many MB of memory an LMDB makes the process grow.
GROWTH = """
import sys
from caffe_pylayers.data.sources.lmdb import LMDBSource
def megabytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1000 for line in status if line.startswith("VmRSS"))
before = megabytes()
source = LMDBSource(sys.argv[1])
print(megabytes() - before)
"""


def test_an_index_takes_little_more_than_keys_labels_and_places(tmp_path):
    path = str(tmp_path / "db")
    write_lmdb(path, (Datum(b"abc", number, 3, 1, 1) for number in range(200_000)))
    for cached_already in (False, True):
        assert os.path.exists(cache_of(path)) == cached_already
        assert run(GROWTH, path) < 200_000 * (8 + 4 + 8 + 4) / 1e6 + 8


@pytest.mark.parametrize("names", [[], [b""], [b"", b""], [b"ab"], [b"a", b"bc", b""], [b"abc", b"xyz"], [b"", b"a"]])
def test_packed_names(names):
    for packed in (Names(names), Names.of(*Names(names).arrays())):
        assert list(packed) == names
        assert len(packed) == len(names)
        for number in (-1, len(names)):
            with pytest.raises(IndexError):
                packed[number]
