"""Parameter blobs begin with what Caffe's own layers begin with."""

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError
from tests.caffe_nets import build, layer_text, net_text, python_layer, write
from tests.refusals import refused

#: Channels -> x. With one of them stock Scale has as many numbers as Normalize has for all channels.
X = {channels: {"x": np.ones((2, channels, 3))} for channels in (1, 5)}


def ours(filler, **options):
    return python_layer("Normalize", ["x"], ["y"], {"scale_filler": filler, **options})


def stock(filler):
    """Stock Scale fills its blob in the same place of the net."""
    fields = " ".join(f'{name}: "{value}"' if name == "type" else f"{name}: {value}" for name, value in filler.items())
    return layer_text("Scale", ["x"], ["y"], f"scale_param {{ filler {{ {fields} }} }}")


def blob_of(layer, channels=5, seed=3):
    caffe.set_random_seed(seed)
    return build([layer], X[channels]).params["y_layer"][0].data.copy()


@pytest.mark.parametrize(
    "filler",
    [
        {"type": "constant", "value": 20},
        {"type": "constant"},
        {"type": "uniform", "min": -2, "max": 3},
        {"type": "gaussian", "mean": 1, "std": 0.5},
        {"type": "xavier"},
        {"type": "xavier", "variance_norm": "FAN_OUT"},
        {"type": "msra", "variance_norm": "AVERAGE"},
        {"type": "positive_unitball"},
    ],
    ids=str,
)
def test_the_numbers_are_those_that_caffe_draws(filler):
    np.testing.assert_array_equal(blob_of(ours(filler, channel_shared=False)), blob_of(stock(filler)))
    shared = blob_of(ours(filler))
    assert shared.shape == ()
    assert shared == blob_of(stock(filler), 1)


def test_they_follow_the_solvers_random_seed(tmp_path):
    filler = {"type": "gaussian"}
    found = []
    for layer in (ours(filler), ours(filler), stock(filler)):
        net = write(net_text([layer], X[1]), tmp_path)
        solver = write(f'net: "{net}"  base_lr: 1  lr_policy: "fixed"  random_seed: 7', tmp_path, "solver.prototxt")
        found.append(caffe.SGDSolver(solver).net.params["y_layer"][0].data.item())
    assert found[0] == found[1] == found[2]
    assert found[0] != float(blob_of(ours(filler)))


@pytest.mark.parametrize(
    ("filler", "option"),
    [
        ({"type": "gausian"}, "scale_filler.type"),
        ({"type": "uniform", "min": 2, "max": 1}, "scale_filler.min"),
        ({"type": "gaussian", "std": 0}, "scale_filler.std"),
        ({"type": "constant", "valu": 1}, "scale_filler.valu"),
    ],
)
def test_mistakes(filler, option):
    with refused(ConfigError, layer="Normalize", option=option):
        build([ours(filler)], X[5])


def test_an_option_of_another_type_has_no_effect(caplog):
    build([ours({"type": "constant", "value": 2, "std": 3})], X[5])
    (message,) = [each for each in caplog.messages if "'scale_filler.std' has no effect" in each]
    assert "'type' is 'constant'" in message
