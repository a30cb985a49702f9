"""The options of the layers that judge a whole set: metrics of counts, and of the order of scores."""

import math
from typing import Any, ClassVar, Dict, Iterator, Literal, Sequence, Tuple, Union

from pydantic import Field

from caffe_pylayers.config.losses import Axis
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import IgnoreLabel, Options
from caffe_pylayers.config.sizes import Shapes, Sizes, of_classes

Metric = Literal["pixel_accuracy", "mean_recall", "mean_iou", "precision", "recall", "f1", "average_precision", "auc"]

_AVERAGED = ("precision", "recall", "f1")
_OF_SCORES = ("average_precision", "auc")


class MetricsOptions(Options):
    """Metrics of a whole test pass: accuracy, recall, IoU, precision, F1, average precision, AUC, confusion matrix."""

    takes: ClassVar[Tuple[str, ...]] = ("scores", "label", "[sample_weight]")
    gives: ClassVar[Tuple[str, ...]] = ("metrics", "[confusion]")
    example: ClassVar[Dict[str, Any]] = {"of": ["pixel_accuracy", "mean_iou"], "restart_every": 100}
    if_restart_differs: ClassVar[str] = "what Caffe prints is not the metric of a whole test"

    of: Tuple[Metric, ...] = Field(min_length=1, description="The metrics, one per number of the top, in this order.")
    average: Literal["macro", "micro"] = Field(
        "macro",
        description="Precision, recall and f1: the mean over the classes (macro), or one number of all labels (micro).",
    )
    axis: Axis = 1
    ignore_label: IgnoreLabel = None
    restart_every: int = Field(
        1, ge=1, description="Batches of a test pass, at least 1: the solver's test_iter. TRAIN: each batch by itself."
    )
    output: Literal["whole", "running"] = Field(
        "whole",
        description="Numbers whose mean over the pass is the metric of the whole pass, for Caffe to print (whole), or the metric "
        "of the batches so far (running).",
    )
    max_scores: int = Field(
        10_000_000,
        ge=1,
        description="Average precision and auc keep the scores of a pass: at most so many numbers, at least 1.",
    )

    def conflicts(self) -> Iterator[Remark]:
        if isinstance(self.of, tuple) and len(set(self.of)) < len(self.of):
            yield Remark(("of",), f"option 'of' has a metric twice: {', '.join(self.of)}", "leave one out")

    def idle(self) -> Iterator[Tuple[str, str]]:
        if not self.averages():
            yield from self.without_effect(("average",), f"'of' has none of {', '.join(_AVERAGED)}")
        if not self.keeps_scores():
            yield from self.without_effect(("max_scores",), f"'of' has none of {', '.join(_OF_SCORES)}")
        if self.restart_every == 1:
            yield from self.without_effect(("output",), "'restart_every' is 1")

    def averages(self) -> bool:
        """Whether a metric depends on `average`."""
        return not set(_AVERAGED).isdisjoint(self.of)

    def keeps_scores(self) -> bool:
        """Whether a metric depends on the order of all scores of a pass."""
        return not set(_OF_SCORES).isdisjoint(self.of)

    def counted(self) -> Sequence[str]:
        """The metrics that are made of counts of classes."""
        return [name for name in self.of if name not in _OF_SCORES]

    def takes_targets(self, num_labels: int, num_scores: int) -> bool:
        return num_labels == num_scores

    def parts(self, top: str) -> Sequence[str]:
        return self.of if top == "metrics" else ()

    def sizes(self, shapes: Shapes) -> Sizes:
        return _of_classes_or_targets(shapes, self.axis)


def _of_classes_or_targets(shapes: Shapes, axis: int) -> Sizes:
    """As `of_classes`, or a target for each score."""
    sizes, numbers = of_classes(shapes, axis), math.prod(next(iter(shapes.values())))
    return {name: [*allowed, numbers] for name, allowed in sizes.items()}


class SegAccuracyOptions(Options):
    """SegAccuracy of DeepLab's Caffe: pixel accuracy, mean recall and mean IoU of each batch."""

    fork_type = True
    takes = ("scores", "label")
    gives = ("accuracy",)
    holds: ClassVar[Dict[str, Dict[str, str]]] = {
        "accuracy": {
            "pixel_accuracy": "part of the labels that are right",
            "mean_recall": "mean over the classes that occur",
            "mean_iou": "mean over all classes; one that neither labels nor predictions have counts as 1",
        }
    }

    axis: ClassVar[int] = 1

    ignore_label: Union[int, Tuple[int, ...], None] = Field(
        None, description="Label that is left out, an integer, or a list of several; none: no label is."
    )
    reset: bool = Field(True, description="Each batch by itself; false: all batches since the net was set up.")

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_classes(shapes, self.axis)
