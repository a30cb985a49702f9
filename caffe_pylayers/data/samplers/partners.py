"""Positives and negatives by class: RANDOM and HARD."""

from typing import Any, NamedTuple, Optional, Tuple

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.samplers.base import MORE_NEGATIVES, NEGATIVE, NEGATIVE_CLASS, POSITIVE
from caffe_pylayers.data.samplers.classes import Classes
from caffe_pylayers.data.sources import Source
from caffe_pylayers.errors import DataError

_OF_A_TRIPLET = np.array([[POSITIVE], [NEGATIVE_CLASS], [NEGATIVE]])


class Partnership(NamedTuple):
    """What was drawn for anchors (M,): int64 (M,) each, and float32 margins (M,) where the type has them."""

    positives: np.ndarray
    negatives: np.ndarray
    margins: Optional[np.ndarray] = None


class Partners:
    """Which positives and negatives an anchor has.

    anchors: int64 (M,), the records for which there are both. left_out_because: why the others are none.
    """

    anchors: np.ndarray
    left_out_because = ""

    def draw(
        self, anchors: np.ndarray, keys: np.ndarray, hard: np.ndarray, readable: Optional[np.ndarray] = None
    ) -> Partnership:
        """Partners of anchors (M,) by keys (M,); where `hard` (M,), the hardest of k negatives.

        readable: bool (N,); other candidates are passed over where hard ones are chosen. None: all.
        """
        raise NotImplementedError

    def related(self, anchor: int) -> Tuple[np.ndarray, np.ndarray]:
        """All records that are in any way similar to the anchor, perhaps itself, and how similar: above 0, to 1."""
        raise NotImplementedError


class ClassPartners(Partners):
    """RANDOM: a positive uniform over the other samples of the anchor's class; a negative uniform over the other
    classes, then over the samples of that class. A row of several labels is one class. Records without a label, where there
    are any, are one class more, of negatives alone.

    HARD, with a graph: of k such negatives the one with the largest similarity to the anchor in the graph, in the
    direction from the anchor; the first drawn of equals. An absent edge is 0.
    Raises DataError where no anchor has both a positive and a negative.
    """

    left_out_because = "because each is the only one of its class"

    def __init__(self, source: Source, labels: np.ndarray, what: str, k: int = 1, graph: Any = None) -> None:
        unlabelled = source.unlabelled()
        self._classes = classes = Classes(np.where(unlabelled.reshape(-1, *[1] * (labels.ndim - 1)), -1, labels))
        self._rank = np.empty(len(labels), np.int32)  # place of a record within its class
        self._rank[classes.members] = np.arange(len(labels)) - np.repeat(classes.starts, classes.counts)
        self._more = np.arange(1, k)[:, None]
        self._graph = graph
        self.anchors = np.flatnonzero((classes.counts[classes.of] > 1) & ~unlabelled)
        if len(classes) < 2 or len(self.anchors) == 0:
            raise DataError(
                f"no {what} can be made of {len(labels)} records in {len(classes)} class{'es' * (len(classes) != 1)}: "
                "this needs two records of one class and a record of another",
                source=source.path,
            )

    def draw(
        self, anchors: np.ndarray, keys: np.ndarray, hard: np.ndarray, readable: Optional[np.ndarray] = None
    ) -> Partnership:
        classes = self._classes
        own = classes.of[anchors]
        draws = keyed.uniform(keys, _OF_A_TRIPLET)
        # One of the n-1 others: draw from n-1 places and step over the anchor's; the same for the other classes.
        positive = (draws[0] * (classes.counts[own] - 1)).astype(np.int64)
        positive += positive >= self._rank[anchors]
        positives = classes.members[classes.starts[own] + positive]
        negatives = self._negatives(own, draws[1], draws[2])
        if self._graph is not None and hard.any():
            keys = keyed.bits(keys, MORE_NEGATIVES, self._more)
            more = self._negatives(own, keyed.uniform(keys, NEGATIVE_CLASS), keyed.uniform(keys, NEGATIVE))
            candidates = np.concatenate([negatives[None], more])
            negatives = hardest(candidates, self._graph.similarity(anchors, candidates), hard, readable)[0]
        return Partnership(positives, negatives)

    def _negatives(self, own: np.ndarray, class_draws: np.ndarray, draws: np.ndarray) -> np.ndarray:
        classes = self._classes
        other = (class_draws * (len(classes) - 1)).astype(np.int64)
        other += other >= own
        return classes.members[classes.starts[other] + (draws * classes.counts[other]).astype(np.int64)]

    def related(self, anchor: int) -> Tuple[np.ndarray, np.ndarray]:
        members = self._classes.members_of(self._classes.of[anchor])
        return members, np.ones(len(members))


def hardest(
    candidates: np.ndarray, hardness: np.ndarray, hard: np.ndarray, readable: Optional[np.ndarray]
) -> Tuple[np.ndarray, np.ndarray]:
    """Of candidates (k, M) those of the largest hardness (k, M), and which they are; where not `hard` (M,) the first."""
    hardness = np.array(hardness, np.float64)
    hardness[1:, ~hard] = -np.inf
    if readable is not None:
        hardness[~readable[candidates]] = -np.inf
    chosen = hardness.argmax(0)
    return candidates[chosen, np.arange(len(hard))], chosen
