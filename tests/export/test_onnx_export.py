"""What `export --onnx` takes, names and refuses."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from caffe_pylayers.caffe_files.weights import read_weights
from caffe_pylayers.commands.export.onnx.export import export_onnx
from caffe_pylayers.commands.export.onnx.net import graph_of
from caffe_pylayers.errors import ConfigError, DataError
from tests.export.onnx_nets import compare, layer, made, own
from tests.export.topologies import conv, dense, relu
from tests.program import run

IMAGES = {"data": (2, 3, 8, 6)}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Makes net.prototxt and net.caffemodel of layers, and exports them."""
    monkeypatch.chdir(tmp_path)

    def export(layers, inputs=IMAGES, **more):
        net, prototxt, weights = made("", layers, inputs)
        return net, export_onnx(prototxt, weights, "net.onnx", **more)

    return export


def names(tensors):
    return [tensor.name for tensor in tensors]


def test_in_place_layers_keep_the_name_of_their_blob(small):
    net, result = small([conv("conv", "data", 4, 3), relu("conv"), layer("TanH", "conv", "conv")])
    assert names(result.outputs) == ["conv"]
    compare(net, result.path)


def test_a_blob_that_comes_in_and_is_changed_in_place(small):
    """The name is that of what comes in."""
    _, result = small([layer("Power", "data", "data", "power_param { shift: 1 }")])
    assert names(result.inputs) == ["data"] and names(result.outputs) == ["data/0"]
    model = onnx.load(result.path)
    assert [node.op_type for node in model.graph.node] == ["Add", "Identity"]


def test_blobs_that_hold_the_same(small):
    """A layer that does nothing in TEST, of what is computed, and of what comes in."""
    net, result = small(
        [layer("Split", "data", "a b"), layer("ReLU", "a", "c"), layer("Dropout", "c", "d"), layer("Split", "d", "e f")]
    )
    assert sorted(names(result.outputs)) == ["b", "e", "f"]
    compare(net, result.path)


def test_blobs_that_are_asked_for(small):
    """Only the layers that they depend on, and only what these read."""
    layers = [conv("conv", "data", 4, 3), relu("conv"), dense("ip", "conv", 5), layer("Eltwise", "ip other", "sum")]
    net, result = small(layers, {**IMAGES, "other": (2, 5)}, blobs=["ip", "conv"])
    assert names(result.inputs) == ["data"]
    assert [node.op_type for node in onnx.load(result.path).graph.node] == ["Conv", "Relu", "Reshape", "Gemm"]
    compare(net, result.path, outputs=["ip", "conv"])


@pytest.mark.parametrize(
    "blobs, problem, remedy",
    [
        (["fc"], "'fc' is none of its blobs", "conv, data, ip, label, loss"),
        (["data"], "blob 'data' is what the net reads", "a layer computes"),
        (
            ["loss"],
            "blob 'loss' cannot be exported: layer 'loss_layer' (type SoftmaxWithLoss) is left out",
            "before it",
        ),
    ],
)
def test_blobs_that_cannot_be_had(blobs, problem, remedy, small):
    with pytest.raises(ConfigError) as error:
        small(
            [conv("conv", "data", 4, 3), dense("ip", "conv", 5), layer("SoftmaxWithLoss", "ip label", "loss")],
            {**IMAGES, "label": (2,)},
            blobs=blobs,
        )
    assert (error.value.problem, error.value.source) == (problem, "net.prototxt")
    assert remedy in error.value.remedy
    assert not os.path.exists("net.onnx")


TRAINED = [conv("conv", "data", 4, 3), relu("conv"), dense("ip", "conv", 5)]
MEASURED = layer("Accuracy", "ip label", "accuracy") + layer("SoftmaxWithLoss", "ip label", "loss")
DATA = 'layer { name: "train" type: "Data" top: "data" top: "label" data_param { source: "lmdb" } TRANSFORM }\n'


