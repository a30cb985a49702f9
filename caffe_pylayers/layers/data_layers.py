"""The data layers: what their tops hold behind the images, and how they sample."""

from typing import Dict, Iterator, Optional, Tuple

import numpy as np

from caffe_pylayers.data.points import Points
from caffe_pylayers.data.recipe import Batch
from caffe_pylayers.data.sources import MixedSource
from caffe_pylayers.data.user_transform import wrong
from caffe_pylayers.errors import DataError
from caffe_pylayers.layers.adapter import Blobs, log
from caffe_pylayers.layers.data_layer import DataLayer

#: What makes tops of labels as large as they are.
_OF_LABELS = "'batch_size', or leave the label top out"


class ImageDataLayer(DataLayer):
    """Plain labelled samples.

    bottoms: none.
    tops: data, float32 (B, C, H, W); label, (B,), or (B, L) where records have several; sample_weight, of the label's shape; with `domain`,
        last, domain (B,), the number of each sample's source in `sources`.
    errors: ConfigError for tops that do not fit the source or the options; DataError for a source, a record or a label that cannot be used.
    type ALL: in TRAIN the source's order, or a new permutation each epoch with `shuffle`; in TEST the source's order.
    BALANCED: all classes equally often. PK: several samples of each of several classes, for mining in the batch.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._weights: Optional[np.ndarray] = None
        self._points = Points(self.options, self.recipe.shape[1:]) if self.with_moves else None
        named = any(part.sample_weights is not None for part in self.options.each_source().values())
        if named and "sample_weight" not in self.gives:
            log.warning("%s: 'sample_weights' has no effect: the layer has no third top for them", self.name)
        if "label" in self.gives:
            self.give_shape(top[1], (self.images_a_batch, *self.label_shape()), _OF_LABELS)
        if "sample_weight" in self.gives:
            self._weights = self._source.sample_weights
            if self._weights is None:
                raise self._source.no_weights()
            top[2].reshape(*top[1].data.shape)
            each, labels = self._weights[0].size, top[1].data[0].size
            if each not in (1, labels):
                raise self._source.error(
                    f"{each} sample weights per record, but the label top has {labels} labels per sample",
                    remedy="give one per record, or one for each label of the top",
                )
        if self.options.domain:
            top[len(top) - 1].reshape(self.images_a_batch)

    @property
    def _permuted(self) -> bool:
        return bool(self.options.shuffle)

    @property
    def with_moves(self) -> bool:
        return self.options.points is not None

    def label_shape(self) -> Tuple[int, ...]:
        """The shape of a sample's labels in the top."""
        return self.source_labels().shape[1:]

    def write_labels(self, labels: np.ndarray, records: np.ndarray, out: np.ndarray) -> None:
        """Write what the source has as labels of the records into the top."""
        out[...] = labels

    def _labels(self, batch: Batch) -> np.ndarray:
        """The labels of the images of a batch: as the source has them, or as the user's transform has changed them."""
        source = self.source_labels()
        if batch.labels is None:
            labels = source[batch.records[0]]
        else:
            labels = batch.labels[0].reshape(-1, *source.shape[1:])
        return np.repeat(labels, self.recipe.copies, axis=0)

    def annotate(self, top: Blobs, batch: Batch) -> None:
        records = np.repeat(batch.records[0], self.recipe.copies)
        if "label" in self.gives:
            labels = self._labels(batch)
            if self._points is not None:
                assert batch.moves is not None
                labels = self._points.follow(labels, batch.moves[0])
            self.write_labels(labels, records, top[1].data)
        if self._weights is not None:
            weights, out = self._weights[records], top[2].data
            # A weight per sample is that of all its labels.
            np.copyto(out.reshape(len(records), -1), weights.reshape(len(records), -1))
        if self.options.domain:
            assert isinstance(self._source, MixedSource)
            top[len(top) - 1].data[...] = self._source.number_of(records)


