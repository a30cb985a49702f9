"""A layer of a net of 2013, `layers { layer { type: "conv" ... } bottom: ... }`, as one of today."""

from typing import Any, Dict, List

from caffe_pylayers.caffe_files.legacy_nets import SPECS
from caffe_pylayers.caffe_files.prototxt import Field, Message, PrototxtError
from caffe_pylayers.errors import did_you_mean

#: The old type -> today's, and the parameter that its fields went into.
_TYPES = {
    "accuracy": ("Accuracy", ""), "bnll": ("BNLL", ""), "concat": ("Concat", "concat_param"), "conv": ("Convolution", "convolution_param"),
    "data": ("Data", "data_param"), "dropout": ("Dropout", "dropout_param"), "euclidean_loss": ("EuclideanLoss", ""),
    "flatten": ("Flatten", ""), "hdf5_data": ("HDF5Data", "hdf5_data_param"), "hdf5_output": ("HDF5Output", "hdf5_output_param"),
    "im2col": ("Im2col", ""), "images": ("ImageData", "image_data_param"), "infogain_loss": ("InfogainLoss", "infogain_loss_param"),
    "innerproduct": ("InnerProduct", "inner_product_param"), "lrn": ("LRN", "lrn_param"),
    "multinomial_logistic_loss": ("MultinomialLogisticLoss", ""), "pool": ("Pooling", "pooling_param"), "relu": ("ReLU", ""),
    "sigmoid": ("Sigmoid", ""), "softmax": ("Softmax", ""), "softmax_loss": ("SoftmaxWithLoss", ""), "split": ("Split", ""),
    "tanh": ("TanH", ""), "window_data": ("WindowData", "window_data_param"),
}  # fmt: skip

#: Fields that have another name today; those that are not here keep theirs.
_NAMES = {
    "biasterm": "bias_term", "kernelsize": "kernel_size", "batchsize": "batch_size", "shuffle_images": "shuffle",
    "det_fg_threshold": "fg_threshold", "det_bg_threshold": "bg_threshold", "det_fg_fraction": "fg_fraction",
    "det_context_pad": "context_pad", "det_crop_mode": "crop_mode",
}  # fmt: skip
#: What `transform_param` has today.
_TRANSFORMS = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}


def as_today(layers: Field, path: str) -> Field:
    """The field `layer` of today for a field `layers` of 2013. Raises PrototxtError for a type that there is not."""
    outer = layers.value if isinstance(layers.value, Message) else Message([])
    old = outer.message("layer")
    kind = str(old.get("type", ""))
    if kind not in _TYPES:
        problem = f"a layer of 2013 of type {kind!r}, which Caffe had not"
        remedy = did_you_mean(kind, _TYPES) or "write it as `layer { type: ... }`, with all others"
        if kind == "padding":
            problem = "a layer of 2013 that pads, which today's convolutions do themselves"
            remedy = "`upgrade_net_proto_text OLD NEW` writes the net in today's form"
        raise PrototxtError(path, old.line_of("type"), problem, remedy)
    name, param = _TYPES[kind]
    groups: Dict[str, List[Field]] = {param: [], "transform_param": []}
    for field in old.fields:
        if field.name in _TRANSFORMS:
            groups["transform_param"].append(_field(_TRANSFORMS[field.name], field.value))
        elif field.name == "hdf5_output_param" and isinstance(field.value, Message):
            groups[param] += field.value.fields
        elif field.name not in ("name", "type", *SPECS):
            groups[param].append(_field(_NAMES.get(field.name, field.name), field.value))
    if groups.get(""):
        problem = f"field {groups[''][0].name!r} in a layer of 2013 of type {kind!r}, which has no parameters"
        raise PrototxtError(path, old.line, problem, "take it out")
    fields = [_field("name", old.get("name", "")), _field("type", name)]
    fields += [_field(each.name, each.value) for each in outer.fields if each.name in ("bottom", "top")]
    rates, decays = old.all("blobs_lr"), old.all("weight_decay")
    for number in range(max(len(rates), len(decays))):
        spec = [_field("lr_mult", rates[number])] if number < len(rates) else []
        spec += [_field("decay_mult", decays[number])] if number < len(decays) else []
        fields.append(_field("param", Message(spec)))
    fields += [_field(each, Message(found)) for each, found in groups.items() if found]
    return _field("layer", Message(fields))


def _field(name: str, value: Any) -> Field:
    return Field(name, value, 0)
