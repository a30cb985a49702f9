"""Samplers of the records that have a label, where others have none: a negative label is no label."""

from typing import Any, Callable, Sequence

import numpy as np

from caffe_pylayers.data.recipe import Batch
from caffe_pylayers.data.samplers.base import Sampler
from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.sources.base import Numbers
from caffe_pylayers.errors import DataError

#: Makes a sampler of a source, and of the records that this has of the whole one.
Make = Callable[[Source, np.ndarray], Sampler]


class Labelled:
    """A sampler of some records, numbered as in the source: the others are in no batch, and stand in for none.

    records: int64 (M,), ascending. sampler: of those records alone, numbered from 0. why: what the others lack, in words.
    """

    listed = Sampler.listed

    def __init__(self, sampler: Sampler, records: np.ndarray, num_unlabelled: int, why: str) -> None:
        self.records = records
        self.arity, self.epoch_size = sampler.arity, sampler.epoch_size
        self.left_out = num_unlabelled + sampler.left_out
        self.left_out_because = _reasons(num_unlabelled, why, sampler.left_out, sampler.left_out_because)
        self._sampler = sampler

    @property
    def rejected(self) -> int:
        return self._sampler.rejected

    def batch(self, number: int) -> Batch:
        """Batch `number` of the whole stream, 0 and up. Raises DataError where nothing can stand in for a sample."""
        batch = self._sampler.batch(number)
        return Batch(self.records[batch.records], batch.keys, batch.values, batch.stand_ins)

    def reject(self, records: Sequence[int]) -> int:
        """These records cannot be read: from now on others stand in for them. Returns how many are new."""
        own = np.intersect1d(records, self.records)
        return self._sampler.reject(np.searchsorted(self.records, own).tolist())


def of_labelled(source: Source, options: Any, make: Make) -> Any:
    """A sampler of the records that have a label; with `unlabelled: negative` of all, in which the others are negatives.

    Raises DataError as `make` does, saying how many records have no label, and where all have none.
    """
    unlabelled = source.unlabelled()
    num_unlabelled = int(np.count_nonzero(unlabelled))
    everyone = np.arange(len(source))
    if not num_unlabelled:
        return make(source, everyone)
    if num_unlabelled == len(source):
        raise DataError(
            "it has no record with a label: all labels are negative, and a negative label means none",
            source=source.path,
        )
    damaged = _damaged(source, unlabelled)
    try:
        if getattr(options, "unlabelled", "drop") == "negative":
            sampler = make(source, everyone)
            others = sampler.left_out - num_unlabelled
            why = f"except as negatives, because they have no label (a negative label means none{damaged})"
            sampler.left_out_because = _reasons(num_unlabelled, why, others, sampler.left_out_because)
            return sampler
        records = np.flatnonzero(~unlabelled)
        assert source.labels is not None
        labelled = Source(source.path, Numbers(len(records)))
        unknown = None if source.unknown is None else source.unknown[records]
        labelled.set_labels(source.labels[records], source.label_dim, unknown)
        why = f"because they have no label (a negative label means none{damaged})"
        return Labelled(make(labelled, records), records, num_unlabelled, why)
    except DataError as error:
        note = f" ({num_unlabelled} of {len(source)} records have no label: a negative label means none{damaged})"
        last = "remedy" if error.remedy else "problem"
        raise DataError(**{**error.parts, last: error.parts[last] + note}) from None


def _damaged(source: Source, unlabelled: np.ndarray) -> str:
    """How many records have no label since they are damaged, and the first of them; "" where none is."""
    damaged = [record for record in source.damaged if unlabelled[record]]
    if not damaged:
        return ""
    return f"; damaged ones: {len(damaged)}, the first {source.describe(damaged[0])}: {source.damaged[damaged[0]]}"


def _reasons(num_unlabelled: int, why: str, others: int, why_others: str) -> str:
    """Why records are left out, as the end of a sentence."""
    return f"{num_unlabelled} of them {why}, the others {why_others}" if others else why
