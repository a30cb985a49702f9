"""`caffe-pylayers migrate`: what it prints and writes, its status, and what it makes of trained weights."""

import time

import caffe
import cv2
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from caffe_pylayers.caffe_files.prototxt import parse
from caffe_pylayers.caffe_files.weights import read_weights
from caffe_pylayers.commands.check.checking import check_files
from caffe_pylayers.commands.migrate.migrate import migrate
from tests.caffe_nets import layer_text

INPUT = layer_text("Input", [], ["x"], "input_param { shape { dim: 3 dim: 4 dim: 2 dim: 2 } }")


@pytest.fixture
def write(tmp_path):
    """A function: a name, and the text of a net -> its path."""

    def write(name, text):
        (tmp_path / name).write_text(text)
        return name

    return write


NORMALIZE = layer_text("Normalize", ["x"], ["y"])
AXPY = 'name: "n"\nlayer { name: "a" type: "Axpy" bottom: "s" bottom: "x" bottom: "y" top: "z" }  # SENet\n'
MOVED = AXPY.replace('"Axpy"', '"Python"  python_param { module: "caffe_pylayers"  layer: "Axpy" }')


def test_without_an_output_the_net_is_printed(write, command):
    assert command("migrate", write("net.prototxt", AXPY)) == (0, MOVED, "")


def test_a_dry_run_shows_the_changes_and_writes_nothing(write, command, tmp_path):
    status, out, err = command("migrate", write("net.prototxt", AXPY), "--dry-run", "-o", "new.prototxt")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "--- net.prototxt", "+++ net.prototxt (new)", "@@ -1,2 +1,2 @@", ' name: "n"', f"-{AXPY.splitlines()[1]}", f"+{MOVED.splitlines()[1]}",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["net.prototxt"]


def test_the_new_net_is_written_and_nothing_is_overwritten(write, command, tmp_path):
    write("net.prototxt", AXPY)
    assert command("migrate", "net.prototxt", "-o", "new.prototxt")[:2] == (0, "wrote new.prototxt\n")
    assert (tmp_path / "new.prototxt").read_text() == MOVED
    (tmp_path / "new.prototxt").write_text("mine")
    status, out, err = command("migrate", "net.prototxt", "-o", "new.prototxt")
    assert (status, out) == (2, "") and "--force overwrites it" in err
    assert (tmp_path / "new.prototxt").read_text() == "mine"
    assert command("migrate", "net.prototxt", "-o", "new.prototxt", "--force")[0] == 0
    status, _, err = command("migrate", "net.prototxt", "-o", "net.prototxt", "--force")
    assert status == 2 and "also the input" in err


def test_bytes_that_are_no_utf_8_stay(command, tmp_path):
    (tmp_path / "net.prototxt").write_bytes(
        b'name: "caf\xe9"  # \xff\r\nlayer { type: "Axpy"\r\n' + b'bottom: "s" bottom: "x" bottom: "y" top: "z" }'
    )
    assert command("migrate", "net.prototxt", "-o", "new.prototxt")[0] == 0
    assert (tmp_path / "new.prototxt").read_bytes().startswith(b'name: "caf\xe9"  # \xff\r\nlayer { type: "Python"')


def test_a_solver_is_written_with_those_of_its_nets_that_change(write, command, tmp_path):
    write("net.prototxt", AXPY)
    write("stock.prototxt", 'layer { name: "a"  type: "ReLU"  bottom: "x"  top: "y" }\n')
    text = 'train_net: "net.prototxt"  # to train\ntest_net: "stock.prototxt"\ntest_iter: 1\nbase_lr: 1\n'
    write("solver.prototxt", text)
    status, out, _ = command("migrate", "solver.prototxt", "-o", "moved")
    assert (status, out) == (0, "wrote moved/solver.prototxt\nwrote moved/net.prototxt\n")
    assert (tmp_path / "moved/solver.prototxt").read_text() == text.replace('"net.', '"moved/net.')
    assert (tmp_path / "moved/net.prototxt").read_text() == MOVED
    status, _, err = command("migrate", "solver.prototxt")
    assert status == 2 and "name a folder" in err
    assert command("migrate", "solver.prototxt", "--dry-run", "-o", "moved")[1].count("+++ ") == 2


