"""Random Erasing (Zhong et al. 2020): a rectangle of what is fed is covered."""

from typing import NamedTuple, Union

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.augmentation.amount import NOISE_BITS, PURPOSES
from caffe_pylayers.data.augmentation.rectangle import Patch
from caffe_pylayers.data.geometry import Size

MEAN, NOISE = "mean", "noise"


class Erasing(NamedTuple):
    """Where, and by what: a number, MEAN, or NOISE by the key of the image."""

    patch: Patch
    value: Union[str, int]
    key: int

    def pixels(self, size: Size, channels: int) -> np.ndarray:
        """What covers a rectangle of that size, unless it is the mean: uint8 (height, width, channels)."""
        shape = (*size, channels)
        if self.value != NOISE:
            return np.full(shape, self.value, np.uint8)
        count = int(np.prod(shape))
        return (
            keyed.bits(self.key, PURPOSES["erase"], NOISE_BITS, np.arange((count + 7) // 8))
            .view(np.uint8)[:count]
            .reshape(shape)
        )
