"""`balance` counts the pixels of label maps."""

import json

import cv2
import h5py
import numpy as np
import pytest

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests.layers.map_data import write_pairs

SIZES = [(20, 30), (25, 16), (30, 30)]


@pytest.fixture
def maps(tmp_path, monkeypatch):
    """Files in the working directory, and their maps, of which one has pixels of 255."""
    monkeypatch.chdir(tmp_path)
    made = write_pairs(tmp_path, SIZES)
    made[1][:3] = 255
    cv2.imwrite("1_labels.png", made[1])
    return made


def by_hand(maps):
    """Pixels of each label, and all pixels in the maps that have it."""
    counts, in_images = np.zeros((2, 5), int)
    for labels in maps:
        here = np.bincount(labels[labels != 255].ravel(), minlength=5)
        counts += here
        in_images += here.sum() * (here > 0)
    return counts.tolist(), in_images.tolist()


def test_pixels_of_a_list(maps, command):
    _, out, _ = command(
        "balance", "list.txt", "--maps", "--ignore-label", "255", "--write-counts", "counts.txt", "--json"
    )
    counts, in_images = by_hand(maps)
    found = json.loads(out)
    assert found["counts"] == counts
    assert found["ignored"] == 3 * SIZES[1][1] and found["records"] == 3
    assert np.loadtxt("counts.txt").tolist() == [counts, in_images]


def test_pixels_of_other_sources_and_of_a_net(maps, command, tmp_path):
    expected = by_hand(maps)[0]
    write_lmdb("lmdb", [Datum(labels.tobytes(), 0, 1, *labels.shape) for labels in maps])
    square = np.stack([labels[:16, :16] for labels in maps])
    with h5py.File("maps.h5", "w") as file:
        file["X"], file["y"] = np.zeros((3, 3, 16, 16), np.uint8), square.astype(np.int64)
    param = "{'source': 'list.txt', 'batch_size': 2, 'crop_size': 16, 'label_map': {'4': 0}}"
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "data"  type: "Python"  top: "data"  top: "label"  python_param { module: "caffe_pylayers" '
        f'layer: "ImageMapDataLayer"  param_str: "{param}" }} }}'
    )
    datasets = "{'data': 'X', 'label': 'y'}"
    for arguments, counts in (
        (("lmdb", "--maps"), expected),
        (("maps.h5", "--maps", "--datasets", datasets), by_hand(square)[0]),
        (("net.prototxt",), [expected[0] + expected[4], *expected[1:4]]),
    ):
        found = json.loads(command("balance", *arguments, "--ignore-label", "255", "--json")[1])
        assert found["counts"] == counts, arguments
    assert (found["batch_size"], found["batches_per_epoch"]) == (2, 2)


def test_records_without_all_files_are_left_out(maps, command, tmp_path):
    """As the layer leaves them out: also where it is the image that is not there."""
    (tmp_path / "0.png").unlink()
    _, out, _ = command("balance", "list.txt", "--maps", "--missing", "skip", "--ignore-label", "255", "--json")
    assert json.loads(out)["counts"] == by_hand(maps[1:])[0]


def test_what_cannot_be_counted(maps, command, tmp_path):
    (tmp_path / "list.txt").write_text("0.png absent.png\n")
    status, _, error = command("balance", "list.txt", "--maps")
    assert status and "absent.png" in error
    status, _, error = command("balance", "list.txt", "--maps", "--labels", "labels.txt")
    assert status and "--labels is not for maps" in error
