"""What all data layers share: they carry batches of the data engine to the tops, and keep the place in the stream."""

import time
from typing import Any, List, Mapping, Optional, Sequence

import caffe
import numpy as np

from caffe_pylayers.config.order import order_of
from caffe_pylayers.data import samplers
from caffe_pylayers.data.cache.cache import Cache
from caffe_pylayers.data.checksum import checksum
from caffe_pylayers.data.cut_short import CutShort
from caffe_pylayers.data.epoch import Epoch
from caffe_pylayers.data.feeder import Feeder, InProcess
from caffe_pylayers.data.maps import maps_of
from caffe_pylayers.data.recipe import Batch, Recipe
from caffe_pylayers.data.ring import Ring
from caffe_pylayers.data.sources import Source, sources_of
from caffe_pylayers.data.sources.decoded import decoded
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import PartedError
from caffe_pylayers.layers.adapter import Blobs, Layer, log
from caffe_pylayers.layers.device import in_ordinary_memory
from caffe_pylayers.layers.frozen import FrozenCounter
from caffe_pylayers.processes import limits
from caffe_pylayers.processes.huge_pages import want_huge_pages
from caffe_pylayers.processes.stock import log_shows_info

#: Passes over the source after which the log says how much came from the cache.
_PASSES_TOLD = 2

#: What makes tops of images as large as they are.
_OF_IMAGES = "'batch_size', 'resize' or 'crop_size'"


