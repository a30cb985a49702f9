"""The numbers in the file of a map are those that were stored."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from caffe_pylayers.data.map_files import numbers_in
from caffe_pylayers.data.png import chunk
from caffe_pylayers.errors import DataError
from tests.refusals import refused

PALETTE = np.random.RandomState(0).randint(0, 256, 768).astype(np.uint8).tobytes()


def png(labels, mode, bits=8, **more):
    """The PNG that Pillow writes; with a palette, whose colours say nothing of the labels."""
    image = Image.frombytes(mode, labels.shape[::-1], labels.tobytes())
    if mode == "P":
        image.putpalette(PALETTE)
    stream = io.BytesIO()
    image.save(stream, "PNG", bits=bits, **more)
    return stream.getvalue()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("more", [{}, {"transparency": 0}], ids=["", "transparent"])
def test_the_palette_says_nothing(bits, more):
    labels = np.random.RandomState(bits).randint(0, 2**bits, (13, 21)).astype(np.uint8)
    data = png(labels, "P", bits, **more)
    assert data[24] == bits and data[25] == 3  # depth, and type of colour
    np.testing.assert_array_equal(numbers_in(data, 1000, True), labels)


def test_a_mask_of_one_bit_has_ones():
    mask = np.random.RandomState(0).rand(9, 10) < 0.5
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    assert stream.getvalue()[24] == 1
    np.testing.assert_array_equal(numbers_in(stream.getvalue(), 1000, True), mask)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_files_keep_their_numbers(dtype, suffix):
    labels = np.random.RandomState(0).randint(0, np.iinfo(dtype).max + 1, (7, 5)).astype(dtype)
    found = numbers_in(cv2.imencode(suffix, labels)[1].tobytes(), 1000, True)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, labels)


def test_three_equal_channels_are_one():
    labels = np.random.RandomState(0).randint(0, 256, (7, 5)).astype(np.uint8)
    data = cv2.imencode(".png", cv2.merge([labels] * 3))[1].tobytes()
    np.testing.assert_array_equal(numbers_in(data, 1000, True), labels)


def test_colours_are_no_numbers():
    colours = np.random.RandomState(0).randint(0, 256, (7, 5, 3)).astype(np.uint8)
    with refused(DataError, "3 channels", "colours", remedy="palette"):
        numbers_in(cv2.imencode(".png", colours)[1].tobytes(), 1000, True)


@pytest.mark.parametrize("channels", [2, 4, 5, 21])
def test_an_array_with_a_channel_for_each_class_is_no_map(channels):
    only_the_last = np.zeros((7, 5, channels), np.float32)
    only_the_last[..., -1] = 1
    stream = io.BytesIO()
    np.save(stream, only_the_last)
    for data in (only_the_last, stream.getvalue()):
        with refused(DataError, f"{channels} channels", remedy="one number for each pixel"):
            numbers_in(data, 1000, True)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".jp2"])
def test_what_may_be_lossy_has_no_labels_but_may_have_values(suffix):
    data = cv2.imencode(suffix, np.full((64, 64), 7, np.uint8))[1].tobytes()
    with refused(DataError, "which may change the numbers", remedy="PNG"):
        numbers_in(data, 10_000, True)
    assert (numbers_in(data, 10_000, False) == 7).all()


def file_of(image, kind, **more):
    stream = io.BytesIO()
    image.save(stream, kind, **more)
    return stream.getvalue()


GREY = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8))
STEPS = GREY.copy()
STEPS.putpalette(np.repeat(np.minimum(np.arange(256) * 12, 255), 3).astype(np.uint8).tobytes())
#: Files that OpenCV decodes to other numbers than those that are stored, silently.
SPREAD = {
    "BMP with a palette": file_of(STEPS, "BMP"),
    "BMP of 1 bit": file_of(GREY.convert("1"), "BMP"),
    "PBM": file_of(GREY.convert("1"), "PPM"),
    "Sun raster": cv2.imencode(".ras", np.asarray(GREY))[1].tobytes(),
    "TIFF with a palette": file_of(STEPS, "TIFF"),
    "TIFF of 1 bit": file_of(GREY.convert("1"), "TIFF"),
}


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", SPREAD)
def test_files_whose_numbers_would_be_others_are_refused(name, exact):
    with refused(DataError, "are not those that are stored", remedy="PNG"):
        numbers_in(SPREAD[name], 1000, exact)


def test_a_tiff_with_a_jpeg_in_it_has_no_labels():
    data = file_of(GREY, "TIFF", compression="jpeg")
    with refused(DataError, "which may change the numbers", remedy="PNG"):
        numbers_in(data, 1000, True)
    assert numbers_in(data, 1000, False).shape == (6, 8)


def test_files_that_keep_numbers_are_read():
    grey = np.asarray(GREY)
    for data in (
        b"P5\n8 6\n47\n" + grey.tobytes(),
        file_of(GREY, "TIFF", compression="tiff_lzw"),
        file_of(Image.merge("RGB", [GREY] * 3), "TIFF"),
        file_of(Image.merge("LA", [GREY] * 2), "TIFF"),
    ):
        np.testing.assert_array_equal(numbers_in(data, 1000, True), grey)


def test_what_else_a_png_says_of_its_colours_has_no_effect(capfd):
    labels = np.random.RandomState(0).randint(0, 256, (7, 5)).astype(np.uint8)
    data = png(labels, "P")
    more = chunk(b"sBIT", b"\5\5\5") + chunk(b"gAMA", b"\0\0\x80\0") + chunk(b"hIST", bytes(512))
    np.testing.assert_array_equal(numbers_in(data[:33] + more + data[33:], 1000, True), labels)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("length", [0, 8, 20, 33, 60, -12])
def test_files_that_are_cut_short(length):
    labels = np.random.RandomState(0).randint(0, 16, (30, 40)).astype(np.uint8)
    for data in (png(labels, "P", 4), png(labels, "L")):
        with refused(DataError, "not an image"):
            numbers_in(data[:length], 10_000, True)


def test_the_largest_map_is_told_by_its_header():
    data = png(np.zeros((100, 100), np.uint8), "P")
    for found in (data, np.zeros((100, 100, 1), np.uint8)):
        with refused(DataError, "100 x 100", remedy="max_pixels"):
            numbers_in(found, 9999, True)
