import os
import subprocess
from collections import Counter

import numpy as np
import pytest

from caffe_pylayers import config
from caffe_pylayers.data.sources import Record, open_source
from caffe_pylayers.data.sources.csv import write_csv
from caffe_pylayers.data.sources.map_sources import sources_with_maps
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import DataError
from tests.data.mutations import mutated_files, outcomes
from tests.refusals import refused


@pytest.fixture
def write(tmp_path):
    """Write a list, and empty files for the names in it; return its path."""

    def writer(text, names=(), encoding="utf-8"):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"x")
        (tmp_path / "list.txt").write_bytes(text.encode(encoding))
        return str(tmp_path / "list.txt")

    return writer


LISTS = {
    "spaces": ("a.jpg 3\nb.jpg 4\n", ["a.jpg", "b.jpg"], [3, 4]),
    "tabs": ("a.jpg\t3\nb c.jpg\t4\n", ["a.jpg", "b c.jpg"], [3, 4]),
    "commas": ("a.jpg,3\nb c.jpg, 4\n", ["a.jpg", "b c.jpg"], [3, 4]),
    "spaces in names, as ImageData takes them": ("a b 1.jpg 3\nc.jpg 4\n", ["a b 1.jpg", "c.jpg"], [3, 4]),
    "quotes and spaces": ('"a b" 3\nc.jpg 4\n', ["a b", "c.jpg"], [3, 4]),
    "quotes and commas": ('"a,b.jpg",3\n"say ""c""",4', ["a,b.jpg", 'say "c"'], [3, 4]),
    "several labels": ("a.jpg 3 5\nb.jpg 4 6\n", ["a.jpg", "b.jpg"], [[3, 5], [4, 6]]),
    "joined labels": ("a.jpg,17:24:35\nb.jpg,4\n", ["a.jpg", "b.jpg"], [[17, 24, 35], [4, -1, -1]]),
    "whole floats": ("a.jpg 3.0\nb.jpg -1\n", ["a.jpg", "b.jpg"], [3, -1]),
    "Windows": ("\ufeffa.jpg,3\r\n\r\nb.jpg,4\r\n", ["a.jpg", "b.jpg"], [3, 4]),
    "no labels, spaces in names": ("a b.jpg\nc d.jpg\n", ["a b.jpg", "c d.jpg"], None),
    "no labels": ("a.jpg\nb.jpg\n", ["a.jpg", "b.jpg"], None),
    "folders": ("x/a.jpg 0\nx/y/b.jpg 1", ["x/a.jpg", "x/y/b.jpg"], [0, 1]),
    "old Macs": ("a.jpg 3\rb.jpg 4\r", ["a.jpg", "b.jpg"], [3, 4]),
    "a comma in the first name by blanks": ("Smith, J.png 3\nb.jpg 4\n", ["Smith, J.png", "b.jpg"], [3, 4]),
    "a comma in a quoted first name by blanks": ('"a,b.png" 3\nb.jpg 4\n', ["a,b.png", "b.jpg"], [3, 4]),
    "a number in the first name": ("photo 12 3\na.png 1\n", ["photo 12", "a.png"], [3, 1]),
    "a number in another name": ("a.png 1\nphoto 12 3\n", ["a.png", "photo 12"], [1, 3]),
    "numbers without names of files": ("id1 3 5\nid2 4 6\n", ["id1", "id2"], [[3, 5], [4, 6]]),
    "two numbers behind the name of a file": ("photo 12 3\na.png 1 2\n", ["photo", "a.png"], [[12, 3], [1, 2]]),
    "quotes with a blank inside": ('" a.jpg",3\nb.jpg,4\n', [" a.jpg", "b.jpg"], [3, 4]),
    "no label is -1, or empty after a comma": ("a.jpg,3\nb.jpg,\nc.jpg,-1\n", ["a.jpg", "b.jpg", "c.jpg"], [3, -1, -1]),
    "one of two labels": ("a.jpg\t3\t4\nb.jpg\t\t5\n", ["a.jpg", "b.jpg"], [[3, 4], [-1, 5]]),
    "not ASCII": ("größe.jpg 0\n写真.jpg 1", ["größe.jpg", "写真.jpg"], [0, 1]),
}


