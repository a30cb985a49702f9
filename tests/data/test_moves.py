"""Where `augment` moves an image to: torchvision's rules with the numbers that were drawn, and how they are drawn."""

import math

import cv2
import numpy as np
import pytest

from caffe_pylayers import config
from caffe_pylayers.data import keyed
from caffe_pylayers.data.augmentation.draws import Augmentation
from caffe_pylayers.data.augmentation.moves import Turn
from caffe_pylayers.data.geometry import Draw
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.files.mean import read_mean

KEYS = keyed.bits(4, np.arange(20_000))
CENTRE = Draw(0.5, 0.5, False)


def drawn(keys=KEYS, **steps):
    options = config.validate("ImageDataLayer", {"source": "list.txt", "crop_size": 8, "augment": steps})
    return Augmentation.of(options.augment).draws(keys)


def affine(size, angle, factor, y, x):
    """torchvision's affine, by its definition: about the centre, the angle with the clock, then shifted."""
    centre = np.eye(3)
    centre[:2, 2] = (size[1] - 1) / 2, (size[0] - 1) / 2
    shift = np.eye(3)
    shift[:2, 2] = x, y
    radians = math.radians(angle)
    turn = np.eye(3)
    turn[:2, :2] = [[math.cos(radians), -math.sin(radians)], [math.sin(radians), math.cos(radians)]]
    turn[:2, :2] *= factor
    return (shift @ centre @ turn @ np.linalg.inv(centre))[:2]


@pytest.mark.parametrize("size", [(30, 41), (8, 8)])
def test_a_turn_is_torchvisions_affine(size):
    for each in drawn(KEYS[:50], rotate=30, scale=[0.7, 1.4], translate=0.2):
        angle, factor, y, x = each.turn
        expected = affine(size, -angle, factor, round(y * size[0]), round(x * size[1]))
        np.testing.assert_allclose(each.turn.matrix(size), expected, atol=1e-9)


def test_a_quarter_of_a_turn_goes_against_the_clock_and_hits_each_pixel():
    image = np.arange(25, dtype=np.uint8).reshape(5, 5, 1)
    transforms = Transforms()
    window = drawn(KEYS[:1], rotate=[90, 90])[0].moved(transforms.window((5, 5), CENTRE), (5, 5))
    out = np.empty((1, 5, 5), np.float32)
    transforms.write(image, window, out)
    np.testing.assert_array_equal(out[0], np.rot90(image[:, :, 0]))


def chi_square(values, limits, bins=20):
    counts, _ = np.histogram(values, bins, limits)
    assert counts.sum() == len(values)
    expected = len(values) / bins
    return ((counts - expected) ** 2 / expected).sum()


def test_numbers_of_a_turn_are_uniform():
    turns = np.array([each.turn for each in drawn(rotate=15, scale=[0.8, 1.2], translate=0.1)])
    for column, limits in zip(turns.T, ((-15, 15), (0.8, 1.2), (-0.1, 0.1), (-0.1, 0.1))):
        assert chi_square(column, limits) < 62  # 19 degrees of freedom: once in 500,000 by chance
    assert np.abs(np.corrcoef(turns.T) - np.eye(4)).max() < 0.03


def test_each_step_of_a_turn_has_its_probability():
    turns = [each.turn for each in drawn(rotate={"range": 15, "p": 0.3}, translate={"range": 0.1, "p": 0.5})]
    assert abs(sum(turn is None for turn in turns) - 7000) < 330
    angles = np.array([turn.angle for turn in turns if turn])
    assert abs((angles != 0).sum() - 6000) < 330
    shifted = np.array([(turn.y != 0, turn.x != 0) for turn in turns if turn])
    np.testing.assert_array_equal(*shifted.T)  # a shift is of both sides


def parameters(patch, size, ratio):
    """RandomResizedCrop.get_params of torchvision, with numbers that were drawn."""
    height, width = size
    for area, each in patch.attempts:
        w, h = round(math.sqrt(height * width * area * each)), round(math.sqrt(height * width * area / each))
        if 0 < w <= width and 0 < h <= height:
            return int(patch.y * (height - h + 1)), int(patch.x * (width - w + 1)), h, w
    h, w = height, width
    if width / height < ratio[0]:
        h = round(w / ratio[0])
    elif width / height > ratio[1]:
        w = round(h * ratio[1])
    return (height - h) // 2, (width - w) // 2, h, w


