"""Whether stored pixels have their axes in Caffe's order."""

from typing import Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.data.sources import Source
from caffe_pylayers.errors import DataError

_CHANNELS = (1, 3, 4)


def axes_doubt(shape: Sequence[int], whole: bool = False) -> Optional[DataError]:
    """What to say of stored numbers, channels x height x width, that look like height x width x channels; None of others.

    whole: whether they are 8-bit pixels. Other numbers may well be a signal, of width 1. Feature maps of 3 x 3 or 4 x 4 and
    vectors, 1 x 1, do not look so.
    """
    if len(shape) != 3 or shape[2] not in _CHANNELS or shape[0] <= 4 or shape[1] <= 4 or (shape[2] == 1 and not whole):
        return None
    size = " x ".join(map(str, shape))
    return DataError(
        f"numbers of channels x height x width = {size} look like height x width x channels: Caffe would see {shape[0]} channels",
        remedy="write each image as `image.transpose(2, 0, 1)`",
    )


def stored_axes(source: Source) -> Optional[Tuple[Tuple[int, int, int], bool]]:
    """Channels, height and width of the first record, and whether it is 8-bit pixels; None for an encoded image, or one
    that cannot be read.
    """
    try:
        image = source.read(0)
    except DataError:
        return None
    if not isinstance(image, np.ndarray):
        return None
    height, width, channels = image.shape
    return (channels, height, width), image.dtype == np.uint8
