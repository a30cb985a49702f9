"""The layers on features that tests/features/test_every_feature.py runs over, with the plain loop of each."""

import numpy as np

from tests.features.channel_cases import AXPY, GRADIENT_SCALER, NORMALIZE, PERMUTE, SHUFFLE_CHANNEL
from tests.features.feature import Feature, only_x
from tests.features.map_size_cases import MAP_SIZES
from tests.features.margin_cases import MARGINS
from tests.features.pooling_cases import POOLING, ROI_POOLING


def l2_normalize(x, axis=1, across_spatial=False, eps=1e-10, scale=None, blobs=()):
    axis %= x.ndim
    y = np.zeros_like(x)
    groups = x.shape[:axis] if across_spatial else x.shape[:axis] + x.shape[axis + 1 :]
    for index in np.ndindex(*groups):
        place = index if across_spatial else (*index[:axis], slice(None), *index[axis:])
        vector = x[place]
        if np.any(vector):
            y[place] = vector / np.sqrt(np.sum(vector**2) + eps)
    if scale is not None:
        y = y * np.reshape(blobs[0], [-1 if i == axis else 1 for i in range(x.ndim)])
    return y


L2_NORMALIZE = [
    Feature(
        "L2Normalize",
        only_x(2, 3, 2, 4),
        l2_normalize,
        only_x(4, 3, 2, 4),
        only_x(16, 64, 32, 32),
        options,
        blobs=(lambda rng: [rng.uniform(1, 2, 3)]) if "scale" in options else Feature._field_defaults["blobs"],
        in_place=True,
    )
    for options in (
        {},
        {"across_spatial": True},
        {"axis": -1},
        {"axis": 2, "across_spatial": True},
        {"scale": 3.0},
        {"scale": 2.0, "across_spatial": True},
        {"eps": 0.5},
    )
]

FEATURES = [
    *L2_NORMALIZE,
    *NORMALIZE,
    *PERMUTE,
    *SHUFFLE_CHANNEL,
    *AXPY,
    *GRADIENT_SCALER,
    *POOLING,
    *ROI_POOLING,
    *MAP_SIZES,
    *MARGINS,
]

#: The first case of each layer.
ONE_A_LAYER = list({case.layer: case for case in reversed(FEATURES)}.values())
