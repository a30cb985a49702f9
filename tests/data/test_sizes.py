"""Sizes of images: rectangles, the aspect kept, padding; and where points go."""

from types import SimpleNamespace

import caffe
import cv2
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers.data import geometry
from caffe_pylayers.data.geometry import Draw, Fit
from caffe_pylayers.data.points import Points
from caffe_pylayers.data.recipe import Recipe
from caffe_pylayers.data.sources import Record, open_source
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import DataError
from tests.caffe_nets import python_layer, write
from tests.refusals import refused


@pytest.fixture(autouse=True)
def no_workers_run_on():
    yield
    caffe_pylayers.close()


def source_of(tmp_path, *images):
    lines = []
    for number, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
        lines.append(f"{tmp_path}/{number}.png {number}\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    return open_source("CSV", str(tmp_path / "list.txt"))


def picture(height, width, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    "fit, size, expected",
    [
        (Fit(short=256), (375, 500), (256, 341)),  # torchvision: int(256 * 500 / 375)
        (Fit(short=256), (500, 375), (341, 256)),
        (Fit(short=10), (7, 7), (10, 10)),
        (Fit(long=300), (375, 500), (225, 300)),
        (Fit(long=300), (500, 334), (300, 200)),
        (Fit(long=4), (1, 100), (1, 4)),
    ],
)
def test_the_other_side_is_rounded_down(fit, size, expected):
    assert fit.size(*size) == expected


def test_the_aspect_is_kept(tmp_path):
    image = picture(30, 50)
    loaded = Transforms(resize=Fit(short=12)).load(source_of(tmp_path, image), 0)
    np.testing.assert_array_equal(loaded, cv2.resize(image, (20, 12), interpolation=cv2.INTER_LINEAR))


@pytest.mark.parametrize("mean", [None, [104.4, 117.0, 122.6], "image"])
def test_padding_is_the_mean_so_that_it_is_fed_as_zero(mean, tmp_path):
    image, target = picture(30, 50), np.empty((3, 20, 20), np.float32)
    if mean == "image":
        mean = np.random.RandomState(1).randint(0, 255, (3, 20, 20)).astype(np.float32)
    else:
        mean = None if mean is None else np.rint(np.array(mean, np.float32))[:, None, None]
    transforms = Transforms(resize=Fit(long=20, pad=True), mean=mean)
    loaded = transforms.load(source_of(tmp_path, image), 0)
    assert loaded.shape == (20, 20, 3)
    np.testing.assert_array_equal(loaded[4:16], cv2.resize(image, (20, 12), interpolation=cv2.INTER_LINEAR))
    transforms.write(loaded, transforms.window(loaded.shape, Draw(0.5, 0.5, False)), target)
    assert not target[:, :4].any() and not target[:, 16:].any()


def test_an_odd_border_is_larger_at_the_bottom():
    assert Fit(long=20, pad=True).border(13, 20) == (3, 4, 0, 0)


def test_rectangular_crops(tmp_path):
    image = picture(30, 50)
    source = source_of(tmp_path, image)
    recipe = Recipe.of(source, Transforms(crop_size=(10, 40)))
    room = recipe.room(1)
    recipe.fill(np.zeros(1, int), np.zeros(1, np.uint64), room)
    np.testing.assert_array_equal(room.images[0], image[10:20, 5:45].transpose(2, 0, 1))
    with refused(DataError, "crop_size 31 x 40", record=0):
        Recipe.of(source, Transforms(crop_size=(31, 40)))


def test_images_of_one_aspect_need_no_crop_but_others_do(tmp_path):
    source = source_of(tmp_path, picture(10, 20), picture(20, 40), picture(20, 41))
    recipe = Recipe.of(source, Transforms(resize=Fit(short=5)))
    room = recipe.room(2)
    recipe.fill(np.array([0, 1]), np.zeros(2, np.uint64), room)
    with refused(DataError, "(3, 5, 10)", remedy="`crop_size`", record=2):
        Recipe.of(
            source_of(tmp_path, picture(10, 20), picture(20, 40), picture(20, 48)), Transforms(resize=Fit(short=5))
        ).fill(np.array([0, 2]), np.zeros(2, np.uint64), room)


def test_raw_images_are_fitted_too(tmp_path):
    write_hdf5(str(tmp_path / "a.h5"), [Record(picture(30, 50), (0,))])
    assert Transforms(resize=Fit(long=20, pad=True)).load(open_source("HDF5", str(tmp_path / "a.h5")), 0).shape == (
        20,
        20,
        3,
    )


def test_fast_decoding_stays_above_the_fitted_size(tmp_path):
    image = cv2.resize(picture(8, 12), (1200, 800), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "a.jpg"), image)
    (tmp_path / "list.txt").write_text(f"{tmp_path}/a.jpg 0\n")
    source = open_source("CSV", str(tmp_path / "list.txt"))
    fast, exact = (Transforms(resize=Fit(short=100), fast=flag).load(source, 0) for flag in (True, False))
    assert fast.shape == exact.shape == (100, 150, 3)
    assert 0 < np.abs(fast.astype(int) - exact).mean() < 3