def test_a_net_within_a_solver_is_moved(write, command):
    write("solver.prototxt", f"base_lr: 1  # rate\nnet_param {{\n{AXPY}}}\n")
    status, out, _ = command("migrate", "solver.prototxt", "-o", "moved")
    assert (status, out) == (0, "wrote moved/solver.prototxt\n")
    (solver,) = migrate("moved/solver.prototxt")
    assert solver.new == f"base_lr: 1  # rate\nnet_param {{\n{MOVED}}}\n"


def test_a_list_of_nets_of_a_solver_keeps_all(write, command, tmp_path):
    write("net.prototxt", AXPY)
    write("stock.prototxt", 'layer { name: "a"  type: "ReLU"  bottom: "x"  top: "y" }\n')
    write(
        "solver.prototxt",
        'test_net: ["net.prototxt", "stock.prototxt"]\ntrain_net: "net.prototxt"\ntest_iter: [1, 2]\n',
    )
    assert command("migrate", "solver.prototxt", "-o", "moved")[0] == 0
    solver = parse((tmp_path / "moved/solver.prototxt").read_text())
    assert solver.all("test_net") == ["moved/net.prototxt", "stock.prototxt"]
    assert solver.all("train_net") == ["moved/net.prototxt"] and solver.all("test_iter") == [1, 2]


def test_one_net_by_two_names(write, command, tmp_path):
    write("net.prototxt", AXPY)
    write("solver.prototxt", 'train_net: "net.prototxt" test_net: "./net.prototxt" test_iter: 1')
    status, _, err = command("migrate", "solver.prototxt", "-o", "moved")
    assert (status, err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "moved").iterdir()) == ["net.prototxt", "solver.prototxt"]


def test_two_nets_of_one_name_are_refused(write, command, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.prototxt").write_text(AXPY)
    write("solver.prototxt", 'train_net: "a/net.prototxt" test_net: "b/net.prototxt" test_iter: 1')
    status, _, err = command("migrate", "solver.prototxt", "-o", "moved")
    assert status == 2 and "two files" in err and "rename one" in err


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["-o", "a.prototxt", "-o", "b.prototxt"], "one net or folder"),
        (["-o", "a.caffemodel"], "--weights"),
        (["-o", "a.caffemodel.h5", "--weights", "w"], "not HDF5"),
    ],
)
def test_outputs_that_cannot_be(arguments, says, write, command):
    status, out, err = command("migrate", write("net.prototxt", AXPY), *arguments)
    assert (status, out) == (2, "") and says in err


def test_a_solver_whose_net_is_missing(write, command):
    status, _, err = command("migrate", write("solver.prototxt", 'net: "no.prototxt" base_lr: 1'), "--dry-run")
    assert status == 2 and "solver.prototxt:1" in err and "there is no such file" in err


def test_a_list_is_written_once_and_never_over_another(of_forks, command, monkeypatch, tmp_path):
    monkeypatch.chdir(of_forks)
    status, out, _ = command("migrate", "fcn.prototxt", "-o", str(tmp_path / "one.prototxt"))
    lists = [str(tmp_path / f"voc_{split}.txt") for split in ("train", "seg11valid")]
    assert (status, out.splitlines()) == (0, [f"wrote {path}" for path in (tmp_path / "one.prototxt", *lists)])
    assert (tmp_path / "voc_seg11valid.txt").read_text() == "JPEGImages/3.jpg SegmentationClass/3.png\n"
    assert command("migrate", "fcn.prototxt", "-o", str(tmp_path / "two.prototxt"))[0] == 0
    (tmp_path / "voc_train.txt").write_text("mine")
    status, _, err = command("migrate", "fcn.prototxt", "-o", str(tmp_path / "three.prototxt"))
    assert status == 2 and f"{lists[0]} is there already" in err and not (tmp_path / "three.prototxt").exists()
    status, out, err = command("migrate", "fcn.prototxt")
    assert status == 0 and "voc_train.txt" in err and "-o" in err