@pytest.mark.parametrize("text, names, labels", LISTS.values(), ids=LISTS.keys())
def test_csv_forms(write, tmp_path, text, names, labels):
    path = write(text, names)
    source = open_source("CSV", path, root=str(tmp_path))
    assert [os.fsdecode(source.names[record]) for record in range(len(source))] == names
    if labels is None:
        assert source.labels is None
    else:
        np.testing.assert_array_equal(source.labels, labels)
    assert source.read(1) == b"x"


BAD_LISTS = {
    "empty": ("", [], "it has no records"),
    "blank": ("\n  \n", [], "it has no records"),
    "header": ("name,label\na.jpg,1\n", ["a.jpg"], "line 1: label 'label' is not an integer.*header"),
    "a word for a label": ("a.jpg 0\nb.jpg x\n", ["a.jpg"], "line 2: a name and 1 label column expected.*'b.jpg x'"),
    "fraction": ("a.jpg 0\nb.jpg 0.5\n", ["a.jpg"], "line 2: label '0.5' is not an integer"),
    "too large": ("a.jpg 16777217\n", ["a.jpg"], "line 1: label '16777217' is not an integer up to 16777216"),
    "ragged": ("a.jpg,1,2\nb.jpg,1\n", ["a.jpg"], "line 2: a name and 2 label columns expected"),
    "missing file": ("a.jpg 1\nb.jpg 1\n", ["a.jpg"], "1 of 2 files do not exist; the first is record 1, .*b.jpg"),
    "no name": (",3\n", [], "line 1: a name and 1 label column expected"),
    "a line without label": (
        "a.jpg 1\nb.jpg\n",
        ["a.jpg"],
        "line 2: a name and 1 label column .* without a label has -1",
    ),
    "a label alone": ("a.jpg\nb.jpg 1\n", ["a.jpg"], "line 2: a name and 0 label columns .* without a label has -1"),
    "numbers behind a file": ("a.jpg 1\nb.jpg 1 2\n", ["a.jpg"], "line 2: a name and 1 label column expected"),
    "commas or blanks": (
        "a.jpg,1 2\n",
        ["a.jpg"],
        "line 1: commas or blanks may separate its fields: 'a.jpg,1 2'; use one",
    ),
    "an open quote": ('"a.jpg,1\n', ["a.jpg"], "line 1: text stands behind a closing quote, or a quote is not closed"),
    "a word beside joined labels": ("a.jpg,1:2,x\n", ["a.jpg"], "line 1: label 'x' is not an integer"),
    "class names": (
        "a.jpg,3\nb.jpg,cat\n",
        ["a.jpg"],
        "line 2: label 'cat' is not an integer .*; number the classes from 0",
    ),
    "class names by blanks": (
        "a.jpg cat\n",
        ["a.jpg"],
        r"record 0.*\('cat' is not an integer, .*; number the classes from 0",
    ),
    "a number in a name of two": (
        "photo 12 3\n",
        ["photo 12"],
        "photo, but 'photo 12' does; quote names that end with a",
    ),
    "zeros": ("\0\0a.jpg 1\n", [], "it is a binary file; set `source_type: BCF`"),
}


@pytest.mark.parametrize("text, names, message", BAD_LISTS.values(), ids=BAD_LISTS.keys())
def test_bad_lists(write, tmp_path, text, names, message):
    path = write(text, names)
    with pytest.raises(DataError, match=message) as error:
        open_source("CSV", path, root=str(tmp_path))
    assert path in str(error.value)


#: What is no list of ours, and what the remedy says that makes one of it.
REMEDIES = {
    "UTF-16": ("\ufeffa.jpg,3\r\nb.jpg,4\r\n", "utf-16-le", "UTF-16"),
    "semicolons": ("a.jpg;3\nb.jpg;4\n", "utf-8", "semicolons"),
    "back slashes": ("sub\\a.jpg,3\nb.jpg,4\n", "utf-8", "back slashes"),
}


