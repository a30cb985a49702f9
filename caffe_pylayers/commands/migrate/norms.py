"""Layers of forks that become layers of Caffe's own: batch normalization with its scale, convolutions of single channels."""

from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.prototxt import Field, Message, Word
from caffe_pylayers.commands.migrate.moves import Move
from caffe_pylayers.errors import ConfigError

NORMS = ("BN", "SyncBN")
DEPTHWISE = ("DepthwiseConvolution", "ConvolutionDepthwise", "DepthwiseConv")

#: What a fork's bn_param has: SegNet's, and that of PSPNet.
_OF_SEGNET = {"scale_filler", "shift_filler", "bn_mode"}
_OF_PSPNET = {"slope_filler", "bias_filler", "momentum", "eps", "frozen"}

#: SegNet's bn_mode, by its words and its numbers.
_MODES = {"LEARN": "LEARN", 0: "LEARN", "INFERENCE": "INFERENCE", 1: "INFERENCE"}

#: The name of the BatchNorm before a Scale that keeps the name of the fork's layer; without a slash, with which Caffe writes no HDF5.
_NORM = "{}_norm"


def as_norm(layer: Layer, blobs: Optional[int] = None) -> Move:
    """A fork's batch normalization as BatchNorm and Scale. blobs: how many it has in trained weights.

    Raises ConfigError if the net does not tell whose it is.
    """
    param = layer.message.message("bn_param")
    names = {field.name for field in param.fields if field.name != "engine"}
    unknown = sorted(names - _OF_SEGNET - _OF_PSPNET)
    if unknown:
        raise ConfigError(f"bn_param.{unknown[0]} is of neither SegNet's fork nor PSPNet's")
    if len(layer.tops) > 1:
        raise ConfigError(
            "its tops after the first have mean and variance, but no layer gives them", remedy="take them out"
        )
    if not len(layer.bottoms) == len(layer.tops) == 1:
        problem = f"it has {len(layer.bottoms)} bottoms and {len(layer.tops)} tops"
        raise ConfigError(problem, remedy="give it 1 bottom and 1 top")
    segnet = bool(names & _OF_SEGNET) or (not names and blobs == 2)
    pspnet = bool(names & _OF_PSPNET) or (not names and blobs == 4)
    if segnet == pspnet:
        problem = "bn_param does not tell whether it is SegNet's, which keeps no mean, or PSPNet's"
        remedy = "give --weights: SegNet's has 2 blobs, PSPNet's 4; or write BatchNorm and Scale"
        raise ConfigError(problem, remedy=remedy)
    expected = 2 if segnet else 4
    if blobs not in (None, expected):
        raise ConfigError(f"its weights have {blobs} blobs, but bn_param is of a fork that has {expected}")
    return _of_segnet(layer, param) if segnet else _of_pspnet(layer, param)


def _of_segnet(layer: Layer, param: Message) -> Move:
    """In LEARN it takes mean and variance of the batch, in TEST too; in INFERENCE it has no mean any more."""
    scale = _scale(param, "scale_filler", "shift_filler")
    mode = param.get("bn_mode", 0)
    if mode not in _MODES:
        raise ConfigError(f"its bn_mode is {mode}", remedy="write LEARN or INFERENCE")
    if _MODES[mode] == "INFERENCE":
        return Move("Scale", [scale], ["bn_param"])
    return Move("Scale", [scale], ["bn_param"], before=_norm(layer, {"use_global_stats": Word("false"), "eps": 1e-9}))


def _of_pspnet(layer: Layer, param: Message) -> Move:
    """It has moving means, which Caffe's counts otherwise only in the first iterations; frozen, it learns nothing."""
    frozen = param.flag("frozen")
    values: Dict[str, Any] = {"moving_average_fraction": param.get("momentum", 0.9)}
    values = {"use_global_stats": Word("true")} if frozen else values
    if "eps" in param:
        values["eps"] = param.get("eps")
    fields, gone = [_scale(param, "slope_filler", "bias_filler")], ["bn_param"]
    params = layer.message.messages("param")
    if any("name" in each for each in params[2:]):
        remedy = "write BatchNorm and Scale, with a `name` in each `param` of both"
        raise ConfigError("it shares its mean or its variance by name", remedy=remedy)
    if frozen or len(params) > 2:
        kept = [Field("param", each, 0) for each in params[:2]]
        if frozen:
            names = [[field for field in each.fields if field.name in ("name", "share_mode")] for each in params[:2]]
            still = [Field("lr_mult", 0, 0), Field("decay_mult", 0, 0)]
            kept = [Field("param", Message([*each, *still]), 0) for each in [*names, [], []][:2]]
        fields, gone = [*kept, *fields], ["param", "bn_param"]
    return Move("Scale", fields, gone, before=_norm(layer, values))


def _scale(param: Message, scale: str, shift: str) -> Field:
    """The parameter of a Scale with a bias. The fillers of the forks begin with 0, where Caffe's begins with 1."""
    fields = [Field("filler", each, 0) for each in param.messages(scale)] or [_message("filler", value=0)]
    fields.append(Field("bias_term", Word("true"), 0))
    fields += [Field("bias_filler", each, 0) for each in param.messages(shift)]
    return Field("scale_param", Message(fields), 0)


def _norm(layer: Layer, values: Dict[str, Any]) -> Message:
    kept = [field for field in layer.message.fields if field.name in ("bottom", "top", "include", "exclude")]
    first = [Field("name", _NORM.format(layer.name), 0), Field("type", "BatchNorm", 0)]
    return Message([*first, *kept, _message("batch_norm_param", **values)])


def _message(name: str, **values: Any) -> Field:
    return Field(name, Message([Field(key, value, 0) for key, value in values.items()]), 0)


def norm_blobs(name: str, blobs: Sequence[np.ndarray]) -> Dict[str, List[np.ndarray]]:
    """The blobs of a fork's batch normalization, by the name of the layer of Caffe's that has them."""
    rows = [np.ravel(blob) for blob in blobs]
    of_scale = {name: rows[:2]}
    if len(rows) == 2:
        return of_scale
    return {_NORM.format(name): [*rows[2:4], np.ones(1, np.float32)], **of_scale}


def as_convolution(layer: Layer) -> Move:
    """A convolution of each channel by itself. Raises ConfigError if the net does not say that there is a group per channel."""
    param = layer.message.message("convolution_param")
    if "group" in param:
        return Move("Convolution")
    if layer.type != "ConvolutionDepthwise" or "num_output" not in param:
        remedy = "give `group` in convolution_param: the number of its channels"
        raise ConfigError("convolution_param has no group", remedy=remedy)
    group = Field("group", param.get("num_output"), 0)
    kept = [field for field in param.fields if field.name != "engine"]
    return Move("Convolution", [Field("convolution_param", Message([*kept, group]), 0)], ["convolution_param"])
