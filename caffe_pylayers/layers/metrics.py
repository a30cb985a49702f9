"""Metrics of many batches: of counts of classes, and of the order of scores."""

import math
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.layers.adapter import Blobs, Layer, log, place
from caffe_pylayers.layers.scores import ClassAxis
from caffe_pylayers.losses.confusion import (
    confusion_matrix,
    count_classes,
    deeplab_metrics,
    metric_of_counts,
    predictions,
)
from caffe_pylayers.losses.ranking import mean_rank_metrics
from caffe_pylayers.losses.reduction import Array

#: Scores are sorted again if there are so many times those of the last time, so that a pass costs some sorts, not one per batch.
_GROWTH = 1.25


class _Pass:
    """What the batches of a pass have added up to. of: the number of classes and the library of arrays that it is for."""

    def __init__(self, of: Tuple[int, Any]) -> None:
        self.of = of
        self.batches = 0
        self.counts: Array = 0.0
        self.matrix: Array = 0.0
        self.num_kept = 0
        self._kept: List[Tuple[Array, ...]] = []  # scores, labels and weights of each batch
        self._ranked, self._num_ranked = (math.nan, math.nan), 0
        self._given: Dict[str, Array] = {}  # by top: the sum of what it gave, in float32 as Caffe adds it up

    def keep(self, *arrays: Array) -> None:
        self._kept.append(arrays)
        self.num_kept += arrays[0].size

    def ranked(self, exact: bool) -> Tuple[float, float]:
        """AUC and average precision of all scores, or unless `exact` those of the last time, if few have come since."""
        if self._kept and (exact or self.num_kept >= _GROWTH * self._num_ranked):
            self._kept = [tuple(self.of[1].concatenate(arrays) for arrays in zip(*self._kept))]
            self._ranked, self._num_ranked = mean_rank_metrics(*self._kept[0]), self.num_kept
        return self._ranked

    def share(self, top: str, values: Array, last: bool) -> Array:
        """What a top gives in this batch, so that at the end the mean of all that it gave is `values`.

        It is what Caffe's sum lacks to be `batches` times the values. NaN, the metric of nothing, counts as 0 before the
        last batch.
        """
        xp = self.of[1]
        total = values if last else xp.where(xp.isnan(values), 0.0, values)
        given = self._given.get(top, 0.0)
        share = (self.batches * total - given).astype(np.float32)
        self._given[top] = given + share
        return share


