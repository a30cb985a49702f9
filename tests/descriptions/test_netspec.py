"""The layers in pycaffe's NetSpec: what is written is right, passes `check`, and trains; what is wrong says so."""

import ast
import inspect
import re
import subprocess
import sys

import caffe
import numpy as np
import pytest
from caffe import NetSpec
from caffe import layers as L

from caffe_pylayers import ALIASES, LAYERS, ConfigError
from caffe_pylayers import netspec as P
from caffe_pylayers.commands.check.check import check
from caffe_pylayers.config import json_schema
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.descriptions import describe, is_loss
from caffe_pylayers.descriptions.stub import PATH, stub
from tests.descriptions.blobs import SHAPES
from tests.pages import ROOT
from tests.program import modules_after


def inputs(*names):
    """Tops for bottoms of these names."""
    shapes = [SHAPES.get(name, (8, 10)) for name in names]
    return [L.Input(input_param={"shape": {"dim": list(shape)}}) for shape in shapes]


def written(**tops):
    """The net of these tops, a NetParameter."""
    net = NetSpec()
    for name, top in tops.items():
        net[name] = top
    return net.to_proto()


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_passes_check_and_works_in_caffe(folder, layer):
    description = describe(layer)
    bottoms = [name for name in description.bottoms if not name.startswith("[")]
    tops = [name for name in description.tops if not name.startswith("[")]
    n = NetSpec()
    for name, blob in zip(bottoms, inputs(*bottoms)):
        n[name] = blob
    made = getattr(P, layer)(*(n[name] for name in bottoms), **SCHEMAS[layer].example)
    for name, top in zip(tops, made if len(tops) > 1 else [made]):
        n[f"{name}_out" if name in bottoms else name] = top
    (folder / "net.prototxt").write_text(str(n.to_proto()))
    assert check("net.prototxt", build=False) == []
    net = caffe.Net("net.prototxt", caffe.TRAIN)
    if bottoms:  # data layers would start workers
        net.forward()
        net.backward()
    proto = n.to_proto().layer[-1]
    assert list(proto.loss_weight) == [1.0] * is_loss(layer)
    assert len(proto.top) == len(tops)


def test_a_net_that_trains(folder):
    n = NetSpec()
    n.data, n.label = P.ImageDataLayer(source="train.txt", root="images", batch_size=8, resize=[20, 20], ntop=2)
    n.weights = P.SampleWeight(n.label, n_classes=4, rule="balanced", scale="mean_one")
    n.scores = L.InnerProduct(n.data, num_output=4, weight_filler={"type": "msra"})
    n.loss, n.prob = P.WeightedSoftmaxLoss(n.scores, n.label, n.weights, ntop=2)
    (folder / "net.prototxt").write_text(str(n.to_proto()))
    assert check("net.prototxt") == []
    net = caffe.Net("net.prototxt", caffe.TRAIN)
    net.forward()
    net.backward()
    assert net.blobs["prob"].data.sum() == pytest.approx(8, rel=1e-5)
    assert np.abs(net.params["scores"][0].diff).sum() > 0


def test_the_signature_and_help_of_every_layer():
    assert set(P.__all__) == {*LAYERS, *ALIASES} == set(dir(P))
    for layer in LAYERS:
        function = getattr(P, layer)
        assert (function.__name__, function.__module__) == (layer, "caffe_pylayers.netspec")
        parameters = inspect.signature(function).parameters
        for name, option in json_schema(layer)["properties"].items():
            assert parameters[name].default == option.get("default", inspect.Parameter.empty)
            assert f"{name}: {option['description']}" in function.__doc__
        assert inspect.getdoc(function).startswith(describe(layer).summary)
    assert all(getattr(P, alias) is getattr(P, layer) for alias, layer in ALIASES.items())
    shown = str(inspect.signature(P.LabelNoise))
    assert shown.startswith(
        "(*blobs: Top, distribution: Literal['uniform', 'gaussian', 'flip'], low: float | None = None"
    )
    assert shown.endswith("in_place: bool = False) -> Top")


def test_the_stub_is_fresh():
    with open(PATH) as file:
        fresh = file.read() == stub()
    assert fresh, "netspec.pyi is stale: run `python -m caffe_pylayers.descriptions.stub`"


