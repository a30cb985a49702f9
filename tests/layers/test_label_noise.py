import os

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.data import keyed
from caffe_pylayers.layers.adapter import log
from tests.caffe_nets import build, layer_text, net_text, python_layer, run, write
from tests.refusals import refused

UNIFORM = {"distribution": "uniform", "low": -0.5, "high": 0.25}
GAUSSIAN = {"distribution": "gaussian", "std": 0.5}
FLIP = {"distribution": "flip", "probability": 0.25, "n_classes": 5}
ONE_HOT = {**GAUSSIAN, "one_hot": True, "n_classes": 5}


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


@pytest.mark.parametrize("options", [UNIFORM, GAUSSIAN, {**FLIP, "probability": 1}, ONE_HOT], ids=str)
def test_the_draw_is_a_function_of_seed_stream_iteration_and_rank(options):
    first = draws(options, size=40)
    assert len({noise.tobytes() for noise in first}) == 3
    np.testing.assert_array_equal(first, draws(options, size=40))
    others = [draws({**options, **other}, size=40) for other in ({"seed": 1}, {"stream": 1})]
    caffe.set_solver_rank(1)
    try:
        others.append(draws(options, size=40))
    finally:
        caffe.set_solver_rank(0)
    for other in others:
        # Labels that are drawn again from five, and entries that are clipped, may be equal.
        assert np.mean(np.equal(first, other)) < (0.5 if "n_classes" in options else 1e-9)
        assert not {noise.tobytes() for noise in other} & {noise.tobytes() for noise in first}