# ----------------------------------------------------------------------------------------- what cannot be moved

#: Layers that stay, with what the reason and the remedy say.
LEFT = {
    "a loss with alpha in place of the 1": (layer_text("FocalLoss", ["x", "y"], ["z"], "focal_loss_param { alpha: 1.1 }"), "FocalLoss", "in place of the 1"),
    "the same by its other name": (layer_text("SoftmaxWithFocalLoss", ["x", "y"], ["z"]), "SoftmaxWithFocalLoss", "in place of the 1"),
    "a Normalize of one of two forks": (NORMALIZE, "Normalize", "L2Normalize"),
    "a BN of one of two forks": (layer_text("BN", ["x"], ["y"]), "bn_param", "--weights"),
    "mean and variance as tops": (layer_text("BN", ["x"], ["y", "m", "v"], "bn_param { bn_mode: LEARN }"), "tops", "take them out"),
    "a BN without a top": ('layer { name: "b" type: "BN" bottom: "x" bn_param { momentum: 0.9 } }', "1 bottoms and 0 tops", "1 top"),
    "a BN of no known mode": (layer_text("BN", ["x"], ["y"], "bn_param { bn_mode: 2 }"), "bn_mode is 2", "INFERENCE"),
    "a mean that is shared": (
        layer_text("BN", ["x"], ["y"], 'bn_param { momentum: 0.9 } param { name: "s" } param { name: "b" } param { name: "m" } param { name: "v" }'), "shares its mean", "BatchNorm"),
    "a BN in a list": ('layer: [{ name: "b" type: "BN" bottom: "x" top: "y" bn_param { momentum: 0.9 } }]', "in a list", "of its own"),
    "a BN whose second name is taken": (
        'layer { name: "b" type: "BN" bottom: "x" top: "y" bn_param { momentum: 0.9 } } layer { name: "b_norm" type: "ReLU" bottom: "y" top: "z" }', "'b_norm'", "rename"),
    "a BN of a third fork": (layer_text("BN", ["x"], ["y"], "bn_param { r_max: 1 }"), "bn_param.r_max", ""),
    "a parameter in two parts": (layer_text("Interp", ["x"], ["y"], "interp_param { zoom_factor: 2 } interp_param { pad_beg: -1 }"), "'interp_param' is given twice", "in one"),
    "an Upsample of YOLO": (layer_text("Upsample", ["x"], ["y"], "upsample_param { scale: 2 }"), "Upsample", "Deconvolution"),
    "a field that is no option": (layer_text("L1Loss", ["x", "y"], ["z"], "l1_loss_param { l2_per_location: true }"), "l2_per_location", "take the field out"),
    "a value that is none": (layer_text("ROIPooling", ["x", "y"], ["z"], "roi_pooling_param { pooled_h: 0 pooled_w: 7 }"), "'pooled_h'", ""),
    "a bottom too few": (layer_text("Axpy", ["x"], ["y"]), "1 bottom", "add bottoms"),
    "a convolution without groups": (layer_text("DepthwiseConvolution", ["x"], ["y"], "convolution_param { num_output: 4 }"), "group", "group"),
    "an unknown type": (layer_text("NoSuchLayerAtAll", ["x"], ["y"]), "NoSuchLayerAtAll", "no layer of caffe_pylayers does it"),
    "a slip of the pen": (layer_text("Convolutoin", ["x"], ["y"]), "Convolutoin", "Convolution"),
    "labels of MATLAB": (
        'layer { name: "d" type: "Python" top: "x" top: "y" python_param { module: "voc_layers" layer: "SBDDSegDataLayer" param_str: "{\'sbdd_dir\': \'sbdd\', \'split\': \'train\'}" } }',
        "MATLAB", "caffe-pylayers list sbdd/img --maps sbdd/maps"),
    "a list that is not there": (
        'layer { name: "d" type: "Python" top: "x" top: "y" python_param { module: "voc_layers" layer: "VOCSegDataLayer" param_str: "{\'voc_dir\': \'no\', \'split\': \'val\'}" } }',
        "no/ImageSets/Segmentation/val.txt", "where you train"),
    "a param_str that is no dict": (
        'layer { name: "d" type: "Python" top: "x" top: "y" python_param { module: "voc_layers" layer: "VOCSegDataLayer" param_str: "x()" } }', "param_str", ""),
    "maps that are resized like photos": (
        layer_text("ImageLabelmapData", [], ["x", "y"], 'image_data_param { source: "list" batch_size: 1 new_height: 4 new_width: 4 }'), "resized", "beforehand"),
    "a label per image": (layer_text("ImageSegData", [], ["x", "y"], 'image_data_param { source: "list" label_type: IMAGE }'), "PIXEL", "ImageData"),
    "a mean off the labels": (
        layer_text("DenseImageData", [], ["x", "y"], 'dense_image_data_param { source: "list" batch_size: 1 } transform_param { scale: 2 }'), "labels too", "take"),
    "class weights that are not there": (layer_text("SoftmaxWithLoss", ["x", "y"], ["z"], "loss_param { weight_by_label_freqs: true }"), "class_weighting", "weight for each"),
    "cosines with a bias": (layer_text("InnerProduct", ["x"], ["y"], "inner_product_param { num_output: 3 normalize: true }"), "bias", ""),
}  # fmt: skip


