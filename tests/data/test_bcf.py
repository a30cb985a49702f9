import os
import struct
from collections import Counter

import numpy as np
import pytest

from caffe_pylayers.data.sources import Record, open_source
from caffe_pylayers.data.sources.bcf import write_bcf
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import DataError
from caffe_pylayers.processes.memory import available_bytes
from tests.data.mutations import mutated_files, outcomes
from tests.refusals import refused

each_mode = pytest.mark.parametrize("mode", ["FILE", "MEM"])


def bcf(*images, count=None, sizes=None):
    """The bytes of a BCF file, by its definition."""
    sizes = [len(image) for image in images] if sizes is None else sizes
    return struct.pack(f"<{1 + len(sizes)}Q", len(images) if count is None else count, *sizes) + b"".join(images)


@each_mode
def test_the_layout(tmp_path, mode):
    (tmp_path / "train.bcf").write_bytes(bcf(b"one", b"", b"three"))
    source = open_source("BCF", str(tmp_path / "train.bcf"), bcf_mode=mode)
    assert [bytes(source.read(record)) for record in range(len(source))] == [b"one", b"", b"three"]
    assert source.labels is None and source.sample_weights is None
    assert source.describe(2) == f"BCF source {tmp_path}/train.bcf: record 2 ('2')"
    with refused(DataError, "not an image", record=1):
        Transforms().load(source, 1)
    with pytest.raises(IndexError):
        source.names[3]


def test_what_is_written(tmp_path):
    path = str(tmp_path / "train.bcf")
    assert write_bcf(path, [Record(b"one", (3,)), Record(b"two", (1, 4))]) == 2
    assert (tmp_path / "train.bcf").read_bytes() == bcf(b"one", b"two")
    assert sorted(os.listdir(tmp_path)) == ["train.bcf", "train.bcf.labels.npy"]
    assert np.load(f"{path}.labels.npy").tolist() == [[3, -1], [1, 4]]
    os.remove(path)
    with refused(DataError, "already", "train.bcf.labels.npy"):
        write_bcf(path, [Record(b"one", (3,))])
    assert os.listdir(tmp_path) == ["train.bcf.labels.npy"]


BAD = {
    "nothing": (b"", "0 bytes, too few for a header; was the copy cut short?"),
    "half a header": (b"\1\0\0", "3 bytes, too few for a header"),
    "cut in the sizes": (
        bcf(b"x" * 9, count=1200)[:24],
        r"its header has 1200 entries \(9608 bytes\), but the file has 24 bytes; was the copy cut short\?",
    ),
    "huge count": (bcf(b"x", count=(1 << 64) - 1), "its header has 18446744073709551615 entries"),
    "cut in the images": (
        bcf(b"abc", b"def")[:-1],
        "says 30 bytes for itself and 2 images, but the file has 29; was the copy cut",
    ),
    "more than sizes say": (
        bcf(b"abc") + b"x",
        "says 19 bytes for itself and 1 images, but the file has 20; is it a BCF file",
    ),
    "huge size": (bcf(b"abc", sizes=[(1 << 64) - 16]), "18446744073709551616 bytes"),
    "sizes that overflow": (bcf(b"abcd", b"", sizes=[1 << 63, (1 << 63) + 4]), "18446744073709551644 bytes"),
    "no records": (bcf(), "it has no records"),
}


@each_mode
@pytest.mark.parametrize("data, message", BAD.values(), ids=BAD.keys())
def test_bad_files(tmp_path, mode, data, message):
    path = tmp_path / "train.bcf"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as error:
        open_source("BCF", str(path), bcf_mode=mode)
    assert error.value.source == f"BCF source {path}"


def test_a_file_that_is_not_there(tmp_path):
    with refused(DataError, "No such file", source=f"BCF source {tmp_path}/none"):
        open_source("BCF", str(tmp_path / "none"))
    with refused(DataError, "a folder", source=f"BCF source {tmp_path}"):
        open_source("BCF", str(tmp_path))


def test_what_happens_to_the_file_while_it_is_in_use(tmp_path):
    path = tmp_path / "train.bcf"
    path.write_bytes(bcf(b"one", b"two"))
    file, memory = (open_source("BCF", str(path), bcf_mode=mode) for mode in ("FILE", "MEM"))
    assert file.read(1) == b"two"
    path.write_bytes(bcf(b"one"))
    with refused(DataError, "train.bcf", "has 19 bytes", record=0):
        file.read(0)
    assert bytes(memory.read(1)) == b"two"
    other = tmp_path / "other.bcf"
    other.write_bytes(bcf(b"one"))
    unread = open_source("BCF", str(other))
    other.unlink()
    with refused(DataError, "other.bcf: No such file", record=0):
        unread.read(0)


def test_a_file_that_is_replaced_is_another_file(tmp_path):
    path = tmp_path / "train.bcf"
    path.write_bytes(bcf(b"old"))
    old = open_source("BCF", str(path))
    assert old.read(0) == b"old"
    (tmp_path / "next").write_bytes(bcf(b"new", b"image"))
    os.rename(tmp_path / "next", path)
    assert open_source("BCF", str(path)).read(0) == b"new"
    assert old.read(0) == b"old"  # which it has open


def test_mem_gives_its_memory_back_and_asks_before_it_takes_it(tmp_path):
    path = tmp_path / "train.bcf"
    path.write_bytes(bcf(b"one"))
    before = set(os.listdir("/proc/self/fd"))
    source = open_source("BCF", str(path), bcf_mode="MEM")
    assert source.fds and set(os.listdir("/proc/self/fd")) > before
    del source
    assert set(os.listdir("/proc/self/fd")) == before
    size = available_bytes() + (1 << 33)
    with open(path, "r+b") as stream:  # sparse: it takes no room on the disk
        stream.write(struct.pack("<QQ", 1, size - 16))
        stream.truncate(size)
    with refused(DataError, "MB of memory", remedy="`bcf_mode: FILE`"):
        open_source("BCF", str(path), bcf_mode="MEM")
    assert len(open_source("BCF", str(path), bcf_mode="FILE")) == 1


@each_mode
def test_damaged_files(tmp_path, photos, mode):
    """500 mutations, and files that are none: an error that names the file, or records that are there."""
    data = bcf(*(photos.bytes_of(number) for number in range(6)))
    path, found = str(tmp_path / "train.bcf"), Counter()
    for number, _ in enumerate(mutated_files(path, data, 500, seed=1)):
        cut = path if number % 5 == 0 else ""
        found.update(outcomes(lambda: open_source("BCF", path, bcf_mode=mode), path, cut))
    assert found["refused"] > 100 and found["read"] > 500 and found["no image"] > 10
