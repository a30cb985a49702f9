"""What each layer of a net is for ONNX: of which kind, with which options and bottoms."""

from typing import Any, Callable, Dict, List, Sequence

from caffe_pylayers import config
from caffe_pylayers.caffe_files.legacy_nets import TYPES
from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.prototxt import Field, Message
from caffe_pylayers.commands.export.onnx.graph import Tensor
from caffe_pylayers.commands.export.onnx.numbers import NUMBERS
from caffe_pylayers.commands.export.onnx.own import OWN
from caffe_pylayers.commands.export.onnx.shapes import SHAPES
from caffe_pylayers.commands.export.onnx.step import Step
from caffe_pylayers.commands.export.onnx.windows import WINDOWS
from caffe_pylayers.commands.migrate.forks import in_place_of_type, move_of, own_of
from caffe_pylayers.commands.migrate.moves import checked
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.errors import ConfigError

Kind = Callable[[Step], List[Tensor]]

#: Caffe's types -> their nodes.
STOCK: Dict[str, Kind] = {**WINDOWS, **NUMBERS, **SHAPES}

#: Types of Caffe's that a net measures itself with, or throws blobs away.
_ENDS = (
    "Accuracy", "ContrastiveLoss", "EuclideanLoss", "HDF5Output", "HingeLoss", "InfogainLoss", "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss", "Silence", "SoftmaxWithLoss",
)  # fmt: skip


def own_layer(layer: Layer) -> str:
    """The layer of this package that a layer is, also under a fork's type; "" where it is none."""
    return layer.own or ("" if layer.type in STOCK or layer.type == "Python" else own_of(layer.type))


def kind_of(layer: Layer) -> Kind:
    """What makes the nodes of a layer, which has a counterpart."""
    return OWN[SCHEMAS[layer.own].onnx] if layer.own else STOCK[layer.type]


def in_onnx(layer: Layer) -> bool:
    """Whether it is a layer of this package that has a counterpart."""
    own = own_layer(layer)
    return own in SCHEMAS and bool(SCHEMAS[own].onnx)


def require_kinds(layers: Sequence[Layer]) -> None:
    """Raise ConfigError for all layers that have no counterpart."""
    without = [layer for layer in layers if not (layer.type in STOCK or in_onnx(layer))]
    if without:
        raise ConfigError.of([_no_counterpart(layer) for layer in without])


def _no_counterpart(layer: Layer) -> ConfigError:
    kind = ".".join(layer.python[:2]) if layer.type == "Python" else layer.type
    before = "export the part of the net before it with --blob"
    remedy = before if layer.type in (*TYPES, "Python") else f"{in_place_of_type(layer, ())}; or {before}"
    return ConfigError(f"{kind} has no counterpart in ONNX here", remedy=remedy, source=layer.described)


def is_end(layer: Layer) -> bool:
    """Whether a layer is left out for what it is: a loss, a measure."""
    own = own_layer(layer)
    return layer.type in _ENDS or (own in SCHEMAS and SCHEMAS[own].is_loss())


def bottoms_of(layer: Layer) -> List[str]:
    """The bottoms that count in TEST: a margin at the label is only there in TRAIN."""
    has_margin = in_onnx(layer) and SCHEMAS[own_layer(layer)].takes[1:2] == ("label",)
    return layer.bottoms[:1] if has_margin else layer.bottoms


def as_own(layer: Layer, layers: Sequence[Layer], num_blobs: int) -> Layer:
    """A layer of a fork as the one of this package that it stands for, another as it is. layers: those of its net.

    Raises ConfigError where it may be another one, or says what no option says.
    """
    if layer.own or not own_layer(layer):
        return layer
    try:
        move = move_of(layer, layers, num_blobs)
        move = move and checked(move, layer)
    except ConfigError as error:
        raise error.within(layer.described) from error
    if move is None:
        return layer
    kept = [each for each in layer.message.fields if each.name not in ("type", *move.gone)]
    return Layer(Message([*kept, Field("type", move.type, layer.line), *move.fields], layer.line), layer.file)


def load_options(layer: Layer) -> Any:
    """The options of a layer of this package; None for a layer of Caffe's."""
    try:
        return config.load(layer.own, layer.python[2]) if layer.own else None
    except ConfigError as error:
        raise error.within(f"{layer.file}:{layer.line}") from error
