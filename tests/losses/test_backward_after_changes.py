"""What backward gives after a script has written into blobs since forward, on the real Caffe."""

import caffe
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers import DataError
from caffe_pylayers.layers import class_losses
from tests.losses.cases import CASES, ONE_A_LAYER
from tests.losses.loss_nets import batch, net_of, twin_of
from tests.refusals import refused

#: Each case in the state that most is kept in; one case per layer in the three other states.
every_loss = pytest.mark.parametrize(
    ("case", "phase", "iterations"),
    [
        *((case, caffe.TRAIN, 2) for case in CASES),
        *(
            (case, phase, iterations)
            for case in ONE_A_LAYER
            for phase, iterations in ((caffe.TRAIN, 0), (caffe.TEST, 0), (caffe.TEST, 2))
        ),
    ],
    ids=str,
)
every_layer = pytest.mark.parametrize("case", ONE_A_LAYER, ids=lambda case: case.layer)
every_phase = pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST], ids=["TRAIN", "TEST"])

#: Whose stock twins follow changed labels, targets and H, and keep the scores of forward.
FOLLOWING = ("WeightedSoftmaxLoss", "WeightedInfogainLoss", "WeightedSigmoidCrossEntropyLoss")


def gradients(net, case):
    """Copies of the gradients that a backward pass gives, that of sample_weight last."""
    net.backward()
    return [net.blobs[name].diff.copy() for name in (*case.differentiable, "sample_weight") if name in net.blobs]


def fill(net, arrays):
    for name, array in arrays.items():
        net.blobs[name].data[...] = array


def others(case, seed=1):
    """The bottoms without a gradient, of another batch, with sample_weight."""
    inputs, weights = batch(case, seed)
    labels = {name: array for name, array in inputs.items() if name not in case.differentiable}
    return {**labels, "sample_weight": weights}


def weighted_net(case, phase, iterations=2, seed=0):
    """A net with a batch of weighted samples, after forward, with `iterations` before."""
    net = net_of(case, *batch(case, seed), 3, phase)
    for _ in range(iterations):
        net.forward()
        net.backward()
    net.forward()
    return net


def assert_same(found, expected, message=""):
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6, err_msg=message)


@every_layer
@every_phase
def test_one_number_that_a_script_writes_into_a_diff_is_no_gradient(case, phase):
    net = weighted_net(case, phase)
    expected = gradients(net, case)
    for name in case.differentiable:
        diff = net.blobs[name].diff
        for place in range(diff.size):
            net.forward()
            diff.flat[place] += 1
            assert_same(gradients(net, case), expected, f"{name} {place}")


@every_layer
@every_phase
def test_forward_writes_into_no_diff(case, phase):
    net = weighted_net(case, phase)
    for name in case.differentiable:
        net.blobs[name].diff[...] = 7
    net.forward()
    assert all((net.blobs[name].diff == 7).all() for name in case.differentiable)


@every_loss
def test_changed_labels_and_weights_are_followed(case, phase, iterations):
    """One after the other, all at once, and back again."""
    net = weighted_net(case, phase, iterations)
    expected_before = gradients(net_after(case, phase, {}), case)
    for name in others(case):
        change = {name: others(case)[name]}
        fill(net, change)
        assert_same(gradients(net, case), gradients(net_after(case, phase, change), case), name)
        fill(net, {name: others(case, seed=0)[name]})
        assert_same(gradients(net, case), expected_before, f"{name} as it was")
    fill(net, others(case))
    assert_same(gradients(net, case), gradients(net_after(case, phase, others(case)), case))


def net_after(case, phase, change):
    """A net that had the changed bottoms in forward."""
    net = weighted_net(case, phase, iterations=0)
    fill(net, change)
    net.forward()
    return net


@pytest.mark.parametrize("case", [case for case in CASES if case.layer in FOLLOWING and case.twin], ids=str)
@every_phase
def test_what_is_changed_counts_as_in_the_stock_twin(case, phase):
    """Labels, targets and H as they are in backward, scores as they were in forward."""
    inputs, _ = batch(case)
    change = {name: array for name, array in others(case).items() if name in inputs}
    net, twin = net_of(case, inputs, None, 3, phase), twin_of(case, inputs, 3)
    for changed in (change, {"scores": batch(case, seed=1)[0]["scores"]}):
        for each in (net, twin):
            fill(each, inputs if each is net else {k: v for k, v in inputs.items() if k != "scores"})
            each.forward()
            fill(each, changed)
        assert_same(gradients(net, case), gradients(twin, case), str(list(changed)))


