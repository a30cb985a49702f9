"""Layers one behind the other in any order, as a program may join them: deployed and folded they give what Caffe gives."""

import caffe
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caffe_pylayers.commands.deploy.deploy import deploy
from tests.caffe_nets import layer_text, net_text, python_layer, write
from tests.deploy.against_caffe import by_caffe, by_opencv
from tests.export.onnx_nets import fill

X = (2, 4, 5, 6)

#: Layers that keep the shape of x, with their options; the later ones may work in place.
OF_ITS_OWN = (
    *(("Convolution", f"convolution_param {{ num_output: 4 kernel_size: 3 pad: 1 {more} }}") for more in ("", "group: 2 bias_term: false", "group: 4")),
    *(("Deconvolution", f"convolution_param {{ num_output: 4 kernel_size: 3 pad: 1 {more} }}") for more in ("", "group: 2", "group: 4 bias_term: false")),
    ("InnerProduct", "inner_product_param { num_output: 6 axis: -1 }"),
    *(("MVN", f"mvn_param {{ {more} }}") for more in ("", "across_channels: true", "normalize_variance: false")),
    *(("LRN", f"lrn_param {{ {more} }}") for more in ("", "k: 2 local_size: 3", "norm_region: WITHIN_CHANNEL")),
    *(("Pooling", f"pooling_param {{ pool: {kind} kernel_size: 3 stride: 1 pad: 1 }}") for kind in ("MAX", "AVE")),
    ("Swish", ""), ("AbsVal", ""), ("L2Normalize", ""),
    *(("Eltwise", more) for more in ("", "eltwise_param { operation: PROD }", "eltwise_param { coeff: -0.5 coeff: 2 }")),
)  # fmt: skip
IN_PLACE = (
    ("BatchNorm", ""), ("Scale", "scale_param { bias_term: true }"), ("Scale", "scale_param { num_axes: 0 }"), ("Bias", ""),
    *(("Power", f"power_param {{ {more} }}") for more in ("scale: 2 shift: 0.5", "power: 2", "power: 2 shift: 1 scale: 3")),
    ("ReLU", ""), ("ReLU", "relu_param { negative_slope: 0.2 }"), ("PReLU", ""), ("PReLU", "prelu_param { channel_shared: true }"),
    ("ELU", ""), ("TanH", ""), ("Sigmoid", ""), ("Softmax", ""), ("Dropout", ""),
)  # fmt: skip


def chain(kinds):
    """Each layer reads the one before; an Eltwise reads the input too."""
    layers, bottom = [], "x"
    for number, (kind, more) in enumerate(kinds):
        top = bottom if number and (kind, more) in IN_PLACE else f"b{number}"
        bottoms = [bottom, "x"] if kind == "Eltwise" else [bottom]
        text = (
            python_layer(kind, bottoms, [top], {}) if kind == "L2Normalize" else layer_text(kind, bottoms, [top], more)
        )
        layers.append(text.replace(f"{top}_layer", f"l{number}"))
        bottom = top
    return layers, bottom


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(st.sampled_from((*OF_ITS_OWN, *IN_PLACE)), min_size=2, max_size=5))
def test_a_chain(tmp_path, kinds):
    layers, output = chain(kinds)
    path, weights = (
        write(net_text(layers, {"x": X}, force_backward=False), tmp_path, "net.prototxt"),
        str(tmp_path / "w"),
    )
    net = caffe.Net(path, caffe.TEST)
    fill(net, np.random.default_rng(0))
    net.save(weights)
    x = np.random.default_rng(1).normal(size=X).astype(np.float32)
    net.blobs["x"].data[...] = x
    net.forward()
    wanted = net.blobs[output].data
    largest = max(1, abs(wanted).max())
    files = str(tmp_path / "deployed.prototxt"), str(tmp_path / "deployed.caffemodel")
    for stock in (False, True):
        for fold in (False, True):
            deployed = deploy(path, weights, [output], stock=stock, fold=fold)
            deployed.write(*files)
            if stock or not deployed.unread:
                found = (by_caffe if stock else by_opencv)(*files, deployed, {"x": x})[output]
                np.testing.assert_allclose(found, wanted, atol=1e-4 * largest, rtol=0, err_msg=f"{stock} {fold}")
