"""Images from one data layer and their label maps from another, as docs/data.md has it."""

import caffe
import cv2
import numpy as np
import pytest

from tests.caffe_nets import build, python_layer


@pytest.fixture
def folders(tmp_path):
    """Twelve images, and maps of their size with one number for each of the image's colours."""
    rng = np.random.default_rng(0)
    for name in ("images", "maps"):
        (tmp_path / name).mkdir()
    for number in range(12):
        numbers = rng.integers(0, 21, (20, 16), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"images/{number}.png"), np.dstack([numbers * 3, numbers * 5, numbers * 7]))
        cv2.imwrite(str(tmp_path / f"maps/{number}.png"), numbers)
    (tmp_path / "list.txt").write_text("".join(f"{number}.png\n" for number in range(12)))
    return tmp_path


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_same_seed_same_records_crops_and_mirrors(folders, phase):
    options = {"source": str(folders / "list.txt"), "batch_size": 5, "shuffle": True, "crop_size": 9, "mirror": True}
    net = build(
        [
            python_layer("ImageDataLayer", [], ["data"], {**options, "root": str(folders / "images"), "mean_value": 3}),
            python_layer("ImageDataLayer", [], ["map"], {**options, "root": str(folders / "maps"), "color": False}),
        ],
        {},
        phase,
    )
    for _ in range(6):  # two and a half epochs
        net.forward()
        numbers = net.blobs["map"].data[:, 0]
        for channel, factor in enumerate((3, 5, 7)):
            np.testing.assert_array_equal(net.blobs["data"].data[:, channel] + 3, numbers * factor)


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_the_layer_of_both_feeds_what_the_two_feed(folders, phase):
    root, names = str(folders), (folders / "list.txt").read_text().split()
    (folders / "both.txt").write_text("".join(f"images/{name} maps/{name}\n" for name in names))
    options = {"source": str(folders / "list.txt"), "batch_size": 5, "shuffle": True, "crop_size": 9, "mirror": True}
    one = {**options, "root": f"{root}/images", "mean_value": 3}
    two = {**options, "root": f"{root}/maps", "color": False}
    both = {**one, "source": f"{root}/both.txt", "root": root}
    apart = build(
        [python_layer("ImageDataLayer", [], ["data"], one), python_layer("ImageDataLayer", [], ["label"], two)],
        {},
        phase,
    )
    together = build([python_layer("ImageMapDataLayer", [], ["data", "label"], both)], {}, phase)
    for _ in range(6):
        apart.forward()
        together.forward()
        for top in ("data", "label"):
            np.testing.assert_array_equal(together.blobs[top].data, apart.blobs[top].data)


def test_a_palette_becomes_its_colours_and_the_remedy_makes_numbers(folders):
    from PIL import Image

    numbers = np.array([[0, 1, 2, 3]], np.uint8)
    image = Image.fromarray(numbers, "P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    image.save(folders / "palette.png")
    Image.fromarray(np.array(Image.open(folders / "palette.png"))).save(folders / "numbers.png")
    for name, expected in (("palette.png", [0, 38, 75, 113]), ("numbers.png", [0, 1, 2, 3])):
        (folders / "one.txt").write_text(f"{name}\n")
        options = {"source": str(folders / "one.txt"), "root": str(folders), "batch_size": 1, "color": False}
        net = build([python_layer("ImageDataLayer", [], ["map"], options)], {}, caffe.TEST)
        net.forward()
        assert net.blobs["map"].data.ravel().tolist() == expected


def test_1_bit_maps_come_as_0_and_255_and_the_scale_makes_1(folders):
    cv2.imwrite(str(folders / "bits.png"), np.array([[0, 255, 255]], np.uint8), [cv2.IMWRITE_PNG_BILEVEL, 1])
    (folders / "one.txt").write_text("bits.png\n")
    options = {"source": str(folders / "one.txt"), "root": str(folders), "batch_size": 1, "color": False}
    net = build(
        [python_layer("ImageDataLayer", [], ["map"], {**options, "scale": 0.00392156862745098})], {}, caffe.TEST
    )
    net.forward()
    assert net.blobs["map"].data.ravel().tolist() == [0, 1, 1]