@pytest.mark.parametrize("case", [case for case in CASES if "Multinomial" in case.layer and case.twin], ids=str)
@every_phase
def test_changed_labels_count_as_in_stock_multinomial(case, phase):
    inputs, _ = batch(case)
    net, twin = net_of(case, inputs, None, 3, phase), twin_of(case, inputs, 3)
    for each in (net, twin):
        each.forward()
        fill(each, {"label": (inputs["label"] + 1) % 3})
    assert_same(gradients(net, case), gradients(twin, case))


@every_loss
def test_scores_count_as_they_were_in_forward(case, phase, iterations):
    net = weighted_net(case, phase, iterations)
    fill(net, {name: array for name, array in batch(case, seed=1)[0].items() if name in case.differentiable})
    expected = gradients(weighted_net(case, phase), case)
    for _ in range(2):
        assert_same(gradients(net, case), expected)


@every_layer
@pytest.mark.parametrize(
    ("phase", "iterations", "scores_of"),
    [(caffe.TEST, 2, "forward"), (caffe.TRAIN, 0, "forward"), (caffe.TRAIN, 2, "now")],
)
def test_scores_and_labels_that_are_both_changed(case, phase, iterations, scores_of):
    net = weighted_net(case, phase, iterations)
    change = {**batch(case, seed=1)[0], "sample_weight": batch(case, seed=1)[1]}
    fill(net, change)
    prepared = getattr(caffe_pylayers, case.layer).prepares  # otherwise forward has kept what backward needs
    expected = change if scores_of == "now" and prepared else others(case)
    assert_same(gradients(net, case), gradients(net_after(case, phase, expected), case))


@pytest.mark.parametrize("case", [case for case in ONE_A_LAYER if "label" in batch(case)[0]], ids=str)
@every_phase
def test_a_bad_label_in_backward_is_an_error(case, phase):
    net = weighted_net(case, phase)
    net.blobs["label"].data.flat[3] = 0.5
    with refused(DataError, "label 0.5 at", layer=case.layer):
        net.backward()


@every_phase
def test_the_draws_of_distance_mining_are_those_of_forward(phase):
    given = next(case for case in CASES if case.layer == "BatchTripletLoss")
    case = given._replace(inputs=lambda rng: {"embedding": rng.randn(12, 3), "identity": np.arange(12) % 3})
    net, other = (net_of(case, batch(case)[0], phase=phase, mining="distance") for _ in range(2))
    for _ in range(3):
        net.forward()
        expected = gradients(net, case)
        other.forward()
        fill(other, {"identity": np.arange(12) % 2})
        assert not np.allclose(gradients(other, case), expected)
        fill(other, {"identity": np.arange(12) % 3})
        assert_same(gradients(other, case), expected)


def test_train_computes_nothing_again_in_backward(monkeypatch):
    net = weighted_net(CASES[0], caffe.TRAIN)
    expected = gradients(net, CASES[0])
    net.forward()
    monkeypatch.delattr(class_losses, "softmax_cross_entropy")
    for _ in range(2):
        assert_same(gradients(net, CASES[0]), expected)


@every_layer
@every_phase
def test_backward_without_a_forward_gives_the_gradients_at_the_bottoms_as_they_are(case, phase):
    inputs, weights = batch(case)
    net = net_of(case, inputs, weights, 3, phase)
    found = gradients(net, case)
    for gradient, expected in zip(found, gradients(weighted_net(case, phase, 0), case)):
        np.testing.assert_allclose(gradient, expected, rtol=1e-6)


@every_phase
def test_backward_behind_a_forward_that_failed_raises_its_error_again(phase):
    case = ONE_A_LAYER[0]
    net = weighted_net(case, phase)
    net.blobs["label"].data[...] = 255
    for step in (net.forward, net.backward, net.backward):
        with refused(DataError, 255):
            step()
