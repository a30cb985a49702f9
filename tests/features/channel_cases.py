"""Normalize, Permute, ShuffleChannel, Axpy and GradientScaler, with the plain loop of each."""

import numpy as np

from tests.features.feature import Feature, only_x


def normalize(x, blobs, across_spatial=True, channel_shared=True, eps=1e-10, scale_filler=None):
    y = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        vector = x[index[0]] if across_spatial else x[(index[0], slice(None), *index[2:])]
        factor = blobs[0] if channel_shared else blobs[0][index[1]]
        y[index] = factor * x[index] / np.sqrt(np.sum(vector**2) + eps)
    return y


NORMALIZE = [
    Feature(
        "Normalize",
        only_x(2, 3, 2, 4),
        normalize,
        only_x(1, 5, 3, 1) if shared else only_x(4, 3, 2, 4),
        only_x(16, 64, 32, 32),
        options,
        blobs=lambda rng, shape=() if shared else (3,): [rng.uniform(1, 2, shape)],
        in_place=True,
    )
    for options in (
        {},
        {"across_spatial": False, "channel_shared": False, "scale_filler": {"type": "constant", "value": 20}},
        {"across_spatial": False, "eps": 0.5},
        {"channel_shared": False, "scale_filler": {"type": "uniform", "min": 1, "max": 2}},
    )
    for shared in (options.get("channel_shared", True),)
]


def permute(x, order):
    order = [*order, *(axis for axis in range(x.ndim) if axis not in order)]
    y = np.zeros([x.shape[axis] for axis in order])
    for index in np.ndindex(*x.shape):
        y[tuple(index[axis] for axis in order)] = x[index]
    return y


PERMUTE = [
    Feature("Permute", only_x(*shape), permute, only_x(*shape[::-1]), only_x(16, 64, 32, 32), {"order": order})
    for shape, order in (
        ((2, 3, 2, 4), [0, 2, 3, 1]),
        ((2, 3, 2, 4), [0, 3]),
        ((2, 3, 4, 1, 2), [0, 4, 1, 3, 2]),
        ((2, 3), [0, 1]),
    )
]


def shuffle_channel(x, group=1):
    y, each = np.zeros_like(x), x.shape[1] // group
    for i in range(group):
        for j in range(each):
            y[:, j * group + i] = x[:, i * each + j]
    return y


SHUFFLE_CHANNEL = [
    Feature("ShuffleChannel", only_x(*shape), shuffle_channel, only_x(3, 12, 5), only_x(16, 64, 32, 32), options)
    for shape, options in (
        ((2, 6, 2, 3), {"group": 2}),
        ((2, 6), {"group": 3}),
        ((2, 3, 2), {}),
        ((1, 4, 2), {"group": 4}),
    )
]


def axpy(scale, x, y):
    total = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        total[index] = scale[index[:2]].item() * x[index] + y[index]
    return total


def scale_x_y(*shape, ones=()):
    return lambda rng: {"scale": rng.randn(*shape[:2], *ones), "x": rng.randn(*shape), "y": rng.randn(*shape)}


AXPY = [
    Feature(
        "Axpy",
        scale_x_y(*shape, ones=ones),
        axpy,
        scale_x_y(3, 2, 4, 1, ones=ones),
        scale_x_y(16, 64, 32, 32, ones=ones),
        differentiable=("scale", "x", "y"),
    )
    for shape, ones in (((2, 3, 2, 4), (1, 1)), ((2, 3, 2, 4), ()), ((2, 3, 5), (1,)), ((4, 3), ()))
]

#: Its gradient is that of no value, but with these bounds it is times 1.
GRADIENT_SCALER = [
    Feature(
        "GradientScaler",
        only_x(2, 3, 2),
        lambda x, **options: x.copy(),
        only_x(5, 1),
        only_x(16, 64, 32, 32),
        {"lower_bound": -1, "upper_bound": -1, "max_iter": 2},
        in_place=True,
    )
]
