"""Shapes of blobs found without Caffe: those that Caffe finds; and the order of flat blobs."""

import random
from pathlib import Path

import caffe
import cv2
import numpy as np
import pytest

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.caffe_files.nets import TEST, NetState, net_of, read_net
from caffe_pylayers.caffe_files.prototxt import parse
from caffe_pylayers.commands.export.blob_shapes import Blob, Unknown, shapes_of
from caffe_pylayers.commands.export.layouts import channels_last
from caffe_pylayers.commands.export.windows import window_of
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests.caffe_nets import layer_text, net_text, write
from tests.pages import ROOT
from tests.stock_data_layers import parameters


def blobs_of(layers, given=None):
    """Each blob by name, as the last layer that gives it left it."""
    found = {}
    for layer, (_, tops) in zip(layers, shapes_of(layers, given or {})):
        found.update(zip(layer.tops, tops))
    return found


def compare(path):
    """Every blob is of the shape that it has in Caffe."""
    net = caffe.Net(str(path), caffe.TEST)
    blobs = blobs_of(read_net(str(path)).in_state(NetState(TEST)))
    assert {name: blob.shape for name, blob in blobs.items()} == {
        name: tuple(net.blobs[name].shape)[1:] for name in blobs
    }
    return blobs


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("prototxt_examples/*/deploy.prototxt")), ids=lambda path: path.parent.name
)
def test_deploy_nets(path):
    assert len(compare(path)) > 3


def windows_at_random(number):
    """Layers with windows of every kind, each behind an input of its own: (inputs, layers)."""
    draw = random.Random(0)
    inputs, layers = {}, []
    for i in range(number):
        kind = draw.choice(["Convolution", "Deconvolution", "Pooling", "Pooling"])
        kernel, stride, dilation = draw.randint(1, 5), draw.randint(1, 4), draw.randint(1, 3)
        pad = draw.randint(0, kernel - 1)
        inputs[f"x{i}"] = (2, 3, draw.randint(13, 24), draw.randint(13, 24))
        if draw.random() < 0.3:
            window = f"kernel_h: {kernel} kernel_w: {kernel + 1} stride_h: {stride} stride_w: 1 pad_h: 0 pad_w: {pad}"
        else:
            window = f"kernel_size: {kernel} stride: {stride} pad: {pad}"
        if kind == "Pooling":
            rounding = draw.choice(["", "", "round_mode: FLOOR", "round_mode: CEIL"])
            param = f"pooling_param {{ pool: {draw.choice(['MAX', 'AVE'])} {window} {rounding} }}"
        else:
            param = f"convolution_param {{ num_output: 2 {window} dilation: {dilation} }}"
        layers.append(layer_text(kind, [f"x{i}"], [f"y{i}"], param))
    return inputs, layers


def test_windows_of_all_kinds(tmp_path):
    inputs, layers = windows_at_random(150)
    path = write(net_text(layers, inputs), tmp_path)
    compare(path)
    for layer in read_net(path).layers:
        if layer.type in ("Convolution", "Pooling"):  # in what is padded so, windows that lie inside are all there are
            window, sizes = window_of(layer), inputs[layer.bottoms[0]][2:]
            for axis, (before, after) in enumerate(window.padding(sizes)):
                extent = window.dilation[axis] * (window.kernel[axis] - 1) + 1
                inside = (before + sizes[axis] + after - extent) // window.stride[axis] + 1
                assert inside == window.sizes(sizes)[axis], layer.message


def test_a_window_that_is_left_out_since_the_other_axis_is_padded(tmp_path):
    """Caffe looks at both paddings for each axis."""
    more = "pooling_param { kernel_h: 1 kernel_w: 2 stride_h: 4 stride_w: 2 pad_h: 0 pad_w: 1 }"
    (tmp_path / "net.prototxt").write_text(net_text([layer_text("Pooling", ["x"], ["y"], more)], {"x": (2, 3, 11, 8)}))
    assert compare(tmp_path / "net.prototxt")["y"].shape == (3, 3, 5)


def test_rows_become_images_behind_mvn(tmp_path):
    (tmp_path / "net.prototxt").write_text(net_text([layer_text("MVN", ["x"], ["y"])], {"x": (2, 7)}))
    compare(tmp_path / "net.prototxt")


