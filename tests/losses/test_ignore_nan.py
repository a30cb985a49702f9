"""`ignore_nan`: a target that is NaN is a missing value, which adds nothing to the loss, whatever is predicted for it."""

import caffe
import numpy as np
import pytest

from caffe_pylayers.errors import DataError
from tests.caffe_nets import build, python_layer
from tests.refusals import refused

EUCLIDEAN, SIGMOID = "WeightedEuclideanLoss", "WeightedSigmoidCrossEntropyLoss"
MODES = [(EUCLIDEAN, "BATCH_SIZE"), *((SIGMOID, mode) for mode in ("FULL", "VALID", "BATCH_SIZE", "NONE"))]


def net_of(layer, bottoms, phase=caffe.TRAIN, **options):
    return build([python_layer(layer, list(bottoms), ["loss"], options, 1)], bottoms, phase)


def inputs(weights):
    rng = np.random.RandomState(0)
    bottoms = {"prediction": rng.randn(5, 4), "target": rng.uniform(0, 1, (5, 4))}
    bottoms["target"][rng.uniform(size=(5, 4)) < 0.4] = np.nan
    bottoms["target"][2] = np.nan
    if weights:
        bottoms["sample_weight"] = rng.uniform(0.5, 2, (5, 4) if weights == "each" else 5)
    return {name: array.astype(np.float32) for name, array in bottoms.items()}


def looped(layer, mode, prediction, target, sample_weight=None):
    """The loss by a loop over the terms, in float64."""
    weights = np.ones((5, 4)) if sample_weight is None else np.broadcast_to(sample_weight.reshape(5, -1), (5, 4))
    total = full = valid = 0.0
    for x, t, w in zip(prediction.ravel().astype(float), target.ravel().astype(float), weights.ravel().astype(float)):
        full += w
        if not np.isnan(t):
            valid += w
            total += w * ((x - t) ** 2 / 2 if layer == EUCLIDEAN else np.logaddexp(0, x) - x * t)
    return total / {"FULL": full, "VALID": valid, "BATCH_SIZE": full / 4, "NONE": 1}[mode]


@pytest.mark.parametrize("weights", ["", "sample", "each"])
@pytest.mark.parametrize("layer, mode", MODES)
def test_equals_the_loop(layer, mode, weights):
    bottoms = inputs(weights)
    net = net_of(layer, bottoms, ignore_nan=True, **({} if layer == EUCLIDEAN else {"normalization": mode}))
    for step in range(2):  # the second time the gradient is prepared in forward
        net.forward()
        net.backward()
        assert net.blobs["loss"].data == pytest.approx(looped(layer, mode, **bottoms), rel=1e-5), step
        for name in ["prediction", *["target"] * (layer == EUCLIDEAN), *["sample_weight"] * bool(weights)]:
            found = net.blobs[name].diff
            expected = np.empty(bottoms[name].shape)
            for at in np.ndindex(bottoms[name].shape):
                sides = []
                for change in (1e-4, -1e-4):
                    other = {key: array.astype(float) for key, array in bottoms.items()}
                    other[name][at] += change
                    sides.append(looped(layer, mode, **other))
                expected[at] = (sides[0] - sides[1]) / 2e-4
            np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("layer", [EUCLIDEAN, SIGMOID])
def test_a_prediction_without_a_target_may_be_anything(layer):
    bottoms = inputs("")
    bottoms["prediction"][2] = np.nan
    net = net_of(layer, bottoms, ignore_nan=True)
    net.forward()
    net.backward()
    assert np.isfinite(net.blobs["loss"].data) and np.isfinite(net.blobs["prediction"].diff).all()
    assert not net.blobs["prediction"].diff[2].any()


@pytest.mark.parametrize("layer", [EUCLIDEAN, SIGMOID])
def test_without_it_nan_is_an_error_that_names_it(layer):
    bottoms = inputs("")
    with refused(DataError, "nan", remedy="'ignore_nan'"):
        net_of(layer, bottoms).forward()


def test_ignore_label_and_missing_targets_together():
    bottoms = inputs("")
    bottoms["target"][0, 0] = -1
    net = net_of(SIGMOID, bottoms, ignore_nan=True, ignore_label=-1, normalization="VALID")
    net.forward()
    bottoms["target"][0, 0] = np.nan
    assert net.blobs["loss"].data == pytest.approx(looped(SIGMOID, "VALID", **bottoms), rel=1e-5)


@pytest.mark.parametrize("layer", [EUCLIDEAN, SIGMOID])
def test_no_nan_changes_nothing(layer):
    bottoms = inputs("each")
    bottoms["target"][np.isnan(bottoms["target"])] = 0.25
    results = []
    for options in ({}, {"ignore_nan": True}):
        net = net_of(layer, bottoms, **options)
        net.forward()
        net.backward()
        results.append([net.blobs["loss"].data.tobytes(), net.blobs["prediction"].diff.tobytes()])
    assert results[0] == results[1]
