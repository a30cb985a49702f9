"""How many labels each class has, in arrays or in a source, and the class weights that follow."""

from dataclasses import dataclass, replace
from typing import Any, Callable, Iterable, List, Optional, Sequence, Union

import numpy as np
from tqdm import tqdm

from caffe_pylayers.blob_limits import LARGEST_LABEL
from caffe_pylayers.commands.balance.value_columns import ValueColumns, value_columns
from caffe_pylayers.data.epoch import Epoch
from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.sources.label_sets import check_sets
from caffe_pylayers.errors import DataError
from caffe_pylayers.losses.class_weights import (
    class_weights,
    count_in_images,
    count_labels,
    mean_weight,
    scale_weights,
)

#: The rules of class weights, as option `rule` of ComputeH has them.
RULES = ("max_count", "balanced", "inverse_sqrt", "median_frequency", "effective_number")

_LABELS_AT_ONCE = 1 << 20

#: A part of the labels: integers (N,) or (N, ...), a row per record.
Labels = np.ndarray


@dataclass(frozen=True, eq=False)
class LabelCounts:
    """What was counted.

    of: what the labels are of, in words. counts: int64 (K,), the labels of each class. in_images: int64 (K,), the labels,
    of any class, of all records in which the class occurs (what rule median_frequency asks). num_records: records
    looked at. a_record: int64, how many records have 0, 1, 2, ... labels. num_ignored: labels that were left out.
    doubt: why rows of several labels may have another form than they were counted in, or "". negatives: int64 (K,), the records
    that are known not to have each label, where a row is a set of labels. epoch: of the net whose source was counted.
    """

    of: str
    counts: np.ndarray
    in_images: np.ndarray
    num_records: int
    a_record: np.ndarray
    num_ignored: int = 0
    doubt: str = ""
    negatives: Optional[np.ndarray] = None
    epoch: Optional[Epoch] = None

    @property
    def absent(self) -> List[int]:
        """The classes that do not occur."""
        return [int(number) for number in np.flatnonzero(self.counts == 0)]

    @property
    def several(self) -> bool:
        """Whether some record has more than one label."""
        return len(self.a_record) > 2

    def weights(self, rule: str, beta: float = 0.999, scale: str = "mean_one") -> np.ndarray:
        """The class weights by a rule and a scale, as ComputeH and SampleWeight have them: float64 (K,)."""
        return scale_weights(class_weights(self.counts, rule, beta, self.in_images), self.counts, scale)

    def mean_weight(self, weights: np.ndarray) -> float:
        """What the weights make of a mean loss of 1."""
        return mean_weight(weights, self.counts)

    @property
    def ratio(self) -> float:
        """The largest count by the smallest that is not 0."""
        return float(self.counts.max() / self.counts[self.counts > 0].min())


