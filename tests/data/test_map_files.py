"""The numbers in the file of a map are those that were stored."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from caffe_pylayers.data.map_files import numbers_in
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
    with refused(DataError, "2 channels"):
        numbers_in(colours[:, :, :2], 1000, True)


def test_a_jpeg_has_no_labels_but_may_have_values():
    data = cv2.imencode(".jpg", np.full((8, 8), 7, np.uint8))[1].tobytes()
    with refused(DataError, "JPEG", remedy="PNG"):
        numbers_in(data, 1000, True)
    assert (numbers_in(data, 1000, False) == 7).all()


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
