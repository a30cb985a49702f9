"""The option `augment` through the layers on the real Caffe: what is fed is what was drawn for it."""

import caffe
import h5py
import numpy as np
import pytest

from caffe_pylayers.config.augment import PRESETS
from caffe_pylayers.data import keyed
from caffe_pylayers.data.augmentation.draws import Augmentation
from caffe_pylayers.data.augmentation.pixels import changed
from caffe_pylayers.errors import DataError
from tests.caffe_nets import python_layer, write
from tests.pages import ROOT
from tests.refusals import refused

BATCH = 6
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "gray": 0.2}


@pytest.fixture
def net(photos):
    def made(phase=caffe.TRAIN, layer="ImageDataLayer", **options):
        options = {
            "source_type": "LMDB",
            "source": str(photos.lmdb),
            "batch_size": BATCH,
            "resize": [30, 40],
            **options,
        }
        return caffe.Net(write(python_layer(layer, [], ["data"], options)), phase)

    return made


def batches(net, count=3):
    for _ in range(count):
        net.forward()
        yield net.blobs["data"].data.copy()


def keys_of(number, num_records, seed=0):
    """Of the images of a batch in the source's order."""
    places = np.arange(BATCH) + BATCH * number
    return keyed.bits(keyed.bits(seed, 0, places // num_records, places % num_records), 0)


def test_colours_change_after_the_crop_and_before_mean_and_scale(net, photos):
    geometry = {"crop_size": 24, "mirror": True}
    mean = np.array([104, 117, 123], np.float32)[:, None, None]
    made = net(augment=JITTER, mean_value=[104, 117, 123], scale=0.5, **geometry)
    drawn_by = Augmentation.of(made.layers[0].options.augment)
    for number, (plain, augmented) in enumerate(zip(batches(net(**geometry)), batches(made))):
        draws = drawn_by.draws(keys_of(number, len(photos.names)))
        assert len({str(drawn) for drawn in draws}) == BATCH
        for image, found, drawn in zip(plain, augmented, draws):
            expected = changed(image.transpose(1, 2, 0).astype(np.uint8), drawn.steps).transpose(2, 0, 1)
            np.testing.assert_array_equal(found, (expected - mean) * np.float32(0.5))


def test_one_channel(net):
    steps = {"brightness": 0.4, "contrast": 0.4}
    for plain, found in zip(batches(net(color=False)), batches(net(color=False, augment=steps))):
        assert found.shape == plain.shape and (found != plain).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("options", [{}, {"crops": "ten"}])
def test_test_is_untouched(net, options):
    options = {"crop_size": 20, **options}
    for plain, found in zip(*(batches(net(caffe.TEST, **options, **more)) for more in ({}, {"augment": JITTER}))):
        np.testing.assert_array_equal(plain, found)


def test_images_that_are_not_of_8_bits_are_refused(net, tmp_path):
    with h5py.File(tmp_path / "floats.h5", "w") as file:
        file["data"], file["label"] = np.zeros((9, 3, 4, 4), np.float32), np.zeros(9)
    floats = {"source_type": "HDF5", "source": str(tmp_path / "floats.h5"), "resize": -1}
    with refused(DataError, "8-bit images of 1 or 3 channels", "3 of float32", remedy="leave `augment` out", record=0):
        net(augment=JITTER, **floats)
    net(caffe.TEST, augment=JITTER, **floats).forward()


def test_a_mean_image_does_not_follow_an_image_that_is_moved(net, tmp_path):
    np.save(tmp_path / "mean.npy", np.zeros((3, 30, 40), np.float32))
    options = {"mean_file": str(tmp_path / "mean.npy"), "crop_size": 20}
    net(augment={"brightness": 0.4}, **options).forward()
    for steps in ({"rotate": 5}, {"resized_crop": {}}):
        with refused(DataError, "mean_file is an image", remedy="use mean_value", record=0):
            net(augment=steps, **options)
        net(caffe.TEST, augment=steps, **options)


def test_a_smaller_image_than_the_crop_can_be_enlarged(net):
    options = {"crop_size": 50, "resize": -1, "batch_size": 2}
    for (data,) in (batches(net(augment={"resized_crop": {"area": [0.1, 0.2]}}, **options), 1),):
        assert data.shape == (2, 3, 50, 50) and data.std() > 5
    with refused(DataError, "too small for crop_size", remedy="set `resize`"):
        net(augment={"resized_crop": {"p": 0.5}}, **{**options, "crop_size": 1000})


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_stands_for_what_the_page_says(net, preset):
    assert f"| `{preset}` | `{PRESETS[preset]}` |" in (ROOT / "docs" / "data.md").read_text()
    nets = (net(augment=augment, crop_size=20, mirror=True) for augment in (preset.upper(), PRESETS[preset]))
    for one, other in zip(*map(batches, nets)):
        np.testing.assert_array_equal(one, other)


def test_what_says_nothing_of_grey_images_is_told(net, caplog):
    net(color=False, augment=JITTER)
    for step in ("saturation", "hue", "gray"):
        assert f"option 'augment.{step}' has no effect, because 'color' is false; leave it out" in caplog.text
    assert "brightness" not in caplog.text
    caplog.clear()
    net(color=False, augment="ssd")
    assert "no effect" not in caplog.text
