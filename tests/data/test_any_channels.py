"""`color: any`: the channels and the bits of the files, against OpenCV and NumPy."""

import io
import struct
import zlib

import caffe
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import caffe_pylayers
from caffe_pylayers.commands.convert.convert import Images, Origin
from caffe_pylayers.config import load
from caffe_pylayers.data import decoding, keyed
from caffe_pylayers.data.decoding import decode
from caffe_pylayers.data.geometry import Fit
from caffe_pylayers.data.recipe import Recipe
from caffe_pylayers.data.sources import Record, open_source
from caffe_pylayers.data.sources.bcf import write_bcf
from caffe_pylayers.data.sources.csv import write_csv
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.data.user_transform import UserTransform
from caffe_pylayers.errors import ConfigError, DataError
from tests.caffe_nets import python_layer, write
from tests.data.as_fed import as_fed
from tests.data.conversions import SUFFIXES, converted
from tests.refusals import refused

ANY = Transforms(color="any")


@pytest.fixture(autouse=True)
def no_workers_run_on():
    yield
    caffe_pylayers.close()


def numbers(kind, *shape, seed=0):
    """Random pixels over the whole range of a type."""
    random = np.random.default_rng(seed)
    if np.dtype(kind).kind == "f":
        return random.normal(0, 1000, shape).astype(kind)
    return random.integers(0, np.iinfo(kind).max + 1, shape).astype(kind)


def encoded(extension, image):
    return cv2.imencode(extension, image)[1].tobytes()


def npy(array, version=None):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), version=version)
    return stream.getvalue()


def planes(image):
    """(channels, height, width), as it is fed."""
    return (image if image.ndim == 3 else image[:, :, None]).transpose(2, 0, 1)


def lmdb_of(tmp_path, *files):
    path = str(tmp_path / "lmdb")
    write_lmdb(path, [Record(file, (number,)) for number, file in enumerate(files)])
    return open_source("LMDB", path)


def fed(source, transforms, keys=None):
    recipe = Recipe.of(source, transforms)
    room = recipe.room(len(source))
    recipe.fill(np.arange(len(source)), np.arange(len(source), dtype=np.uint64) if keys is None else keys, room)
    return as_fed(transforms, room.images)


