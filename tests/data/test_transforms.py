"""Transforms against the plain formula, and a batch in Caffe's terms: (x - mean) * scale, B G R, C x H x W."""

import cv2
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from caffe_pylayers.data import keyed
from caffe_pylayers.data.mean import read_mean
from caffe_pylayers.data.recipe import Recipe
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.data.sources.lmdb import Datum, write_lmdb
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import DataError


def batch(photos, transforms, records, keys=None):
    recipe = Recipe.of(open_source("LMDB", photos.lmdb), transforms)
    out = np.empty((len(records), *recipe.shape), recipe.dtype)
    recipe.fill(np.array(records), np.arange(len(records), dtype=np.uint64) if keys is None else keys, out)
    return out


def test_resize_and_layout(photos):
    images = batch(photos, Transforms(resize=(30, 40)), [4, 0, 4])
    expected = cv2.resize(photos.decoded(4), (40, 30)).transpose(2, 0, 1)
    np.testing.assert_array_equal(images[0], expected)
    np.testing.assert_array_equal(images[2], expected)
    assert images.dtype == np.uint8


def test_one_channel(photos):
    images = batch(photos, Transforms(resize=(30, 40), color=False), [4])
    gray = cv2.imdecode(np.frombuffer(photos.bytes_of(4), np.uint8), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(images[0, 0], cv2.resize(gray, (40, 30)))


@pytest.mark.parametrize("crop, side", [(21, 30), (20, 30), (30, 30), (1, 30)])
def test_centre_crop_as_stock(photos, crop, side):
    images = batch(photos, Transforms(resize=(side, side + 5), crop_size=crop), [7])
    whole = cv2.resize(photos.decoded(7), (side + 5, side))
    y, x = (side - crop) // 2, (side + 5 - crop) // 2  # DataTransformer: h_off = (img_height - crop_size) / 2
    np.testing.assert_array_equal(images[0], whole[y : y + crop, x : x + crop].transpose(2, 0, 1))


def test_random_crops_and_mirrors_reach_every_place_equally_often(photos):
    """All 5 x 5 places, mirrored or not, of a 12 x 12 crop of 16 x 16 come up, each one time in fifty."""
    keys = keyed.bits(9, np.arange(10000))
    images = batch(photos, Transforms((16, 16), 12, mirror=True, random=True), [3] * len(keys), keys)
    whole = cv2.resize(photos.decoded(3), (16, 16)).transpose(2, 0, 1)
    places = {}
    for y in range(5):
        for x in range(5):
            crop = whole[:, y : y + 12, x : x + 12]
            places[crop.tobytes()] = places[crop[:, :, ::-1].tobytes()] = 0
    assert len(places) == 50
    for image in images:
        places[image.tobytes()] += 1
    counts = np.array(list(places.values()))
    assert ((counts - 200) ** 2 / 200).sum() < 105  # chi-square, 49 degrees of freedom: once in 100,000 by chance


def test_a_mean_image_is_cropped_at_the_same_place_and_before_the_mirror(photos, tmp_path):
    mean = np.random.default_rng(1).uniform(0, 255, (3, 16, 18)).astype(np.float32)
    blob = caffe_pb2.BlobProto(num=1, channels=3, height=16, width=18, data=mean.ravel().tolist())
    (tmp_path / "mean.binaryproto").write_bytes(blob.SerializeToString())
    np.save(tmp_path / "mean.npy", mean)
    keys = keyed.bits(1, np.arange(20))
    plain = Transforms((16, 18), 10, mirror=True, random=True)
    whole = cv2.resize(photos.decoded(2), (18, 16)).transpose(2, 0, 1).astype(np.float32)
    for name in ("mean.binaryproto", "mean.npy"):
        loaded = read_mean(str(tmp_path / name), None)
        images = batch(photos, Transforms((16, 18), 10, True, random=True, mean=loaded), [2] * 20, keys)
        assert images.dtype == np.float32
        for image, crop_y, crop_x, flip in zip(images, *plain.draws(keys)):
            y, x = int(crop_y * 7), int(crop_x * 9)
            expected = (whole - mean)[:, y : y + 10, x : x + 10]
            np.testing.assert_array_equal(image, expected[:, :, ::-1] if flip else expected)


def test_mean_and_scale_are_stocks_formula(photos):
    whole = cv2.resize(photos.decoded(5), (7, 9)).transpose(2, 0, 1).astype(np.float32)
    for mean in (None, (100.5,), (104.0, 117.5, 123.0)):
        for scale in (1.0, 0.017):
            images = batch(photos, Transforms((9, 7), mean=read_mean(None, mean), scale=scale), [5])
            offset = 0 if mean is None else np.array(mean, np.float32)[:, None, None]
            np.testing.assert_array_equal(images[0], (whole - offset) * np.float32(scale))
            assert images.dtype == (np.uint8 if mean is None and scale == 1 else np.float32)


def test_means():
    assert read_mean(None, None) is None
    assert read_mean((1.0, 2.0, 3.0), None).ravel().tolist() == [3, 2, 1]  # r, g, b as the seed has it
    assert read_mean(None, (1.0, 2.0, 3.0)).ravel().tolist() == [1, 2, 3]


def test_mean_files(tmp_path):
    np.save(tmp_path / "three.npy", np.array([1.0, 2.0, 3.0]))
    assert read_mean(str(tmp_path / "three.npy"), None).ravel().tolist() == [1, 2, 3]
    np.save(tmp_path / "flat.npy", np.ones((5, 6)))
    (tmp_path / "text.binaryproto").write_text("not a blob")
    (tmp_path / "text.npy").write_text("not an array")
    for name, message in {
        "flat.npy": r"shape \(5, 6\) .* must be numbers, channels x height x width",
        "none.npy": "cannot read it",
        "none.binaryproto": "cannot read it: No such file",
        "text.binaryproto": "text.binaryproto: .*; it takes .npy, or compute_image_mean",
        "text.npy": "it takes .npy",
    }.items():
        with pytest.raises(DataError, match=message):
            read_mean(str(tmp_path / name), None)


def test_bad_images_are_named(photos, tmp_path):
    source = {
        "whole.jpg": photos.bytes_of(0),
        "short.jpg": photos.bytes_of(1)[:-200],
        "empty.jpg": b"",
        "text.jpg": b"no image",
    }
    for name, data in source.items():
        (tmp_path / name).write_bytes(data)
    for bad in list(source)[1:]:
        (tmp_path / "list.csv").write_text(f"whole.jpg 0\n{bad} 1\n")
        recipe = Recipe.of(open_source("CSV", str(tmp_path / "list.csv"), root=str(tmp_path)), Transforms((8, 8)))
        with pytest.raises(
            DataError, match=rf"record 1 \('{bad}'\): not an image that OpenCV can decode, or cut short"
        ):
            recipe.fill(np.array([0, 1]), np.zeros(2, np.uint64), np.empty((2, 3, 8, 8), np.uint8))


def test_sizes_that_do_not_fit_are_named(photos, tmp_path):
    source = open_source("CSV", photos.csv, root=str(photos.folder))
    recipe = Recipe.of(source, Transforms())
    other = next(r for r in range(len(source)) if photos.decoded(r).shape != photos.decoded(0).shape)
    with pytest.raises(DataError, match=rf"record {other} .* unlike sizes need `resize` or `crop_size`"):
        recipe.fill(np.array([other]), np.zeros(1, np.uint64), np.empty((1, *recipe.shape), np.uint8))
    with pytest.raises(DataError, match="too small for crop_size 200; set `resize`"):
        Recipe.of(source, Transforms(crop_size=200))
    with pytest.raises(
        DataError, match=r"6 x 5 \(height x width\), but the image of mean_file is 4 x 5; .* set `resize`"
    ):
        Recipe.of(source, Transforms((6, 5), mean=np.zeros((3, 4, 5), np.float32)))
    with pytest.raises(DataError, match="1 channels, but the mean has 3"):
        Recipe.of(source, Transforms((6, 5), color=False, mean=np.zeros((3, 1, 1), np.float32)))


def test_raw_datums(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 6, 5), dtype=np.uint8)
    many = np.random.default_rng(0).integers(0, 256, (1, 5, 6, 5), dtype=np.uint8)
    for name, planes in (("color", pixels), ("gray", pixels[:, :1]), ("many", many)):
        path = str(tmp_path / name)
        write_lmdb(path, [Datum(image.tobytes(), 0, *image.shape) for image in planes])
        recipe = Recipe.of(open_source("LMDB", path), Transforms())
        out = np.empty(planes.shape, np.uint8)
        recipe.fill(np.arange(len(planes)), np.zeros(len(planes), np.uint64), out)
        np.testing.assert_array_equal(out, planes)
    gray = Recipe.of(open_source("LMDB", str(tmp_path / "color")), Transforms(color=False))
    assert gray.shape == (1, 6, 5)
