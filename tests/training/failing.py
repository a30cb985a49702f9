"""A layer with faults, by its param_str: one that fails at set-up or later, one whose loss is infinite, one that is slow or hangs.

With a number it is well itself, but from its second pass on no file of this process can be longer than that.
"""

import resource
import time

import caffe


class Failing(caffe.Layer):
    def setup(self, bottom, top):
        top[0].reshape(1)
        self.count = 0
        if self.param_str == "set-up":
            raise KeyError("a mistake at set-up")

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        self.count += 1
        fails = self.param_str == "later" or self.param_str == f"later on rank {caffe.solver_rank()}"
        if fails and self.count == 4:
            raise KeyError("a mistake of its author")
        if self.param_str.isdigit() and self.count == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(self.param_str), resource.RLIM_INFINITY))
        while self.param_str == "hangs":
            print("it hangs", flush=True)
            time.sleep(1000)
        if self.param_str == "slow":
            time.sleep(0.1)
        top[0].data[...] = float("inf") if self.param_str == "infinite" and self.count == 3 else 0

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 0


class NeverMade(Failing):
    """Of an error here Caffe leaves a SystemError that names nothing."""

    def __init__(self, *arguments):
        raise KeyError("a mistake of its maker")


def slow_image(image, rng):
    """A transform that keeps the net waiting."""
    time.sleep(0.02)
    return image


def layer(fault: str) -> str:
    """Its prototxt."""
    return (
        'layer { name: "failing"  type: "Python"  bottom: "conv"  top: "failing"  loss_weight: 1  include { phase: TRAIN }'
        f'  python_param {{ module: "failing"  layer: "Failing"  param_str: "{fault}" }} }}'
    )
