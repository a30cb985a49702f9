"""The size of an image by its header, against what OpenCV makes of the file; and what is too large to decode."""

import struct
import time
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers import DataError
from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.commands.convert.convert import Images
from caffe_pylayers.data.decoding import decode
from caffe_pylayers.data.image_size import image_size
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.data.sources.records import Record
from caffe_pylayers.data.transforms import Transforms
from tests.refusals import refused

PIXELS = np.random.default_rng(0).integers(0, 256, (37, 41, 3), dtype=np.uint8)
JPEG = cv2.imencode(".jpg", PIXELS)[1].tobytes()
BMP = cv2.imencode(".bmp", PIXELS)[1].tobytes()
J2K = cv2.imencode(".jp2", PIXELS)[1].tobytes()


def encoded(extension, image=PIXELS, *params):
    return cv2.imencode(extension, image, [*params])[1].tobytes()


def tiff(order, height, width, big=False):
    """A TIFF of one grey strip, all 7, as OpenCV does not write it."""
    size = height * width
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 512),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, size),
    ]
    mark = order + "HHQ" if big else order + "HI"
    head = (b"II" if order == "<" else b"MM") + (struct.pack(mark, 43, 8, 0)[:6] if big else struct.pack(mark, 42, 8))
    head += (
        struct.pack(order + "Q", 16) + struct.pack(order + "Q", len(entries))
        if big
        else struct.pack(order + "H", len(entries))
    )
    for tag, kind, value in entries:
        packed = struct.pack(order + {3: "H", 4: "I"}[kind], value)
        head += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, 1) + packed.ljust(8 if big else 4, b"\0")
    return head.ljust(512, b"\0") + b"\7" * size


