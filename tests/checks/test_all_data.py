"""`--all-data`: every record of every source is read, and those that cannot be are named and counted."""

import faulthandler
import os

import caffe
import cv2
import h5py
import numpy as np
import pytest

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.commands.check.checking import check_files
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.processes.boot import fork, status_of
from tests.caffe_nets import layer_text, python_layer
from tests.stock_data_layers import parameters

COUNT = 20
_JPEG = cv2.imencode(".jpg", np.full((8, 8, 3), 90, np.uint8))[1].tobytes()
_SMALL = cv2.imencode(".jpg", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
_GREY = cv2.imencode(".jpg", np.zeros((8, 8), np.uint8))[1].tobytes()
_DEEP = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint16))[1].tobytes()
_CUT = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))[1].tobytes()[:-40]


def with_bad(content, places=(7,)):
    """The images of a source, one or more of which are others."""
    return [content if number in places else _JPEG for number in range(COUNT)]


def write_list(folder, images):
    for number, content in enumerate(images):
        (folder / f"{number}.jpg").write_bytes(content)
    (folder / "list.txt").write_text("".join(f"{number}.jpg 0\n" for number in range(len(images))))
    (folder / "list.csv").write_text("".join(f"{number}.jpg,0\n" for number in range(len(images))))
    windows = "".join(
        f"# {number}\n{number}.jpg\n3\n8\n8\n2\n1 0.9 0 0 6 6\n0 0.1 0 0 6 6\n" for number in range(len(images))
    )
    (folder / "windows.txt").write_text(windows)
    write_lmdb(str(folder / "lmdb"), (Datum(content, 0, encoded=True) for content in images))


def write_files(folder, *files):
    """HDF5 files with a data set `data` each, and their list."""
    for number, rows in enumerate(files):
        with h5py.File(folder / f"{number}.h5", "w") as file:
            file.create_dataset("data", data=rows, chunks=(1, *rows.shape[1:]) if rows.ndim > 1 else None)
    (folder / "files.txt").write_text("".join(f"{number}.h5\n" for number in range(len(files))))


DATA = layer_text("Data", [], ["data"], 'data_param { source: "lmdb"  batch_size: 2  backend: LMDB }')
LIST = layer_text("ImageData", [], ["data", "label"], 'image_data_param { source: "list.txt"  batch_size: 2 }')
CROP = LIST.replace("image_data_param", "transform_param { crop_size: 6 } image_data_param")
WINDOWS = layer_text(
    "WindowData", [], ["data", "label"], 'transform_param { crop_size: 6 } window_data_param { source: "windows.txt"  batch_size: 20 }'
)  # fmt: skip
FILES = layer_text("HDF5Data", [], ["data"], 'hdf5_data_param { source: "files.txt"  batch_size: 2 }')
OWN = python_layer("ImageDataLayer", [], ["data", "label"], {"source": "list.csv", "batch_size": 2})
SKIPS = python_layer("ImageDataLayer", [], ["data"], {"source": "list.csv", "batch_size": 2, "on_error": "skip"})


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """A function: a layer -> the report of a net of it."""
    monkeypatch.chdir(tmp_path)

    def check(layer, all_data=True, **options):
        (tmp_path / "net.prototxt").write_text(layer)
        return check_files(["net.prototxt"], build=False, all_data=all_data, **options)

    return check


def caffe_stops():
    """Whether Caffe ends a process that feeds all records of the net."""

    def feed():
        faulthandler.disable()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        net = caffe.Net("net.prototxt", caffe.TRAIN)
        for _ in range(COUNT):
            net.forward()

    return status_of(fork(feed)) != 0


