"""Feeding: how fast batches come, how long the net waits, what a training step costs."""

import functools
import multiprocessing
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
layer { name: "pool"  type: "Pooling"  bottom: "data"  top: "pool"
  pooling_param { pool: AVE  kernel_size: 4  stride: 4 } }
layer { name: "conv"  type: "Convolution"  bottom: "pool"  top: "conv"
  convolution_param { num_output: 8  kernel_size: 5  stride: 2  weight_filler { type: "xavier" } } }
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


def _decode_only(number: int, num_images: int, barrier: "multiprocessing.synchronize.Barrier") -> None:
    """The limit: nothing but decode, resize, split and subtract the mean."""
    keep_freed_memory()
    cv2.setNumThreads(0)
    files = [str(_folder() / f"{(number + 2 * index) % 2000}.jpg") for index in range(num_images)]
    resized = np.empty((SIZE, SIZE, 3), np.uint8)
    out = np.empty((BATCH, 3, SIZE, SIZE), np.float32)
    barrier.wait()
    for index, file in enumerate(files):
        image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
        cv2.resize(image, (SIZE, SIZE), dst=resized)
        for plane, mean, place in zip(cv2.split(resized), MEAN, out[index % BATCH]):
            np.subtract(plane, np.float32(mean), out=place)
    barrier.wait()


def feeding() -> Iterator[Row]:
    """Images a second with nothing else running: two workers against two bare decoding processes and stock."""
    num_batches = 20

    def limit() -> float:
        context = multiprocessing.get_context("fork")
        barrier = context.Barrier(3)
        num_images = num_batches * BATCH // 2
        processes = [context.Process(target=_decode_only, args=(number, num_images, barrier)) for number in range(2)]
        for process in processes:
            process.start()
        barrier.wait()
        start = time.perf_counter()
        barrier.wait()
        seconds = time.perf_counter() - start
        for process in processes:
            process.join()
        return 2 * num_images / seconds

    def feed(net: caffe.Net, batches: int) -> float:
        # A pass to fill what is made ahead and another to drain it would flatter: it is on for `batches` in a row.
        for _ in range(6):
            net.forward()
        start = time.perf_counter()
        for _ in range(batches):
            net.forward()
        return batches * BATCH / (time.perf_counter() - start)

    def ours() -> float:
        rate = feed(_net(_ours(prefetch=4, workers=2)), num_batches)
        caffe_pylayers.close()
        return rate

    # Stock reads ahead until its queue is full, also between the turns: it is made anew and used up at once.
    figures = in_turns({"limit": limit, "ours": ours, "stock": lambda: feed(_net(_stock()), num_batches // 2)})
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

    def forward() -> float:
        time.sleep(0.3)  # workers fill all slots meanwhile
        start = time.perf_counter()
        net.forward()
        return 1000 * (time.perf_counter() - start)

    figures = in_turns({"ours": forward, "memcpy": lambda: milliseconds(lambda: np.copyto(target, source), 3)}, 15)
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
    numbers = iter(range(10_000_000))
    taken = milliseconds(lambda: sampler.batch(next(numbers)), 300)
    yield Row("planning 64 triplets of 1,000,000 samples, RANDOM", f"{taken:.2f} ms", "1 ms", taken, "<= 1")