class DataLayer(Layer):
    """What all data layers share. A layer says what its other tops hold (`annotate`), its options how it samples.

    Tops of images are float32 (B, channels, height, width), blue, green, red, (x - mean) * scale.
    `stand_ins` counts the samples so far that stood in for one that cannot be read (`on_error`), `cached` the images so far that came
    from the cache, of `images_read`, `waiting` the seconds so far that the net waited for a batch. `images_a_batch` is how many images the tops hold, `recipe` how they are made,
    `num_records` how many records the source has, `batches_per_epoch` how many batches cover them.
    """

    @limits.told()
    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        options = self.options
        self.stand_ins, self.cached, self.waiting = 0, 0, 0.0
        self._rank: int = caffe.solver_rank() if self.training else 0
        self._ranks: int = caffe.solver_count() if self.training else 1
        self._restart_every = 0 if self.training else options.restart_every
        source, *others = sources_of(options)
        self._source = source
        self._sampler: samplers.Sampler = self.sampler(source)
        if self._sampler.left_out:
            log.info(
                "%s: %d of %d records of %s are left out, %s",
                self.name,
                self._sampler.left_out,
                len(source),
                source.path,
                self._sampler.left_out_because,
            )
        self.epoch = Epoch(len(source), self._sampler.epoch_size, options.batch_size, self._sampler.arity, self._ranks)
        if log_shows_info():
            log.info("%s: %s: %s", self.name, source.described, self.epoch)
            for words in self._sampler.in_words() if isinstance(self._sampler, samplers.Mixture) else ():
                log.info("%s: %s", self.name, words)
        transforms = Transforms.of(options, self.training)
        tolerant = options.on_error != "stop"
        compressed = getattr(options, "compressed", True)
        maps = maps_of(options, others)
        self.recipe = recipe = Recipe.of(
            source if compressed else decoded(source, transforms, tolerant, self.with_moves),
            transforms,
            tolerant,
            self.with_moves,
            maps,
            options.sizes_differ,
            Cache.of(options, (source, *others), transforms, maps, self._ranks, self.name, self.with_moves),
        )
        self.feed(options.prefetch, min(options.prefetch, options.workers))
        self._count = 0  # of own batches that were delivered
        self._taken = 0  # since setup
        self._frozen: Optional[FrozenCounter] = None
        if options.resume:
            contents = checksum((source, *others), self._sampler) if self.training else None
            self._frozen = FrozenCounter(self, self._order(source), contents=contents)
        self.images_a_batch: int = self._sampler.arity * options.batch_size * recipe.copies
        tops = self._tops_of_images(top)
        for each in tops:
            self.give_shape(each, (self.images_a_batch // len(tops), *recipe.shape), _OF_IMAGES)

    def feed(self, ahead: int, workers: int) -> None:
        """Have batches made so many ahead by worker processes, or inside forward where `ahead` is 0; `close` comes first.

        There are never more workers than batches ahead: one would wait for a place to write to.
        """
        reject = self._reject if self.options.on_error != "stop" else None
        self._cut_short = CutShort(self._source, self.name)
        self.batches: Feeder = (
            Ring(self.recipe, self._plan, ahead, workers, self.options.timeout, reject, self._cut_short)
            if ahead
            else InProcess(self.recipe, self._plan, reject, self._cut_short)
        )

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Nothing: shapes are set once. Caffe calls this before every forward."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        count = self._position()
        tops = self._tops_of_images(top)
        if not self._taken and in_ordinary_memory():
            for each in tops:
                want_huge_pages(each.data)
        asked = time.perf_counter()
        with self.batches.take(count) as (images, batch):
            self.waiting += time.perf_counter() - asked
            if self.recipe.form.largest:
                self.fit(top, images.shape[-2:])
            for each, block in zip(tops, images.reshape(len(tops), -1, *images.shape[2:])):
                self.recipe.transforms.feed(block, each.data)
            self.annotate(top, batch)
            self.stand_ins += batch.stand_ins
            self.cached += batch.cached
        self._count = count + 1
        self._taken += 1
        if self.recipe.cache is not None:
            self._tell_of(self.recipe.cache)
        if self._taken == self.epoch.batches:  # in the `caffe` program nothing tells the end
            self._cut_short.tell()
        if self._frozen is not None and self.training:
            self._frozen.write(self._count)

    def _tell_of(self, cache: Cache) -> None:
        """Tell the log why the cache grows no more, and, after each of the first passes, what came from it."""
        cache.tell()
        passes, rest = divmod(self._taken, self.epoch.batches)
        if not rest and passes <= _PASSES_TOLD:
            read = self.images_read
            log.info("%s: %d of %d images so far came from the %s", self.name, self.cached, read, cache.summary)

    def backward(self, top: Blobs, propagate_down: Any, bottom: Blobs) -> None:
        """Nothing: data has no gradient."""

    def close(self) -> None:
        """End the workers and give memory and descriptors back; the next forward takes them again."""
        self.batches.close()

    @property
    def images_read(self) -> int:
        """The images that forward has taken so far; of ten crops it is one."""
        return self._taken * self.images_a_batch // self.recipe.copies

    def records(self, number: int) -> np.ndarray:
        """The records of the first images of its batch `number`, (B,); ask behind the batch, when it is known which cannot be read."""
        return self._plan(number).records[0]

    @property
    def source(self) -> Source:
        """What it reads."""
        return self._source

    @property
    def num_records(self) -> int:
        """The records of the source."""
        return self.epoch.num_records

    @property
    def batches_per_epoch(self) -> int:
        """The batches that cover a pass over the source, for `test_iter` or `test_interval`; with several ranks those of one."""
        return self.epoch.batches

    @property
    def with_moves(self) -> bool:
        """Whether `annotate` must know where the pixels of each image went."""
        return False

    @property
    def _permuted(self) -> bool:
        """Whether TRAIN has a new order each epoch."""
        return True

    def _tops_of_images(self, top: Blobs) -> List[Any]:
        stacked = getattr(self.options, "stacked", False)
        return [top[number] for number in range(1 if stacked else self._sampler.arity)]

    def fit(self, top: Blobs, size: Sequence[int]) -> None:
        """Give tops the size (height, width) of the images of a batch, where each has its own."""

    def sampler(self, source: Source) -> samplers.Sampler:
        return samplers.sampler_of(source, self.options, training=self.training, ranks=self._ranks)

    def annotate(self, top: Blobs, batch: Batch) -> None:
        """Write the tops behind the images."""

    def source_labels(self) -> np.ndarray:
        """The labels of the source for a top, (N,) or (N, L). Raises DataError where it has none, or some are not known."""
        unknown = self._source.unknown
        if unknown is not None and not getattr(self.options, "multilabel", False):
            record = int(np.argmax(unknown.any(1)))
            raise self._source.error(
                f"its label {int(np.argmax(unknown[record]))} is not known (-1), but a top of label numbers cannot say that",
                remedy="use MultiLabelDataLayer with 'multilabel': true",
                record=record,
            )
        if self._source.labels is None:
            raise self._source.no_labels()
        return self._source.labels

    def _plan(self, count: int) -> Batch:
        if self._restart_every:
            count %= self._restart_every
        return self._sampler.batch(count * self._ranks + self._rank)

    def _reject(self, complaints: Mapping[int, PartedError]) -> None:
        """Records cannot be read: let others stand in for them, and say so."""
        for record, complaint in complaints.items():
            if self._sampler.reject([record]):
                log.warning(
                    "%s: on_error %s: %s; other records take its place (unreadable records so far: %d of %d)",
                    self.name,
                    self.options.on_error,
                    complaint,
                    self._sampler.rejected,
                    len(self._source),
                )

    def _position(self) -> int:
        """Which of its own batches comes next. A restored snapshot has put its count into the blob by now."""
        if self._frozen is None or not self.training:
            return self._count
        count = self._frozen.read()
        difference = "" if count == self._count else self._difference(self._frozen)
        if difference:
            epoch, place = divmod(count * self._ranks * self.options.batch_size, self._sampler.epoch_size)
            log.warning(
                "%s: the snapshot was taken with %s; continuing at batch %d of the new order (epoch %d, sample %d)",
                self.name,
                difference,
                count,
                epoch,
                place,
            )
        return count

    def _difference(self, frozen: FrozenCounter) -> str:
        """What was different where the snapshot was taken, in words; "" where all was as it is here."""
        if frozen.foreign:
            return "other options or another source"
        if frozen.changed:
            return f"other names, labels, weights or listed samples of the {self._source.described}"
        return ""

    def _order(self, source: Source) -> str:
        """What gives the count its meaning."""
        return repr([self.name, len(source), self._ranks, self._permuted, *order_of(self.options)])
