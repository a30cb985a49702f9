"""Sources of the user's own: option `source_type: 'module:Class'`."""

import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.commands.check.check import check
from caffe_pylayers.data.sources import Source
from tests.caffe_nets import build, python_layer
from tests.refusals import refused

IMAGES = np.random.default_rng(5).integers(0, 256, (12, 9, 7, 3), dtype=np.uint8)


class ArraySource(Source):
    """Images (N, H, W, C) of a .npy file, each of class number modulo 4; workers of `prefetch` import it from here."""

    def __init__(self, path):
        self.images = np.load(path)
        super().__init__(path, [b"row %d" % row for row in range(len(self.images))], np.arange(len(self.images)) % 4)

    def read(self, record):
        with self.naming(record):
            if record == 11:
                raise DataError("it is burnt")
        return self.images[record]


NAME = f"{__name__}:ArraySource"


def net_of(tmp_path, layer="ImageDataLayer", tops=("data", "label"), **options):
    np.save(tmp_path / "images.npy", IMAGES)
    options = {"source_type": NAME, "source": str(tmp_path / "images.npy"), "batch_size": 5, **options}
    return build([python_layer(layer, [], list(tops), options)], {}, force_backward=False)


@pytest.mark.parametrize("prefetch", [False, 2])
def test_it_feeds(tmp_path, prefetch):
    net = net_of(tmp_path, prefetch=prefetch)
    for start in (0, 5):
        out = net.forward()
        np.testing.assert_array_equal(out["data"], IMAGES[start : start + 5].transpose(0, 3, 1, 2))
        np.testing.assert_array_equal(out["label"], np.arange(start, start + 5) % 4)
    with refused(DataError, "it is burnt", source="images.npy: record 11 ('row 11')", record=11):
        net.forward()
    caffe_pylayers.close()


def test_samplers_and_files_of_labels_serve_it_too(tmp_path):
    np.save(tmp_path / "labels.npy", np.arange(12) // 6)
    net = net_of(
        tmp_path,
        "SiameseDataLayer",
        ("data", "data_p", "sim", "label", "label_p"),
        labels=str(tmp_path / "labels.npy"),
        on_error="skip",
    )
    out = net.forward()
    np.testing.assert_array_equal(out["sim"], out["label"] == out["label_p"])


def test_stand_ins_take_the_place_of_what_it_cannot_read(tmp_path):
    net = net_of(tmp_path, on_error="skip", batch_size=12)
    stand_in = net.forward()["data"][11]
    assert any((stand_in == image.transpose(2, 0, 1)).all() for image in IMAGES[:11])


@pytest.mark.parametrize(
    "source_type, message",
    [
        (
            "csvv",
            "option 'source_type' must be one of 'CSV', 'LMDB', 'BCF', 'HDF5', or text such as 'module:name', not 'csvv'",
        ),
        ("absent_module:X", "option 'source_type': cannot import 'absent_module'"),
        ("tests.data.test_own_source:Missing", "has no function or class named 'Missing'"),
        ("tests.data.test_own_source:net_of", "is not a class that derives from caffe_pylayers.data.sources.Source"),
    ],
)
def test_what_is_wrong_with_its_name_is_told(tmp_path, source_type, message):
    with pytest.raises(ConfigError) as error:
        net_of(tmp_path, source_type=source_type)
    assert message in str(error.value)


def test_an_error_of_its_own_is_told_with_its_name(tmp_path):
    with refused(ConfigError, "test_own_source:ArraySource", "FileNotFoundError", "none.npy"):
        net_of(tmp_path, source=str(tmp_path / "none.npy"))


def test_check_reads_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "images.npy", IMAGES)
    layer = python_layer(
        "ImageDataLayer", [], ["data", "label"], {"source_type": NAME, "source": "images.npy", "batch_size": 5}
    )
    (tmp_path / "net.prototxt").write_text(layer)
    found = check("net.prototxt")
    assert [finding.message.rpartition(": ")[2] for finding in found] == ["it is burnt"]


class KeepingSource(ArraySource):
    """It gives the very arrays that it keeps, and no second copy of them."""

    def __init__(self, path):
        super().__init__(path)
        self.images = [image.copy() for image in self.images]


def darkened(image, rng):
    image //= 2
    return image


@pytest.mark.parametrize("options", [{}, {"cache": "memory"}, {"prefetch": 2, "workers": 2}], ids=str)
def test_a_transform_that_writes_into_the_image_leaves_what_the_source_keeps(tmp_path, options):
    own = {"source_type": f"{__name__}:KeepingSource", "transform": f"{__name__}:darkened"}
    net = net_of(tmp_path, **own, **options, batch_size=11, on_error="skip")
    for number in range(3):
        expected = IMAGES[np.arange(11 * number, 11 * (number + 1)) % 12] // 2
        readable = np.arange(11 * number, 11 * (number + 1)) % 12 != 11
        fed = net.forward()["data"].transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(fed[readable], expected[readable])
    caffe_pylayers.close()


def test_a_transform_may_write_into_what_is_read_only(tmp_path):
    net = net_of(tmp_path, source_type=f"{__name__}:ReadOnlySource", transform=f"{__name__}:darkened")
    np.testing.assert_array_equal(net.forward()["data"], IMAGES[:5].transpose(0, 3, 1, 2) // 2)


class ReadOnlySource(ArraySource):
    def read(self, record):
        image = self.images[record].copy()
        image.setflags(write=False)
        return image


class WrongSource(ArraySource):
    """What its third record is says the name of its file."""

    def read(self, record):
        image = self.images[record]
        made = {
            "none": lambda: None,
            "list": image.tolist,
            "flat": lambda: image[:, :, 0],
            "empty": lambda: image[:0],
            "no_channels": lambda: image[:, :, :0],
            "int64": lambda: image.astype(np.int64),
            "big_endian": lambda: image.astype(">f4"),
            "fails": lambda: {}["lost"],
        }
        return made[self.path.rpartition("/")[2]]() if record == 2 else image


@pytest.mark.parametrize("prefetch", [False, 2])
@pytest.mark.parametrize(
    "wrong, found",
    {
        "none": "returned NoneType",
        "list": "returned list",
        "flat": "returned uint8 (9, 7)",
        "empty": "returned uint8 (0, 7, 3)",
        "no_channels": "returned uint8 (9, 7, 0)",
        "int64": "returned int64 (9, 7, 3)",
        "big_endian": "returned >f4 (9, 7, 3)",
        "fails": "failed with KeyError: 'lost'",
    }.items(),
)
def test_what_is_no_image_is_told(tmp_path, wrong, found, prefetch):
    with open(tmp_path / wrong, "wb") as file:
        np.save(file, IMAGES)
    path = str(tmp_path / wrong)
    net = net_of(tmp_path, source_type=f"{__name__}:WrongSource", source=path, on_error="skip", prefetch=prefetch)
    with refused(
        ConfigError,
        f"{__name__}:WrongSource",
        found,
        source=f"{wrong}: record 2 ('row 2')",
        record=2,
        option="source_type",
    ):
        net.forward()
    caffe_pylayers.close()


class Reader(ArraySource):
    pass


def test_messages_have_the_whole_name_of_its_class(tmp_path):
    net = net_of(tmp_path, source_type=f"{__name__}:Reader", batch_size=12)
    with refused(DataError, "it is burnt", source=f"Reader source {tmp_path}/images.npy: record 11 ('row 11')"):
        net.forward()
