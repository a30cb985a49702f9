"""Exported weights, and nets rebuilt from them with channels last.

With TENSORFLOW_PYTHON=/path/of/python, one that has TensorFlow, the round trip is made there too.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from caffe_pylayers.commands.export.export import META, export
from caffe_pylayers.commands.export.layouts import channels_last
from caffe_pylayers.errors import ConfigError, DataError
from tests import transcripts
from tests.channels_last import net as channels_last_net
from tests.channels_last import numpy_ops
from tests.pages import ROOT
from tests.program import run

#: Every kind of layer with weights, and what changes the order of numbers between them; images of 3 x 13 x 11.
NET = """
layer { name: "input" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 13 dim: 11 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "bn1" batch_norm_param { eps: 0.01 } }
layer { name: "scale1" type: "Scale" bottom: "bn1" top: "scale1" scale_param { bias_term: true } }
layer { name: "relu1" type: "ReLU" bottom: "scale1" top: "relu1" }
layer { name: "grouped" type: "Convolution" bottom: "relu1" top: "grouped"
  convolution_param { num_output: 12 group: 4 kernel_h: 3 kernel_w: 2 pad_h: 1 pad_w: 0 bias_term: false } }
layer { name: "prelu" type: "PReLU" bottom: "grouped" top: "prelu" }
layer { name: "max" type: "Pooling" bottom: "prelu" top: "max" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "dilated" type: "Convolution" bottom: "max" top: "dilated"
  convolution_param { num_output: 6 kernel_size: 3 dilation: 2 pad: 2 } }
layer { name: "depthwise" type: "Convolution" bottom: "dilated" top: "depthwise"
  convolution_param { num_output: 12 group: 6 kernel_size: 3 pad: 1 } }
layer { name: "ave" type: "Pooling" bottom: "depthwise" top: "ave" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "deconv" type: "Deconvolution" bottom: "ave" top: "deconv"
  convolution_param { num_output: 5 kernel_size: 4 stride: 2 pad: 1 } }
layer { name: "deconv_grouped" type: "Deconvolution" bottom: "ave" top: "deconv_grouped"
  convolution_param { num_output: 6 group: 3 kernel_h: 2 kernel_w: 3 stride_h: 1 stride_w: 2 } }
layer { name: "everywhere" type: "Scale" bottom: "deconv" top: "everywhere"
  scale_param { axis: 1 num_axes: -1 bias_term: true } }