def test_a_net_that_is_trained(small, tmp_path):
    """What depends on its labels is left out; the shape of what it reads is given, or that of its crops; a solver names it."""
    small(TRAINED)
    expected = Path("net.onnx").read_bytes()
    Path("train_val.prototxt").write_text(DATA.replace("TRANSFORM", "") + "".join(TRAINED) + MEASURED)
    Path("solver.prototxt").write_text('net: "train_val.prototxt" base_lr: 1\n')
    for file in ("train_val.prototxt", "solver.prototxt"):
        with pytest.raises(ConfigError) as error:
            export_onnx(file, "net.caffemodel", "other.onnx")
        assert "blob 'data': its shape is not known: layer 'train' (type Data) gives it" in error.value.problem
        assert error.value.remedy.endswith("--shape data=CHANNELS,HEIGHT,WIDTH")
        result = export_onnx(file, "net.caffemodel", "other.onnx", {"data": (3, 8, 6)})
        assert result.left_out == ["accuracy_layer (Accuracy)", "loss_layer (SoftmaxWithLoss)"]
        assert Path("other.onnx").read_bytes() == expected
    ours = "'source': 'list.csv', 'resize': [8, 6]"
    Path("ours.prototxt").write_text(own("ImageDataLayer", ours, "", "data label") + "".join(TRAINED) + MEASURED)
    assert [str(size) for size in export_onnx("ours.prototxt", "net.caffemodel", "ours.onnx").inputs[0].shape] == [
        "N",
        "3",
        "8",
        "6",
    ]
    with pytest.raises(ConfigError) as error:
        export_onnx("ours.prototxt", "net.caffemodel", "ours.onnx", {"conv": (3, 8, 6)})
    assert (error.value.problem, error.value.remedy) == ("'conv' is none of what it reads", "they are data, label")
    with pytest.raises(ConfigError) as error:
        export_onnx("train_val.prototxt", "net.caffemodel", "more.onnx", {"data": (3, 8, 6)}, ["accuracy"])
    assert "it depends on blob 'label'" in error.value.problem and "--shape label" in error.value.remedy


