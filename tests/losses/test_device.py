"""The losses on device arrays give what they give on NumPy's, on the real Caffe; and the mode of Caffe is found."""

import sys
import threading

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.layers import device
from caffe_pylayers.losses.reduction import array_module
from caffe_pylayers.processes.gpu import built_for_gpus
from tests.caffe_nets import build, python_layer, run
from tests.losses.cases import CASES, ONE_A_LAYER
from tests.losses.device_arrays import library, ndarray
from tests.losses.loss_nets import batch, extreme, iterations, net_of, weights_of

every_loss = pytest.mark.parametrize("case", CASES, ids=str)
every_layer = pytest.mark.parametrize("case", ONE_A_LAYER, ids=lambda case: case.layer)


def call(function, *args):
    """Runs a function as it is, with NumPy's arrays."""
    return function(*args)


def compare(on_device, case, inputs, weights, rtol=1e-6, **options):
    """That both give the same, with all gradients that there are."""
    names = [*case.differentiable, *(["sample_weight"] if weights is not None else [])]
    found, expected = (
        run_on(iterations, net_of(case, inputs, weights, 3, **options), inputs, names) for run_on in (on_device, call)
    )
    assert len(found) == len(expected) > len(names)
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-7)


@every_loss
@pytest.mark.parametrize("kind, phase", [("none", caffe.TEST), ("each", caffe.TRAIN)])
def test_device_arrays_give_the_same(case, kind, phase, on_device):
    compare(on_device, case, batch(case)[0], weights_of(case, kind), phase=phase)


@every_loss
def test_extreme_inputs_give_the_same(case, on_device):
    inputs, weights = extreme(case)
    compare(on_device, case, inputs, weights)


@every_layer
def test_large_batches_give_the_same(case, on_device):
    inputs = {name: np.asarray(value, np.float32) for name, value in case.large(np.random.RandomState(0)).items()}
    a_class = {
        name: np.resize(each, 100).tolist() for name, each in case.options.items() if isinstance(each, (list, tuple))
    }
    compare(on_device, case, inputs, np.random.RandomState(1).uniform(0.3, 2, 1000), rtol=1e-5, **a_class)


def message(run_on, net):
    with pytest.raises((ConfigError, DataError)) as error:
        run_on(net.forward)
    return str(error.value)


@every_loss
def test_no_bottom_is_read_in_host_memory(case, on_device, seen_by_the_host):
    """In GPU mode that would copy it from the GPU, and back."""
    inputs, weights = batch(case)
    net = net_of(case, inputs, weights)
    for _ in range(2):
        seen_by_the_host.clear()
        on_device(net.forward)
        net._backward(len(net.layers) - 1, 0)  # backward() takes the diffs of all inputs
        assert seen_by_the_host == []
    net.blobs["sample_weight"].data.sum()
    assert seen_by_the_host == [("data", (4,))]


@every_layer
@pytest.mark.parametrize("bad", [np.nan, -1.0])
def test_bad_weights_have_the_same_message(case, bad, on_device):
    inputs, weights = batch(case)
    weights[2] = bad
    net = net_of(case, inputs, weights)
    assert message(on_device, net) == message(call, net)


@pytest.mark.parametrize(
    "case", [case for case in ONE_A_LAYER if "label" in batch(case)[0]], ids=lambda case: case.layer
)
@pytest.mark.parametrize("bad", [12, 0.5, np.nan])
def test_bad_labels_have_the_same_message(case, bad, on_device):
    inputs, _ = batch(case)
    inputs["label"].flat[3] = bad
    net = net_of(case, inputs)
    try:
        net.forward()
    except DataError:
        assert message(on_device, net) == message(call, net)
    else:  # it takes any number for a label
        on_device(net.forward)


