"""Transforms against the plain formula, and a batch in Caffe's terms: (x - mean) * scale, B G R, C x H x W."""

import cv2
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from caffe_pylayers.data import keyed
from caffe_pylayers.data.geometry import Draw
from caffe_pylayers.data.recipe import Recipe
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.data.sources.lmdb import Datum, write_lmdb
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.data.user_transform import UserTransform
from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.files.mean import read_mean
from tests.data.as_fed import as_fed
from tests.refusals import refused


def batch(photos, transforms, records, keys=None):
    recipe = Recipe.of(open_source("LMDB", photos.lmdb), transforms)
    room = recipe.room(len(records))
    recipe.fill(np.array(records), np.arange(len(records), dtype=np.uint64) if keys is None else keys, room)
    return as_fed(transforms, room.images)


def test_resize_and_layout(photos):
    images = batch(photos, Transforms(resize=(30, 40)), [4, 0, 4])
    expected = cv2.resize(photos.decoded(4), (40, 30)).transpose(2, 0, 1)
    np.testing.assert_array_equal(images[0], expected)
    np.testing.assert_array_equal(images[2], expected)


def test_one_channel(photos):
    images = batch(photos, Transforms(resize=(30, 40), color=False), [4])
    gray = cv2.imdecode(np.frombuffer(photos.bytes_of(4), np.uint8), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(images[0, 0], cv2.resize(gray, (40, 30)))


@pytest.mark.parametrize("mean", [None, (70.0,)])
def test_one_channel_mirrored(photos, mean):
    keys = keyed.bits(9, np.arange(20))
    transforms = Transforms((30, 40), color=False, mirror=True, random=True, mean=read_mean(None, mean))
    images = batch(photos, transforms, [4] * 20, keys)
    gray = cv2.imdecode(np.frombuffer(photos.bytes_of(4), np.uint8), cv2.IMREAD_GRAYSCALE)
    whole = cv2.resize(gray, (40, 30)) - np.float32(70 if mean else 0)
    assert {image[0].tobytes() for image in images} == {whole.tobytes(), whole[:, ::-1].tobytes()}


@pytest.mark.parametrize("crop, side", [(21, 30), (20, 30), (30, 30), (1, 30)])
def test_centre_crop_as_stock(photos, crop, side):
    images = batch(photos, Transforms(resize=(side, side + 5), crop_size=(crop, crop)), [7])
    whole = cv2.resize(photos.decoded(7), (side + 5, side))
    y, x = (side - crop) // 2, (side + 5 - crop) // 2  # DataTransformer: h_off = (img_height - crop_size) / 2
    np.testing.assert_array_equal(images[0], whole[y : y + crop, x : x + crop].transpose(2, 0, 1))


def test_random_crops_and_mirrors_reach_every_place_equally_often(photos):
    """All 5 x 5 places, mirrored or not, of a 12 x 12 crop of 16 x 16 come up, each one time in fifty."""
    keys = keyed.bits(9, np.arange(10000))
    images = batch(photos, Transforms((16, 16), (12, 12), mirror=True, random=True), [3] * len(keys), keys)
    whole = cv2.resize(photos.decoded(3), (16, 16)).transpose(2, 0, 1)
    places = {}
    for y in range(5):
        for x in range(5):
            crop = whole[:, y : y + 12, x : x + 12].astype(np.float32)
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
    plain = Transforms((16, 18), (10, 10), mirror=True, random=True)
    whole = cv2.resize(photos.decoded(2), (18, 16)).transpose(2, 0, 1).astype(np.float32)
    for name in ("mean.binaryproto", "mean.npy"):
        loaded = read_mean(str(tmp_path / name), None)
        images = batch(photos, Transforms((16, 18), (10, 10), True, random=True, mean=loaded), [2] * 20, keys)
        for image, (crop_y, crop_x, flip, _) in zip(images, plain.draws(keys)):
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


def test_means():
    assert read_mean(None, None) is None
    assert read_mean((1.0, 2.0, 3.0), None).ravel().tolist() == [3, 2, 1]  # r, g, b as the seed has it
    assert read_mean(None, (1.0, 2.0, 3.0)).ravel().tolist() == [1, 2, 3]


def test_mean_files(tmp_path):
    np.save(tmp_path / "three.npy", np.array([1.0, 2.0, 3.0]))
    assert read_mean(str(tmp_path / "three.npy"), None).ravel().tolist() == [1, 2, 3]
    np.save(tmp_path / "flat.npy", np.ones((5, 6)))
    np.save(tmp_path / "words.npy", np.array(["a", "b", "c"]))
    (tmp_path / "text.binaryproto").write_text("not a blob")
    (tmp_path / "text.npy").write_text("not an array")
    for name, message in {
        "flat.npy": r"shape \(5, 6\); it must be numbers, channels x height x width",
        "words.npy": "words.npy: not a .npy file of numbers; a .npy",
        "none.npy": "cannot read it",
        "none.binaryproto": "cannot read it: No such file",
        "text.binaryproto": "text.binaryproto: .*; a .npy, or a .binaryproto of compute_image_mean",
        "text.npy": "a .npy, or a .binaryproto",
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
        with refused(DataError, "not an image", source=bad, record=1):
            recipe.fill(np.array([0, 1]), np.zeros(2, np.uint64), recipe.room(2))


def test_sizes_that_do_not_fit_are_named(photos, tmp_path):
    source = open_source("CSV", photos.csv, root=str(photos.folder))
    recipe = Recipe.of(source, Transforms())
    other = next(r for r in range(len(source)) if photos.decoded(r).shape != photos.decoded(0).shape)
    with refused(DataError, remedy="`resize` or `crop_size`", record=other):
        recipe.fill(np.array([other]), np.zeros(1, np.uint64), recipe.room(1))
    with refused(DataError, "crop_size 200 x 200", remedy="`resize`"):
        Recipe.of(source, Transforms(crop_size=(200, 200)))
    with refused(DataError, "6 x 5", "mean_file is 4 x 5", remedy="`resize`"):
        Recipe.of(source, Transforms((6, 5), mean=np.zeros((3, 4, 5), np.float32)))
    with refused(DataError, "1 channels", "mean has 3"):
        Recipe.of(source, Transforms((6, 5), color=False, mean=np.zeros((3, 1, 1), np.float32)))


def test_raw_datums(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 6, 5), dtype=np.uint8)
    many = np.random.default_rng(0).integers(0, 256, (1, 5, 6, 5), dtype=np.uint8)
    for name, planes in (("color", pixels), ("gray", pixels[:, :1]), ("many", many)):
        path = str(tmp_path / name)
        write_lmdb(path, [Datum(image.tobytes(), 0, *image.shape) for image in planes])
        recipe = Recipe.of(open_source("LMDB", path), Transforms())
        room = recipe.room(len(planes))
        recipe.fill(np.arange(len(planes)), np.zeros(len(planes), np.uint64), room)
        np.testing.assert_array_equal(room.images, planes)
    gray = Recipe.of(open_source("LMDB", str(tmp_path / "color")), Transforms(color=False))
    assert gray.shape == (1, 6, 5)


def lmdb_of(tmp_path, *images):
    """A source of encoded images."""
    write_lmdb(str(tmp_path / "images"), [Datum(data, 0, encoded=True) for data in images])
    return open_source("LMDB", str(tmp_path / "images"))


@pytest.mark.parametrize("color", [True, False])
def test_alpha_and_grey_are_read_as_stock_reads_them(tmp_path, color):
    """As caffe's ReadImageToCVMat: alpha is dropped, grey becomes colour."""
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, (9, 7, 4), dtype=np.uint8),
        rng.integers(0, 256, (9, 7), dtype=np.uint8),
    ]
    files = [cv2.imencode(".png", image)[1].tobytes() for image in images]
    source = lmdb_of(tmp_path, *files)
    for record, data in enumerate(files):
        ours = Transforms(color=color).load(source, record)
        (tmp_path / "image.png").write_bytes(data)
        flag = cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE
        stock = cv2.imread(str(tmp_path / "image.png"), flag).reshape(9, 7, -1)
        np.testing.assert_array_equal(ours, stock)
        assert ours.dtype == np.uint8


