"""All figures of one set of embeddings."""

from dataclasses import replace
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.evaluation.nearness import METRICS, Nearness
from caffe_pylayers.evaluation.places import blocks
from caffe_pylayers.evaluation.records import Records
from caffe_pylayers.evaluation.retrieval import (
    Progress,
    Reidentification,
    Retrieval,
    Rows,
    nearest,
    reidentification,
    retrieval,
)
from caffe_pylayers.evaluation.verification import Verification, verification


def _nobody(query: int) -> None:
    """Nobody wants to know how far it is."""


class Evaluation:
    """What embeddings are worth.

    features: (N, D), or Records. labels, cameras: (N,) integers. metric: cosine or euclidean. gallery: (features, labels) or (features, labels,
    cameras), or Records, in which the queries are looked for; by default the queries themselves, each without itself.
    at_once: queries per block, which changes no figure. progress: called with the number of each query.
    Raises ConfigError and DataError for what cannot be evaluated.
    """

    def __init__(
        self,
        features: Any,
        labels: Any = None,
        cameras: Any = None,
        *,
        metric: str = "cosine",
        gallery: Any = None,
        at_once: Optional[int] = None,
        progress: Progress = _nobody,
    ) -> None:
        if metric not in METRICS:
            raise ConfigError(f"metric {metric!r} is unknown", remedy=f"one of {', '.join(METRICS)}", option="metric")
        self.queries = features if isinstance(features, Records) else Records(features, labels, cameras)
        if gallery is None:
            self.gallery = self.queries
        else:
            named = {} if isinstance(gallery, Records) else dict(zip(("features", "labels", "cameras"), gallery))
            self.gallery = Records(**named, source="gallery") if named else gallery
        self._nearness = Nearness(self.queries, self.gallery, metric)
        self._metric, self._at_once, self._progress = metric, at_once, progress

    @property
    def unit(self) -> str:
        """What its numbers are."""
        return "cosine" if self._metric == "cosine" else "distance"

    @property
    def zeros(self) -> int:
        """How many features are vectors of zeros, whose cosine counts as 0."""
        return self._nearness.zeros

    def retrieval(self, at: Sequence[int] = (1, 2, 4, 8)) -> Retrieval:
        """recall@k for each k of `at`, MAP@R and R-precision."""
        return retrieval(self._rows(), self.queries, self.gallery, _places(at), self._progress)

    def reidentification(self, at: Sequence[int] = (1, 5, 10), junk: Sequence[int] = ()) -> Reidentification:
        """CMC at each rank of `at`, and mAP. junk: identities that are left out of the gallery, beside negative ones."""
        return reidentification(self._rows(), self.queries, self.gallery, _places(at), junk, self._progress)

    def verification(self, pairs: Any, same: Any, folds: int = 10, source: str = "pairs") -> Verification:
        """Figures of pairs.

        pairs: (2, M), the numbers of a query and of a record of the gallery. same: (M,), whether they are of one class, or 1 and 0. folds: parts of the list,
        in its order. source: where the pairs come from, for messages.
        """
        one, other, is_same = _pairs(pairs, same)
        for records, numbers in ((self.queries, one), (self.gallery, other)):
            outside = (numbers < 0) | (numbers >= len(records))
            if outside.any():
                raise DataError(
                    f"there is no record {numbers[outside][0]}, as pair {int(np.argmax(outside))} has it",
                    remedy=f"records are numbered 0 to {len(records) - 1}",
                    source=records.source,
                )
        units = self._nearness.in_units(self._nearness.of_pairs(one, other))
        sign = 1 if self._metric == "cosine" else -1  # the larger the nearer
        found = verification(sign * units, is_same, folds, source)
        return replace(found, threshold=sign * found.threshold)

    def nearest(self, queries: Sequence[int], count: int) -> List[Tuple[np.ndarray, np.ndarray]]:
        """For each of these queries its nearest records of the gallery, and their cosines or distances."""
        found = []
        for query in queries:
            row = self._nearness.of(slice(query, query + 1))[0]
            records = nearest(row, count, query if self.gallery is self.queries else None)
            found.append((records, self._nearness.in_units(row[records])))
        return found

    def _rows(self) -> Rows:
        return blocks(self._nearness, len(self.queries), len(self.gallery), self._at_once)


def _pairs(pairs: Any, same: Any) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both records of each pair, (M,), and whether they are of one class, bool (M,). Raises DataError where they are something else."""
    numbers, known = np.asarray(pairs), np.asarray(same)
    if numbers.ndim != 2 or len(numbers) != 2 or not numbers.size or numbers.dtype.kind not in "iu":
        raise DataError(
            f"pairs are an array of {numbers.dtype} of shape {numbers.shape}",
            remedy="integers of shape (2, M) are expected: all first records, then all second ones",
        )
    if known.shape != numbers.shape[1:] or not np.isin(known, (0, 1)).all():
        raise DataError(
            f"`same` is an array of {known.dtype} of shape {known.shape}, but there are {numbers.shape[1]} pairs",
            remedy="True or 1 (of one class), or False or 0, is expected per pair",
        )
    return numbers[0].astype(np.int64), numbers[1].astype(np.int64), known.astype(bool)


def _places(at: Sequence[int]) -> List[int]:
    if not np.iterable(at) or not len(at) or any(int(each) != each or each < 1 for each in at):
        raise ConfigError(f"`at` is {at}", remedy="give integers from 1, such as 1, 2, 4, 8", option="at")
    return sorted({int(each) for each in at})
