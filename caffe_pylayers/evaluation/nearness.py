"""How near records are: products of integers, so that equal features are equally near, however they are put into blocks.

A product of matrices may add up in any order, which changes the last bits: then copies of a record are not equally near, and
another size of blocks gives other figures. Here features are rounded to so many bits that float64 holds each sum exactly.
"""

from typing import Tuple

import numpy as np

from caffe_pylayers.errors import DataError
from caffe_pylayers.evaluation.records import Records

METRICS = ("cosine", "euclidean")

#: Of a unit vector: 2^26 squared is 2^52, and float64 holds integers up to 2^53. Of distances each length has half.
_BITS_COSINE, _BITS_EUCLIDEAN = 26, 25

#: How much longer than the median a vector may be: what is rounded is then still a millionth of the median.
_LONGEST = 2.0**10


#: Features that are worked on at a time, so that no second array of all of them is made.
_ROWS = 4096


class Nearness:
    """How near queries and gallery are: numbers, the larger the nearer.

    metric: cosine, or euclidean (minus the distance squared). zeros: how many vectors have no direction; their cosine is 0.
    """

    def __init__(self, queries: Records, gallery: Records, metric: str) -> None:
        if queries.features.shape[1] != gallery.features.shape[1]:
            raise DataError(
                f"a feature has {gallery.features.shape[1]} numbers, but one of {queries.source} has {queries.features.shape[1]}",
                remedy="take both from the same blob of the same net",
                source=gallery.source,
            )
        self._cosine = metric == "cosine"
        self.zeros = 0
        self._scale = 2.0**_BITS_COSINE if self._cosine else _scale(queries, gallery)
        self._queries = self._rounded(queries)
        self._gallery = self._queries if gallery is queries else self._rounded(gallery)
        self._squares = [np.einsum("nd,nd->n", each, each) for each in (self._queries, self._gallery)]

    def of(self, queries: slice) -> np.ndarray:
        """Of these queries to all of the gallery: float64 (Q, G)."""
        products = self._queries[queries] @ self._gallery.T
        if self._cosine:
            return np.asarray(products)
        products *= 2
        products -= self._squares[0][queries, None]
        products -= self._squares[1]
        return np.asarray(products)

    def of_pairs(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Of queries one[i] to records other[i] of the gallery: float64 (M,)."""
        products = np.concatenate(
            [
                np.einsum("nd,nd->n", self._queries[one[at : at + _ROWS]], self._gallery[other[at : at + _ROWS]])
                for at in range(0, len(one), _ROWS)
            ]
        )
        return products if self._cosine else 2 * products - self._squares[0][one] - self._squares[1][other]

    def in_units(self, nearness: np.ndarray) -> np.ndarray:
        """As people have it: cosines, or distances."""
        if self._cosine:
            return np.asarray(nearness / self._scale**2)
        return np.asarray(np.sqrt(np.maximum(-nearness, 0)) / self._scale)

    def _rounded(self, records: Records) -> np.ndarray:
        features = records.features.astype(np.float64)
        for start in range(0, len(features), _ROWS):
            rows = features[start : start + _ROWS]
            if self._cosine:
                rows /= np.maximum(np.abs(rows).max(1, keepdims=True), np.finfo(np.float64).tiny)  # or squares overflow
                lengths = np.sqrt((rows * rows).sum(1, keepdims=True))
                self.zeros += int((lengths == 0).sum())
                rows /= np.where(lengths == 0, 1, lengths)
            rows *= self._scale
            np.rint(rows, out=rows)
        return np.asarray(features)


def _scale(queries: Records, gallery: Records) -> float:
    """A power of two, with which the longest vector is of `_BITS_EUCLIDEAN` bits."""
    longest, typical, whose, record = _lengths(queries)
    if gallery is not queries:
        other = _lengths(gallery)
        if other[0] > longest:
            longest, _, whose, record = other
        typical = min(typical, other[1])
    if longest == 0:
        return 1.0
    if longest > _LONGEST * typical:
        raise DataError(
            f"its feature has length {longest:.3g}, but half of them have at most {typical:.3g}: distances of all others would be lost in rounding",
            remedy="leave it out, or take the metric cosine",
            source=whose.describe(record),
            record=record,
        )
    return float(2.0 ** min(_BITS_EUCLIDEAN - np.ceil(np.log2(longest)), 1000))


def _lengths(records: Records) -> Tuple[float, float, Records, int]:
    """The largest length, the median of those above 0, and where the largest is."""
    lengths = np.concatenate(
        [
            np.sqrt((records.features[start : start + _ROWS].astype(np.float64) ** 2).sum(1))
            for start in range(0, len(records), _ROWS)
        ]
    )
    there = lengths[lengths > 0]
    return float(lengths.max()), float(np.median(there)) if there.size else np.inf, records, int(np.argmax(lengths))