layer { name: "fc1" type: "InnerProduct" bottom: "everywhere" top: "fc1" inner_product_param { num_output: 7 } }
layer { name: "fc2" type: "InnerProduct" bottom: "fc1" top: "fc2" inner_product_param { num_output: 9 transpose: true } }
layer { name: "flat" type: "Flatten" bottom: "deconv_grouped" top: "flat" }
layer { name: "reshaped" type: "Reshape" bottom: "max" top: "reshaped" reshape_param { shape { dim: 0 dim: -1 } } }
layer { name: "flat_bn" type: "BatchNorm" bottom: "flat" top: "flat_bn" }
layer { name: "flat_scale" type: "Scale" bottom: "flat_bn" top: "flat_scale" scale_param { bias_term: true } }
layer { name: "joined" type: "Concat" bottom: "fc2" bottom: "flat_scale" bottom: "reshaped" top: "joined" }
layer { name: "fc3" type: "InnerProduct" bottom: "joined" top: "fc3" inner_product_param { num_output: 4 transpose: true } }
layer { name: "global" type: "Pooling" bottom: "depthwise" top: "global" pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc4" type: "InnerProduct" bottom: "global" top: "fc4" inner_product_param { num_output: 4 bias_term: false } }
layer { name: "sum" type: "Eltwise" bottom: "fc3" bottom: "fc4" top: "sum" }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """deploy.prototxt, net.caffemodel with random weights, and the net itself after a forward on random images."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "deploy.prototxt").write_text(NET)
    random = np.random.default_rng(0)
    net = made(folder / "deploy.prototxt", random)
    net.save(str(folder / "net.caffemodel"))
    net.blobs["data"].data[...] = random.normal(size=net.blobs["data"].data.shape)
    net.forward()
    return folder, net


def made(path, random):
    """A net whose weights are all random, BatchNorm's sums among them."""
    net = caffe.Net(str(path), caffe.TEST)
    for name, blobs in net.params.items():
        for blob in blobs:
            blob.data[...] = random.normal(size=blob.data.shape)
        if net.layer_dict[name].type == "BatchNorm":
            blobs[1].data[...] = random.uniform(1, 9, blobs[1].data.shape)
            blobs[2].data[...] = 3
    return net


#: Flat blobs that were other blobs, one behind the other.
FLAT = {
    "flat": ["deconv_grouped"],
    "flat_bn": ["deconv_grouped"],
    "flat_scale": ["deconv_grouped"],
    "reshaped": ["max"],
    "joined": ["fc2", "deconv_grouped", "max"],
}


def with_channels_last(net, name):
    """What Caffe has in a blob, with the channels of every image last, flattened or not."""
    blob, found = net.blobs[name].data, []
    for part in FLAT.get(name, [name]):
        shape = net.blobs[part].data.shape
        piece, blob = np.split(blob.reshape(2, -1), [np.prod(shape[1:])], axis=1)
        found.append(np.moveaxis(piece.reshape(shape), 1, -1))
    return np.concatenate([piece.reshape(2, -1) for piece in found], 1) if name in FLAT else found[0]


def rebuilt(folder, image, how):
    """The blobs of folder/net.npz on an image (samples, height, width, channels)."""
    if how == "numpy":
        return channels_last_net.run(str(folder / "net.npz"), numpy_ops, image)
    np.save(folder / "image.npy", image)
    command = [os.environ["TENSORFLOW_PYTHON"], "-m", "tests.channels_last", str(folder)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    with np.load(folder / "blobs.npz") as file:
        return dict(file)


@pytest.mark.parametrize("how", ["numpy", *(["tensorflow"] if "TENSORFLOW_PYTHON" in os.environ else [])])
def test_a_net_rebuilt_with_channels_last_computes_what_caffe_computes(folder, how):
    folder, net = folder
    export(str(folder / "net.caffemodel"), str(folder / "deploy.prototxt"), "tensorflow").write(str(folder / "net.npz"))
    blobs = rebuilt(folder, np.moveaxis(net.blobs["data"].data, 1, -1), how)
    assert set(blobs) >= set(net.params)
    for name, blob in blobs.items():
        expected = with_channels_last(net, name)
        assert blob.shape == expected.shape, name
        scale = np.abs(expected).max()
        np.testing.assert_allclose(blob, expected, rtol=0, atol=2e-5 * scale, err_msg=name)


def test_what_meta_says_of_layers(folder):
    folder, net = folder
    layers = {
        layer["name"]: layer
        for layer in export(str(folder / "net.caffemodel"), str(folder / "deploy.prototxt"), "tensorflow").layers
    }
    assert list(layers) == re.findall('layer { name: "(.*?)"', NET)
    for layer in layers.values():
        for name, shape in zip(layer["top"], layer["top_shape"]):
            found = net.blobs[name].data.shape[1:]
            assert tuple(shape) == (*found[1:], found[0]), name
    assert layers["conv1"]["padding"] == [(1, 1), (1, 1)]
    assert layers["max"]["padding"] == [(0, 1), (0, 1)]  # 7 rows and 5 columns, by windows of 2
    assert (layers["grouped"]["kernel"], layers["grouped"]["pad"], layers["grouped"]["group"]) == ((3, 2), (1, 0), 4)
    assert layers["dilated"]["dilation"] == (2, 2)
    assert layers["bn1"]["eps"] == 0.01
    assert layers["fc2"]["param"] == {"inner_product_param": {"num_output": 9, "transpose": True}}


def test_caffes_layout_needs_no_net(folder, tmp_path):
    folder, net = folder
    result = export(str(folder / "net.caffemodel"))
    result.write(str(tmp_path / "net.npz"))
    with np.load(tmp_path / "net.npz") as file:
        arrays = {name: file[name] for name in file.files}
    meta = json.loads(str(arrays.pop(META)))
    assert meta["layout"] == "caffe"
    assert {name for layer in meta["layers"] for name in layer["arrays"]} == set(arrays)
    for name in ("conv1", "grouped", "deconv", "fc1", "fc2"):
        for array, blob in zip(("weights", "biases"), net.params[name]):
            np.testing.assert_array_equal(arrays[f"{name}/{array}"], blob.data)
    assert "grouped/biases" not in arrays
    np.testing.assert_array_equal(arrays["scale1/gamma"], net.params["scale1"][0].data)
    np.testing.assert_array_equal(arrays["scale1/beta"], net.params["scale1"][1].data)
    np.testing.assert_array_equal(arrays["prelu/slope"], net.params["prelu"][0].data)
    np.testing.assert_allclose(arrays["bn1/mean"], net.params["bn1"][0].data / 3, rtol=1e-6)
    np.testing.assert_allclose(arrays["bn1/variance"], net.params["bn1"][1].data / 3, rtol=1e-6)
    with_net = export(str(folder / "net.caffemodel"), str(folder / "deploy.prototxt")).arrays
    assert set(with_net) == set(arrays)
    assert all((with_net[name] == arrays[name]).all() for name in arrays)


def test_weights_of_a_net_that_has_seen_nothing(folder, tmp_path):
    """BatchNorm's factor is 0 then, and Caffe takes mean and variance for 0."""
    folder, _ = folder
    net = caffe.Net(str(folder / "deploy.prototxt"), caffe.TEST)
    net.params["bn1"][0].data[...] = 5
    assert not net.params["bn1"][2].data.any()
    net.save(str(tmp_path / "new.caffemodel"))
    arrays = export(str(tmp_path / "new.caffemodel")).arrays
    assert not arrays["bn1/mean"].any()
    assert not arrays["bn1/variance"].any()


def test_old_weights(tmp_path):
    """V1 layers, whose blobs all have four axes."""
    random = np.random.default_rng(1)
    values = {"conv": [(4, 3, 5, 5), (1, 1, 1, 4)], "ip": [(1, 1, 10, 64), (1, 1, 1, 10)]}
    old = caffe_pb2.NetParameter(name="old")
    kinds = caffe_pb2.V1LayerParameter
    blobs = {}
    for name, kind in (("conv", kinds.CONVOLUTION), ("ip", kinds.INNER_PRODUCT)):
        layer = old.layers.add(name=name, type=kind)
        blobs[name] = [random.normal(size=shape).astype(np.float32) for shape in values[name]]
        for array in blobs[name]:
            num, channels, height, width = array.shape
            layer.blobs.add(num=num, channels=channels, height=height, width=width, data=array.reshape(-1).tolist())
    (tmp_path / "old.caffemodel").write_bytes(old.SerializeToString())
    arrays = export(str(tmp_path / "old.caffemodel")).arrays
    assert {name: array.shape for name, array in arrays.items()} == {
        "conv/weights": (4, 3, 5, 5), "conv/biases": (4,), "ip/weights": (10, 64), "ip/biases": (10,),
    }  # fmt: skip
    np.testing.assert_array_equal(arrays["ip/weights"], blobs["ip"][0][0, 0])
    (tmp_path / "old.prototxt").write_text("""
        input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
        layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 5 } }
        layers { name: "ip" type: INNER_PRODUCT bottom: "conv" top: "ip" inner_product_param { num_output: 10 } }""")
    arrays = export(str(tmp_path / "old.caffemodel"), str(tmp_path / "old.prototxt"), "tensorflow").arrays
    by_row = blobs["ip"][0].reshape(10, 4, 4, 4)  # out, channels, height, width
    np.testing.assert_array_equal(arrays["ip/weights"].reshape(4, 4, 4, 10), by_row.transpose(2, 3, 1, 0))


def test_weights_by_hdf5(folder, tmp_path):
    folder, net = folder
    net.save_hdf5(str(tmp_path / "net.caffemodel.h5"))
    arrays = export(str(tmp_path / "net.caffemodel.h5"), str(folder / "deploy.prototxt")).arrays
    expected = export(str(folder / "net.caffemodel"), str(folder / "deploy.prototxt")).arrays
    assert set(arrays) == set(expected)
    assert all((arrays[name] == expected[name]).all() for name in arrays)
    numbered = export(str(tmp_path / "net.caffemodel.h5")).arrays  # such a file does not say the types
    np.testing.assert_array_equal(numbered["conv1/0"], net.params["conv1"][0].data)


def test_the_order_of_flattened_images():
    images = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    flat = np.concatenate([images.reshape(-1), [100, 101], images.reshape(-1) + 1000])
    expected = [np.moveaxis(images, 0, -1).reshape(-1), [100, 101], np.moveaxis(images, 0, -1).reshape(-1) + 1000]
    order = channels_last([(2, 3, 4), (2,), (2, 3, 4)])
    np.testing.assert_array_equal(flat[order], np.concatenate(expected))
    assert channels_last([(2, None, 4)]) is None


DATA = 'layer { name: "train_data" type: "Data" top: "data" top: "label" include { phase: TEST } }\n'
AVERAGED = """layer { name: "global" type: "Pooling" bottom: "conv" top: "global" pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "global" top: "fc" inner_product_param { num_output: 2 } }"""
CONV = 'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } }\n'
FC = 'layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param { num_output: 2 } }\n'
INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 6 dim: 5 } } }\n'


