"""Batch number -> records: pure functions of (seed, number), planned in the parent from compact arrays.

The stream is the orders of all epochs one after the other. Batch b is the positions bB .. bB+B-1 of it, so that
batches run over the end of an epoch, none is short, and every anchor comes once an epoch.
"""

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.recipe import Batch
from caffe_pylayers.errors import DataError

# What a draw is for, the last part of its key. Image 0, 1, 2 of a sample are keyed by those numbers; then positive,
# class of the negative, negative.
_OF_A_TRIPLET = np.arange(3, 6)[:, None]

#: Batches that are planned together: numpy's calls cost the same for sixteen, and the net waits for them.
_AT_ONCE = 16


class Images:
    """Plain samples: every record once an epoch, in the order of the source or permuted anew each epoch."""

    arity = 1

    def __init__(self, anchors: np.ndarray, batch_size: int, *, permuted: bool, seed: int, stream: int) -> None:
        self.anchors = anchors
        self.batch_size = batch_size
        self._permuted = permuted
        self._seed = seed, stream
        self._order = -1, anchors  # the epoch last asked for, and its order
        self._planned = -1, Batch(anchors, anchors)  # the first of the batches last planned, and all of them

    def batch(self, number: int) -> Batch:
        """Batch `number` of the whole stream, 0 and up."""
        first = number - number % _AT_ONCE
        if self._planned[0] != first:
            self._planned = first, self._plan(first)
        start = (number - first) * self.batch_size
        part = slice(start, start + self.batch_size)
        return Batch(self._planned[1].records[:, part], self._planned[1].keys[:, part])

    def _plan(self, first: int) -> Batch:
        """The batches from `first` on, one after the other in one."""
        size = len(self.anchors)
        # Python's integers first: first * batch_size may pass 2**63 in a long enough run.
        epoch, place = divmod(first * self.batch_size, size)
        places = place + np.arange(_AT_ONCE * self.batch_size)
        epochs = epoch + places // size
        places %= size
        keys = keyed.bits(*self._seed, epochs, places)
        records = self._draw(self._in_order(epochs, places), keys)
        return Batch(records, keyed.bits(keys, np.arange(self.arity)[:, None]))

    def _in_order(self, epochs: np.ndarray, places: np.ndarray) -> np.ndarray:
        if not self._permuted:
            return self.anchors[places]
        anchors = np.empty(len(places), np.int64)
        for epoch in range(epochs[0], epochs[-1] + 1):
            if self._order[0] != epoch:
                self._order = epoch, self.anchors[keyed.permutation(len(self.anchors), *self._seed, epoch)]
            here = epochs == epoch
            anchors[here] = self._order[1][places[here]]
        return anchors

    def _draw(self, anchors: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Records (arity, B) for the anchors (B,), drawn by the key (B,) of each."""
        return anchors[None]


class RandomTriplets(Images):
    """RANDOM: a positive uniform over the other samples of the anchor's class; a negative uniform over the other
    classes, then over the samples of that class. A row of several labels is one class.

    labels: int64 (N,) or (N, L). An epoch is one pass over the anchors that have a positive (`left_out` counts the
    others). Raises DataError where there is no triplet at all.
    """

    arity = 3

    def __init__(self, labels: np.ndarray, batch_size: int, *, permuted: bool, seed: int, stream: int) -> None:
        _, class_of, counts = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
        self._class_of = class_of.reshape(-1).astype(np.int32)
        self._counts = counts
        self._members = np.argsort(self._class_of, kind="stable").astype(np.int32)  # grouped by class
        self._starts = np.cumsum(counts) - counts
        self._rank = np.empty(len(labels), np.int32)  # place of a record within its class
        self._rank[self._members] = np.arange(len(labels)) - np.repeat(self._starts, counts)
        anchors = np.flatnonzero(counts[self._class_of] > 1)
        self.left_out = len(labels) - len(anchors)
        if len(counts) < 2 or len(anchors) == 0:
            raise DataError(
                f"no triplet can be made of {len(labels)} records in {len(counts)} class{'es' * (len(counts) != 1)}: it "
                f"takes two records of one class and a record of another"
            )
        super().__init__(anchors, batch_size, permuted=permuted, seed=seed, stream=stream)

    def _draw(self, anchors: np.ndarray, keys: np.ndarray) -> np.ndarray:
        draws = keyed.uniform(keys, _OF_A_TRIPLET)
        own = self._class_of[anchors]
        # One of the n-1 others: draw from n-1 places and step over the anchor's; the same for the other classes.
        positive = (draws[0] * (self._counts[own] - 1)).astype(np.int64)
        positive += positive >= self._rank[anchors]
        other = (draws[1] * (len(self._counts) - 1)).astype(np.int64)
        other += other >= own
        negative = (draws[2] * self._counts[other]).astype(np.int64)
        return np.stack(
            [anchors, self._members[self._starts[own] + positive], self._members[self._starts[other] + negative]]
        )
