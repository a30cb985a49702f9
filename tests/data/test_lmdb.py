"""LMDBs: what is read from them, and what happens with damaged ones. Their cached index: test_index.py."""

import os
import pickle
import subprocess
import sys
import threading
from collections import Counter

import cv2
import lmdb
import numpy as np
import pytest

from caffe_pylayers.caffe_files.datum import Datum, read_labels, write_datum
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.data.sources.lmdb import read_table, write_lmdb
from caffe_pylayers.data.sources.lmdb_pages import read_leaves, read_root
from caffe_pylayers.data.sources.storage import File
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import DataError
from tests.data.mutations import mutated_files, mutations, outcomes
from tests.refusals import refused


def write_values(path, values):
    """An LMDB of any bytes, keys as write_lmdb writes them."""
    with lmdb.open(path, map_size=1 << 30, sync=False, lock=False) as environment, environment.begin(write=True) as txn:
        for number, value in enumerate(values):
            txn.put(b"%08d" % number, value)
    return path


def test_an_lmdb_may_be_opened_twice_and_be_written_anew(tmp_path):
    path = str(tmp_path / "db")
    write_lmdb(path, [Datum(b"abc", 1, 3, 1, 1)])
    first, second = open_source("LMDB", path), open_source("LMDB", path)
    np.testing.assert_array_equal(first.read(0), second.read(0))
    os.remove(os.path.join(path, "data.mdb"))
    os.rmdir(path)
    write_lmdb(path, [Datum(b"xyz", 2, 3, 1, 1), Datum(b"xyz", 3, 3, 1, 1)])
    assert open_source("LMDB", path).labels.tolist() == [2, 3]
    assert os.listdir(path) == ["data.mdb"]  # reading wrote nothing


def test_a_database_that_grows_in_place_is_read_no_more_until_it_is_opened_again(tmp_path):
    path = write_values(str(tmp_path / "db"), [write_datum(Datum(b"abc", 1, 3, 1, 1))])
    source = open_source("LMDB", path)
    before = source.read(0)
    more = (
        "import lmdb, sys\nfrom caffe_pylayers.caffe_files.datum import Datum, write_datum\n"
        "with lmdb.open(sys.argv[1], map_size=1 << 30).begin(write=True) as transaction:\n"
        "    for number in range(1, 1000):\n"
        "        transaction.put(b'%08d' % number, write_datum(Datum(bytes(3000), number, 3, 10, 100)))\n"
    )
    subprocess.run([sys.executable, "-c", more, path], check=True)
    assert before.shape == (1, 1, 3)
    with refused(DataError, "data.mdb has changed", record=0):
        source.read(0)
    grown = open_source("LMDB", path)
    assert grown.labels.tolist() == [1, *range(1, 1000)]
    assert grown.read(999).shape == (10, 100, 3)


def test_bad_lmdbs(tmp_path):
    empty = str(tmp_path / "empty")
    write_lmdb(empty, [])
    text = write_values(str(tmp_path / "text"), [b"\x22\x7f hello"])
    os.makedirs(tmp_path / "other")
    (tmp_path / "other" / "data.mdb").write_bytes(b"no database" * 1000)
    for read in (lambda path: open_source("LMDB", path), read_table):
        with refused(DataError, "no records", source=f"LMDB source {empty}"):
            read(empty)
        with refused(DataError, "No such file"):
            read(str(tmp_path / "none"))
        with refused(DataError, "not an LMDB"):
            read(str(tmp_path / "other"))
        with refused(DataError, "protobuf message cut short", record=0):
            read(text)
    half = str(tmp_path / "half")
    write_lmdb(half, [Datum(b"abc", 1, 3, 1, 1), Datum(b"abc", None, 3, 1, 1)])
    with refused(DataError, "'00000001'", "no label", record=1):
        open_source("LMDB", half)
    for label in (1 << 25, -(1 << 31)):
        large = write_values(str(tmp_path / f"label {label}"), [write_datum(Datum(b"abc", label, 3, 1, 1))])
        with refused(DataError, "16777216", record=0):
            open_source("LMDB", large)


