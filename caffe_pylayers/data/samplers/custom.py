"""A sampler of the user's own: option `sampler: 'module:Class'`.

    class InOrder:
        def __init__(self, labels, options):     # labels: int array (N,) or (N, L), read-only, or None
            self.num_records, self.batch_size = len(labels), options.batch_size

        def batch(self, number):                 # integers (batch_size, arity): records of the source
            return (number * self.batch_size + np.arange(self.batch_size))[:, None] % self.num_records

`batch` is to be a pure function of the number: that is what resuming and sharing the stream among ranks rest on.
"""

import importlib
import os
import sys
from typing import Any, Sequence

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.recipe import Batch
from caffe_pylayers.data.samplers.lists import same_label
from caffe_pylayers.data.sources import Source
from caffe_pylayers.errors import ConfigError, DataError


class Custom:
    """Batches of `arity` records a sample as class `options.sampler` has them, for pairs with sim by the labels.

    An epoch counts as many positions as there are records. Raises ConfigError where there is no such class, DataError
    for a batch that is not of integers below the number of records, of shape (batch_size, arity).
    """

    left_out = rejected = 0
    left_out_because = ""

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
        self._sampler = _load(self._name)(labels, options)

    def batch(self, number: int) -> Batch:
        """Batch `number` of the whole stream, 0 and up."""
        found = np.asarray(self._sampler.batch(number))
        size = len(self._source)
        where = f"{self._name}: batch {number}"
        if found.shape != self._shape or found.dtype.kind not in "iu":
            raise DataError(
                f"{where} is {found.dtype} of shape {found.shape}; integers of shape {self._shape} are asked for "
                f"(batch_size, images a sample)"
            )
        outside = found[(found < 0) | (found >= size)]
        if len(outside):
            raise DataError(f"{where} has record {outside[0]}; those of {self._source.path} are 0 to {size - 1}")
        records = np.ascontiguousarray(found.T, np.int64)
        keys = keyed.bits(*self._seed, number, np.arange(len(found)))
        sims = same_label(self._source, records, f"{self._name} gives records alone") if self.arity == 2 else None
        return Batch(records, keyed.bits(keys, np.arange(self.arity)[:, None]), sims)

    def reject(self, records: Sequence[int]) -> int:
        """Nothing can stand in for a record of a batch that somebody else made. Raises DataError."""
        raise DataError(
            f"{self._source.describe(min(records))} cannot be read, and {self._name} has no stand-in for it; "
            f"mend the source, or leave the record out of the batches"
        )


def _load(name: str) -> Any:
    module_name, _, class_name = name.partition(":")
    if not module_name or not class_name:
        raise ConfigError(f"option 'sampler' is '{name}'; it takes 'module:Class'")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        folder = os.getcwd()
        on_path = folder in map(os.path.abspath, sys.path)
        raise ConfigError(
            f"option 'sampler' is '{name}': cannot import module '{module_name}': {error}; put its folder on PYTHONPATH "
            f"(the working directory, {folder}, is {'on it' if on_path else 'not on it'})"
        ) from error
    found = getattr(module, class_name, None)
    if not callable(found):
        raise ConfigError(
            f"option 'sampler' is '{name}': module '{module_name}' ({getattr(module, '__file__', 'built in')}) has no "
            f"class '{class_name}'"
        )
    return found