@pytest.mark.parametrize("layer, problem, remedy", LEFT.values(), ids=LEFT)
def test_what_stays_is_listed_with_line_and_reason(layer, problem, remedy, write, command):
    text = f"# a comment\n{layer.rstrip()}  # stays\n"
    status, out, err = command("migrate", write("net.prototxt", text))
    assert (status, out) == (1, text)
    first, *rest = err.splitlines()
    assert first.startswith("net.prototxt:2: not moved: layer '") and problem in first
    assert remedy in " ".join(rest)
    (found,) = migrate("net.prototxt")[0].left
    assert (found.line, found.level) == (2, "error")


@pytest.mark.parametrize(
    "own, bottoms, target",
    [("FocalLoss", ["x", "t"], "dim: 3 dim: 1 dim: 2 dim: 2"), ("DiceLoss", ["x", "t"], "dim: 3 dim: 4 dim: 2 dim: 2"),
     ("TripletLoss", ["x", "t", "t"], "dim: 3 dim: 4 dim: 2 dim: 2")],
)  # fmt: skip
def test_the_remedy_for_a_loss_of_several_forks_is_one(own, bottoms, target, write, tmp_path):
    """Whoever knows that the fork's is this one writes what the remedy says."""
    layer = layer_text(own, bottoms, ["z"], "some_param { margin: 1 }")
    (found,) = migrate(str(tmp_path / write("net.prototxt", layer)))[0].left
    written = found.remedy.split("`")[1]
    text = INPUT + layer_text("Input", [], ["t"], f"input_param {{ shape {{ {target} }} }}")
    named = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
    text += f'layer {{ name: "z" {named} top: "z" loss_weight: 1 {written} }}'
    assert f'layer: "{own}"' in text
    path = str(tmp_path / write("moved.prototxt", text))
    assert check_files([path], build=False).findings == []
    caffe.Net(path, caffe.TEST)