JOINTS = """
layer { name: "in" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 4 dim: 3 dim: 5 } } }
layer { name: "ip" type: "InnerProduct" bottom: "a" top: "ip" inner_product_param { num_output: 60 } }
layer { name: "deep" type: "Concat" bottom: "a" bottom: "b" top: "deep" }
layer { name: "tall" type: "Concat" bottom: "a" bottom: "b" top: "tall" concat_param { axis: -2 } }
layer { name: "old" type: "Concat" bottom: "a" bottom: "b" top: "old" concat_param { concat_dim: 3 } }
layer { name: "thin" type: "Slice" bottom: "deep" top: "thin1" top: "thin2" top: "thin3" slice_param { slice_point: 1 slice_point: 3 } }
layer { name: "even" type: "Slice" bottom: "deep" top: "even1" top: "even2" slice_param { axis: 1 } }
layer { name: "flat_a" type: "Flatten" bottom: "a" top: "flat_a" }
layer { name: "flat_b" type: "Reshape" bottom: "b" top: "flat_b" reshape_param { shape { dim: 0 dim: -1 } } }
layer { name: "joined" type: "Concat" bottom: "flat_a" bottom: "ip" bottom: "flat_b" top: "joined" }
layer { name: "apart" type: "Slice" bottom: "joined" top: "apart1" top: "apart2" top: "apart3" }
layer { name: "cut" type: "Slice" bottom: "ip" top: "cut1" top: "cut2" slice_param { slice_point: 7 } }
layer { name: "sum" type: "Eltwise" bottom: "flat_a" bottom: "flat_b" top: "sum" }
layer { name: "images" type: "Reshape" bottom: "ip" top: "images" reshape_param { shape { dim: 0 dim: 5 dim: -1 dim: 2 } } }
layer { name: "groups" type: "Reshape" bottom: "a" top: "groups" reshape_param { axis: 1 num_axes: 1 shape { dim: 2 dim: -1 } } }
layer { name: "grown" type: "Reshape" bottom: "a" top: "grown" reshape_param { axis: 2 num_axes: 0 shape { dim: 1 } } }
layer { name: "merged" type: "Reshape" bottom: "groups" top: "merged" reshape_param { axis: 1 num_axes: 2 shape { dim: -1 } } }
layer { name: "rows" type: "Reshape" bottom: "a" top: "rows" reshape_param { axis: 2 shape { dim: -1 } } }
layer { name: "again" type: "Flatten" bottom: "images" top: "again" }
layer { name: "crop" type: "Crop" bottom: "tall" bottom: "thin1" top: "crop" crop_param { axis: 2 } }
layer { name: "softmax" type: "Softmax" bottom: "sum" top: "softmax" }
layer { name: "by_row" type: "InnerProduct" bottom: "a" top: "by_row" inner_product_param { num_output: 6 axis: 2 } }
layer { name: "dummy" type: "DummyData" top: "dummy" dummy_data_param { shape { dim: 2 dim: 9 } } }
layer { name: "memory" type: "MemoryData" top: "mem" top: "label" memory_data_param { batch_size: 2 channels: 3 height: 7 width: 8 } }
"""


def test_joints(tmp_path):
    (tmp_path / "net.prototxt").write_text(JOINTS.replace('layer { name: "memory"', "#"))
    blobs = compare(tmp_path / "net.prototxt")
    assert blobs["joined"].parts == ((4, 3, 5), (60,), (4, 3, 5))
    assert (
        blobs["apart1"].parts == blobs["apart3"].parts == blobs["sum"].parts == blobs["softmax"].parts == ((4, 3, 5),)
    )
    assert blobs["apart2"].parts == ((60,),)
    assert blobs["again"].parts == ((5, 6, 2),)
    memory = blobs_of(net_of(parse(JOINTS), "net").layers)
    assert memory["mem"] == Blob((3, 7, 8))
    assert isinstance(memory["label"], Unknown)


def test_flat_blobs_hold_their_numbers_in_the_order_that_is_said(tmp_path):
    """What Caffe flattened and joined, against the same done with channels last."""
    (tmp_path / "net.prototxt").write_text(JOINTS.replace('layer { name: "memory"', "#"))
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net.params["ip"][0].data[...] = np.random.default_rng(0).normal(size=net.params["ip"][0].data.shape)
    for name in "ab":
        net.blobs[name].data[...] = np.random.default_rng(ord(name)).normal(size=(2, 4, 3, 5))
    net.forward()
    a, b = (np.moveaxis(net.blobs[name].data, 1, -1).reshape(2, -1) for name in "ab")
    joined = np.concatenate([a, net.blobs["ip"].data, b], 1)
    expected = {
        "flat_a": a,
        "flat_b": b,
        "joined": joined,
        "apart1": a,
        "apart2": net.blobs["ip"].data,
        "apart3": b,
        "sum": a + b,
    }
    blobs = blobs_of(read_net(str(tmp_path / "net.prototxt")).layers)
    for name, values in expected.items():
        np.testing.assert_array_equal(
            net.blobs[name].data[:, channels_last(blobs[name].flattened)], values, err_msg=name
        )