class MultiLabelDataLayer(ImageDataLayer):
    """Samples with several labels each.

    bottoms: none.
    tops: data, float32 (B, C, H, W); label, (B, L, 1, 1); sample_weight, of the label's shape; with `domain`, last, domain (B,).
    errors: ConfigError for tops that do not fit the source or the options; DataError for a source, a record or a label that cannot be used.
    multilabel: 0 or 1 for each of the L labels (`label_dim`), -1 where that is not known; otherwise L is 1 and it is the
    label itself.
    """

    def label_shape(self) -> Tuple[int, ...]:
        options = self.options
        if options.has_values:
            return super().label_shape() or (1,)
        labels = self.source_labels()
        if not options.multilabel:
            if labels.ndim > 1 and labels.shape[1] > 1:
                raise DataError(
                    f"records of {self._source.path} have {labels.shape[1]} labels",
                    remedy="set 'multilabel': true, or use ImageDataLayer, which gives rows of labels unchanged",
                    layer=self.name,
                )
            return 1, 1, 1
        found = int(labels.max()) + 1
        label_dim: int = options.label_dim or self._source.label_dim or max(found, 1)
        if found > label_dim:
            record = int(np.argwhere(labels == found - 1)[0][0])
            raise self._source.error(
                f"label {found - 1}, but 'label_dim' is {label_dim}: labels are 0 to {label_dim - 1}",
                record=record,
            )
        return label_dim, 1, 1

    def write_labels(self, labels: np.ndarray, records: np.ndarray, out: np.ndarray) -> None:
        rows = labels.reshape(len(records), -1)
        if self.options.has_values:
            out[...] = rows
        elif not self.options.multilabel:
            out[...] = rows[:, :, None, None]
        else:
            self._write_indicators(records, rows, out)

    def _write_indicators(self, records: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
        """0, 1, or -1 where it is not known, for each label."""
        out[...] = 0
        if self._source.unknown is not None:
            out[:, : self._source.unknown.shape[1]][self._source.unknown[records]] = -1
        beyond = np.argwhere(rows >= out.shape[1])
        if len(beyond):  # the source has none
            sample, place = beyond[0]
            raise wrong(
                self.options.transform,
                f"returned the label {rows[sample, place]}, but the top has {out.shape[1]} labels",
                f"return labels from 0 to {out.shape[1] - 1}, or raise 'label_dim'",
            ).within(self._source.describe(records[sample]), records[sample])
        sample, place = np.nonzero(rows >= 0)
        out[sample, rows[sample, place]] = 1  # those of the user's transform are known


class _ComparisonLayer(DataLayer):
    """What layers of pairs and triplets share."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        options, batch_size = self.options, self.options.batch_size
        if self.training and options.counts_iterations() and not options.resume:
            log.warning(
                "%s: a run that is restored from a snapshot starts again at iteration 0, with %d iterations of plain sampling "
                "('n'); set 'resume': true to continue",
                self.name,
                options.n,
            )
        images = self._sampler.arity if options.stacked else 1  # that a top of labels is about
        for number, name in self._others(top):
            if name in ("label", "label_p"):
                self.give_shape(top[number], (images * batch_size, *self.source_labels().shape[1:]), _OF_LABELS)
            else:
                top[number].reshape(batch_size, *_SHAPES[name])

    def annotate(self, top: Blobs, batch: Batch) -> None:
        for number, name in self._others(top):
            if name in ("label", "label_p"):
                records = batch.records if self.options.stacked else batch.records[("label", "label_p").index(name)]
                top[number].data[...] = self.source_labels()[records.ravel()]
            else:
                assert batch.values is not None
                np.copyto(top[number].data.reshape(-1), batch.values)

    def _others(self, top: Blobs) -> Iterator[Tuple[int, str]]:
        """The tops behind the images: place and name."""
        images = 1 if self.options.stacked else self._sampler.arity
        for number, name in enumerate(self.options.top_names()[: len(top)]):
            if number >= images:
                yield number, name.strip("[]")


#: The shape of a sample in tops behind the images.
_SHAPES: Dict[str, Tuple[int, ...]] = {"sim": (), "margin": (1, 1, 1)}


class SiameseDataLayer(_ComparisonLayer):
    """Pairs, as stock ContrastiveLoss needs them.

    bottoms: none.
    tops: data, data_p, float32 (B, C, H, W); sim, (B,): 1 of one class, 0 of two, or with `graded` from 0 to 1; label, label_p, (B,). With
        `stacked` data (2B, C, H, W), sim, label (2B,).
    errors: ConfigError for tops that do not fit the source or the options; DataError for a source, a record or a label that cannot be used.
    Drawn pairs are of one class and of two in turn.
    """


class TripletDataLayer(_ComparisonLayer):
    """Triplets of an anchor, a positive of its class, and a negative of another.

    bottoms: none.
    tops: anchor, positive, negative, each float32 (B, C, H, W); margin, (B, 1, 1, 1), for the MULTILABEL types. With `stacked` data
        (3B, C, H, W), margin, label (3B,).
    errors: ConfigError for tops that do not fit the source or the options; DataError for a source, a record or a label that cannot be used.
    Anchors are permuted each epoch in TRAIN.
    """
