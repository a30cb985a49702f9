"""Nets of older Caffes, upgraded in memory as `upgrade_net_proto_text` would upgrade the file."""

from typing import Dict, List, Tuple

from caffe_pylayers.caffe_files.prototxt import Field, Message, PrototxtError

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
#: The types of layers that stock Caffe has, some of them since those names were given up.
TYPES = (
    *filter(None, V1_TYPES.values()), "BatchNorm", "BatchReindex", "Bias", "Clip", "Crop", "ELU", "Embed", "Filter", "Input", "LSTM",
    "LSTMUnit", "Log", "PReLU", "Parameter", "Python", "RNN", "Reduction", "Reshape", "SPP", "Scale", "Swish", "Tile",
)  # fmt: skip
#: The old names by number, for binary nets, and text has them too; V1LayerParameter.LayerType of caffe.proto.
V1_NUMBERS = {
    35: "AbsVal", 1: "Accuracy", 30: "ArgMax", 2: "BNLL", 3: "Concat", 37: "ContrastiveLoss", 4: "Convolution", 5: "Data",
    39: "Deconvolution", 6: "Dropout", 32: "DummyData", 7: "EuclideanLoss", 25: "Eltwise", 38: "Exp", 8: "Flatten",
    9: "HDF5Data", 10: "HDF5Output", 28: "HingeLoss", 11: "Im2col", 12: "ImageData", 13: "InfogainLoss", 14: "InnerProduct",
    15: "LRN", 29: "MemoryData", 16: "MultinomialLogisticLoss", 34: "MVN", 17: "Pooling", 26: "Power", 18: "ReLU",
    19: "Sigmoid", 27: "SigmoidCrossEntropyLoss", 36: "Silence", 20: "Softmax", 21: "SoftmaxWithLoss", 22: "Split", 33: "Slice",
    23: "TanH", 24: "WindowData", 31: "Threshold",
}  # fmt: skip

#: Of a data layer's own parameters: what `transform_param` has today.
TRANSFORMS = ("scale", "mean_file", "crop_size", "mirror")
DATA_PARAMS = {"Data": "data_param", "ImageData": "image_data_param", "WindowData": "window_data_param"}


def upgrade(message: Message, path: str) -> Tuple[Message, List[str]]:
    """The net as today's Caffe would write it, and what had to be changed, in words.

    Raises PrototxtError for a net of 2013 (layers inside layers), of which nothing can be told, and for one with layers
    of both kinds, of which Caffe drops those of today's.
    """
    upgrades: List[str] = []
    fields: List[Field] = []
    old = [field for field in message.fields if field.name == "layers" and isinstance(field.value, Message)]
    for field in old:
        if isinstance(field.value, Message) and "layer" in field.value:
            raise PrototxtError(
                path,
                field.line,
                "a net in the form of 2013, with a `layer` inside `layers`",
                remedy="`upgrade_net_proto_text OLD NEW` writes it in today's form",
            )
    refuse_mixed(message, path)
    for field in message.fields:
        value = field.value
        if field.name == "layers" and isinstance(value, Message):
            upgrades.append("layers { type: NAME }")
            field = Field("layer", _today(value, upgrades), field.line)
        elif field.name == "layer" and isinstance(value, Message):
            field = Field("layer", _with_frozen_norm(value, upgrades), field.line)
        fields.append(field)
    inputs = [field for field in fields if field.name == "input"]
    if inputs:
        upgrades.append("input, input_dim or input_shape")
        fields = [field for field in fields if field.name not in ("input", "input_dim", "input_shape")]
        if "input_dim" in message or "input_shape" in message:  # without a shape Caffe leaves it out
            fields.insert(0, Field("layer", input_layer(message, inputs), inputs[0].line))
    return Message(fields, message.line), list(dict.fromkeys(upgrades))


def refuse_mixed(net: Message, path: str) -> None:
    """Raise PrototxtError for a net with layers of both kinds: Caffe drops those of today."""
    if "layers" in net and "layer" in net:
        raise PrototxtError(
            path,
            next(field.line for field in net.fields if field.name == "layer"),
            f"a `layer` in a net that also has `layers`, in line {net.line_of('layers')}: Caffe drops this `layer`",
            remedy='write all as `layer { type: "Name" }`',
        )


def _today(layer: Message, upgrades: List[str]) -> Message:
    """A V1 layer as one of today."""
    kept: List[Field] = []
    specs: Dict[str, List[Field]] = {name: [] for name in SPECS}
    for field in layer.fields:
        if field.name in specs:
            specs[field.name].append(field)
        elif field.name == "type":
            word = str(field.value)
            kept.append(Field("type", V1_NUMBERS.get(layer.whole("type")) or V1_TYPES.get(word, word), field.line))
        else:
            kept.append(field)
    for number in range(max(map(len, specs.values()))):
        found = [(SPECS[name], given[number]) for name, given in specs.items() if number < len(given)]
        line = found[0][1].line
        param = Message([Field(name, field.value, field.line) for name, field in found], line)
        kept.append(Field("param", param, line))
    return _transformed(Message(kept, layer.line), upgrades)


#: What the params of a V1 layer say, each in a list of its own, and its name within today's `param`.
SPECS = {"param": "name", "blobs_lr": "lr_mult", "weight_decay": "decay_mult", "blob_share_mode": "share_mode"}


def _with_frozen_norm(layer: Message, upgrades: List[str]) -> Message:
    """A BatchNorm layer with its three params, the solver leaving them alone: the layer itself keeps the statistics."""
    params = layer.messages("param")
    if layer.get("type") != "BatchNorm" or len(params) != 3:
        return layer
    if any(param.get(name, 1) != 0 for param in params for name in _FROZEN):
        upgrades.append("lr_mult and decay_mult of BatchNorm")
    fields = []
    for field in layer.fields:
        if field.name == "param" and isinstance(field.value, Message):
            rest = [each for each in field.value.fields if each.name not in _FROZEN]
            field = Field(
                "param", Message([*rest, *(Field(name, 0, field.line) for name in _FROZEN)], field.line), field.line
            )
        fields.append(field)
    return Message(fields, layer.line)


_FROZEN = ("lr_mult", "decay_mult")


def _transformed(layer: Message, upgrades: List[str]) -> Message:
    """A data layer whose scale, mean_file, crop_size and mirror stand in `transform_param`."""
    name = DATA_PARAMS.get(str(layer.get("type", "")))
    param = layer.message(name) if name else None
    if name is None or param is None or not any(old in param for old in TRANSFORMS):
        return layer
    upgrades.append(f"{', '.join(TRANSFORMS)} in {name}")
    moved = [field for field in param.fields if field.name in TRANSFORMS]
    kept = Message([field for field in param.fields if field.name not in TRANSFORMS], param.line)
    transform = Message(layer.message("transform_param").fields + moved, moved[0].line)
    fields = [
        Field(name, kept, field.line) if field.name == name else field
        for field in layer.fields
        if field.name != "transform_param"
    ]
    return Message([*fields, Field("transform_param", transform, transform.line)], layer.line)


def input_layer(message: Message, inputs: List[Field]) -> Message:
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