@pytest.mark.parametrize("options", [{}, {"top_k": 2}, {"balanced": True}, {"ignore_label": 1}], ids=str)
@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_accuracy_gives_the_same(shape, weighted, options, on_device):
    rng = np.random.RandomState(0)
    inputs = {"scores": rng.randint(0, 3, shape), "label": rng.randint(0, 4, shape[:1] + shape[2:])}
    if weighted:
        inputs["sample_weight"] = rng.randint(0, 3, 6)
    tops = ["accuracy", "per_class"]
    net = build([python_layer("WeightedAccuracy", list(inputs), tops, options)], inputs, caffe.TEST)
    net.forward()
    expected = [net.blobs[top].data.copy() for top in tops]
    for top in tops:
        net.blobs[top].data[...] = np.nan
    on_device(net.forward)
    for top, values in zip(tops, expected):
        np.testing.assert_allclose(net.blobs[top].data, values, rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "tops", "options"),
    [
        ("Metrics", 2, {"of": ["pixel_accuracy", "mean_recall", "mean_iou", "precision", "recall", "f1"]}),
        ("Metrics", 2, {"of": ["f1", "auc", "average_precision"], "average": "micro", "ignore_label": 1}),
        ("Metrics", 1, {"of": ["auc"], "ignore_label": 3}),
        ("SegAccuracy", 1, {"ignore_label": [1, 3]}),
        ("SegAccuracy", 1, {"reset": False}),
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3), (6, 2)])
def test_metrics_give_the_same_and_no_bottom_is_read_in_host_memory(
    layer, tops, options, shape, on_device, seen_by_the_host
):
    """Two passes of three batches."""
    rng = np.random.RandomState(0)
    inputs = {"scores": rng.randint(0, 3, shape), "label": rng.randint(0, shape[1], shape[:1] + shape[2:])}
    tops = ["top", "confusion"][:tops]
    if layer == "Metrics":
        inputs["sample_weight"] = rng.randint(0, 3, 6)
        options = {**options, "restart_every": 3}
    nets = [build([python_layer(layer, list(inputs), tops, options)], inputs, caffe.TEST) for _ in range(2)]
    for number in range(6):
        scores = rng.randint(0, 3, shape)
        for net in nets:
            net.blobs["scores"].data[...] = scores
        seen_by_the_host.clear()
        on_device(nets[0].forward)
        outputs = [tuple(nets[0].blobs[top].shape) for top in tops]  # pycaffe's forward() returns them
        assert [shape for _, shape in seen_by_the_host if shape not in outputs] == []
        nets[1].forward()
        for top in tops:
            np.testing.assert_allclose(*(net.blobs[top].data for net in nets), rtol=1e-6, err_msg=f"{number}")


def test_a_net_may_change_sides(on_device):
    case = CASES[0]
    inputs, weights = batch(case)
    net = net_of(case, inputs, weights)
    (expected,) = run(net, *case.differentiable)
    for run_on in (on_device, call, on_device):
        np.testing.assert_allclose(run_on(run, net, *case.differentiable)[0], expected, rtol=1e-6, atol=1e-8)


