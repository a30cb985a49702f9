"""The losses on differences: references as plain loops in float64, and cases."""

import math

import numpy as np

from tests.losses.case import Case, large
from tests.losses.stock_cases import rows


def smooth_l1(d, sigma=1.0):
    return sigma**2 * d**2 / 2 if abs(d) < 1 / sigma**2 else abs(d) - 1 / (2 * sigma**2)


def l1(d):
    return abs(d)


def huber(d, delta=1.0):
    return d**2 / 2 if abs(d) <= delta else delta * (abs(d) - delta / 2)


def wing(d, w=10.0, epsilon=2.0):
    return w * math.log(1 + abs(d) / epsilon) if abs(d) < w else abs(d) - w + w * math.log(1 + w / epsilon)


CURVES = {"SmoothL1Loss": smooth_l1, "L1Loss": l1, "HuberLoss": huber, "WingLoss": wing}


def reference_of(layer, own):
    def reference(prediction, target, inside_weight=None, outside_weight=None, **_):
        prediction, target = rows(prediction), rows(target)
        values = np.zeros(prediction.shape)
        for at in np.ndindex(*values.shape):
            inside = 1.0 if inside_weight is None else float(rows(inside_weight)[at])
            outside = 1.0 if outside_weight is None else float(rows(outside_weight)[at])
            values[at] = outside * CURVES[layer](inside * (prediction[at] - target[at]), **own)
        return values, np.zeros(values.shape, bool)

    return reference


def inputs_of(shape, factors):
    def inputs(rng):
        blobs = {"prediction": rng.randn(*shape) * 2, "target": rng.randn(*shape) * 1.5}
        for name in factors:
            blobs[name] = rng.uniform(0.3, 2, shape)
            blobs[name].flat[3] = 0
        return blobs

    return inputs


def case(layer, shape, factors=(), normalization="BATCH_SIZE", **own):
    options = {**own, **({"normalization": normalization} if normalization != "BATCH_SIZE" else {})}
    shapes = inputs_of(shape, factors), inputs_of(large(shape), factors)
    both = ("prediction", "target")
    return Case(
        layer, shapes[0], reference_of(layer, own), both, shapes[1], options, normalization="BATCH_SIZE", copies=True
    )


BOTH = ("inside_weight", "outside_weight")
IMAGE = (4, 3, 2, 2)

CASES = [
    case("SmoothL1Loss", (4, 3)),
    case("SmoothL1Loss", IMAGE, BOTH, sigma=3.0),
    case("SmoothL1Loss", IMAGE, ("inside_weight",)),
    *(case("SmoothL1Loss", (4, 3), normalization=mode) for mode in ("FULL", "VALID", "NONE")),
    case("L1Loss", (4, 3)),
    case("L1Loss", IMAGE, BOTH),
    case("HuberLoss", (4, 3)),
    case("HuberLoss", IMAGE, BOTH, delta=2.0),
    case("WingLoss", (4, 3)),
    case("WingLoss", IMAGE, BOTH, w=1.5, epsilon=0.5),
]
