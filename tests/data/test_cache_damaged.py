"""The file of the cache, damaged, and something else in its place."""

import contextlib
import os
import struct
from pathlib import Path

import pytest

from tests.data.cached_runs import (
    ALL,
    EPOCH,
    LATER,
    NUM_RECORDS,
    batches,
    fed,
    feeder_of,
    file_of,
)

# A file that is damaged


def row_of(path, record):
    with open(path, "rb") as file:
        file.seek(4096 + 24 * record)
        return struct.unpack("<3q", file.read(24))


def poke(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def flip(path):
    offset, size, _ = row_of(path, 3)
    byte = Path(path).read_bytes()[offset + size // 2]
    poke(path, offset + size // 2, bytes([byte ^ 4]))


def move(path, offset=None, size=None):
    other = row_of(path, 5)
    poke(path, 4096 + 24 * 3, struct.pack("<3q", other[0] if offset is None else offset, size or other[1], other[2]))


DAMAGES = {
    "a byte": flip,
    "a page": lambda path: poke(path, 4096 * (row_of(path, 9)[0] // 4096 + 1), bytes(4096)),
    "all records": lambda path: poke(path, 8192, bytes(os.path.getsize(path) - 8192)),
    "a row that names another record": move,
    "a row that names the head": lambda path: move(path, 0),
    "a row below 0": lambda path: move(path, -4096),
    "a row behind the end": lambda path: move(path, 1 << 60),
    "a row of any size": lambda path: move(path, size=1 << 62),
    "the table": lambda path: poke(path, 4096, os.urandom(24 * NUM_RECORDS)),
    "half of it": lambda path: os.truncate(path, os.path.getsize(path) // 2),
    "all but the head": lambda path: os.truncate(path, 64),
    "all of it": lambda path: os.truncate(path, 0),
    "its end": lambda path: os.truncate(path, os.path.getsize(path) - 100),
    "its name": lambda path: os.remove(path),
}
HEADS = {
    "what it is made of": lambda path: poke(path, 30, b"x"),
    "its version": lambda path: poke(path, len(b"caffe_pylayers cache "), b"7"),
    "its count": lambda path: poke(path, 56, b"\1"),
    "its first page": lambda path: poke(path, 0, bytes(4096)),
}


@pytest.mark.parametrize("damage", [*DAMAGES, *HEADS])
def test_a_damaged_file(folder, damage):
    """It feeds what is right, and is whole again then."""
    expected, _ = fed(folder / "source", cache="disk")
    {**DAMAGES, **HEADS}[damage](file_of(folder / "source"))
    found, cached = fed(folder / "source", cache="disk")
    assert found == expected
    assert LATER <= cached < ALL
    assert fed(folder / "source", cache="disk") == (expected, ALL)
    assert list((folder / "caches").glob("**/*.cache")) == []


@pytest.mark.parametrize("damage", [*DAMAGES, *HEADS])
@pytest.mark.parametrize("filled", [3, 2 * EPOCH])
def test_a_file_that_is_damaged_in_use(folder, damage, filled):
    expected, _ = fed(folder / "source")
    feeder = feeder_of(folder / "source", cache="disk", seed=1 if filled == 3 else 0)
    expected, _ = fed(folder / "source", seed=1 if filled == 3 else 0)
    assert batches(feeder, range(filled))[0] == expected[:filled]
    with contextlib.suppress(ValueError, IndexError):  # a record that is not there yet
        {**DAMAGES, **HEADS}[damage](file_of(folder / "source"))
    for _ in range(3):
        assert batches(feeder)[0] == expected
    feeder.close()
    assert fed(folder / "source", cache="disk", seed=1 if filled == 3 else 0)[0] == expected


SOMETHING = b"years of work" * 1000


def link(path, target):
    os.symlink(target, path)


OTHERS = {
    "a text": lambda path: path.write_bytes(SOMETHING),
    "a short text": lambda path: path.write_bytes(b"x"),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a link to a text": lambda path: (path.with_name("text").write_bytes(SOMETHING), link(path, "text")),
    "a link to an empty file": lambda path: (path.with_name("text").touch(), link(path, "text")),
    "a link to nothing": lambda path: link(path, "nothing"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_somebody_elses_is_left_alone(folder, other):
    expected, _ = fed(folder / "source", cache="disk")
    path = file_of(folder / "source")
    path.unlink()
    OTHERS[other](path)
    before = sorted((name.name, name.lstat().st_size, name.lstat().st_mtime_ns) for name in folder.glob("*[et]"))
    assert fed(folder / "source", cache="disk") == (expected, LATER)
    assert fed(folder / "source", cache="disk") == (expected, ALL)
    assert (
        sorted((name.name, name.lstat().st_size, name.lstat().st_mtime_ns) for name in folder.glob("*[et]")) == before
    )
    assert len(list((folder / "caches" / "caffe_pylayers" / "images").iterdir())) == 1
