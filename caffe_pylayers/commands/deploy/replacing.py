"""Layers of this package by layers that other programs know, or by stock layers alone."""

from typing import Any, Callable, Dict, List, Sequence, Type

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.prototxt import Word
from caffe_pylayers.commands.deploy.making import Making
from caffe_pylayers.commands.deploy.parts import Part
from caffe_pylayers.commands.deploy.pooling_windows import pool
from caffe_pylayers.commands.deploy.stock_maps import interpolate, shuffle
from caffe_pylayers.commands.deploy.unit_vectors import normalize, unit
from caffe_pylayers.commands.export.blob_shapes import Blob
from caffe_pylayers.config import features, margins, pooling
from caffe_pylayers.config.bottoms_and_tops import tops_of
from caffe_pylayers.config.schema import Options

#: What divides by no norm of 0, and changes no other one that float32 can tell from 0.
_TINY = 1e-20


def is_replaced(options: Options) -> bool:
    """Whether a layer computes something that other layers can say, or nothing."""
    return changes_nothing(options) or _rule(options, _RULES) is not None


def changes_nothing(options: Options) -> bool:
    """Whether its top is its first bottom in TEST."""
    return isinstance(options, _NOTHING)


def has_scores(layer: Layer, options: Any) -> bool:
    """Whether the second top of a loss is what the net says, and not how large a loss is."""
    if options is None:
        return layer.type in _SCORES
    return tops_of(layer.own, options, len(layer.tops))[1:2] in (["prob"], ["scores"])


def replaced(layer: Layer, options: Any, blobs: Sequence[np.ndarray], shapes: Sequence[Any], stock: bool) -> List[Part]:
    """The layers that stand for one of this package, or for the second top of a loss.

    Raises ConfigError where there are none.
    """
    making = Making(layer, options, blobs, shapes, stock)
    if options is None or tops_of(layer.own, options, len(layer.tops))[1:2] == ["prob"]:
        _softmax(making)
    else:
        rule = _rule(options, _RULES) or _rule(options, _OF_LOSSES)
        if rule is None:
            making.refuse(f"what {layer.own} computes")
        rule(making)
    return making.parts


def _rule(options: Options, rules: Dict[Type[Options], "_Rule"]) -> Any:
    """That of the class of the options, or of the first class that it derives from."""
    return next((rules[kind] for kind in type(options).__mro__ if kind in rules), None)


def _l2_normalize(making: Making) -> None:
    options = making.options
    axis = options.axis if options.axis >= 0 else options.axis + 1 + len(making.shape(why="the axis"))
    normalize(making, axis, options.across_spatial, options.eps, making.blobs[0] if making.blobs else None)


def _normalize_of_ssd(making: Making) -> None:
    options = making.options
    normalize(making, 1, options.across_spatial, options.eps, making.blobs[0].reshape(-1), options.channel_shared)


def _permute(making: Making) -> None:
    shape = (0, *making.shape())
    order = [*making.options.order, *(axis for axis in range(len(shape)) if axis not in making.options.order)]
    if making.stock:
        making.refuse("axes in another order")
    if order[0]:
        making.refuse("samples in the place of another axis")
    kept = [shape[axis] for axis in order[1:]]
    making.add("Permute", [making.x], making.y, known=Blob(tuple(kept)), permute_param={"order": order})


def _axpy(making: Making) -> None:
    factors, x, y = making.layer.bottoms
    flat = making.add("Flatten", [factors])
    scaled = making.add("Scale", [x, flat], scale_param={"axis": 0})
    making.add("Eltwise", [scaled, y], making.y)


def _shuffle(making: Making) -> None:
    group = making.options.group
    if making.stock or len(making.shape(why="the shuffling")) != 3:  # other programs have it for images alone
        shuffle(making, group)
    else:
        param = {"group": group}
        making.add("ShuffleChannel", [making.x], making.y, known=making.shapes[0], shuffle_channel_param=param)


def _interp(making: Making) -> None:
    channels, height, width = making.shape()
    options = making.options
    if options.pad_beg or options.pad_end:
        making.refuse("maps that are cut first (pad_beg, pad_end)")
    rows, columns = making.shape(1)[1:] if len(making.layer.bottoms) > 1 else options.wanted((height, width))
    if making.stock:
        interpolate(making, channels, (height, width), (rows, columns))
    else:
        size = {"height": rows, "width": columns}
        making.add("Interp", [making.x], making.y, known=Blob((channels, rows, columns)), interp_param=size)


