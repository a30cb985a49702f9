"""BatchPairLoss with a memory: what is in it, when it is written, and what is refused. tests/layers/test_resume.py goes on from snapshots."""

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from tests.caffe_nets import build, python_layer, run
from tests.losses.device_arrays import Device
from tests.losses.pair_references import DEFAULTS, pair_loss
from tests.losses.references import numeric_gradient
from tests.refusals import refused

RNG = np.random.RandomState(0)
BATCHES = [(RNG.randn(4, 3).astype(np.float32), RNG.randint(0, 3, 4)) for _ in range(6)]
WEIGHTS = np.array([0.5, 2, 1, 0])
#: Some that fill up in the middle of a batch, one that is a batch, one that is never full.
SIZES = (4, 10, 11, 100)


def net_of(memory, phase=caffe.TRAIN, batch=BATCHES[0], weights=None, **options):
    x, labels = batch
    inputs = {"x": x, "label": labels, **({} if weights is None else {"sample_weight": weights})}
    given = {"type": "contrastive", "memory": memory, **options}
    return build([python_layer("BatchPairLoss", list(inputs), ["loss"], given, 1)], inputs, phase)


def feed(net, batch):
    net.blobs["x"].data[...], net.blobs["label"].data[...] = batch


class Remembered:
    """A plain memory: the last `size` embeddings, and where the copies of the last batch are."""

    def __init__(self, size):
        self.size, self.x, self.labels = size, [], []

    def push(self, x, labels, kept=None):
        kept = range(len(x)) if kept is None else kept
        self.x, self.labels = (
            [*self.x, *(x[i] for i in kept)][-self.size :],
            [*self.labels, *(labels[i] for i in kept)][-self.size :],
        )
        return self.x, self.labels, [len(self.x) - len(kept) + i for i in range(len(kept))]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("type", DEFAULTS)
def test_loss_and_gradient_equal_the_plain_loop(size, type):
    net, remembered = net_of(size, type=type, weights=WEIGHTS), Remembered(size)
    for x, labels in BATCHES:
        feed(net, (x, labels))
        (gradient,) = run(net, "x")
        memory = remembered.push(x, labels)

        def loss(points, weights=WEIGHTS, labels=labels, memory=memory, x=x):
            return pair_loss(points, labels, weights, type=type, memory=memory, brackets=x)

        assert float(net.blobs["loss"].data) == pytest.approx(loss(x), rel=1e-5, abs=1e-6)
        np.testing.assert_allclose(
            gradient, numeric_gradient(loss, x), rtol=1e-3, atol=2e-5 * max(1, np.abs(gradient).max())
        )
        slopes = numeric_gradient(lambda weights, loss=loss, x=x: loss(x, weights), WEIGHTS)
        np.testing.assert_allclose(
            net.blobs["sample_weight"].diff, slopes, rtol=1e-3, atol=1e-5 * max(1, np.abs(slopes).max())
        )


def test_what_is_ignored_is_not_remembered():
    net, remembered = net_of(10, ignore_label=1), Remembered(10)
    for x, labels in BATCHES:
        feed(net, (np.where(labels[:, None] == 1, np.nan, x), labels))
        net.forward()
        memory = remembered.push(x, labels, np.flatnonzero(labels != 1))
        assert float(net.blobs["loss"].data) == pytest.approx(
            pair_loss(x, labels, type="contrastive", ignore_label=1, memory=memory), rel=1e-5
        )


def test_a_test_neither_reads_nor_writes_it():
    train, test = net_of(8), net_of(8, caffe.TEST)
    plain = net_of(0, caffe.TEST)
    for batch in BATCHES[:3]:
        feed(train, batch)
        train.forward()
    test.share_with(train)
    kept = [blob.data.copy() for blob in train.params["loss_layer"]]
    for batch in BATCHES[3:]:
        for net in (test, plain):
            feed(net, batch)
            run(net)
        assert test.blobs["loss"].data == plain.blobs["loss"].data
        np.testing.assert_array_equal(test.blobs["x"].diff, plain.blobs["x"].diff)
    for before, blob in zip(kept, train.params["loss_layer"]):
        np.testing.assert_array_equal(before, blob.data)


def test_only_forward_puts_a_batch_in():
    """Backward, again and with other labels, leaves it as it is; the gradient is that of the new labels of the anchors."""
    net = net_of(10)
    for batch in BATCHES[:2]:
        feed(net, batch)
        run(net)
    kept = [blob.data.copy() for blob in net.params["loss_layer"]]
    x, labels = BATCHES[1]
    memory = Remembered(10)
    memory.push(*BATCHES[0])
    memory = memory.push(x, labels)
    for changed in (labels, (labels + 1) % 3):
        net.blobs["label"].data[...] = changed
        net.backward()
        slopes = numeric_gradient(
            lambda points, changed=changed: pair_loss(points, changed, type="contrastive", memory=memory), x
        )
        np.testing.assert_allclose(net.blobs["x"].diff, slopes, rtol=1e-3, atol=2e-5)
    for before, blob in zip(kept, net.params["loss_layer"]):
        np.testing.assert_array_equal(before, blob.data)


