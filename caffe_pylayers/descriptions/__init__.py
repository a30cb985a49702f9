"""What each layer takes, gives and has for options, from its schema: as text, as a page, as functions of NetSpec."""

from caffe_pylayers.descriptions.description import (
    Description,
    Option,
    describe,
    is_loss,
    layer_called,
    layer_to_copy,
    names_in_words,
    parts_in_words,
)

__all__ = [
    "Description",
    "Option",
    "describe",
    "is_loss",
    "layer_called",
    "layer_to_copy",
    "names_in_words",
    "parts_in_words",
]