@pytest.mark.parametrize("text, encoding, what", REMEDIES.values(), ids=REMEDIES.keys())
def test_the_command_of_a_remedy_makes_a_list(write, tmp_path, text, encoding, what):
    path = write(text, ["a.jpg", "sub/a.jpg", "b.jpg"], encoding)
    with refused(DataError, what) as caught:
        open_source("CSV", path, root=str(tmp_path))
    assert path in caught.value.source
    subprocess.run(caught.value.remedy.split("`")[1], shell=True, check=True, cwd=tmp_path)
    source = open_source("CSV", str(tmp_path / "new.txt"), root=str(tmp_path))
    assert source.labels.tolist() == [3, 4]
    assert source.read(0) == b"x"


def test_semicolons_in_a_header_and_in_names(write, tmp_path):
    with refused(DataError, "semicolons", source="line 1"):
        open_source("CSV", write("name;label;my weight\na.jpg;3;0,5\n"), header=True)
    source = open_source("CSV", write("a;b.jpg 3\n", ["a;b.jpg"]), root=str(tmp_path))
    assert (source.names[0], source.labels.tolist()) == (b"a;b.jpg", [3])


@pytest.mark.parametrize("separator", [" ", "\t", ","])
def test_images_and_label_maps_have_a_layer_of_their_own(write, tmp_path, separator):
    names = ["i/a.jpg", "m/a.png", "i/b.jpg", "m/b.png"]
    path = write("{}S{}\n{}S{}\n".format(*names).replace("S", separator), names)
    with refused(DataError, "m/a.png", remedy="ImageMapDataLayer"):
        open_source("CSV", path, root=str(tmp_path))
    options = config.load("ImageMapDataLayer", str({"source": path, "root": str(tmp_path)}))
    assert [source.names[1].decode() for source in sources_with_maps(options)] == names[2:]


def test_a_name_with_a_slash_is_below_root_as_in_stock(write, tmp_path):
    """Stock ImageData puts root_folder before every name: DeepLab's lists. A path from the root of the disk is read too."""
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "JPEGImages" / "x.jpg").write_bytes(b"below")
    (tmp_path / "y.jpg").write_bytes(b"as it is")
    path = write(f"/JPEGImages/x.jpg 1\n{tmp_path}/y.jpg 2\n")
    source = open_source("CSV", path, root=f"{tmp_path}/")
    assert [source.read(0), source.read(1)] == [b"below", b"as it is"]
    assert list(source.files())[1:] == [f"{tmp_path}/JPEGImages/x.jpg", f"{tmp_path}/y.jpg"]
    both = tmp_path / str(tmp_path)[1:] / "y.jpg"
    both.parent.mkdir(parents=True)
    both.write_bytes(b"below first")
    assert open_source("CSV", path, root=str(tmp_path)).read(1) == b"below first"
    with refused(DataError, "JPEGImages/x.jpg"):
        open_source("CSV", path)


def test_labels_of_a_column_by_name(write, tmp_path):
    path = write("name,label,breed,breeds\na.jpg,1,7,3:4\nb.jpg,0,,5\n", ["a.jpg", "b.jpg"])
    options = {"root": str(tmp_path), "header": True}
    assert open_source("CSV", path, labels="breed", **options).labels.tolist() == [7, -1]
    assert open_source("CSV", path, labels="breeds", **options).labels.tolist() == [[3, 4], [5, -1]]
    with refused(DataError, "not one of the columns name, label, breed, breeds", source="/race"):
        open_source("CSV", path, labels="race", **options)
    with refused(DataError, "No such file", remedy="`header: true`"):
        open_source("CSV", write("a.jpg 3\n", ["a.jpg"]), root=str(tmp_path), labels="breed")


def test_missing_list_says_where_it_looked(tmp_path):
    with refused(DataError, "No such file", source=f"{tmp_path}/none.csv"):
        open_source("CSV", str(tmp_path / "none.csv"))


