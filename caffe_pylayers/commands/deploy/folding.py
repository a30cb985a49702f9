"""Layers that multiply and add per channel, put into the weights of the layer before; and Dropout, which does nothing."""

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.commands.deploy.parts import Part

_WITH_WEIGHTS = {
    "Convolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "InnerProduct": "inner_product_param",
}

Affine = Tuple[np.ndarray, np.ndarray]  # factors and what is added, float64 per channel


@dataclass
class Folded:
    """parts: what is left. into: (name of a layer that is gone, name of that which does its work), "" where it did nothing."""

    parts: List[Part]
    into: List[Tuple[str, str]]


def fold(parts: Sequence[Part], outputs: Sequence[str]) -> Folded:
    """Fold what can be folded: whose bottom is the top of a layer with weights, and goes nowhere else."""
    folded = Folded(list(parts), [])
    _drop(folded, outputs)
    number = 0
    while number < len(folded.parts):
        if not _fold_one(folded, number, outputs):
            number += 1
    return folded


def _drop(folded: Folded, outputs: Sequence[str]) -> None:
    """Take out each Dropout whose top is its bottom, or no output."""
    number = 0
    while number < len(folded.parts):
        if folded.parts[number].type != "Dropout" or not _drop_one(folded, number, outputs):
            number += 1


def _drop_one(folded: Folded, number: int, outputs: Sequence[str]) -> bool:
    """Take out the Dropout of that number, if that can be; says whether it could."""
    part, before, behind = folded.parts[number], folded.parts[:number], folded.parts[number + 1 :]
    (bottom,), (top,) = part.layer.bottoms, part.layer.tops
    changed_later = any(blob in each.layer.tops for each in behind for blob in (bottom, top))
    if top != bottom and (top in outputs or changed_later):
        return False
    folded.into.append((part.layer.name, ""))
    renamed = [
        each.on([bottom if name == top else name for name in each.layer.bottoms], each.layer.tops) for each in behind
    ]
    folded.parts = [*before, *renamed]
    return True


def _fold_one(folded: Folded, number: int, outputs: Sequence[str]) -> bool:
    """Fold the part of that number into the one before, if that can be; says whether it could."""
    part = folded.parts[number]
    affine = _affine(part)
    if affine is None:
        return False
    (bottom,), (top,) = part.layer.bottoms, part.layer.tops
    makers = [i for i, each in enumerate(folded.parts[:number]) if bottom in each.layer.tops]
    if not makers or (top != bottom and bottom in outputs):
        return False
    behind = folded.parts[makers[-1] + 1 :]
    readers = [each for each in behind if bottom in each.layer.bottoms and each is not part]
    if top == bottom:
        readers = [each for each in readers if behind.index(each) < behind.index(part)]
    maker = folded.parts[makers[-1]]
    if readers or maker.type not in _WITH_WEIGHTS or len(maker.layer.tops) > 1:
        return False
    made = _times(maker, affine)
    if made is None:
        return False
    folded.parts[makers[-1]] = made.on(maker.layer.bottoms, [top])
    del folded.parts[number]
    folded.into.append((part.layer.name, maker.layer.name))
    return True


def _affine(part: Part) -> Optional[Affine]:
    """What a layer multiplies each channel by, and what it adds; None where it does something else."""
    blobs = [blob.astype(np.float64) for blob in part.blobs]
    if len(part.layer.bottoms) > 1 or any(blob.ndim > 1 for blob in blobs):
        return None
    message = part.layer.message
    if part.type == "BatchNorm" and message.message("batch_norm_param").flag("use_global_stats", True):
        mean, variance = blobs[:2]
        factors = 1 / np.sqrt(variance + float(message.message("batch_norm_param").get("eps", 1e-5)))
        return factors, -mean * factors
    if part.type == "Scale" and message.message("scale_param").whole("axis", 1) == 1:
        return blobs[0], blobs[1] if len(blobs) > 1 else np.zeros_like(blobs[0])
    if part.type == "Bias" and message.message("bias_param").whole("axis", 1) == 1:
        return np.ones_like(blobs[0]), blobs[0]
    return None


def _times(part: Part, affine: Affine) -> Optional[Part]:
    """A layer with weights whose outputs are multiplied, and added to; None where they are not one per channel."""
    factors, added = affine
    param = part.layer.message.message(_WITH_WEIGHTS[part.type])
    outputs = param.whole("num_output")
    if factors.shape != (outputs,) or param.whole("axis", 1) != 1:
        return None
    weights = part.blobs[0].astype(np.float64)
    if part.type == "Deconvolution":
        group = param.whole("group", 1)
        parted = weights.reshape(group, -1, outputs // group, *weights.shape[2:])
        ones = (1,) * (weights.ndim - 2)
        changed = (parted * factors.reshape(group, 1, outputs // group, *ones)).reshape(weights.shape)
    elif part.type == "InnerProduct" and param.flag("transpose"):
        changed = weights * factors
    else:
        changed = weights * factors.reshape(outputs, *(1,) * (weights.ndim - 1))
    bias = part.blobs[1].astype(np.float64) if len(part.blobs) > 1 else np.zeros(outputs)
    blobs = [changed.astype(np.float32), (bias * factors + added).astype(np.float32)]
    return part.changed(blobs, _WITH_WEIGHTS[part.type], bias_term=True)