def _roi_pooling(making: Making) -> None:
    if making.stock:
        making.refuse("regions of interest")
    options = making.options
    bins = (options.pooled_h, options.pooled_w)
    param = {"pooled_h": bins[0], "pooled_w": bins[1], "spatial_scale": options.spatial_scale}
    making.add(
        "ROIPooling", making.layer.bottoms, making.y, known=Blob((making.shape()[0], *bins)), roi_pooling_param=param
    )


def _upsample(making: Making) -> None:
    if making.stock:
        making.refuse("the places of maxima")
    channels, *sizes = making.shape()
    rows, columns = making.options.wanted(sizes)
    param = {"upsample_h": rows, "upsample_w": columns}
    making.add(
        "Upsample",
        making.layer.bottoms,
        making.y,
        known=Blob((channels, rows, columns)),
        unread="it has no such layer",
        upsample_param=param,
    )


def _cosines(making: Making, divides_x: bool, each: int = 1, top: str = "") -> str:
    """The products of x, divided by its norm or not, and the vectors of the classes, divided by theirs. top: see `_products`."""
    x = unit(making, making.x, "", 1, True, _TINY) if divides_x else making.x
    return _products(making, x, _unit_rows(making.blobs[0]), each, top)


def _products(making: Making, x: str, vectors: np.ndarray, each: int, top: str) -> str:
    """Inner products of x and vectors, of which the largest of `each` counts. top: of the last layer, which then has the name of the layer."""
    number = len(vectors)
    param = {"num_output": number, "bias_term": False}
    if each == 1:
        return making.add("InnerProduct", [x], top, [vectors], inner_product_param=param)
    every = making.add("InnerProduct", [x], blobs=[vectors], inner_product_param=param)
    rows = making.add("Reshape", [every], reshape_param={"shape": {"dim": [0, number // each, 1, each]}})
    window = {"pool": Word("MAX"), "kernel_h": 1, "kernel_w": each}
    largest = making.add("Pooling", [rows], pooling_param=window)
    return making.add("Flatten", [largest], top)


def _normalized_inner_product(making: Making) -> None:
    _cosines(making, making.options.normalize_x, making.options.sub_centers, making.y)


def _margin_inner_product(making: Making) -> None:
    _products(making, making.x, _unit_rows(making.blobs[0]), 1, making.y)


def _large_margin_inner_product(making: Making) -> None:
    _products(making, making.x, making.blobs[0], 1, making.y)


def _margin_softmax(making: Making) -> None:
    cosines = _cosines(making, making.options.divides_x)
    making.add("Power", [cosines], making.layer.tops[1], power_param={"scale": making.options.scale_of_type})


def _softmax(making: Making) -> None:
    layer = making.layer
    if making.options is None:
        axis = layer.message.message(_SCORES[layer.type]).whole("axis", 1)
    else:
        axis = making.options.axis
    making.add("Softmax", layer.bottoms[:1], layer.tops[1], softmax_param={"axis": axis})


def _unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1; those of length 0 stay."""
    lengths = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1, keepdims=True))
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


_Rule = Callable[[Making], None]

_RULES: Dict[Type[Options], _Rule] = {
    features.L2NormalizeOptions: _l2_normalize,
    features.NormalizeOptions: _normalize_of_ssd,
    features.PermuteOptions: _permute,
    features.AxpyOptions: _axpy,
    features.ShuffleChannelOptions: _shuffle,
    pooling.PoolingNDOptions: pool,
    pooling.ROIPoolingOptions: _roi_pooling,
    pooling.InterpOptions: _interp,
    pooling.UpsampleOptions: _upsample,
    margins.NormalizedInnerProductOptions: _normalized_inner_product,
    margins.MarginInnerProductOptions: _margin_inner_product,
    margins.LargeMarginInnerProductOptions: _large_margin_inner_product,
}
#: Layers that do something only in TRAIN, or only to a gradient.
_NOTHING = (
    features.GradientScalerOptions,
    margins.LabelSpecificAddOptions,
    margins.CosinAddmOptions,
    margins.CombinedMarginOptions,
)

_OF_LOSSES: Dict[Type[Options], _Rule] = {margins.MarginSoftmaxLossOptions: _margin_softmax}

#: Losses of Caffe's whose second top is a softmax, and the message that has its axis.
_SCORES = {"SoftmaxWithLoss": "softmax_param", "InfogainLoss": "infogain_loss_param"}
