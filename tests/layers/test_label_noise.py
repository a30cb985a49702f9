import os

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError
from caffe_pylayers.layers.adapter import log
from tests.caffe_nets import build, layer_text, net_text, python_layer, run, write

UNIFORM = {"distribution": "uniform", "low": -0.5, "high": 0.25}
GAUSSIAN = {"distribution": "gaussian", "std": 0.5}


def noise_net(options, labels, phase=caffe.TRAIN, top="noisy"):
    return build([python_layer("LabelNoise", ["label"], [top], options)], {"label": labels}, phase)


def draws(options, num=3, size=5, **kwargs):
    """The noise of `num` forwards on `size` labels."""
    net = noise_net(options, np.zeros(size), **kwargs)
    return [np.copy(net.forward()["noisy"]) for _ in range(num)]


def test_uniform_noise_has_its_bounds_and_mean():
    (noise,) = draws(UNIFORM, 1, 20000)
    assert -0.5 <= noise.min() < -0.49
    assert 0.24 < noise.max() <= 0.25
    assert noise.mean() == pytest.approx(-0.125, abs=0.005)


def test_gaussian_noise_has_its_deviation():
    (noise,) = draws(GAUSSIAN, 1, 20000)
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(0.5, abs=0.02)


def test_labels_keep_their_shape_and_test_passes_them_on():
    labels = np.arange(6).reshape(2, 3)
    noisy = noise_net(GAUSSIAN, labels).forward()["noisy"]
    assert noisy.shape == (2, 3)
    assert not np.any(noisy == labels)
    for _ in range(2):
        np.testing.assert_array_equal(noise_net(GAUSSIAN, labels, caffe.TEST).forward()["noisy"], labels)


def test_clip_and_ignore_label():
    labels = np.array([0, 255, 9, 5] * 50)
    options = {"distribution": "gaussian", "std": 3, "clip": [0, 9], "ignore_label": 255}
    noisy = noise_net(options, labels).forward()["noisy"]
    ignored = labels == 255
    assert (noisy[ignored] == 255).all()
    assert noisy[~ignored].min() == 0
    assert noisy[~ignored].max() == 9


def test_works_in_place():
    net = noise_net(UNIFORM, np.zeros(5), top="label")
    got = np.copy(net.forward()["label"])
    np.testing.assert_array_equal(got, draws(UNIFORM, 1)[0])


def test_the_draw_is_a_function_of_seed_stream_iteration_and_rank():
    first = draws(UNIFORM)
    assert len({noise.tobytes() for noise in first}) == 3
    np.testing.assert_array_equal(first, draws(UNIFORM))
    for other in ({"seed": 1}, {"stream": 1}):
        assert not np.any(np.equal(first, draws({**UNIFORM, **other})))
    caffe.set_solver_rank(1)
    try:
        assert not np.any(np.equal(first, draws(UNIFORM)))
    finally:
        caffe.set_solver_rank(0)


def test_the_forwards_of_an_iteration_differ():
    noise = draws({**UNIFORM, "iter_size": 2}, 6)
    assert len({each.tobytes() for each in noise}) == 6
    np.testing.assert_array_equal(noise[::2], draws(UNIFORM))


def test_labels_that_force_backward_asks_for_get_zeros():
    assert not run(noise_net(UNIFORM, np.zeros(5)), "label")[0].any()


def test_without_resume_a_warning_says_what_a_restart_does(caplog):
    caplog.set_level("INFO", log.name)
    for options, phase, count in [(UNIFORM, 0, 1), ({**UNIFORM, "resume": True}, 0, 0), (UNIFORM, 1, 0)]:
        caplog.clear()
        noise_net(options, np.zeros(5), phase)
        assert len([m for m in caplog.messages if "'resume': True" in m]) == count


@pytest.mark.parametrize("options", [{}, {"distribution": "uniform", "low": 1, "high": 0}, {**GAUSSIAN, "low": 0}])
def test_options_that_make_no_sense(options):
    with pytest.raises(ConfigError, match="LabelNoise: "):
        noise_net(options, np.zeros(5))


def solver(folder, resume, iter_size=1):
    """A solver whose net learns a constant from noise."""
    frozen = "param { lr_mult: 0 decay_mult: 0 }" if resume else ""
    options = {**UNIFORM, "resume": resume, "iter_size": iter_size}
    net = net_text(
        [
            python_layer("LabelNoise", ["label"], ["noisy"], options, more=frozen),
            layer_text("InnerProduct", ["label"], ["p"], "inner_product_param { num_output: 1 }"),
            layer_text("EuclideanLoss", ["p", "noisy"], ["loss"], "propagate_down: true propagate_down: false"),
        ],
        {"label": (4, 1)},
        force_backward=False,
    )
    path = write(net, folder)
    text = (
        f'net: "{path}" base_lr: 0.1 lr_policy: "fixed" type: "Adam" weight_decay: 0.1 '
        f"iter_size: {iter_size} test_iter: 2 test_interval: 2 test_initialization: false "
        f'snapshot_prefix: "{folder}/s" max_iter: 100'
    )
    return caffe.get_solver(write(text, folder, "solver.prototxt"))


@pytest.mark.parametrize(("resume", "iter_size"), [(True, 1), (True, 2), (False, 1)])
def test_a_restored_run_goes_on_with_the_very_next_noise_if_told_to_resume(tmp_path, resume, iter_size):
    def noise(run, iterations):
        seen = []
        for _ in range(iterations):
            run.step(1)
            seen.append(np.copy(run.net.blobs["noisy"].data))
        return seen

    straight = noise(solver(tmp_path, resume, iter_size), 7)
    first = solver(tmp_path, resume, iter_size)
    noise(first, 4)
    first.snapshot()
    again = solver(tmp_path, resume, iter_size)
    again.restore(os.path.join(str(tmp_path), "s_iter_4.solverstate"))
    np.testing.assert_array_equal(noise(again, 3), straight[4:] if resume else straight[:3])
