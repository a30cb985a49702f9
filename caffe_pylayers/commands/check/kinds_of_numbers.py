"""What the numbers of a bottom are: classes, targets from 0 to 1, or targets of a regression."""

from math import prod
from typing import Mapping, Tuple

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.check.python_layers import options_of, schema_of, takes_label
from caffe_pylayers.commands.check.report import Shape

Shapes = Mapping[str, Shape]


def kinds(layer: Layer, number: int) -> Tuple[bool, bool, bool]:
    """Whether a bottom has numbers of classes, targets from 0 to 1, or targets of a regression; one may have either of the first two."""
    schema = schema_of(layer)
    either = number == 1 and schema is not None and schema.target_or_label
    is_target = number == 1 and schema is not None and schema.inside == "Sigmoid"
    is_measured = number == 1 and schema is not None and schema.takes[:2] == ("prediction", "target")
    return either or _is_label(layer, number), either or is_target, is_measured


def _is_label(layer: Layer, number: int) -> bool:
    """Whether a bottom has numbers of classes."""
    options = options_of(layer)
    first = layer.type == "Embed" or getattr(options, "n_classes", None) is not None
    of_classes = takes_label(layer, number) and getattr(options, "keeps_numbers_whole", True)
    return (number == 0 and first) or of_classes


def which(layer: Layer, shapes: Shapes) -> Tuple[bool, bool]:
    """Whether what may be either are numbers of classes, or targets: one for each score. Neither where it cannot be told."""
    if not all(blob in shapes for blob in layer.bottoms[:2]):
        return False, False
    scores, given = (prod(shapes[blob]) for blob in layer.bottoms[:2])
    return scores != given, scores == given


def has_labels(layer: Layer, number: int, shapes: Shapes) -> bool:
    """Whether a bottom has numbers of classes, as far as can be told."""
    is_label, is_target, _ = kinds(layer, number)
    return which(layer, shapes)[0] if is_label and is_target else is_label


def leaves_out(layer: Layer) -> bool:
    """Whether it leaves out targets that are neither 0 nor 1."""
    schema = schema_of(layer)
    return schema is not None and schema.leaves_out_others
