"""The cases of Interp and Upsample."""

import numpy as np

from tests.features.feature import Feature, only_x


def interp(x, like=None, height=None, width=None, zoom_factor=1, shrink_factor=1, pad_beg=0, pad_end=0):
    """Number by number."""
    x = x[:, :, -pad_beg : x.shape[2] + pad_end, -pad_beg : x.shape[3] + pad_end]
    sizes = [((size - 1) // shrink_factor) * zoom_factor + 1 for size in x.shape[2:]]
    if height:
        sizes = [height, width]
    if like is not None:
        sizes = like.shape[2:]
    y = np.zeros(x.shape[:2] + tuple(sizes))
    for n, c, i, j in np.ndindex(*y.shape):
        at = [k * (old - 1) / (new - 1) if new > 1 else 0.0 for k, old, new in zip((i, j), x.shape[2:], sizes)]
        for di, dj in np.ndindex(2, 2):
            row, column = int(at[0]) + di, int(at[1]) + dj
            weight = (1 - abs(at[0] - row)) * (1 - abs(at[1] - column))
            if row < x.shape[2] and column < x.shape[3]:
                y[n, c, i, j] += weight * x[n, c, row, column]
    return y


def x_and_like(shape, size):
    return lambda rng: {"x": rng.randn(*shape), "like": rng.randn(shape[0], 1, *size)}


INTERP = [
    Feature("Interp", only_x(1, 2, 3, 4), interp, only_x(2, 1, 4, 3), only_x(2, 3, 300, 600), options)
    for options in (
        {"zoom_factor": 3},
        {"shrink_factor": 2},
        {"shrink_factor": 2, "zoom_factor": 3},
        {"height": 7, "width": 2},
        {"height": 1, "width": 1},
        {"height": 3, "width": 4, "pad_beg": -1},
        {"zoom_factor": 2, "pad_beg": -1, "pad_end": -1},
        {"zoom_factor": 1},
    )
] + [
    Feature(
        "Interp",
        x_and_like((2, 3, 4, 5), (6, 3)),
        interp,
        x_and_like((1, 2, 3, 3), (2, 7)),
        x_and_like((2, 3, 300, 600), (9, 9)),
    )
]


def upsample(
    x, mask, scale=2, scale_h=None, scale_w=None, pad_out_h=False, pad_out_w=False, upsample_h=None, upsample_w=None
):
    """Number by number, as SegNet's UpsampleLayer goes."""
    rows = upsample_h or x.shape[2] * (scale_h or scale) - pad_out_h
    columns = upsample_w or x.shape[3] * (scale_w or scale) - pad_out_w
    y = np.zeros((*x.shape[:2], rows * columns))
    for n, c, i, j in np.ndindex(*x.shape):
        y[n, c, int(mask[n, c, i, j])] = x[n, c, i, j]
    return y.reshape(*x.shape[:2], rows, columns)


def x_and_mask(shape, rows, columns):
    """A place in each map for each number."""

    def inputs(rng):
        each = [rng.permutation(rows * columns)[: shape[2] * shape[3]] for _ in range(shape[0] * shape[1])]
        return {"x": rng.randn(*shape), "mask": np.reshape(each, shape)}

    return inputs


UPSAMPLE = [
    Feature("Upsample", x_and_mask((2, 3, 2, 3), *size), upsample, x_and_mask((1, 2, 2, 3), *size), x_and_mask((4, 16, 128, 128), 256, 256), options)
    for size, options in (
        ((4, 6), {}),
        ((6, 9), {"scale": 3}),
        ((4, 9), {"scale_h": 2, "scale_w": 3}),
        ((3, 5), {"pad_out_h": True, "pad_out_w": True}),
        ((5, 6), {"upsample_h": 5, "upsample_w": 6}),
    )
]  # fmt: skip

MAP_SIZES = [*INTERP, *UPSAMPLE]
