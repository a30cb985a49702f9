"""An integer, and others that go with it, that travel in Caffe's snapshots.

A Python layer may own parameter blobs; with ``param { lr_mult: 0 decay_mult: 0 }`` the solver leaves them alone
and stores them in every snapshot. That is how a layer's position survives ``caffe train --snapshot``.
"""

import hashlib
from typing import Any, Optional, Tuple, Union

import caffe
import numpy as np

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.adapter import log

_BASE = 1 << 24  # float32 holds every integer up to this
_HEAD = 4
PARAM_OF_POSITION = "with resume: true the layer needs param { lr_mult: 0  decay_mult: 0 }"
_LEAST = np.array([-_BASE, 0, 0, 0])  # with `contents` the first word is below 0


class FrozenCounter:
    """Counts in a blob of four floats: count (high, low) in base 2**24 and a 48-bit hash of `order`; or, with
    `contents`, -1 - high, low, the first half of that hash, and `contents`.

    layer: the layer, in its `setup`. Caffe fills the blob from a snapshot only after that, so nothing may be drawn
    before the first forward.
    order: the text of whatever gives the count its meaning; a count that was written under another order is
    told by `foreign`.
    contents: a checksum of 24 bits of the data that are counted, or None; that there were others is told by `changed`.
    Older snapshots have none.
    extra: how many numbers the blob holds behind these, for the layer to keep (`numbers`).
    params: what the layer needs, and with which option, in words.
    """

    def __init__(
        self, layer: Any, order: str, extra: int = 0, contents: Optional[int] = None, params: str = PARAM_OF_POSITION
    ) -> None:
        digest = hashlib.sha256(order.encode()).digest()
        self._hash = (int.from_bytes(digest[:3], "big"), int.from_bytes(digest[3:6], "big"))
        self._contents = contents
        layer.blobs.add_blob(_HEAD + extra)
        self._blob = layer.blobs[len(layer.blobs) - 1]
        self._layer, self._params = layer.name, params
        self._what = layer.options.keeps().what
        self._blob.data[...] = 0  # Caffe aborts at the first update on a parameter that nobody wrote
        self.write(0)

    def read(self) -> int:
        """The count, from 0 to 2**48-1. Raises ConfigError where the solver or damage has changed it."""
        high, low = self._words()[:2]
        return (high if high >= 0 else -1 - high) * _BASE + low

    def write(self, count: int) -> None:
        high, low = divmod(count, _BASE)
        if self._contents is None:
            self._blob.data[:_HEAD] = high, low, *self._hash
        else:
            self._blob.data[:_HEAD] = -1 - high, low, self._hash[0], self._contents

    @property
    def numbers(self) -> np.ndarray:
        """The layer's numbers, at least 0, and 0 at first: float32 (extra,), to be changed in place."""
        numbers: np.ndarray = self._blob.data[_HEAD:]
        if not ((numbers >= 0) & (numbers < np.inf)).all():
            raise self._spoilt()
        return numbers

    @property
    def foreign(self) -> bool:
        """Whether the count was written by a layer of another order."""
        high, _, *marks = self._words()
        return marks[0] != self._hash[0] or (high >= 0 and marks[1] != self._hash[1])

    @property
    def changed(self) -> bool:
        """Whether the count was written with other contents, where both are known."""
        high, _, _, contents = self._words()
        return high < 0 and self._contents is not None and contents != self._contents

    def _words(self) -> Tuple[int, ...]:
        words = self._blob.data[:_HEAD]
        if not ((words >= _LEAST) & (words < _BASE) & (words == np.floor(words))).all():
            raise self._spoilt()
        return tuple(words.astype(np.int64).tolist())

    def _spoilt(self) -> ConfigError:
        return ConfigError(
            f"the solver has changed the blob with the layer's {self._what}, or the snapshot is damaged",
            remedy=f"{self._params} in the prototxt; if it has this param, go on from an earlier snapshot",
            layer=self._layer,
        )


class Counter:
    """A count, and `extra` numbers with it, that begin at 0 whenever the net is made."""

    def __init__(self, extra: int = 0) -> None:
        self._count = 0
        self.numbers = np.zeros(extra, np.float32)

    def read(self) -> int:
        return self._count

    def write(self, count: int) -> None:
        self._count = count


def draw_key(options: Any, forwards: int) -> Tuple[int, ...]:
    """The key of what a layer draws after `forwards` forward passes: (seed, stream, rank, iteration, forward within it).

    The forwards of one iteration see different samples, and get different draws.
    """
    return (options.seed, options.stream, caffe.solver_rank(), *divmod(forwards, options.iter_size))


def warn_of_repeated(layer: Any, what: str) -> None:
    """Say, in TRAIN without `resume`, that a restored run will draw the same again."""
    if layer.training and not layer.options.resume:
        log.warning(
            f"{layer.name}: a run restored from a snapshot will repeat the {what} from the first iteration on; with "
            f"'resume': True it continues"
        )


def counter(layer: Any, order: str, extra: int = 0) -> Union[FrozenCounter, Counter]:
    """A count for the layer, in its `setup`: one that a restored run goes on with if its option `resume` says so."""
    return FrozenCounter(layer, order, extra) if layer.options.resume else Counter(extra)