def test_a_type_checker_sees_what_is_wrong(tmp_path):
    (tmp_path / "use.py").write_text("""\
from caffe import NetSpec
from caffe_pylayers import netspec as P
n = NetSpec()
n.a, n.p, n.n = P.TripletDataLayer(source="train.txt", batch_size=64)
n.loss = P.WeightedSoftmaxLoss(n.scores, n.label, n.weights, normalization="VALID", loss_weight=2)
n.data, n.label = P.MultiLabelLayer(source="train.txt", resize=[32, 32], mean_value=[1.0, 2.0, 3.0])
P.TripletDataLayer(batch_size=64)
P.FocalLoss(n.scores, n.label, gama=2.0)
P.FocalLoss(n.scores, n.label, gamma="2")
P.FocalLoss(n.scores, n.label, normalization="ALL")
P.NoSuchLayer
""")
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), str(tmp_path / "use.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found = re.findall(r"use\.py:(\d+): error: (.*)", done.stdout)
    assert [int(line) for line, _ in found] == [7, 8, 9, 10, 11], done.stdout
    assert found[0][1].startswith('Missing named argument "source"')
    assert 'did you mean "gamma"?' in found[1][1]


def test_importing_it_imports_neither_caffe_nor_the_schemas():
    loaded = modules_after("from caffe_pylayers import netspec; dir(netspec)")
    assert "caffe_pylayers.netspec" in loaded
    assert not loaded & {"caffe", "numpy", "pydantic", "caffe_pylayers.config"}
    assert "caffe" not in modules_after("from caffe_pylayers import netspec; netspec.TripletDataLayer")


def test_a_param_str_is_a_literal(tmp_path):
    (label,) = inputs("label")
    noise = P.LabelNoise(label, distribution="uniform", low=np.float32(-0.5), high=0.5, seed=np.int64(3), clip=(0, 9))
    (proto,) = [layer for layer in written(noise=noise).layer if layer.type == "Python"]
    assert ast.literal_eval(proto.python_param.param_str) == {
        "distribution": "uniform", "low": -0.5, "high": 0.5, "seed": 3, "clip": [0, 9],
    }  # fmt: skip
    weights = P.SampleWeight(label, n_classes=2, weights=np.array([1, 2.5]))
    assert "'weights': [1.0, 2.5]" in written(weights=weights).layer[-1].python_param.param_str
    data = P.ImageDataLayer(source=tmp_path / "a 'quoted' \\ name.txt")
    (proto,) = written(data=data).layer
    assert ast.literal_eval(proto.python_param.param_str) == {"source": f"{tmp_path}/a 'quoted' \\ name.txt"}
    assert written(unit=P.L2Normalize(label)).layer[-1].python_param.param_str == ""
    aliased = P.LabelSmoothing(label, n_classes=3, smoothing=0.2)
    assert written(aliased=aliased).layer[-1].python_param.param_str == "{'n_classes': 3, 'smoothing': 0.2}"


def test_a_default_that_is_given_counts_as_given():
    """With weights by hand the scale is none, unless it is given."""
    (label,) = inputs("label")
    weights = P.SampleWeight(label, n_classes=2, weights=[1, 2], scale="sum_one")
    assert "'scale': 'sum_one'" in written(weights=weights).layer[-1].python_param.param_str
    with pytest.warns(UserWarning, match="option 'timeout' has no effect, because 'prefetch' is false") as warned:
        P.ImageDataLayer(source="train.txt", timeout=60.0)
    assert warned[0].filename == __file__


def test_what_is_said_of_the_layer():
    scores, label = inputs("scores", "label")
    loss, prob = P.WeightedSoftmaxLoss(
        scores,
        label,
        ntop=2,
        name="softmax",
        loss_weight=3,
        include={"phase": caffe.TEST},
        propagate_down=[True, False],
    )
    proto = written(loss=loss, prob=prob).layer[-1]
    assert (proto.name, list(proto.top), list(proto.loss_weight)) == ("softmax", ["loss", "prob"], [3, 0])
    assert proto.include[0].phase == caffe.TEST
    assert list(proto.propagate_down) == [True, False]
    proto = written(unit=P.L2Normalize(scores, in_place=True)).layer[-1]
    assert list(proto.top) == list(proto.bottom)


def test_each_blob_gets_its_param():
    """Of a blob that is learned it must not be frozen, of what is kept it must."""
    frozen = {"lr_mult": 0.0, "decay_mult": 0.0}

    def params(top):
        return [{field.name: value for field, value in each.ListFields()} for each in written(top=top).layer[-1].param]

    x, label = L.DummyData(ntop=2)
    assert params(P.MarginInnerProduct(x, label, num_output=3, type="DOUBLE", resume=True)) == [
        {"lr_mult": 1.0},
        frozen,
    ]
    assert params(P.BatchPairLoss(x, label, type="ntxent", memory=9)) == [frozen] * 3
    assert params(P.BatchPairLoss(x, label, type="ntxent")) == []


def test_resume_brings_what_it_needs():
    train = written(**dict(zip("apn", P.TripletDataLayer(source="train.txt", resume=True)))).layer[0]
    assert train.name == "train_data"
    assert [(param.lr_mult, param.decay_mult) for param in train.param] == [(0, 0)]
    named = written(a=P.ImageDataLayer(source="train.txt", resume=True, name="photos", param={"lr_mult": 0})).layer[0]
    assert (named.name, len(named.param)) == ("photos", 1)
    (label,) = inputs("label")
    weights = written(weights=P.SampleWeight(label, n_classes=2, counts="running", resume=True)).layer[-1]
    assert (weights.name, len(weights.param)) == ("weights", 1)
    assert not written(data=P.ImageDataLayer(source="train.txt")).layer[0].param


WRONG = {
    "an option": (lambda s, y: P.FocalLoss(s, y, gama=2), "FocalLoss: unknown option 'gama'; did you mean 'gamma'?"),
    "a value": (lambda s, y: P.FocalLoss(s, y, gamma=-1), "option 'gamma' must be a number of at least 0, not -1"),
    "not a number": (lambda s, y: P.FocalLoss(s, y, gamma=float("nan")), "a number of at least 0, not nan"),
    "nothing required": (lambda s, y: P.SampleWeight(y), "SampleWeight: option 'n_classes' is required"),
    "options that do not go together": (
        lambda s, y: P.TripletDataLayer(source="a", type="HARD"),
        "option 'm' is required if 'type' is 'HARD'",
    ),
    "a bottom too few": (lambda s, y: P.FocalLoss(s), "FocalLoss: found 1 bottom, expected 2 to 3: scores, label"),
    "a bottom too many": (lambda s, y: P.ImageDataLayer(s, source="a"), "found 1 bottom, expected 0: none"),
    "a bottom by name": (
        lambda s, y: P.FocalLoss(s, label=y),
        "FocalLoss: 'label' is a Top: give bottoms first, without names, as in FocalLoss(n.scores, n.label",
    ),
    "a name for a bottom": (lambda s, y: P.FocalLoss(s, "label"), "bottom 2 (label) must be a Top, such as n.scores"),
    "an optional bottom of two": (
        lambda s, y: P.TripletLoss(s, s, s, y),
        "may be margin or sample_weight; say which in param_str: 'bottoms': ['margin']",
    ),
    "a top too many": (lambda s, y: P.FocalLoss(s, y, ntop=2), "FocalLoss: found 2 tops, expected 1: loss"),
    "no number of tops": (lambda s, y: P.FocalLoss(s, y, ntop="1"), "ntop must be an integer, not '1'"),
    "loss weights": (
        lambda s, y: P.FocalLoss(s, y, loss_weight=[1, 0]),
        "loss_weight has 2 numbers, but ntop is 1",
    ),
    "in place": (lambda s, y: P.FocalLoss(s, y, in_place=True), "FocalLoss: it does not work in place"),
    "an argument": (lambda s, y: P.FocalLoss(s, y, loss_weigth=1), "no argument 'loss_weigth'; did you mean 'loss_weight'?"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_when_it_is_written(call, message):
    with pytest.raises(ConfigError) as error:
        call(*inputs("scores", "label"))
    assert message in str(error.value)


def test_a_layer_of_no_such_name():
    with pytest.raises(
        AttributeError, match="no layer 'TripletLayer'; did you mean 'TripletDataLayer'[?] Its layers: Comp"
    ):
        P.TripletLayer  # noqa: B018
    assert not hasattr(P, "__path__")
