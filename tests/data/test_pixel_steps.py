"""Colours of `augment`: torchvision's formulas with the numbers that were drawn, and how they are drawn."""

import numpy as np
import pytest

from caffe_pylayers import config
from caffe_pylayers.data import keyed
from caffe_pylayers.data.augmentation.draws import Augmentation
from caffe_pylayers.data.augmentation.pixels import changed
from tests.data import torchvision_formulas

KEYS = keyed.bits(3, np.arange(20_000))
JITTER = ("brightness", "contrast", "saturation", "hue")
#: Not such that many results are integers: there the last bit of float32 says which.
VALUES = {
    "brightness": [0, 0.3137, 0.6011, 1, 1.3971, 2.5033],
    "contrast": [0, 0.5017, 0.6011, 1, 1.3971, 2.5033],
    "saturation": [0, 0.5017, 0.6011, 1, 1.3971, 2.5033],
    "hue": [-0.5, -0.1, 0, 0.017, 0.1, 0.5],
    "gray": [1],
    "blur": [2],
}


def augmentation(**steps):
    options = config.validate("ImageDataLayer", {"source": "list.txt", "augment": steps})
    return Augmentation.of(options.augment)


@pytest.fixture(scope="module")
def pictures(photos):
    """A photo, noise, all greys, black, and the corners of the cube of colours."""
    corners = np.array(np.meshgrid(*[[0, 1, 128, 254, 255]] * 3), np.uint8).reshape(3, -1).T
    return [
        photos.decoded(4),
        np.random.default_rng(0).integers(0, 256, (90, 80, 3), dtype=np.uint8),
        np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2),
        np.zeros((3, 2, 3), np.uint8),
        corners[None],
    ]


def apart(image, steps):
    """By how many grey levels each number of an image is another after steps than by the formulas."""
    expected = image[:, :, ::-1]
    for name, value in steps:
        expected = getattr(torchvision_formulas, name)(expected, value)
    found = changed(image, steps)
    assert found.shape == image.shape and found.dtype == np.uint8
    return np.abs(found[:, :, ::-1].astype(int) - expected)


@pytest.mark.parametrize("step", (*JITTER, "gray"))
def test_each_step(pictures, step):
    for image in [*pictures, *(picture[:, :, :1] for picture in pictures)]:
        for value in VALUES[step]:
            levels = apart(image, [(step, value)])
            assert levels.max() <= 1 and (levels > 0).mean() < 0.01, (step, value)


def test_steps_in_the_order_that_is_drawn(pictures):
    """Within a grey level, save a few pixels where the last bit of float32 says which, and a later step makes more of it."""
    steps = augmentation(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, gray=0.1)
    orders = set()
    for drawn in steps.draws(KEYS[:60]):
        orders.add(tuple(name for name, _ in drawn.steps))
        for image in pictures[:2]:
            levels = apart(image, drawn.steps)
            assert levels.max() <= 2 and (levels > 1).mean() < 2e-3 and (levels > 0).mean() < 0.02
    assert len(orders) > 20


@pytest.mark.parametrize("sigma", [0.1, 0.8, 2, 5])
def test_blur_is_the_sum_with_a_gaussian(pictures, sigma):
    for image in (pictures[0], pictures[0][:, :, :1]):
        radius = round(sigma * 3)
        weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        weights /= weights.sum()
        expected = np.pad(image.astype(float), [(radius, radius), (radius, radius), (0, 0)], mode="reflect")
        for axis in (0, 1):
            expected = np.apply_along_axis(np.convolve, axis, expected, weights, "valid")
        assert np.abs(changed(image, [("blur", sigma)]) - expected).max() < 1.6  # OpenCV weighs in steps of 1/256


def test_images_are_not_written_into(pictures):
    for image in pictures:
        before = image.copy()
        for step, values in VALUES.items():
            changed(image, [(step, values[0])])
        np.testing.assert_array_equal(image, before)


def values_of(steps, name):
    """The values that a step had, for the images that had it."""
    drawn = augmentation(**steps).draws(KEYS)
    return np.array([value for each in drawn for step, value in each.steps if step == name])


@pytest.mark.parametrize(
    "step, option, limits",
    [
        ("brightness", 0.4, (0.6, 1.4)),
        ("contrast", 1.5, (0, 2.5)),
        ("saturation", [0.5, 1.5], (0.5, 1.5)),
        ("hue", 0.1, (-0.1, 0.1)),
        ("hue", [0, 0.2], (0, 0.2)),
        ("blur", {"sigma": [0.5, 1.5]}, (0.5, 1.5)),
    ],
)
def test_numbers_are_uniform_between_the_limits(step, option, limits):
    values = values_of({step: option}, step)
    assert len(values) == len(KEYS)
    counts, _ = np.histogram(values, 20, limits)
    assert counts.sum() == len(KEYS)
    assert ((counts - 1000) ** 2 / 1000).sum() < 62  # chi-square, 19 degrees of freedom: once in 500,000 by chance


def test_a_step_happens_with_its_probability():
    for p in (0, 0.2, 1):
        assert abs(len(values_of({"brightness": {"range": 0.4, "p": p}}, "brightness")) - p * len(KEYS)) <= 300 * (
            0 < p < 1
        )
    assert abs(len(values_of({"gray": 0.1}, "gray")) - 2000) < 220
    assert abs(values_of({"hue": {"range": [0, 0.2], "p": 0.8}}, "hue").mean() - 0.1) < 0.003


def test_each_order_of_the_steps_comes_equally_often_and_grey_and_blur_last():
    drawn = augmentation(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, gray=0.5, blur={"p": 0.5}).draws(KEYS)
    orders = [tuple(name for name, _ in each.steps if name in JITTER) for each in drawn]
    _, counts = np.unique([" ".join(order) for order in orders], return_counts=True)
    assert len(counts) == 24 and all(sorted(order) == sorted(JITTER) for order in orders)
    assert ((counts - 833.3) ** 2 / 833.3).sum() < 68
    last = [tuple(name for name, _ in each.steps[4:]) for each in drawn]
    assert {*last} == {(), ("gray",), ("blur",), ("gray", "blur")}


def test_what_is_drawn_for_a_step_does_not_depend_on_others():
    alone = values_of({"hue": 0.1}, "hue")
    together = values_of({"brightness": 0.4, "hue": {"range": 0.1, "p": 1}, "gray": 0.5}, "hue")
    np.testing.assert_array_equal(alone, together)
    brightness = values_of({"brightness": 0.1}, "brightness")
    assert abs(np.corrcoef(alone, brightness)[0, 1]) < 0.03