def test_a_field_of_a_net_of_a_fork(write, command):
    """PSPNet's says how its fork shares memory."""
    text = f"mem_param {{ optimize_train: true }}\n{AXPY}"
    status, out, err = command("migrate", write("net.prototxt", text))
    assert (status, out) == (1, text.replace(AXPY, MOVED))
    assert err.startswith("net.prototxt:1: not moved: field 'mem_param'") and "take it out" in err


def test_a_list_of_one(write, command):
    layer = layer_text("Permute", ["x"], ["y"], "permute_param { order: 0 }")
    assert "{'order': [0]}" in command("migrate", write("net.prototxt", layer))[1]


# --------------------------------------------------------------------------------------------------- with weights


def weights(path, **layers):
    """A .caffemodel as a fork writes it: types and blobs by name."""
    net = caffe_pb2.NetParameter()
    for name, (kind, blobs) in layers.items():
        layer = net.layer.add(name=name, type=kind)
        for array in blobs:
            blob = layer.blobs.add()
            blob.shape.dim.extend(array.shape)
            blob.data.extend(np.ravel(array))
    path.write_bytes(net.SerializeToString())


def forward(folder, x):
    net = caffe.Net(str(folder / "new.prototxt"), str(folder / "new.caffemodel"), caffe.TEST)
    net.blobs["x"].data[...] = x
    return net.forward()["y"]


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(2, 3, size=(3, 4, 2, 2)).astype(np.float32)


def over(values):
    return np.reshape(values, (1, 4, 1, 1))


@pytest.mark.parametrize("param, shape, told", [
    ('bn_param { scale_filler { value: 1 } }', (1, 4, 1, 1), True),
    ("bn_param { bn_mode: INFERENCE }", (1, 4, 1, 1), True),
    ("bn_param { bn_mode: 1  # INFERENCE\n }", (1, 4, 1, 1), True),
    ("", (1, 4, 1, 1), False),
    ("bn_param { frozen: true eps: 0.01 }", (1, 4), True),
    ("", (1, 4), False),
])  # fmt: skip
def test_batch_norms_of_two_forks_give_the_same_numbers(param, shape, told, x, write, command, tmp_path):
    """SegNet's takes mean and variance of the batch, or none; PSPNet's those that it has counted."""
    random = np.random.default_rng(1)
    slope, bias, mean, variance = random.uniform(0.5, 2, (4, 4))
    blobs = [slope, bias] if len(shape) == 4 else [slope, bias, mean, variance]
    weights(tmp_path / "fork.caffemodel", bn=("BN", [blob.reshape(shape) for blob in blobs]))
    write("net.prototxt", INPUT + f'layer {{ name: "bn" type: "BN" bottom: "x" top: "y" {param} }}')
    arguments = [
        "migrate",
        "net.prototxt",
        "--weights",
        "fork.caffemodel",
        "-o",
        "new.prototxt",
        "-o",
        "new.caffemodel",
    ]
    assert command(*arguments) == (0, "wrote new.prototxt\nwrote new.caffemodel\n", "")
    assert (command("migrate", "net.prototxt")[0] == 0) == told
    assert check_files(["new.prototxt"], build=False).findings == []
    if len(shape) == 2:
        eps = 0.01 if "eps" in param else 1e-5
        expected = (x - over(mean)) / np.sqrt(over(variance) + eps)
    elif "INFERENCE" in param:
        expected = x
    else:
        expected = (x - x.mean((0, 2, 3), keepdims=True)) / np.sqrt(x.var((0, 2, 3), keepdims=True) + 1e-9)
    np.testing.assert_allclose(forward(tmp_path, x), expected * over(slope) + over(bias), rtol=1e-4, atol=1e-5)


def test_a_frozen_batch_norm_still_shares_its_scale(write, command):
    layer = layer_text("BN", ["x"], ["y"], 'bn_param { frozen: true } param { name: "s" lr_mult: 1 }')
    scale = parse(command("migrate", write("net.prototxt", layer))[1]).messages("layer")[1]
    rates = [(each.get("name"), each.get("lr_mult"), each.get("decay_mult")) for each in scale.messages("param")]
    assert rates == [("s", 0, 0), (None, 0, 0)]


