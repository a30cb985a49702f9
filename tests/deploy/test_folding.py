"""BatchNorm, Scale and Bias in the layer before: the net gives the same, and what cannot be folded stays."""

import caffe
import numpy as np
import pytest

from caffe_pylayers.commands.deploy.deploy import deploy
from tests.caffe_nets import layer_text, net_text, write
from tests.deploy.against_caffe import by_caffe, by_opencv

INPUTS = {"x": (2, 6, 7, 9)}
CONV = layer_text("Convolution", ["x"], ["c"], "convolution_param { num_output: 4 kernel_size: 3 bias_term: false }")


def chain(first, *rest):
    """Layers, each in place on the top of the first."""
    top = "c"
    return first + "".join(
        layer_text(kind, [top], [top], more).replace(f"{top}_layer", f"l{i}") for i, (kind, more) in enumerate(rest)
    )


SCALE = ("Scale", "scale_param { bias_term: true }")
#: name -> (layers, their output, which layers are left)
FOLDED = {
    "in place": (chain(CONV, ("BatchNorm", ""), SCALE, ("ReLU", "")), "c", ["Convolution", "ReLU"]),
    "with blobs of their own": (
        CONV
        + layer_text("BatchNorm", ["c"], ["b"])
        + layer_text("Scale", ["b"], ["s"])
        + layer_text("ReLU", ["s"], ["y"]),
        "y",
        ["Convolution", "ReLU"],
    ),
    "groups": (
        chain(
            layer_text("Convolution", ["x"], ["c"], "convolution_param { num_output: 4 kernel_size: 3 group: 2 }"),
            ("BatchNorm", "batch_norm_param { eps: 0.1 }"),
        ),
        "c",
        ["Convolution"],
    ),
    "Deconvolution": (
        chain(
            layer_text("Deconvolution", ["x"], ["c"], "convolution_param { num_output: 4 kernel_size: 3 }"),
            ("BatchNorm", ""),
            SCALE,
        ),
        "c",
        ["Deconvolution"],
    ),
    "Deconvolution of groups": (
        chain(
            layer_text("Deconvolution", ["x"], ["c"], "convolution_param { num_output: 9 group: 3 kernel_size: 3 }"),
            ("BatchNorm", ""),
            SCALE,
        ),
        "c",
        ["Deconvolution"],
    ),
    "InnerProduct": (
        chain(
            layer_text("InnerProduct", ["x"], ["c"], "inner_product_param { num_output: 4 }"),
            ("BatchNorm", ""),
            SCALE,
            ("Bias", ""),
        ),
        "c",
        ["InnerProduct"],
    ),
    "transposed": (
        chain(
            layer_text(
                "InnerProduct", ["x"], ["c"], "inner_product_param { num_output: 4 transpose: true bias_term: false }"
            ),
            ("BatchNorm", ""),
        ),
        "c",
        ["InnerProduct"],
    ),
    "Dropout": (
        chain(
            layer_text("InnerProduct", ["x"], ["c"], "inner_product_param { num_output: 4 }"), ("Dropout", ""), SCALE
        ),
        "c",
        ["InnerProduct"],
    ),
    "Dropout with a blob of its own": (
        CONV + layer_text("Dropout", ["c"], ["d"]) + layer_text("TanH", ["d"], ["y"]),
        "y",
        ["Convolution", "TanH"],
    ),
    "two Dropouts, one behind the other": (
        CONV
        + layer_text("Dropout", ["c"], ["d"])
        + layer_text("Dropout", ["d"], ["e"])
        + layer_text("TanH", ["e"], ["y"]),
        "y",
        ["Convolution", "TanH"],
    ),
    "Dropout that is the output": (CONV + layer_text("Dropout", ["c"], ["d"]), "d", ["Convolution", "Dropout"]),
    "a second reader": (
        CONV + layer_text("BatchNorm", ["c"], ["b"]) + layer_text("Eltwise", ["b", "c"], ["y"]),
        "y",
        ["Convolution", "BatchNorm", "Eltwise"],
    ),
    "nothing before it": (layer_text("BatchNorm", ["x"], ["y"]), "y", ["BatchNorm"]),
    "ReLU between them": (chain(CONV, ("ReLU", ""), SCALE), "c", ["Convolution", "ReLU", "Scale"]),
    "the statistics of the batch": (
        chain(CONV, ("BatchNorm", "batch_norm_param { use_global_stats: false }")),
        "c",
        ["Convolution", "BatchNorm"],
    ),
    "a factor for each row": (
        chain(
            layer_text("Convolution", ["x"], ["c"], "convolution_param { num_output: 4 kernel_h: 4 kernel_w: 6 }"),
            ("Scale", "scale_param { axis: 2 }"),
        ),
        "c",
        ["Convolution", "Scale"],
    ),
    "two blobs": (
        CONV
        + layer_text("Pooling", ["x"], ["p"], "pooling_param { pool: MAX global_pooling: true }")
        + layer_text("Flatten", ["p"], ["f"])
        + layer_text("InnerProduct", ["f"], ["i"], "inner_product_param { num_output: 4 }")
        + layer_text("Scale", ["c", "i"], ["y"], "scale_param { axis: 0 }"),
        "y",
        ["Convolution", "Pooling", "Flatten", "InnerProduct", "Scale"],
    ),
}


def saved(tmp_path, layers):
    """(prototxt, weights, net) of a net with random weights, after a forward."""
    random = np.random.default_rng(0)
    path = write(net_text([layers], INPUTS, force_backward=False), tmp_path, "trained.prototxt")
    net = caffe.Net(path, caffe.TEST)
    for name, blobs in net.params.items():
        for blob in blobs:
            blob.data[...] = random.normal(size=blob.data.shape)
        if net.layer_dict[name].type == "BatchNorm":
            blobs[1].data[...] = random.uniform(1, 9, blobs[1].data.shape)
            blobs[2].data[...] = 3
    net.blobs["x"].data[...] = random.normal(size=INPUTS["x"])
    net.forward()
    net.save(str(tmp_path / "trained.caffemodel"))
    return path, str(tmp_path / "trained.caffemodel"), net


@pytest.mark.parametrize("stock", [False, True], ids=["opencv", "stock"])
@pytest.mark.parametrize("case", FOLDED)
def test_folding(tmp_path, case, stock):
    layers, output, left = FOLDED[case]
    path, weights, net = saved(tmp_path, layers)
    deployed = deploy(path, weights, [output], fold=True, stock=stock, batch=2)
    assert [part.type for part in deployed.parts] == left
    files = str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel")
    deployed.write(*files)
    if deployed.unread and not stock:
        return
    found = (by_caffe if stock else by_opencv)(*files, deployed, {"x": net.blobs["x"].data.copy()})[output]
    np.testing.assert_allclose(found, net.blobs[output].data, rtol=1e-4, atol=1e-4)


def test_an_output_in_between_is_kept(tmp_path):
    path, weights, _ = saved(tmp_path, CONV + layer_text("BatchNorm", ["c"], ["b"]))
    deployed = deploy(path, weights, ["c", "b"], fold=True)
    assert [part.type for part in deployed.parts] == ["Convolution", "BatchNorm"]
    assert deployed.outputs == ["c", "b"]


def test_without_fold_all_stays(tmp_path):
    path, weights, _ = saved(tmp_path, FOLDED["in place"][0])
    assert [part.type for part in deploy(path, weights).parts] == ["Convolution", "BatchNorm", "Scale", "ReLU"]
