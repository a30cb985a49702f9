"""How long an epoch is."""

from dataclasses import dataclass

_SAMPLES = {1: "", 2: " pairs", 3: " triplets"}


@dataclass(frozen=True)
class Epoch:
    """One pass over a source.

    num_records: of the source. num_samples: images, pairs or triplets in a pass. arity: images in each of them. ranks:
    processes that share the stream.

    >>> print(Epoch(37, 37, batch_size=5))
    37 records, 8 batches of 5 per epoch
    """

    num_records: int
    num_samples: int
    batch_size: int
    arity: int = 1
    ranks: int = 1

    @property
    def batches(self) -> int:
        """The batches of one rank that cover it; the last may run over into the next epoch."""
        return -(-self.num_samples // (self.batch_size * self.ranks))

    def __str__(self) -> str:
        each = f" on each of {self.ranks} ranks" if self.ranks > 1 else ""
        batches = f"{self.batches} batch{'' if self.batches == 1 else 'es'}"
        return f"{self.num_records} records, {batches} of {self.batch_size}{_SAMPLES[self.arity]} per epoch{each}"
