import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from caffe_pylayers.data.formats import guessed_format
from caffe_pylayers.data.sources import Record, open_source
from caffe_pylayers.data.sources.annotations import annotate
from caffe_pylayers.data.sources.hdf5 import HDF5Source, write_hdf5
from caffe_pylayers.data.sources.hdf5_index import USUAL, read_tables
from caffe_pylayers.data.sources.hdf5_layout import images
from caffe_pylayers.data.sources.storage import File
from caffe_pylayers.errors import DataError
from tests.data.hdf5_rewriting import rewritten
from tests.data.mutations import mutated_files, outcomes
from tests.refusals import refused

ROWS = np.random.default_rng(0).integers(0, 256, (23, 3, 6, 8))


@pytest.fixture
def write(tmp_path):
    """Write an HDF5 file of some data sets; return its path."""

    def writer(file_name="train.h5", libver=None, **data_sets):
        path = str(tmp_path / file_name)
        with h5py.File(path, "w", libver=libver) as file:
            for key, values in data_sets.items():
                file.create_dataset(key, **values) if isinstance(values, dict) else file.create_dataset(
                    key, data=values
                )
        return path

    return writer


STORED = {
    "as it is": {},
    "a row a chunk": {"chunks": (1, 3, 6, 8)},
    "uneven chunks": {"chunks": (5, 2, 4, 3)},
    "gzip": {"chunks": (4, 3, 6, 8), "compression": "gzip"},
    "gzip and shuffle": {"chunks": (7, 1, 5, 8), "compression": "gzip", "shuffle": True},
    "shuffle alone": {"chunks": (7, 3, 6, 8), "shuffle": True},
    "lzf": {"chunks": (7, 3, 5, 8), "compression": "lzf"},
    "checked": {"chunks": (7, 1, 5, 7), "fletcher32": True},
    "shuffled, lzf, checked": {"chunks": (4, 3, 6, 8), "compression": "lzf", "shuffle": True, "fletcher32": True},
    "growing": {"maxshape": (None, 3, 6, 8), "compression": "gzip"},
}
TYPES = ["uint8", "float32", "float64", ">f4", "int64", "float16", ">u2"]


@pytest.mark.parametrize("kind, libver", [("uint8", "earliest"), ("float32", "latest")])
def test_every_layout_reads_as_h5py_reads_it(write, kind, libver):
    compare(
        {
            write(f"{name}.h5", libver, data={"data": ROWS.astype(kind), **stored}): kind
            for name, stored in STORED.items()
        }
    )


def test_every_type_reads_as_h5py_reads_it(write):
    compare(
        {write(f"{kind}.h5", data={"data": ROWS.astype(kind), **STORED["gzip and shuffle"]}): kind for kind in TYPES}
    )


def compare(kinds):
    """kinds: path -> type of its numbers. One program reads where the rows of all files lie."""
    for (path, kind), table in zip(kinds.items(), read_tables(list(kinds), USUAL)):
        source = HDF5Source(path, tables=[table])
        assert len(source) == len(ROWS) and source.labels is None
        for record in (0, 4, 3, 21, 22):
            image = source.read(record)
            np.testing.assert_array_equal(image, ROWS.astype(kind)[record].transpose(1, 2, 0), path)
            assert image.dtype == (np.uint8 if kind == "uint8" else np.float32)
            assert image.flags.c_contiguous


