"""How the images of a batch are made: source and transforms, as every process that fills slots has them."""

import contextlib
from dataclasses import dataclass
from typing import Callable, Iterator, Optional, Tuple

import numpy as np

from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import DataError


@dataclass(frozen=True)
class Batch:
    """Which images a batch has: records of the source and a random key each.

    records: int64 (arity, B); row 0 are the images, or the anchors, then the positives, the negatives.
    keys: uint64 (arity, B); all that is random about an image comes from its key.
    """

    records: np.ndarray
    keys: np.ndarray


@dataclass(frozen=True)
class Recipe:
    """Source and transforms; `shape` is (channels, height, width) of every image they make."""

    source: Source
    transforms: Transforms
    shape: Tuple[int, int, int]

    @classmethod
    def of(cls, source: Source, transforms: Transforms) -> "Recipe":
        """The recipe whose shape the first record of the source tells."""
        image = transforms.load(source, 0)
        transforms.check(image, source, 0)
        return cls(source, transforms, transforms.shape(image))

    @property
    def dtype(self) -> np.dtype:
        return self.transforms.dtype

    def fill(
        self, records: np.ndarray, keys: np.ndarray, out: np.ndarray, begin: Callable[[int], None] = lambda place: None
    ) -> None:
        """Write image i, of records[i] and keys[i], into out[i]; out is (M, C, H, W) of `dtype`.

        begin: called with i before image i. Raises DataError naming the record that cannot be read.
        """
        for place, (record, crop_y, crop_x, flip) in enumerate(
            zip(records.tolist(), *(draw.tolist() for draw in self.transforms.draws(keys)))
        ):
            begin(place)
            image = self.transforms.load(self.source, record)
            self.transforms.check(image, self.source, record)
            if self.transforms.shape(image) != self.shape:
                raise DataError(
                    f"{self.source.describe(record)}: channels x height x width {self.transforms.shape(image)} where "
                    f"the first record has {self.shape}; images of unlike sizes need `resize` or `crop_size`"
                )
            self.transforms.write(image, crop_y, crop_x, flip, out[place])


class InProcess:
    """Batches made by this process when they are asked for: what a data layer uses without prefetch."""

    def __init__(self, recipe: Recipe, plan: Callable[[int], Batch]) -> None:
        self._recipe = recipe
        self._plan = plan
        self._images: Optional[np.ndarray] = None

    @contextlib.contextmanager
    def take(self, number: int) -> Iterator[Tuple[np.ndarray, Batch]]:
        """Batch `number`: its images (arity, B, C, H, W), valid until the next, and its plan."""
        batch = self._plan(number)
        if self._images is None:
            self._images = np.empty((*batch.records.shape, *self._recipe.shape), self._recipe.dtype)
        flat = self._images.reshape(-1, *self._recipe.shape)
        self._recipe.fill(batch.records.ravel(), batch.keys.ravel(), flat)
        yield self._images, batch

    def close(self) -> None:
        """Give the memory back."""
        self._images = None
