"""Retrieval by class, and re-identification across cameras."""

from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.errors import DataError
from caffe_pylayers.evaluation.places import Right, right_of
from caffe_pylayers.evaluation.records import Records

#: Each query with its nearness to all of the gallery.
Rows = Iterator[Tuple[int, np.ndarray]]

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Retrieval:
    """Means over the queries.

    recall: by k, how many queries have a record of their class among the k nearest. map_at_r, r_precision: MAP@R and R-precision, for R records of
    the class in the gallery. queries: how many count. alone: queries without another record of their class. unlabelled: without a label.
    classes: how many the gallery has; with one all figures are 1.
    """

    recall: Dict[int, float]
    map_at_r: float
    r_precision: float
    queries: int
    alone: int
    unlabelled: int
    classes: int


@dataclass(frozen=True)
class Reidentification:
    """Means over the queries.

    cmc: by rank, how many queries have their identity among so many nearest. mean_ap: mAP, of all records of the identity.
    queries: how many count. alone: queries whose identity no other camera has. unlabelled: queries without identity.
    junk: records of the gallery that are left out. classes: how many identities the others have; with one all figures are 1.
    """

    cmc: Dict[int, float]
    mean_ap: float
    queries: int
    alone: int
    unlabelled: int
    junk: int
    classes: int


def retrieval(rows: Rows, queries: Records, gallery: Records, at: Sequence[int], done: Progress) -> Retrieval:
    """See :class:`Retrieval`. A query is not in its own gallery."""
    labels, others = _labels(queries), _labels(gallery)
    hits: List[List[bool]] = []
    sums: List[Tuple[float, float]] = []
    alone = 0
    for query, nearness in rows:
        done(query)
        if labels[query] < 0:
            continue
        is_right = others == labels[query]
        counted = others >= 0
        if gallery is queries:
            is_right[query] = counted[query] = False
        num_right = int(is_right.sum())
        if not num_right:
            alone += 1
            continue
        nearness[~counted] = -np.inf
        places = right_of(nearness, is_right, max(num_right, *at)).places
        within = places[places <= num_right]
        hits.append([bool(places.size) and int(places[0]) <= k for k in at])
        sums.append((float((np.arange(1, len(within) + 1) / within).sum()) / num_right, len(within) / num_right))
    _require_queries(hits, queries, gallery, "another record of its class")
    map_at_r, r_precision = np.mean(sums, 0).tolist()
    return Retrieval(
        _by_place(at, hits), map_at_r, r_precision, len(hits), alone, int((labels < 0).sum()), _num_classes(others)
    )


def reidentification(
    rows: Rows, queries: Records, gallery: Records, at: Sequence[int], junk: Sequence[int], done: Progress
) -> Reidentification:
    """See :class:`Reidentification`. Left out: the query's identity in its own camera, and junk, negative identities too."""
    labels, others = _labels(queries), _labels(gallery)
    cameras, of_others = _cameras(queries), _cameras(gallery)
    is_junk = (others < 0) | np.isin(others, np.asarray(junk, np.int64))
    hits: List[List[bool]] = []
    precisions: List[float] = []
    alone = 0
    for query, nearness in rows:
        done(query)
        if labels[query] < 0:
            continue
        same = others == labels[query]
        left_out = is_junk | (same & (of_others == cameras[query]))
        is_right = same & ~left_out
        if not is_right.any():
            alone += 1
            continue
        nearness[left_out] = -np.inf
        found: Right = right_of(nearness, is_right)
        hits.append([int(found.places[0]) <= rank for rank in at])
        precisions.append(found.average_precision)
    _require_queries(hits, queries, gallery, "its identity in another camera")
    return Reidentification(
        _by_place(at, hits),
        float(np.mean(precisions)),
        len(hits),
        alone,
        int((labels < 0).sum()),
        int(is_junk.sum()),
        _num_classes(others[~is_junk]),
    )


def nearest(nearness: np.ndarray, count: int, itself: Optional[int]) -> np.ndarray:
    """The nearest records of a query, the first of equals first. itself: the record that is left out."""
    if itself is not None:
        nearness[itself] = -np.inf
    count = min(count, len(nearness) - (itself is not None))
    return np.argsort(-nearness, kind="stable")[:count]


def _by_place(at: Sequence[int], hits: List[List[bool]]) -> Dict[int, float]:
    return dict(zip(at, np.mean(hits, 0).tolist()))


def _num_classes(labels: np.ndarray) -> int:
    return len(np.unique(labels[labels >= 0]))


def _labels(records: Records) -> np.ndarray:
    return records.needed("labels", "this evaluation", "give the class of each record, as an integer")


def _cameras(records: Records) -> np.ndarray:
    return records.needed("cameras", "re-identification", "give the camera of each record, as an integer")


def _require_queries(hits: List[List[bool]], queries: Records, gallery: Records, what: str) -> None:
    if hits:
        return
    for records in (queries, gallery):
        if (_labels(records) < 0).all():
            raise DataError(
                f"none of its {len(records)} records has a label (all are negative), so there is nothing to count",
                remedy="give the class of each record, as an integer from 0",
                source=records.source,
            )
    where = "" if gallery is queries else f" in {gallery.source}"
    raise DataError(
        f"none of its {len(queries)} records has {what}{where}, so there is nothing to count",
        remedy="are the labels of queries and gallery numbered alike, and are there several records per class?",
        source=queries.source,
    )