@pytest.mark.parametrize("size", [(60, 80), (10, 300), (300, 10), (1, 1)])
def test_a_resized_crop_is_torchvisions(photos, size):
    image = cv2.resize(photos.decoded(3), size[::-1])
    transforms = Transforms(crop_size=(24, 20))
    for each in drawn(KEYS[:200], resized_crop={}):
        window = transforms.window(size, CENTRE, each)
        y, x, height, width = parameters(each.part, size, (3 / 4, 4 / 3))
        assert window.part == (y, x, height, width)
        out = np.empty((3, 24, 20), np.uint8)
        transforms.write(image, window, out, each)
        np.testing.assert_array_equal(
            out.transpose(1, 2, 0), cv2.resize(image[y : y + height, x : x + width], (20, 24)).reshape(24, 20, 3)
        )


def test_areas_ratios_and_places_of_a_resized_crop():
    patches = [each.part for each in drawn(resized_crop={"area": [0.2, 0.6], "ratio": [0.5, 2]})]
    tries = np.array([patch.attempts for patch in patches])
    assert tries.shape == (len(KEYS), 10, 2)
    assert chi_square(tries[:, 0, 0], (0.2, 0.6)) < 62
    assert chi_square(np.log(tries[:, 9, 1]), (-math.log(2), math.log(2))) < 62
    assert chi_square([patch.y for patch in patches], (0, 1)) < 62
    assert chi_square([patch.x for patch in patches], (0, 1)) < 62
    rects = [patch.inside((400, 400)) for patch in patches[:2000]]
    assert all(0.19 < rect.height * rect.width / 160_000 < 0.61 for rect in rects)
    assert sum(each.part is None for each in drawn(resized_crop={"p": 0.25})) == pytest.approx(15_000, abs=330)


def test_without_the_step_an_image_is_cropped_as_ever():
    transforms = Transforms(crop_size=(8, 8))
    draw = Draw(0.9, 0.1, True)
    for each in drawn(KEYS[:50], resized_crop={"p": 0.5}, rotate={"range": 9, "p": 0}):
        if each.part is None:
            assert transforms.window((20, 30), draw, each) == transforms.window((20, 30), draw)


def test_the_border_is_the_mean(photos):
    """Which is fed as 0, as near as pixels can be."""
    transforms = Transforms(mean=read_mean(None, (104.4, 117.0, 122.6)))
    (each,) = drawn(KEYS[:1], translate={"range": 0.0}, scale=[0.25, 0.25])
    assert each.turn == Turn(0, 0.25, 0, 0)
    image = np.full((40, 40, 3), 255, np.uint8)
    out = np.empty((3, 40, 40), np.float32)
    transforms.write(image, transforms.window((40, 40), CENTRE, each), out, each)
    np.testing.assert_allclose(out[:, 0, 0], [-0.4, 0, 0.4], atol=1e-5)
    np.testing.assert_allclose(out[:, 20, 20], [150.6, 138, 132.4], atol=1e-4)


def test_a_turn_with_a_resized_crop_is_one_after_the_other(photos):
    """To a grey level or two in the mean: twice bilinear against once."""
    image = cv2.resize(photos.decoded(3), (200, 160))
    transforms = Transforms(crop_size=(100, 100))
    for each in drawn(KEYS[:20], rotate=20, translate=0.1, resized_crop={"area": [0.3, 0.9]}):
        for flip in (False, True):
            out = np.empty((3, 100, 100), np.uint8)
            transforms.write(image, transforms.window((160, 200), Draw(0, 0, flip), each), out, each)
            turned = cv2.warpAffine(image, each.turn.matrix((160, 200)), (200, 160))
            expected = cv2.resize(each.part.inside((160, 200)).of(turned), (100, 100))
            expected = expected[:, ::-1] if flip else expected
            difference = np.abs(out.transpose(1, 2, 0).astype(int) - expected)
            assert difference.mean() < 2


def test_older_runs_are_continued_as_they_began():
    """What is drawn for a key stays what it is, whatever steps there will be."""
    colours = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "gray": 1, "blur": {}}
    moves = {"rotate": 9, "scale": 0.1, "translate": 0.1, "resized_crop": {}}
    (each,) = drawn(keyed.bits(7, np.arange(1)), **colours, **moves, erase={"p": 1, "value": "noise"})
    names, values = zip(*each.steps)
    assert names == ("contrast", "saturation", "brightness", "hue", "gray", "blur")
    np.testing.assert_allclose(values, [0.978659, 1.169737, 0.937489, 0.092677, 1, 1.580052], atol=1e-6)
    np.testing.assert_allclose(each.turn, [0.006169, 1.098468, -0.014752, 0.002524], atol=1e-6)
    assert (each.part.inside((100, 120)), each.erasing.patch.inside((100, 120))) == ((1, 8, 99, 95), (10, 57, 76, 49))
    assert each.erasing.pixels((1, 3), 1).ravel().tolist() == [125, 26, 11]