def test_a_moved_batch_norm_is_written_as_hdf5(write, command, tmp_path):
    """Caffe writes a layer of a name with a slash only into a group that is there already."""
    write("net.prototxt", INPUT + 'layer { name: "bn" type: "BN" bottom: "x" top: "y" bn_param { momentum: 0.9 } }')
    moved = command("migrate", "net.prototxt")[1]
    assert not [layer.get("name") for layer in parse(moved).messages("layer") if "/" in layer.get("name")]
    caffe.Net(write("new.prototxt", moved), caffe.TEST).save_hdf5("new.h5")
    assert {layer.name for layer in read_weights("new.h5")} >= {"bn", "bn_norm"}


def test_weights_of_another_net_tell_nothing(write, command, tmp_path):
    weights(tmp_path / "fork.caffemodel", conv=("Convolution", [np.ones(1)]))
    for layer in (NORMALIZE, layer_text("BN", ["x"], ["y"])):
        assert command("migrate", write("net.prototxt", layer), "--weights", "fork.caffemodel")[0] == 1


def test_weights_of_another_batch_norm_than_the_net_says(write, command, tmp_path):
    weights(tmp_path / "fork.caffemodel", y_layer=("BN", [np.ones((1, 4))] * 4))
    layer = layer_text("BN", ["x"], ["y"], "bn_param { scale_filler { value: 1 } }")
    status, _, err = command("migrate", write("net.prototxt", layer), "--weights", "fork.caffemodel")
    assert status == 1 and "4 blobs" in err and "has 2" in err


@pytest.mark.parametrize("blobs, own", [(1, "Normalize"), (0, "L2Normalize")])
def test_weights_tell_whose_a_normalize_is(blobs, own, x, write, command, tmp_path):
    write("net.prototxt", INPUT + NORMALIZE)
    others = {"conv": ("Convolution", [np.ones((1, 1))])}
    weights(tmp_path / "fork.caffemodel", **others, y_layer=("Normalize", [np.array(20.0)] * blobs))
    status, out, _ = command("migrate", "net.prototxt", "--weights", "fork.caffemodel")
    assert status == 0 and f'layer: "{own}"' in out
    command("migrate", "net.prototxt", "--weights", "fork.caffemodel", "-o", "new.prototxt", "-o", "new.caffemodel")
    assert [(layer.name, layer.type) for layer in read_weights("new.caffemodel")] == [
        ("conv", "Convolution"),
        ("y_layer", own),
    ]
    norm = np.sqrt(np.square(x).sum((1, 2, 3), keepdims=True))
    if not blobs:
        weights(tmp_path / "new.caffemodel", **others)
    np.testing.assert_allclose(forward(tmp_path, x), x / norm * (20 if blobs else 1), rtol=1e-5)


def test_the_net_tells_whose_a_normalize_is(write, command):
    beside = layer_text(
        "InnerProduct", ["y"], ["z"], "inner_product_param { num_output: 3 normalize: true bias_term: false }"
    )
    out = command("migrate", write("net.prototxt", NORMALIZE + beside))[1]
    assert 'layer: "L2Normalize"  param_str: "{\'across_spatial\': True}"' in out
    with_param = NORMALIZE.replace("type:", "param { lr_mult: 1 } type:")
    assert 'layer: "Normalize"' in command("migrate", write("other.prototxt", with_param))[1]


# ---------------------------------------------------------------------------------- fields, bottoms, Python layers


def test_a_net_of_many_layers_takes_no_time(write, tmp_path):
    """A pass over all layers for each of them took 14 seconds here."""
    layers = [layer_text("ReLU", [f"x{number}"], [f"x{number + 1}"]) for number in range(1500)]
    begin = time.process_time()
    assert migrate(str(tmp_path / write("net.prototxt", "".join([*layers, AXPY]))))[0].moved == {"a": ("Axpy", "Axpy")}
    assert time.process_time() - begin < 5


