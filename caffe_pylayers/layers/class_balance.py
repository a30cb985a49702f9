"""Class weights from label counts, for stock InfogainLoss and for any weighted loss."""

from typing import Any, Optional, Tuple

import numpy as np

from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.files.counts import read_class_weights, read_counts, read_image_counts, read_target_counts
from caffe_pylayers.files.matrix import read_matrix
from caffe_pylayers.layers.adapter import Blobs, Layer, log
from caffe_pylayers.layers.frozen import counter
from caffe_pylayers.layers.targets import Targets
from caffe_pylayers.losses.class_weights import (
    add_counts,
    class_weights,
    count_in_images,
    count_labels,
    mean_weight,
    scale_weights,
    smoothing_matrix,
    target_index,
)
from caffe_pylayers.losses.reduction import Array

_LISTED = 20  # class weights that a logged line shows one by one


class _ClassBalance(Layer):
    """A layer that turns label counts into class weights.

    Classes are balanced in groups: all K of them in one, or with `per: label` a group of two for each of L labels, 2 l for
    a negative target of label l and 2 l + 1 for a positive one. The counts, of the batch, of all batches so far or from a
    file, are an array (1, all classes), or (2, K) for median_frequency: its second row has the labels of the images in
    which each class occurs. An iteration is `iter_size` TRAIN forwards. Running counts and the iteration are TRAIN's, which
    the TEST net shares with `resume`; of several ranks each counts its own, and snapshots have rank 0's.
    """

    unless = ""  # what the logged line adds
    instead = ""  # what to do where the labels are targets

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        options = self.options
        self._per_label = options.per == "label"
        self._groups = (options.n_classes, 2) if self._per_label else (1, options.n_classes)
        self._targets = Targets(options.n_classes, options.ignore_label)
        self._by_image = options.rule == "median_frequency"
        self._running = options.counts == "running"
        num_rows, num_classes = 2 if self._by_image else 1, self._groups[0] * self._groups[1]
        self._fixed: Optional[np.ndarray] = None
        if options.counts not in ("batch", "running"):
            read = read_target_counts if self._per_label else read_image_counts if self._by_image else read_counts
            self._fixed = read(options.counts, options.n_classes).reshape(-1, num_classes)
        self._by_hand: Optional[np.ndarray] = None
        if options.weights is not None:
            given = isinstance(options.weights, tuple)
            self._by_hand = (
                np.array(options.weights) if given else read_class_weights(options.weights, options.n_classes)
            )
        order = "label weights" if self._per_label else "class weights"
        self._counter = counter(self, order, num_rows * num_classes if self._running else 0)
        self._logged = False
        self._deferred = False
        if not options.resume and (self._running or options.defer):
            self._warn_of_restarts()

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            self.write(top[0], *self.weigh(bottom))

    def write(self, top: Any, weights: Array, labels: Array, ignored: Optional[Array]) -> None:
        """Write the top, from what `weigh` returns."""
        raise NotImplementedError(f"{self.name} writes no top")

    def weigh(self, bottom: Blobs) -> Tuple[Array, Array, Optional[Array]]:
        """The weights of all classes, the labels, flat, by the numbers of their classes, and which of them are ignored.

        Counts and weights, a few numbers per class, are computed on the host, because they are logged and may be a blob.
        """
        labels, ignored = self._index(bottom[0])
        counts = self._counts(labels, ignored, bottom[0].shape[0])
        by_group = counts.reshape(len(counts), *self._groups)
        self._check_empty(by_group[0])
        weights = self._weights(by_group)
        mean = mean_weight(weights.ravel(), counts[0])
        deferred = self._is_deferred()
        if not self._logged:
            self._warn_of_equal_frequencies(counts)
        if not self._logged or (self.training and self._deferred and not deferred):
            self._log(weights, mean, deferred)
        self._logged, self._deferred = True, deferred
        if self.training:
            self._counter.write(self._counter.read() + 1)
        if deferred:
            means = np.array([[mean_weight(*group)] for group in zip(weights, by_group[0])])
            # Absent classes stay at 0; by hand a weight is that of a class, be it in the batch or not.
            weights = np.where((by_group[0] > 0) | (self._by_hand is not None), means, 0.0)
        return self.xp.asarray(weights.ravel()), labels, ignored

    def _index(self, blob: Any) -> Tuple[Array, Optional[Array]]:
        """The number of each label's class, flat, and which labels are ignored."""
        options = self.options
        if not self._per_label:
            found = self._targets.found(self.read(blob)) if options.per is None else ""
            if found:
                raise DataError(
                    f"{found}, but class numbers are expected",
                    remedy=f"{self.instead}; 'per': 'class' reads 0 and 1 as class numbers",
                    layer=self.name,
                )
            return self.labels(self.read(blob), options.n_classes, options.ignore_label)
        num_samples, *rest = blob.shape
        if (rest[0] if rest else 1) != options.n_classes:
            raise ConfigError(
                f"label has shape {tuple(blob.shape)}, {rest[0] if rest else 1} labels per sample",
                remedy=f"'n_classes' is {options.n_classes}, but with 'per': 'label' it must be the number of labels",
                layer=self.name,
            )
        targets, ignored = self.labels(self.read(blob), 2, options.ignore_label, "target", unknown=True)
        return target_index(targets.reshape(num_samples, options.n_classes, *rest[1:])).reshape(-1), ignored

    def _weights(self, counts: np.ndarray) -> np.ndarray:
        """The weights, (groups, classes of one), by counts, (1 or 2, groups, classes of one)."""
        options = self.options
        if self._by_hand is None:
            groups = [
                class_weights(of, options.rule, options.beta, in_images) for of, in_images in zip(counts[0], counts[-1])
            ]
        elif self._per_label:
            groups = [np.array([1.0, weight]) for weight in self._by_hand]
        else:
            groups = [self._by_hand]
        return np.array([scale_weights(group, of, options.scale) for group, of in zip(groups, counts[0])])

    def _counts(self, labels: Array, ignored: Optional[Array], num_images: int) -> np.ndarray:
        if self._fixed is not None:
            return self._fixed
        num_classes = self._groups[0] * self._groups[1]
        counts = [count_labels(labels, num_classes, ignored)]
        if self._by_image:
            by_image = (num_images, -1) if labels.size else (0, 0)
            left_out = None if ignored is None else ignored.reshape(by_image)
            counts.append(count_in_images(labels.reshape(by_image), num_classes, left_out))
        batch = np.array([self.on_host(each) for each in counts])
        if not self._running:
            return batch
        running = self._counter.numbers.reshape(batch.shape)
        if self.training:
            add_counts(running, batch, self.options.decay)
        elif not running.any():  # TRAIN has not begun, or keeps its counts to itself
            return batch
        return running.astype(np.float64)

    def _is_deferred(self) -> bool:
        """Whether this is an iteration in which all classes have one weight."""
        options = self.options
        iteration = self._counter.read() // options.iter_size
        # A TEST net that cannot see TRAIN's iteration has the weights that matter in the end.
        return bool(iteration < options.defer and (self.training or options.resume))

    def _check_empty(self, counts: np.ndarray) -> None:
        """counts: (groups, classes of one)."""
        if self.options.empty == "zero" or counts.all():
            return
        group, absent = np.argwhere(counts == 0)[0].tolist()
        if self._per_label:
            missing, what = f"label {group} has no {('negatives', 'positives')[absent]}", "target"
        else:
            missing, what = f"no label of class {', '.join(map(str, np.flatnonzero(counts == 0)))}", "class"
        names = {"batch": "the batch", "running": "the batches so far"}
        counted = self.options.counts
        source = names.get(counted, counted) if isinstance(counted, str) else "'counts'"
        raise DataError(
            f"{missing} in {source}, and 'empty' is 'error'",
            remedy=f"'empty': 'zero' gives an absent {what} weight 0",
            layer=self.name,
        )

    def _log(self, weights: np.ndarray, mean: float, deferred: bool) -> None:
        """weights: (groups, classes of one)."""
        first, every = self.options.defer, "every class has"
        if self._per_label:
            negatives, positives = (_shown(of, "label") for of in weights.T)
            shown, every = (
                f"weights of positives {positives} and of negatives {negatives}, one per label",
                "on average targets have",
            )
        else:
            shown = f"class weights {_shown(weights[0], 'class')}"
        if deferred:
            line = f"{every} weight {mean:.4g} up to iteration {first}, then {shown}; both"
        elif self._logged:
            line = f"iteration {first}: from now on {shown}; they"
        else:
            line = f"{shown}; they"
        log.info("%s: %s multiply the mean loss by %.4g%s", self.name, line, mean, self.unless)

    def _warn_of_restarts(self) -> None:
        options = self.options
        if self.training:
            counted = [*(["labels"] if self._running else []), *(["iterations"] if options.defer else [])]
            log.warning(
                "%s: a run restored from a snapshot will count %s from 0 again; with 'resume': True it continues",
                self.name,
                " and ".join(counted),
            )
            return
        uses = [
            *(["counts of its own batches"] if self._running else []),
            *([f"the weights of iteration {options.defer} and later"] if options.defer else []),
        ]
        log.warning(
            "%s: without 'resume': True a TEST net does not know what TRAIN has counted; this one uses %s",
            self.name,
            " and ".join(uses),
        )

    def _warn_of_equal_frequencies(self, counts: np.ndarray) -> None:
        if self._by_image and counts.any() and np.array_equal(*counts):
            log.warning(
                "%s: rule 'median_frequency' gives every class the same weight, because no image has labels of two classes; "
                "if images have one label each, use 'balanced'",
                self.name,
            )