@pytest.mark.parametrize("size", [5, 40000])
def test_the_draws_stay_what_they_are_from_version_to_version(size):
    """So that a run goes on under a later version: plain draws, keyed by what they are for and their place."""
    for iter_size in (1, 3):
        options = {"seed": 7, "stream": 2, "iter_size": iter_size}
        uniform = draws({**UNIFORM, **options}, 4, size)
        gaussian = draws({**GAUSSIAN, **options}, 4, size)
        for forward in range(4):
            key = (7, 2, 0, forward // iter_size, forward % iter_size, np.arange(size))
            np.testing.assert_array_equal(uniform[forward], np.float32(-0.5 + 0.75 * keyed.uniform(*key)))
            np.testing.assert_array_equal(gaussian[forward], np.float32(0.5 * keyed.normal(*key)))


def test_the_forwards_of_an_iteration_differ():
    noise = draws({**UNIFORM, "iter_size": 2}, 6)
    assert len({each.tobytes() for each in noise}) == 6
    np.testing.assert_array_equal(noise[::2], draws(UNIFORM))


def test_flip_draws_anew_from_all_classes():
    """P(true) = 1 - a (K-1)/K, each other a/K (Xie et al. 2016)."""
    labels = np.arange(5).repeat(20000)
    noisy = noise_net(FLIP, labels).forward()["noisy"]
    table = np.array([[np.mean(noisy[labels == c] == other) for other in range(5)] for c in range(5)])
    np.testing.assert_allclose(table, 0.75 * np.eye(5) + 0.25 / 5, atol=0.012)  # four standard deviations
    np.testing.assert_allclose(table.sum(axis=1), 1)


@pytest.mark.parametrize("probability", [0, 1])
def test_flip_of_none_and_of_all(probability):
    labels = np.full(1000, 3)
    noisy = noise_net({**FLIP, "probability": probability}, labels).forward()["noisy"]
    assert np.mean(noisy == 3) == pytest.approx(1 if probability == 0 else 0.2, abs=0.06)


def test_flip_keeps_ignored_labels_and_shape_and_works_in_place():
    labels = np.where(np.arange(3000).reshape(3, 1, 100, 10) % 3 == 0, 255, 1)
    options = {**FLIP, "probability": 1, "ignore_label": 255}
    noisy = noise_net(options, labels).forward()["noisy"].copy()
    assert noisy.shape == labels.shape
    np.testing.assert_array_equal(noisy == 255, labels == 255)
    assert set(noisy[labels == 1]) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(noise_net(options, labels, top="label").forward()["label"], noisy)


@pytest.mark.parametrize("options", [FLIP, ONE_HOT], ids=str)
def test_labels_that_are_no_class_are_errors(options):
    for label, message in [
        (5, "label 5 at sample 1 is outside 0..4"),
        (0.5, "label 0.5 at sample 1 is not an integer"),
    ]:
        with refused(DataError, message, layer="LabelNoise"):
            noise_net(options, np.array([0, label])).forward()


def plain_one_hot(label, noise, clip=(0, 1)):
    """Position by position: 1 for the class and noise, clipped, over the sum."""
    entries = np.clip((np.arange(len(noise)) == label) + noise, *clip)
    return entries / entries.sum() if entries.sum() else np.arange(len(noise)) == label


@pytest.mark.parametrize("shape", [(6,), (6, 1), (2, 1, 3, 1), (2, 3), (3, 100, 60)])
@pytest.mark.parametrize("options", [{}, {"clip": [0, 5]}, {"clip": [0.5, 0.5]}, {"clip": [0, 0]}], ids=str)
def test_noise_on_distributions(shape, options):
    labels = np.random.RandomState(0).randint(0, 5, shape)
    got = noise_net({**ONE_HOT, **options}, labels).forward()["noisy"]
    assert got.shape == (shape[0], 5, *(shape[2:] if len(shape) > 1 and shape[1] == 1 else shape[1:]))
    noise = 0.5 * keyed.normal(0, 0, 0, 0, 0, np.arange(got.size)).reshape(got.shape)
    pairs = zip(labels.ravel(), np.moveaxis(noise, 1, -1).reshape(-1, 5))
    expected = np.array([plain_one_hot(label, each, options.get("clip", (0, 1))) for label, each in pairs])
    np.testing.assert_allclose(np.moveaxis(got, 1, -1).reshape(-1, 5), expected, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(got.sum(axis=1), 1, rtol=1e-6)


def test_uniform_noise_on_distributions_is_smoothing_of_random_strength():
    options = {"distribution": "uniform", "low": 0, "high": 0.1, "one_hot": True, "n_classes": 5}
    got = noise_net(options, np.full(1000, 2)).forward()["noisy"]
    assert (got.argmax(axis=1) == 2).all()
    assert 0 < got[:, 0].min() < got[:, 0].max() < 0.1
    assert got[:, 0].mean() == pytest.approx(0.05 / 1.2, abs=0.003)


def test_distributions_in_test_are_plain_and_ignored_labels_give_zeros():
    labels = np.array([[1, 9], [4, 0]])
    expected = np.moveaxis(np.eye(10)[labels][..., :5], -1, 1)
    for phase in (caffe.TRAIN, caffe.TEST):
        got = noise_net({**ONE_HOT, "ignore_label": 9}, labels, phase).forward()["noisy"]
        np.testing.assert_array_equal(got[0, :, 1], 0)
        if phase == caffe.TEST:
            np.testing.assert_array_equal(got, expected)
        else:
            assert np.count_nonzero(got != expected) > 3


def test_distributions_cannot_take_the_place_of_labels():
    with refused(ConfigError, "top 1", "bottom 1", layer="LabelNoise"):
        noise_net(ONE_HOT, np.zeros(5), top="label")


def test_labels_that_force_backward_asks_for_get_zeros():
    for options in (UNIFORM, FLIP, ONE_HOT):
        assert not run(noise_net(options, np.zeros(5)), "label")[0].any()


@pytest.mark.parametrize("options", [GAUSSIAN, FLIP], ids=str)
def test_test_passes_labels_on_as_they_are(options):
    labels = np.array([0, 4, 77, 255, 1.5])
    np.testing.assert_array_equal(noise_net(options, labels, caffe.TEST).forward()["noisy"], labels)


@pytest.mark.parametrize("options", [GAUSSIAN, FLIP, ONE_HOT], ids=str)
def test_an_empty_batch(options):
    assert noise_net(options, np.zeros(5)).forward()["noisy"].size
    net = noise_net(options, np.zeros(5))
    net.blobs["label"].reshape(0)
    net.forward()
    assert net.blobs["noisy"].count == 0


def test_without_resume_a_warning_says_what_a_restart_does(caplog):
    caplog.set_level("INFO", log.name)
    for options, phase, count in [(UNIFORM, 0, 1), ({**UNIFORM, "resume": True}, 0, 0), (UNIFORM, 1, 0)]:
        caplog.clear()
        noise_net(options, np.zeros(5), phase)
        assert len([m for m in caplog.messages if "'resume': True" in m]) == count


@pytest.mark.parametrize("options", [{}, {"distribution": "uniform", "low": 1, "high": 0}])
def test_options_that_make_no_sense(options):
    with refused(ConfigError, layer="LabelNoise", option="low" if options else "distribution"):
        noise_net(options, np.zeros(5))


def solver(folder, resume, iter_size=1, noise=UNIFORM):
    """A solver whose net learns a constant from noise."""
    frozen = "param { lr_mult: 0 decay_mult: 0 }" if resume else ""
    options = {**noise, "resume": resume, "iter_size": iter_size}
    num_output = 5 if "one_hot" in noise else 1
    net = net_text(
        [
            python_layer("LabelNoise", ["label"], ["noisy"], options, more=frozen),
            layer_text("InnerProduct", ["label"], ["p"], f"inner_product_param {{ num_output: {num_output} }}"),
            layer_text("EuclideanLoss", ["p", "noisy"], ["loss"], "propagate_down: true propagate_down: false"),
        ],
        {"label": (16, 1)},
        force_backward=False,
    )
    path = write(net, folder)
    text = (
        f'net: "{path}" base_lr: 0.1 lr_policy: "fixed" type: "Adam" weight_decay: 0.1 '
        f"iter_size: {iter_size} test_iter: 2 test_interval: 2 test_initialization: false "
        f'snapshot_prefix: "{folder}/s" max_iter: 100'
    )
    return caffe.get_solver(write(text, folder, "solver.prototxt"))


@pytest.mark.parametrize(
    ("resume", "iter_size", "options"),
    [
        (True, 1, UNIFORM),
        (True, 2, UNIFORM),
        (False, 1, UNIFORM),
        (True, 2, {**FLIP, "probability": 1}),
        (True, 1, ONE_HOT),
    ],
)
def test_a_restored_run_goes_on_with_the_very_next_noise_if_told_to_resume(tmp_path, resume, iter_size, options):
    def noise(run, iterations):
        seen = []
        for _ in range(iterations):
            run.step(1)
            seen.append(np.copy(run.net.blobs["noisy"].data))
        return seen

    straight = noise(solver(tmp_path, resume, iter_size, options), 7)
    assert len({each.tobytes() for each in straight}) == 7
    first = solver(tmp_path, resume, iter_size, options)
    noise(first, 4)
    first.snapshot()
    again = solver(tmp_path, resume, iter_size, options)
    again.restore(os.path.join(str(tmp_path), "s_iter_4.solverstate"))
    np.testing.assert_array_equal(noise(again, 3), straight[4:] if resume else straight[:3])