@pytest.fixture
def small(tmp_path, monkeypatch):
    """net.caffemodel of a convolution and a layer behind it, in an own working directory."""
    monkeypatch.chdir(tmp_path)

    def write(text, trained=INPUT + CONV + FC):
        Path("trained.prototxt").write_text(trained)
        made("trained.prototxt", np.random.default_rng(2)).save("net.caffemodel")
        Path("net.prototxt").write_text(text)

    return write


def test_the_shape_of_what_a_net_reads_can_be_given(small):
    small(DATA + CONV + FC)
    with pytest.raises(ConfigError) as error:
        export("net.caffemodel", "net.prototxt", "tensorflow")
    assert error.value.source.endswith("net.prototxt:3")
    assert all(part in error.value.problem for part in ("layer 'fc'", "blob 'conv'", "4 x ? x ?"))
    assert "--shape data=CHANNELS,HEIGHT" in error.value.remedy
    given = export("net.caffemodel", "net.prototxt", "tensorflow", {"data": (3, 6, 5)}).arrays
    Path("deploy.prototxt").write_text(INPUT + CONV + FC)
    expected = export("net.caffemodel", "deploy.prototxt", "tensorflow").arrays
    assert all((given[name] == expected[name]).all() for name in expected)
    itself = export("net.caffemodel", "net.prototxt", "tensorflow", {"conv": (4, 4, 3)}).arrays
    np.testing.assert_array_equal(itself["fc/weights"], expected["fc/weights"])
    with pytest.raises(ConfigError) as error:
        export("net.caffemodel", "net.prototxt", "tensorflow", {"anchor": (3, 6, 5)})
    assert error.value.source.endswith("net.prototxt")
    assert "'anchor'" in error.value.problem and "conv, data, fc, label" in error.value.remedy


