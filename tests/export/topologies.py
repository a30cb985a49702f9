"""Nets that people deploy, with few channels: their layers as prototxt."""

from tests.export.onnx_nets import layer


def conv(name, bottom, channels, kernel, more="", type="Convolution"):
    return layer(type, bottom, name, f"convolution_param {{ num_output: {channels} kernel_size: {kernel} {more} }}")


def relu(blob):
    return layer("ReLU", blob, blob)


def pool(name, bottom, more):
    return layer("Pooling", bottom, name, f"pooling_param {{ {more} }}")


def dense(name, bottom, outputs):
    return layer("InnerProduct", bottom, name, f"inner_product_param {{ num_output: {outputs} }}")


def lenet():
    yield conv("conv1", "data", 20, 5) + pool("pool1", "conv1", "kernel_size: 2 stride: 2")
    yield conv("conv2", "pool1", 50, 5) + pool("pool2", "conv2", "kernel_size: 2 stride: 2")
    yield dense("ip1", "pool2", 500) + relu("ip1") + dense("ip2", "ip1", 10) + layer("Softmax", "ip2", "prob")


def normalized(name, bottom, channels, kernel, more="", active=True):
    """A convolution without bias, batch norm, scale and ReLU, all in place behind it."""
    yield conv(name, bottom, channels, kernel, f"bias_term: false {more}")
    yield in_place("BatchNorm", name) + in_place("Scale", name, "scale_param { bias_term: true }")
    yield relu(name) if active else ""


def in_place(type, blob, more=""):
    """A layer of a name of its own, for weights are found by it."""
    return layer(type, blob, blob, more).replace(f'name: "{blob}_layer"', f'name: "{blob}_{type}"')


def resnet50(width=4):
    yield from normalized("conv1", "data", width, 7, "stride: 2 pad: 3")
    yield pool("pool1", "conv1", "kernel_size: 3 stride: 2")
    bottom = "pool1"
    for stage, blocks in enumerate((3, 4, 6, 3)):
        channels = width * 2**stage
        for block in range(blocks):
            name, stride = f"res{stage + 2}{'abcdef'[block]}", 2 if stage and not block else 1
            shortcut = bottom
            if not block:
                shortcut = f"{name}_branch1"
                yield from normalized(shortcut, bottom, 4 * channels, 1, f"stride: {stride}", active=False)
            yield from normalized(f"{name}_2a", bottom, channels, 1, f"stride: {stride}")
            yield from normalized(f"{name}_2b", f"{name}_2a", channels, 3, "pad: 1")
            yield from normalized(f"{name}_2c", f"{name}_2b", 4 * channels, 1, active=False)
            yield layer("Eltwise", f"{shortcut} {name}_2c", name) + relu(name)
            bottom = name
    yield (
        pool("pool5", bottom, "pool: AVE global_pooling: true")
        + dense("fc", "pool5", 30)
        + layer("Softmax", "fc", "prob")
    )


def mobilenet(width=8):
    yield from normalized("conv1", "data", width, 3, "stride: 2 pad: 1")
    bottom, channels = "conv1", width
    for number, (factor, stride) in enumerate([(2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), (16, 1)]):
        yield from normalized(f"dw{number}", bottom, channels, 3, f"group: {channels} stride: {stride} pad: 1")
        channels = width * factor
        bottom = f"pw{number}"
        yield from normalized(bottom, f"dw{number}", channels, 1)
    yield (
        pool("pool", bottom, "pool: AVE global_pooling: true")
        + conv("fc", "pool", 30, 1)
        + layer("Softmax", "fc", "prob")
    )


def squeezenet():
    yield conv("conv1", "data", 16, 3, "stride: 2") + relu("conv1") + pool("pool1", "conv1", "kernel_size: 3 stride: 2")
    bottom = "pool1"
    for number, squeeze in enumerate([4, 4, 8, 8]):
        name = f"fire{number + 2}"
        yield conv(f"{name}_s", bottom, squeeze, 1) + relu(f"{name}_s")
        yield conv(f"{name}_1", f"{name}_s", 4 * squeeze, 1) + relu(f"{name}_1")
        yield conv(f"{name}_3", f"{name}_s", 4 * squeeze, 3, "pad: 1") + relu(f"{name}_3")
        yield layer("Concat", f"{name}_1 {name}_3", name)
        bottom = name
        if number == 1:
            yield pool("pool3", name, "kernel_size: 3 stride: 2")
            bottom = "pool3"
    yield in_place("Dropout", bottom) + conv("conv10", bottom, 30, 1) + relu("conv10")
    yield pool("pool10", "conv10", "pool: AVE global_pooling: true") + layer("Softmax", "pool10", "prob")


def fcn():
    """FCN-16s: padding of 100, two heights that are added, crops at the offsets of its prototxt."""
    yield conv("conv1", "data", 6, 3, "pad: 100") + relu("conv1") + pool("pool1", "conv1", "kernel_size: 2 stride: 2")
    for number in range(2, 6):
        yield conv(f"conv{number}", f"pool{number - 1}", 6, 3, "pad: 1") + relu(f"conv{number}")
        yield pool(f"pool{number}", f"conv{number}", "kernel_size: 2 stride: 2")
    yield conv("fc6", "pool5", 16, 7) + relu("fc6") + in_place("Dropout", "fc6", "dropout_param { dropout_ratio: 0.5 }")
    yield conv("score_fr", "fc6", 5, 1) + conv("up2", "score_fr", 5, 4, "stride: 2 bias_term: false", "Deconvolution")
    yield conv("score4", "pool4", 5, 1) + layer("Crop", "score4 up2", "score4c", "crop_param { axis: 2 offset: 5 }")
    yield layer("Eltwise", "up2 score4c", "fuse", "eltwise_param { operation: SUM }")
    yield conv("up16", "fuse", 5, 32, "stride: 16 bias_term: false", "Deconvolution")
    yield layer("Crop", "up16 data", "score", "crop_param { axis: 2 offset: 27 }")


#: Nets by name, and the shapes of their images; odd ones, for which pooling adds a window.
TOPOLOGIES = {
    "LeNet": (lenet, (2, 1, 28, 28)), "ResNet-50": (resnet50, (2, 3, 97, 65)), "MobileNet": (mobilenet, (2, 3, 65, 97)),
    "SqueezeNet": (squeezenet, (2, 3, 87, 64)), "FCN": (fcn, (1, 3, 45, 62)),
}  # fmt: skip
