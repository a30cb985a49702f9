"""Maps of another size, and channels in another order, by stock layers."""

import math
from typing import Any, Dict, Tuple

import numpy as np

from caffe_pylayers.commands.deploy.making import Making


def interpolate(making: Making, channels: int, sizes: Tuple[int, int], wanted: Tuple[int, int]) -> None:
    """Bilinear interpolation with aligned corners: `up` times as fine by a Deconvolution, then each `down`-th number of that by a Convolution."""
    steps = [_steps(size, count) for size, count in zip(sizes, wanted)]
    x = making.x
    up = any(len(kernel) > 1 for kernel, _, _ in steps)
    down = any(each > 1 for _, _, each in steps)
    if up:
        (rows, up_h, _), (columns, up_w, _) = steps
        weights = np.broadcast_to(np.outer(rows, columns), (channels, 1, len(rows), len(columns)))
        window = {"kernel_h": len(rows), "kernel_w": len(columns), "stride_h": up_h, "stride_w": up_w}
        param = {**_of_each_channel(channels), **window, "pad_h": up_h - 1, "pad_w": up_w - 1}
        x = making.add("Deconvolution", [x], "" if down else making.y, [weights], convolution_param=param)
    if down:
        stride = {"kernel_size": 1, "stride_h": steps[0][2], "stride_w": steps[1][2]}
        ones = np.ones((channels, 1, 1, 1), np.float32)
        making.add("Convolution", [x], making.y, [ones], convolution_param={**_of_each_channel(channels), **stride})
    if not up and not down:
        making.add("Power", [x], making.y)


def _of_each_channel(channels: int) -> Dict[str, Any]:
    return {"num_output": channels, "group": channels, "bias_term": False}


def _steps(size: int, wanted: int) -> Tuple[np.ndarray, int, int]:
    """The kernel and the stride of the Deconvolution, and the stride of the Convolution, along one axis."""
    if size == 1:
        return np.ones(wanted, np.float32), 1, 1
    if wanted == 1:
        return np.ones(1, np.float32), 1, size
    shared = math.gcd(size - 1, wanted - 1)
    up = (wanted - 1) // shared
    kernel = 1 - np.abs(np.arange(1 - up, up)) / up
    return kernel.astype(np.float32), up, (size - 1) // shared


def shuffle(making: Making, group: int) -> None:
    """Channel j of group i becomes channel i of group j: groups are cut apart, and joined along an axis behind that of the channels."""
    parted = {"axis": 1, "num_axes": 1, "shape": {"dim": [group, -1]}}
    column = {"axis": 1, "num_axes": 2, "shape": {"dim": [-1, 1]}}
    groups = making.add("Reshape", [making.x], reshape_param=parted)
    columns = [making.add("Reshape", [each], reshape_param=column) for each in making.cut(groups, group)]
    joined = making.add("Concat", columns, concat_param={"axis": 2})
    making.add("Reshape", [joined], making.y, reshape_param={"axis": 1, "num_axes": 2, "shape": {"dim": -1}})