def test_a_loss_of_the_fork_for_weighted_samples(write, command):
    layer = layer_text("SoftmaxWithLoss", ["x", "label", "w"], ["loss"], "loss_param { ignore_label: 3 }")
    python = parse(command("migrate", write("net.prototxt", layer))[1]).message("layer").message("python_param")
    assert python.get("layer") == "WeightedSoftmaxLoss"
    assert python.get("param_str") == "{'ignore_label': 3, 'normalize_by': 'count'}"


def test_depthwise_convolutions(write, command, tmp_path):
    layers = [layer_text(kind, ["x"], [kind], f"convolution_param {{ num_output: 4 kernel_size: 1 {group} }}")
              for kind, group in [("ConvolutionDepthwise", "engine: CAFFE"), ("DepthwiseConvolution", "group: 4")]]  # fmt: skip
    assert command("migrate", write("net.prototxt", INPUT + "".join(layers)), "-o", "new.prototxt")[0] == 0
    net = caffe.Net(str(tmp_path / "new.prototxt"), caffe.TEST)
    assert [blobs[0].data.shape for blobs in net.params.values()] == [(4, 1, 1, 1)] * 2


SEED = 'layer { name: "d" type: "Python" top: "a" top: "b" top: "c" python_param { module: "layers.TripletDataLayer" layer: "TripletDataLayer" param_str: "{\'source\': \'a.csv\', \'batch_size\': 32}" } }\n'


def test_a_layer_of_the_seed(write, command):
    out = command("migrate", write("net.prototxt", SEED))[1]
    python = parse(out).message("layer").message("python_param")
    assert [python.get(name) for name in ("module", "layer", "param_str")] == [
        "caffe_pylayers", "TripletDataLayer", "{'source': 'a.csv', 'batch_size': 32}",
    ]  # fmt: skip


def test_the_multi_label_layer_of_caffes_examples(of_forks, command, monkeypatch, tmp_path):
    """Its targets are the classes of the boxes in VOC's annotations; a list with them is written."""
    layer = (
        'layer { name: "data" type: "Python" top: "data" top: "label" python_param { module: "pascal_multilabel_datalayers" layer: "PascalMultilabelDataLayerSync" '
        "param_str: \"{'batch_size': 3, 'im_shape': [6, 8], 'split': 'train', 'pascal_root': 'VOC2011'}\" } }"
    )
    monkeypatch.chdir(of_forks)
    (of_forks / "multi.prototxt").write_text(layer)
    status, _, err = command("migrate", "multi.prototxt", "-o", str(tmp_path / "new.prototxt"))
    assert status == 0, err
    assert (tmp_path / "voc_train.txt").read_text() == "JPEGImages/0.jpg 7\nJPEGImages/1.jpg 7:11\nJPEGImages/2.jpg 7\n"
    assert [str(finding) for finding in check_files([str(tmp_path / "new.prototxt")], build=False).findings] == []
    net = caffe.Net(str(tmp_path / "new.prototxt"), caffe.TEST)
    net.forward()
    assert net.blobs["data"].data.shape == (3, 3, 6, 8)
    assert net.blobs["label"].data.reshape(3, 20)[:, [7, 11]].tolist() == [[1, 0], [1, 1], [1, 0]]


def test_hed_feeds_the_labels_of_its_fork(of_forks, monkeypatch):
    """The fork divides a map by 255 and rounds."""
    monkeypatch.chdir(of_forks)
    (hed,) = migrate("hed.prototxt")
    (of_forks / "hed_new.prototxt").write_text(hed.new.replace("'shuffle': True", "'shuffle': False"))
    net = caffe.Net("hed_new.prototxt", caffe.TRAIN)
    net.forward()
    grey = cv2.imread("edge0.png", cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(net.blobs["label"].data[0, 0], np.rint(grey / 255))
