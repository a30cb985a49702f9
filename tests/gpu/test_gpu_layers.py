"""The layers in GPU mode: `pytest -m gpu`, with a GPU build of Caffe, CuPy and a GPU."""

import caffe
import numpy as np
import pytest

from caffe_pylayers.layers import device
from tests.caffe_nets import build, layer_text, run
from tests.features import feature_nets as features
from tests.features.cases import FEATURES
from tests.layers import layer_nets
from tests.losses.cases import CASES
from tests.losses.loss_nets import batch, iterations, net_of, weights_of

pytestmark = pytest.mark.gpu


@pytest.fixture
def cupy():
    """CuPy, with Caffe in GPU mode on the first GPU."""
    if not hasattr(caffe._caffe.Blob, "_gpu_data_ptr"):
        pytest.fail("the tests marked gpu need a Caffe that was built for GPUs; this one has CPU_ONLY")
    try:
        import cupy

        cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        pytest.fail(f"the tests marked gpu need CuPy and a GPU: {type(error).__name__}: {error}")
    caffe.set_mode_gpu()
    caffe.set_device(0)
    yield cupy
    caffe.set_device(0)
    caffe.set_mode_cpu()


def expected_on_cpu(case, inputs, weights):
    caffe.set_mode_cpu()
    try:
        return iterations(net_of(case, inputs, weights, 3), inputs, case.differentiable)
    finally:
        caffe.set_mode_gpu()


def compare(case, kind="sample"):
    inputs, weights = batch(case)[0], weights_of(case, kind)
    expected = expected_on_cpu(case, inputs, weights)
    found = iterations(net_of(case, inputs, weights, 3), inputs, case.differentiable)
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def a_blob():
    return build([], {"x": np.arange(6.0).reshape(2, 3)}).blobs["x"]


def test_gpu_mode_computes_with_cupy(cupy):
    assert device.gpu_mode()
    assert device.current().xp is cupy
    caffe.set_mode_cpu()
    assert device.current() is device.HOST


@pytest.mark.parametrize("kind", ["none", "sample", "zero", "each"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gpu_mode_gives_what_cpu_mode_gives(case, kind, cupy):
    compare(case, kind)


@pytest.mark.parametrize("case", FEATURES, ids=str)
def test_layers_on_features_give_what_they_give_in_cpu_mode(case, cupy):
    inputs = features.batch(case)
    caffe.set_mode_cpu()
    expected = features.FeatureNet(case, inputs).run()
    caffe.set_mode_gpu()
    made = features.FeatureNet(case, inputs)
    for _ in range(2):
        found = made.run()
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-4, atol=1e-6)
        for name in inputs:
            np.testing.assert_allclose(found[1][name], expected[1][name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("layer", "inputs", "options"), [*layer_nets.CASES, *layer_nets.RESUMING], ids=str)
def test_every_layer_gives_what_it_gives_in_cpu_mode(layer, inputs, options, cupy):
    caffe.set_mode_cpu()
    expected = layer_nets.passes(layer_nets.net_of(layer, inputs, options, caffe.TRAIN))
    caffe.set_mode_gpu()
    found = layer_nets.passes(layer_nets.net_of(layer, inputs, options, caffe.TRAIN))
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_arrays_are_the_blobs_own_memory(cupy):
    blob = a_blob()
    for name, pointer in (("data", "_gpu_data_ptr"), ("diff", "_gpu_diff_ptr")):
        array = getattr(device.current(), name)(blob)
        assert (array.data.ptr, array.shape, array.dtype) == (getattr(blob, pointer), (2, 3), np.float32)
        assert array.data.mem.size == 24
        array[1] = 7
        assert getattr(blob, name)[1].tolist() == [7, 7, 7]
    assert blob.data[0].tolist() == [0, 1, 2]


def test_losses_work_between_layers_of_the_gpu(cupy):
    """The kernels of Caffe's layers and of CuPy run in order, in both directions."""
    rng = np.random.RandomState(0)
    inputs = {"x": rng.randn(64, 500), "label": rng.randint(0, 100, 64)}
    weights = "inner_product_param { num_output: 100 weight_filler { type: 'constant' value: 0.01 } }"

    def net_with(loss):
        return build([layer_text("InnerProduct", ["x"], ["scores"], weights), loss], inputs)

    params = 'python_param { module: "caffe_pylayers" layer: "WeightedSoftmaxLoss" }'
    ours = net_with(layer_text("Python", ["scores", "label"], ["loss"], params, 1))
    stock = net_with(layer_text("SoftmaxWithLoss", ["scores", "label"], ["loss"]))
    for _ in range(20):
        for blob in ("x", "label"):
            ours.blobs[blob].data[...] = stock.blobs[blob].data[...] = np.roll(stock.blobs[blob].data, 1, axis=0)
        np.testing.assert_allclose(run(ours, "x")[0], run(stock, "x")[0], rtol=1e-3, atol=1e-7)
        np.testing.assert_allclose(ours.blobs["loss"].data, stock.blobs["loss"].data, rtol=1e-4)


@pytest.mark.parametrize("non_blocking", [False, True])
def test_any_stream_may_be_current(cupy, non_blocking):
    with cupy.cuda.Stream(non_blocking=non_blocking) as stream:
        for case in CASES[:3]:
            compare(case)
        with device.current().of(a_blob()):
            assert cupy.cuda.get_current_stream() == cupy.cuda.Stream.null
        assert cupy.cuda.get_current_stream() == stream


def test_the_gpu_is_that_of_the_blob(cupy):
    """Whichever GPU Caffe uses and whichever is CuPy's."""
    count = cupy.cuda.runtime.getDeviceCount()
    for number in range(count):
        caffe.set_device(number)
        blob = a_blob()
        blob._gpu_data_ptr  # noqa: B018  it is now on this GPU
        other = (number + 1) % count
        with cupy.cuda.Device(other):
            assert device.current().data(blob).device.id == number
            with device.current().of(blob):
                assert cupy.cuda.Device().id == number
                assert (device.current().data(blob) + 1).device.id == number
            assert cupy.cuda.Device().id == other
        compare(CASES[0])


def test_a_blob_without_elements_is_an_empty_array(cupy):
    net = build([], {"x": np.zeros((2, 3))})
    net.blobs["x"].reshape(0, 3)
    with device.current().of(net.blobs["x"]):
        assert device.current().data(net.blobs["x"]).shape == (0, 3)
