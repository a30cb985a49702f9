"""A sampler of the user's own: option `sampler: 'module:Class'`.

    class InOrder:
        def __init__(self, labels, options):     # labels: int array (N,) or (N, L), read-only, or None
            self.num_records, self.batch_size = len(labels), options.batch_size

        def batch(self, number):                 # integers (batch_size, arity): records of the source
            return (number * self.batch_size + np.arange(self.batch_size))[:, None] % self.num_records

`batch` is to be a pure function of the number: that is what resuming and sharing the stream among ranks rest on.
"""

from typing import Any, Sequence

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.plugin import blamed, load_plugin
from caffe_pylayers.data.recipe import Batch
from caffe_pylayers.data.samplers.base import Sampler
from caffe_pylayers.data.samplers.lists import same_label
from caffe_pylayers.data.sources import Source
from caffe_pylayers.errors import DataError


class Custom:
    """Batches of `arity` records a sample as class `options.sampler` has them, for pairs with sim by the labels.

    An epoch counts as many positions as there are records. Raises ConfigError where there is no such class, DataError
    for a batch that is not of integers below the number of records, of shape (batch_size, arity).
    """

    left_out = rejected = 0
    left_out_because = ""
    listed = Sampler.listed

    def __init__(self, source: Source, options: Any, arity: int) -> None:
        self.arity = arity
        self.epoch_size = len(source)
        self._source = source
        self._name: str = options.sampler
        self._shape = (options.batch_size, arity)
        self._seed = (options.seed, options.stream)
        labels = source.labels
        if labels is not None:
            labels = labels.copy()
            labels.flags.writeable = False
        made = load_plugin("sampler", self._name)
        with blamed("sampler", self._name):
            self._sampler = made(labels, options)

    def batch(self, number: int) -> Batch:
        """Batch `number` of the whole stream, 0 and up."""
        with blamed("sampler", self._name):
            found = np.asarray(self._sampler.batch(number))
        size = len(self._source)
        where = f"{self._name}: batch {number}"
        if found.shape != self._shape or found.dtype.kind not in "iu":
            raise DataError(
                f"{where} is {found.dtype} of shape {found.shape}",
                remedy=f"expected integers of shape {self._shape} (batch_size, images per sample)",
            )
        outside = found[(found < 0) | (found >= size)]
        if len(outside):
            raise DataError(
                f"{where} has record {outside[0]}", remedy=f"the records of {self._source.path} are 0 to {size - 1}"
            )
        records = np.ascontiguousarray(found.T, np.int64)
        keys = keyed.bits(*self._seed, number, np.arange(len(found)))
        sims = same_label(self._source, records, f"{self._name} gives only records") if self.arity == 2 else None
        return Batch(records, keyed.bits(keys, np.arange(self.arity)[:, None]), sims)

    def reject(self, records: Sequence[int]) -> int:
        """Nothing can stand in for a record of a batch that somebody else made. Raises DataError."""
        raise DataError(
            f"{self._source.describe(min(records))} cannot be read, and {self._name} has no replacement for it",
            remedy="fix the source, or leave the record out of the batches",
        )