FILES = {
    "jpeg": JPEG,
    "progressive jpeg": encoded(".jpg", PIXELS, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "jpeg with fill bytes": JPEG[:2] + b"\xff" * 5 + JPEG[2:],
    "jpeg with a comment": JPEG[:2] + b"\xff\xfe\x00\x08\xff\xc0\x00\x01\x02\x03" + JPEG[2:],
    "png": encoded(".png"),
    "grey png": encoded(".png", PIXELS[..., 0]),
    "16-bit png": encoded(".png", PIXELS.astype(np.uint16)),
    "lossy webp": encoded(".webp", PIXELS, cv2.IMWRITE_WEBP_QUALITY, 50),
    "lossless webp": encoded(".webp", PIXELS, cv2.IMWRITE_WEBP_QUALITY, 101),
    "webp with alpha": encoded(".webp", np.dstack([PIXELS, PIXELS[..., :1]]), cv2.IMWRITE_WEBP_QUALITY, 50),
    "tiff": encoded(".tiff"),
    "16-bit tiff": encoded(".tiff", PIXELS.astype(np.uint16)),
    "big-endian tiff": tiff(">", 37, 41),
    "little-endian bigtiff": tiff("<", 37, 41, big=True),
    "big-endian bigtiff": tiff(">", 37, 41, big=True),
    "bmp": BMP,
    "bmp from the top": BMP[:22] + struct.pack("<i", -37) + BMP[26:],
    "jp2": J2K,
    "code stream of jp2": J2K[J2K.index(b"\xff\x4f\xff\x51") :],
    "ppm": encoded(".ppm"),
    "pgm": encoded(".pgm", PIXELS[..., 0]),
    "pbm": encoded(".pbm", PIXELS[..., 0]),
    "ppm in text": encoded(".ppm", PIXELS, cv2.IMWRITE_PXM_BINARY, 0),
    "pgm with comments": b"P5 # 9 9\n#1\n41 # of width\n" + b"37\n255\n" + bytes(37 * 41),
    "pam": encoded(".pam"),
    "sun raster": encoded(".ras"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_header_says_what_opencv_decodes(name):
    image = cv2.imdecode(np.frombuffer(FILES[name], np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    assert image_size(FILES[name]) == image.shape[:2]


def test_a_comment_that_opencv_reads_on_in_is_read_on_in():
    """It drops the character behind a number, a # too."""
    data = b"P5 5#7 \n255\n" + bytes(5 * 7)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image_size(data) == image.shape[:2] == (7, 5)


#: Damaged, a JPEG 2000 may end the process in OpenCV 4.11.
SAFE = sorted(name for name in FILES if "jp2" not in name)


@given(st.sampled_from(SAFE), st.data())
def test_an_image_is_never_larger_than_its_header_says(name, data):
    """Whatever becomes of a header: what OpenCV would make of it without a size here, is not decoded at all."""
    damaged = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(0, 3))):
        damaged[data.draw(st.integers(0, min(len(damaged), 120) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(0, len(damaged))) :]
    size = image_size(bytes(damaged))
    if size is None or size[0] * size[1] > 1 << 20:
        return
    try:
        image = cv2.imdecode(np.frombuffer(damaged, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return
    assert image is None or image.shape[0] * image.shape[1] <= size[0] * size[1]


def test_bytes_of_other_formats_have_no_size():
    for data in (b"", b"\xff\xd8", b"GIF89a\x05\0\x05\0", b"no picture", bytes(100), JPEG[:40], FILES["jp2"][:60]):
        assert image_size(data) is None


def bomb(height, width):
    """A PNG of black pixels, of little more than 1 kB for each million of them."""
    row = bytes(width + 1)
    compressor = zlib.compressobj(9)
    data = b"".join([*(compressor.compress(row) for _ in range(height)), compressor.flush()])
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", data), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def lmdb_of(path, *images):
    write_lmdb(str(path), [Datum(data, 0, encoded=True) for data in images])
    return open_source("LMDB", str(path))


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    data = bomb(20000, 20000)
    assert len(data) < 1 << 20
    source = lmdb_of(tmp_path / "bomb", data)
    begun = time.process_time()
    with pytest.raises(DataError) as caught:
        Transforms(resize=(8, 8)).load(source, 0)
    assert time.process_time() - begun < 0.5
    assert (caught.value.record, caught.value.remedy) == (0, "make the image smaller, or raise `max_pixels`")
    assert caught.value.problem == "20000 x 20000 pixels (height x width) are more than `max_pixels`, 268435456"


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_bound_holds_for_every_format(name, tmp_path):
    source = lmdb_of(tmp_path / "images", FILES[name])
    with refused(DataError, "37 x 41 pixels", f"`max_pixels`, {37 * 41 - 1}"):
        Transforms(max_pixels=37 * 41 - 1).load(source, 0)
    if "16-bit" not in name:
        assert Transforms(max_pixels=37 * 41).load(source, 0).shape[:2] == (37, 41)


@pytest.mark.parametrize("name", [b"IDAT", b"tEXt", b"acTL"])
def test_a_png_whose_chunk_is_longer_than_the_file_takes_no_time(name):
    """OpenCV would make room for the chunk and fill it: up to 4 GB, in ten seconds."""
    data = encoded(".png")
    begun = time.process_time()
    with refused(DataError, "cut short"):
        decode(data[:33] + struct.pack(">I", 1 << 30) + name + data[41:])
    assert time.process_time() - begun < 0.3


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(("shape", "bound"), [((6, 5, 3), 30), ((6, 5, 1), 30), ((1, 1, 700), 175), ((6, 5, 8), 60)])
def test_pixels_have_it_too(tmp_path, shape, bound, dtype):
    image = np.zeros(shape, dtype)
    write_hdf5(str(tmp_path / "images.h5"), [Record(image, (0,))])
    write_lmdb(str(tmp_path / "images"), [Record(image, (0,))])
    for kind, path in (("HDF5", tmp_path / "images.h5"), ("LMDB", tmp_path / "images")):
        source = open_source(kind, str(path))
        assert Transforms(max_pixels=bound).load(source, 0).shape == shape
        with refused(DataError, f"`max_pixels`, {bound - 1}", record=0):
            Transforms(max_pixels=bound - 1).load(source, 0)


def test_a_row_of_hdf5_is_not_even_decompressed(tmp_path):
    import h5py

    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset(
            "data", (1, 1, 20000, 20000), np.uint8, chunks=(1, 1, 10000, 10000), compression="gzip", fillvalue=0
        )
        for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
            file["data"][0, 0, y, x] = 1
    source = open_source("HDF5", str(tmp_path / "bomb.h5"))
    with refused(DataError, "20000 x 20000 pixels", "`max_pixels`"):
        Transforms().load(source, 0)


def test_a_conversion_has_it(tmp_path):
    source = lmdb_of(tmp_path / "images", bomb(30, 40))
    for options in ({}, {"resize": (4, 4)}):
        assert Images("LMDB", max_pixels=1200, **options).make(source, 0) is not None
        with refused(DataError, "30 x 40 pixels", "`max_pixels`, 1199", record=0):
            Images("LMDB", max_pixels=1199, **options).make(source, 0)


# ------------------------------------------------------------------------------------------ more than 8 bits


DEEP = {
    "16-bit png": FILES["16-bit png"],
    "16-bit tiff": FILES["16-bit tiff"],
    "16-bit jp2": encoded(".jp2", PIXELS.astype(np.uint16) * 257),
    "16-bit pgm": encoded(".pgm", PIXELS[..., 0].astype(np.uint16)),
    "float tiff": encoded(".tiff", PIXELS.astype(np.float32)),
    "hdr": encoded(".hdr", PIXELS.astype(np.float32)),
    "pfm": encoded(".pfm", PIXELS.astype(np.float32)),
}


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("fast", [False, True])
def test_more_than_8_bits_are_refused_not_cut(name, fast, tmp_path):
    source = lmdb_of(tmp_path / "images", DEEP[name])
    with refused(DataError, "only 8 bits", remedy="8-bit image", record=0):
        Transforms(resize=(4, 4), fast=fast).load(source, 0)
    with refused(DataError, "only 8 bits"):
        Images("BCF", resize=(4, 4)).make(source, 0)


def test_the_remedy_keeps_the_numbers(tmp_path):
    """A map of class numbers as a 16-bit PNG: 3 was read as 0, and 300 as 1."""
    numbers = np.array([[0, 3, 300], [65535, 1, 2]], np.uint16)
    decoded = cv2.imdecode(np.frombuffer(encoded(".png", numbers), np.uint8), cv2.IMREAD_UNCHANGED)
    write_hdf5(str(tmp_path / "maps.h5"), [Record(decoded[:, :, None].astype(np.float32), (0,))])
    found = Transforms().load(open_source("HDF5", str(tmp_path / "maps.h5")), 0)
    np.testing.assert_array_equal(found[:, :, 0], numbers)


def test_a_conversion_that_keeps_files_keeps_16_bits(tmp_path):
    source = lmdb_of(tmp_path / "images", DEEP["16-bit png"])
    assert Images("BCF").make(source, 0) == DEEP["16-bit png"]
