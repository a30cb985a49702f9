"""What holds for every loss layer, on the real Caffe."""

import tracemalloc

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.config.catalogue import SCHEMAS
from tests.caffe_nets import build, python_layer, run
from tests.losses.cases import CASES, ONE_A_LAYER
from tests.losses.loss_nets import batch, extreme, net_of, twin_of, weights_of
from tests.losses.references import numeric_gradient, reduce
from tests.refusals import refused


def indices(case):
    """The names of the bottoms that are class numbers."""
    return [name for name in ("label",) if name in case.inputs(np.random.RandomState(0))]


every_loss = pytest.mark.parametrize("case", CASES, ids=str)
every_layer = pytest.mark.parametrize("case", ONE_A_LAYER, ids=lambda case: case.layer)


def expected_loss(case, inputs, weights=None, **given):
    options = {"normalization": case.normalization, **case.options, **given}
    if "normalize" in options:
        options["normalization"] = "VALID" if options["normalize"] else "BATCH_SIZE"
    if case.loss is not None:
        return case.loss(inputs, weights, options)
    values, ignored, *counts = case.reference(**inputs, **options, weights=weights)
    if weights is not None:
        each = np.asarray(weights, np.float64).reshape(len(weights), -1)
        weights = np.repeat(each, values.size // each.size, axis=1).reshape(values.shape)
    by = options.get("normalize_by", "weight")
    return reduce(values, ignored, weights, options["normalization"], by, *counts)


@every_loss
@pytest.mark.parametrize("kind, loss_weight", [("none", 1), ("sample", 3), ("zero", 1), ("each", 3)])
def test_loss_and_gradients_equal_the_plain_loop(case, kind, loss_weight):
    inputs, _ = batch(case)
    weights = weights_of(case, kind)
    net = net_of(case, inputs, weights, loss_weight)
    run(net, *case.differentiable)
    assert net.blobs["loss"].data.shape == ()
    assert float(net.blobs["loss"].data) == pytest.approx(expected_loss(case, inputs, weights), rel=1e-5)
    for name in case.differentiable:
        slopes = numeric_gradient(lambda x, n=name: expected_loss(case, {**inputs, n: x}, weights), inputs[name])
        np.testing.assert_allclose(net.blobs[name].diff, loss_weight * slopes, rtol=1e-4, atol=2e-6 * loss_weight)
    if weights is not None:
        slopes = numeric_gradient(lambda w: expected_loss(case, inputs, w), weights)
        there = (np.asarray(weights) > 0) | (not case.jumps_at_weight_0)
        found = net.blobs["sample_weight"].diff
        np.testing.assert_allclose(found[there], loss_weight * slopes[there], rtol=1e-4, atol=5e-6)


@pytest.mark.parametrize("case", [case for case in CASES if case.vectors], ids=str)
@pytest.mark.parametrize("kind, loss_weight", [("none", 1), ("zero", 3)])
def test_the_gradient_of_a_blob_is_added_also_where_no_bottom_asks(case, kind, loss_weight):
    """To what is there: Caffe clears it once per iteration."""
    inputs, _ = batch(case)
    weights = weights_of(case, kind)
    net = net_of(case, inputs, weights, loss_weight)
    (blob,) = net.params["loss_layer"]
    vectors = blob.data.copy()
    slopes = numeric_gradient(lambda w: expected_loss(case, {**inputs, "vectors": w}, weights), vectors)
    for made in (net, net_of(case, inputs, weights, loss_weight, force_backward=False)):
        (blob,) = made.params["loss_layer"]
        blob.diff[...] = 7
        for passes in (1, 2):
            made.forward()
            made.backward()
            np.testing.assert_allclose(blob.diff - 7, passes * loss_weight * slopes, rtol=2e-4, atol=5e-6 * loss_weight)
        np.testing.assert_array_equal(blob.data, vectors)


@every_loss
@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_extreme_inputs_give_finite_losses_and_gradients(case, phase):
    inputs, weights = extreme(case)
    net = net_of(case, inputs, weights, phase=phase)
    for _ in range(2):
        gradients = run(net, *case.differentiable)
        assert np.isfinite(net.blobs["loss"].data)
        assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("case", [case for case in CASES if "keep" not in case.options], ids=str)
def test_an_iteration_allocates_less_than_the_size_of_its_bottom(case):
    """Buffers live from one iteration to the next."""
    inputs = case.large(np.random.RandomState(0))
    net = net_of(case, inputs, np.random.RandomState(1).uniform(0.3, 2, 1000), **case.large_options)
    for _ in range(2):
        run(net, *case.differentiable)
    tracemalloc.start()
    try:
        net.forward()
        net.backward()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * inputs[case.differentiable[0]].size


@pytest.mark.parametrize("case", [case for case in CASES if case.twin], ids=str)
@pytest.mark.parametrize("weighted, loss_weight", [(False, 3), (True, 1)])
def test_equals_its_stock_twin(case, weighted, loss_weight):
    inputs, _ = batch(case)
    twin = twin_of(case, inputs, loss_weight)
    net = net_of(case, inputs, np.ones(4) if weighted else None, loss_weight)
    expected, got = (run(each, *case.differentiable) for each in (twin, net))
    np.testing.assert_allclose(net.blobs["loss"].data, twin.blobs["loss"].data, rtol=1e-6)
    for name, theirs, ours in zip(case.differentiable, expected, got):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("case", [case for case in CASES if case.copies], ids=str)
def test_a_weight_of_k_is_k_copies(case):
    inputs, _ = batch(case)
    copies = np.array([2, 0, 3, 1])
    copied = {name: np.repeat(value, copies, axis=0) if len(value) == 4 else value for name, value in inputs.items()}
    net, of_copies = net_of(case, inputs, copies), net_of(case, copied)
    gradients = run(net, *case.differentiable)
    copied_gradients = run(of_copies, *case.differentiable)
    assert float(net.blobs["loss"].data) == pytest.approx(float(of_copies.blobs["loss"].data), rel=1e-5)
    groups = np.repeat(np.arange(4), copies)
    for one, several in zip(gradients, copied_gradients):
        one, several = one.reshape(4, -1), several.reshape(6, -1)
        for sample in range(4):
            np.testing.assert_allclose(one[sample], several[groups == sample].sum(axis=0), rtol=1e-4, atol=1e-6)


@every_loss
def test_scaling_all_weights_changes_nothing(case):
    inputs, weights = batch(case)
    nets = [net_of(case, inputs, c * weights) for c in (1, 1e-3)]
    one, other = (np.array(run(net, *case.differentiable)) for net in nets)
    if case.options.get("normalization") == "NONE" or case.options.get("normalize_by") == "count":
        one = one * 1e-3
    else:
        assert float(nets[0].blobs["loss"].data) == pytest.approx(float(nets[1].blobs["loss"].data), rel=1e-5)
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-8)