def test_a_file_that_goes_away_is_named(write, tmp_path):
    source = open_source("CSV", write("a.jpg 1\n", ["a.jpg"]), root=str(tmp_path))
    os.remove(tmp_path / "a.jpg")
    with refused(DataError, "a.jpg: No such file", record=0):
        source.read(0)


HEADERS = {
    "commas": ("name,label,weight\na.jpg,3,0.5\nb c.jpg,4,2\n", [3, 4], [0.5, 2]),
    "tabs": ("name\tlabel\na.jpg\t3\nb c.jpg\t4\n", [3, 4], None),
    "spaces": ('name label\na.jpg 3\n"b c.jpg" 4\n', [3, 4], None),
    "any order, others": ('split,label,city,name\ntrain,3,"Paris, Texas",a.jpg\n,4,,b c.jpg\n', [3, 4], None),
    "first column": ("file,Label,WEIGHT\na.jpg,3,0\nb c.jpg,4,1e-3\n", [3, 4], [0, 1e-3]),
    "several": ("name,label_2,x,label_1\na.jpg,3,-,5\nb c.jpg,4,-,6\n", [[3, 5], [4, 6]], None),
    "joined": ("name,label\na.jpg,3:5\nb c.jpg,4\n", [[3, 5], [4, -1]], None),
    "no labels": ("name,weight\na.jpg,1\nb c.jpg,2\n", None, [1, 2]),
    "names alone": ("name\na.jpg\nb c.jpg\n", None, None),
}


@pytest.mark.parametrize("text, labels, weights", HEADERS.values(), ids=HEADERS.keys())
def test_headers(write, tmp_path, text, labels, weights):
    source = open_source("CSV", write(text, ["a.jpg", "b c.jpg"]), root=str(tmp_path), header=True)
    assert [source.names[0], source.names[1]] == [b"a.jpg", b"b c.jpg"]
    for found, expected in ((source.labels, labels), (source.sample_weights, weights)):
        if expected is None:
            assert found is None
        else:
            np.testing.assert_array_equal(found, np.array(expected, found.dtype))


