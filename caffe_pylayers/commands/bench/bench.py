"""How fast data come, how fast the net takes them, and what to change.

In a notebook::

    figures = bench_net(read_net("train_val.prototxt"), NetState())
    print(advice(figures))  # of caffe_pylayers.commands.bench.advice
"""

from typing import Optional, Sequence

from caffe_pylayers.caffe_files.nets import TRAIN, Layer, Net, NetState
from caffe_pylayers.commands.bench.figures import Figures
from caffe_pylayers.commands.bench.measuring import Progress, measure
from caffe_pylayers.commands.bench.run import closing, run_layer, run_net


def bench_net(
    net: Net,
    state: NetState,
    name: Optional[str] = None,
    workers: Optional[Sequence[int]] = None,
    seconds: float = 5.0,
    progress: Progress = lambda what: None,
    gpu: Optional[int] = None,
) -> Figures:
    """Measure a data layer of a net (by default its first of this package), and the net behind it.

    workers: counts of worker processes, 0 for none; by default up to the number of cores, as far as memory allows. seconds: about so long for
    each. gpu: the number of the GPU that the net runs on; none: the CPU. Raises ConfigError or DataError where the net
    or its data cannot be used.
    """
    run, layer = run_net(net, state, name, gpu)
    with closing(run):
        return measure(run, layer.name, kind(layer), workers, seconds, progress)


def bench_layer(
    layer: Layer,
    phase: str = TRAIN,
    workers: Optional[Sequence[int]] = None,
    seconds: float = 5.0,
    progress: Progress = lambda what: None,
) -> Figures:
    """Measure a data layer by itself. Arguments and errors as those of `bench_net`."""
    run = run_layer(layer, phase)
    with closing(run):
        return measure(run, layer.name, kind(layer), workers, seconds, progress)


def kind(layer: Layer) -> str:
    """What a layer is: its type, or the class of a Python layer."""
    return layer.python[1] if layer.type == "Python" else layer.type