def test_the_train_net_says_the_shape_of_what_it_reads(small):
    """By `resize` or `crop_size`; channels that only the source has are asked for where rows depend on them."""
    options = "'source': 'list.csv', 'resize': [6, 5]"
    ours = 'layer {{ name: "train_data" type: "Python" top: "data" python_param {{ module: "caffe_pylayers" layer: "ImageDataLayer" param_str: "{}" }} }}\n'
    small(ours.format(options) + CONV + FC)
    found = export("net.caffemodel", "net.prototxt", "tensorflow").arrays
    Path("deploy.prototxt").write_text(INPUT + CONV + FC)
    expected = export("net.caffemodel", "deploy.prototxt", "tensorflow").arrays
    np.testing.assert_array_equal(found["fc/weights"], expected["fc/weights"])
    flat = FC.replace('"conv"', '"data"')
    small(ours.format(options) + flat, trained=INPUT + flat)
    assert export("net.caffemodel", "net.prototxt", "tensorflow").arrays["fc/weights"].shape == (90, 2)
    Path("net.prototxt").write_text(ours.format(f"'source_type': 'LMDB', {options}") + flat)
    with pytest.raises(ConfigError) as error:
        export("net.caffemodel", "net.prototxt", "tensorflow")
    assert "? x 6 x 5" in error.value.problem and "--shape data=CHANNELS" in error.value.remedy


