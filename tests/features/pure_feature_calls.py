"""A call of every pure function of `caffe_pylayers.features`, to compare the libraries of arrays that it runs on. Needs no Caffe."""

import numpy as np

from caffe_pylayers.features.axpy import axpy, scale_gradient
from caffe_pylayers.features.l2_normalize import unit_vectors, unit_vectors_gradient
from caffe_pylayers.features.order import shuffle_channels
from tests.losses.pure_calls import Call


def normal(*shape):
    """x and the gradient by an output of its shape, with a zero vector along the axis 1."""

    def inputs(rng):
        x, slope = rng.randn(2, *shape).astype(np.float32)
        x[0, :, 0] = 0
        return {"x": x, "slope": slope}

    return inputs


def l2_normalize_run(axes):
    def run(xp, x, slope):
        unit, scratch = xp.empty(x.shape, np.float32), xp.empty(x.shape, np.float32)
        _, inverse = unit_vectors(x, axes, 1e-10, unit)
        unit_vectors_gradient(slope, unit, inverse, axes, scratch, slope)
        return [unit, inverse, slope]

    return run


def normalize_run(xp, x, slope):
    unit = xp.empty(x.shape, np.float32)
    _, inverse = unit_vectors(x, (1,), 1e-10, unit, flat_at_zero=False)
    return [unit, inverse]


def shuffle_channels_run(xp, x, slope):
    shuffled = xp.empty(x.shape, np.float32)
    shuffle_channels(x, 3, shuffled)
    return [shuffled]


def axpy_run(xp, x, slope):
    total, scale = xp.empty(x.shape, np.float32), x[:, :, 0]
    axpy(scale, x, slope, total)
    return [total, scale_gradient(slope, x)]


CALLS = [
    *(
        Call(f"{name} {shape}", normal(*shape), run)
        for name, run in (("normalize", normalize_run), ("shuffle channels", shuffle_channels_run), ("axpy", axpy_run))
        for shape in ((2, 3, 4), (30, 60, 17))
    ),
    *(
        Call(f"l2 normalize {shape} {axes}", normal(*shape), l2_normalize_run(axes))
        for shape in ((2, 3, 4), (30, 20, 17))
        for axes in ((1,), (1, 2))
    ),
]
