"""Targets of several labels, a 0 or a 1 for each, told from labels that are numbers of classes."""

from typing import Any, Optional, Tuple

from caffe_pylayers.layers.adapter import log


class Targets:
    """Finds out, batch after batch, whether the labels of a layer are targets that it takes for class numbers.

    They are where no label but 0, 1 and -1 (not known), a 1 among them, comes in one of these shapes, L above 1:

        (N, L, 1, 1)  as MultiLabelDataLayer has it; with `num_classes` 2, that is with classes 0 and 1, only if L is 2
        (N, L)        if L is `num_classes`, and not 2: rows of class numbers have as many as there are tasks

    A label map (N, 1, H, W) or (N, H, W) and a label per sample have other shapes. What a batch has shown to be class
    numbers stays that.
    """

    def __init__(self, num_classes: int, ignore_label: Optional[int]) -> None:
        self._num_classes = num_classes
        self._ignore_label = ignore_label
        self._are_classes = False
        self._told = False

    def warn(self, layer: str, labels: Any, remedy: str) -> None:
        """Log, once, that labels are targets, which a layer is about to take for class numbers."""
        found = "" if self._told else self.found(labels)
        if found:
            self._told = True
            log.warning("%s: %s, but is read as class numbers; %s", layer, found, remedy)

    def found(self, labels: Any) -> str:
        """What shows that labels, an array as the blob has it, are targets, in words; "" where they are none."""
        if self._are_classes or not self._has_their_shape(labels.shape):
            return ""
        there = labels.reshape(-1)
        if self._ignore_label is not None:
            there = there[there != self._ignore_label]
        self._are_classes = not ((there == 0) | (there == 1) | (there == -1)).all()
        if self._are_classes or not (there == 1).any():
            return ""
        return f"label of shape {labels.shape} has a 0 or a 1 for each of {labels.shape[1]} labels"

    def _has_their_shape(self, shape: Tuple[int, ...]) -> bool:
        if len(shape) == 2:
            return 1 < shape[1] == self._num_classes != 2
        return (
            len(shape) == 4
            and shape[1] > 1
            and shape[2:] == (1, 1)
            and (self._num_classes > 2 or self._num_classes == shape[1])
        )