def count(
    of: str,
    parts: Iterable[Labels],
    num_classes: Optional[int] = None,
    ignore_label: Optional[int] = None,
    padded: bool = False,
    describe: Callable[[int], str] = "record {}".format,
) -> LabelCounts:
    """Count labels that come in parts, each (N,) or (N, ...).

    num_classes: K; None: the largest label and 1 more. padded: -1 is no label, but fills a row that has fewer.
    describe: names a record in messages.
    Raises DataError where there is no label, or one is not an integer from 0 to K - 1.

    >>> count("three records", [np.array([0, 2, 2])]).counts
    array([1, 0, 2])
    """
    counter = _Counter(num_classes, ignore_label, padded, describe)
    for part in parts:
        rows = part.reshape(len(part), -1) if part.size else np.empty((0, 1))
        at_once = max(1, _LABELS_AT_ONCE // max(1, rows.shape[1]))
        for start in range(0, len(rows), at_once):
            counter.add(rows[start : start + at_once])
    if not counter.counts.any():
        ignored = (
            f": all {counter.num_ignored} labels are {ignore_label}, and {ignore_label} is ignored"
            if counter.num_ignored
            else ""
        )
        raise DataError(f"it has no labels to count{ignored}", source=of)
    return LabelCounts(
        of, counter.counts, counter.in_images, counter.num_records, counter.a_record, counter.num_ignored
    )


class _Counter:
    """The counts so far; see :func:`count`."""

    def __init__(
        self, num_classes: Optional[int], ignore_label: Optional[int], padded: bool, describe: Callable[[int], str]
    ) -> None:
        self._num_classes = num_classes
        self._ignore_label = ignore_label
        self._padded = padded
        self._describe = describe
        self.counts, self.in_images = np.zeros((2, num_classes or 1), np.int64)
        self.a_record = np.zeros(1, np.int64)
        self.num_records = self.num_ignored = 0

    def add(self, rows: Labels) -> None:
        """Count rows (N, L), one per record."""
        there = rows != -1 if self._padded else np.ones(rows.shape, bool)
        if self._ignore_label is not None:
            ignored = there & (rows == self._ignore_label)
            self.num_ignored += int(np.count_nonzero(ignored))
            there &= ~ignored
        self._refuse(rows, there)
        labels = np.where(there, rows, 0).astype(np.int64)
        size = max(len(self.counts), int(labels.max()) + 1)
        self.a_record = _sum(self.a_record, np.bincount(there.sum(1)))
        counts = count_labels(labels.ravel(), size, ~there.ravel())
        in_images = count_in_images(labels, size, ~there) if rows.shape[1] > 1 else counts
        self.counts, self.in_images = _sum(self.counts, counts), _sum(self.in_images, in_images)
        self.num_records += len(rows)

    def _refuse(self, rows: Labels, there: np.ndarray) -> None:
        """Raise DataError for the first label that is no class."""
        most = self._num_classes or LARGEST_LABEL
        wrong = there & ~((rows >= 0) & (rows < most) & (rows == np.floor(rows)))
        if not wrong.any():
            return
        row, place = np.argwhere(wrong)[0].tolist()
        label = rows[row, place]
        if label != np.floor(label):  # NaN too
            remedy = "labels of classes are integers"
        elif label < 0:
            remedy = f"classes are numbered from 0; if {label:.0f} is not a class, leave it out with --ignore-label {label:.0f}"
        elif self._num_classes:
            remedy = f"with {most} classes, labels are 0 to {most - 1}"
        else:
            remedy = f"classes are numbered from 0, up to {most - 1}"
        raise DataError(f"label {label:.10g}", remedy=remedy, source=self._describe(self.num_records + row))


def _sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a + b, the shorter one with zeros behind it."""
    size = max(len(a), len(b))
    return np.pad(a, (0, size - len(a))) + np.pad(b, (0, size - len(b)))


def of_source(
    source: Source, num_classes: Optional[int] = None, ignore_label: Optional[int] = None
) -> Union[LabelCounts, ValueColumns]:
    """Count the labels of a source, or say where its values lie; its images are not read. Raises DataError as :func:`count` does."""
    of = source.described
    if source.labels is None:
        raise DataError(
            "it has no labels",
            remedy="name a column or a file with --labels, or count another source; --maps counts the pixels of label maps",
            source=of,
        )
    if source.has_values:
        return value_columns(source)
    several = source.labels.ndim > 1
    num_classes = num_classes or source.label_dim
    doubt = ""
    try:
        check_sets(source)  # which they need not be: a row may have a label for each of several tasks
    except DataError as error:
        doubt = str(error)
    counts = count(of, [source.labels], num_classes, ignore_label, several, source.describe)
    return replace(counts, doubt=doubt, negatives=None if doubt else _negatives(source, counts.counts))


def of_mixture(
    source: Source, rates: Sequence[float], num_classes: Optional[int] = None, ignore_label: Optional[int] = None
) -> Union[LabelCounts, ValueColumns]:
    """Count the labels of several sources in one as often as they are fed. rates: how often the records of each come.

    A label of the source whose records come least often counts once. Raises DataError as :func:`count` does, and where the sources have
    labels of different forms.
    """
    if source.labels is None:
        raise source.no_labels()
    whole = of_source(source, num_classes, ignore_label)
    least = min(rates)
    if not isinstance(whole, LabelCounts) or np.allclose(rates, least):
        return whole
    parts: List[Any] = [of_source(part, len(whole.counts), ignore_label) for part in source.parts]

    def fed(name: str) -> np.ndarray:
        return np.rint(sum(rate / least * getattr(part, name) for rate, part in zip(rates, parts))).astype(np.int64)

    doubt = next((each.doubt for each in (whole, *parts) if each.doubt), "")
    times = ", ".join(f"{rate / least:.3g}" for rate in rates)
    return replace(
        whole,
        of=f"{whole.of}, as often as they are fed (times {times})",
        counts=fed("counts"),
        in_images=fed("in_images"),
        doubt=doubt,
        negatives=None if doubt else fed("negatives"),
    )


def of_maps(
    options: Any, sources: Sequence[Source], num_classes: Optional[int] = None, ignore_label: Optional[int] = None
) -> LabelCounts:
    """Count the pixels of each label in the maps that the options of an ImageMapDataLayer name; no image is read.

    sources: those of the options, see `sources_of`. Raises DataError as :func:`count` does, and where the maps have values.
    """
    from caffe_pylayers.data.maps import maps_of  # here, for it takes the time that cv2 takes

    source, *others = sources
    maps = maps_of(options, others)[0]
    if maps.kind != "labels":
        raise DataError(
            "its maps have values, not labels", remedy="there are no classes to count", source=source.described
        )
    records = tqdm(range(len(source)), desc="counting", unit="maps", disable=None)
    try:
        parts = (maps.load(record)[None] for record in records)
        return count(f"maps of {source.described}", parts, num_classes, ignore_label, describe=maps.source.describe)
    finally:
        maps.source.close()


def _negatives(source: Source, positives: np.ndarray) -> np.ndarray:
    """How many records are known not to have each label: int64 (K,)."""
    negatives = len(source) - len(source.damaged) - positives
    if source.unknown is not None:
        negatives[: source.unknown.shape[1]] -= np.count_nonzero(source.unknown, axis=0)
    return negatives