def break_chunk(folder, row):
    """Damage the pixels of a row, for which a checksum stands beside them."""
    with h5py.File(folder / "0.h5", "w") as file:
        rows = np.random.default_rng(0).normal(size=(COUNT, 3))
        data = file.create_dataset("data", data=rows, chunks=(1, 3), compression="gzip", fletcher32=True)
        at, size = (lambda info: (info.byte_offset, info.size))(data.id.get_chunk_info(row))
    (folder / "files.txt").write_text("0.h5\n")
    with open(folder / "0.h5", "r+b") as file:
        file.seek(at)
        file.write(b"\xff" * size)


# fmt: off
#: What is written, the layer that reads it, words of what is found, and of its remedy.
BAD = {
    "a file that is no image": (lambda folder: write_list(folder, with_bad(b"no image")), LIST, "7.jpg: not an image that OpenCV can decode", "fix or remove"),
    "an image of another size": (lambda folder: write_list(folder, with_bad(_SMALL)), LIST, "images of different sizes: 0.jpg has 8 x 8, 7.jpg 4 x 4", "set new_height and new_width"),
    "an image too small for the crop": (lambda folder: write_list(folder, with_bad(_SMALL)), CROP, "7.jpg: 4 x 4 (height x width) is too small for crop_size 6", "smaller crop_size"),
    "an image that is not there": (lambda folder: (write_list(folder, with_bad(_JPEG)), (folder / "7.jpg").unlink()), LIST, "list.txt:8: there is no file '7.jpg'", "root_folder"),
    "a Datum that is no image": (lambda folder: write_list(folder, with_bad(b"no image")), DATA, "record 7 ('00000007'): not an image", "fix or remove"),
    "a Datum of another size": (lambda folder: write_list(folder, with_bad(_SMALL)), DATA, "images of different sizes", "convert_imageset"),
    "a grey Datum among colours": (lambda folder: write_list(folder, with_bad(_GREY)), DATA, "images of different channels", "force_color: true"),
    "a Datum of 16 bits": (lambda folder: write_list(folder, with_bad(_DEEP)), DATA, "16-bit pixels", "8-bit image"),
    "a record of ours": (lambda folder: write_list(folder, with_bad(_CUT)), OWN, "record 7 ('7.jpg'): not an image", "`decode: lenient`"),
    "a chunk of HDF5": (lambda folder: break_chunk(folder, 7), FILES, "0.h5: data set 'data' is damaged from row 7 on", "write it again"),
}
#: The same in what is read of all files without --all-data too.
BAD_FILES = {
    "rows of another shape": (lambda folder: write_files(folder, np.zeros((3, 2)), np.zeros((3, 4)), np.zeros((3, 2))), "1.h5: data set 'data' has rows of 4, but 0.h5 has rows of 2", "rows of one shape"),
    "rows that are no numbers": (lambda folder: write_files(folder, np.zeros((3, 2), bool)), "0.h5: data set 'data' is 3 x 2 of type bool", "write `numpy.float32(data)`"),
    "a file that is not there": (lambda folder: (write_files(folder, *[np.zeros((3, 2))] * 3), (folder / "1.h5").unlink()), "there is no file '1.h5'", "relative paths"),
}
# fmt: on


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_in_the_middle_is_found(name, checked, tmp_path):
    write, layer, says, remedy = BAD[name]
    write(tmp_path)
    assert checked(layer, all_data=False).findings == []
    report = checked(layer)
    (finding,) = report.findings
    assert finding.level == "error"
    assert says in finding.message
    assert remedy in finding.remedy
    assert report.summary.startswith(f"not checked: shapes (--no-build); all {COUNT} records read: 1 error in 1 net")
    assert layer == OWN or caffe_stops()


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_of_hdf5_is_found(name, checked, tmp_path):
    write, says, remedy = BAD_FILES[name]
    write(tmp_path)
    (finding,) = checked(FILES, all_data=False).findings
    assert finding.level == "error"
    assert says in finding.message
    assert remedy in finding.remedy
    assert name == "rows of another shape" or caffe_stops()


