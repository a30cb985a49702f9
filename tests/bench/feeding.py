"""Feeding: how fast batches come, how long the net waits, what a training step costs."""

import functools
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator, List

import caffe
import cv2
import numpy as np

import caffe_pylayers
from caffe_pylayers.data.samplers import RandomTriplets
from caffe_pylayers.data.worker import keep_freed_memory
from tests.bench.photos import photos
from tests.bench.rows import Row, in_turns, milliseconds

BATCH, SIZE = 64, 256
MEAN = (104.0, 117.0, 123.0)

OURS = """
layer {{ name: "train_data"  type: "Python"  top: "data"  top: "label"
  python_param {{ module: "caffe_pylayers"  layer: "ImageDataLayer"  param_str: "{options}" }} }}
"""
STOCK = """
layer {{ name: "train_data"  type: "ImageData"  top: "data"  top: "label"
  transform_param {{ mean_value: 104  mean_value: 117  mean_value: 123 }}
  image_data_param {{ source: "{source}"  root_folder: "{root}/"  batch_size: 64  new_height: 256  new_width: 256 }} }}
"""
CONSTANT = """
layer { name: "train_data"  type: "DummyData"  top: "data"  top: "label"
  dummy_data_param { shape { dim: 64 dim: 3 dim: 256 dim: 256 }  shape { dim: 64 } } }
"""
# About 90 ms a step on one core at 64 x 3 x 256 x 256.
SMALL_NET = """
layer { name: "conv"  type: "Convolution"  bottom: "data"  top: "conv"
  convolution_param { num_output: 16  kernel_size: 7  stride: 4  weight_filler { type: "xavier" } } }
layer { name: "relu"  type: "ReLU"  bottom: "conv"  top: "conv" }
layer { name: "ip"  type: "InnerProduct"  bottom: "conv"  top: "ip"
  inner_product_param { num_output: 20  weight_filler { type: "xavier" } } }
layer { name: "loss"  type: "SoftmaxWithLoss"  bottom: "ip"  bottom: "label"  top: "loss" }
"""


@functools.lru_cache(maxsize=None)
def _folder() -> Path:
    holder = tempfile.TemporaryDirectory(prefix="caffe_pylayers_bench_")
    _keep.append(holder)
    photos(Path(holder.name))
    return Path(holder.name)


_keep: List[object] = []


def _ours(**options: object) -> str:
    folder = _folder()
    options = {
        "source": str(folder / "list.txt"), "root": str(folder), "batch_size": BATCH, "resize": SIZE,
        "mean_value": list(MEAN), "shuffle": True, **options,
    }  # fmt: skip
    return OURS.format(options=options)


def _stock() -> str:
    folder = _folder()
    return STOCK.format(source=folder / "list.txt", root=folder)


def _net(text: str) -> caffe.Net:
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(text)
        file.flush()
        return caffe.Net(file.name, caffe.TRAIN)


def _decode_only(folder: str, number: int, num_images: int, barrier: "multiprocessing.synchronize.Barrier") -> None:
    """The limit: nothing but decode, resize, split and subtract the mean."""
    keep_freed_memory()
    cv2.setNumThreads(0)
    files = [os.path.join(folder, f"{(number + 2 * index) % 2000}.jpg") for index in range(num_images)]
    resized = np.empty((SIZE, SIZE, 3), np.uint8)
    out = np.empty((BATCH, 3, SIZE, SIZE), np.float32)
    barrier.wait()
    for index, file in enumerate(files):
        image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
        cv2.resize(image, (SIZE, SIZE), dst=resized)
        for plane, mean, place in zip(cv2.split(resized), MEAN, out[index % BATCH]):
            np.subtract(plane, np.float32(mean), out=place)
    barrier.wait()


#: A program that prints how many images a second a net feeds, after the six batches that were made ahead.
FEED = """
import sys, time, caffe
net = caffe.Net(sys.argv[1], caffe.TRAIN)
for _ in range(6):
    net.forward()
start = time.perf_counter()
for _ in range(int(sys.argv[2])):
    net.forward()
print(int(sys.argv[2]) * len(net.blobs["data"].data) / (time.perf_counter() - start))
"""


