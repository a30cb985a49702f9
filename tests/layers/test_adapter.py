import os
import subprocess
import sys

import numpy as np
import pytest

from caffe_pylayers import ConfigError, config
from tests.caffe_nets import build, layer_text, net_text, python_layer, run, write
from tests.refusals import refused
from tests.transcripts import without_complaints

SCORES = np.random.RandomState(0).randn(4, 3)
LABEL = np.array([0, 1, 2, 1])


def softmax_loss(*bottoms, tops=("loss",), options=None, loss_weight=1):
    return python_layer("WeightedSoftmaxLoss", bottoms, tops, options, loss_weight)


def test_counts_of_bottoms_and_tops_are_checked_with_their_names():
    with pytest.raises(ConfigError) as error:
        build([softmax_loss("scores")], {"scores": SCORES})
    assert str(error.value) == (
        "WeightedSoftmaxLoss: found 1 bottom, expected 2 to 3: scores, label, [sample_weight]; "
        "add bottoms in the prototxt (those in brackets may be left out)"
    )
    with refused(ConfigError, "3 tops", "1 to 2: loss, [prob]", remedy="remove"):
        tops = ["loss", "prob", "more"]
        build(
            [softmax_loss("scores", "label", tops=tops, loss_weight=[1, 0, 0])],
            {"scores": SCORES, "label": LABEL},
        )


def test_an_optional_bottom_of_two_readings_needs_the_option():
    x = np.zeros((4, 2))
    inputs = {"a": x, "p": x + 1, "n": x + 2, "w": np.ones(4)}

    def layer(options):
        return [python_layer("TripletLoss", list(inputs), ["loss"], options, 1)]

    with pytest.raises(ConfigError) as error:
        build(layer({}), inputs)
    assert str(error.value) == (
        "TripletLoss: bottom 4 of 4 may be margin or sample_weight; say which in param_str: "
        "'bottoms': ['margin'] or 'bottoms': ['sample_weight']"
    )
    for name in ("margin", "sample_weight"):
        build(layer({"bottoms": [name]}), inputs).forward()
    with refused(ConfigError, "names 2 after anchor, positive, negative", "4 bottoms", option="bottoms"):
        build(layer({"bottoms": ["margin", "sample_weight"]}), inputs)


def test_wrong_options_name_the_layer():
    with refused(ConfigError, layer="WeightedSoftmaxLoss", option="axes", remedy="'axis'"):
        build([softmax_loss("scores", "label", options={"axes": 1})], {"scores": SCORES, "label": LABEL})


def test_in_place_is_found_behind_a_layer_and_a_split():
    """A top counts as in place only where it is its bottom's blob, not where the two share data."""
    relu = layer_text("ReLU", ["scores"], ["scores"])
    inputs = {"scores": SCORES, "label": LABEL}
    with refused(ConfigError, "top 1", "bottom 1"):
        build([relu, softmax_loss("scores", "label", tops=["scores"])], inputs)
    silence = layer_text("Silence", ["scores"], ["x"]).replace('top: "x"', "")
    build([relu, softmax_loss("scores", "label"), silence], inputs).forward()
    flat = layer_text("Flatten", ["scores"], ["flat"])
    build([flat, python_layer("L2Normalize", ["flat"], ["y"])], {"scores": SCORES}).forward()


def test_propagate_down_is_kept_without_force_backward():
    weights = layer_text("InnerProduct", ["x"], ["scores"], "inner_product_param { num_output: 3 }")
    inputs = {"x": np.ones((4, 2)), "label": LABEL, "sample_weight": np.ones(4)}
    net = build([weights, softmax_loss("scores", "label", "sample_weight")], inputs, force_backward=False)
    for name in inputs:
        net.blobs[name].diff[...] = 7
    (gradient,) = run(net, "scores")
    assert gradient.any()
    assert all((net.blobs[name].diff == 7).all() for name in inputs)


