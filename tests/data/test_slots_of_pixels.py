"""Slots of 8 bits, from which mean and scale are taken when they are fed: the numbers are those that float32 slots have."""

import numpy as np
import pytest

from caffe_pylayers import config
from caffe_pylayers.data.augmentation.draws import Augmentation
from caffe_pylayers.data.geometry import Draw
from caffe_pylayers.data.transforms import Transforms
from tests.data.as_fed import as_fed

MEANS = {"none": None, "one": [100.3], "each": [104.0, 116.7, 122.9]}


def planes(mean):
    return None if mean is None else np.array(mean, np.float32).reshape(-1, 1, 1)


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("scale", [1.0, 0.017, -2.0])
@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (37, 3, 5, 7), (700, 3, 8, 8), (2, 3, 200, 331), (1, 3, 300, 400)])
def test_blocks_of_any_size_are_the_formula(shape, scale, mean):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    expected = images.astype(np.float32)
    if mean != "none":
        expected -= planes(MEANS[mean])
    expected *= np.float32(scale)
    np.testing.assert_array_equal(as_fed(Transforms(mean=planes(MEANS[mean]), scale=scale), images), expected)


def slots(**options):
    """The type of the slots of 8-bit images with these options."""
    return Transforms(**options).dtype(np.zeros((4, 4, 3), np.uint8)).name


def erasing(value):
    options = config.validate("ImageDataLayer", {"source": "list.txt", "augment": {"erase": {"value": value}}})
    return Augmentation.of(options.augment)


def test_slots_hold_pixels_unless_they_cannot_hold_the_mean():
    integers, others, whole = planes([104, 117, 123]), planes(MEANS["each"]), np.zeros((3, 4, 4), np.float32)
    assert slots() == slots(scale=0.5) == slots(mean=integers) == slots(mean=others, scale=2) == "uint8"
    assert slots(mean=whole) == "float32"  # of an image, which is cropped with it
    assert slots(pads=True) == slots(mean=integers, pads=True) == "uint8"
    assert slots(mean=others, pads=True) == "float32"
    assert slots(mean=others, augment=erasing("noise")) == slots(mean=integers, augment=erasing("mean")) == "uint8"
    assert slots(mean=others, augment=erasing("mean")) == "float32"
    assert slots(mean=planes([300.0]), pads=True) == slots(mean=planes([-1.0]), pads=True) == "float32"


@pytest.mark.parametrize("mean", [None, [104, 117, 123], [104, 117.5, 123]])
@pytest.mark.parametrize("flip", [False, True])
def test_padding_is_fed_as_zero(mean, flip):
    image = np.random.default_rng(1).integers(1, 256, (5, 6, 3), dtype=np.uint8)
    transforms = Transforms(mean=planes(mean), scale=0.5, crop_size=(8, 9), pads=True)
    out = np.full(transforms.shape(image), 7, transforms.dtype(image))
    transforms.write(image, transforms.window(image.shape, Draw(0, 0, flip)), out)
    fed = as_fed(transforms, out[None])[0]
    seen = (image.transpose(2, 0, 1) - (0 if mean is None else planes(mean))) * np.float32(0.5)
    expected = np.zeros((3, 8, 9), np.float32)
    expected[:, :5, :6] = seen
    np.testing.assert_array_equal(fed, expected[:, :, ::-1] if flip else expected)
