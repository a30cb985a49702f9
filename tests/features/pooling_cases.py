"""The cases of PoolingND and ROIPooling."""

import math

import numpy as np

from tests.features.feature import Feature, only_x


def per_axis(value, count):
    return list(value) if isinstance(value, (list, tuple)) else [value] * count


def pooling_nd(x, pool="MAX", axis=1, kernel_size=None, stride=1, pad=0, kstride=1, global_pooling=False, **sides):
    """Window by window, as stock's PoolingLayer goes."""
    if global_pooling:
        kernel_size = x.shape[axis % x.ndim + 1 :]
    return pooling_and_mask(x, pool, axis, kernel_size, stride, pad, kstride, **sides)[0]


def pooling_and_mask(x, pool="MAX", axis=1, kernel_size=None, stride=1, pad=0, kstride=1, **sides):
    first = axis % x.ndim + 1
    sizes = x.shape[first:]
    if sides:
        kernel_size, stride, pad = ([sides[f"{name}_{side}"] for side in "hw"] for name in ("kernel", "stride", "pad"))
    kernels, strides, pads, steps = (per_axis(each, len(sizes)) for each in (kernel_size, stride, pad, kstride))
    pooled = []
    for size, kernel, stride, pad, step in zip(sizes, kernels, strides, pads, steps):
        count = math.ceil((size + 2 * pad - (kernel - 1) * step - 1) / stride) + 1
        if (count - 1) * stride >= size + pad:
            count -= 1
        pooled.append(count)
    y, mask = (np.zeros(x.shape[:first] + tuple(pooled)) for _ in range(2))
    for index in np.ndindex(*y.shape):
        starts = [i * stride - pad for i, stride, pad in zip(index[first:], strides, pads)]
        best, total, count = -np.inf, 0.0, 0
        for taps in np.ndindex(*kernels):
            place = [start + tap * step for start, tap, step in zip(starts, taps, steps)]
            count += all(at < size + pad for at, size, pad in zip(place, sizes, pads))
            if all(0 <= at < size for at, size in zip(place, sizes)):
                value = x[(*index[:first], *place)]
                total += value
                if value > best:
                    best, mask[index] = value, np.ravel_multi_index(place, sizes)
        y[index] = best if pool == "MAX" else total / count
    return y, mask


POOLING = [
    Feature("PoolingND", only_x(*shape), pooling_nd, only_x(*other), only_x(4, 16, 20, 32, 32), options)
    for shape, other, options in (
        ((2, 2, 3, 4), (1, 2, 4, 5), {"kernel_size": 3, "stride": 2, "pad": 1}),
        ((2, 1, 3, 4), (1, 2, 4, 5), {"kernel_size": 3, "stride": 2, "pad": 1, "pool": "AVE"}),
        ((2, 1, 4, 3, 3), (1, 2, 3, 4, 2), {"kernel_size": 2, "stride": 2}),
        ((1, 2, 4, 3, 2), (2, 1, 3, 4, 3), {"kernel_size": [3, 2, 1], "stride": [2, 1, 1], "pad": [1, 0, 0]}),
        ((1, 1, 4, 5, 3), (1, 1, 3, 4, 2), {"kernel_size": [3, 2, 3], "stride": [2, 3, 1], "pad": [2, 1, 1], "pool": "AVE"}),
        ((2, 3, 7), (1, 2, 9), {"kernel_size": 3, "kstride": 2}),
        ((2, 3, 8), (1, 2, 9), {"kernel_size": 2, "kstride": 3, "stride": 2, "pool": "AVE"}),
        ((2, 1, 2, 3, 3), (1, 2, 2, 4, 3), {"kernel_size": 2, "axis": 2}),
        ((2, 1, 5, 4), (3, 1, 4, 3), {"kernel_h": 1, "kernel_w": 2, "stride_h": 3, "stride_w": 1, "pad_h": 0, "pad_w": 1}),
        ((2, 2, 3, 2), (1, 2, 3, 2), {"kernel_size": [3, 2], "pool": "AVE"}),
        ((2, 3, 2), (1, 2, 4), {"kernel_size": 1}),
        ((2, 2, 2, 3, 2), (1, 2, 3, 2, 2), {"global_pooling": True}),
        ((2, 2, 3, 2), (1, 3, 4, 2), {"global_pooling": True, "pool": "AVE"}),
    )
]  # fmt: skip


def c_round(x):
    """round() of C: halves away from zero."""
    return int(math.floor(abs(x) + 0.5) * (1 if x >= 0 else -1))


def roi_pooling(x, rois, pooled_h, pooled_w, spatial_scale=1.0):
    """Region by region and bin by bin, as py-faster-rcnn's ROIPoolingLayer goes."""
    rois = rois.reshape(-1, 5)
    height, width = x.shape[2:]
    y = np.zeros((len(rois), x.shape[1], pooled_h, pooled_w))
    for r, (image, *corners) in enumerate(rois):
        left, top, right, bottom = (c_round(np.float32(corner) * np.float32(spatial_scale)) for corner in corners)
        step_y, step_x = (
            np.float32(max(last - first + 1, 1)) / np.float32(count)
            for first, last, count in ((top, bottom, pooled_h), (left, right, pooled_w))
        )
        for i, j in np.ndindex(pooled_h, pooled_w):
            rows, columns = (
                slice(
                    min(max(math.floor(np.float32(k) * step) + first, 0), size),
                    min(max(math.ceil(np.float32(k + 1) * step) + first, 0), size),
                )
                for k, step, first, size in ((i, step_y, top, height), (j, step_x, left, width))
            )
            part = x[int(image), :, rows, columns]
            if part.size:
                y[r, :, i, j] = part.reshape(len(part), -1).max(axis=1)
    return y


def x_and_rois(images, channels, height, width, regions, scale=1.0):
    """Regions of any size, some reversed, some over the border; one beyond the corner, one of one pixel."""

    def inputs(rng):
        corners = rng.uniform(-2, 2 + max(height, width), (regions, 4)) / scale
        corners[0], corners[1] = 2 * max(height, width) / scale, 1 / scale
        rois = np.column_stack([rng.randint(0, images, regions), corners])
        return {"x": rng.randn(images, channels, height, width), "rois": rois}

    return inputs


ROI_POOLING = [
    Feature(
        "ROIPooling",
        x_and_rois(*shape, **scale),
        roi_pooling,
        x_and_rois(*other, **scale),
        x_and_rois(1, 256, 50, 80, 20, **scale),
        {"pooled_h": pooled[0], "pooled_w": pooled[1], **{f"spatial_{name}": value for name, value in scale.items()}},
    )
    for shape, other, pooled, scale in (
        ((2, 3, 5, 6, 7), (1, 2, 8, 5, 4), (2, 3), {}),
        ((1, 2, 7, 4, 5), (3, 2, 3, 4, 2), (3, 2), {"scale": 0.0625}),
        ((2, 2, 4, 9, 5), (1, 1, 9, 4, 5), (1, 1), {"scale": 0.5}),
        ((1, 2, 3, 3, 4), (1, 2, 4, 3, 4), (7, 7), {}),
    )
]