def test_what_is_not_known_says_why():
    layers = net_of(
        parse(
            JOINTS
            + """
            layer { name: "uneven" type: "Eltwise" bottom: "flat_a" bottom: "ip" top: "uneven" }
            layer { name: "part" type: "Slice" bottom: "flat_a" top: "part1" top: "part2" }
            layer { name: "own" type: "Python" bottom: "a" top: "own" python_param { module: "mine" layer: "Own" } }
            layer { name: "behind" type: "ReLU" bottom: "own" top: "behind" }
            layer { name: "conv" type: "Convolution" bottom: "own" top: "conv" convolution_param { num_output: 6 kernel_size: 3 } }
            layer { name: "pooled" type: "Pooling" bottom: "conv" top: "pooled" pooling_param { global_pooling: true } }
            layer { name: "lost" type: "ReLU" bottom: "nowhere" top: "lost" }"""
        ),
        "net",
    ).layers
    blobs = blobs_of(layers)
    assert blobs["uneven"] == Unknown(
        "layer 'uneven' (type Eltwise) takes flat blobs that hold their numbers in different orders"
    )
    assert blobs["part1"] == Unknown("layer 'part' (type Slice, axis 1) gives it")
    assert blobs["behind"] == Unknown("layer 'own' (type Python) gives it")
    assert blobs["lost"] == Unknown("no layer gives blob 'nowhere'")
    assert blobs["conv"] == Blob((6, None, None))
    assert blobs["pooled"] == Blob((6, 1, 1))
    assert blobs_of(layers, {"own": (3, 8, 9)})["conv"] == Blob((6, 6, 7))
    assert blobs_of(layers, {"own": (20,)})["behind"] == Blob((20,), ((20,),))


def test_our_unit_vectors_keep_the_shape():
    path = Path(ROOT / "prototxt_examples" / "fashion_triplet" / "deploy.prototxt")
    assert blobs_of(read_net(str(path)).layers)["unit"] == Blob((64,), ((64,),))


OURS = 'type: "Python" python_param {{{{ module: "caffe_pylayers" layer: "{}" param_str: "{{{{{}}}}}" }}}}'

#: What feeds images, what comes behind their channels, and whether those are known.
FED = {
    "crop": (OURS.format("ImageDataLayer", "{options}, 'crop_size': 5"), (5, 5), 3),
    "crop after resize": (OURS.format("ImageDataLayer", "{options}, 'resize': [9, 8], 'crop_size': 5"), (5, 5), 3),
    "resize": (OURS.format("ImageDataLayer", "{options}, 'resize': [9, 8]"), (9, 8), 3),
    "grey": (OURS.format("ImageDataLayer", "{options}, 'resize': 9, 'color': False"), (9, 9), 1),
    "an LMDB": (OURS.format("ImageDataLayer", "{lmdb}, 'resize': 9"), (9, 9), None),
    "stacked": (OURS.format("SiameseDataLayer", "{options}, 'resize': 9, 'stacked': True"), (9, 9), 3),
    "Data": ('type: "Data" data_param {{ source: "{folder}/lmdb" backend: LMDB batch_size: 2 }} transform_param {{ crop_size: 5 }}', (5, 5), None),
    "ImageData": ('type: "ImageData" image_data_param {{ source: "{folder}/list.txt" new_height: 9 new_width: 8 }}', (9, 8), 3),
    "ImageData, grey": ('type: "ImageData" image_data_param {{ source: "{folder}/list.txt" is_color: false }} transform_param {{ crop_size: 5 }}', (5, 5), 1),
}  # fmt: skip


@pytest.fixture(scope="module")
def fed_data(tmp_path_factory, photos):
    folder = tmp_path_factory.mktemp("fed")
    image = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
    lines = []
    for number, label in enumerate((0, 0, 1, 1)):
        cv2.imwrite(str(folder / f"{number}.png"), image)
        lines.append(f"{folder}/{number}.png {label}\n")
    (folder / "list.txt").write_text("".join(lines))
    png = cv2.imencode(".png", image)[1].tobytes()
    write_lmdb(str(folder / "lmdb"), (Datum(png, label, 3, encoded=True) for label in (0, 0, 1, 1)))
    return folder


@pytest.mark.parametrize("case", parameters(FED, "Data", "ImageData", "ImageData, grey"))
def test_what_the_net_says_of_images_that_are_fed(case, fed_data, tmp_path):
    text, size, channels = FED[case]
    options = f"'source': '{fed_data}/list.txt', 'batch_size': 2"
    lmdb = f"'source_type': 'LMDB', 'source': '{fed_data}/lmdb', 'batch_size': 2"
    text = text.format(folder=fed_data, options=options, lmdb=lmdb)
    path = write(f'layer {{ name: "train_data" top: "data" top: "label" {text} }}', tmp_path)
    blobs = blobs_of(read_net(path).layers)
    assert blobs["data"] == Blob((channels, *size))
    assert isinstance(blobs["label"], Unknown)
    assert tuple(caffe.Net(path, caffe.TEST).blobs["data"].shape[1:]) == (channels or 3, *size)


@pytest.mark.parametrize("options", ["'transform': 'json:dumps', 'resize': 9", "'batch_size': 3", "'sauce': 1"])
def test_images_whose_size_the_net_does_not_say(options, tmp_path):
    layer = OURS.format("ImageDataLayer", f"'source': 'list.csv', {options}").format()
    net = net_of(parse(f'layer {{ name: "train_data" top: "data" {layer} }}'), "net")
    assert isinstance(blobs_of(net.layers)["data"], Unknown)