#: Layers that work over samples, of which a net of ONNX takes any number.
OVER_SAMPLES = {
    "Softmax": layer("Softmax", "data", "y", "softmax_param { axis: 0 }"),
    "Reduction": layer("Reduction", "data", "y"),
    "InnerProduct": layer("InnerProduct", "data", "y", "inner_product_param { num_output: 3 axis: 0 }"),
    "Slice": layer("Slice", "data", "y z", "slice_param { axis: 0 slice_point: 1 }"),
    "Reshape": layer("Reshape", "data", "y", "reshape_param { shape { dim: 2 dim: -1 } }"),
    "Scale": layer("Scale", "data", "y", "scale_param { axis: 0 }"),
    "ArgMax": layer("ArgMax", "data", "y", "argmax_param { axis: 0 }"),
    "BatchNorm": layer("BatchNorm", "data", "y", "batch_norm_param { use_global_stats: false }"),
    "Permute": own("Permute", "'order': [1, 0]", "data"),
    "L2Normalize": own("L2Normalize", "'axis': 0", "data"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OVER_SAMPLES)
def test_layers_over_samples_are_refused(kind, small):
    with pytest.raises(ConfigError) as error:
        small([OVER_SAMPLES[kind]])
    named = "Python" if "python_param" in OVER_SAMPLES[kind] else kind
    assert error.value.source == f"net.prototxt:2 {named} layer 'y_layer'"
    assert "sample" in error.value.problem or "batch" in error.value.problem
    assert error.value.remedy
    assert not os.path.exists("net.onnx")


def test_what_has_no_counterpart_is_named_at_once(small):
    """Each such layer, with its line."""
    layers = [
        conv("conv", "data", 4, 3),
        layer("Im2col", "conv", "columns", "convolution_param { kernel_size: 2 }"),
        own("SampleWeight", "'n_classes': 4", "conv", "weights"),
    ]
    with pytest.raises(ConfigError) as error:
        small(layers)
    first, second = error.value.problems
    assert (
        first.problem == "Im2col has no counterpart in ONNX here"
        and first.source == "net.prototxt:3 Im2col layer 'columns_layer'"
    )
    assert "SampleWeight has no counterpart" in second.problem and "net.prototxt:4" in second.source
    assert "--blob" in first.remedy
    _, result = small(layers, blobs=["conv"])
    assert names(result.outputs) == ["conv"]
    head = Path("net.prototxt").read_text().splitlines()[0]
    Path("net.prototxt").write_text(
        head + layer("DepthwiseConvolution", "data", "y", "convolution_param { num_output: 3 kernel_size: 3 }")
    )
    with pytest.raises(ConfigError) as error:
        export_onnx("net.prototxt", "net.caffemodel", "other.onnx")
    assert "DepthwiseConvolution has no counterpart" in error.value.problem
    assert error.value.remedy.startswith('write `type: "Convolution"` with `group` equal to num_output; or')


@pytest.mark.parametrize(
    "text, problem, known",
    [
        (
            layer("Pooling", "data", "y", "pooling_param { kernel_size: 3 ceil_mode: false }"),
            "ceil_mode is no field",
            "round_mode",
        ),
        (layer("ReLU", "data", "y", "relu_param { negative_slope: 'x' }"), "negative_slope must be a number", ""),
        (
            layer("Eltwise", "data data", "y", "eltwise_param { operation: MIN }"),
            "operation must be one of PROD, SUM, MAX",
            "",
        ),
        (
            layer("Eltwise", "data data", "y", "eltwise_param { operation: 3 }"),
            "operation must be one of PROD, SUM, MAX",
            "",
        ),
        (
            layer("Pooling", "data", "y", "pooling_param { kernel_size: 3 pool: STOCHASTIC }"),
            "pool STOCHASTIC is not in ONNX",
            "MAX",
        ),
        (layer("Pooling", "data", "y", "pooling_param { kernel_size: 20 }"), "a window of 20 does not fit", ""),
        (layer("Pooling", "data", "y", "pooling_param { kernel_size: 1 stride: 6 }"), "a window of 1 does not fit", ""),
        (layer("LRN", "data", "y z"), "only 1 of its 2 tops have a counterpart", "remove"),
        (layer("Softmax", "data", "y", "softmax_param { axis: 4 }"), "axis 4 is not an axis of its bottom", ""),
        (
            layer("Reshape", "data", "y", "reshape_param { shape { dim: 0 dim: 7 } }"),
            "144 numbers per sample do not fit",
            "",
        ),
        (
            layer("Reshape", "data", "y", "reshape_param { shape { dim: 2 dim: 144 } }"),
            "it gives the number of samples a place that is not the first, or a fixed size",
            "write 0 for the first dim",
        ),
    ],
)
def test_what_would_be_read_in_another_way(text, problem, known, small):
    """Caffe itself may take neither: a net that it does not read is read here too."""
    small([conv("conv", "data", 4, 3)])
    head = Path("net.prototxt").read_text().splitlines()[0]
    Path("net.prototxt").write_text(f"{head}\n{text}")
    with pytest.raises(ConfigError) as error:
        export_onnx("net.prototxt", "net.caffemodel", "other.onnx")
    assert error.value.problem.startswith(problem)
    assert "net.prototxt:2" in error.value.source and known in error.value.remedy
    assert not os.path.exists("other.onnx")


def test_a_net_of_an_old_caffe(small):
    """Its `input` fields and numbered layer types."""
    _, result = small(TRAINED)
    expected = Path(result.path).read_bytes()
    text = "".join(Path("net.prototxt").read_text().splitlines(keepends=True)[1:])
    Path("old.prototxt").write_text('input: "data" input_dim: 2 input_dim: 3 input_dim: 8 input_dim: 6\n' + text)
    export_onnx("old.prototxt", "net.caffemodel", "old.onnx")
    assert Path("old.onnx").read_bytes() == expected


def test_weights_of_another_net(small):
    small([conv("conv", "data", 4, 3), dense("ip", "conv", 5)])
    for text, problem in (
        (
            dense("ip2", "data", 5),
            "it has no blobs, but net.prototxt:2 InnerProduct layer 'ip2_layer' needs at least 1",
        ),
        (
            dense("ip", "data", 5),
            "blob 0 has shape 5 x 96, but net.prototxt:2 InnerProduct layer 'ip_layer' needs 5 x 144",
        ),
        (conv("conv", "data", 4, 5), "blob 0 has shape 4 x 3 x 3 x 3, but"),
    ):
        head = Path("net.prototxt").read_text().splitlines()[0]
        Path("net.prototxt").write_text(f"{head}\n{text}")
        with pytest.raises(DataError) as error:
            export_onnx("net.prototxt", "net.caffemodel", "net.onnx")
        assert error.value.problem.startswith(problem)
        assert error.value.source.startswith("net.caffemodel: layer")
        assert error.value.remedy


def test_types_of_forks(small):
    """As SSD, PSPNet and SphereFace write them: the file is that of our layers with the options of their fields."""
    ours = [
        own("Normalize", "'across_spatial': False, 'channel_shared': False", "data", "a"),
        own("Interp", "'zoom_factor': 3", "a", "b"),
        own("Permute", "'order': [0, 2, 3, 1]", "b", "c"),
        own("MarginInnerProduct", "'num_output': 4, 'type': 'DOUBLE'", "c label", "d"),
    ]
    theirs = [
        layer("Normalize", "data", "a", "norm_param { across_spatial: false channel_shared: false }"),
        layer("Interp", "a", "b", "interp_param { zoom_factor: 3 }"),
        layer("Permute", "b", "c", "permute_param { order: 0 order: 2 order: 3 order: 1 }"),
        layer("MarginInnerProduct", "c label", "d", "margin_inner_product_param { num_output: 4 type: DOUBLE }"),
    ]
    net, _ = small(ours, {**IMAGES, "label": (2,)})
    head = "\n".join(Path("net.prototxt").read_text().splitlines()[:2])
    Path("net.prototxt").write_text(f"{head}\n" + "".join(theirs))
    compare(net, export_onnx("net.prototxt", "net.caffemodel", "fork.onnx").path)
    assert Path("fork.onnx").read_bytes() == Path("net.onnx").read_bytes()
    for text, problem in (
        (layer("Upsample", "data", "a", "upsample_param { scale: 2 }"), "it may be another Upsample"),
        (layer("Permute", "data", "a", "permute_param { order: 0 axes: 2 }"), "its layer here has no option 'axes'"),
        (layer("Interp", "data", "a", "interp_param { zoom_factor: 0 }"), "option 'zoom_factor' must be"),
    ):
        Path("net.prototxt").write_text(f"{head}\n{text}")
        with pytest.raises(ConfigError) as error:
            export_onnx("net.prototxt", "net.caffemodel", "fork.onnx")
        assert problem in error.value.problem
        assert "net.prototxt:3" in error.value.source


def test_weights_go_from_file_to_file_as_they_are(small):
    """They are not held a second time, and lie in the file as raw float32."""
    small([conv("conv", "data", 4, 3), dense("ip", "conv", 5)])
    graph, _ = graph_of("net.prototxt", "net.caffemodel", {})
    large = [value for value in graph.constants.values() if value.size > 50]
    assert len(large) == 2
    assert not any(value.flags.owndata for value in large)  # they are views of what was read
    stored = {tensor.name: tensor.raw_data for tensor in onnx.load("net.onnx").graph.initializer}
    for blobs in (each.blobs for each in read_weights("net.caffemodel") if each.blobs):
        assert np.asarray(blobs[0], "<f4").tobytes() in stored.values()


def test_what_the_file_says_of_itself(small):
    _, result = small(
        [conv("conv", "data", 4, 3), own("ROIPooling", "'pooled_h': 2, 'pooled_w': 2", "conv rois", "y")],
        {**IMAGES, "rois": (9, 5)},
    )
    model = onnx.load(result.path)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 13)]
    assert {each.key: each.value for each in model.metadata_props}["opset"] == "13"
    dims = {
        tensor.name: [dim.dim_param or dim.dim_value for dim in tensor.type.tensor_type.shape.dim]
        for tensor in (*model.graph.input, *model.graph.output)
    }
    assert dims == {"data": ["N", 3, 8, 6], "rois": ["N_rois", 5], "y": ["N_rois", 4, 2, 2]}