class _ClassCounts(Layer):
    """A layer that adds up over batches which classes its scores predict."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._axis = ClassAxis(self)
        self._pass: Optional[_Pass] = None
        self._told = False

    def pass_of(self, scores: Array) -> _Pass:
        """The pass that goes on, or a new one."""
        of = (scores.shape[1], self.xp)
        if self._pass is None or self._pass.of != of:
            self._pass = _Pass(of)
        return self._pass

    def predicted(self, scores: Array, label: Array, weights: Optional[Array]) -> Array:
        """The predicted class of each position. label: the bottom. weights: 0 for a position that does not count."""
        found, num_classes = predictions(scores, self.buffer), scores.shape[1]
        if found.size and int(found.max()) == num_classes:
            nan = found == num_classes
            self.refuse_nan(nan, label, weights)
            found = self.xp.where(nan, 0, found)
        return found

    def refuse_nan(self, nan: Array, label: Array, weights: Optional[Array]) -> None:
        """Raise DataError if a position that counts has scores that cannot be compared."""
        nan = nan if weights is None else nan & (weights > 0)
        if nan.size and bool(nan.any()):
            raise DataError(
                f"the scores at {place(label, int(self.xp.argmax(nan.reshape(-1))))} cannot be compared: NaN, or two that are infinite",
                remedy="if the loss is NaN too, lower the learning rate; 'ignore_label' leaves out labels",
                layer=self.name,
            )

    def tell_once(self, text: str, *values: Any) -> None:
        if not self._told:
            self._told = True
            log.warning("%s: " + text, self.name, *values)


def _rows(planes: Array) -> Array:
    """(M, K) or (M, K, P) with a row per position."""
    return planes if planes.ndim == 2 else planes.swapaxes(1, 2).reshape(-1, planes.shape[1])


class Metrics(_ClassCounts):
    """Metrics of a whole test, as Caffe prints them: it prints the mean of a top over test_iter.

    bottoms: scores, float32, with the K classes along `axis`; label, integers in 0 .. K-1, of the scores' shape without that
        axis or any shape of that count, or a target 0 or 1 for each score, -1 if it is not known; sample_weight, at least 0,
        of the label's shape or one per sample.
    tops: metrics, a number for each entry of `of`; confusion, (K, K), the weight of the labels of each class (row) that are
        predicted as each class (column).
    errors: as those of WeightedSoftmaxLoss; DataError for scores that are NaN, and for more than `max_scores` scores.
    The predicted class is that of the highest score, the first of several. With `output: whole` batch j of a pass gives
    j m_j - (j - 1) m_(j-1), if m_j is the metric of the batches up to it; so the mean over the pass is the metric of the pass.
    A metric of nothing is NaN. TRAIN: each batch by itself. It has no gradient: give it no loss_weight.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._every = 1 if self.training else self.options.restart_every
        self._counted = [*self.options.counted(), *self.gives[1:]]
        if not self.training and not self.options.given("restart_every"):
            log.warning(
                "%s: 'restart_every' is not given, so each number is that of one batch, and Caffe prints their mean, which is not the "
                "metric of the whole test; set 'restart_every' to the solver's test_iter",
                self.name,
            )

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        num_classes = self._axis.plane_shape(tuple(bottom[0].shape))[1]
        if self._counted and (num_classes < 2 or bottom[1].count == bottom[0].count > 0):
            raise ConfigError(
                f"{', '.join(self._counted)} of scores of shape {tuple(bottom[0].shape)} and labels of shape "
                f"{tuple(bottom[1].shape)}: there must be 2 classes or more, and the number of a class for each position",
                remedy="leave out all but average_precision and auc, which take a target for each score too",
                layer=self.name,
                option="of",
            )
        top[0].reshape(len(self.options.of))
        if len(top) > 1:
            self.give_shape(top[1], (num_classes, num_classes), "the number of classes, or leave out the second top")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            inputs = [self.read(bottom[i]) for i in range(len(bottom))]
            now = self._add(inputs)
            last, whole = now.batches == self._every, self.options.output == "whole"
            values = self._values(now, exact=last or not whole)
            if last:
                self._pass = None
            for i, value in enumerate((self.xp.asarray(values), now.matrix)[: len(top)]):
                self.data(top[i])[...] = now.share(self.gives[i], value, last) if whole else value
        undefined = [name for name, value in zip(self.options.of, values) if math.isnan(value)]
        if last and undefined:
            self.tell_once(
                "%s is NaN, and so is the mean over test batches that Caffe prints: no label counts, or all that count have one class",
                ", ".join(undefined),
            )

    def _add(self, inputs: Sequence[Array]) -> _Pass:
        """Add the bottoms' arrays to the pass."""
        scores = self._axis.planes(inputs[0])
        labels, weights = self._labels(scores, inputs)
        now, num_classes = self.pass_of(scores), scores.shape[1]
        ranks = self.options.keeps_scores() and scores.size > 0
        kept = self._to_keep(now, scores, labels, weights, inputs[1]) if ranks else ()
        if self._counted:
            counted = (labels, self.predicted(scores, inputs[1], weights), num_classes, weights)
            now.counts = now.counts + count_classes(*counted)
            if len(self.gives) > 1:
                now.matrix = now.matrix + confusion_matrix(*counted)
        if kept:
            now.keep(*kept)
        now.batches += 1
        return now

    def _labels(self, scores: Array, inputs: Sequence[Array]) -> Tuple[Array, Optional[Array]]:
        """The labels, one per position or, of the scores' shape, per score; and their weights, 0 for those left out."""
        if inputs[1].size == scores.size > 0:
            labels, ignored = self.labels(inputs[1], 2, self.options.ignore_label, "target", unknown=True)
            labels, ignored = labels.reshape(scores.shape), None if ignored is None else ignored.reshape(scores.shape)
        else:
            labels, ignored = self._axis.index_labels(*inputs[:2])
        weights = self.weights(inputs, labels.shape)
        if ignored is not None:
            weights = (~ignored).astype(np.float32) if weights is None else weights * ~ignored
        return labels, weights

    def _to_keep(
        self, now: _Pass, scores: Array, labels: Array, weights: Optional[Array], label: Array
    ) -> Tuple[Array, ...]:
        """Copies of scores (N, C), labels and weights, (N,) or (N, C), to keep."""
        per_score = labels.shape == scores.shape
        if scores.shape[1] == 2 and not per_score:
            scores = scores[:, 1:] - scores[:, :1]
        nan = scores != scores
        self.refuse_nan(nan if per_score else nan.any(axis=1), label, weights)
        there = now.num_kept + scores.size
        if there > self.options.max_scores:
            whole = math.ceil(there / (now.batches + 1) * self._every)
            raise DataError(
                f"'max_scores' is {self.options.max_scores}, but average_precision and auc keep all scores of a pass: {there} numbers of "
                f"{now.batches + 1} of {self._every} batches",
                remedy=f"set 'max_scores': {whole}, if there is memory for it, or leave them out of 'of'",
                layer=self.name,
                option="max_scores",
            )
        if weights is None:
            weights = self.xp.ones(labels.shape, np.float32)
        labels, weights = (_rows(each) if per_score else each.reshape(-1) for each in (labels, weights))
        return _rows(scores).astype(np.float32), labels.astype(np.int32), weights.astype(np.float32)

    def _values(self, now: _Pass, exact: bool) -> List[float]:
        """The metrics of the batches so far, in the order of `of`."""
        ranked = dict(zip(("auc", "average_precision"), now.ranked(exact))) if self.options.keeps_scores() else {}
        return [
            ranked[name] if name in ranked else metric_of_counts(name, now.counts, self.options.average)
            for name in self.options.of
        ]


