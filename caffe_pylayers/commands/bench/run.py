"""A net that is run a part at a time: its data layer, what lies behind it, or all of it."""

import contextlib
import time
from typing import Any, Iterator, List, Optional, Tuple

from caffe_pylayers.caffe_files.nets import Layer, Net, NetState, data_layers
from caffe_pylayers.commands import layer_net
from caffe_pylayers.commands.whole_net import whole_net


class Run:
    """A net, and one of its data layers.

    layer: the object of a data layer of this package, or None for another's. setup: seconds that making the net took.
    """

    def __init__(self, net: Any, data: Layer, others: List[str], setup: float) -> None:
        self.setup = setup
        names = list(net._layer_names)
        self._net, self._place = net, names.index(data.name)
        held = {self._place, *(names.index(name) for name in others)}
        self._behind = _runs([place for place in range(len(names)) if place not in held])
        self._last = len(names) - 1
        #: Whether there is something behind the data to be trained.
        self.has_net = any(net.layers[place].type not in _NO_WORK for run in self._behind for place in range(*run))
        self.tops = [net.blobs[name] for name in net.top_names[data.name]]
        found = net.layers[self._place]
        self.layer: Optional[Any] = found if hasattr(found, "recipe") else None

    def data(self) -> float:
        """One batch of the data layer; the seconds it took."""
        started = time.perf_counter()
        self._net._forward(self._place, self._place)
        return time.perf_counter() - started

    def behind(self) -> float:
        """Forward and backward of all but the data layers, on the batch that is there; the seconds it took."""
        started = time.perf_counter()
        for first, end in self._behind:
            self._net._forward(first, end - 1)
        self._backward()
        return time.perf_counter() - started

    def step(self) -> Tuple[float, float]:
        """Forward and backward of all; the seconds it took, and those in which the net waited for this data layer."""
        started = time.perf_counter()
        if self._place:
            self._net._forward(0, self._place - 1)
        waited = self.data()
        if self._place < self._last:
            self._net._forward(self._place + 1, self._last)
        self._backward()
        return time.perf_counter() - started, waited

    def _backward(self) -> None:
        self._net._backward(self._last, 0)
        for blobs in list(self._net.params.values())[:1]:  # a GPU works on while nobody looks
            float(blobs[0].diff.flat[0])


#: Layers that a net of nothing but data has too.
_NO_WORK = ("Split", "Silence", "Input", "DummyData")


def _runs(places: List[int]) -> List[Tuple[int, int]]:
    """Neighbours as (first, end).

    >>> _runs([1, 2, 5])
    [(1, 3), (5, 6)]
    """
    runs: List[Tuple[int, int]] = []
    for place in places:
        if runs and runs[-1][1] == place:
            runs[-1] = runs[-1][0], place + 1
        else:
            runs.append((place, place + 1))
    return runs


def run_layer(layer: Layer, phase: str) -> Run:
    """A net of nothing but a data layer. Raises ConfigError or DataError as it does."""
    begun = time.perf_counter()
    return Run(layer_net.net_of_layer(layer, phase), layer, [], time.perf_counter() - begun)


def run_net(net: Net, state: NetState, name: Optional[str], gpu: Optional[int] = None) -> Tuple[Run, Layer]:
    """A whole net, and the data layer of that name; by default its first, of this package if it has one.

    Raises ConfigError or DataError as its layers do, and where Caffe itself would end the process.
    """
    layers = data_layers(net, state)
    chosen = data_layers(net, state, name)
    data = next((layer for layer in chosen if layer.own), chosen[0])
    built, setup = whole_net(net, state, gpu, backward=True)
    return Run(built, data, [layer.name for layer in layers], setup), data


@contextlib.contextmanager
def closing(run: Run) -> Iterator[Run]:
    """End the workers of its data layer behind it."""
    try:
        yield run
    finally:
        if run.layer is not None:
            run.layer.close()
