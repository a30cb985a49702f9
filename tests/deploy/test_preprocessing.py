"""The program that is written feeds what the data layer feeds, and the JSON says how."""

import json
import re
import runpy
import sys

import caffe
import cv2
import numpy as np
import pytest

from tests.caffe_nets import layer_text, python_layer, write
from tests.stock_data_layers import parameters

FC = layer_text("InnerProduct", ["data"], ["fc"], "inner_product_param { num_output: 3 }")


def own(**options):
    return python_layer("ImageDataLayer", [], ["data", "label"], {"source": "list.txt", "batch_size": 1, **options})


def of_caffe(images, transform=""):
    return layer_text(
        "ImageData",
        [],
        ["data", "label"],
        f'image_data_param {{ source: "list.txt" {images} }} transform_param {{ {transform} }}',
    )


#: name -> (the data layer, what the JSON says)
LAYERS = {
    "as it is": (own(), {"color": "BGR", "resize": None, "crop": None, "mean": None, "scale": 1.0}),
    "all": (
        own(resize=[40, 30], crop_size=[33, 21], mean_value=[104, 117.5, 123], scale=0.017, mirror=True),
        {"color": "BGR", "resize": [40, 30], "crop": [33, 21], "mean": [104, 117.5, 123], "scale": 0.017},
    ),
    "grey": (own(color=False, mean_value=73, scale=0.0111, resize=28), {"color": "gray", "mean": [73]}),
    "short": (own(resize={"short": 24}, crop_size=20), {"resize": {"short": 24}, "crop": [20, 20]}),
    "long": (own(resize={"long": 40}), {"resize": {"long": 40, "pad": False}}),
    "padded": (
        own(resize={"long": 41, "pad": "mean"}, mean_value=[104, 117, 123]),
        {"resize": {"long": 41, "pad": True}},
    ),
    "padded with black": (own(resize={"long": 41, "pad": "mean"}, scale=0.5), {"resize": {"long": 41, "pad": True}}),
    "padded with fractions": (
        own(resize={"long": 41, "pad": "mean"}, mean_value=[104.5, 117.2, 123.7]),
        {"resize": {"long": 41, "pad": True}},
    ),
    "padded with an image": (
        own(resize={"long": 50, "pad": "mean"}, mean_file="square.npy"),
        {"mean": "net_data_mean.npy"},
    ),
    "a mean image": (own(mean_file="mean.npy", crop_size=20, scale=2), {"mean": "net_data_mean.npy"}),
    "a mean in red, green, blue": (own(mean_file=[123, 117, 104]), {"mean": [104, 117, 123]}),
    "Caffe's": (
        of_caffe(
            "new_height: 33 new_width: 31",
            "crop_size: 20 mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5",
        ),
        {"color": "BGR", "resize": [33, 31], "crop": [20, 20], "mean": [104, 117, 123], "scale": 0.5},
    ),
    "Caffe's in grey": (of_caffe("is_color: false", "mean_value: 9"), {"color": "gray", "mean": [9]}),
}


@pytest.fixture
def deployed(command, tmp_path):
    """A function: the names of a written program, what it fed, what stderr said. The working directory has an image and a mean image."""
    image = np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "image.png"), image)
    (tmp_path / "list.txt").write_text(f"{tmp_path}/image.png 0\n")
    for name, size in (("mean.npy", (3, 37, 50)), ("square.npy", (3, 50, 50))):
        np.save(tmp_path / name, np.random.default_rng(1).uniform(0, 255, size).astype(np.float32))

    def deployed(layers, *options):
        write(layers + FC, tmp_path)
        net = caffe.Net("net.prototxt", caffe.TEST)
        net.forward()
        net.save("w.caffemodel")
        status, out, err = command("deploy", "net.prototxt", "w.caffemodel", "-o", "made/net", "--json", *options)
        assert status == 0, err
        return net, json.loads(out), err

    (tmp_path / "made").mkdir()
    return deployed


