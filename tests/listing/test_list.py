"""`caffe-pylayers list`: what it writes is what the data layers and stock ImageData read."""

import os
import re
import shutil
from fractions import Fraction

import caffe
import cv2
import numpy as np
import pytest

from caffe_pylayers import config
from caffe_pylayers.caffe_files.nets import read_net
from caffe_pylayers.commands import stock_sources
from caffe_pylayers.commands.list.contents import duplicates, unreadable
from caffe_pylayers.commands.list.found import Image, images_of_classes, images_with_maps
from caffe_pylayers.commands.list.lists import write_list
from caffe_pylayers.commands.list.split import split
from caffe_pylayers.data.formats import guessed_format
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.data.sources.map_sources import sources_with_maps
from caffe_pylayers.errors import ConfigError, DataError
from tests.refusals import refused


def write_image(path, number):
    """An image that no other number has."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    cv2.imwrite(str(path), np.full((4, 5, 3), number, np.uint8))


@pytest.fixture
def classes(tmp_path):
    """Three classes of ten images each."""
    folder = tmp_path / "images"
    for number in range(30):
        write_image(folder / ("cat", "big dog", "bird")[number % 3] / f"{number}.png", number)
    return folder


@pytest.mark.stock_data
def test_both_layers_read_what_it_writes(classes, command, tmp_path):
    code, out, err = command("list", "images", "--test", "20%")
    assert (code, err) == (0, "")
    assert (tmp_path / "names.txt").read_text() == "big dog\nbird\ncat\n"
    assert (tmp_path / "counts.txt").read_text() == "8\n8\n8\n"
    source = open_source("CSV", str(tmp_path / "train.txt"), root=str(classes))
    pixels = [cv2.imdecode(np.frombuffer(source.read(n), np.uint8), 1)[0, 0, 0] for n in range(len(source))]
    assert [("cat", "big dog", "bird")[value % 3] for value in pixels] == [
        ("big dog", "bird", "cat")[label] for label in source.labels
    ]
    assert len(source) == 24 and out.startswith("30 images of 3 classes")
    stock = tmp_path / "stock.prototxt"
    stock.write_text(
        'layer { name: "d" type: "ImageData" top: "data" top: "label" image_data_param {'
        f' source: "{tmp_path}/train.txt" root_folder: "{classes}/" batch_size: 24 }} }}'
    )
    net = caffe.Net(str(stock), caffe.TEST)
    net.forward()
    assert net.blobs["data"].data[:, 0, 0, 0].tolist() == pixels
    assert net.blobs["label"].data.tolist() == source.labels.tolist()


def test_test_images_are_of_each_class_and_of_no_other_list():
    images = [
        Image(f"{name}/{n}", name) for name, size in (("a", 100), ("b", 10), ("c", 2), ("d", 1)) for n in range(size)
    ]
    train, test = split(images, Fraction(1, 5), 0, [])
    assert {image.klass: sum(other.klass == image.klass for other in test) for image in images} == {
        "a": 20,
        "b": 2,
        "c": 0,
        "d": 0,
    }
    assert sorted(map(id, [*train, *test])) == sorted(map(id, images))
    assert split(images, Fraction(1, 5), 0, [])[1] == test != split(images, Fraction(1, 5), 1, [])[1]


def test_a_folder_that_grows_keeps_its_test_images():
    def names(size):
        return {image.name for image in split([Image(f"{n}") for n in range(size)], Fraction(1, 5), 0, [])[1]}

    assert len(names(1000) & names(1010)) > 195


def test_the_same_image_is_not_in_both_lists(classes):
    for number in range(0, 30, 3):
        shutil.copy(classes / "cat" / f"{number}.png", classes / "cat" / f"copy{number}.png")
    found = images_of_classes(str(classes), None)
    same = duplicates(str(classes), found.images)
    assert len(same) == 10
    _, test = split(found.images, Fraction(1, 2), 3, same)
    of_test = {image.name for image in test}
    assert all(len({image.name in of_test for image in group}) == 1 for group in same)
    assert sum(image.klass == "cat" for image in test) == 10


def test_numbers_as_names_of_classes_are_in_their_order(tmp_path):
    for number in (0, 2, 10, 9):
        write_image(tmp_path / str(number) / "x.png", number)
    assert images_of_classes(str(tmp_path), None).classes() == ["0", "2", "9", "10"]


def test_one_numbering_for_two_folders(command, tmp_path):
    for name in ("a", "b", "c"):
        write_image(tmp_path / "train" / name / "x.png", 1)
    write_image(tmp_path / "val" / "c" / "x.png", 1)
    code, _, err = command("list", ".")
    assert code == 2 and "parts of a data set" in err
    for arguments in ("train --output train.txt", "val --output val.txt --names names.txt"):
        assert f"`caffe-pylayers list ./{arguments}`" in err  # the remedy
        assert command("list", *arguments.split())[0] == 0
    assert (tmp_path / "val.txt").read_text() == "c/x.png 2\n"
    write_image(tmp_path / "val" / "d" / "x.png", 1)
    assert "no class 'd'" in command("list", "val", "--output", "new.txt", "--names", "names.txt")[2]


def test_classes_in_the_names_of_files(tmp_path):
    for name in ("golden_retriever_1.jpg", "golden_retriever_2.jpg", "pug_7.jpg", "readme.jpg"):
        write_image(tmp_path / name, 1)
    found = images_of_classes(str(tmp_path), "{class}_*.jpg")
    assert found.classes() == ["golden_retriever", "pug"]
    assert found.left_out == {"not of the pattern": ["readme.jpg"]}
    with refused(DataError, "no image in it", remedy="--pattern", source=str(tmp_path)):
        images_of_classes(str(tmp_path), "{class}/*.jpg")
    with refused(DataError, "must have {class} once"):
        images_of_classes(str(tmp_path), "*.jpg")


@pytest.mark.parametrize(
    "images, maps, pattern, of_maps",
    [
        (["JPEGImages/1.jpg", "JPEGImages/2.jpg"], ["Maps/1.png", "Maps/2.png"], None, None),
        (["JPEGImages/1.jpg", "JPEGImages/2.jpg"], ["Maps/1_L.png", "Maps/2_L.png"], None, None),
        (["JPEGImages/a_img.png", "JPEGImages/b_img.png"], ["Maps/a_ids.png", "Maps/b_ids.png"], None, None),
        (
            ["JPEGImages/x/1_img.png", "JPEGImages/y/2_img.png"],
            ["JPEGImages/../Maps/x/1_ids.png", "Maps/y/2_ids.png"],
            "JPEGImages/{name}_img.png",
            "Maps/{name}_ids.png",
        ),
    ],
)
def test_images_and_maps(images, maps, pattern, of_maps, tmp_path):
    for number, name in enumerate([*images, *maps, "JPEGImages/without_img.png"]):
        write_image(tmp_path / name, number)
    if pattern:
        found = images_with_maps(str(tmp_path), pattern, of_maps)
        under = tmp_path
    else:
        under = tmp_path / "JPEGImages"
        found = images_with_maps(str(under), None, str(tmp_path / "Maps"))
    pairs = [((under / image.name).resolve(), (under / image.label_map).resolve()) for image in found.images]
    assert pairs == [
        ((tmp_path / image).resolve(), (tmp_path / label_map).resolve()) for image, label_map in zip(images, maps)
    ]
    assert list(found.left_out) == ["image without a map"]


@pytest.mark.parametrize("second", ["2", "no 2"])
def test_a_list_of_images_and_maps_is_read_as_it_says(second, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("images/1.jpg", f"images/{second}.jpg", "maps/1.png", f"maps/{second}.png")):
        write_image(name, number)
    status, told, _ = command("list", "images", "--maps", "maps")
    assert status == 0
    layer, options = re.search('param_str of (.*): "(.*)"', told).groups()
    images, maps = sources_with_maps(config.load(layer, options))
    assert [name.decode() for name in images.names] == ["1.jpg", f"{second}.jpg"]
    assert [name.decode() for name in maps.names] == ["../maps/1.png", f"../maps/{second}.png"]


def test_what_cannot_be_read_is_named_and_left_out(classes, command, tmp_path):
    cut = (classes / "cat" / "0.png").read_bytes()[:-20]
    (classes / "cat" / "cut.png").write_bytes(cut)
    (classes / "cat" / "notes.txt").write_text("no image")
    (classes / "cat" / ".DS_Store").write_text("hidden")
    (classes / "empty").mkdir()
    code, _, err = command("list", "images", "--check")
    assert code == 0
    for words in ("no image, by its name: cat/notes.txt", "a folder without images", "cat/cut.png"):
        assert words in err
    assert "cut.png" not in (tmp_path / "train.txt").read_text()
    assert ".DS_Store" not in err


def test_maps_that_the_layer_would_refuse_are_named(tmp_path):
    labels = np.zeros((4, 5), np.uint8)
    for number, name in enumerate("abcd"):
        write_image(tmp_path / "images" / f"{name}.jpg", number)
    (tmp_path / "maps").mkdir()
    cv2.imwrite(str(tmp_path / "maps" / "a.png"), labels)
    np.save(str(tmp_path / "maps" / "b.npy"), labels.astype(np.int64))
    cv2.imwrite(str(tmp_path / "maps" / "c.jpg"), labels)
    cv2.imwrite(str(tmp_path / "maps" / "d.png"), np.dstack([labels, labels, labels + 1]))
    found = images_with_maps(str(tmp_path / "images"), None, str(tmp_path / "maps"))
    refused = unreadable(str(tmp_path / "images"), found.images)
    assert sorted(refused) == ["c.jpg", "d.jpg"]
    assert "may change the numbers" in refused["c.jpg"] and "colours" in refused["d.jpg"]


def test_maps_of_another_size_are_named(tmp_path):
    write_image(tmp_path / "images" / "1.png", 1)
    (tmp_path / "maps").mkdir()
    cv2.imwrite(str(tmp_path / "maps" / "1.png"), np.zeros((4, 4), np.uint8))
    found = images_with_maps(str(tmp_path / "images"), None, str(tmp_path / "maps"))
    assert unreadable(str(tmp_path / "images"), found.images) == {
        "1.png": "its map is of another size, 4 x 4 and not 4 x 5"
    }


NAMES = [
    "a.jpg",
    "two words.jpg",
    "a,b.jpg",
    "no 7",
    '"quoted".jpg',
    "semi;colon.jpg",
    "ünïcode.jpg",
    os.fsdecode(b"\xff.jpg"),
    " blank .jpg",
]


@pytest.mark.parametrize("names", [*([name] for name in NAMES), NAMES])
def test_any_name_comes_back(names, tmp_path):
    images = [Image(name, str(number)) for number, name in enumerate(names)]
    write_list(str(tmp_path / "list.txt"), images, {str(number): number for number in range(len(names))})
    source = open_source("CSV", str(tmp_path / "list.txt"), missing=None)
    assert [os.fsdecode(source.names[number]) for number in range(len(source))] == names
    assert source.labels.tolist() == list(range(len(names)))


def test_a_link_to_a_folder_above_ends(classes):
    (classes / "cat" / "up").symlink_to(classes)
    assert len(images_of_classes(str(classes), None).images) == 30


def test_files_that_are_there_are_kept(classes, command, tmp_path):
    (tmp_path / "names.txt").write_text("mine")
    code, _, err = command("list", "images")
    assert code == 2 and "names.txt is there already" in err
    assert not (tmp_path / "train.txt").exists()
    assert command("list", "images", "--force")[0] == 0


def test_a_folder_in_place_of_a_source(classes, tmp_path):
    with refused(ConfigError, "it is a folder", remedy=f"`caffe-pylayers list {classes}`"):
        guessed_format(str(classes), "--source-type")
    for kind in ("Data", "ImageData"):
        param = {"Data": "data_param", "ImageData": "image_data_param"}[kind]
        path = tmp_path / f"{kind}.prototxt"
        path.write_text(f'layer {{ name: "d" type: "{kind}" top: "data" {param} {{ source: "{classes}" }} }}')
        (layer,) = read_net(str(path)).layers
        with refused(DataError, "a folder", remedy=f"`caffe-pylayers list {classes}`"):
            stock_sources.lmdb_of(layer) if kind == "Data" else stock_sources.ImageList(layer)
