"""What forks of Caffe have and this one has not: what to write in its place, or that there is nothing.

The types that a layer of this package stands for are said on its options class (`forks`).
"""

from typing import Dict, Sequence

from caffe_pylayers import ALIASES
from caffe_pylayers.caffe_files.legacy_nets import V1_TYPES
from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.check.findings import listed
from caffe_pylayers.commands.check.moving import as_python
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.errors import did_you_mean, nearest

_NORM = 'write `type: "BatchNorm"`, then a layer of `type: "Scale"` with `scale_param { bias_term: true }`'
_DEPTHWISE = 'write `type: "Convolution"` with `group` equal to num_output'
_INSTANCE = 'write `type: "MVN"`, which takes mean and variance of each channel of each image'
_CLASS_WEIGHTS = "WeightedSoftmaxLoss of caffe_pylayers takes them, as the option 'class_weights'"
_SEVERAL_LABELS = "MultiLabelDataLayer of caffe_pylayers reads several labels per image"

#: Types of forks -> what does the same in stock Caffe, or nearly.
_STOCK: Dict[str, str] = {
    "BN": _NORM, "BatchNormalization": _NORM, "SyncBN": _NORM,
    "DepthwiseConvolution": _DEPTHWISE, "ConvolutionDepthwise": _DEPTHWISE, "DepthwiseConv": _DEPTHWISE,
    "InstanceNorm": _INSTANCE, "InstanceNormalization": _INSTANCE,
}  # fmt: skip

#: Types of forks that neither stock Caffe nor this package has.
_NOWHERE = (
    "AnnotatedData", "DenseImageData", "DetectionOutput", "ImageLabelmapData", "ImageSegData",
    "MultiBoxLoss", "PriorBox", "Proposal", "PSROIPooling", "ReLU6", "Reorg", "ROIAlign", "SmoothL1LossOHEM",
)  # fmt: skip

#: Fields of forks -> what does the same here.
_FIELDS: Dict[str, str] = {
    "class_weighting": _CLASS_WEIGHTS, "weight_by_label_freqs": _CLASS_WEIGHTS, "class_weight": _CLASS_WEIGHTS,
    "label_smooth_factor": "LabelSmoothing of caffe_pylayers does it, as the option 'smoothing', before its SoftCrossEntropyLoss",
    "normalize": "NormalizedInnerProduct of caffe_pylayers does it for vectors of classes",
    "label_size": _SEVERAL_LABELS, "label_dim": _SEVERAL_LABELS,
}  # fmt: skip


def own_of(kind: str) -> str:
    """The layer of this package for a type of a fork, of its own name or another; "" where there is none."""
    kind = ALIASES.get(kind, kind)
    return next((name for name, schema in SCHEMAS.items() if kind in (name, *schema.forks)), "")


def in_place_of_type(layer: Layer, known: Sequence[str]) -> str:
    """What to write in place of a type that this Caffe does not have. known: the types that it has."""
    kind = layer.type
    own = own_of(kind)
    if own:
        return as_python(layer, own)
    if kind in _STOCK:
        return _STOCK[kind]
    if kind in _NOWHERE:
        return "it is a fork's: stock Caffe has no such layer, and no layer of caffe_pylayers does it"
    today = V1_TYPES.get(kind)
    meant = today or nearest(kind, [*known, *SCHEMAS])
    if not meant:
        return f"no layer of caffe_pylayers does it; this Caffe has: {listed(known, 99)}"
    question = did_you_mean(meant, [meant])
    return f"{question} If so, {as_python(layer, meant)}" if meant in SCHEMAS else question


def in_place_of_field(field: str, kind: str) -> str:
    """What to do about a field that a layer cannot have; "" where nothing is known. kind: the type of the layer."""
    own = own_of(kind)
    if own and field.endswith("_param"):
        return f"{own} of caffe_pylayers takes its options in param_str; `caffe-pylayers describe {own}` lists them"
    return _FIELDS.get(field, "")