@every_loss
def test_all_weights_zero_give_zeros(case):
    inputs, _ = batch(case)
    net = net_of(case, inputs, np.zeros(4))
    run(net, *case.differentiable, "sample_weight")
    assert net.blobs["loss"].data == 0
    assert not any(net.blobs[name].diff.any() for name in case.differentiable)
    assert np.isfinite(net.blobs["sample_weight"].diff).all()


@every_layer
@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_bad_weights_are_errors_that_name_the_sample(case, bad):
    inputs, weights = batch(case)
    weights[2] = bad
    with refused(DataError, f"sample_weight {bad:g} at sample 2", layer=case.layer):
        net_of(case, inputs, weights).forward()


@every_layer
def test_too_few_weights_are_an_error(case):
    inputs, _ = batch(case)
    with refused(ConfigError, "sample_weight", "(3,)", remedy="one per sample (4)"):
        net_of(case, inputs, np.ones(3)).forward()


@pytest.mark.parametrize("case", [case for case in ONE_A_LAYER if indices(case)], ids=lambda case: case.layer)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (12, "label 12 at .* is outside 0..[0-9]"),
        (-3, "label -3 at .*"),
        (0.5, "label 0.5 at .* integer"),
        (np.nan, "label nan at .* integer"),
        (2.0**31, "label 2.14748365e.09 at"),
    ],
)
def test_bad_labels_are_errors_that_name_the_sample(case, bad, message):
    inputs, _ = batch(case)
    for name in indices(case):
        inputs[name].flat[3] = bad
        with pytest.raises(DataError, match=f"{case.layer}: {message}"):
            net_of(case, inputs).forward()


