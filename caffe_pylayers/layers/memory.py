"""The last embeddings that a layer has seen, and their labels: in its blobs, so that they travel in Caffe's snapshots."""

import math
from typing import Any, Optional

import numpy as np

from caffe_pylayers.blob_limits import LARGEST_BLOB
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.frozen import FrozenCounter
from caffe_pylayers.losses.reduction import Array

_WORD = 1 << 24  # float32 holds every integer up to this
_PARAMS = "with memory the layer needs param { lr_mult: 0  decay_mult: 0 } three times"


class Memory:
    """A ring of embeddings in three blobs: (M, D), their labels (M,), and (8,).

    The third has a `FrozenCounter` of the forwards, how many embeddings have ever been pushed, and a sum of the bits of them all, by
    which a change by the solver is found. Caffe fills the blobs from a snapshot only after `setup`, so nothing may be pushed before the
    first forward. The first two are read and written where the layer computes, the third on the host.
    """

    def __init__(self, layer: Any, size: int, dimension: int) -> None:
        if size * dimension > LARGEST_BLOB:
            raise ConfigError(
                f"a memory of {size} embeddings of {dimension} numbers is more than the {LARGEST_BLOB} that a Caffe blob holds",
                remedy="lower 'memory', or the size of the embedding",
                layer=layer.name,
                option="memory",
            )
        self._layer = layer
        self._own: Optional[int] = None  # how many had come behind the last `push`
        for blob, shape in enumerate(((size, dimension), (size,))):
            layer.blobs.add_blob(*shape)
            layer.blobs[blob].data[...] = 0  # Caffe aborts at the first update on a parameter that nobody wrote
        self.forwards = FrozenCounter(layer, order=layer.name, extra=4, params=_PARAMS)

    @property
    def points(self) -> Array:
        """The embeddings that there are, in any order."""
        return self._data(0)[: self._filled]

    @property
    def labels(self) -> Array:
        """Their labels, float32."""
        return self._data(1)[: self._filled]

    def check_batch(self, x: Any) -> None:
        """Raises ConfigError, in `reshape`, for a batch that does not fit."""
        size, dimension = self._layer.blobs[0].shape
        num, numbers = x.shape[0], math.prod(tuple(x.shape)[1:])
        if num > size:
            raise ConfigError(
                f"the batch has {num} embeddings, but option 'memory' is {size}",
                remedy=f"set it to a multiple of {num}",
                layer=self._layer.name,
                option="memory",
            )
        if numbers != dimension:
            raise ConfigError(
                f"an embedding has {numbers} numbers now, but had {dimension} when the layer was set up",
                remedy="give it one size",
                layer=self._layer.name,
            )

    def push(self, points: Array, labels: Array) -> Array:
        """Put embeddings in, over the oldest; returns their places. Raises ConfigError where the solver has changed the memory."""
        xp, numbers = self._layer.xp, self.forwards.numbers
        pushed, size = self._pushed, self._layer.blobs[0].shape[0]
        if list(numbers[2:]) != list(self._sum(pushed)):
            raise ConfigError(
                "the solver has changed the blob with the layer's memory, or the snapshot is damaged",
                remedy=f"{_PARAMS} in the prototxt; if it has them, go on from an earlier snapshot",
                layer=self._layer.name,
                option="memory",
            )
        places = (xp.arange(len(points)) + pushed % size) % size
        self._data(0)[places], self._data(1)[places] = points, labels
        pushed += len(points)
        numbers[:] = *divmod(pushed, _WORD), *self._sum(pushed)
        self._own = pushed
        return places

    def check_own(self) -> None:
        """Raises ConfigError where what `push` left is no longer there, so that a gradient by it would be wrong."""
        if self._own not in (None, self._pushed):
            raise ConfigError(
                "another layer writes into its memory too",
                remedy="give the `param` entries of each layer no name, or one of its own",
                layer=self._layer.name,
                option="memory",
            )

    @property
    def _pushed(self) -> int:
        high, low = self.forwards.numbers[:2].tolist()
        return int(high) * _WORD + int(low)

    @property
    def _filled(self) -> int:
        return int(min(self._pushed, self._layer.blobs[0].shape[0]))

    def _data(self, blob: int) -> Array:
        return self._layer.data(self._layer.blobs[blob])

    def _sum(self, pushed: int) -> Any:
        """The sum of the bits of all embeddings and labels and of how many came, as two numbers that float32 holds."""
        total = pushed + sum(_sum_of_bits(self._data(blob)) for blob in (0, 1))
        return divmod(total % (_WORD**2 - 1), _WORD)  # not of a power of 2, which would leave out the highest bits


def _sum_of_bits(array: Array) -> int:
    """The sum of an array's float32 as integers, two by two where that goes."""
    words = array.reshape(-1).view(np.uint32 if array.size % 2 else np.uint64)
    return int(words.sum(dtype=np.uint64))