def test_what_need_not_be_known_is_not_asked_for(small):
    """One position a channel: there is no order of positions."""
    small(DATA + CONV + AVERAGED, trained=INPUT + CONV + AVERAGED)
    assert export("net.caffemodel", "net.prototxt", "tensorflow").arrays["fc/weights"].shape == (4, 2)
    tiny = INPUT.replace("dim: 6 dim: 5", "dim: 3 dim: 3")  # a number a channel is left of it
    small(DATA + CONV + FC, trained=tiny + CONV + FC)
    assert export("net.caffemodel", "net.prototxt", "tensorflow").arrays["fc/weights"].shape == (4, 2)


REFUSED = {
    "no net": (None, "the layout of TensorFlow needs the net: .* give it with --net"),
    "another shape": (
        INPUT.replace("dim: 6", "dim: 9") + CONV + FC,
        "layer 'fc' has a bottom of 4 x 7 x 3 = 84 numbers, but its weights are for 48",
    ),
    "other channels": (
        INPUT.replace("dim: 3", "dim: 1") + CONV + FC,
        "net.prototxt:2: layer 'conv' has a bottom of 1 channels, but its weights of shape 4 x 3 x 3 x 3 are for 3",
    ),
    "other outputs": (
        INPUT + CONV + FC.replace("num_output: 2", "num_output: 10"),
        "net.caffemodel: the weights of layer 'fc' have shape 2 x 48, for 2 outputs, and net.prototxt:3 has num_output 10",
    ),
    "other names": (
        (INPUT + CONV + FC).replace('name: "conv"', 'name: "conv1"').replace('name: "fc"', 'name: "ip"'),
        "net.caffemodel: no layer of net.prototxt has weights in it; its layers: conv, fc",
    ),
    "a layer of which nothing is known": (
        INPUT + CONV + 'layer { name: "own" type: "Python" bottom: "conv" top: "own" }' + FC.replace('"conv"', '"own"'),
        r"layer 'own' \(type Python\) gives it; give it: --shape own=CHANNELS,HEIGHT,WIDTH",
    ),
    "rows of images": (
        INPUT + CONV + FC.replace("num_output: 2", "num_output: 2 axis: 2"),
        "net.prototxt:3: layer 'fc' has axis 2 and a bottom of 4 axes: .* export in Caffe's layout",
    ),
    "no number": (INPUT + CONV.replace("num_output: 4", "num_output: x") + FC, "net.prototxt:2: layer 'conv': num_output must be"),
    "no kernel": (INPUT + CONV.replace("kernel_size: 3", "") + FC, "net.prototxt:2: layer 'conv': kernel_size is missing"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_exported_for_tensorflow(small, text, message):
    small(text or "")
    with pytest.raises((ConfigError, DataError), match=message):
        export("net.caffemodel", text and "net.prototxt", "tensorflow")


def test_truncated_weights(folder, tmp_path):
    """Wherever a copy was cut short: an error that says so, unless only whole layers are missing."""
    folder, _ = folder
    content = (folder / "net.caffemodel").read_bytes()
    whole = export(str(folder / "net.caffemodel")).arrays
    errors = 0
    for length in range(0, len(content), len(content) // 97):
        (tmp_path / "cut.caffemodel").write_bytes(content[:length])
        try:
            found = export(str(tmp_path / "cut.caffemodel")).arrays
        except DataError as error:
            assert str(tmp_path / "cut.caffemodel") in str(error)
            errors += 1
        else:
            assert all((found[name] == whole[name]).all() for name in found)
    assert errors > 90


@pytest.mark.parametrize(
    "shape", [[], [0], [5], [1, 2, 3], [1, 1, 3, 4], [2, 2, 2, 2, 2], [2, 0, 3, 3], [1] * 33], ids=str
)
def test_weights_of_any_shape_are_arrays_or_an_error_of_ours(folder, tmp_path, shape):
    """As in files of other programs, and damaged ones."""
    folder, _ = folder
    sound = caffe_pb2.NetParameter.FromString((folder / "net.caffemodel").read_bytes())
    path, deploy = str(tmp_path / "odd.caffemodel"), str(folder / "deploy.prototxt")
    numbers = int(np.prod(shape))
    exported = 0
    for place, number in [(i, j) for i, layer in enumerate(sound.layer) for j in range(len(layer.blobs))]:
        odd = caffe_pb2.NetParameter()
        odd.CopyFrom(sound)
        blob = caffe_pb2.BlobProto(data=range(numbers), shape=caffe_pb2.BlobShape(dim=shape))
        odd.layer[place].blobs[number].CopyFrom(blob)
        Path(path).write_bytes(odd.SerializeToString())
        for net, layout in ((None, "caffe"), (deploy, "caffe"), (deploy, "tensorflow")):
            try:
                export(path, net, layout)
                exported += 1
            except (ConfigError, DataError) as error:
                assert odd.layer[place].name in str(error) or path in str(error)
    assert bool(exported) == (len(shape) <= 32)  # what a layer of that type has no use for stays as it is


def test_the_command(folder, tmp_path):
    folder, _ = folder
    (tmp_path / "more.prototxt").write_text(
        NET.replace('name: "fc3"', 'name: "fc3_new"') + 'layer { name: "relu" type: "ReLU" bottom: "fc4" top: "relu" }'
    )
    arguments = ["export", str(folder / "net.caffemodel"), "--output", "out.npz", "--layout", "TensorFlow"]
    done = run(*arguments, "--net", "more.prototxt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\nconv1/weights " in done.stdout
    assert "3 x 3 x 3 x 8" in done.stdout
    assert "out.npz: 27 arrays of 15 layers, in TensorFlow's layout" in done.stdout
    errors = " ".join(done.stderr.split())
    assert "not in more.prototxt, and left out: fc3 " in errors
    assert f"no weights in {folder}/net.caffemodel: fc3_new" in errors.replace("/ ", "/")
    assert "Padded layers: conv1, grouped, max, dilated, depthwise, ave" in errors
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".prototxt"] == ["out.npz"]
    again = run(*arguments, "--net", "more.prototxt", cwd=tmp_path)
    assert again.returncode == 2
    assert "out.npz is there already; --force overwrites it" in again.stderr
    told = json.loads(run(*arguments, "--net", "more.prototxt", "--json", "--force", cwd=tmp_path).stdout)
    assert told["arrays"]["conv1/weights"] == {"shape": [3, 3, 3, 8], "dtype": "float32"}
    assert told["output"] == "out.npz"


def test_layers_of_which_there_is_no_layout(small):
    """A recurrent net: what has no layout of its own comes as Caffe has it, and is named."""
    text = """
    layer { name: "in" type: "Input" top: "x" top: "cont"
      input_param { shape { dim: 4 dim: 2 dim: 5 } shape { dim: 4 dim: 2 } } }
    layer { name: "lstm" type: "LSTM" bottom: "x" bottom: "cont" top: "h" recurrent_param {
      num_output: 3 weight_filler { type: "uniform" } } }
    layer { name: "scores" type: "InnerProduct" bottom: "h" top: "scores" inner_product_param { num_output: 7 axis: 2 } }"""
    small(text, trained=text)
    done = run("export", "net.caffemodel", "--net", "net.prototxt", "--layout", "tensorflow", "--shape", "h=2,3")
    assert done.returncode == 0, done.stderr
    with np.load("net.npz") as file:
        assert {"lstm/0", "lstm/1", "lstm/2"} <= set(file.files)
        assert file["scores/weights"].shape == (3, 7)
    assert done.stderr == "written as in Caffe, because their types have no TensorFlow layout here: lstm\n"


@pytest.mark.parametrize("shape", ["3,4,5", "data=", "data=3,0,5", "data=3,x", "=3"])
def test_a_shape_that_is_none(tmp_path, shape):
    (tmp_path / "net.caffemodel").write_bytes(b"")
    done = run("export", "net.caffemodel", "--shape", shape, cwd=tmp_path)
    assert done.returncode == 2
    assert "--shape is written BLOB=CHANNELS,HEIGHT,WIDTH, as in --shape data=3,224,224" in done.stderr


def test_importing_export_needs_no_caffe():
    code = "import sys; import caffe_pylayers.commands.export.export; print('caffe' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=transcripts.environment(), capture_output=True, text=True)
    assert done.stdout == "False False\n"
