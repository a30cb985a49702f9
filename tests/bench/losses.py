"""Losses, forward and backward on one thread, each against its stock twin in C++."""

import tempfile
from typing import Iterator, Tuple

import caffe
import numpy as np

from tests.bench.rows import Row, in_turns, milliseconds

SHAPES = {(256, 10): 0.8, (256, 1000): 0.10, (128, 21, 64, 64): 0.5, (8, 21, 256, 256): 0.5}

NET = """
force_backward: true
layer {{ name: "scores"  type: "Input"  top: "scores"  input_param {{ shape {{ {scores} }} }} }}
layer {{ name: "label"  type: "Input"  top: "label"  input_param {{ shape {{ {label} }} }} }}
layer {{ name: "loss"  {loss}  bottom: "scores"  bottom: "label"  top: "loss"  loss_weight: 1
  propagate_down: true  propagate_down: false }}
"""
STOCK = 'type: "SoftmaxWithLoss"'
OURS = 'type: "Python"  python_param { module: "caffe_pylayers"  layer: "WeightedSoftmaxLoss" }'


def _net(loss: str, shape: Tuple[int, ...]) -> caffe.Net:
    def dims(sizes: Tuple[int, ...]) -> str:
        return " ".join(f"dim: {size}" for size in sizes)

    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(NET.format(loss=loss, scores=dims(shape), label=dims((shape[0], *shape[2:]))))
        file.flush()
        net = caffe.Net(file.name, caffe.TRAIN)
    rng = np.random.default_rng(0)
    net.blobs["scores"].data[...] = rng.normal(size=shape)
    net.blobs["label"].data[...] = rng.integers(0, shape[1], net.blobs["label"].data.shape)
    return net


def softmax() -> Iterator[Row]:
    """WeightedSoftmaxLoss without weights against SoftmaxWithLoss."""
    for shape, reach in SHAPES.items():

        def both(net: caffe.Net) -> float:
            def once() -> None:
                net.forward()
                net.backward()

            return milliseconds(once, 200 if net.blobs["scores"].count < 1e6 else 5)

        nets = {"ours": _net(OURS, shape), "stock": _net(STOCK, shape)}
        figures = in_turns({name: lambda net=net: both(net) for name, net in nets.items()})
        yield Row(
            f"WeightedSoftmaxLoss {'x'.join(map(str, shape))}", f"{figures['ours']:.3f} ms",
            f"C++: {figures['stock']:.3f} ms", figures["ours"] / figures["stock"], f"<= {reach}",
        )  # fmt: skip
