"""The options of the losses on regions."""

from typing import ClassVar, Dict, Iterator, Literal, Sequence, Tuple

from pydantic import Field

from caffe_pylayers.config.keep import Kept
from caffe_pylayers.config.losses import NORMALIZATION, Axis, ModeOptions, Normalization, NormalizeBy
from caffe_pylayers.config.of_forks import DICE_LOSSES
from caffe_pylayers.config.schema import IgnoreLabel, Options
from caffe_pylayers.config.sizes import Shapes, Sizes, of_targets, of_targets_or_labels


class BalancedSigmoidCrossEntropyLossOptions(ModeOptions):
    """Sigmoid loss in which the zeros and the ones of each image count alike, for edges and other rare pixels."""

    takes = ("scores", "target", "[sample_weight]")
    gives = ("loss",)
    inside = "Sigmoid"
    leaves_out_others = True
    fork_beside: ClassVar[Dict[str, Tuple[str, ...]]] = {"SigmoidCrossEntropyLoss": ("ImageLabelmapData",)}

    normalization: Normalization = Field("BATCH_SIZE", description=NORMALIZATION)
    normalize_by: NormalizeBy = "weight"
    keep: Kept = None

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_targets(shapes)


class DiceLossOptions(Options):
    """Dice, Tversky and Jaccard losses: how far predicted regions miss the true ones."""

    fork_type = True
    takes = ("scores", "target", "[sample_weight]")
    gives = ("loss",)
    target_or_label = True

    type: Literal["dice", "tversky", "jaccard"] = Field("dice", description="Which overlap is measured.")
    over: Literal["batch", "sample", "class"] = Field(
        "batch",
        description="What a region is: the whole batch, each sample, or each class; the loss is the mean over regions.",
    )
    activation: Literal["sigmoid", "softmax", "none"] = Field(
        "sigmoid",
        description="What makes probabilities of the scores; none: they are from 0 to 1 already. For labels the default is softmax.",
    )
    axis: Axis = 1
    alpha: float = Field(0.5, ge=0, description="Tversky: what a false positive counts, at least 0.")
    beta: float = Field(0.5, ge=0, description="Tversky: what a false negative counts, at least 0.")
    epsilon: float = Field(1e-6, gt=0, description="Small number, above 0, added above and below the fraction.")
    ignore_label: IgnoreLabel = None

    @classmethod
    def in_place_of_fork(cls, bottoms: int, has_fields: bool) -> str:
        return DICE_LOSSES

    def has_inside(self) -> Sequence[str]:
        kinds = {"sigmoid": "Sigmoid", "softmax": "Softmax"}
        chosen = kinds.get(self.activation, "")
        return (chosen,) if self.given("activation") else tuple(kinds.values())

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_targets_or_labels(shapes, self.axis)

    def idle(self) -> Iterator[Tuple[str, str]]:
        if self.type != "tversky":
            yield from self.without_effect(("alpha", "beta"), f"'type' is {self.type!r}")