FILES = {
    **{
        f"{kind}, {channels} channels, {extension}": (encoded(extension, image), image)
        for extension in (".png", ".tiff")
        for kind in ("uint8", "uint16")
        for channels in (1, 3, 4)
        for image in [numbers(kind, 17, 23, channels)]
    },
    **{
        f"npy of {kind}, {shape}": (npy(image), image)
        for kind in ("uint8", "uint16", "float32", "float64")
        for shape in ((17, 23), (17, 23, 1), (17, 23, 5))
        for image in [numbers(kind, *shape)]
    },
    "npy in Fortran's order": (npy(np.asfortranarray(numbers("uint16", 17, 23, 3))), numbers("uint16", 17, 23, 3)),
    "npy of big-endian numbers": (npy(numbers("uint16", 17, 23).astype(">u2")), numbers("uint16", 17, 23)),
    "npy of version 2": (npy(numbers("uint8", 17, 23), (2, 0)), numbers("uint8", 17, 23)),
    "npy of 600 channels": (npy(numbers("float32", 3, 4, 600)), numbers("float32", 3, 4, 600)),
    "float tiff": (encoded(".tiff", numbers("float32", 17, 23)), numbers("float32", 17, 23)),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_keeps_its_channels_and_its_bits(name, tmp_path):
    file, image = FILES[name]
    source = lmdb_of(tmp_path, file)
    out = fed(source, ANY)
    np.testing.assert_array_equal(out[0], planes(image.astype(np.float32)))
    if out.shape[1] > 512:
        return
    # OpenCV's resizing of pixels of the same type: what is 16-bit stays so.
    same = image.astype(np.float32) if image.dtype == np.float64 else image
    smaller = cv2.resize(same, (11, 9), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(fed(source, Transforms((9, 11), color="any"))[0], planes(smaller.astype(np.float32)))


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_crop_mirror_mean_and_scale(kind, channels, tmp_path):
    images = [numbers(kind, 12, 14, channels, seed=number) for number in range(8)]
    mean = np.arange(1, channels + 1, dtype=np.float32)[:, None, None] * 10
    keys = keyed.bits(3, np.arange(8))
    transforms = Transforms(None, (8, 6), mirror=True, color="any", random=True, mean=mean, scale=0.5)
    out = fed(lmdb_of(tmp_path, *map(npy, images)), transforms, keys)
    flips = set()
    for image, got, (crop_y, crop_x, flip, _) in zip(images, out, transforms.draws(keys)):
        y, x = int(crop_y * 5), int(crop_x * 9)
        expected = (planes(image.astype(np.float32))[:, y : y + 8, x : x + 6] - mean) * np.float32(0.5)
        np.testing.assert_array_equal(got, expected[:, :, ::-1] if flip else expected)
        flips.add(bool(flip))
    assert flips == {True, False}


def test_padding_of_16_bits_is_the_mean(tmp_path):
    source = lmdb_of(tmp_path, encoded(".png", numbers("uint16", 5, 10)))
    padded = Transforms(Fit(long=10, pad=True), color="any", mean=np.full((1, 1, 1), 40000.6, np.float32)).load(
        source, 0
    )
    assert padded.dtype == np.uint16
    assert np.unique(padded[:2]).tolist() == np.unique(padded[7:]).tolist() == [40001]


def write_as(kind, tmp_path, records):
    """Encoded images in a source of that type, and the options that read it."""
    path = str(tmp_path / "source")
    if kind == "CSV":
        write_csv(f"{path}.csv", records, path)
        return {"source": f"{path}.csv", "root": path, "header": True}
    {"LMDB": write_lmdb, "BCF": write_bcf, "HDF5": write_hdf5}[kind](path, records)
    return {"source_type": kind, "source": path, **({"labels": f"{path}.labels.npy"} if kind == "BCF" else {})}


def net_of(options, phase=caffe.TEST):
    return caffe.Net(write(python_layer("ImageDataLayer", [], ["data", "label"], options)), phase)


@pytest.mark.parametrize("kind", ["CSV", "LMDB", "BCF", "HDF5"])
@pytest.mark.parametrize("more", [{}, {"prefetch": True}, {"compressed": False}])
@pytest.mark.parametrize("file", [lambda image: encoded(".png", image), npy], ids=["png", "npy"])
def test_every_source_feeds_it(kind, more, file, tmp_path):
    images = [numbers("uint16", 9, 11, 4, seed=number) for number in range(6)]
    records = [Record(file(image), (number,), name=f"{number}") for number, image in enumerate(images)]
    net = net_of(
        {**write_as(kind, tmp_path, records), "batch_size": 6, "color": "any", "mean_value": [1, 2, 3, 4], **more}
    )
    net.forward()
    mean = np.array([1, 2, 3, 4], np.float32)[:, None, None]
    np.testing.assert_array_equal(net.blobs["data"].data, [planes(image.astype(np.float32)) - mean for image in images])


@pytest.mark.parametrize(
    "kind, image",
    [("LMDB", numbers("uint8", 5, 6, 7)), ("LMDB", numbers("float32", 5, 6, 2)), ("HDF5", numbers("float32", 5, 6, 2))],
)
def test_raw_pixels_keep_their_channels(kind, image, tmp_path):
    net = net_of({**write_as(kind, tmp_path, [Record(image, (0,))]), "batch_size": 1, "color": "any"})
    net.forward()
    np.testing.assert_array_equal(net.blobs["data"].data[0], planes(image))


@pytest.mark.parametrize("mean", [{"mean_value": [5]}, {"mean_file": [5, 6]}, {"mean_value": [5, 6]}])
def test_a_mean_of_as_many_numbers_as_channels_is_in_their_order(mean, tmp_path):
    image = numbers("float32", 4, 5, 2)
    net = net_of({**write_as("LMDB", tmp_path, [Record(npy(image), (0,))]), "batch_size": 1, "color": "any", **mean})
    net.forward()
    (values,) = mean.values()
    np.testing.assert_array_equal(
        net.blobs["data"].data[0], planes(image) - np.array(values, np.float32)[:, None, None]
    )


def exif(orientation):
    return b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation]) + b"\0\0\0\0\0\0"