def test_a_backward_without_a_forward_compares_with_what_is_there():
    net = net_of(10)
    net.backward()
    assert not net.blobs["x"].diff.any() and not net.params["loss_layer"][0].data.any()


def test_its_blobs():
    net = net_of(10)
    for batch in BATCHES:
        feed(net, batch)
        net.forward()
    points, labels, counter = (blob.data for blob in net.params["loss_layer"])
    assert (points.shape, labels.shape, counter.shape) == ((10, 3), (10,), (8,))
    x, given = (np.concatenate(each) for each in zip(*BATCHES))
    # 24 have come: the last ten are at the places 4 to 9, then 0 to 3.
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(points, np.roll(unit[14:], 4, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(labels, np.roll(given[14:], 4))
    assert (counter[1], counter[5]) == (6, 24)


@pytest.mark.parametrize("blob, at", [(0, (3, 1)), (1, 2), (2, 1), (2, 5), (2, 6), (2, 7)])
def test_a_change_by_the_solver_is_found(blob, at):
    net = net_of(8)
    net.forward()
    net.params["loss_layer"][blob].data[at] *= 0.99
    with refused(
        ConfigError, "the solver has changed", "the layer's memory", remedy="three times", layer="BatchPairLoss"
    ):
        net.forward()


def test_zeros_in_all_its_blobs_empty_it():
    nets = [net_of(10) for _ in range(2)]
    for batch in BATCHES[:2]:
        feed(nets[0], batch)
        nets[0].forward()
    for blob in nets[0].params["loss_layer"]:
        blob.data[...] = 0
    for batch in BATCHES[2:]:
        for net in nets:
            feed(net, batch)
            run(net)
        for name, part in (("loss", "data"), ("x", "diff")):
            np.testing.assert_array_equal(*(getattr(net.blobs[name], part) for net in nets))


def test_a_change_of_the_highest_bits_is_found():
    net = net_of(8, batch=(BATCHES[0][0], np.array([0, 2, 0, 2])))
    net.forward()
    net.params["loss_layer"][1].data[...] /= 2
    with refused(ConfigError, "the solver has changed", layer="BatchPairLoss"):
        net.forward()


def test_two_layers_with_one_memory_are_refused():
    """The gradient of the first would be by what the second has put in."""
    x, labels = BATCHES[0]
    params = "".join(f'param {{ name: "{name}"  lr_mult: 0  decay_mult: 0 }}\n' for name in "abc")
    given = {"type": "contrastive", "memory": 8}
    layers = [python_layer("BatchPairLoss", ["x", "label"], [top], given, 1, params) for top in ("one", "other")]
    net = build(layers, {"x": x, "label": labels}, caffe.TRAIN)
    net.forward()
    with refused(ConfigError, "another layer writes into its memory", remedy="`param`", option="memory"):
        net.backward()


def test_sizes_that_do_not_fit():
    with refused(
        ConfigError, "4 embeddings", "'memory' is 3", remedy="multiple of 4", layer="BatchPairLoss", option="memory"
    ):
        net_of(3)
    net_of(3, caffe.TEST).forward()
    net = net_of(8)
    net.blobs["x"].reshape(4, 2)
    with refused(ConfigError, "2 numbers", "had 3", layer="BatchPairLoss"):
        net.forward()
    with refused(ConfigError, "memory of 1000000000 embeddings", option="memory"):
        net_of(10**9)


def test_a_batch_with_an_error_is_not_remembered():
    net = net_of(8, weights=WEIGHTS)
    net.forward()
    kept = [blob.data.copy() for blob in net.params["loss_layer"]]
    net.blobs["sample_weight"].data[1] = -1
    with refused(DataError, "sample_weight -1"):
        net.forward()
    for before, blob in zip(kept, net.params["loss_layer"]):
        np.testing.assert_array_equal(before, blob.data)


@pytest.mark.parametrize("type", ["contrastive", "circle"])
@pytest.mark.parametrize("mining", ["all", "distance"])
def test_on_the_device_it_is_the_same_and_no_embedding_is_read_in_host_memory(
    type, mining, on_device, seen_by_the_host
):
    nets = [net_of(10, type=type, mining=mining) for _ in range(2)]
    for batch in BATCHES:
        for net in nets:
            feed(net, batch)
        seen_by_the_host.clear()
        on_device(nets[0].forward)
        nets[0]._backward(len(nets[0].layers) - 1, 0)
        assert {shape for _, shape in seen_by_the_host} <= {(8,)}
        run(nets[1])
        np.testing.assert_allclose(*(net.blobs["x"].diff for net in nets), rtol=1e-5, atol=1e-7)
        for one, other in zip(*(net.params["loss_layer"] for net in nets)):
            np.testing.assert_array_equal(one.data, other.data)
    assert Device.xp is not np
