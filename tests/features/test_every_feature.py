"""What holds for every layer on features, on the real Caffe."""

import itertools
import tracemalloc

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError
from tests.caffe_nets import one_pass
from tests.features.cases import FEATURES, ONE_A_LAYER
from tests.features.feature_nets import FeatureNet, alone, batch, blobs_of, plain
from tests.losses.references import numeric_gradient
from tests.refusals import refused

every_feature = pytest.mark.parametrize("case", FEATURES, ids=str)
every_layer = pytest.mark.parametrize("case", ONE_A_LAYER, ids=lambda case: case.layer)
in_both_ways = pytest.mark.parametrize(
    "case, in_place",
    [(case, in_place) for case in FEATURES for in_place in ((False, True) if case.in_place else (False,))],
    ids=str,
)


def gradients(case, inputs, slope, blobs=False):
    """The gradients of sum(slope * top) by finite differences: of the bottoms by name, or of the parameter blobs."""
    if blobs:
        given = blobs_of(case)

        def of_blob(i):
            return lambda b: np.sum(slope * plain(case, inputs, [*given[:i], b, *given[i + 1 :]]))

        return [numeric_gradient(of_blob(i), each) for i, each in enumerate(given)]
    return {
        name: numeric_gradient(lambda x, n=name: np.sum(slope * plain(case, {**inputs, n: x})), array)
        if name in case.differentiable
        else np.zeros_like(array)
        for name, array in inputs.items()
    }


def check(made, inputs):
    """That a pass gives what the plain loop and its finite differences do."""
    before = [blob.diff.copy() for blob in made.blobs]
    top, found = made.run()
    np.testing.assert_allclose(top, plain(made.case, inputs), rtol=1e-5, atol=1e-6)
    expected = gradients(made.case, inputs, made.slope)
    for name in made.asked:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=2e-5, err_msg=name)
    for blob, left, slopes in zip(made.blobs, before, gradients(made.case, inputs, made.slope, blobs=True)):
        np.testing.assert_allclose(blob.diff - left, slopes, rtol=1e-4, atol=2e-5)


@in_both_ways
@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_equals_the_plain_loop_and_its_finite_differences(case, in_place, phase):
    """In two passes, with another batch in the second."""
    made = FeatureNet(case, batch(case), phase, in_place)
    for seed in (0, 1):
        inputs = batch(case, seed)
        made.feed(inputs)
        check(made, inputs)


@pytest.mark.parametrize(
    "case, learned",
    [
        (case, learned)
        for case in FEATURES
        for count in range(0 if case.blobs(np.random) else 1, len(case.inputs(np.random)))
        for learned in itertools.combinations(case.differentiable, count)
    ],
    ids=str,
)
def test_only_the_gradients_that_are_asked_for_are_given(case, learned):
    inputs = batch(case)
    made = FeatureNet(case, inputs, learned=learned)
    others = [made.net.blobs[name] for name in inputs if name not in learned]
    for blob in others:
        blob.diff[...] = 7
    check(made, inputs)
    assert all((blob.diff == 7).all() for blob in others)


@in_both_ways
def test_shapes_may_change(case, in_place):
    made = FeatureNet(case, batch(case), in_place=in_place)
    made.run()
    for kind in ("reshaped", "inputs"):
        inputs = batch(case, 2, kind)
        made.feed(inputs)
        check(made, inputs)


@in_both_ways
def test_backward_without_a_forward_is_that_at_the_bottoms_as_they_are(case, in_place):
    inputs = batch(case)
    made = FeatureNet(case, inputs, in_place=in_place)
    expected = gradients(case, inputs, made.slope)
    for name, array in inputs.items():
        made.net.blobs[name].data[...] = array
    made.net.backward()
    for name in inputs:
        np.testing.assert_allclose(made.net.blobs[f"{name}_in"].diff, expected[name], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("case", [case for case in FEATURES if case.blobs(np.random)], ids=str)
def test_gradients_of_blobs_are_added(case):
    """Caffe clears them once per iteration, so with iter_size they are those of several passes."""
    made = FeatureNet(case, batch(case))
    made.run()
    once = [blob.diff.copy() for blob in made.blobs]
    assert all(each.any() for each in once)
    made.run()
    for blob, each in zip(made.blobs, once):
        np.testing.assert_allclose(blob.diff, 2 * each, rtol=1e-5)


@pytest.mark.parametrize("case", [case for case in ONE_A_LAYER if not case.in_place], ids=lambda case: case.layer)
def test_a_layer_that_needs_its_bottom_refuses_to_work_in_place(case):
    inputs = batch(case)
    first = next(iter(inputs))
    with refused(ConfigError, "in place", remedy="a name of its own", layer=case.layer):
        alone(case, inputs, first)


@in_both_ways
def test_device_arrays_give_the_same(case, in_place, on_device):
    inputs = batch(case)
    host, made = (FeatureNet(case, inputs, in_place=in_place) for _ in range(2))
    for seed, run_on in ((0, on_device), (1, on_device), (0, lambda run: run())):  # and it may change sides
        for each in (host, made):
            each.feed(batch(case, seed))
        expected, found = host.run(), run_on(made.run)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-6)
        for name in inputs:
            np.testing.assert_allclose(found[1][name], expected[1][name], rtol=1e-5, atol=1e-5)
        for blob, other in zip(made.blobs, host.blobs):
            np.testing.assert_allclose(blob.diff, other.diff, rtol=1e-5, atol=1e-5)


@every_feature
def test_no_blob_is_read_in_host_memory(case, on_device, seen_by_the_host):
    """In GPU mode that would copy it from the GPU, and back."""
    made = FeatureNet(case, batch(case))
    made.run()
    for _ in range(2):
        seen_by_the_host.clear()
        on_device(one_pass, made.net)
        assert seen_by_the_host == []


@every_layer
def test_an_iteration_allocates_less_than_the_size_of_its_largest_bottom(case):
    """Buffers live from one iteration to the next."""
    inputs = batch(case, kind="large")
    net = alone(case, inputs)

    for _ in range(2):
        one_pass(net)
    tracemalloc.start()
    try:
        one_pass(net)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < max(array.nbytes for array in inputs.values())


@every_feature
def test_an_empty_batch_gives_an_empty_top(case):
    inputs = batch(case)
    net = alone(case, inputs)
    net.forward()
    expected = net.blobs["top"].data.copy()
    for count in (0, 0, None):  # and it goes on with samples
        for name, array in inputs.items():
            net.blobs[name].reshape(*array[:count].shape)
            net.blobs[name].data[...] = array[:count]
        net.forward()
        net.backward()
        np.testing.assert_array_equal(net.blobs["top"].data, expected[:count])


@every_feature
@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_extreme_numbers_stay_finite(case, phase):
    inputs = batch(case)
    for name in case.differentiable:
        inputs[name].flat[::2], inputs[name].flat[1::2] = case.extreme, -case.extreme
    made = FeatureNet(case, inputs, phase)
    for _ in range(2):
        top, found = made.run()
        assert all(np.isfinite(array).all() for array in (top, *found.values(), *(blob.diff for blob in made.blobs)))
