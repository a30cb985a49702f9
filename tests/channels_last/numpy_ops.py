"""Convolution, deconvolution and pooling by their definitions, a position at a time."""

import itertools

import numpy as np


def _places(x, kernel, stride, dilation=(1, 1)):
    """((row, column) of the top, the window there) of each window that lies inside."""
    extents = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    sizes = [(size - extent) // s + 1 for size, extent, s in zip(x.shape[1:3], extents, stride)]
    for row, column in itertools.product(*map(range, sizes)):
        rows = slice(row * stride[0], row * stride[0] + extents[0], dilation[0])
        columns = slice(column * stride[1], column * stride[1] + extents[1], dilation[1])
        yield (row, column), x[:, rows, columns]


def _filled(places, samples, channels):
    found = list(places)
    height, width = (1 + max(at[axis] for at, _ in found) for axis in (0, 1))
    y = np.zeros((samples, height, width, channels))
    for (row, column), value in found:
        y[:, row, column] = value
    return y


def convolution(x, weights, stride, dilation, group):
    outputs, inputs = weights.shape[3] // group, weights.shape[2]

    def at(window):
        pieces = [
            np.einsum(
                "nhwi,hwio->no",
                window[..., g * inputs : (g + 1) * inputs],
                weights[..., g * outputs : (g + 1) * outputs],
            )
            for g in range(group)
        ]
        return np.concatenate(pieces, 1)

    places = ((place, at(window)) for place, window in _places(x, weights.shape[:2], stride, dilation))
    return _filled(places, len(x), weights.shape[3])


def depthwise(x, weights, stride, dilation, group):
    places = (
        (place, np.einsum("nhwi,hwim->nim", window, weights).reshape(len(x), -1))
        for place, window in _places(x, weights.shape[:2], stride, dilation)
    )
    return _filled(places, len(x), weights.shape[2] * weights.shape[3])


def deconvolution(x, weights, stride, group):
    height, width, outputs, inputs = weights.shape
    each = inputs // group
    sizes = [(size - 1) * s + k for size, s, k in zip(x.shape[1:3], stride, (height, width))]
    y = np.zeros((len(x), *sizes, outputs * group))
    for row, column, g in itertools.product(range(x.shape[1]), range(x.shape[2]), range(group)):
        piece = slice(g * each, (g + 1) * each)
        spread = np.einsum("ni,hwoi->nhwo", x[:, row, column, piece], weights[..., piece])
        rows, columns = (
            slice(row * stride[0], row * stride[0] + height),
            slice(column * stride[1], column * stride[1] + width),
        )
        y[:, rows, columns, g * outputs : (g + 1) * outputs] += spread
    return y


def max_pool(x, kernel, stride):
    return _filled(((at, window.max((1, 2))) for at, window in _places(x, kernel, stride)), len(x), x.shape[3])


def sum_pool(x, kernel, stride):
    return _filled(((at, window.sum((1, 2))) for at, window in _places(x, kernel, stride)), len(x), x.shape[3])


matmul = np.matmul
