"""Nets of older Caffes, upgraded in memory as `upgrade_net_proto_text` would upgrade the file."""

from typing import List, Tuple

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.prototxt import Field, Message

#: V1LayerParameter.LayerType -> the type of today's layers.
V1_TYPES = {
    "NONE": "", "ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "ARGMAX": "ArgMax", "BNLL": "BNLL", "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss", "CONVOLUTION": "Convolution", "DECONVOLUTION": "Deconvolution",
    "DATA": "Data", "DROPOUT": "Dropout", "DUMMY_DATA": "DummyData", "EUCLIDEAN_LOSS": "EuclideanLoss",
    "ELTWISE": "Eltwise", "EXP": "Exp", "FLATTEN": "Flatten", "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss", "IM2COL": "Im2col", "IMAGE_DATA": "ImageData", "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct", "LRN": "LRN", "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss", "MVN": "MVN", "POOLING": "Pooling", "POWER": "Power",
    "RELU": "ReLU", "SIGMOID": "Sigmoid", "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence", "SOFTMAX": "Softmax", "SOFTMAX_LOSS": "SoftmaxWithLoss", "SPLIT": "Split", "SLICE": "Slice",
    "TANH": "TanH", "WINDOW_DATA": "WindowData", "THRESHOLD": "Threshold",
}  # fmt: skip
#: The same by number, for binary nets; V1LayerParameter.LayerType of caffe.proto.
V1_NUMBERS = {
    35: "AbsVal", 1: "Accuracy", 30: "ArgMax", 2: "BNLL", 3: "Concat", 37: "ContrastiveLoss", 4: "Convolution", 5: "Data",
    39: "Deconvolution", 6: "Dropout", 32: "DummyData", 7: "EuclideanLoss", 25: "Eltwise", 38: "Exp", 8: "Flatten",
    9: "HDF5Data", 10: "HDF5Output", 28: "HingeLoss", 11: "Im2col", 12: "ImageData", 13: "InfogainLoss", 14: "InnerProduct",
    15: "LRN", 29: "MemoryData", 16: "MultinomialLogisticLoss", 34: "MVN", 17: "Pooling", 26: "Power", 18: "ReLU",
    19: "Sigmoid", 27: "SigmoidCrossEntropyLoss", 36: "Silence", 20: "Softmax", 21: "SoftmaxWithLoss", 22: "Split", 33: "Slice",
    23: "TanH", 24: "WindowData", 31: "Threshold",
}  # fmt: skip

#: Of a data layer's own parameters: what `transform_param` has today.
_TRANSFORMS = ("scale", "mean_file", "crop_size", "mirror")
_DATA_PARAMS = {"Data": "data_param", "ImageData": "image_data_param", "WindowData": "window_data_param"}


def upgrade(message: Message, path: str) -> Tuple[Message, List[str]]:
    """The net as today's Caffe would write it, and what had to be changed, in words.

    Raises ConfigError for a net of 2013 (layers inside layers), of which nothing can be told.
    """
    upgrades: List[str] = []
    fields: List[Field] = []
    for field in message.fields:
        value = field.value
        if field.name == "layers" and isinstance(value, Message):
            if "layer" in value:
                raise ConfigError(
                    f"{path}:{field.line}: a net of 2013, with a `layer` inside `layers`; upgrade the file with `upgrade_net_proto_text`"
                )
            upgrades.append("layers { type: NAME }")
            field = Field("layer", _today(value), field.line)
        elif field.name == "layer" and isinstance(value, Message):
            field = Field("layer", _transformed(value, upgrades), field.line)
        fields.append(field)
    inputs = [field for field in fields if field.name == "input"]
    if inputs:
        upgrades.append("input, input_dim or input_shape")
        fields = [Field("layer", _input_layer(message, inputs), inputs[0].line)] + [
            field for field in fields if field.name not in ("input", "input_dim", "input_shape")
        ]
    return Message(fields, message.line), list(dict.fromkeys(upgrades))


def _today(layer: Message) -> Message:
    """A V1 layer as one of today."""
    fields: List[Field] = []
    names, rates, decays = layer.all("param"), layer.all("blobs_lr"), layer.all("weight_decay")
    lines = [field.line for field in layer.fields if field.name in ("blobs_lr", "weight_decay", "param")]
    for field in layer.fields:
        if field.name in ("param", "blobs_lr", "weight_decay", "blob_share_mode"):
            continue
        if field.name == "type":
            field = Field("type", V1_TYPES.get(str(field.value), str(field.value)), field.line)
        fields.append(field)
    for i in range(max(len(names), len(rates), len(decays))):
        line = lines[0]
        param = [Field("name", names[i], line)] if i < len(names) else []
        param += [Field("lr_mult", rates[i], line)] if i < len(rates) else []
        param += [Field("decay_mult", decays[i], line)] if i < len(decays) else []
        fields.append(Field("param", Message(param, line), line))
    return _transformed(Message(fields, layer.line), [])


def _transformed(layer: Message, upgrades: List[str]) -> Message:
    """A data layer whose scale, mean_file, crop_size and mirror stand in `transform_param`."""
    name = _DATA_PARAMS.get(str(layer.get("type", "")))
    param = layer.message(name) if name else None
    if name is None or param is None or not any(old in param for old in _TRANSFORMS):
        return layer
    upgrades.append(f"{', '.join(_TRANSFORMS)} in {name}")
    moved = [field for field in param.fields if field.name in _TRANSFORMS]
    kept = Message([field for field in param.fields if field.name not in _TRANSFORMS], param.line)
    transform = Message(layer.message("transform_param").fields + moved, moved[0].line)
    fields = [
        Field(name, kept, field.line) if field.name == name else field
        for field in layer.fields
        if field.name != "transform_param"
    ]
    return Message([*fields, Field("transform_param", transform, transform.line)], layer.line)


def _input_layer(message: Message, inputs: List[Field]) -> Message:
    """The `Input` layer for a net's `input` fields."""
    line = inputs[0].line
    shapes = message.all("input_shape")
    dims = message.all("input_dim")
    if not shapes and dims:
        shapes = [
            Message([Field("dim", dim, line) for dim in dims[4 * i : 4 * i + 4]], line) for i in range(len(inputs))
        ]
    fields = [Field("name", "input", line), Field("type", "Input", line)]
    fields += [Field("top", field.value, field.line) for field in inputs]
    fields.append(Field("input_param", Message([Field("shape", shape, line) for shape in shapes], line), line))
    return Message(fields, line)
