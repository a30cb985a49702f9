"""Data layers: they carry batches of the data engine to the tops, and keep the place in the stream."""

from typing import Any, Union

import caffe
import numpy as np

from caffe_pylayers.data.mean import read_mean
from caffe_pylayers.data.recipe import Batch, InProcess, Recipe
from caffe_pylayers.data.ring import Ring
from caffe_pylayers.data.samplers import Images, RandomTriplets
from caffe_pylayers.data.sources import Source, open_source
from caffe_pylayers.data.sources.decoded import DecodedSource
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.layers.adapter import Blobs, Layer, log
from caffe_pylayers.layers.frozen import FrozenCounter


class DataLayer(Layer):
    """What all data layers share. A layer says how it samples (`sampler`) and what its other tops hold (`annotate`).

    Tops of images are float32 (B, channels, height, width), blue, green, red, (x - mean) * scale.
    """

    bottoms = ()

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        options = self.options
        where = {"root": options.root} if options.source_type == "CSV" else {}
        source = open_source(options.source_type, options.source, **where)
        self._labels = source.labels
        self._sampler: Images = self.sampler(source)
        transforms = Transforms(
            resize=options.resize,
            crop_size=options.crop_size,
            mirror=options.mirror,
            color=options.color,
            random=self.training,
            mean=read_mean(options.mean_file, options.mean_value),
            scale=options.scale,
        )
        recipe = Recipe.of(source if options.compressed else DecodedSource(source, transforms), transforms)
        self._rank: int = caffe.solver_rank() if self.training else 0
        self._ranks: int = caffe.solver_count() if self.training else 1
        self._restart_every = 0 if self.training else options.restart_every
        if options.prefetch:
            slots = max(options.prefetch, options.workers)
            self._batches: Union[Ring, InProcess] = Ring(recipe, self._plan, slots, options.workers, options.timeout)
        else:
            self._batches = InProcess(recipe, self._plan)
        self._count = 0  # of own batches that were delivered
        self._frozen = FrozenCounter(self, self._order(source)) if options.resume else None
        for number in range(self._sampler.arity):
            top[number].reshape(options.batch_size, *recipe.shape)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Nothing: shapes are set once. Caffe calls this before every forward."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        count = self._position()
        with self._batches.take(count) as (images, batch):
            for number, block in enumerate(images):
                np.copyto(top[number].data, block)
            self.annotate(top, batch)
        self._count = count + 1
        if self._frozen is not None and self.training:
            self._frozen.write(self._count)

    def backward(self, top: Blobs, propagate_down: Any, bottom: Blobs) -> None:
        """Nothing: data has no gradient."""

    def close(self) -> None:
        """End the workers and give the memory back; the next forward starts them again."""
        self._batches.close()

    def sampler(self, source: Source) -> Images:
        raise NotImplementedError

    def annotate(self, top: Blobs, batch: Batch) -> None:
        """Write the tops behind the images."""

    def _plan(self, count: int) -> Batch:
        if self._restart_every:
            count %= self._restart_every
        return self._sampler.batch(count * self._ranks + self._rank)

    def _position(self) -> int:
        """Which of its own batches comes next. A restored snapshot has put its count into the blob by now."""
        if self._frozen is None or not self.training:
            return self._count
        count = self._frozen.read()
        if count != self._count and self._frozen.foreign:
            epoch, place = divmod(count * self._ranks * self.options.batch_size, len(self._sampler.anchors))
            log.warning(
                "%s: the snapshot was taken with other options or another source; going on at batch %d of the new order "
                "(epoch %d, sample %d)",
                self.name,
                count,
                epoch,
                place,
            )
        return count

    def _order(self, source: Source) -> str:
        """What gives the count its meaning."""
        options = self.options
        names = ("source_type", "batch_size", "seed", "stream", "shuffle", "type")
        return repr([self.name, len(source), self._ranks, *(getattr(options, name, None) for name in names)])


class ImageDataLayer(DataLayer):
    """Plain labelled samples: data (B, C, H, W) [, label (B,), or (B, L) where records have several].

    TRAIN: the source's order, or a new permutation each epoch with `shuffle`. TEST: the source's order.
    """

    tops = ("data", "[label]")

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if len(top) > 1:
            if self._labels is None:
                raise DataError(
                    f"{self.options.source}: it has no labels, but the layer has a top for them; leave that out"
                )
            top[1].reshape(self.options.batch_size, *self._labels.shape[1:])

    def sampler(self, source: Source) -> Images:
        options = self.options
        return Images(
            np.arange(len(source)),
            options.batch_size,
            permuted=self.training and options.shuffle,
            seed=options.seed,
            stream=options.stream,
        )

    def annotate(self, top: Blobs, batch: Batch) -> None:
        if self._labels is not None and len(top) > 1:
            top[1].data[...] = self._labels[batch.records[0]]


class TripletDataLayer(DataLayer):
    """Triplets: anchor, positive, negative, each (B, C, H, W). Anchors are permuted each epoch in TRAIN.

    type RANDOM: a positive of the anchor's class, a negative of another class; see `RandomTriplets`.
    """

    tops = ("anchor", "positive", "negative", "[margin]")

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if len(top) > 3:
            raise ConfigError(
                f"{self.name}: type {self.options.type} has no margin; it takes three tops: anchor, positive, negative"
            )

    def sampler(self, source: Source) -> Images:
        options = self.options
        if source.labels is None:
            raise DataError(f"{options.source}: it has no labels, which triplets are made by")
        sampler = RandomTriplets(
            source.labels, options.batch_size, permuted=self.training, seed=options.seed, stream=options.stream
        )
        if sampler.left_out:
            log.info(
                "TripletDataLayer: %d of %d records are no anchors, being the only ones of their class in %s",
                sampler.left_out,
                len(source),
                source.path,
            )
        return sampler