# --- where points go -----------------------------------------------------------------------------------------


def moved(matrix, x, y):
    return (matrix @ [x, y, 1]).tolist()


def test_points_follow_as_pixels_do():
    assert moved(geometry.resized((10, 20), (5, 40)), 0, 0) == [0.5, -0.25]
    assert moved(geometry.shifted(-3, -4), 10, 10) == [6, 7]
    assert moved(geometry.mirrored(20), 0, 5) == [19, 5]
    twice = geometry.then(geometry.mirrored(20), geometry.mirrored(20))
    np.testing.assert_array_equal(twice, geometry.UNMOVED)
    together = geometry.then(geometry.resized((10, 20), (5, 40)), geometry.shifted(2, 3))
    assert moved(together, 0, 0) == [3.5, 1.75]


# --- ten crops -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [0, 2])
def test_ten_crops_are_those_of_pycaffe(prefetch, tmp_path):
    images = [picture(9, 12, seed) for seed in range(3)]
    source_of(tmp_path, *images)
    points = {"label_format": "values", "labels": str(tmp_path / "points.txt"), "points": [[0, 1]]}
    (tmp_path / "points.txt").write_text("5 3\n" * 3)
    options = {
        "source": f"{tmp_path}/list.txt",
        "batch_size": 3,
        "crop_size": [5, 7],
        "crops": "ten",
        "prefetch": prefetch,
    }
    for more in ({}, points):
        net = caffe.Net(write(python_layer("ImageDataLayer", [], ["data", "label"], {**options, **more})), caffe.TEST)
        net.forward()
        data, label = net.blobs["data"].data, net.blobs["label"].data
        expected = caffe.io.oversample([image.astype(np.float32) for image in images], (5, 7))
        np.testing.assert_array_equal(data, expected.transpose(0, 3, 1, 2))
        if not more:
            assert label.tolist() == np.repeat([0, 1, 2], 10).tolist()
            continue
        for number, (crop, (x, y)) in enumerate(zip(data, label)):
            if 0 <= x < 7 and 0 <= y < 5:
                np.testing.assert_array_equal(crop[:, int(y), int(x)], images[number // 10][3, 5])


def test_in_training_there_is_one_crop(tmp_path):
    source_of(tmp_path, picture(9, 12))
    options = {"source": f"{tmp_path}/list.txt", "batch_size": 3, "crop_size": [5, 7], "crops": "ten"}
    net = caffe.Net(write(python_layer("ImageDataLayer", [], ["data", "label"], options)), caffe.TRAIN)
    assert net.blobs["data"].data.shape == (3, 3, 5, 7)


def test_mirror_twice_is_the_identity_for_points():
    options = SimpleNamespace(
        points=[[0, 1], [4, 2]], flip_pairs=[[0, 1]], normalize_points=False, outside=None
    )  # columns 0 and 1, 4 and 2; column 3 is no point
    rows = np.array([[3, 4, 29, 7, 49], [np.nan, np.nan, 0, -1, 0.5]], np.float32)
    move = Transforms().window((30, 50), Draw(0, 0, True)).matrix((30, 50))
    points = Points(options, (30, 50))
    once = points.follow(rows, np.stack([move] * 2))
    np.testing.assert_array_equal(once[0], [0, 29, 4, 7, 46])
    np.testing.assert_array_equal(points.follow(once, np.stack([move] * 2)), rows)