def test_a_model_is_written_where_onnx_is_missing(small, monkeypatch):
    _, checked = small(TRAINED)
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = export_onnx("net.prototxt", "net.caffemodel", "unchecked.onnx")
    assert checked.checked_by == onnx.__version__ and not result.checked_by and "onnx" in result.unchecked
    assert Path("unchecked.onnx").read_bytes() == Path("net.onnx").read_bytes()


def test_the_command(small, tmp_path):
    net, _ = small(TRAINED)
    os.remove("net.onnx")
    Path("train_val.prototxt").write_text(DATA.replace("TRANSFORM", "") + "".join(TRAINED) + MEASURED)
    shape = ("--shape", "data=3,8,6")
    result = run("export", "net.caffemodel", "--net", "train_val.prototxt", "--onnx", *shape, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[1:3] == [["input", "data", *"Nx3x8x6"], ["output", "ip", *"Nx5"]]
    assert lines[-1][:3] == ["net.onnx:", "opset", "13,"] and f"checked by onnx {onnx.__version__}" in result.stdout
    assert "left out of train_val.prototxt: accuracy_layer (Accuracy), loss_layer (SoftmaxWithLoss)" in result.stderr
    compare(net, "net.onnx")
    again = ("export", "net.caffemodel", "--net", "net.prototxt", "--onnx", "--json")
    assert run(*again, cwd=tmp_path).returncode == 2  # it is there already
    told = json.loads(run(*again, "--force", "--blob", "conv", cwd=tmp_path).stdout)
    assert told["outputs"] == {"conv": ["N", 4, 6, 4]} and told["opset"] == 13 and told["checked_by"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--onnx",), "--onnx needs the net that has these weights: give it with --net"),
        (("--onnx", "--net", "net.prototxt", "--layout", "tensorflow"), "leave out one of them"),
        (("--net", "net.prototxt", "--blob", "ip"), "give --onnx too"),
    ],
)
def test_options_that_do_not_go_together(arguments, message, tmp_path):
    result = run("export", "net.caffemodel", *arguments, cwd=tmp_path)
    assert result.returncode == 2 and message in " ".join(result.stderr.split())
