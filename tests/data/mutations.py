"""Damage to files, as copies, disks and people do it; the same for a seed. What comes of it."""

import contextlib
import os
import socket
from pathlib import Path
from typing import Callable, Iterator

import numpy as np

from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import DataError

_NUMBERS = [0, 1, 2, 7, 255, 1 << 15, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 63, (1 << 64) - 1]


def mutations(data: bytes, count: int, seed: int, text: bytes = b"") -> Iterator[bytes]:
    """`count` copies of data, each cut short, with bytes flipped, with a wrong number or otherwise damaged.

    text: characters to put in where numbers of 2, 4 and 8 bytes would mean nothing.
    """
    rng = np.random.default_rng(seed)
    for _ in range(count):
        mutated = bytearray(data)
        kind = rng.integers(6)
        # Half of it where the headers are, so that what counts is hit in a large file too.
        at = int(rng.integers(len(data) if rng.integers(2) else min(len(data), 2048)))
        if kind == 0:
            del mutated[at:]
        elif kind == 1:
            for place in {at, *rng.integers(len(data), size=rng.integers(4)).tolist()}:
                mutated[place] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            mutated[at : at + 1 + int(rng.integers(16))] = rng.bytes(1 + int(rng.integers(16)))
        elif kind == 3 and text:
            mutated[at : at + 1] = bytes(rng.choice(list(text), 1 + int(rng.integers(3))).astype(np.uint8))
        elif kind == 3:
            size = int(rng.choice([2, 4, 8]))
            at -= at % size
            number = int(rng.choice(_NUMBERS)) if rng.integers(2) else int(rng.integers(300))
            mutated[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, "little")
        elif kind == 4:
            del mutated[at : at + 1 + int(rng.integers(64))]
        else:
            mutated[at:at] = mutated[at : at + 1 + int(rng.integers(64))]
        yield bytes(mutated)


def mutated_files(path: str, data: bytes, count: int, seed: int, text: bytes = b"") -> Iterator[str]:
    """Put at `path` what `mutations` makes of data, then files of absurd sizes, then what is no file; says what it is."""
    for mutated in mutations(data, count, seed, text):
        Path(path).write_bytes(mutated)
        yield "mutated"
    for start in (data, b""):
        Path(path).write_bytes(start)
        os.truncate(path, 1 << 40)  # a hole, which takes no room on the disk
        yield f"a hole behind {len(start)} bytes"
    for kind in SPECIAL_FILES:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        make_special_file(kind, path)
        yield kind
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(path)


SPECIAL_FILES = ("pipe", "device", "socket", "folder")  # the folder at the end, since it is removed otherwise


def make_special_file(kind: str, path: str) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as bound:
            bound.bind(path)
    elif kind == "device":
        os.symlink("/dev/zero", path)
    else:
        os.mkdir(path)


def outcomes(opened: Callable[[], Source], path: str, cut: str = "") -> Iterator[str]:
    """Open a source and read all of it: 'refused', or 'read' or 'no image' for each record.

    cut: a file that is cut to half its length between the two. Asserts that every error is a DataError that names the
    path, and that there is a label for every record or none.
    """
    try:
        source = opened()
    except DataError as error:
        assert path in str(error)
        yield "refused"
        return
    assert source.labels is None or len(source.labels) == len(source)
    if cut and os.path.isfile(cut):
        os.truncate(cut, min(os.path.getsize(cut) // 2, 1 << 20))
    for record in range(len(source)):
        try:
            assert Transforms().load(source, record).ndim == 3
            yield "read"
        except DataError as error:
            assert path in str(error)
            yield "no image"
