"""Layers of one's own, made with the classes of this package."""

import inspect
import sys
import textwrap
import types

import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers import ConfigError, config
from caffe_pylayers.config.losses import FocalLossOptions
from caffe_pylayers.layers import adapter
from caffe_pylayers.layers.class_losses import FocalLoss, WeightedSoftmaxLoss
from tests.caffe_nets import build, layer_text, python_layer
from tests.refusals import refused

SCORES = np.random.RandomState(0).randn(4, 3)
LABEL = np.array([0, 1, 2, 1])


@pytest.fixture
def mine(monkeypatch):
    """A module for layers of one's own: `mine.Double = Double` gives them a place that a net can name."""
    module = types.ModuleType("layers_of_my_own")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def own_layer(kind, bottoms, top, param_str="", loss_weight=1):
    params = f'python_param {{ module: "layers_of_my_own" layer: "{kind}" param_str: "{param_str}" }}'
    return layer_text("Python", bottoms, [top], params, loss_weight)


def test_the_example_of_the_adapter_runs(mine):
    example = inspect.getdoc(adapter).partition("::\n\n")[2].partition("\n\nA loss ")[0]
    vars(mine).update(config=config, Layer=adapter.Layer, np=np)
    exec(textwrap.dedent(example), vars(mine))
    net = build([own_layer("Double", ["x"], "y", loss_weight=0)], {"x": SCORES})
    np.testing.assert_array_equal(net.forward()["y"], 2 * SCORES.astype(np.float32))
    with refused(ConfigError, "2 bottoms", "1: x", layer="Double"):
        build([own_layer("Double", ["x", "x2"], "y", loss_weight=0)], {"x": SCORES, "x2": SCORES})


def test_a_layer_that_derives_from_ours_has_its_options(mine):
    class Mine(WeightedSoftmaxLoss):
        pass

    mine.Mine = Mine
    net = build([own_layer("Mine", ["scores", "label"], "loss", "axis: 1")], {"scores": SCORES, "label": LABEL})
    expected = -np.log(np.exp(SCORES)[range(4), LABEL] / np.exp(SCORES).sum(1)).mean()
    assert float(net.forward()["loss"]) == pytest.approx(expected, rel=1e-6)
    with refused(ConfigError, "'axes'", remedy="'axis'", layer="Mine", option="axes"):
        build([own_layer("Mine", ["scores", "label"], "loss", "axes: 1")], {"scores": SCORES, "label": LABEL})


def test_a_layer_that_derives_from_ours_may_have_more_options(mine):
    class TemperedOptions(FocalLossOptions):
        temperature: float = 1.0

    class Tempered(FocalLoss):
        schema = TemperedOptions

        def scores(self, bottom):
            return super().scores(bottom) / np.float32(self.options.temperature)

    mine.Tempered = Tempered
    inputs = {"scores": SCORES, "label": LABEL}
    tempered = build([own_layer("Tempered", list(inputs), "loss", "gamma: 1, temperature: 2")], inputs)
    expected = build(
        [python_layer("FocalLoss", list(inputs), ["loss"], {"gamma": 1}, 1)], {**inputs, "scores": SCORES / 2}
    )
    assert float(tempered.forward()["loss"]) == float(expected.forward()["loss"])


def test_a_name_of_ours_does_not_give_a_layer_our_options(mine):
    class TripletLoss(adapter.Layer):
        pass

    mine.TripletLoss = TripletLoss
    with refused(ConfigError, "no options", remedy="`schema = ", layer="TripletLoss"):
        build([own_layer("TripletLoss", ["x"], "y")], {"x": SCORES})


@pytest.mark.parametrize("layer", caffe_pylayers.LAYERS)
def test_a_layer_of_ours_has_the_options_of_its_name(layer):
    assert getattr(caffe_pylayers, layer).schema.__name__ == f"{layer}Options"
