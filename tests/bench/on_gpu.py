"""On a GPU: losses with CuPy against Caffe's own CUDA layers and against our host path; data that feed a net there.

    python -m tests.bench gpu gpu_feeding

The scores come from a layer of the GPU and the gradients go to it, as in training, so what a path copies is in its time.
"""

import tempfile
from pathlib import Path
from typing import Any, Callable, Iterator, Optional, Sequence, Tuple

import lmdb
import numpy as np
from caffe.proto import caffe_pb2

from caffe_pylayers.caffe_files.nets import NetState, read_net
from caffe_pylayers.commands.bench.bench import bench_net
from caffe_pylayers.layers import device
from caffe_pylayers.processes.gpu import use_gpu
from tests.bench.losses import CONTESTS, net_of, ours_in, stock_in
from tests.bench.rows import Row, in_turns, milliseconds

SHAPES = ((256, 1000), (8, 21, 256, 256))
_POWER = 'type: "Power"  power_param { scale: 1.0001 }'


def losses() -> Iterator[Row]:
    """Each loss at two shapes: against Caffe's CUDA layer where it has one, and against ours in host memory."""
    use_gpu(0)
    if device.current() is device.HOST:
        raise SystemExit("CuPy is not there: CAFFE_GPU=1 make setup installs it")
    yield from compared(device.current())


def compared(fast: Any, shapes: Sequence[Tuple[int, ...]] = SHAPES, repeats: int = 20) -> Iterator[Row]:
    """Each loss where Caffe computes, by `fast`, against the others."""
    for contest in CONTESTS:
        for shape in filter(contest.shapes.__contains__, shapes):
            inputs = contest.inputs(np.random.default_rng(0), shape)
            ours = net_of(*ours_in(contest, shape, inputs, {}), contest.differentiable, _POWER)
            actions = {"ours": _in(fast, ours), "host": _in(device.HOST, ours)}
            if contest.twin:
                actions["CUDA"] = net_of(*stock_in(contest, inputs), contest.differentiable, _POWER)
            found = in_turns(
                {name: lambda action=action: milliseconds(action, repeats) for name, action in actions.items()}, 3
            )
            what = contest.name(shape)
            if "CUDA" in found:
                yield Row(
                    what,
                    f"{found['ours']:.3f} ms",
                    f"{found['CUDA']:.3f} ms, Caffe's CUDA layer",
                    found["ours"] / found["CUDA"],
                    "<= 2",
                )
            yield Row(
                f"{what}, host path",
                f"{found['ours']:.3f} ms",
                f"{found['host']:.2f} ms",
                found["ours"] / found["host"],
                "<= 0.2",
            )


def _in(where: Any, action: Callable[[], object]) -> Callable[[], object]:
    """The action, with all layers computing there."""

    def run() -> None:
        before = device.current
        device.current = lambda: where  # type: ignore[assignment]
        try:
            action()
        finally:
            device.current = before  # type: ignore[assignment]

    return run


NET = """
layer { name: "train_data"  type: "Python"  top: "data"  top: "label"  python_param { module: "caffe_pylayers"  layer: "ImageDataLayer"
  param_str: "{'source': 'SOURCE', 'source_type': 'LMDB', 'batch_size': 64, 'crop_size': 227, 'mirror': True, 'shuffle': True, 'scale': 0.01, 'prefetch': True}" } }
layer { name: "conv1"  type: "Convolution"  bottom: "data"  top: "conv1"  convolution_param { num_output: 64  kernel_size: 11  stride: 4  weight_filler { type: "xavier" } } }
layer { name: "relu1"  type: "ReLU"  bottom: "conv1"  top: "conv1" }
layer { name: "conv2"  type: "Convolution"  bottom: "conv1"  top: "conv2"  convolution_param { num_output: 128  kernel_size: 5  stride: 4  weight_filler { type: "xavier" } } }
layer { name: "relu2"  type: "ReLU"  bottom: "conv2"  top: "conv2" }
layer { name: "scores"  type: "InnerProduct"  bottom: "conv2"  top: "scores"  inner_product_param { num_output: 100  weight_filler { type: "xavier" } } }
layer { name: "loss"  type: "Python"  bottom: "scores"  bottom: "label"  top: "loss"  loss_weight: 1
  python_param { module: "caffe_pylayers"  layer: "WeightedSoftmaxLoss" } }
"""


def feeding(
    gpu: Optional[int] = 0, images: int = 3000, seconds: float = 4.0, workers: Optional[Sequence[int]] = None
) -> Iterator[Row]:
    """A net that is small for its images, fed with raw pixels of an LMDB by more and more workers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = np.random.default_rng(0)
        with lmdb.open(str(folder / "data"), map_size=1 << 32) as environment, environment.begin(
            write=True
        ) as transaction:
            for number in range(images):
                pixels = rng.integers(0, 256, 3 * 256 * 256, np.uint8).tobytes()
                datum = caffe_pb2.Datum(channels=3, height=256, width=256, data=pixels, label=number % 100)
                transaction.put(b"%06d" % number, datum.SerializeToString())
        (folder / "net.prototxt").write_text(NET.replace("SOURCE", str(folder / "data")))
        found = bench_net(read_net(str(folder / "net.prototxt")), NetState(), workers=workers, seconds=seconds, gpu=gpu)
    yield Row("the net alone", f"{found.net:.1f} ms", f"a batch of {found.batch_size}", float("nan"))
    for each in found.feeding:
        whole = each.step or float("nan")
        yield Row(
            f"fed by {each.workers} workers: {found.batch_size / whole * 1e3:.0f} images/s",
            f"{whole:.1f} ms, of them {each.waiting or 0:.1f} waiting",
            f"{found.net:.1f} ms on a constant batch",
            whole / (found.net or float("nan")),
        )