def test_a_shared_blob_gets_the_sum_of_gradients():
    inputs = {"scores": SCORES, "label": LABEL}
    single = build([softmax_loss("scores", "label")], inputs)
    double = build(
        [softmax_loss("scores", "label"), softmax_loss("scores", "label", tops=["again"], loss_weight=2)],
        inputs,
    )
    for _ in range(3):
        np.testing.assert_allclose(run(double, "scores")[0], 3 * run(single, "scores")[0], rtol=1e-5)


def test_a_gradient_reaches_through_an_in_place_neighbour():
    """Its diff is overwritten by the layer below in every backward."""
    inputs = {"scores": SCORES, "label": LABEL}
    layers = [layer_text("Power", ["scores"], ["x"]), layer_text("ReLU", ["x"], ["x"])]
    nets = [
        build([*layers, loss], inputs)
        for loss in (softmax_loss("x", "label"), layer_text("SoftmaxWithLoss", ["x", "label"], ["loss"]))
    ]
    for backwards in (1, 2, 1, 3):
        for net in nets:
            net.forward()
            for _ in range(backwards):
                net.backward()
        got, expected = (net.blobs["scores"].diff for net in nets)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-8)


def test_buffers_live_from_one_iteration_to_the_next(monkeypatch):
    shape = (64, 1000)
    inputs = {"scores": np.zeros(shape), "label": np.zeros(64), "sample_weight": np.ones(64)}
    net = build([softmax_loss("scores", "label", "sample_weight")], inputs)
    for _ in range(2):
        run(net, "scores")
    sizes = []
    empty = np.empty
    monkeypatch.setattr(np, "empty", lambda *args, **kwargs: sizes.append(args) or empty(*args, **kwargs))
    run(net, "scores")
    assert sizes == []
    net.blobs["scores"].reshape(32, 1000)
    for name in ("label", "sample_weight"):
        net.blobs[name].reshape(32)
    net.blobs["scores"].data[...] = 0
    run(net, "scores")
    assert sizes != []


def test_reshape_between_forwards():
    net = build([softmax_loss("scores", "label")], {"scores": SCORES, "label": LABEL})
    run(net, "scores")
    net.blobs["scores"].reshape(2, 5)
    net.blobs["label"].reshape(2)
    net.blobs["scores"].data[...] = 0
    net.blobs["label"].data[...] = [4, 0]
    run(net, "scores")
    assert float(net.blobs["loss"].data) == pytest.approx(np.log(5))


def test_messages_reach_stderr_unless_the_program_handles_them(tmp_path):
    text = net_text([python_layer("ComputeH", ["label"], ["H"], "n_classes: 3")], {"label": (3,)})
    script = (
        "import caffe, sys, logging\n"
        "if len(sys.argv) > 2: logging.basicConfig(format='mine: %(message)s', level='INFO')\n"
        "caffe.Net(sys.argv[1], caffe.TEST).forward()\n"
    )
    env = {**os.environ, "GLOG_minloglevel": "2"}
    for more, start in [
        ([], "caffe_pylayers: ComputeH: class weights 1, 0, 0"),
        (["own"], "mine: ComputeH: class"),
    ]:
        command = [sys.executable, "-c", script, write(text, tmp_path), *more]
        said = subprocess.run(command, env=env, stderr=subprocess.PIPE, text=True, check=True).stderr
        lines = without_complaints(said).splitlines()
        assert [line for line in lines if "class weights" in line and line.startswith(start)] == lines


# ---------------------------------------------------------------------------- inside the `caffe` program

FAILING = """
import caffe_pylayers
from caffe_pylayers import config
from caffe_pylayers.layers.adapter import Layer

class FailingOptions(config.Options):
    takes, gives = ("x",), ("y",)
    place: str = ""

class Failing(Layer):
    schema = FailingOptions

    def at(self, place):
        if self.param_str.endswith(place):
            raise {error}("the message of " + place)

    def setup(self, bottom, top):
        super().setup(bottom, top)
        self.at("setup")

    def reshape(self, bottom, top):
        top[0].reshape(1)
        self.at("reshape")

    def forward(self, bottom, top):
        top[0].data[...] = 0
        self.at("forward")

    def backward(self, top, propagate_down, bottom):
        self.at("backward")
"""


