"""A whole number that travels in Caffe's snapshots.

A Python layer may own parameter blobs; with ``param { lr_mult: 0 decay_mult: 0 }`` the solver leaves them alone
and stores them in every snapshot. That is how a layer's position survives ``caffe train --snapshot``.
"""

import hashlib
from typing import Any, Tuple

import numpy as np

from caffe_pylayers.errors import ConfigError

_BASE = 1 << 24  # float32 holds every whole number up to this


class FrozenCounter:
    """Counts in a blob of four floats: count (high, low) in base 2**24 and a 48-bit hash of `order`.

    layer: the layer, in its `setup`. Caffe fills the blob from a snapshot only after that, so nothing may be drawn
    before the first forward.
    order: the text of whatever gives the count its meaning; a count that was written under another order is
    told by `foreign`.
    """

    def __init__(self, layer: Any, order: str) -> None:
        digest = hashlib.sha256(order.encode()).digest()
        self._hash = (int.from_bytes(digest[:3], "big"), int.from_bytes(digest[3:6], "big"))
        layer.blobs.add_blob(4)
        self._blob = layer.blobs[len(layer.blobs) - 1]
        self._layer = layer.name
        self.write(0)  # Caffe aborts at the first update on a parameter that nobody wrote

    def read(self) -> int:
        """The count, from 0 to 2**48-1. Raises ConfigError where the solver has changed it."""
        high, low = self._words()[:2]
        return high * _BASE + low

    def write(self, count: int) -> None:
        self._blob.data[...] = (*divmod(count, _BASE), *self._hash)

    @property
    def foreign(self) -> bool:
        """Whether the count was written by a layer of another order."""
        return self._words()[2:] != self._hash

    def _words(self) -> Tuple[int, ...]:
        words = self._blob.data
        if not (words == np.floor(words)).all():
            raise ConfigError(
                f"{self._layer}: the solver has changed the blob with the layer's position; with resume: true the layer "
                f"needs param {{ lr_mult: 0  decay_mult: 0 }} in the prototxt"
            )
        return tuple(words.astype(np.int64).tolist())