def test_rows_that_gzip_could_not_make_smaller(write):
    """libhdf5 leaves the filter out for such a chunk, and says so only in the chunk's mask."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 1, 3, 3), dtype=np.uint8)
    source = open_source("HDF5", write(data={"data": noise, "chunks": (1, 1, 3, 3), "compression": "gzip"}))
    np.testing.assert_array_equal(source.read(2), noise[2].transpose(1, 2, 0))


def test_chunks_too_large_to_keep_give_up_one_row_at_a_time(write):
    values = np.arange(3 * 4 * 1000 * 1000, dtype=np.float32).reshape(3, 4, 1000, 1000)
    source = open_source("HDF5", write(data={"data": values, "chunks": (3, 1, 1000, 1000), "shuffle": True}))
    np.testing.assert_array_equal(source.read(1), values[1].transpose(1, 2, 0))


def test_flat_rows_and_numbers_beyond_float32(write):
    source = open_source("HDF5", write(data=np.array([[1.5, np.nan], [1e300, -3]])))
    np.testing.assert_array_equal(source.read(0), [[[1.5, np.nan]]])
    np.testing.assert_array_equal(source.read(1), [[[np.inf, -3]]])


LABELS = {
    "whole": (np.array([3, 1]), [3, 1]),
    "whole floats": (np.array([3.0, -1.0], np.float32), [3, -1]),
    "column": (np.array([[3], [1]]), [3, 1]),
    "as blobs": (np.array([3, 1]).reshape(2, 1, 1, 1), [3, 1]),
    "rows": (np.array([[3, 4], [1, -1]], np.int8), [[3, 4], [1, -1]]),
    "rows as blobs": (np.array([[3, 4], [1, -1]]).reshape(2, 2, 1, 1), [[3, 4], [1, -1]]),
}


@pytest.mark.parametrize("stored, labels", LABELS.values(), ids=LABELS.keys())
def test_labels(write, stored, labels):
    source = open_source("HDF5", write(data=ROWS[:2], label=stored, other=np.zeros((3, 3))))
    np.testing.assert_array_equal(source.labels, labels)
    assert source.labels.dtype == np.int32
    assert source.sample_weights is None


def test_names_and_weights(write):
    path = write(
        data=ROWS[:2],
        name=np.array(["größe.jpg", "b"], object),
        sample_weight=np.array([[0.5], [2]]),
        importance=[3, 4],
    )
    source = open_source("HDF5", path)
    assert source.describe(0) == f"HDF5 source {path}: record 0 ('größe.jpg')"
    assert source.sample_weights.tolist() == [0.5, 2]
    assert open_source("HDF5", path, sample_weights="importance").sample_weights.tolist() == [3, 4]
    assert open_source("HDF5", path, labels="importance").labels.tolist() == [3, 4]
    for option in ("sample_weights", "labels"):
        with refused(DataError, "data, importance, name, sample_weight", source="cost"):
            open_source("HDF5", path, **{option: "cost"})


def test_a_list_of_files(write, tmp_path, monkeypatch, photos):
    """As stock Caffe takes it: paths from the working directory."""
    for number in range(20):  # more than are kept open
        part = ROWS[number : number + 3].astype(np.uint8)
        write(f"part {number}.h5", data=part, label=np.arange(number, number + 3), sample_weight=np.ones(3))
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"part {number}.h5\n" for number in range(20)) + "\n")
    monkeypatch.chdir(tmp_path)
    source = open_source("HDF5", str(listed))
    assert len(source) == 60 and source.sample_weights.tolist() == [1] * 60
    for record in (0, 59, 2, 3, *range(0, 60, 3)):
        assert source.labels[record] == record // 3 + record % 3
        np.testing.assert_array_equal(source.read(record), ROWS[record // 3 + record % 3].transpose(1, 2, 0))
    monkeypatch.chdir(os.path.dirname(tmp_path))
    with refused(DataError, "No such file", source=f"{os.path.dirname(tmp_path)}/part 0.h5"):
        open_source("HDF5", str(listed))


VLEN = h5py.vlen_dtype(np.uint8)
ONE = {"data": ROWS[:2].astype(np.uint8), "label": [0, 1]}
UNLIKE = {
    "size": {"data": ROWS[:2, :, :4].astype(np.uint8), "label": [0, 1]},
    "type": {"data": ROWS[:2].astype(np.float32), "label": [0, 1]},
    "encoded": {"data": {"data": [np.zeros(1), np.zeros(2)], "dtype": VLEN}, "label": [0, 1]},
    "no labels": {"data": ONE["data"]},
    "columns": {**ONE, "label": [[0, 1], [1, 0]]},
    "names": {**ONE, "name": ["a", "b"]},
    "weights": {**ONE, "sample_weight": [1, 2]},
}


@pytest.mark.parametrize("other", UNLIKE.values(), ids=UNLIKE.keys())
def test_files_of_a_list_are_alike(write, tmp_path, other):
    (tmp_path / "list.txt").write_text(f"{write('one.h5', **ONE)}\n{write('two.h5', **other)}\n")
    with refused(DataError, "two.h5", "first file has uint8", remedy="alike"):
        open_source("HDF5", str(tmp_path / "list.txt"))


BAD = {
    "no data": ({"label": [1]}, "no data set `data`; it has label"),
    "images without channels": (
        {"data": ROWS[:, 0]},
        r"type int64 and shape \(23, 6, 8\); numbers \(N, channels, height",
    ),
    "complex": ({"data": ROWS + 1j}, "type complex128"),
    "strings": ({"data": np.array(["a"], object)}, "type object"),
    "booleans": ({"data": ROWS > 0}, "type bool"),
    "empty": ({"data": np.zeros((0, 3, 4, 4))}, r"shape \(0, 3, 4, 4\): it is empty"),
    "no rows": ({"data": {"shape": (0,), "maxshape": (None,), "dtype": VLEN}}, "it has no records"),
    "never written": ({"data": {"shape": (9, 3), "dtype": "f4"}}, "was never written"),
    "chunks never written": ({"data": {"shape": (9, 3), "dtype": "f4", "chunks": (3, 3)}}, "was never written"),
    "labels too few": ({"data": ROWS, "label": [1]}, r"data set `label` has shape \(1,\), but `data` has 23 rows"),
    "a label for all": ({"data": ROWS, "label": 1}, r"data set `label` has shape \(\)"),
    "labels of words": (
        {"data": ROWS[:1], "label": ["cat"]},
        r"`label` has type object .*; numbers \(N,\) or \(N, L\)",
    ),
    "label maps": ({"data": ROWS, "label": ROWS}, r"`label` has type int64 and shape \(23, 3, 6, 8\)"),
    "fractions": ({"data": ROWS[:2], "label": [1, 0.5]}, r"record 1 \('1'\): label 0.5; integers are allowed"),
    "no number": ({"data": ROWS[:2], "label": [np.nan, 1]}, r"record 0 \('0'\): label nan; integers"),
    "large": ({"data": ROWS[:2], "label": [1, 1 << 60]}, r"record 1 \('1'\): its label is above 16777216"),
    "numbers for names": ({"data": ROWS[:2], "name": [1, 2]}, r"`name` has type int64 .*; strings \(N,\) are expected"),
    "negative weight": ({"data": ROWS[:2], "sample_weight": [1, -2]}, r"record 1 \('1'\): sample weight -2; finite"),
    "weights in rows": ({"data": ROWS[:1], "sample_weight": [[1, 2]]}, r"sample weights have 2 columns.*\(1\)"),
}


@pytest.mark.parametrize("data_sets, message", BAD.values(), ids=BAD.keys())
def test_bad_files(write, data_sets, message):
    path = write(**data_sets)
    with pytest.raises(DataError, match=message) as error:
        open_source("HDF5", path)
    assert error.value.source.startswith(f"HDF5 source {path}")


def scaleoffset(folder):
    return {"data": {"data": ROWS, "scaleoffset": 0}}


def virtual(folder):
    layout = h5py.VirtualLayout(ROWS.shape, ROWS.dtype)
    for number, rows in enumerate((slice(0, 9), slice(9, 23))):
        part = folder / f"part{number}.h5"
        with h5py.File(part, "w") as file:
            file["data"] = ROWS[rows]
        layout[rows] = h5py.VirtualSource(part.name, "data", ROWS[rows].shape)
    return {"data": layout}


def external(folder):
    (folder / "rows.raw").write_bytes(ROWS.tobytes())
    return {"data": {"shape": ROWS.shape, "dtype": ROWS.dtype, "external": str(folder / "rows.raw")}}


def link(folder):
    with h5py.File(folder / "other.h5", "w") as file:
        file["rows"] = ROWS
    return {"data": h5py.ExternalLink("other.h5", "/rows")}


def twelve_bits(folder):
    return {"data": ROWS}


def compact(folder):
    return {"data": ROWS}


#: How rows are stored -> what is said of it.
ELSEWHERE = {
    scaleoffset: "is compressed by scaleoffset",
    virtual: "is virtual: its rows are in part0.h5, part1.h5",
    external: "has its rows in .*/rows.raw",
    link: "is a link to .*/other.h5",
    compact: "is kept in the header",
    twelve_bits: "has numbers that are not stored as int64",
}


@pytest.fixture
def write_elsewhere(tmp_path):
    """Write a file whose rows h5py reads and we do not; return its path."""

    def writer(stored, folder="a user's"):
        (tmp_path / folder).mkdir()
        path = str(tmp_path / folder / "train.h5")
        (data,) = stored(tmp_path / folder).values()
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        kind = h5py.h5t.STD_I64LE.copy()
        if stored is compact:
            plist.set_layout(h5py.h5d.COMPACT)
        if stored is twelve_bits:
            kind.set_precision(12)
        with h5py.File(path, "w", libver="latest") as file:
            if stored in (compact, twelve_bits):
                space = h5py.h5s.create_simple(ROWS.shape)
                made = h5py.h5d.create(file.id, b"data", kind, space, dcpl=plist)
                made.write(h5py.h5s.ALL, h5py.h5s.ALL, data)
            elif isinstance(data, dict):
                file.create_dataset("data", **data)
            elif isinstance(data, h5py.VirtualLayout):
                file.create_virtual_dataset("data", data)
            else:
                file["data"] = data
            file["label"] = np.arange(23)
            file["name"] = [f"{number}.jpg" for number in range(23)]
            file["group/others"] = 3
            file["one number"], file["empty"] = 3, h5py.Empty("f4")
            file.create_dataset("cells", (2,), h5py.ref_dtype)[0] = file["label"].ref
        return path

    return writer


@pytest.mark.parametrize("stored", ELSEWHERE, ids=lambda stored: stored.__name__)
def test_rows_that_are_elsewhere_are_named_and_written_anew(write_elsewhere, stored, monkeypatch, capsys):
    path = write_elsewhere(stored)
    with pytest.raises(DataError, match=f"data set `data` {ELSEWHERE[stored]}") as error:
        open_source("HDF5", path)
    new = rewritten(error.value.remedy, None if stored is link else monkeypatch)
    assert os.path.dirname(new) == os.path.dirname(path)
    source = open_source("HDF5", new)
    np.testing.assert_array_equal([source.read(record) for record in range(23)], ROWS.transpose(0, 2, 3, 1))
    assert source.labels.tolist() == [*range(23)] and source.names[22] == b"22.jpg"
    with pytest.raises(SystemExit, match="is there already"):
        rewritten(error.value.remedy, monkeypatch)


def test_the_other_remedies_of_links_and_virtual_data_sets(write_elsewhere, monkeypatch):
    path = write_elsewhere(virtual)
    monkeypatch.chdir(os.path.dirname(path))
    with pytest.raises(DataError) as error:
        open_source("HDF5", path)
    assert error.value.remedy.startswith("name those files in a list, a line each, or `")
    Path("list.txt").write_text("part0.h5\npart1.h5\n")
    source = open_source("HDF5", "list.txt")
    np.testing.assert_array_equal([source.read(record) for record in range(23)], ROWS.transpose(0, 2, 3, 1))
    with h5py.File("linked.h5", "w") as file, h5py.File("itself.h5", "w") as other:
        other["data"] = ROWS
        file["data"] = h5py.ExternalLink("itself.h5", "/data")
    with pytest.raises(DataError) as error:
        open_source("HDF5", "linked.h5")
    assert error.value.remedy.startswith("name that file as the source, or `")
    compare({"itself.h5": "int64"})


@pytest.mark.parametrize("what", ["data", "label"])
def test_missing_parts_of_virtual_data_sets_are_no_zeros(write_elsewhere, tmp_path, what, monkeypatch):
    path = write_elsewhere(virtual)
    if what == "label":
        with h5py.File(path, "a") as file:
            file.move("data", "rows")
            file["data"] = ROWS
            del file["label"]
            layout = h5py.VirtualLayout((23,), "i8")
            layout[:] = h5py.VirtualSource("gone.h5", "label", (23,))
            file.create_virtual_dataset("label", layout)
        for _ in range(2):
            with pytest.raises(
                DataError, match=r"rows of data set `label` are in `label` of gone.h5, which is not there"
            ):
                open_source("HDF5", path)
            h5py.File(os.path.join(os.path.dirname(path), "gone.h5"), "w").close()  # without the data set
        return
    with pytest.raises(DataError) as error:
        open_source("HDF5", path)
    os.rename(os.path.join(os.path.dirname(path), "part1.h5"), tmp_path / "gone")
    with pytest.raises(SystemExit, match="rows of data set `data` are in `data` of part1.h5, which is not there"):
        rewritten(error.value.remedy, monkeypatch)
    assert sorted(os.listdir(os.path.dirname(path))) == ["part0.h5", "train.h5"]


def test_a_link_to_nothing(write_elsewhere, monkeypatch):
    path = write_elsewhere(link)
    with pytest.raises(DataError) as error:
        open_source("HDF5", path)
    os.remove(os.path.join(os.path.dirname(path), "other.h5"))
    with pytest.raises(DataError, match="data set `data` is a link to `/rows` of other.h5, which is not there"):
        open_source("HDF5", path)
    with pytest.raises(SystemExit, match="data set `data` is a link to `/rows` of other.h5, which is not there"):
        rewritten(error.value.remedy, monkeypatch)
    with h5py.File(path, "a") as file:
        del file["data"], file["label"]
        file["data"], file["label"], file["unused"] = ROWS, h5py.SoftLink("/gone"), h5py.SoftLink("/gone")
    with pytest.raises(DataError, match="data set `label` is a link to `/gone`, which is not there"):
        open_source("HDF5", path)
    with h5py.File(path, "a") as file:
        del file["label"]
    compare({path: "int64"})


@pytest.mark.parametrize("block", [512, 4096])
@pytest.mark.parametrize("name", ["train.h5", "train.mat"])
def test_a_user_block_is_read_over(tmp_path, photos, block, name):
    """As MATLAB writes one before its data; encoded images and chunks too."""
    paths = []
    for number, stored in enumerate(STORED.values()):
        (tmp_path / str(number)).mkdir()
        paths.append(str(tmp_path / str(number) / name))
        with h5py.File(paths[-1], "w", userblock_size=block) as file:
            file.create_dataset("data", data=ROWS, **stored)
        with open(paths[-1], "r+b") as stream:
            stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\0\0\0\0\0\0\0\0\2IM")
    compare(dict.fromkeys(paths, "int64"))
    path = paths[-1]
    assert guessed_format(path, "--from") == "HDF5"
    encoded = [b"one", b"", b"three"]
    with h5py.File(path, "w", userblock_size=block) as file:
        data = file.create_dataset("data", (3,), h5py.vlen_dtype(np.uint8))
        for number, image in enumerate(encoded):
            data[number] = np.frombuffer(image, np.uint8)
        file["label"] = [3, 1, 2]
    source = open_source("HDF5", path)
    assert [source.read(record) for record in range(3)] == encoded
    assert source.labels.tolist() == [3, 1, 2]


def test_addresses_of_four_bytes(tmp_path, monkeypatch, capsys):
    sizes = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    sizes.set_sizes(4, 4)
    path = str(tmp_path / "small.h5")
    for encoded in (False, True):
        with h5py.File(h5py.h5f.create(path.encode(), fcpl=sizes)) as file:
            if encoded:
                data = file.create_dataset("data", (5,), h5py.vlen_dtype(np.uint8))
                for number in range(5):
                    data[number] = np.full(3, number, np.uint8)  # all of one length
            else:
                file.create_dataset("data", data=ROWS, chunks=(2, 3, 6, 8), compression="gzip")
        if not encoded:
            compare({path: "int64"})
    with pytest.raises(DataError, match="addresses that are not of 8 bytes") as error:
        open_source("HDF5", path)
    source = open_source("HDF5", rewritten(error.value.remedy, monkeypatch))
    assert [source.read(record) for record in range(5)] == [bytes([number] * 3) for number in range(5)]


def test_lzf_of_every_kind_of_repetition(write):
    """Of pieces that repeat themselves, overlap and lie far back, with noise between."""
    rng = np.random.default_rng(1)
    rows = []
    for _ in range(40):
        row = b""
        while len(row) < 20_000:
            piece = rng.bytes(int(rng.integers(1, 400)))
            row += piece * int(rng.integers(1, 40)) if rng.integers(2) else row[-int(rng.integers(1, 9000)) :][:300]
        rows.append(np.frombuffer(row[:20_000], np.uint8).reshape(1, 100, 200))
    path = write(data={"data": np.array(rows), "chunks": (1, 1, 100, 200), "compression": "lzf"})
    with h5py.File(path) as file:
        masks = [file["data"].id.get_chunk_info(number).filter_mask for number in range(40)]
    assert not any(masks)
    source = open_source("HDF5", path)
    for record, row in enumerate(rows):
        np.testing.assert_array_equal(source.read(record)[:, :, 0], row[0])


@pytest.mark.parametrize("stored", ["lzf", "checked"])
def test_damaged_chunks_are_named(write, stored):
    """Every bit of a checked chunk counts. LZF has no checksum; what cannot be unpacked is named."""
    path = write(data={"data": ROWS, **STORED[stored]})
    with h5py.File(path) as file:
        chunk = file["data"].id.get_chunk_info_by_coord((7, 0, 0, 0))
    assert not chunk.filter_mask
    sound, rng, named = Path(path).read_bytes(), np.random.default_rng(2), 0
    for _ in range(40):
        data = bytearray(sound)
        data[chunk.byte_offset + int(rng.integers(chunk.size))] ^= 1 << int(rng.integers(8))
        Path(path).write_bytes(data)
        rows = opened_rows(path)
        try:
            rows.row(8)
        except DataError as error:
            assert "the chunk (1, 0, 0, 0)" in str(error) and "is damaged" in error.problem
            named += 1
    assert named == 40 if stored == "checked" else 0 < named < 40


def opened_rows(path):
    """The rows of a file, without the program that indexes it."""
    with h5py.File(path) as file:
        return images(File.of(path), file["data"], 0)[0]


def test_what_is_no_hdf5_file(tmp_path, write):
    (tmp_path / "cut.h5").write_bytes(Path(write(data=ROWS)).read_bytes()[:5000])
    with refused(DataError, "truncated", source="cut.h5"):
        open_source("HDF5", str(tmp_path / "cut.h5"))
    (tmp_path / "image").write_bytes(b"\xff\xd8\0")
    with refused(DataError, "neither an HDF5 file nor"):
        open_source("HDF5", str(tmp_path / "image"))
    (tmp_path / "empty").write_bytes(b"\n")
    with refused(DataError, "no records"):
        open_source("HDF5", str(tmp_path / "empty"))
    with refused(DataError, "No such file"):
        open_source("HDF5", str(tmp_path / "none.h5"))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "list").write_text(f"{tmp_path / 'pipe'}\n")
    with refused(DataError, "not a file", source="pipe"):
        open_source("HDF5", str(tmp_path / "list"))


def test_a_file_that_changes_or_lies_about_a_chunk(write):
    path = write(data={"data": ROWS, "chunks": (23, 3, 6, 8), "compression": "gzip"})
    with h5py.File(path) as file:
        chunk = file["data"].id.get_chunk_info_by_coord((0, 0, 0, 0))
    with open(path, "r+b") as stream:
        stream.seek(chunk.byte_offset + 20)
        stream.write(b"\0" * 20)
    source = open_source("HDF5", path)
    with refused(DataError, "chunk (0, 0, 0, 0)", "damaged", source=f"HDF5 source {path}: record 7"):
        source.read(7)
    with open(path, "ab") as stream:
        stream.write(b"more")
    with refused(DataError, "has changed", source="record 7"):
        source.read(7)


def test_many_rows_in_a_chunk_are_warned_of(write, caplog):
    open_source("HDF5", write(data={"data": ROWS, "chunks": (23, 1, 6, 8), "compression": "gzip"}))
    message = caplog.text
    assert "has 23 rows in the same chunks" in caplog.text
    caplog.clear()
    compare({rewritten(message): "int64"})
    assert caplog.text == ""


def test_what_is_written(tmp_path, photos):
    """Names, several labels, rows of their own, and the types of h5py that others read too."""
    path = str(tmp_path / "train.h5")
    records = [Record(photos.bytes_of(number), tuple(range(number % 3)), name=f"größe {number}") for number in range(9)]
    assert write_hdf5(path, iter(records)) == 9
    source = open_source("HDF5", path)
    assert source.labels[:3].tolist() == [[-1, -1], [0, -1], [0, 1]]
    assert source.names[8].decode() == "größe 8"
    floats = [Record(np.full((2, 3, 1), number / 2, np.float32)) for number in range(200)]
    assert write_hdf5(f"{path}.float", floats) == 200
    with h5py.File(f"{path}.float") as file:
        assert list(file) == ["data"]
        assert (file["data"].shape, file["data"].chunks) == ((200, 1, 2, 3), (1, 1, 2, 3))
        np.testing.assert_array_equal(file["data"][:, 0, 0, 0], np.arange(200) / 2)
    assert open_source("HDF5", f"{path}.float").read(199).max() == 99.5


@pytest.mark.parametrize(
    "images, message",
    [
        (
            [b"x", np.zeros((2, 2, 3), np.uint8)],
            r"record 1 is an image of type uint8 and shape \(2, 2, 3\), different from those",
        ),
        ([np.zeros((2, 2, 3), np.uint8), b"x"], "record 1 is an encoded image, different from those"),
        ([np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)], "record 1 is an image of type uint8"),
        ([np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.float32)], "record 1 is an image of type float32"),
        ([np.zeros((2, 2, 3))], "an image of type float64 .*; uint8 or float32 is allowed"),
    ],
)
def test_what_cannot_be_written(tmp_path, images, message):
    with pytest.raises(DataError, match=message):
        write_hdf5(str(tmp_path / "out.h5"), map(Record, images))
    assert os.listdir(tmp_path) == []


def test_reading_needs_no_h5py_in_this_process(write):
    """Which would not work inside the `caffe` program."""
    code = (
        "import sys\nfrom caffe_pylayers.data.sources import open_source\n"
        "print(open_source('HDF5', sys.argv[1]).read(22)[0, 0], 'h5py' in sys.modules)"
    )
    path = write(data={"data": ROWS, "compression": "gzip"})
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert result.stdout == f"{ROWS[22, :, 0, 0].astype(np.float32)} False\n"


def _killer(stop):
    """Kill, as a crash would, every process in which libhdf5 reads a file."""
    while not stop.is_set():
        for child in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
            try:
                readers = Path(f"/proc/{child}/task/{child}/children").read_text().split()
            except FileNotFoundError:
                continue
            for reader in readers:
                try:
                    os.kill(int(reader), signal.SIGSEGV)
                except ProcessLookupError:
                    continue
        time.sleep(0.0005)


def test_a_crash_of_libhdf5_is_an_error(write, tmp_path):
    (tmp_path / "list").write_text(f"{write(data=ROWS)}\n" * 1000)
    stop = threading.Event()
    thread = threading.Thread(target=_killer, args=(stop,))
    thread.start()
    try:
        with refused(DataError, "libhdf5", "SIGSEGV", source="train.h5"):
            open_source("HDF5", str(tmp_path / "list"))
    finally:
        stop.set()
        thread.join()
    assert Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text() == ""


@pytest.mark.parametrize("form", ["encoded", "pixels", "gzip"])
def test_damaged_files(tmp_path, write, photos, form):
    """200 mutations, and files that are none: an error that names the file, or records that are there."""
    path = str(tmp_path / "base.h5")
    if form == "encoded":
        write_hdf5(path, [Record(photos.bytes_of(number), (number,), 1.0, str(number)) for number in range(6)])
    elif form == "pixels":
        write_hdf5(path, [Record(photos.decoded(0), (number, 1)) for number in range(6)])
    else:
        data = {"data": ROWS.astype(np.float32), "compression": "gzip", "shuffle": True}
        path = write("base.h5", libver="latest", data=data, label=np.arange(23.0))
    paths, found = [], Counter()
    for number, _ in enumerate(mutated_files(str(tmp_path / "mutated"), Path(path).read_bytes(), 200, seed=1)):
        paths.append(str(tmp_path / f"{number}.h5"))
        os.rename(tmp_path / "mutated", paths[-1])
    for number, (path, table) in enumerate(zip(paths, read_tables(paths, USUAL))):
        cut = path if number % 5 == 0 else ""
        found.update(outcomes(lambda path=path, table=table: opened(path, table), path, cut))
    assert found["refused"] > 80 and found["read"] > 200


def opened(path, table):
    """The source of a file whose table, or what is wrong with it, is known."""
    if isinstance(table, DataError):
        raise table
    source = HDF5Source(path, tables=[table])
    annotate(source, None, "indices", None)
    return source


# ------------------------------------------------------------------------------------------ other names


SETS = {
    "X": ROWS,
    "y": np.arange(23),
    "w": np.ones(23),
    "who": [f"r{number}" for number in range(23)],
    "group/X": ROWS[::-1],
    "label": np.zeros(23, int),
}


def test_data_sets_by_other_names(write):
    path = write(**SETS)
    named = {"data": "X", "label": "y", "sample_weight": "w", "name": "who"}
    source = open_source("HDF5", path, datasets=named)
    np.testing.assert_array_equal(source.read(3), ROWS[3].transpose(1, 2, 0))
    np.testing.assert_array_equal(source.labels, SETS["y"])
    np.testing.assert_array_equal(source.sample_weights, SETS["w"])
    assert source.names[5] == b"r5"
    source = open_source("HDF5", path, datasets={"data": "group/X"}, sample_weights="w", labels="y")
    np.testing.assert_array_equal(source.read(3), ROWS[19].transpose(1, 2, 0))
    np.testing.assert_array_equal(source.labels, SETS["y"])
    assert not open_source("HDF5", path, datasets={"data": "X"}).labels.any()


@pytest.mark.parametrize(
    "datasets, problem, remedy",
    [
        (
            None,
            "`data`",
            "it has X, label, w, who, y, group/X; if `data` has another name, set `datasets`, as in {'data': 'X'}",
        ),
        ({"data": "x"}, "`x`", "did you mean 'X'? it has X, label"),
        ({"data": "X", "label": "Y"}, "`Y`", "did you mean 'y'?"),
        ({"data": "X", "sample_weight": "group/w"}, "`group/w`", "it has X"),
        ({"data": "X", "name": "group"}, "`group`", "it has X"),
    ],
)
def test_a_data_set_that_is_not_there_is_named_with_those_that_are(datasets, problem, remedy, write):
    path = write(**SETS)
    with refused(DataError, "no data set", problem, remedy=remedy, source=path):
        open_source("HDF5", path, datasets=datasets)


def test_errors_have_the_other_name(write):
    path = write(**SETS, short=np.zeros(3))
    for datasets, problem in (
        ({"data": "y"}, "data set `y` has type int64"),
        ({"data": "X", "label": "short"}, "data set `short` has shape (3,), but `X` has 23 rows"),
        ({"data": "X", "name": "w"}, "data set `w` has type float64"),
        ({"data": "X", "label": "who"}, "data set `who` has type object"),
    ):
        with refused(DataError, problem):
            open_source("HDF5", path, datasets=datasets)


def test_data_sets_in_groups_are_written_again_too(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.create_dataset("group/X", data=ROWS, chunks=(1, 3, 6, 8), scaleoffset=0)
    named = {"data": "group/X"}
    with refused(DataError, "data set `group/X` is compressed by scaleoffset", remedy="old_plain.h5") as caught:
        open_source("HDF5", str(tmp_path / "old.h5"), datasets=named)
    new = rewritten(str(caught.value), monkeypatch)
    np.testing.assert_array_equal(open_source("HDF5", new, datasets=named).read(3), ROWS[3].transpose(1, 2, 0))