def caffe_train(tmp_path, layer, error="ValueError"):
    """Runs `caffe train` on a net that ends with `layer`, which takes x; returns exit code and stderr."""
    (tmp_path / "failing.py").write_text(FAILING.format(error=error))
    text = (
        'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 4 dim: 2 } } }'
        'layer { name: "label" type: "DummyData" top: "label" dummy_data_param { shape { dim: 4 } } }'
        + layer_text("InnerProduct", ["d"], ["x"], "inner_product_param { num_output: 3 }")
        + layer_text("Silence", ["label"], ["s"]).replace('top: "s"', "")
        + layer
    )
    net = write(text, tmp_path)
    solver = f'train_net: "{net}" max_iter: 2 base_lr: 0.1 lr_policy: "fixed" snapshot_after_train: false'
    command = [
        os.path.join(sys.prefix, "bin", "caffe"),
        "train",
        "--solver",
        write(solver, tmp_path, "solver.prototxt"),
    ]
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "GLOG_minloglevel": "2"}
    done = subprocess.run(command, env=env, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    return done.returncode, done.stderr


def failing(place):
    params = f'python_param {{ module: "failing" layer: "Failing" param_str: "place: {place}" }}'
    return layer_text("Python", ["x"], ["y"], params, 1)


@pytest.mark.parametrize("place", ["setup", "reshape", "forward", "backward"])
def test_the_caffe_program_prints_a_clear_line_for_our_errors(tmp_path, place):
    code, printed = caffe_train(tmp_path, failing(place), error="caffe_pylayers.DataError")
    assert code != 0
    assert f"caffe_pylayers: the message of {place}\n" in printed
    assert printed.count("the message of") == 1
    assert "Traceback" not in printed


@pytest.mark.parametrize("place", ["setup", "forward"])
def test_the_caffe_program_prints_a_traceback_for_other_errors(tmp_path, place):
    code, printed = caffe_train(tmp_path, failing(place))
    assert code != 0
    assert printed.count(f"ValueError: the message of {place}") == 1
    assert f"in {place}\n" in printed


def test_the_caffe_program_prints_wrong_options(tmp_path):
    code, printed = caffe_train(tmp_path, softmax_loss("x", "label", options={"axes": 1}))
    assert code != 0
    line = next(line for line in printed.splitlines() if line.startswith("caffe_pylayers: WeightedSoftmaxLoss: "))
    assert "did you mean 'axis'" in line
    assert printed.count("did you mean") == 1


def test_the_caffe_program_trains(tmp_path):
    code, printed = caffe_train(tmp_path, softmax_loss("x", "label"))
    assert (code, without_complaints(printed)) == (0, "")


def test_pycaffe_prints_nothing_and_raises(capfd):
    with pytest.raises(ConfigError):
        build([softmax_loss("scores")], {"scores": SCORES})
    assert "WeightedSoftmaxLoss" not in capfd.readouterr().err


def test_a_layer_without_forward_says_so(monkeypatch):
    from caffe_pylayers.layers import adapter

    class IdleOptions(config.Options):
        takes, gives = ("x",), ("y",)

    class Idle(adapter.Layer):
        schema = IdleOptions

        def reshape(self, bottom, top):
            top[0].reshape(1)

    monkeypatch.setattr("caffe_pylayers.Idle", Idle, raising=False)
    net = build([python_layer("Idle", ["x"], ["y"], loss_weight=1)], {"x": np.ones(2)})
    with pytest.raises(NotImplementedError, match=r"Idle has no forward"):
        net.forward()
    net.blobs["x"].diff[...] = 7
    net.backward()
    assert not net.blobs["x"].diff.any()