@pytest.mark.parametrize("case", parameters(LAYERS, "Caffe's", "Caffe's in grey"))
def test_the_program_feeds_what_the_layer_feeds(deployed, case):
    layer, wanted = LAYERS[case]
    net, _, err = deployed(layer)
    assert err == ""
    with open("made/net.json") as file:
        about = json.load(file)
    assert {name: about["inputs"]["data"][name] for name in wanted} == wanted
    assert about["inputs"]["data"]["shape"] == list(net.blobs["data"].data.shape)
    assert about["outputs"] == ["fc"]
    fed = runpy.run_path("made/net.py")["feed_data"]("image.png")
    assert (fed.dtype, fed.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_allclose(fed, net.blobs["data"].data, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("options", [(), ("--stock",)])
def test_the_program_prints_the_outputs(deployed, options, tmp_path, monkeypatch, capsys):
    net, _, _ = deployed(LAYERS["all"][0], *options)
    monkeypatch.setattr(sys, "argv", ["net.py", str(tmp_path / "image.png")])
    monkeypatch.chdir("/")
    runpy.run_path(str(tmp_path / "made" / "net.py"), run_name="__main__")
    printed = capsys.readouterr().out
    numbers = np.array(printed.replace("fc", "").replace("[", "").replace("]", "").split(), float)
    np.testing.assert_allclose(numbers, net.blobs["fc"].data[0], rtol=1e-4)


@pytest.mark.parametrize("options", [(), ("--stock",)])
def test_the_program_of_several_inputs_and_outputs(deployed, options, tmp_path, monkeypatch, capsys):
    """Inputs whose names differ only in a sign; outputs of which OpenCV gives wrong numbers one after the other."""
    one = LAYERS["all"][0]
    two = [
        one.replace('"data"', f'"{name}"').replace('"label"', f'"label{name}"').replace("data_layer", f"{name}_layer")
        for name in ("a/b", "a_b")
    ]
    branch = (
        layer_text("Softmax", ["a_b"], ["e"], "softmax_param { axis: -1 }")
        + layer_text("Eltwise", ["e", "a_b"], ["d"])
        + layer_text(
            "Convolution", ["a/b"], ["c"], "convolution_param { num_output: 9 kernel_size: 3 pad: 1 group: 3 }"
        )
        + layer_text("Slice", ["d"], ["s", "t"], "slice_param { slice_point: 1 }")
    )
    same = layer_text("Eltwise", ["a/b", "a_b"], ["data"])
    net, about, _ = deployed("".join([*two, branch, same]), *options)
    assert about["outputs"] == ["c", "s", "t", "fc"]
    monkeypatch.setattr(sys, "argv", ["net.py", str(tmp_path / "image.png")])
    monkeypatch.chdir("/")
    with np.printoptions(threshold=sys.maxsize):
        runpy.run_path(str(tmp_path / "made" / "net.py"), run_name="__main__")
    printed = re.split(r"^(\w+) ", capsys.readouterr().out, flags=re.MULTILINE)[1:]
    found = dict(zip(printed[::2], printed[1::2]))
    assert list(found) == about["outputs"]
    for blob, text in found.items():
        numbers = np.array(text.replace("[", " ").replace("]", " ").split(), float)
        np.testing.assert_allclose(numbers, net.blobs[blob].data[0].ravel(), rtol=1e-3, atol=1e-3)


def test_what_the_files_do_not_say_is_told(deployed, tmp_path):
    (tmp_path / "my_transform.py").write_text("def twice(image, rng):\n    return image\n")
    sys.path.insert(0, str(tmp_path))
    try:
        for option, words in (
            ({"transform": "my_transform:twice"}, "transform"),
            ({"crop_size": 20, "crops": "ten"}, "10 of each"),
        ):
            _, _, err = deployed(own(**option), "--force")
            assert words in err
    finally:
        sys.path.remove(str(tmp_path))


def test_numbers_that_are_no_image_are_told(deployed):
    layer = layer_text("DummyData", [], ["data"], "dummy_data_param { shape { dim: 2 dim: 3 dim: 4 dim: 5 } }")
    _, about, err = deployed(layer)
    assert "DummyData layer 'data_layer'" in err
    assert about["inputs"] == {"data": [1, 3, 4, 5]}
    assert "feed_data" not in runpy.run_path("made/net.py")


@pytest.mark.parametrize("name", ["image.png", "mean.npy", "list.txt"])
def test_what_the_data_layer_reads_is_never_replaced(deployed, command, tmp_path, name):
    deployed(own(mean_file="mean.npy"))
    (tmp_path / "other.json").symlink_to(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    status, _, err = command("deploy", "net.prototxt", "w.caffemodel", "-o", "other", "--force")
    assert (status, "other.json is also the input" in err) == (2, True)
    assert (tmp_path / name).read_bytes() == before
