"""The options of the losses on differences."""

from typing import Any, Dict, Iterator, Literal, Optional, Sequence, Tuple

from pydantic import Field

from caffe_pylayers.config.keep import Kept
from caffe_pylayers.config.losses import NORMALIZATION, ModeOptions, Normalization, NormalizeBy
from caffe_pylayers.config.remarks import Remark, out_of_order
from caffe_pylayers.config.schema import IgnoreNan
from caffe_pylayers.config.sizes import Shapes, Sizes, of_targets


class RegressionLossOptions(ModeOptions):
    """A loss on each difference of a prediction and its target."""

    takes = ("prediction", "target", "[inside_weight]", "[outside_weight]", "[sample_weight]")
    gives = ("loss",)

    bottoms: Optional[Tuple[Literal["inside_weight", "outside_weight", "sample_weight"], ...]] = Field(
        None, description="List of the bottoms after the target: inside_weight, outside_weight, sample_weight."
    )
    normalization: Normalization = Field("BATCH_SIZE", description=NORMALIZATION)
    normalize_by: NormalizeBy = "weight"
    ignore_nan: IgnoreNan = False
    keep: Kept = None

    def implied_bottoms(self, optional: int) -> Optional[Sequence[str]]:
        return ("inside_weight", "outside_weight") if optional == 2 else None

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_targets(shapes)

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        yield from out_of_order(self.bottoms, "inside_weight", "outside_weight", "sample_weight")


class SmoothL1LossOptions(RegressionLossOptions):
    """Smooth L1 loss: squares of small differences, sizes of large ones."""

    fork_type = True
    sigma: float = Field(
        1.0, gt=0, description="Differences below 1 / sigma^2 count by their squares; a number above 0."
    )

    @classmethod
    def meant_by_fork(cls, kind: str, bottoms: int) -> Dict[str, Any]:
        return {"bottoms": ["inside_weight"]} if bottoms == 3 else {}  # that of Fast R-CNN and SSD


class L1LossOptions(RegressionLossOptions):
    """The sizes of the differences."""

    fork_type = True


class HuberLossOptions(RegressionLossOptions):
    """Huber's loss: squares of differences below delta, sizes of others."""

    fork_type = True
    delta: float = Field(1.0, gt=0, description="Differences below it count by their squares; a number above 0.")


class WingLossOptions(RegressionLossOptions):
    """Wing loss, for landmarks: small differences count more than in L1Loss."""

    fork_type = True
    w: float = Field(
        10.0,
        gt=0,
        description="Differences below it count by a logarithm; a number above 0.",
        json_schema_extra={"aliases": ["omega"]},
    )
    epsilon: float = Field(2.0, gt=0, description="How the logarithm bends, a number above 0: less bends more.")