def photo(height, width):
    image = np.random.default_rng(1).integers(0, 256, (height // 128 + 2, width // 128 + 2, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC))[1].tobytes()


@pytest.mark.parametrize(
    "height, width, resize, shrink",
    [
        (400, 600, (200, 300), 2),
        (400, 600, (201, 300), 1),
        (400, 600, (100, 100), 4),
        (399, 600, (100, 100), 2),
        (800, 900, (100, 100), 8),
        (1700, 1700, (100, 100), 8),
        (150, 90, (200, 100), 1),
    ],
)
@pytest.mark.parametrize("color", [True, False])
def test_fast_decoding_scales_down_as_far_as_it_may(tmp_path, height, width, resize, shrink, color):
    data = photo(height, width)
    source = lmdb_of(tmp_path, data)
    flag = {
        1: cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE,
        2: cv2.IMREAD_REDUCED_COLOR_2 if color else cv2.IMREAD_REDUCED_GRAYSCALE_2,
        4: cv2.IMREAD_REDUCED_COLOR_4 if color else cv2.IMREAD_REDUCED_GRAYSCALE_4,
        8: cv2.IMREAD_REDUCED_COLOR_8 if color else cv2.IMREAD_REDUCED_GRAYSCALE_8,
    }[shrink]
    fast = Transforms(resize=resize, color=color, fast=True).load(source, 0)
    expected = cv2.resize(cv2.imdecode(np.frombuffer(data, np.uint8), flag), resize[::-1])
    np.testing.assert_array_equal(fast, expected.reshape(fast.shape))
    exact = Transforms(resize=resize, color=color).load(source, 0)
    assert np.abs(fast.astype(int) - exact).mean() < 4


def test_fast_decoding_knows_of_photos_on_their_side(tmp_path):
    """An Exif orientation turns 400 x 800 into 800 x 400, which is no more than twice a target of 300 x 200."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = photo(400, 800)
    turned = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    source = lmdb_of(tmp_path, turned)
    assert Transforms().load(source, 0).shape == (800, 400, 3)
    fast, exact = (Transforms(resize=(200, 300), fast=flag).load(source, 0) for flag in (True, False))
    np.testing.assert_array_equal(fast, exact)


def test_a_jpeg_of_a_damaged_size_is_refused_at_once(tmp_path):
    """OpenCV would make 65535 x 16000 pixels of it, in ten seconds."""
    data = photo(400, 400)
    at = data.index(b"\xff\xc0") + 5
    damaged = data[:at] + (65535).to_bytes(2, "big") + (16000).to_bytes(2, "big") + data[at + 4 :]
    empty = cv2.imencode(".jpg", np.zeros((4000, 4000, 3), np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 1])[1].tobytes()
    source = lmdb_of(tmp_path, damaged, empty)
    with refused(DataError, "not an image", record=0):
        Transforms().load(source, 0)
    assert Transforms().load(source, 1).shape == (4000, 4000, 3)


def test_fast_decoding_of_other_formats_is_exact(tmp_path):
    png = cv2.imencode(".png", cv2.imdecode(np.frombuffer(photo(400, 400), np.uint8), cv2.IMREAD_COLOR))[1].tobytes()
    source = lmdb_of(tmp_path, png, photo(400, 400)[:11])
    fast, exact = (Transforms(resize=(50, 50), fast=flag).load(source, 0) for flag in (True, False))
    np.testing.assert_array_equal(fast, exact)
    with refused(DataError, "not an image", record=1):
        Transforms(resize=(50, 50), fast=True).load(source, 1)


PLUGIN = """
import numpy as np

def brighten(image, rng):
    image[:] = 255  # a function may write into what it gets
    image[:, :, 0] = rng.integers(0, 256)
    return image

def halve(image, rng):
    return image[::2, ::2]

def broken(image, rng):
    return image.astype(np.float64)

def empty(image, rng):
    return image[:0]

def dark(image, rng):
    image[0] = np.nan
    return image

number = 7
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "plugin_of_a_user.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    return "plugin_of_a_user"


def test_a_transform_of_the_users(photos, plugin):
    records = [4, 4, 5]
    keys = keyed.bits(3, np.arange(3))
    images = batch(photos, Transforms((8, 9), transform=UserTransform(f"{plugin}:brighten")), records, keys)
    assert (images[:, 1:] == 255).all()
    blues = images[:, 0, 0, 0].tolist()
    assert blues == [np.random.Generator(np.random.Philox(key=int(key))).integers(0, 256) for key in keys]
    assert len(set(blues)) == 3
    halves = batch(
        photos, Transforms((8, 9), transform=UserTransform(f"{plugin}:halve"), mean=np.ones((3, 4, 5), "f4")), [1]
    )
    expected = cv2.resize(photos.decoded(1), (9, 8))[::2, ::2].transpose(2, 0, 1) - np.float32(1)
    np.testing.assert_array_equal(halves[0], expected)


@pytest.mark.parametrize(
    "transform, message",
    [
        ("os:listdir", "'os:listdir' failed with TypeError"),
        ("{}:broken", "returned float64 .*must return an image of uint8"),
        ("{}:empty", r"returned uint8 \(0, .* with at least one pixel"),
        ("{}:number", "has no function or class named 'number'"),
        ("{}:missing", "has no function or class named 'missing'"),
        ("no_such_module_at_all:f", "cannot import 'no_such_module_at_all'.*PYTHONPATH"),
        ("__main__:f", "workers cannot import it; move it to a module"),
    ],
)
def test_a_wrong_transform_is_told_at_set_up(photos, plugin, transform, message):
    with pytest.raises(ConfigError, match="option 'transform': .*" + message):
        batch(photos, Transforms(transform=UserTransform(transform.format(plugin))), [0])


def test_a_transform_must_return_finite_numbers(plugin):
    features = np.zeros((1, 1, 4), np.float32)
    with refused(ConfigError, "dark", "finite", option="transform"):
        UserTransform(f"{plugin}:dark")(features, 0)


def test_features_of_many_channels():
    """What a source of features yields; cv2 takes 512 channels at most."""
    image = np.random.default_rng(0).normal(size=(1, 2, 700)).astype("f4")
    out = np.empty((700, 1, 2), "f4")
    transforms = Transforms(scale=2.0)
    transforms.write(image, transforms.window(image.shape, Draw(0, 0, True)), out)
    np.testing.assert_array_equal(out, 2 * image[:, ::-1].transpose(2, 0, 1))