def feeding() -> Iterator[Row]:
    """Images a second with nothing else running: two workers against two bare decoding processes and stock."""
    num_batches = 20
    context = multiprocessing.get_context("spawn")
    _folder()

    def limit() -> float:
        barrier = context.Barrier(3)
        num_images = num_batches * BATCH // 2
        processes = [
            context.Process(target=_decode_only, args=(str(_folder()), number, num_images, barrier))
            for number in range(2)
        ]
        for process in processes:
            process.start()
        barrier.wait()
        start = time.perf_counter()
        barrier.wait()
        seconds = time.perf_counter() - start
        for process in processes:
            process.join()
        return 2 * num_images / seconds

    def fed(prototxt: str) -> float:
        """In a fresh process, as a training run is one: with memory that others gave back decoding is faster."""
        with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
            file.write(prototxt)
            file.flush()
            command = [sys.executable, "-c", FEED, file.name, str(num_batches)]
            return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    figures = in_turns(
        {"limit": limit, "ours": lambda: fed(_ours(prefetch=4, workers=2)), "stock": lambda: fed(_stock())}
    )
    rate = f"{figures['ours']:.0f} images/s"
    yield Row(
        "feeding 500x375 JPEGs to 64x3x256x256 float, 2 workers",
        rate, f"limit: {figures['limit']:.0f} images/s", figures["ours"] / figures["limit"], ">= 0.90",
    )  # fmt: skip
    yield Row("", rate, f"stock ImageData: {figures['stock']:.0f} images/s", figures["ours"] / figures["stock"], ">= 4")


def waiting() -> Iterator[Row]:
    """The time in forward() when the batch is there, against a memcpy of it."""
    net = _net(_ours(prefetch=3, workers=2))
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

    figures = in_turns({"ours": forward, "memcpy": memcpy}, 15)
    caffe_pylayers.close()
    yield Row(
        "waiting in forward() for a batch of 50 MB", f"{figures['ours']:.2f} ms", f"memcpy: {figures['memcpy']:.2f} ms",
        figures["ours"] / figures["memcpy"], "<= 1.15",
    )  # fmt: skip


def step() -> Iterator[Row]:
    """A training step fed by one worker, one core to spare, against the same net on a constant blob."""
    nets = {"ours": _net(_ours(prefetch=3) + SMALL_NET), "constant": _net(CONSTANT + SMALL_NET)}

    def steps(net: caffe.Net) -> float:
        net.forward()
        net.backward()
        start = time.perf_counter()
        for _ in range(10):
            net.forward()
            net.backward()
        return 100 * (time.perf_counter() - start)

    figures = in_turns({name: functools.partial(steps, net) for name, net in nets.items()}, 7)
    caffe_pylayers.close()
    yield Row(
        "training step, 1 worker", f"{figures['ours']:.1f} ms", f"constant blob: {figures['constant']:.1f} ms",
        figures["ours"] / figures["constant"], "<= 1.05",
    )  # fmt: skip


def setup() -> Iterator[Row]:
    """From nothing to the first batch of 2000 photos."""
    _folder()

    def first() -> float:
        start = time.perf_counter()
        _net(_ours(prefetch=3, workers=2)).forward()
        seconds = time.perf_counter() - start
        caffe_pylayers.close()
        return seconds

    seconds = in_turns({"ours": first})["ours"]
    yield Row("set-up and first batch of 2000 photos", f"{seconds:.2f} s", "1 s", seconds, "<= 1")


def planning() -> Iterator[Row]:
    """Planning a batch of 64 triplets of 1,000,000 samples in 10,000 classes."""
    labels = np.random.default_rng(0).integers(0, 10000, 1_000_000)
    sampler = RandomTriplets(labels, BATCH, permuted=True, seed=0, stream=0)

    def plan(first: int) -> None:
        for number in range(first, first + 100):  # the mean: batches are planned several at a time
            sampler.batch(number)

    firsts = iter(range(0, 10_000_000, 100))
    taken = milliseconds(lambda: plan(next(firsts)), 10) / 100
    yield Row("planning 64 triplets of 1,000,000 samples, RANDOM", f"{taken:.3f} ms", "1 ms", taken, "<= 1")