class SegAccuracy(_ClassCounts):
    """SegAccuracy of DeepLab's Caffe: pixel accuracy, mean recall and mean IoU of each batch.

    bottoms: scores, float32 (N, K, ...); label, integers in 0 .. K-1, one per position.
    tops: accuracy, (1, 1, 1, 3): pixel accuracy; the mean recall of the classes that have labels; the mean IoU of all K classes, in
        which a class that neither labels nor predictions have counts as 1.
    errors: as those of WeightedSoftmaxLoss; DataError for scores that are NaN.
    Caffe prints the mean over batches, which is not the mean IoU of the whole test: Metrics gives that. With `reset: false`
    each batch gives the numbers of all batches since the net was set up. It has no gradient: give it no loss_weight.
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(1, 1, 1, 3)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            score, label = (self.read(bottom[i]) for i in range(2))
            scores = self._axis.planes(score)
            labels, ignored = self._axis.index_labels(score, label)
            weights = None if ignored is None else ~ignored
            predicted = self.predicted(scores, label, weights)
            if self.options.reset:
                self._pass = None
            now = self.pass_of(scores)
            now.counts = now.counts + count_classes(labels, predicted, scores.shape[1], weights)
            self.data(top[0])[...] = self.xp.asarray(deeplab_metrics(now.counts)).reshape(1, 1, 1, 3)
            absent = int(self.xp.count_nonzero(now.counts[1] + now.counts[2] == 0))
        if absent:
            self.tell_once(
                "neither labels nor predictions of a batch have %d of %d classes: mean IoU takes their IoU for 1, as DeepLab's does; "
                "Metrics leaves them out",
                absent,
                scores.shape[1],
            )
