"""How the images of a batch are made: source and transforms, as every process that fills slots has them."""

from dataclasses import dataclass, field, replace
from typing import Callable, Dict, List, Optional, Sequence, Set, Tuple

import numpy as np

from caffe_pylayers.data import geometry
from caffe_pylayers.data.augmentation.draws import Drawn
from caffe_pylayers.data.cache.cache import Cache
from caffe_pylayers.data.cache.entry import Loaded
from caffe_pylayers.data.changed import changed, labels_of, takes_labels
from caffe_pylayers.data.decoding import check_size, unlike
from caffe_pylayers.data.geometry import UNMOVED, Draw, Matrix, Size, Window
from caffe_pylayers.data.maps import Maps, dtype_of_maps
from caffe_pylayers.data.room import Form, Room
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
    cached: how many of the images came from the cache, once they are made.
    Once the images are made: maps (arity, images per top, num_maps, H, W); sizes int64 (arity, images per top, 2), see `Room`; labels
    (arity, B, num_labels), if a transform of the user's takes them; and, if the recipe is `with_moves`, moves float64 (arity, images per
    top, 2, 3): where the pixels of stored images, or of those that the transform has returned with labels, are in those that are fed.
    """

    records: np.ndarray
    keys: np.ndarray
    values: Optional[np.ndarray] = None
    stand_ins: int = 0
    cached: int = 0
    maps: Optional[np.ndarray] = None
    sizes: Optional[np.ndarray] = None
    moves: Optional[np.ndarray] = None
    labels: Optional[np.ndarray] = None

    def made(self, room: Room) -> "Taken":
        """Its images (arity, images per top, C, H, W), and the same with what else the room has."""
        arity = len(self.records)
        images, maps, sizes, moves, labels = (
            None if array is None else array.reshape(arity, len(array) // arity, *array.shape[1:])
            for array in (room.images, room.maps, room.sizes, room.moves, room.labels)
        )
        assert images is not None
        return images, replace(self, maps=maps, sizes=sizes, moves=moves, labels=labels)


Taken = Tuple[np.ndarray, Batch]


#: Records that may fail in one attempt at a batch, or at the first image of a source, before it is given up.
_FAILURES_A_BATCH, _FAILURES_AT_FIRST = 16, 1000


@dataclass
class Tally:
    """What was found while a batch was filled. cut_short: records of which only a part could be read (`decode: lenient`).

    cached: how many came from the cache.
    """

    cut_short: Set[int] = field(default_factory=set)
    cached: int = 0


@dataclass(frozen=True)
class Recipe:
    """Source, maps and transforms; `form` is what they make of every record.

    pixels: the type of every image before mean and scale. cache: where decoded records are kept.
    """

    source: Source
    transforms: Transforms
    form: Form
    pixels: np.dtype
    maps: Sequence[Maps] = ()
    cache: Optional[Cache] = None

    @property
    def copies(self) -> int:
        """How many images are fed for each that is read."""
        return self.form.copies

    @property
    def shape(self) -> Tuple[int, int, int]:
        """(channels, height, width) of every image, or of the first where they have each their own size."""
        return self.form.shape

    @property
    def fds(self) -> Tuple[int, ...]:
        """File descriptors that workers must inherit."""
        return (*(fd for source in self.sources for fd in source.fds), *(self.cache.fds if self.cache else ()))

    @property
    def sources(self) -> Sequence[Source]:
        return self.source, *(each.source for each in self.maps)

    @classmethod
    def of(
        cls,
        source: Source,
        transforms: Transforms,
        tolerant: bool = False,
        with_moves: bool = False,
        maps: Sequence[Maps] = (),
        sizes_differ: bool = False,
        cache: Optional[Cache] = None,
    ) -> "Recipe":
        """The recipe whose form the first record of the source tells; if `tolerant`, the first that can be used.

        sizes_differ: each image is fed at its own size.
        """
        with_labels = takes_labels(source, transforms, maps)  # where it cannot be used, no record is to blame
        first_error = None
        for record in range(min(len(source), _FAILURES_AT_FIRST) if tolerant else 1):
            try:
                loaded = _loaded(source, transforms, maps, record, with_moves)
                labels = labels_of(source, [record])[0] if with_labels else None
                image, of_image, _, labels = changed(source, transforms, maps, loaded, record, 0, labels, with_moves)
                form = Form(
                    transforms.shape(image),
                    transforms.dtype(image).name,
                    transforms.copies,
                    with_moves,
                    len(maps),
                    dtype_of_maps(maps, of_image, transforms).name,
                    transforms.max_pixels if sizes_differ else 0,
                    *(() if labels is None else (len(labels), labels.dtype.name)),
                )
                if cache is not None and image.dtype != np.uint8:
                    raise ConfigError(
                        f"option 'cache' is {cache.kind!r}, but it keeps 8-bit images, and these are {image.dtype}",
                        remedy="leave it out: to read such numbers takes no decoding",
                        option="cache",
                    )
                return cls(source, transforms, form, image.dtype, maps, cache)
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

    def labels_of(self, records: np.ndarray) -> Optional[np.ndarray]:
        """The labels of records (records, L) that a transform of the user's takes, if it takes them. Only where the source has its labels."""
        return labels_of(self.source, records) if self.form.num_labels else None

    def room(self, num_records: int) -> Room:
        """Memory for so many records: what `fill` takes."""
        return Room(self.form, num_records)

    def close(self) -> None:
        """Give back what the sources hold."""
        for source in self.sources:
            source.close()
        if self.cache is not None:
            self.cache.close()

    def fill(
        self,
        records: np.ndarray,
        keys: np.ndarray,
        room: Room,
        begin: Callable[[int], None] = lambda place: None,
        tolerant: bool = False,
        tally: Optional[Tally] = None,
        labels: Optional[np.ndarray] = None,
    ) -> Dict[int, DataError]:
        """Write what is made of record i, records[i] with keys[i], into place i of the room, or `copies` places.

        begin: called with i before record i. Raises DataError naming the record that cannot be read; if `tolerant`,
        returns them instead: place in the batch -> complaint, a few at a time, each record once. A source that has changed
        is an error all the same. tally: told what was found. labels: `labels_of` the records, for a process that does not have those of the source.
        """
        tally = tally or Tally()
        labels = self.labels_of(records) if labels is None else labels
        complaints: Dict[int, DataError] = {}
        draws, augments = self.transforms.draws(keys), self.transforms.augments(keys)
        for place, (record, key) in enumerate(zip(records.tolist(), keys)):
            begin(place)
            try:
                own = None if labels is None else labels[place]
                self._write(record, key, draws, augments, place, room, tally, own)
            except DataError as error:
                if not (tolerant and blames_record(error)):
                    raise
                complaints[place] = error.kept()
                if len(complaints) == _FAILURES_A_BATCH:
                    break
        return complaints

    def _write(
        self,
        record: int,
        key: int,
        draws: Sequence[Draw],
        augments: Sequence[Drawn],
        number: int,
        room: Room,
        tally: Tally,
        labels: Optional[np.ndarray],
    ) -> None:
        """Write a record into the room, as its record of that number."""
        transforms = self.transforms
        loaded = self._loaded(record, tally)
        image, maps, matrix, labels = changed(
            self.source, transforms, self.maps, loaded, record, key, labels, self.form.with_moves
        )
        if room.labels is not None:
            room.labels[number] = labels
        for place in range(number * self.copies, (number + 1) * self.copies):
            window = transforms.window(image.shape, draws[place], augments[place])
            self._check(record, image, window)
            if self.form.largest:
                room.fit(window.size)
            transforms.write(image, window, room.images[place], augments[place])
            if self.maps:
                self._write_maps(record, maps, window, room.maps[place])
                room.sizes[place] = window.seen
            if room.moves is not None:
                room.moves[place] = geometry.then(matrix, window.matrix(image.shape[:2]))

    def _loaded(self, record: int, tally: Tally) -> Loaded:
        """A record from the cache, or else decoded, and kept there."""
        loaded = self.cache.get(record) if self.cache else None
        if loaded is not None:
            tally.cached += 1
        else:
            version = self.cache.version(record) if self.cache else b""
            loaded = _loaded(self.source, self.transforms, self.maps, record, self.form.with_moves)
            if self.cache:
                self.cache.put(record, version, loaded)
        if loaded.cut_short:
            tally.cut_short.add(record)
        return loaded

    def _write_maps(self, record: int, maps: Sequence[np.ndarray], window: Window, room: np.ndarray) -> None:
        for each, loaded, out in zip(self.maps, maps, room):
            if loaded.dtype != out.dtype and out.dtype == np.uint8:
                raise each.source.error(
                    "it has numbers of more than 8 bits, but the first map has 8 bits",
                    remedy="write all maps of a source with as many bits",
                    record=record,
                )
            each.write(loaded, window, out)

    @property
    def _first_record(self) -> str:
        """That which all others must be like, in words."""
        parts = self.source.parts
        return "the first record" if len(parts) == 1 else f"the first record of {parts[0].described}"

    def _check(self, record: int, image: np.ndarray, window: Window) -> None:
        """Raise DataError where an image is not of the form of the others."""
        form, shape = self.form, (image.shape[2], *window.size)
        other = unlike(image, form.shape[0], self.pixels, self.transforms.color, self._first_record)
        if other:
            raise self.source.error(other[0], remedy=other[1], record=record)
        if form.largest or window.scaled != image.shape[:2]:
            with self.source.naming(record):
                check_size(window.scaled, self.transforms.max_pixels, when=" after `resize` and `scales`")
        if shape != form.shape and not (form.largest and shape[0] == form.shape[0]):
            raise self.source.error(
                f"channels x height x width is {shape}, but {self._first_record} has {form.shape}",
                remedy="images of different sizes need `resize` or `crop_size`",
                record=record,
            )


def _loaded(source: Source, transforms: Transforms, maps: Sequence[Maps], record: int, follows: bool) -> Loaded:
    """A record decoded and resized. Every error names the record. follows: say where pixels went."""
    traces: List[Tuple[Size, Matrix]] = []
    cut_short: List[int] = []
    traced = (lambda *trace: traces.append(trace)) if follows or maps else None
    image = transforms.load(source, record, cut_short.append, traced)
    stored, matrix = traces[0] if traces else ((0, 0), UNMOVED)
    return Loaded(image, [each.load(record, stored) for each in maps], stored, matrix, bool(cut_short))
