"""The options of the layers that change features."""

from typing import Optional

from pydantic import Field

from caffe_pylayers.config.schema import Options


class L2NormalizeOptions(Options):
    """Vectors divided by their Euclidean norm."""

    forks = ("L2Normalization",)
    takes = ("x",)
    gives = ("y",)
    page = "features.md"

    axis: int = Field(1, description="Axis that the vectors lie along, an integer; -1 is the last.")
    across_spatial: bool = Field(False, description="One norm over the axis and all after it; false: one per position.")
    eps: float = Field(1e-10, gt=0, description="Small number, above 0, added to the sum of squares under the root.")
    scale: Optional[float] = Field(None, description="Start value of a learned factor per channel; none: no factor.")

    def works_in_place(self) -> bool:
        return True

    def num_blobs(self) -> int:
        return int(self.scale is not None)