def turned(file, orientation):
    """The file with an EXIF orientation."""
    if file[:2] == b"\xff\xd8":
        data = b"Exif\0\0" + exif(orientation)
        return file[:2] + b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data + file[2:]
    chunk = b"eXIf" + exif(orientation)
    return file[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + file[33:]


@pytest.mark.parametrize("extension, channels", [(".jpg", 1), (".jpg", 3), (".png", 1), (".png", 3), (".png", 4)])
def test_exif_turns_the_same_files_as_with_three_channels(extension, channels):
    image = cv2.resize(numbers("uint8", 4, 5, channels), (50, 40)).reshape(40, 50, channels)
    for orientation in range(1, 9):
        file = turned(encoded(extension, image), orientation)
        colour, own = (decode(file, color) for color in (True, "any"))
        if extension == ".png" and decoding._ANY_CHANNELS == cv2.IMREAD_UNCHANGED:  # an older OpenCV
            np.testing.assert_array_equal(own.reshape(image.shape), image)
            continue
        assert own.shape == ((*colour.shape[:2], channels) if channels > 1 else colour.shape[:2])
        if channels > 1:
            np.testing.assert_array_equal(own[:, :, :3], colour)
        else:
            np.testing.assert_array_equal(own, colour[:, :, 0])


@pytest.mark.parametrize("channels", [1, 3])
def test_fast_and_lenient_decoding_of_jpegs(channels, tmp_path):
    image = cv2.resize(numbers("uint8", 4, 5, channels), (640, 480))
    file = encoded(".jpg", image)
    source = lmdb_of(tmp_path, file, file[:-300])
    colour = (cv2.IMREAD_REDUCED_GRAYSCALE_4, cv2.IMREAD_REDUCED_COLOR_4)[channels == 3]
    expected = cv2.resize(cv2.imdecode(np.frombuffer(file, np.uint8), colour), (160, 110))
    fast = Transforms((110, 160), color="any", fast=True).load(source, 0)
    np.testing.assert_array_equal(fast, expected.reshape(fast.shape))
    with refused(DataError, "cut short", record=1):
        ANY.load(source, 1)
    told = []
    assert Transforms(color="any", lenient=True).load(source, 1, told.append).shape == (480, 640, channels)
    assert told == [1]


OTHERS = {
    "channels": (
        encoded(".jpg", numbers("uint8", 9, 9, 3)),
        encoded(".jpg", numbers("uint8", 9, 9, 1)),
        "1 channel of uint8",
        "3 channels of uint8",
    ),
    "bits": (
        encoded(".png", numbers("uint16", 9, 9)),
        encoded(".png", numbers("uint8", 9, 9)),
        "1 channel of uint8",
        "1 channel of uint16",
    ),
    "fewer bits first": (
        npy(numbers("uint8", 9, 9)),
        npy(numbers("float32", 9, 9)),
        "1 channel of float32",
        "1 channel of uint8",
    ),
}


@pytest.mark.parametrize("first, second, found, expected", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("more", [{}, {"compressed": False}, {"mean_value": 3, "prefetch": True}])
def test_images_with_other_channels_or_bits_are_named(first, second, found, expected, more, tmp_path):
    options = write_as("LMDB", tmp_path, [Record(first, (0,)), Record(second, (1,))])
    with refused(DataError, "`color: any`", found, expected, remedy="alike", record=1):
        net_of({**options, "batch_size": 2, "color": "any", **more}).forward()
    net = net_of({**options, "batch_size": 2, "color": "any", "on_error": "skip", **more})
    net.forward()
    assert net.blobs["label"].data.tolist() == [0, 0]


def bomb(shape, kind="<f8", size=0):
    """A .npy file whose header says more than there is."""
    header = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(size)


WRONG_NPY = {
    "int64": (npy(numbers("uint8", 3, 4).astype(np.int64)), "type int64", "uint8, uint16, float32 and float64"),
    "float16": (npy(numbers("uint8", 3, 4).astype(np.float16)), "type float16", "uint8, uint16"),
    "bool": (npy(np.ones((3, 4), bool)), "type bool", "uint8, uint16"),
    "structured": (npy(np.zeros((3, 4), [("a", "u1"), ("b", "u1")])), "type", "uint8, uint16"),
    "objects": (bomb((3, 4), "|O", 300), "type object", "uint8, uint16"),
    "a vector": (npy(numbers("uint8", 30)), "shape (30,)", "(height, width, channels)"),
    "four axes": (npy(numbers("uint8", 1, 3, 4, 3)), "shape (1, 3, 4, 3)", "(height, width, channels)"),
    "nothing": (npy(numbers("uint8", 0, 4)), "shape (0, 4)", "(height, width, channels)"),
    "cut short": (npy(numbers("uint8", 3, 4))[:-1], "11 bytes", "cut short"),
    "too long": (npy(numbers("uint8", 3, 4)) + b"\0", "13 bytes", "cut short"),
    "cut in the header": (npy(numbers("uint8", 3, 4))[:70], "header is damaged", "remove the record"),
    "no header": (b"\x93NUMPY", "cannot be read", "remove the record"),
    "another version": (
        npy(numbers("uint8", 3, 4)).replace(b"NUMPY\1", b"NUMPY\7"),
        "header is damaged",
        "remove the record",
    ),
    "a header of megabytes": (b"\x93NUMPY\2\0\0\0\0\1" + b"[" * (1 << 24), "header is damaged", "remove the record"),
    "a nested header": (b"\x93NUMPY\1\0\x10\x27" + b"[" * 10_000, "header is damaged", "remove the record"),
    "a size below 0": (bomb((-3, -4)), "shape (-3, -4)", "(height, width, channels)"),
    "too many pixels": (bomb((1 << 20, 1 << 20)), "1048576 x 1048576 pixels", "`max_pixels`"),
    "too many channels": (bomb((1 << 10, 1 << 10, 1 << 20)), "1048576 channels", "`max_pixels`"),
    "pixels that are not there": (bomb((1 << 14, 1 << 14)), "0 bytes", "cut short"),
}


@pytest.mark.parametrize("file, problem, remedy", WRONG_NPY.values(), ids=WRONG_NPY)
def test_a_wrong_npy_is_named(file, problem, remedy, tmp_path):
    with refused(DataError, problem, remedy=remedy, record=0):
        ANY.load(lmdb_of(tmp_path, file), 0)


@given(st.binary(max_size=200), st.integers(0, 140))
def test_a_damaged_npy_is_an_error_or_an_array(damage, at):
    file = npy(numbers("uint16", 3, 4))
    try:
        decode(file[:at] + damage + file[at + len(damage) :], "any", max_pixels=1000)
    except DataError as error:
        assert error.remedy


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_numbers_that_are_not_finite_are_named(value, tmp_path):
    image = numbers("float64", 3, 4)
    image[1, 2] = value
    source = lmdb_of(tmp_path, npy(numbers("float64", 3, 4)), npy(image))
    with refused(DataError, "not finite", remedy="`transform`", record=1):
        fed(source, ANY)


def test_a_transform_may_fill_them(tmp_path, monkeypatch):
    (tmp_path / "filling_of_a_user.py").write_text(
        "import numpy as np\ndef fill(image, rng):\n    return np.nan_to_num(image, nan=7)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    image = numbers("float32", 3, 4)
    image[1, 2] = np.nan
    out = fed(lmdb_of(tmp_path, npy(image)), Transforms(color="any", transform=UserTransform("filling_of_a_user:fill")))
    np.testing.assert_array_equal(out[0, 0], np.nan_to_num(image, nan=7))


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int8])
def test_a_tiff_of_other_integers_is_named(kind, tmp_path):
    with refused(DataError, f"type {np.dtype(kind)}", remedy="uint16", record=0):
        ANY.load(lmdb_of(tmp_path, encoded(".tiff", numbers("uint8", 3, 4).astype(kind))), 0)


@pytest.mark.parametrize("extension", [".hdr", ".pfm"])
def test_formats_that_are_not_read_are_named(extension, tmp_path):
    with refused(DataError, "not read", remedy=".npy", record=0):
        ANY.load(lmdb_of(tmp_path, encoded(extension, numbers("float32", 3, 4, 3))), 0)


@pytest.mark.parametrize("mean", [None, 3])
@pytest.mark.parametrize("kinds", [("uint8", "float32"), ("float32", "uint8")])
def test_raw_pixels_of_two_types_are_named(kinds, mean, tmp_path):
    """Bytes of 0 to 255 beside floats of any range, which a mean hid."""
    records = [Record(numbers(kind, 3, 4, 3), (0,)) for kind in kinds]
    net = net_of({**write_as("LMDB", tmp_path, records), "batch_size": 2, "mean_value": mean})
    with refused(DataError, f"3 channels of {kinds[1]}", f"3 channels of {kinds[0]}", remedy="one type", record=1):
        net.forward()


@pytest.mark.parametrize("color", [True, False])
def test_other_colours_name_it(color, tmp_path):
    source = lmdb_of(tmp_path, encoded(".png", numbers("uint16", 3, 4)), npy(numbers("uint8", 3, 4)))
    for record, problem in enumerate(("16-bit", "not an image")):
        with refused(DataError, problem, remedy="`color: any`", record=record):
            Transforms(color=color).load(source, record)
        assert ANY.load(source, record).shape == (3, 4, 1)


def test_max_pixels(tmp_path):
    source = lmdb_of(tmp_path, npy(numbers("uint8", 3, 4)), encoded(".png", numbers("uint16", 3, 4, 4)))
    for record in (0, 1):
        assert Transforms(color="any", max_pixels=12).load(source, record) is not None
        with refused(DataError, "3 x 4", "`max_pixels`, 11", record=record):
            Transforms(color="any", max_pixels=11).load(source, record)


def test_channels_are_unknown_before_a_file_is_read():
    options = "'source': 'a.csv', 'crop_size': 5, 'color': {}, 'mean_value': {}"
    assert load("ImageDataLayer", options.format("'any'", [1, 2])).image_shape() == (None, 5, 5)
    assert load("ImageDataLayer", options.format(True, [1, 2, 3])).image_shape() == (3, 5, 5)


# ------------------------------------------------------------------------------------------ convert


@pytest.mark.parametrize("format", SUFFIXES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_conversion_keeps_16_bits(channels, format, tmp_path):
    """What is fed after the conversion is what is fed without it."""
    images = [numbers("uint16", 9, 11, channels, seed=number) for number in range(3)]
    write_lmdb(str(tmp_path / "from_lmdb"), [Record(encoded(".png", image), (0,)) for image in images])
    origin = Origin("LMDB", str(tmp_path / "from_lmdb"))
    source, entry = converted(origin, tmp_path / f"to{SUFFIXES[format]}", format, {"resize": (6, 7), "color": "any"})
    assert entry["layer_options"]["color"] == "any"
    np.testing.assert_array_equal(fed(source, ANY), fed(origin.open(), Transforms((6, 7), color="any")))
    if format in ("CSV", "BCF"):
        assert cv2.imdecode(np.frombuffer(source.read(0), np.uint8), cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_a_conversion_copies_npy_files(tmp_path):
    images = [numbers("float64", 9, 11, 2, seed=number) for number in range(3)]
    write_lmdb(str(tmp_path / "from_lmdb"), [Record(npy(image), (0,)) for image in images])
    source, _ = converted(Origin("LMDB", str(tmp_path / "from_lmdb")), tmp_path / "to.csv", "CSV")
    assert source.read(2) == npy(images[2]) and source.names[2].endswith(b".npy")
    with refused(DataError, "float32 with 2 channels", "PNG", remedy="LMDB or HDF5", record=1):
        Images("BCF", (4, 4), color="any").make(source, 1)
    assert Images("LMDB", (4, 4), color="any").make(source, 1).shape == (4, 4, 2)


def test_a_jpeg_and_grey_cannot_keep_them(tmp_path):
    source = lmdb_of(tmp_path, encoded(".png", numbers("uint16", 9, 11)))
    with refused(DataError, "uint16", "8-bit pixels of 1 or 3 channels", record=0):
        Images("LMDB", encode="jpg:90", color="any").make(source, 0)
    with refused(ConfigError, "--gray and --color any", remedy="leave one out"):
        Images("LMDB", gray=True, color="any")


def test_the_remedy_of_a_conversion_works(tmp_path, command):
    cv2.imwrite(str(tmp_path / "deep.png"), numbers("uint16", 9, 11))
    (tmp_path / "list.txt").write_text("deep.png 3\n")
    status, _, err = command("convert", "list.txt", "it_lmdb", "--resize", "4")
    assert status == 2 and "16-bit pixels" in err and "set --color any" in err
    status, out, err = command("convert", "list.txt", "it_lmdb", "--resize", "4", "--color", "any")
    assert (status, err) == (0, "") and "'color': 'any'" in out
