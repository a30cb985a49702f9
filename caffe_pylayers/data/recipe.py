"""How the images of a batch are made: source and transforms, as every process that fills slots has them."""

from dataclasses import dataclass, replace
from typing import Callable, Dict, List, Optional, Tuple

import numpy as np

from caffe_pylayers.data.decoding import unlike
from caffe_pylayers.data.geometry import Matrix
from caffe_pylayers.data.plugin import load_plugin
from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.processes.limits import blames_record


@dataclass(frozen=True)
class Batch:
    """Which images a batch has: records of the source and a random key each.

    records: int64 (arity, B); row 0 are the images, or the anchors, then the positives, the negatives.
    keys: uint64 (arity, B); all that is random about an image comes from its key.
    values: float32 (B,), what the sampling says of each sample: sim of pairs, margin of triplets; None where nothing.
    stand_ins: how many of the samples stand in for one that cannot be read.
    moves: float64 (arity, images per top, 2, 3), once the images are made, if the recipe is `with_moves`: where the pixels of stored images are in
    those that are fed.
    """

    records: np.ndarray
    keys: np.ndarray
    values: Optional[np.ndarray] = None
    stand_ins: int = 0
    moves: Optional[np.ndarray] = None

    def made(self, moves: Optional[np.ndarray]) -> "Batch":
        """The same with where the pixels of its images, (M, 2, 3), went; itself where that is not known."""
        return self if moves is None else replace(self, moves=moves.reshape(len(self.records), -1, 2, 3))


#: Records that may fail in one attempt at a batch, or at the first image of a source, before it is given up.
_FAILURES_A_BATCH, _FAILURES_AT_FIRST = 16, 1000


@dataclass(frozen=True)
class Recipe:
    """Source and transforms; `shape` is (channels, height, width) of every image they make, `dtype` what slots hold.

    pixels: the type of every image before mean and scale.
    """

    source: Source
    transforms: Transforms
    shape: Tuple[int, int, int]
    dtype: np.dtype
    pixels: np.dtype
    with_moves: bool = False

    @property
    def copies(self) -> int:
        """How many images are fed for each that is read."""
        return self.transforms.copies

    @classmethod
    def of(cls, source: Source, transforms: Transforms, tolerant: bool = False, with_moves: bool = False) -> "Recipe":
        """The recipe whose shape the first record of the source tells; if `tolerant`, the first that can be used."""
        if transforms.transform is not None:
            load_plugin("transform", transforms.transform)  # where it is not there, no record is to blame
        first_error = None
        for record in range(min(len(source), _FAILURES_AT_FIRST) if tolerant else 1):
            try:
                image = _loaded(source, transforms, record, 0)
                return cls(
                    source, transforms, transforms.shape(image), transforms.dtype(image), image.dtype, with_moves
                )
            except DataError as error:
                first_error = first_error or error
        assert first_error is not None
        if tolerant:
            raise DataError(
                f"none of the first {record + 1} records can be used; {first_error.found}",
                remedy=first_error.remedy,
                record=first_error.record,
            ) from first_error
        raise first_error

    def room(self, num_records: int) -> np.ndarray:
        """An array for the images of so many records: what `fill` takes as `out`."""
        return np.empty((num_records * self.copies, *self.shape), self.dtype)

    def fill(
        self,
        records: np.ndarray,
        keys: np.ndarray,
        out: np.ndarray,
        begin: Callable[[int], None] = lambda place: None,
        tolerant: bool = False,
        cut_short: Callable[[int], None] = lambda record: None,
        moves: Optional[np.ndarray] = None,
    ) -> Dict[int, DataError]:
        """Write image i, of records[i] and keys[i], into out[i]; out is (M, C, H, W) of `dtype`, or `copies` times M of them.

        begin: called with i before image i. Raises DataError naming the record that cannot be read; if `tolerant`,
        returns them instead: place in the batch -> complaint, a few at a time, each record once. A source that has changed
        is an error all the same. cut_short: called with each record of which only a part could be read (`decode: lenient`).
        moves: (M, 2, 3), or `copies` times as many; takes where the pixels of each image went.
        """
        complaints: Dict[int, DataError] = {}
        draws = list(zip(*(draw.tolist() for draw in self.transforms.draws(keys))))
        for place, (record, key) in enumerate(zip(records.tolist(), keys)):
            begin(place)
            try:
                matrices: List[Matrix] = []
                image = self._image(record, key, cut_short, None if moves is None else matrices.append)
            except DataError as error:
                if not (tolerant and blames_record(error)):
                    raise
                complaints[place] = error.kept()
                if len(complaints) == _FAILURES_A_BATCH:
                    break
                continue
            for copy in range(place * self.copies, (place + 1) * self.copies):
                crop_y, crop_x, flip = draws[copy]
                self.transforms.write(image, crop_y, crop_x, flip, out[copy])
                if moves is not None:
                    moves[copy] = self.transforms.moved(matrices[0], image, crop_y, crop_x, flip)
        return complaints

    def _image(
        self, record: int, key: int, cut_short: Callable[[int], None], moved: Optional[Callable[[Matrix], None]]
    ) -> np.ndarray:
        """The image of a record, ready to be cropped."""
        image = _loaded(self.source, self.transforms, record, key, cut_short, moved)
        other = unlike(image, self.shape[0], self.pixels, self.transforms.color)
        if other:
            raise self.source.error(other[0], remedy=other[1], record=record)
        if self.transforms.shape(image) != self.shape:
            raise self.source.error(
                f"channels x height x width is {self.transforms.shape(image)}, but the first record has {self.shape}",
                remedy="images of different sizes need `resize` or `crop_size`",
                record=record,
            )
        return image


def _loaded(
    source: Source,
    transforms: Transforms,
    record: int,
    key: int,
    cut_short: Callable[[int], None] = lambda record: None,
    moved: Optional[Callable[[Matrix], None]] = None,
) -> np.ndarray:
    """A record decoded, resized and changed by the user's transform. Every error names the record."""
    image = transforms.load(source, record, cut_short, moved)
    size = image.shape[:2]
    try:
        image = transforms.custom(image, key)
        if moved is not None and image.shape[:2] != size:
            raise ConfigError(
                f"option 'transform': {transforms.transform!r} changed the size from {size} to {image.shape[:2]} (height, width), but the "
                "labels are points, which would not follow",
                remedy="leave the size as it is",
                option="transform",
            )
    except ConfigError as error:
        raise error.within(source.describe(record), record) from error
    transforms.check(image, source, record)
    return image
