"""Whether stored pixels have their axes in Caffe's order."""

from typing import Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.data.sources import Source
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.npy import NPY, npy_header

_CHANNELS = (1, 3, 4)

#: Shape, whole and npy of `axes_doubt`.
Stored = Tuple[Tuple[int, ...], bool, bool]


def axes_doubt(shape: Sequence[int], whole: bool = False, npy: bool = False) -> Optional[DataError]:
    """What to say of stored numbers, channels x height x width, that look like height x width x channels; None of others.

    npy: those of a .npy file, which are height x width x channels, and may look like channels x height x width.
    whole: whether they are 8-bit pixels. Other numbers may well be a signal, of width 1. Feature maps of 3 x 3 or 4 x 4 and
    vectors, 1 x 1, do not look so.
    """
    if npy and len(shape) == 3 and shape[0] in _CHANNELS and min(shape[1:]) > 4:
        return DataError(
            f"numbers of height x width x channels = {_size(shape)} look like channels x height x width: Caffe would see {shape[2]} channels",
            remedy="write each image as `image.transpose(1, 2, 0)`",
        )
    if (
        npy
        or len(shape) != 3
        or shape[2] not in _CHANNELS
        or shape[0] <= 4
        or shape[1] <= 4
        or (shape[2] == 1 and not whole)
    ):
        return None
    return DataError(
        f"numbers of channels x height x width = {_size(shape)} look like height x width x channels: Caffe would see {shape[0]} channels",
        remedy="write each image as `image.transpose(2, 0, 1)`",
    )


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def stored_axes(source: Source) -> Optional[Stored]:
    """What `axes_doubt` takes of the first record; None for an encoded image, or one that cannot be read."""
    try:
        image = source.read(0)
        if isinstance(image, np.ndarray):
            height, width, channels = image.shape
            return (channels, height, width), image.dtype == np.uint8, False
        return (npy_header(image)[0], False, True) if bytes(image[: len(NPY)]) == NPY else None
    except (DataError, ValueError, IndexError):
        return None
