"""`preview` lays the maps of ImageMapDataLayer over their images."""

import json
import re

import cv2
import numpy as np
import pytest

from caffe_pylayers.commands.preview.map_pictures import map_findings, overlaid
from caffe_pylayers.commands.preview.pictures import LABEL_COLOURS
from tests.layers.map_data import write_pairs

SIZES = [(20, 30), (25, 16), (30, 30)]


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_each_label_has_its_colour_over_the_image(shape):
    picture = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
    labels = np.array([[0, 1, 2, 255, np.nan]] * 4, np.float32)
    (drawn,) = overlaid([picture], labels[None], True)
    for y in range(4):
        for x in range(5):
            pixel = np.broadcast_to(picture[y, x], 3).astype(float)
            part = {0: 0, 1: 0.5, 2: 0.5, 3: 0.75, 4: 0}[x]
            colour = LABEL_COLOURS[int(np.nan_to_num(labels[y, x]))].astype(float)
            np.testing.assert_allclose(drawn[y, x], pixel + (colour - pixel) * part, atol=0.51)


def test_values_go_from_blue_to_yellow():
    values = np.array([[1.5, 9.5, np.nan]], np.float32)
    (drawn,) = overlaid([np.zeros((1, 3, 3), np.uint8)], values[None], False)
    (low, high, missing) = drawn[0].astype(int)
    assert low[2] > low[0] and high[0] > high[2] and high[1] > high[2] and not missing.any()


@pytest.mark.parametrize("options", [{"batch_size": 3, "crop_size": 40, "mean_value": 9}, {"batch_size": 1}])
def test_a_layer_of_maps(tmp_path, command, options):
    """Also of images that have each their own size."""
    write_pairs(tmp_path, SIZES)
    param = repr({"source": "list.txt", **options})
    layer = ("--layer-type", "ImageMapDataLayer", "--options", param, "--batches", str(3 // options["batch_size"]))
    status, out, _ = command("preview", *layer, "--tops", "3", "--json")
    (found,) = json.loads(out)
    assert found["samples"] == 3 and status == bool(found["findings"])
    (note,) = (note for note in found["notes"] if note.startswith("labels of pixels"))
    assert bool(re.search(r"\b255 \d", note)) == ("crop_size" in options)
    assert cv2.imread("preview.png") is not None


def test_maps_that_look_wrong():
    one = np.zeros((2, 3, 3), np.float32)
    assert "label 0" in next(map_findings(one, True))
    assert "no number" in next(map_findings(one * np.nan, False))
    assert "above 255" in next(map_findings(np.add(one, [1, 2, 300]), True))
    assert list(map_findings(np.add(one, [1, 2, 255]), True)) == []


def test_classes_name_the_labels_of_pixels(tmp_path, command):
    write_pairs(tmp_path, SIZES)
    (tmp_path / "names.txt").write_text("sky\nground\nhouse\nbird\nsea\n")

    def preview(options):
        param = repr({"source": "list.txt", "batch_size": 3, "crop_size": 40, **options})
        layer = ("--layer-type", "ImageMapDataLayer", "--options", param)
        return command("preview", *layer, "--classes", "names.txt", "--json")

    (found,) = json.loads(preview({})[1])
    (note,) = (note for note in found["notes"] if note.startswith("labels of pixels"))
    assert re.search(r"\b2 house \d", note) and re.search(r"\b255 \d", note)
    status, _, error = preview({"label_map": {4: 7}})
    assert status == 2 and "names.txt" in error and "label 7" in error
    status, _, error = preview({"map_type": "values"})
    assert status == 2 and "--classes" in error
