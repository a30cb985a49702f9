"""The options of the layers that change features."""

from typing import Any, ClassVar, Dict, Iterator, Optional, Tuple

from pydantic import Field
from typing_extensions import Annotated

from caffe_pylayers.config.fillers import WeightFiller
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import IterSize, Options, Resume

#: A layer Normalize without norm_param is not SSD's as a rule.
_WITHOUT_SCALE = (
    'without norm_param it is that of another fork, which learns no scale: write `type: "Python"  python_param { module: "caffe_pylayers"  '
    'layer: "L2Normalize"  param_str: "{\'across_spatial\': True}" }` in place of its type; or `layer: "Normalize"` without param_str '
    "if trained weights have a blob for it"
)


class L2NormalizeOptions(Options):
    """Vectors divided by their Euclidean norm."""

    forks = ("L2Normalization",)
    takes = ("x",)
    gives = ("y",)
    onnx = "l2_normalize"
    page = "features.md"

    axis: int = Field(1, description="Axis that the vectors lie along, an integer; -1 is the last.")
    across_spatial: bool = Field(False, description="One norm over the axis and all after it; false: one per position.")
    eps: float = Field(1e-10, gt=0, description="Small number, above 0, added to the sum of squares under the root.")
    scale: Optional[float] = Field(None, description="Start value of a learned factor per channel; none: no factor.")

    @classmethod
    def meant_by_fork(cls, kind: str, bottoms: int) -> Dict[str, Any]:
        return {"across_spatial": True}

    def works_in_place(self) -> bool:
        return True

    def num_blobs(self) -> int:
        return int(self.scale is not None)


class NormalizeOptions(Options):
    """L2 normalization as in SSD, with a learned scale."""

    fork_type = True
    takes = ("x",)
    gives = ("y",)
    onnx = "normalize"
    page = "features.md"
    without_blob = L2NormalizeOptions
    without_blob_beside = ("InnerProduct", "normalize")
    example: ClassVar[Dict[str, Any]] = {
        "across_spatial": False,
        "scale_filler": {"type": "constant", "value": 20},
        "channel_shared": False,
    }

    across_spatial: bool = Field(True, description="One norm per sample; false: one per sample and position.")
    channel_shared: bool = Field(True, description="One learned scale for all channels; false: one per channel.")
    scale_filler: Optional[WeightFiller] = Field(None, description="What the scale begins with; none: 1.")
    eps: float = Field(1e-10, gt=0, description="Small number, above 0, added to the sum of squares under the root.")

    def works_in_place(self) -> bool:
        return True

    def num_blobs(self) -> int:
        return 1

    @classmethod
    def in_place_of_fork(cls, bottoms: int, has_fields: bool) -> str:
        return "" if has_fields else _WITHOUT_SCALE


class PermuteOptions(Options):
    """Axes in another order."""

    fork_type = True
    takes = ("x",)
    gives = ("y",)
    keeps_values = True
    onnx = "permute"
    page = "features.md"
    example: ClassVar[Dict[str, Any]] = {"order": [0, 2, 3, 1]}

    order: Annotated[Tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = Field(
        description="Axes of x in the order of the top, integers from 0; those that are left out follow, in their order."
    )

    def conflicts(self) -> Iterator[Remark]:
        if self.order is not None and len(set(self.order)) < len(self.order):  # none: it is told that it is required
            yield Remark(("order",), f"option 'order' must name an axis once, not {list(self.order)}")


class AxpyOptions(Options):
    """A factor per channel on one blob, added to another."""

    fork_type = True
    takes = ("scale", "x", "y")
    gives = ("sum",)
    onnx = "axpy"
    page = "features.md"


class ShuffleChannelOptions(Options):
    """Channels of several groups, mixed."""

    fork_type = True
    takes = ("x",)
    gives = ("y",)
    keeps_values = True
    onnx = "shuffle_channel"
    page = "features.md"
    example: ClassVar[Dict[str, Any]] = {"group": 2}

    group: int = Field(1, ge=1, description="Number of groups, at least 1; it divides the number of channels.")


class GradientScalerOptions(Options):
    """A gradient that is reversed, more and more."""

    fork_type = True
    takes = ("x",)
    gives = ("y",)
    keeps_values = True
    onnx = "same"
    page = "features.md"
    example: ClassVar[Dict[str, Any]] = {"max_iter": 10000}

    lower_bound: float = Field(0.0, description="Coefficient of the first iteration, any number up to upper_bound.")
    upper_bound: float = Field(1.0, description="Coefficient that is neared, any number from lower_bound on.")
    alpha: float = Field(10.0, ge=0, description="How fast it goes from one to the other, at least 0.")
    max_iter: int = Field(ge=1, description="Iterations, at least 1, after which the coefficient stays as it is.")
    iter_size: IterSize = 1
    resume: Resume = False

    def conflicts(self) -> Iterator[Remark]:
        if self.lower_bound > self.upper_bound:
            found = f"option 'lower_bound' is {self.lower_bound:g}, above 'upper_bound', which is {self.upper_bound:g}"
            yield Remark(("lower_bound", "upper_bound"), found)

    def works_in_place(self) -> bool:
        return True

    def counts_iterations(self) -> bool:
        return True