@pytest.mark.parametrize("layer", [LIST, DATA, OWN])
def test_the_first_bad_records_are_named_and_all_are_counted(layer, checked, tmp_path):
    write_list(tmp_path, with_bad(b"no image", range(0, COUNT, 2)))
    report = checked(layer)
    assert [finding.level for finding in report.findings] == ["error"] * 4
    assert "10 of 20 records cannot be used, of which these are the first 3" in report.findings[-1].message


def test_where_bad_records_are_replaced_they_are_warnings(checked, tmp_path):
    write_list(tmp_path, with_bad(b"no image", (0, 7)))
    assert [finding.level for finding in checked(SKIPS).findings] == ["warning"] * 2


@pytest.mark.parametrize("layer", parameters([LIST, CROP, WINDOWS, DATA, OWN, FILES], LIST, CROP, WINDOWS, DATA))
def test_nothing_is_wrong_with_good_records(layer, checked, tmp_path):
    write_list(tmp_path, with_bad(_JPEG))
    write_files(tmp_path, *[np.zeros((5, 2))] * 4)
    for all_data, says in ((True, "all 20 records read"), (False, "2 of 20 records read, --all-data reads all")):
        report = checked(layer, all_data)
        assert report.findings == []
        assert report.summary.startswith(f"not checked: shapes (--no-build); {says}: nothing wrong in 1 net")
    assert layer == OWN or not caffe_stops()


@pytest.mark.parametrize("layer", [LIST, WINDOWS, DATA])
@pytest.mark.stock_data
def test_a_jpeg_that_is_cut_short_is_what_caffe_takes(layer, checked, tmp_path):
    write_list(tmp_path, with_bad(_CUT, (7, 9)))
    (finding,) = checked(layer).findings
    assert finding.level == "warning"
    assert "is cut short, and Caffe silently fills the rest with grey (and 1 more such)" in finding.message
    assert not caffe_stops()


def test_jpegs_that_a_layer_of_ours_reads_in_part_are_counted(checked, tmp_path):
    write_list(tmp_path, with_bad(_CUT, (7, 9)))
    (finding,) = checked(OWN.replace("'batch_size'", "'decode': 'lenient', 'batch_size'")).findings
    assert finding.level == "warning"
    assert "record 7 ('7.jpg'): is cut short" in finding.message
    assert "(and 1 more such)" in finding.message


@pytest.mark.stock_data
def test_an_image_with_windows_that_cannot_be_read_does_not_stop_caffe(checked, tmp_path):
    write_list(tmp_path, with_bad(b"no image"))
    (finding,) = checked(WINDOWS).findings
    assert finding.level == "warning"
    assert "7.jpg: not an image" in finding.message
    assert not caffe_stops()


@pytest.mark.parametrize(
    "content, layer",
    [
        (_SMALL, LIST.replace("batch_size", "new_height: 8  new_width: 8  batch_size")),
        (_SMALL, CROP.replace("6", "4")),
        (_SMALL, DATA.replace("data_param", "transform_param { crop_size: 4 } data_param")),
        (_GREY, DATA.replace("data_param", "transform_param { force_color: true } data_param")),
        (_GREY, DATA.replace("data_param", "transform_param { force_gray: true } data_param")),
    ],
)
@pytest.mark.stock_data
def test_what_is_to_be_written_lets_caffe_feed_all(content, layer, checked, tmp_path):
    write_list(tmp_path, with_bad(content))
    assert checked(layer).findings == []
    assert not caffe_stops()


def test_a_leveldb_is_said_to_be_left_out(checked, tmp_path):
    (tmp_path / "lmdb").mkdir()
    (tmp_path / "lmdb" / "CURRENT").touch()
    report = checked(DATA.replace("backend: LMDB", ""))
    assert report.skipped == ["the LevelDB of layer 'data_layer', which only Caffe can read", "shapes (--no-build)"]
    assert report.summary.startswith("not checked: the LevelDB of layer")
