"""What forks of Caffe have and this one has not: what takes its place, or that there is nothing.

The types that a layer of this package stands for are said on its options class (`forks`, `fork_fields`).
"""

from typing import Dict, Optional, Sequence

from caffe_pylayers import ALIASES
from caffe_pylayers.caffe_files.edits import inline
from caffe_pylayers.caffe_files.legacy_nets import TYPES, V1_TYPES
from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.prototxt import Field
from caffe_pylayers.commands.check.findings import listed
from caffe_pylayers.commands.migrate.moves import Move, as_own, own_of_fields
from caffe_pylayers.commands.migrate.norms import DEPTHWISE, NORMS, as_convolution, as_norm
from caffe_pylayers.commands.migrate.python_layers import as_own_class, own_class
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.errors import ConfigError, did_you_mean, nearest

_NORM = 'write `type: "BatchNorm"`, then a layer of `type: "Scale"` with `scale_param { bias_term: true }`'
_DEPTHWISE = 'write `type: "Convolution"` with `group` equal to num_output'
_INSTANCE = 'write `type: "MVN"`, which takes mean and variance of each channel of each image'
_CLASS_WEIGHTS = "WeightedSoftmaxLoss of caffe_pylayers takes them, as the option 'class_weights'"
_SEVERAL_LABELS = "MultiLabelDataLayer of caffe_pylayers reads several labels per image"

#: Types of forks -> what does the same in stock Caffe, or nearly.
_STOCK: Dict[str, str] = {
    **dict.fromkeys((*NORMS, "BatchNormalization"), _NORM), **dict.fromkeys(DEPTHWISE, _DEPTHWISE),
    "InstanceNorm": _INSTANCE, "InstanceNormalization": _INSTANCE,
}  # fmt: skip

#: Types of forks that neither stock Caffe nor this package has.
_NOWHERE = (
    "AnnotatedData", "DetectionEvaluate", "DetectionOutput", "MultiBoxLoss", "PriorBox", "Proposal",
    "PSROIPooling", "ReLU6", "Reorg", "ROIAlign", "SmoothL1LossOHEM",
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


def today(word: str) -> str:
    """The type that an old net calls by a word in capitals, SMOOTH_L1_LOSS, of Caffe or of a fork; the word if there is none."""
    if word in V1_TYPES:
        return V1_TYPES[word]
    kinds = (*SCHEMAS, *(kind for schema in SCHEMAS.values() for kind in schema.forks), *_STOCK, *_NOWHERE)
    meant = word.replace("_", "").lower()
    return next((kind for kind in kinds if kind.lower() == meant), word)


def move_of(
    layer: Layer, others: Sequence[Layer] = (), blobs: Optional[int] = None, folder: str = ""
) -> Optional[Move]:
    """What a layer becomes; None if it is one of Caffe's or of this package, and stays.

    others: the layers of its net, which may tell whose it is. blobs: how many it has in trained weights. folder: where lists are written.
    Raises ConfigError if it cannot be told, or if there is nothing.
    """
    if own_class(layer):
        return as_own_class(layer, folder)
    own = own_of_fields(layer) if layer.type in TYPES else own_of(layer.type)
    if own:
        return as_own(layer, own, _blobs_told(layer, own, others) if blobs is None else blobs)
    if layer.type in NORMS:
        return as_norm(layer, blobs)
    if layer.type in DEPTHWISE:
        return as_convolution(layer)
    _refuse_changed(layer, others)
    if layer.type in TYPES or not layer.type:
        return None
    raise ConfigError(f"unknown layer type {layer.type!r}", remedy=_in_place_of_unknown(layer, ()))


def _blobs_told(layer: Layer, own: str, others: Sequence[Layer]) -> Optional[int]:
    """How many blobs a layer has if that tells which of two it is, and the net says it."""
    if "param" in layer.message:
        return len(layer.message.all("param"))
    kind, field = SCHEMAS[own].without_blob_beside
    beside = (param for other in others if other.type == kind for param in other.params.values())
    return 0 if any(field in param for param in beside) else None


def _refuse_changed(layer: Layer, others: Sequence[Layer]) -> None:
    """Raise ConfigError for a layer of Caffe's that a fork has changed, and whose net may be of that fork."""
    for name, schema in SCHEMAS.items():
        kinds = schema.fork_beside.get(layer.type)  # of few: a net may have thousands of layers
        beside = [other.type for other in others if other.type in kinds] if kinds else []
        if beside:
            move = in_words(as_own(layer, name), layer)
            raise ConfigError(
                f"forks with {beside[0]} have changed {layer.type}: it is Caffe's, or {name}",
                remedy=f"leave it as it is, or for the fork's {move}",
            )


def in_place_of_type(layer: Layer, known: Sequence[str]) -> str:
    """What to write in place of a type that this Caffe does not have. known: the types that it has."""
    try:
        move = move_of(layer)
    except ConfigError as error:
        return error.remedy if own_of(layer.type) else _in_place_of_unknown(layer, known)
    if move is None:  # this Caffe lacks a type of Caffe's
        return _in_place_of_unknown(layer, known)
    does_it = "" if move.no_options else f"; {_migrate(layer)} does it"
    return (_STOCK[layer.type] if move.type != "Python" else in_words(move, layer)) + does_it


def in_words(move: Move, layer: Layer) -> str:
    """What to write for a layer of a fork, and which of its fields become no option."""
    written = "  ".join(inline(field) for field in (Field("type", move.type, 0), *move.fields))
    lost = f"; {move.python.get('layer')} has no option {listed(move.no_options)}" if move.no_options else ""
    return f"write `{written}` in place of {' and '.join(['its type', *move.gone])}{lost}"


def _in_place_of_unknown(layer: Layer, known: Sequence[str]) -> str:
    """What to write in place of a type that no layer of this package stands for. known: the types that this Caffe has."""
    kind = layer.type
    if kind in _STOCK:
        return _STOCK[kind]
    if kind in _NOWHERE:
        return "it is a fork's: stock Caffe has no such layer, and no layer of caffe_pylayers does it"
    meant = V1_TYPES.get(kind) or nearest(kind, [*(known or TYPES), *SCHEMAS])
    if not meant:
        return f"no layer of caffe_pylayers does it; this Caffe has: {listed(known or TYPES, 99)}"
    question = did_you_mean(meant, [meant])
    if meant not in SCHEMAS:
        return question
    try:
        return f"{question} If so, {in_words(as_own(layer, meant), layer)}"
    except ConfigError as error:
        return f"{question} If so, {error.remedy or error.problem}"


def in_place_of_field(field: str, layer: Layer) -> str:
    """What to do about a field that a layer cannot have; "" where nothing is known."""
    own = own_of(layer.python[1] if layer.type == "Python" else layer.type)
    if own and field.endswith("_param"):
        return f"{own} of caffe_pylayers takes its options in param_str; `caffe-pylayers describe {own}` lists them"
    return (
        f"{_FIELDS[field]}; {_migrate(layer)} does it"
        if own_of_fields(layer) and field in _FIELDS
        else _FIELDS.get(field, "")
    )


def _migrate(layer: Layer) -> str:
    return f"`caffe-pylayers migrate {layer.file}`"
