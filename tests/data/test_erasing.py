"""Random Erasing: what is covered, by what, and where."""

import numpy as np
import pytest

from caffe_pylayers import config
from caffe_pylayers.data import keyed
from caffe_pylayers.data.augmentation.draws import Augmentation
from caffe_pylayers.data.geometry import Draw
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.files.mean import read_mean
from tests.data.as_fed import as_fed

KEYS = keyed.bits(5, np.arange(4000))
SIZE = (60, 80)
MEAN = (104.0, 117.0, 122.5)


def augmentation(**options):
    options = config.validate("ImageDataLayer", {"source": "list.txt", "augment": {"erase": {"p": 1, **options}}})
    return Augmentation.of(options.augment)


def erasings(keys=KEYS, **options):
    return augmentation(**options).draws(keys)


def fed(each, image, mean=None, scale=1.0, flip=False, **more):
    transforms = Transforms(mean=mean, scale=scale, **more)
    window = transforms.window(image.shape, Draw(0, 0, flip))
    out = np.empty(transforms.shape(image), transforms.dtype(image))
    transforms.write(image, window, out, each)
    return as_fed(transforms, out[None])[0]


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(1, 255, (*SIZE, 3), dtype=np.uint8)


VALUES = {"mean": MEAN, 0: 0, 7: 7, 255: 255}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("flip", [False, True])
def test_a_rectangle_is_covered_and_all_else_stays(image, value, flip):
    for mean, scale in ((None, 1.0), (read_mean(None, MEAN), 0.5), (np.full((3, *SIZE), 3, np.float32), 1.0)):
        augment = augmentation(value=value)
        whole = fed(erasings(p=0)[0], image, mean, scale, flip, augment=augment)
        for each in erasings(KEYS[:20], value=value):
            out = fed(each, image, mean, scale, flip, augment=augment)
            rect = each.erasing.patch.inside(SIZE)
            inside = rect.of_planes(out)
            expected = (
                0 if value == "mean" else (value - (0 if mean is None else mean.mean((1, 2), keepdims=True))) * scale
            )
            np.testing.assert_allclose(inside, np.broadcast_to(expected, inside.shape), atol=1e-4)
            rect.of_planes(out)[...] = rect.of_planes(whole)
            np.testing.assert_array_equal(out, whole)


def test_noise_is_of_all_numbers_equally_often_and_the_images_own(image):
    covered = []
    for each in erasings(KEYS[:100], value="noise"):
        out, again = fed(each, image), fed(each, image)
        np.testing.assert_array_equal(out, again)
        covered.append(each.erasing.patch.inside(SIZE).of_planes(out).ravel().astype(int))
    counts = np.bincount(np.concatenate(covered), minlength=256)
    expected = counts.mean()
    assert expected > 500 and ((counts - expected) ** 2 / expected).sum() < 380  # 255 degrees of freedom
    first = [pixels[:40].tobytes() for pixels in covered]
    assert len(set(first)) == 100


def test_areas_ratios_and_places(image):
    rects = [each.erasing.patch.inside((400, 400)) for each in erasings(area=[0.05, 0.2], ratio=[0.5, 2])]
    areas = np.array([rect.height * rect.width / 160_000 for rect in rects])
    ratios = np.array([rect.width / rect.height for rect in rects])
    assert areas.min() > 0.048 and areas.max() < 0.205 and abs(areas.mean() - 0.125) < 0.003
    assert ratios.min() > 0.48 and ratios.max() < 2.05 and abs(np.log(ratios).mean()) < 0.03
    places = np.array([(rect.y / (401 - rect.height), rect.x / (401 - rect.width)) for rect in rects])
    assert (np.abs(places.mean(0) - 0.5) < 0.02).all() and (places.max(0) < 1).all()


def test_with_its_probability():
    assert abs(sum(each.erasing is not None for each in erasings(p=0.25)) - 1000) < 140
    options = config.validate("ImageDataLayer", {"source": "list.txt", "augment": {"erase": {}}})
    assert (options.augment.erase.p, options.augment.erase.area) == (0.5, (0.02, 0.33))


def test_what_never_fits_covers_nothing():
    thin = np.full((2, 300, 3), 9, np.uint8)
    for each in erasings(KEYS[:20], area=[0.3, 0.3], ratio=[0.01, 0.01], value=0):
        assert (fed(each, thin) == 9).all()
