"""A call of every pure function of `caffe_pylayers.features`, to compare the libraries of arrays that it runs on. Needs no Caffe."""

import numpy as np

from caffe_pylayers.features.axpy import axpy, scale_gradient
from caffe_pylayers.features.interpolation import interpolate, interpolation_gradient, interpolation_matrix
from caffe_pylayers.features.l2_normalize import unit_vectors, unit_vectors_gradient
from caffe_pylayers.features.order import shuffle_channels
from caffe_pylayers.features.pooling import (
    Window,
    max_along,
    max_gradient_along,
    mean_along,
    mean_gradient_along,
    places_of,
    steps_of,
    tap_type,
)
from caffe_pylayers.features.roi_pooling import bins_of, roi_gradient, roi_maxima
from caffe_pylayers.features.unpooling import flat_places, unpool, unpool_gradient
from tests.losses.pure_calls import Call


def normal(*shape):
    """x and the gradient by an output of its shape, with a zero vector along the axis 1."""

    def inputs(rng):
        x, slope = rng.randn(2, *shape).astype(np.float32)
        x[0, :, 0] = 0
        return {"x": x, "slope": slope}

    return inputs


def buffers(xp):
    return lambda name, shape, dtype: xp.empty(shape, dtype)


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


def pooling_run(window):
    """Along the axis 1, of arrays of three axes."""

    def run(xp, x, slope):
        (step,) = steps_of(x.shape[:2], [window])
        shape = (x.shape[0], step.pooled, x.shape[2])
        largest, means = (xp.empty(shape, np.float32) for _ in range(2))
        gradients = [xp.empty(x.shape, np.float32) for _ in range(2)]
        taps = xp.empty(shape, tap_type(window))
        slope = slope[:, : step.pooled]
        max_along(x, window, largest, taps, buffers(xp))
        max_gradient_along(slope, window, taps, gradients[0], buffers(xp))
        mean_along(x, window, means)
        mean_gradient_along(slope, window, gradients[1], buffers(xp))
        return [largest, taps, means, *gradients, places_of([step._replace(after=x.shape[2])], [taps])]

    return run


def rois_of(regions, *shape):
    def inputs(rng):
        rois = np.column_stack([rng.randint(0, shape[0], regions), rng.uniform(-3, 3 + max(shape[2:]), (regions, 4))])
        x = rng.randint(-9, 9, shape) / 2  # with ties, and zeros of both signs
        return {"x": np.float32(-x), "rois": np.float32(rois), "slope": np.float32(rng.randn(regions, shape[1], 2, 3))}

    return inputs


def roi_run(xp, x, rois, slope):
    bins = bins_of(rois, 0.7, (2, 3), x.shape[2:])
    y, alone, gradient = (
        xp.empty(slope.shape, np.float32),
        xp.empty(slope.shape, np.float32),
        xp.empty(x.shape, np.float32),
    )
    places = xp.zeros(slope.shape, np.int32)
    roi_maxima(x, bins, y, places, buffers(xp))
    roi_maxima(x, bins, alone, None, buffers(xp))
    roi_gradient(slope, bins, places, gradient)
    return [y, alone, gradient]


def interpolation_run(xp, x, slope):
    rows, columns = (
        xp.asarray(interpolation_matrix(*each)) for each in ((x.shape[2], 0, x.shape[2], 7), (x.shape[3], 1, 2, 5))
    )
    y, gradient = xp.empty((*x.shape[:2], 7, 5), np.float32), xp.empty(x.shape, np.float32)
    interpolate(x, rows, columns, y, buffers(xp))
    interpolation_gradient(y, rows, columns, gradient, buffers(xp))
    return [y, gradient]


def unpooling_run(xp, x, slope):
    places = flat_places(xp.abs(xp.rint(slope)), 12, buffers(xp))  # many numbers with one place
    y, gradient = xp.empty((*x.shape[:2], 3, 4), np.float32), xp.empty(x.shape, np.float32)
    unpool(x, places, y)
    unpool_gradient(y, places, gradient)
    return [places, y, gradient]


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
    *(
        Call(f"pooling {shape} {window}", normal(*shape), pooling_run(window))
        for shape in ((2, 7, 4), (30, 20, 17))
        for window in (Window(3, 2, 1), Window(2, 1, 0, 3), Window(5, 3, 4))
    ),
    *(Call(f"roi pooling {shape}", rois_of(*shape), roi_run) for shape in ((6, 2, 3, 5, 6), (300, 3, 70, 20, 30))),
    Call("interpolation", normal(2, 3, 4, 5), interpolation_run),
    Call("unpooling", normal(2, 3, 4, 5), unpooling_run),
]
