"""What a solver's nets give in their forward passes, read by callbacks behind the last layer of each.

Nothing of the computation changes, so neither do the weights. Caffe writes the same numbers to its log, rounded, and
pycaffe gives them to nobody.
"""

import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.errors import DataError

#: Outputs of more numbers are left out: labels that no layer takes, say, of which there are as many as samples.
_MAX_NUMBERS = 32


class StoppedInTest(Exception):
    """A test pass has been ended before its last batch; the solver can go on with the test again."""


class Outputs:
    """The output blobs of a net as numbers with names: `PHASE BLOB`, and `PHASE BLOB[0]`, .. where it holds several.

    Where a layer of ours says what they are, they have its names: `PHASE BLOB[active]`, ..
    """

    def __init__(self, net: Any, phase: str) -> None:
        found = {name: net.blobs[name] for name in net.outputs}
        self._blobs = {name: blob for name, blob in found.items() if blob.count <= _MAX_NUMBERS}
        self.names: List[str] = []
        for name, blob in self._blobs.items():
            several = [f"{phase} {name}[{part}]" for part in _parts(net, name) or range(blob.count)]
            self.names += several if blob.count > 1 else [f"{phase} {name}"]

    def read(self) -> np.ndarray:
        """The numbers, float32, in the order of `names`."""
        return np.array([number for blob in self._blobs.values() for number in blob.data.flat], np.float32)


def _parts(net: Any, blob: str) -> Sequence[str]:
    """What the layer that gives a blob calls its numbers; none where it has no names for them."""
    for name, layer in zip(net._layer_names, net.layers):
        tops = list(net.top_names[name])
        if blob in tops and hasattr(layer, "gives"):
            parts: Sequence[str] = layer.options.parts(layer.gives[tops.index(blob)])
            return parts
    return ()


def is_entry(name: str) -> bool:
    """Whether an output is one of many alike, with a number for a name.

    >>> is_entry("test per_class[3]"), is_entry("test stats[norm]"), is_entry("test loss")
    (True, False, False)
    """
    return name.endswith("]") and name.rpartition("[")[2][:-1].isdigit()


def is_part(name: str) -> bool:
    """Whether an output is one of the numbers that a layer has names for."""
    return name.endswith("]") and not is_entry(name)


class TrainPasses:
    """Those of the train net in one iteration: their mean loss and outputs, and when they began."""

    def __init__(self, solver: Any, iter_size: int) -> None:
        net = solver.net
        self._iter_size = iter_size
        self._last = len(net.layers) - 1
        self._losses = [
            (np.float32(weight), net.blobs[name]) for name, weight in net.blob_loss_weights.items() if weight
        ]
        outputs = Outputs(net, "train")
        self._outputs: Optional[Outputs] = None if len(self._losses) == 1 == len(outputs.names) else outputs
        self._waits = [layer for _, layer in data_layers(net)]
        self._sum = np.float32(0)
        self._caches = [layer for layer in self._waits if layer.recipe.cache is not None]
        self.began, self._waited, self._cached = 0.0, 0.0, 0
        self._start()
        solver.add_callback(self._start, lambda: None)
        net.after_forward(self._after)

    @property
    def names(self) -> List[str]:
        """Of the outputs; none where the only one is the loss."""
        return self._outputs.names if self._outputs else []

    @property
    def loss(self) -> float:
        """The mean over iter_size passes, each the sum of all losses times their weights."""
        return float(self._sum / np.float32(self._iter_size))

    def outputs(self) -> Dict[str, float]:
        """Those of the last pass, as Caffe shows them."""
        return dict(zip(self.names, self._outputs.read().tolist())) if self._outputs else {}

    def waited(self) -> Optional[float]:
        """Seconds since `began` that the net waited for its data; None where no data layer of ours says it."""
        return sum(layer.waiting for layer in self._waits) - self._waited if self._waits else None

    def cached(self) -> Optional[float]:
        """The share of the images since `began` that came from a cache; None where no data layer has one."""
        images = self._iter_size * sum(layer.images_a_batch // layer.recipe.copies for layer in self._caches)
        return (sum(layer.cached for layer in self._caches) - self._cached) / images if self._caches else None

    def _start(self) -> None:
        self._sum = np.float32(0)
        self._cached = sum(layer.cached for layer in self._caches)
        self._waited = sum(layer.waiting for layer in self._waits)
        self.began = time.perf_counter()

    def _after(self, layer: int) -> None:
        if layer == self._last:
            for weight, blob in self._losses:
                self._sum += weight * blob.data.sum()


class TestPasses:
    """Those of one test net: their mean outputs, once all test_iter of them are done."""

    def __init__(self, net: Any, phase: str, test_iter: int) -> None:
        self._last = len(net.layers) - 1
        self._test_iter = test_iter
        self._outputs = Outputs(net, phase)
        self._done = 0
        self._sums = np.zeros(len(self._outputs.names), np.float32)
        self._means: Dict[str, float] = {}
        self.stop = False
        net.after_forward(self._after)

    @property
    def names(self) -> List[str]:
        return self._outputs.names

    def take(self) -> Dict[str, float]:
        """The outputs of the test that has ended since this was asked last; empty if there was none."""
        means, self._means = self._means, {}
        return means

    def _after(self, layer: int) -> None:
        if layer != self._last:
            return
        if self.stop:
            self._done = 0
            raise StoppedInTest
        numbers = self._outputs.read()
        self._sums = self._sums + numbers if self._done else numbers
        self._done += 1
        if self._done == self._test_iter:
            self._means = dict(zip(self.names, (self._sums / np.float32(self._test_iter)).tolist()))
            self._done = 0


def data_layers(net: Any) -> List[Tuple[str, Any]]:
    """The data layers of this package in a net, each with its name, which may be empty."""
    return [(name, layer) for name, layer in zip(net._layer_names, net.layers) if hasattr(layer, "images_a_batch")]


def images_per_iteration(net: Any, iter_size: int) -> int:
    """How many images a train net reads in an iteration: those of the layer without bottoms with the largest top.

    Raises DataError where it has none.
    """
    blobs = list(net.blobs.values())
    # By number, since layers may share a name, or have none.
    sources = [i for i in range(len(net.layers)) if not len(net._bottom_ids(i)) and len(net._top_ids(i))]
    if not sources:
        raise DataError("the train net has no layer that reads data")
    tops = {i: blobs[net._top_ids(i)[0]] for i in sources}
    largest = max(sources, key=lambda i: (tops[i].count, i))
    if hasattr(net.layers[largest], "images_a_batch"):
        return int(net.layers[largest].images_a_batch) * iter_size
    return int(tops[largest].shape[0]) * iter_size if len(tops[largest].shape) else iter_size
