"""One net in several threads: an error that says so, never a hang, and no batch that is a mixture of two."""

import threading

import caffe
import numpy as np
import pytest

import caffe_pylayers

NET = """
layer {{ name: "train_data"  type: "Python"  top: "data"
  python_param {{ module: "caffe_pylayers"  layer: "ImageDataLayer"  param_str: "{options}" }} }}
"""


@pytest.fixture
def net(photos, tmp_path):
    def make(**options):
        options = {"source_type": "LMDB", "source": photos.lmdb, "batch_size": 16, "resize": 200, **options}
        (tmp_path / "net.prototxt").write_text(NET.format(options=options))
        return caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)

    yield make
    caffe_pylayers.close()


@pytest.mark.parametrize("prefetch", [0, 3])
def test_several_at_once_are_told(net, prefetch):
    fed, errors = net(prefetch=prefetch), []
    at_once = threading.Barrier(3)

    def use():
        at_once.wait()
        for _ in range(40):
            try:
                fed.forward()
            except RuntimeError as error:
                errors.append(str(error))

    threads = [threading.Thread(target=use, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert errors
    (error,) = set(errors)
    assert "several threads" in error
    assert "threading.Lock" in error
    taken = fed.layers[0]._count  # it goes on behind the batches that were taken
    alone = net()
    for _ in range(taken + 1):
        expected = alone.forward()["data"].copy()
    np.testing.assert_array_equal(fed.forward()["data"], expected)


@pytest.mark.parametrize("prefetch", [0, 3])
def test_one_after_the_other_is_fine(net, prefetch):
    """Both remedies: a lock, and a net for each."""
    fed, alone, lock, batches = net(prefetch=prefetch), net(), threading.Lock(), []

    def use():
        for _ in range(10):
            with lock:
                batches.append(fed.forward()["data"].copy())

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(batches, [alone.forward()["data"].copy() for _ in range(30)])

    nets = [net(prefetch=prefetch) for _ in range(3)]
    found = [[], [], []]

    def use_own(number):
        found[number] += [nets[number].forward()["data"].copy() for _ in range(5)]

    threads = [threading.Thread(target=use_own, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(found, [batches[:5]] * 3)


def test_nets_of_one_source_are_closed_each_on_its_own(net):
    """What one of them closes is open for the others."""
    nets = [net(batch_size=4) for _ in range(3)]
    errors = []

    def use(own):
        try:
            for _ in range(100):
                own.forward()
                own.layers[0].close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(own,)) for own in nets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_closing_while_another_thread_takes_a_batch_is_told(photos, net, tmp_path):
    """The batch that is waited for comes all the same."""
    fed, refused = net(prefetch=2, transform="slow:slow", batch_size=4), []
    reference = net(batch_size=4)
    thread = threading.Thread(target=fed.forward)
    thread.start()
    while thread.is_alive() and not refused:
        try:
            fed.layers[0].close()
        except RuntimeError as error:
            refused.append(str(error))
    thread.join()
    assert "used by several threads at once" in refused[0]
    np.testing.assert_array_equal(fed.blobs["data"].data, reference.forward()["data"])


@pytest.fixture(autouse=True)
def slow(tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text("import time\ndef slow(image, rng):\n    time.sleep(0.1)\n    return image\n")
    monkeypatch.syspath_prepend(str(tmp_path))
