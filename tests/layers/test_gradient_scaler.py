"""GradientScaler, beside what tests/features/test_every_feature.py shows of every layer on features."""

import os

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError
from tests.caffe_nets import build, layer_text, net_text, python_layer, run, write
from tests.refusals import refused

#: p -> the coefficient for bounds of 0 and 1 and alpha 10.
GOLDEN = {0: 0, 0.1: 0.46211716, 0.5: 0.98661430, 1: 0.99990920}


def layers(options, frozen=False, top="y"):
    param = "param { lr_mult: 0 decay_mult: 0 }" if frozen else ""
    return [
        layer_text("Power", ["x"], ["x1"]),
        python_layer("GradientScaler", ["x1"], [top], options, more=param),
        layer_text("Reduction", [top], ["loss"], loss_weight=1),
    ]


def scaler(phase=caffe.TRAIN, top="y", **options):
    return build(layers({"max_iter": 10, **options}, top=top), {"x": np.ones((2, 3))}, phase)


def factors(net, passes):
    """What the gradient is multiplied by in each of so many passes."""
    found = []
    for _ in range(passes):
        (gradient,) = run(net, "x")
        assert np.ptp(gradient) == 0
        found.append(gradient.flat[0])
    return found


@pytest.mark.parametrize("top", ["y", "x1"])
def test_the_golden_numbers(top):
    net = scaler(top=top)
    found = factors(net, 13)
    np.testing.assert_allclose([found[int(p * 10)] for p in GOLDEN], [-c for c in GOLDEN.values()], rtol=1e-6)
    assert found[10] == found[11] == found[12]
    np.testing.assert_array_equal(net.blobs[top].data, 1)


def test_bounds_and_alpha():
    found = factors(scaler(lower_bound=0.5, upper_bound=3, alpha=2), 11)
    expected = [5 / (1 + np.exp(-0.2 * it)) - 2.5 + 0.5 for it in range(11)]
    np.testing.assert_allclose(found, -np.array(expected), rtol=1e-6)


def test_the_forwards_of_an_iteration_have_one_factor():
    one, two = factors(scaler(), 5), factors(scaler(iter_size=2), 10)
    assert two[::2] == two[1::2] == one


def test_several_backwards_and_none_before_a_forward_have_the_factor_of_their_forward():
    net = scaler(lower_bound=0.25)
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, -0.25)
    for it in range(2):
        net.forward()
        for _ in range(2):
            net.backward()
            assert (net.blobs["x"].diff == -0.25).all() == (it == 0)


def test_in_test_the_factor_is_that_of_the_last_iteration():
    np.testing.assert_allclose(factors(scaler(caffe.TEST), 3), -GOLDEN[1], rtol=1e-6)


def solver(folder, resume):
    frozen = {"frozen": resume, "options": {"max_iter": 10, "resume": resume}}
    inputs = {"x": (2, 3)}
    weights = layer_text("InnerProduct", ["x"], ["learned"], "inner_product_param { num_output: 1 }")
    net = write(net_text([*layers(**frozen), weights], inputs), folder)
    text = f'net: "{net}" base_lr: 0.1 lr_policy: "fixed" weight_decay: 0.1 snapshot_prefix: "{folder}/s" '
    return caffe.SGDSolver(
        write(text + "test_iter: 1 test_interval: 100 test_initialization: false", folder, "s.prototxt")
    )


@pytest.mark.parametrize("resume", [False, True])
def test_a_restored_run_goes_on_if_told_to_resume(tmp_path, resume):
    made = solver(tmp_path, resume)
    made.step(5)
    made.snapshot()
    again = solver(tmp_path, resume)
    again.restore(os.path.join(str(tmp_path), "s_iter_5.solverstate"))
    again.step(1)
    factor = -again.net.blobs["x"].diff.flat[0]
    np.testing.assert_allclose(factor, GOLDEN[0.5] if resume else 0, rtol=1e-6)
    if resume:  # TEST sees the iteration that TRAIN has come to
        (blob,), (train,) = (net.params["y_layer"] for net in (again.test_nets[0], again.net))
        blob.data[...] = train.data
        np.testing.assert_allclose(factors(again.test_nets[0], 2), -0.99505475, rtol=1e-6)  # p = .6


def test_without_resume_a_warning_says_what_a_restart_does(caplog):
    for options, phase, count in (({}, caffe.TRAIN, 1), ({"resume": True}, caffe.TRAIN, 0), ({}, caffe.TEST, 0)):
        caplog.clear()
        scaler(phase, **options)
        assert len([message for message in caplog.messages if "'resume': True" in message]) == count


@pytest.mark.parametrize(
    "options, option",
    [
        ({"lower_bound": 2}, "lower_bound"),
        ({"alpha": -1}, "alpha"),
        ({"max_iter": 0}, "max_iter"),
        ({"max_iter": None}, "max_iter"),
    ],
)
def test_options_that_make_no_sense(options, option):
    with refused(ConfigError, layer="GradientScaler", option=option):
        scaler(**options)
