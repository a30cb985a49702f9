"""Samplers of triplets and of pairs: anchors in their order, and partners drawn for them."""

from typing import Any, Optional, Tuple

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.samplers.base import NEGATIVE, POSITIVE, Drawn, Ordered, Positions
from caffe_pylayers.data.samplers.partners import Partners
from caffe_pylayers.data.sources import Source

#: Negatives that are drawn side by side for hard ones to be chosen from: each takes about a hundred bytes meanwhile.
_CANDIDATES_AT_ONCE = 1 << 20


class Triplets(Ordered):
    """Anchor, positive, negative; values are the margins, where the type of partners has them.

    partners: what is drawn. ranks: how many processes share the stream. In TRAIN hard negatives come from iteration
    `n` on, that is from batch n * iter_size of each rank; in TEST always.
    """

    arity = 3
    _num_attempts = 16

    def __init__(self, source: Source, options: Any, partners: Partners, *, training: bool, ranks: int) -> None:
        super().__init__(source, options, partners.anchors, training=training, permuted=True)
        self.left_out = len(source) - len(partners.anchors)
        self.left_out_because = partners.left_out_because
        self._partners = partners
        self._num_candidates = options.k
        self._first_hard = options.n * options.iter_size * ranks if training else 0  # batch of the whole stream

    def _draw(self, anchors: np.ndarray, positions: Positions, readable: Optional[np.ndarray] = None) -> Drawn:
        hard = positions.numbers >= self._first_hard
        step = max(1, _CANDIDATES_AT_ONCE // self._num_candidates)
        parts = [
            self._partners.draw(anchors[some], positions.keys[some], hard[some], readable)
            for some in (slice(start, start + step) for start in range(0, len(anchors), step))
        ]
        positives, negatives = (np.concatenate([part[row] for part in parts]) for row in (0, 1))
        margins = None if parts[0].margins is None else np.concatenate([part.margins for part in parts])
        return np.stack([anchors, positives, negatives]), margins

    def _any_sample(self, anchor: int, position: Positions) -> Optional[Tuple[np.ndarray, float]]:
        records, similarities, others = self._readable_others(anchor)
        lowest = 0.0 if others.sum() > len(records) else similarities.min(initial=1.0)
        positive = self._drawn_from(records[similarities > lowest], position, POSITIVE)
        if positive is None:
            return None
        similarity = similarities[records == positive][0]
        others[records[similarities >= similarity]] = False
        negative = self._drawn_from(np.flatnonzero(others), position, NEGATIVE)
        assert negative is not None  # one that is less similar, since the positive is above the lowest
        less = similarities[records == negative].sum()
        return np.array([anchor, positive, negative]), float(similarity - less)

    def _readable_others(self, anchor: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Without the anchor, of what can be read: the records similar to it, how similar, and a mask (N,) of all."""
        others = self._readable.copy()
        others[anchor] = False
        records, similarities = self._partners.related(anchor)
        there = others[records]
        return records[there], similarities[there], others

    def _drawn_from(self, records: np.ndarray, position: Positions, purpose: int) -> Optional[int]:
        return next(self._in_keyed_order(records, keyed.bits(position.keys, purpose)), None)


class Pairs(Triplets):
    """Of the same triplets (anchor, positive) at the even positions, (anchor, negative) at the odd ones.

    values: sim, 1 and 0, so that of a batch of even size one half is similar. (Positions are counted through all
    epochs in TRAIN, within the pass in TEST, where the batch at its end may be one pair off.)
    """

    arity = 2

    def _draw(self, anchors: np.ndarray, positions: Positions, readable: Optional[np.ndarray] = None) -> Drawn:
        (_, positives, negatives), _ = super()._draw(anchors, positions, readable)
        similar = self._similar(positions)
        return np.stack([anchors, np.where(similar, positives, negatives)]), similar.astype(np.float32)

    def _any_sample(self, anchor: int, position: Positions) -> Optional[Tuple[np.ndarray, float]]:
        records, _, others = self._readable_others(anchor)
        similar = bool(self._similar(position)[0])
        others[records] = False
        other = self._drawn_from(records if similar else np.flatnonzero(others), position, POSITIVE)
        return None if other is None else (np.array([anchor, other]), float(similar))

    def _similar(self, positions: Positions) -> np.ndarray:
        # Only whether the position is even, since the position itself may pass 2**63.
        return (positions.epochs % 2 * self.epoch_size + positions.places) % 2 == 0