class ComputeH(_ClassBalance):
    """The infogain matrix H = diag(w) M, for stock InfogainLoss as its third bottom.

    w are the class weights; M is (1 - e) I + e/K 11' with e the option `smoothing` (Szegedy et al. 2016), or the matrix of the
    file `source`.
    bottoms: label, float32 of any shape, integers in 0 .. K-1, counted over all of it.
    tops: H, float32 (1, 1, K, K). The row of a class without labels is 0, and never read.
    errors: DataError for a label that is not an integer in range, a file that cannot be read, and with `empty: error` a class
        without labels.
    """

    instead = "for targets of several labels use SampleWeight with 'per': 'label' and WeightedSigmoidCrossEntropyLoss"

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        options = self.options
        if options.source is not None:
            self._matrix = read_matrix(options.source, options.n_classes)
        else:
            self._matrix = smoothing_matrix(options.n_classes, options.smoothing)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(1, 1, self.options.n_classes, self.options.n_classes)

    def write(self, top: Any, weights: Array, labels: Array, ignored: Optional[Array]) -> None:
        matrix = self.here("matrix", self._matrix, np.float64)
        self.xp.multiply(weights[:, None], matrix, out=self.data(top)[0, 0])


class SampleWeight(_ClassBalance):
    """The class weight of each label: the sample_weight of any weighted loss.

    bottoms: label, float32 of any shape, integers in 0 .. K-1; with `per: label` targets (N, L, ...), 0 or 1 for each of L labels, -1
        where not known.
    tops: weights, float32 of the label's shape. An ignored label, or a target not known, has weight 0. Works in place.
    errors: ConfigError for targets without `per: label`; DataError as those of ComputeH.
    """

    instead = "'per': 'label' weights each label by its own positives and negatives ('n_classes' is then the number of labels)"
    unless = ", unless it is divided by the weights too"

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(*bottom[0].shape)

    def write(self, top: Any, weights: Array, labels: Array, ignored: Optional[Array]) -> None:
        each = self.data(top).reshape(-1)
        each[...] = weights.astype(np.float32)[labels]
        if ignored is not None:
            each[ignored] = 0


def _shown(weights: np.ndarray, what: str) -> str:
    """The weights in words: one by one, or where they are many the smallest, the largest and how many are 0.

    what: a weight is of: "class" or "label".
    """
    if len(weights) <= _LISTED:
        return ", ".join(f"{w:.4g}" for w in weights)
    positive = np.where(weights > 0, weights, np.inf)
    smallest, largest = int(np.argmin(positive)), int(np.argmax(weights))
    num_zeros = int(np.count_nonzero(weights == 0))
    zeros = f", 0 for {num_zeros} {'classes' if what == 'class' else 'labels'}" if num_zeros else ""
    return f"from {weights[smallest]:.4g} ({what} {smallest}) to {weights[largest]:.4g} ({what} {largest}) of {len(weights)}{zeros}"
