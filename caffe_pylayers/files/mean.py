"""The mean to subtract, from a file or from options."""

from typing import Optional, Sequence, Union

import numpy as np

from caffe_pylayers.blob_limits import NUMBER_RULE, too_large
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.npy import read_array


def read_mean(
    mean_file: Union[str, Sequence[float], None], mean_value: Optional[Sequence[float]]
) -> Optional[np.ndarray]:
    """The mean in Caffe's order blue, green, red: float32 (C, H, W) or (C, 1, 1), or None where there is none.

    mean_file: path of a .binaryproto (compute_image_mean) or .npy, channels x height x width or one number per channel;
    or the seed's [red, green, blue], or another number of them in the order of the channels. mean_value: one number for all
    channels, or one each in Caffe's order.
    Raises DataError where the file is not there or is something else.
    """
    if mean_value is not None:
        return np.array(mean_value, np.float32)[:, None, None]
    if mean_file is None:
        return None
    if not isinstance(mean_file, str):
        return np.array(mean_file[:: -1 if len(mean_file) == 3 else 1], np.float32)[:, None, None]
    mean = read_array(
        mean_file, f"mean_file {mean_file}", "a .npy, or a .binaryproto of compute_image_mean, is expected"
    )
    while mean.ndim > 3 and len(mean) == 1:
        mean = mean[0]
    if mean.ndim == 1:
        mean = mean[:, None, None]
    if mean.ndim != 3:
        raise DataError(
            f"an array of shape {mean.shape}",
            remedy="it must be numbers, channels x height x width or one per channel",
            source=f"mean_file {mean_file}",
        )
    beyond = too_large(mean)
    if beyond.any():
        channel, row, column = np.argwhere(beyond)[0].tolist()
        raise DataError(
            f"the number at channel {channel}, row {row}, column {column} is {mean[channel, row, column]:g}",
            remedy=f"it must be finite, and {NUMBER_RULE}",
            source=f"mean_file {mean_file}",
        )
    return mean.astype(np.float32, order="C")