BAD_HEADERS = {
    "none": ("a.jpg,3\nb.jpg,4\n", {}, "line 1: with `header: true` this line must give each column.*'a.jpg,3'"),
    "twice": ("name,label,label\na.jpg,3,4\n", {}, "line 1: .*'name,label,label'"),
    "header alone": ("name,label\n", {}, "it has no records"),
    "empty": ("", {}, "it has no records"),
    "short": ("name,label\na.jpg,3\nb.jpg\n", {}, r"line 3: 2 columns expected \(name, label\).*'b.jpg'"),
    "long": ("name,label\na.jpg,3,4\n", {}, "line 2: 2 columns expected"),
    "no name": ("name,label\n,3\n", {}, "line 2: 2 columns expected"),
    "no number": ("name,label\na.jpg,cat\n", {}, "line 2: label 'cat' is not an integer"),
    "negative weight": ("name,weight\na.jpg,1\nb.jpg,-0.5\n", {}, "line 3: weight '-0.5' is not a finite number"),
    "infinite weight": ("name,weight\na.jpg,1e99\n", {}, "line 2: weight '1e99' is not a finite number"),
    "weight of a word": ("name,weight\na.jpg,much\n", {}, "line 2: weight 'much'"),
    "no such column": (
        "name,label\na.jpg,3\n", {"sample_weights": "importance"},
        "sample_weights .*/importance: cannot read it: No such file.*not one of the columns name, label",
    ),
    "column without header": (
        "a.jpg 3\n", {"sample_weights": "importance", "header": False}, "needs a first line with names, and `header: true`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("text, options, message", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_bad_headers(write, tmp_path, text, options, message):
    path = write(text, ["a.jpg", "b.jpg"])
    with pytest.raises(DataError, match=message) as error:
        open_source("CSV", path, **{"root": str(tmp_path), "header": True, **options})
    assert path in str(error.value)


def test_weights_of_a_column_by_name(write, tmp_path):
    path = write("name,weight,importance\na.jpg,1,7\n", ["a.jpg"])
    source = open_source("CSV", path, root=str(tmp_path), header=True, sample_weights="importance")
    assert source.sample_weights.tolist() == [7]


def test_missing_files_are_left_out_with_their_labels(write, tmp_path, caplog):
    path = write("a.jpg 0\nb.jpg 1\nc.jpg 2\nd.jpg 3\n", ["b.jpg", "d.jpg"])
    np.save(tmp_path / "weights.npy", np.array([1, 2, 3, 4]))
    source = open_source("CSV", path, root=str(tmp_path), missing="skip", sample_weights=str(tmp_path / "weights.npy"))
    assert (source.labels.tolist(), source.sample_weights.tolist()) == ([1, 3], [2, 4])
    assert source.names[1] == b"d.jpg"
    assert source.read(0) == b"x"
    assert [record.getMessage() for record in caplog.records] == [
        f"CSV source {path}: 2 of 4 files do not exist; the first is record 0, {tmp_path}/a.jpg; the missing files are left out"
    ]
    with refused(DataError, "1 of 1 files"):
        open_source("CSV", write("e.jpg 0\n"), root=str(tmp_path), missing="skip")


def test_what_is_written_reads_again(tmp_path, photos):
    """Names with folders, commas and quotes; images by their bytes; labels as many as each has."""
    image = photos.decoded(0)
    records = [
        Record(photos.bytes_of(0), (17, 24), 0.5, 'cats/one, "two".jpg'),
        Record(photos.bytes_of(1), (), 1e-7, "cats/00000012_three"),
        Record(image, (3,), 0.0, "größe"),
    ]
    folder = str(tmp_path / "images")
    assert write_csv(str(tmp_path / "list.csv"), iter(records), folder) == 3
    source = open_source("CSV", str(tmp_path / "list.csv"), root=folder, header=True)
    names = [source.names[record].decode() for record in range(3)]
    assert names == ['cats/one, "two".jpg', "cats/00000012_three.jpg", "größe.png"]
    assert source.labels.tolist() == [[17, 24], [-1, -1], [3, -1]]
    np.testing.assert_array_equal(source.sample_weights, np.float32([0.5, 1e-7, 0]))
    np.testing.assert_array_equal(Transforms().load(source, 2), image)


def test_the_list_lies_beside_its_folder(tmp_path):
    with refused(DataError, "list.csv", "images", remedy="elsewhere"):
        write_csv(str(tmp_path / "images" / "list.csv"), [], str(tmp_path / "images"))


@pytest.mark.parametrize(
    "records, message",
    [
        (
            [Record(b"\xff\xd8\xff", name="a"), Record(b"\xff\xd8\xff", name="a.jpg")],
            "two records have the name 'a.jpg'",
        ),
        ([Record(b"\xff\xd8\xff", name="../a")], "would lie outside"),
        ([Record(np.zeros((4, 4, 3), np.float32))], "does not fit into an image file"),
        ([Record(np.zeros((4, 4, 2), np.uint8))], "does not fit into an image file"),
    ],
)
def test_what_cannot_be_written(tmp_path, records, message):
    with pytest.raises(DataError, match=message):
        write_csv(str(tmp_path / "list.csv"), records, str(tmp_path / "images"))
    assert os.listdir(tmp_path) == []


def test_damaged_lists(photos, tmp_path):
    """500 mutations each of a list with and without header: an error that names the list, or records that are there."""
    names = [f"{number}.jpg" for number in range(6)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(photos.bytes_of(number))
    plain = "".join(f"{name},{number}\n" for number, name in enumerate(names))
    headed = "label,name,weight\n" + "".join(f"{number}:1,{name},0.5\n" for number, name in enumerate(names))
    path, found = str(tmp_path / "list.csv"), Counter()
    for text, header in ((plain, False), (headed, True)):
        for _ in mutated_files(path, text.encode(), 500, seed=1, text=b"\0\n\r\"\\ ,:\t-.e9\xff'"):
            options = {"root": str(tmp_path), "header": header, "missing": "skip"}
            found.update(outcomes(lambda options=options: open_source("CSV", path, **options), path))
    assert found["refused"] > 100 and found["read"] > 1000