def test_an_lmdb_that_was_cut_short(tmp_path):
    """Its pages are not there: to read them would end the process."""
    path = str(tmp_path / "db")
    write_lmdb(path, (Datum(bytes(3000), number, 3, 10, 100) for number in range(100)))
    size = os.path.getsize(os.path.join(path, "data.mdb"))
    for cut in (size - 1, size // 2, 10_000):
        os.truncate(os.path.join(path, "data.mdb"), cut)
        with refused(DataError, f"{size} bytes", f"has {cut}", remedy="cut short"):
            open_source("LMDB", path)
    for cut in (5000, 100, 0):
        os.truncate(os.path.join(path, "data.mdb"), cut)
        with pytest.raises(DataError, match=f"LMDB source {path}: .*(cut short|it is not an LMDB|no records)"):
            open_source("LMDB", path)


def test_a_writer_that_breaks_off_leaves_nothing(tmp_path):
    def records():
        yield Datum(b"abc", 1, 3, 1, 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_lmdb(str(tmp_path / "db"), records())
    assert os.listdir(tmp_path) == []
    write_lmdb(str(tmp_path / "db"), [Datum(b"abc", 1, 3, 1, 1)])
    with refused(DataError, "already"):
        write_lmdb(str(tmp_path / "db"), [])


ROWS = {
    "one label": ([3, 0, 7], [3, 0, 7]),
    "several labels": ([(3, 5), (1, 2)], [[3, 5], [1, 2]]),
    "unlike many": ([3, (1, 2, 9), (4, 5)], [[3, -1, -1], [1, 2, 9], [4, 5, -1]]),
    "none": ([None, None], None),
}


@pytest.mark.parametrize("labels, rows", ROWS.values(), ids=ROWS)
def test_labels(tmp_path, labels, rows):
    path = str(tmp_path / "db")
    write_lmdb(path, (Datum(b"abcdef", label, 3, 1, 2) for label in labels))
    source = open_source("LMDB", path)
    if rows is None:
        assert source.labels is None
    else:
        assert source.labels.dtype == np.int32
        np.testing.assert_array_equal(source.labels, rows)
    assert [source.names[number] for number in range(len(source))] == [
        b"%08d" % number for number in range(len(labels))
    ]


def test_pixels_come_as_height_width_channels(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 4, 5), dtype=np.uint8)
    floats = rng.normal(size=(3, 4, 5)).astype(np.float32)
    png = cv2.imencode(".png", pixels.transpose(1, 2, 0))[1].tobytes()
    path = str(tmp_path / "db")
    data = [
        Datum(pixels.tobytes(), 0, 3, 4, 5),
        Datum(b"", 1, 3, 4, 5, float_data=floats),
        Datum(png, 2, 3, 4, 5, encoded=True),
    ]
    write_lmdb(path, data)
    source = pickle.loads(pickle.dumps(open_source("LMDB", path)))
    assert source.labels is None
    np.testing.assert_array_equal(source.read(0), pixels.transpose(1, 2, 0))
    assert source.read(0).dtype == np.uint8
    np.testing.assert_array_equal(source.read(1), floats.transpose(1, 2, 0))
    assert source.read(1).dtype == np.float32
    assert source.read(2) == png
    np.testing.assert_array_equal(Transforms().load(source, 2), Transforms().load(source, 0))


def test_one_thread_may_read_while_another_opens(photos):
    source = open_source("LMDB", photos.lmdb)
    wrong, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            for record in range(len(source)):
                try:
                    if source.read(record) != photos.bytes_of(record):
                        wrong.append(record)
                except Exception as error:
                    wrong.append(error)

    source.read(0)
    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(200):
        np.testing.assert_array_equal(open_source("LMDB", photos.lmdb).labels, photos.labels)
    stop.set()
    thread.join()
    assert wrong == []


TABLES = {
    "labels": ([Datum(label=3), Datum(label=-4)], [[3], [-4]]),
    "several labels": ([Datum(label=(3, 4)), Datum(label=5)], [[3, 4], [5, np.nan]]),
    "labels of images": (
        [Datum(b"a jpeg", 3, encoded=True), Datum(b"a jpeg", (4, 5), encoded=True)],
        [[3, np.nan], [4, 5]],
    ),
    "indicators": ([Datum(b"\x00\x01\x01", 9, 3, 1, 1), Datum(b"\x01\x00\xff", 9, 3, 1, 1)], [[0, 1, 1], [1, 0, 255]]),
    "float_data": (
        [Datum(b"", 9, 2, 1, 1, float_data=np.float32([0.25, -1])), Datum(b"xyz", float_data=np.float32([7]))],
        [[0.25, -1], [7, np.nan]],
    ),
    "a row of none": ([Datum(), Datum(label=(1, 2))], [[np.nan, np.nan], [1, 2]]),
}  # fmt: skip


@pytest.mark.parametrize("data, rows", TABLES.values(), ids=TABLES)
def test_tables(tmp_path, data, rows):
    path = str(tmp_path / "db")
    write_lmdb(path, data)
    names, table = read_table(path)
    assert list(names) == [b"00000000", b"00000001"]
    assert table.dtype == np.float64
    np.testing.assert_array_equal(table, rows)


def test_a_table_of_images(tmp_path):
    path = str(tmp_path / "images")
    write_lmdb(path, [Datum(label=1), Datum(b"a jpeg", encoded=True)])
    with refused(DataError, "encoded image without a label", record=1):
        read_table(path)
    path = str(tmp_path / "too large")
    long = Datum(float_data=np.zeros(4_000_000, np.float32))
    write_lmdb(path, (long if number == 19_000 else Datum(label=1) for number in range(20_000)))
    with refused(DataError, "4000000 labels", "720000 MB", record=19000):
        read_table(path)


def mutated(value, rng):
    """A Datum's bytes with one thing wrong: cut short, bytes flipped, lost or doubled, or a size that is not so."""
    value = bytearray(value)
    # Half of the time near the fields in front of the image, where the sizes are.
    at = int(rng.integers(0, min(16, len(value)) if rng.random() < 0.5 else len(value)))
    kind = rng.integers(0, 6)
    if kind == 0:
        return bytes(value[:at])
    if kind == 1:
        for place in rng.integers(at, min(at + 8, len(value)), rng.integers(1, 5)):
            value[place] = rng.integers(0, 256)
    elif kind == 2:
        value[at] ^= 1 << int(rng.integers(0, 8))
    elif kind == 3:
        del value[at : at + int(rng.integers(1, 9))]
    elif kind == 4:
        value[at:at] = value[at : at + int(rng.integers(1, 9))]
    else:  # another channels, height, width, label or encoded behind, which is the one that counts
        size = int(rng.choice([0, 1, 2, 3, 255, 65536, 2**21, 2**22, 2**31 - 1, 2**31, 2**32, 2**63]))
        value += bytes([int(rng.choice([1, 2, 3, 5, 7])) << 3])
        while size >= 0x80:
            value.append(size & 0x7F | 0x80)
            size >>= 7
        value.append(size)
    return bytes(value)


def test_500_mutations_read_right_or_are_named(tmp_path):
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8), (18, 16))
    planes = image.transpose(2, 0, 1)
    kinds = [
        Datum(cv2.imencode(".png", image)[1].tobytes(), 1, 3, 16, 18, encoded=True),
        Datum(cv2.imencode(".jpg", image)[1].tobytes(), 1, 3, 16, 18, encoded=True),
        Datum(planes.tobytes(), 1, 3, 16, 18),
        Datum(b"", 1, 3, 16, 18, float_data=planes.astype(np.float32)),
        Datum(planes.tobytes(), (1, 2, 3), 3, 16, 18),
    ]
    whole = [write_datum(datum) for datum in kinds]
    refused = read = 0
    for number in range(500):
        path = str(tmp_path / f"db {number}")
        wrong = mutated(whole[number % len(whole)], rng)
        write_values(path, [*whole, wrong])
        try:
            source = open_source("LMDB", path)
            assert len(source) == len(source.labels) == len(whole) + 1
            assert source.labels.dtype == np.int32
        except DataError as error:
            assert f"LMDB source {path}: " in str(error)
            refused += 1
            continue
        for record in range(len(whole)):
            assert Transforms().load(source, record).shape == (16, 18, 3)
        try:
            loaded = Transforms().load(source, len(whole))
            assert loaded.dtype in (np.uint8, np.float32)
            assert loaded.ndim == 3
            assert loaded.size > 0
            read += 1
        except DataError as error:
            assert f"LMDB source {path}: record {len(whole)} ('{len(whole):08d}')" in str(error)
            refused += 1
    assert refused + read == 500
    assert min(refused, read) > 50


