"""How long the net waits for data, and what a training step costs."""

import functools
import multiprocessing
import time
from typing import Any, Iterator

import caffe
import cv2
import numpy as np

import caffe_pylayers
from caffe_pylayers.data.worker import keep_freed_memory
from tests.bench.nets import BATCH, SIZE, net_of, ours, photo_folder
from tests.bench.rows import Row, in_turns, milliseconds

CONSTANT = """
layer { name: "train_data"  type: "DummyData"  top: "data"  top: "label"
  dummy_data_param { shape { dim: 64 dim: 3 dim: 256 dim: 256 }  shape { dim: 64 } } }
"""
# About 90 ms per step on one core at 64 x 3 x 256 x 256.
SMALL_NET = """
layer { name: "conv"  type: "Convolution"  bottom: "data"  top: "conv"
  convolution_param { num_output: 16  kernel_size: 7  stride: 4  weight_filler { type: "xavier" } } }
layer { name: "relu"  type: "ReLU"  bottom: "conv"  top: "conv" }
layer { name: "ip"  type: "InnerProduct"  bottom: "conv"  top: "ip"
  inner_product_param { num_output: 20  weight_filler { type: "xavier" } } }
layer { name: "loss"  type: "SoftmaxWithLoss"  bottom: "ip"  bottom: "label"  top: "loss" }
"""


def waiting() -> Iterator[Row]:
    """The time in forward() when the batch is there, against a memcpy of it."""
    net = net_of(ours(prefetch=3, workers=2))
    net.forward()
    source, target = net.blobs["data"].data.copy(), np.empty((BATCH, 3, SIZE, SIZE), np.float32)

    def busy() -> None:
        """As a net is while workers fill all slots; a core that slept would be slow at first."""
        end = time.perf_counter() + 0.3
        while time.perf_counter() < end:
            pass

    def forward() -> float:
        busy()
        return milliseconds(net.forward, 1, warm=False)

    def memcpy() -> float:
        busy()
        return milliseconds(lambda: np.copyto(target, source), 1, warm=False)

    def slot() -> float:
        """Feeding alone, from the memory that the workers write."""
        images = net.layers[0].batches.memory.slots[0].room.images
        busy()
        return milliseconds(lambda: net.layers[0].recipe.transforms.feed(images, target), 1, warm=False)

    figures = in_turns({"ours": forward, "memcpy": memcpy, "slot": slot}, 15)
    caffe_pylayers.close()
    against = f"memcpy: {figures['memcpy']:.2f} ms"
    ratios = {name: figure / figures["memcpy"] for name, figure in figures.items()}
    yield Row(
        "waiting in forward() for a batch of 50 MB",
        f"{figures['ours']:.2f} ms",
        against,
        ratios["ours"],
        "<= 1.15",
    )
    yield Row("  of which pixels to floats", f"{figures['slot']:.2f} ms", against, ratios["slot"])


def step() -> Iterator[Row]:
    """A training step fed by one worker, one core to spare, against the same net on a constant blob."""
    nets = {"ours": net_of(ours(prefetch=3) + SMALL_NET), "constant": net_of(CONSTANT + SMALL_NET)}

    batch = np.zeros((BATCH, 3, SIZE, SIZE), np.float32)

    def steps(net: caffe.Net, copy: bool = False) -> float:
        net.forward()
        net.backward()
        start = time.perf_counter()
        for _ in range(10):
            if copy:
                np.copyto(net.blobs["data"].data, batch)
            net.forward()
            net.backward()
        return 100 * (time.perf_counter() - start)

    rate = 1000 * BATCH / steps(nets["constant"])  # images per second that the net takes

    def beside() -> float:
        """What no feeding can avoid: another process decodes as many images, and each batch is copied once."""
        context = multiprocessing.get_context("spawn")
        begun, over = context.Event(), context.Event()
        process = context.Process(target=_decode, args=(str(photo_folder()), rate, begun, over))
        process.start()
        begun.wait()
        taken = steps(nets["constant"], copy=True)
        over.set()
        process.join()
        return taken

    actions = {name: functools.partial(steps, net) for name, net in nets.items()}
    figures = in_turns({**actions, "beside": beside}, 7)
    caffe_pylayers.close()
    against = f"constant blob: {figures['constant']:.1f} ms"
    ratios = {name: figure / figures["constant"] for name, figure in figures.items()}
    yield Row("training step, 1 worker", f"{figures['ours']:.1f} ms", against, ratios["ours"], "<= 1.05")
    yield Row("  of which decoding beside it, and a memcpy", f"{figures['beside']:.1f} ms", against, ratios["beside"])


def _decode(folder: str, rate: float, begun: Any, over: Any) -> None:
    """Decode and resize so many images per second, a batch at a time."""
    keep_freed_memory()
    cv2.setNumThreads(0)
    files = [np.fromfile(f"{folder}/{number}.jpg", np.uint8) for number in range(BATCH)]
    out = np.empty((BATCH, SIZE, SIZE, 3), np.uint8)
    begun.set()
    start, num_batches = time.perf_counter(), 0
    while not over.is_set():
        for file, place in zip(files, out):
            cv2.resize(cv2.imdecode(file, cv2.IMREAD_COLOR), (SIZE, SIZE), dst=place)
        num_batches += 1
        time.sleep(max(0.0, start + num_batches * BATCH / rate - time.perf_counter()))


def setup() -> Iterator[Row]:
    """From nothing to the first batch of 2000 photos."""
    photo_folder()

    def first() -> float:
        start = time.perf_counter()
        net_of(ours(prefetch=3, workers=2)).forward()
        seconds = time.perf_counter() - start
        caffe_pylayers.close()
        return seconds

    seconds = in_turns({"ours": first})["ours"]
    yield Row("set-up and first batch of 2000 photos", f"{seconds:.2f} s", "1 s", seconds, "<= 1")