def test_device_arrays_have_the_rules_of_cupy():
    """Else the tests above would show nothing."""
    x, host = library.asarray([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])
    assert array_module(x) is library
    for mixed in (
        lambda: np.exp(x),
        lambda: np.sum(x),
        lambda: np.asarray(x),
        lambda: x + host,
        lambda: host + x,
        lambda: np.add(host, x),
        lambda: library.exp(host),
        lambda: x.__setitem__(slice(None), host),
        lambda: host.__setitem__(slice(None), x),
        lambda: x[np.array([0, 1])],
        lambda: np.copyto(host, x),
        lambda: library.where(host > 1, x, 0),
        lambda: np.float32(2) * x,
    ):
        with pytest.raises(TypeError, match="was given to"):
            mixed()
    for lacking in (
        lambda: library.add(x, 1, where=x > 1),
        lambda: x.sum(where=x > 1),
        lambda: library.einsum("i->", x, out=x),
        lambda: library.exp(x, casting="unsafe"),
        lambda: library.repeat(x, x > 0),
        lambda: range(x[0]),
    ):
        with pytest.raises(TypeError):
            lacking()
    for name in ("errstate", "put_along_axis", "vectorize", "add.at", "add.reduce"):
        first, _, second = name.partition(".")
        assert not hasattr(getattr(library, first), second) if second else not hasattr(library, first)
    with pytest.raises(ValueError, match="it is open"):
        x[library.asarray([0, 0])] = x[:2]
    total = x.sum()
    assert isinstance(total, ndarray)
    assert (total.shape, float(total), int(x.argmax())) == ((), 6.0, 2)
    single = x.astype(np.float32)
    assert (single * 2.0).dtype == np.float32
    assert (single * single.sum(dtype=np.float64)).dtype == np.float64  # NumPy 1 would say float32
    view = x[1:]
    view *= 2
    assert x.tolist() == [1, 4, 6]


# ----------------------------------------------------------------------------------------------------- Caffe's mode


@pytest.fixture
def fresh_search():
    """Forgets the place of the mode, so that it is searched for; afterwards the mode is CPU."""

    def forget():
        vars(device._found).pop("mode", None)

    forget()
    yield forget
    caffe.set_mode_cpu()


def test_the_mode_of_caffe_is_found(fresh_search):
    for set_mode, expected in ((caffe.set_mode_gpu, True), (caffe.set_mode_cpu, False), (caffe.set_mode_gpu, True)):
        set_mode()
        assert device.gpu_mode() is expected
        fresh_search()
        assert device.gpu_mode() is expected  # as it was before the search
    caffe.set_mode_cpu()
    assert not device.gpu_mode()


def test_each_thread_has_a_mode_of_its_own(fresh_search):
    found = []

    def other():
        found.append(device.gpu_mode())
        caffe.set_mode_gpu()
        found.append(device.gpu_mode())

    caffe.set_mode_cpu()
    assert not device.gpu_mode()
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == [False, True]
    assert not device.gpu_mode()


def test_a_search_that_finds_nothing_stays_on_the_host(fresh_search, monkeypatch, caplog):
    monkeypatch.setattr(device, "_words_of_mode", lambda words: [])
    assert not device.gpu_mode()
    assert "does not store its mode in the same place as stock Caffe" in caplog.text
    assert not device.gpu_mode()
    assert len(caplog.messages) == 1


@pytest.fixture
def cupy_is(tmp_path, monkeypatch):
    """A function that makes a module of this text the one that `import cupy` finds."""

    def write(text):
        (tmp_path / "cupy.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "cupy", raising=False)
        device._cuda.cache_clear()

    yield write
    device._cuda.cache_clear()
    sys.modules.pop("cupy", None)


def test_cupy_is_imported_in_gpu_mode_only(fresh_search, cupy_is):
    cupy_is("")
    caffe.set_mode_cpu()
    assert device.current() is device.HOST
    assert "cupy" not in sys.modules
    caffe.set_mode_gpu()
    assert (device.current() is device.HOST) is not built_for_gpus()
    assert ("cupy" in sys.modules) is built_for_gpus()


def test_a_cupy_that_cannot_be_imported_is_told_once(cupy_is, caplog):
    cupy_is("raise ImportError('libnvrtc.so.12: cannot open shared object file')")
    assert device._cuda() is device.HOST
    assert device._cuda() is device.HOST
    (message,) = caplog.messages
    assert message == (
        "CuPy is installed but cannot be imported, so layers compute on the CPU in GPU mode: "
        "ImportError: libnvrtc.so.12: cannot open shared object file"
    )


def test_without_cupy_nothing_is_told(cupy_is, caplog):
    cupy_is("raise ModuleNotFoundError(\"No module named 'cupy'\", name='cupy')")
    assert device._cuda() is device.HOST
    assert caplog.messages == []