def test_500_mutations_of_the_file_itself(tmp_path):
    """Its header, its tree and its records: to believe what they say would end the process (SIGBUS, SIGSEGV)."""
    whole = str(tmp_path / "whole")
    png = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))[1].tobytes()
    write_lmdb(
        whole, (Datum(png, number, encoded=True) if number % 9 else Datum(b"abc", 9, 3, 1, 1) for number in range(200))
    )
    data = (tmp_path / "whole" / "data.mdb").read_bytes()
    path, counts = str(tmp_path / "damaged"), Counter()
    os.mkdir(path)
    # Where little but the tree is: what lies in its pages counts as often as images do, which are most of the file.
    source = open_source("LMDB", whole)
    assert len(png) > 4096 and source.read(1) == png
    root = read_root(File.of(f"{whole}/data.mdb"))
    assert root.depth == 2
    tree = [0, 1, root.root, *(leaf.offset // 4096 for leaf in read_leaves(File.of(f"{whole}/data.mdb").held(), root))]
    for number, mutated in enumerate(mutations(b"".join(data[page * 4096 :][:4096] for page in tree), 500, seed=0)):
        damaged = bytearray(data)
        if len(mutated) < len(tree) * 4096:
            damaged = bytearray(data[: len(mutated) * len(data) // (len(tree) * 4096)]) if number % 2 else damaged
        for place, page in enumerate(tree):
            part = mutated[place * 4096 :][:4096]
            damaged[page * 4096 : page * 4096 + len(part)] = part
        (tmp_path / "damaged" / "data.mdb").write_bytes(damaged)
        cut = f"{path}/data.mdb" if number % 5 == 0 else ""
        counts.update(outcomes(lambda: open_source("LMDB", path), path, cut))
    for _ in mutated_files(f"{path}/data.mdb", data, 50, seed=1):
        counts.update(outcomes(lambda: open_source("LMDB", path), path))
    assert counts["refused"] > 100
    assert counts["read"] > 10_000


@pytest.mark.parametrize("damaging", [False, True])
def test_an_lmdb_that_changes_while_it_is_indexed(tmp_path, monkeypatch, damaging):
    """That is what is said, also where what was read of it then makes no sense."""
    path = str(tmp_path / "db")
    write_lmdb(path, (Datum(bytes(3000), number, 3, 10, 100) for number in range(300)))
    calls = iter(range(1000))

    def changing(value):
        if next(calls) == 100:
            with open(f"{path}/data.mdb", "r+b") as file:
                file.seek(8192)
                file.write(os.urandom(1 << 20) if damaging else b"")
            os.utime(f"{path}/data.mdb", ns=(0, 0))
        return read_labels(value)

    monkeypatch.setattr("caffe_pylayers.data.sources.lmdb.read_labels", changing)
    with refused(DataError, "data.mdb has changed", source=f"LMDB source {path}"):
        open_source("LMDB", path)