@pytest.mark.parametrize("case", [case for case in ONE_A_LAYER if indices(case)], ids=lambda case: case.layer)
@pytest.mark.parametrize("bad", [12, -3, 255])
def test_the_remedy_for_a_bad_label_helps(case, bad):
    inputs, _ = batch(case)
    inputs["label"].flat[3] = bad
    takes = "ignore_label" in SCHEMAS[case.layer].model_fields
    net = net_of(case, inputs)
    if not (case.layer == "BatchTripletLoss" and bad > 0):  # whose labels are any numbers
        with refused(DataError, f"label {bad}", remedy=f"'ignore_label': {bad} leaves out" if takes else ""):
            net.forward()
    if takes:
        net_of(case, inputs, ignore_label=bad).forward()


@every_layer
def test_labels_that_force_backward_asks_for_get_zeros(case):
    inputs, weights = batch(case)
    net = net_of(case, inputs, weights)
    others = [name for name in inputs if name not in case.differentiable]
    assert not any(diff.any() for diff in run(net, *others))


@every_loss
def test_gradients_are_the_same_in_any_order_of_calls(case):
    """In TRAIN and TEST, a first and a second time, and with a script that zeroes all diffs."""
    inputs, weights = batch(case)
    train, test = (net_of(case, inputs, weights, 3, phase) for phase in (caffe.TRAIN, caffe.TEST))
    names = [*case.differentiable, "sample_weight"]

    def gradients(net):
        return np.concatenate([net.blobs[name].diff.ravel() for name in names])

    test.forward()
    test.backward()
    expected = gradients(test)
    assert expected.any()
    for calls in (
        ["f", "b"],
        ["f", "b"],
        ["b"],
        ["f", "f", "b"],
        ["f", "zero", "b"],
        ["f", "b", "zero", "b"],
    ):
        for call in calls:
            if call == "zero":
                for blob in train.blobs.values():
                    if blob.data.shape:
                        blob.diff[...] = 0
            else:
                train.forward() if call == "f" else train.backward()
        np.testing.assert_allclose(gradients(train), expected, rtol=1e-6, atol=1e-7, err_msg=str(calls))


@every_loss
def test_each_batch_gets_its_own_gradient(case):
    inputs, weights = batch(case)
    net = net_of(case, inputs, weights)
    run(net, case.differentiable[0])
    others, other_weights = batch(case, seed=1)
    for name, array in {**others, "sample_weight": other_weights}.items():
        net.blobs[name].data[...] = array
    got = run(net, case.differentiable[0])
    np.testing.assert_array_equal(got, run(net_of(case, others, other_weights), case.differentiable[0]))


@every_layer
def test_a_loss_refuses_to_work_in_place(case):
    inputs, _ = batch(case)
    first = next(iter(inputs))
    with refused(ConfigError, "top 1", "bottom 1", layer=case.layer):
        net_of(case, inputs, top=first)


@every_layer
def test_missing_loss_weight_is_warned_of_once(case, caplog):
    inputs, _ = batch(case)
    for phase, loss_weight, warnings in [(caffe.TRAIN, None, 1), (caffe.TRAIN, 2, 0), (caffe.TEST, None, 0)]:
        caplog.clear()
        net = net_of(case, inputs, loss_weight=loss_weight, phase=phase)
        net.forward()
        net.forward()
        assert len([m for m in caplog.messages if "loss_weight is 0" in m]) == warnings


@every_layer
@pytest.mark.parametrize("count", [1, 9])
def test_wrong_number_of_bottoms(case, count):
    inputs, _ = batch(case)
    names = [f"x{i}" for i in range(count)]
    value = next(iter(inputs.values()))
    with refused(ConfigError, f"{count} bottom", "[sample_weight]", layer=case.layer):
        build([python_layer(case.layer, names, ["loss"], case.options, loss_weight=1)], dict.fromkeys(names, value))
