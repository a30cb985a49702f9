"""Layers on features, forward and backward on one thread: each against its stock twin in C++, and torch where torch is.

ROIPooling also against its definition, in a loop over regions and bins.
"""

import importlib.util
import math
from typing import Any, Iterator

import numpy as np

from tests.bench.losses import Contest, Inputs, Shape, net_of, row
from tests.bench.rows import Row, in_turns, milliseconds

SCALE = 0.0625
BINS = {"pooled_h": 7, "pooled_w": 7, "spatial_scale": SCALE}


def _normal(rng: Any, shape: Shape) -> Inputs:
    return {"x": rng.normal(size=shape)}


def _with_rois(rng: Any, shape: Shape) -> Inputs:
    """x on conv5 of VGG16; shape: (regions, channels, height, width)."""
    regions, channels, height, width = shape
    corners = np.sort(rng.uniform(size=(regions, 2, 2)), axis=1) * [width / SCALE - 1, height / SCALE - 1]
    rois = np.concatenate([np.zeros((regions, 1)), corners.reshape(regions, 4)], axis=1)
    return {"x": np.maximum(rng.normal(size=(1, channels, height, width)), 0), "rois": rois}


VISION = importlib.util.find_spec("torchvision") is not None
ROI_POOLING = Contest(
    "ROIPooling",
    _with_rois,
    dict.fromkeys([(300, 512, 38, 50), (2000, 512, 38, 50)], "<= 1" if VISION else ""),
    options=BINS,
    torch=f"__import__('torchvision').ops.roi_pool(x, rois, 7, {SCALE}).sum()" if VISION else "",
)
POOLING = "pooling_param {{ pool: {}  kernel_size: 3  stride: 2  pad: 1 }}"
CONTESTS = [
    ROI_POOLING,
    *(
        Contest(
            "PoolingND",
            _normal,
            {(32, 64, 56, 56): "<= 1.5"},
            f"Pooling {POOLING.format(pool)}",
            {"pool": pool, "kernel_size": 3, "stride": 2, "pad": 1},
        )
        for pool in ("MAX", "AVE")
    ),
    Contest(
        "Interp",
        _normal,
        {(1, 21, 65, 65): "<= 1.2", (1, 512, 6, 6): "<= 1.2"},
        options={"zoom_factor": 8},
        torch="F.interpolate(x, [8 * n - 7 for n in x.shape[2:]], mode='bilinear', align_corners=True).sum()",
    ),
]


def features() -> Iterator[Row]:
    """Every contest at each of its shapes, and ROIPooling against the loop."""
    for contest in CONTESTS:
        for shape, reach in contest.shapes.items():
            yield row(contest, shape, reach)
    yield _against_the_loop((300, 512, 38, 50))


def _against_the_loop(shape: Shape) -> Row:
    inputs = _with_rois(np.random.default_rng(0), shape)
    python = f'python_param {{ module: "caffe_pylayers"  layer: "ROIPooling"  param_str: "{BINS}" }}'
    ours = net_of(f'type: "Python"  {python}', inputs, 1)
    x, rois = (np.asarray(inputs[name], np.float32) for name in ("x", "rois"))
    actions = {"ours": (ours, 3), "loop": (lambda: _loop(x, rois), 1)}
    figures = in_turns({name: lambda each=each: milliseconds(*each, warm=False) for name, each in actions.items()}, 3)
    return Row(
        f"ROIPooling {'x'.join(map(str, shape))}",
        f"{figures['ours']:.0f} ms",
        f"a loop over regions and bins in NumPy, forward and backward: {figures['loop']:.0f} ms",
        figures["ours"] / figures["loop"],
        "<= 0.2",
    )


def _loop(x: np.ndarray, rois: np.ndarray) -> None:
    """py-faster-rcnn's definition, bin by bin over all channels, and the gradient of the sum."""
    (_, channels, height, width), gradient, number = x.shape, np.zeros_like(x), np.arange(x.shape[1])
    y = np.zeros((len(rois), channels, 7, 7), np.float32)
    for r, (image, *corners) in enumerate(rois):
        left, top, right, bottom = (math.floor(corner * SCALE + 0.5) for corner in corners)
        rows, columns = max(bottom - top + 1, 1), max(right - left + 1, 1)
        for i, j in np.ndindex(7, 7):
            first, last = (min(max(each + top, 0), height) for each in (i * rows // 7, -(-(i + 1) * rows // 7)))
            start, stop = (min(max(each + left, 0), width) for each in (j * columns // 7, -(-(j + 1) * columns // 7)))
            if first < last and start < stop:
                part = x[int(image), :, first:last, start:stop].reshape(channels, -1)
                place = part.argmax(axis=1)
                y[r, :, i, j] = part[number, place]
                at_row, at_column = np.divmod(place, stop - start)
                gradient[int(image), number, first + at_row, start + at_column] += 1
