"""The options of every layer: the only statement of their types, ranges, defaults and help.

A new layer is one class, here or in the module of its kind, and one line in :data:`SCHEMAS`.
"""

from typing import Dict, Optional, Type

from pydantic import Field

from caffe_pylayers.config import Options
from caffe_pylayers.config.comparisons import SiameseDataLayerOptions, TripletDataLayerOptions
from caffe_pylayers.config.data import ImageDataLayerOptions, MultiLabelDataLayerOptions
from caffe_pylayers.config.labels import (
    ComputeHOptions,
    LabelNoiseOptions,
    LabelSmoothingOptions,
    SampleWeightOptions,
)
from caffe_pylayers.config.losses import (
    BatchTripletLossOptions,
    FocalLossOptions,
    LDAMLossOptions,
    SoftCrossEntropyLossOptions,
    TripletLossOptions,
    WeightedAccuracyOptions,
    WeightedContrastiveLossOptions,
    WeightedEuclideanLossOptions,
    WeightedHingeLossOptions,
    WeightedInfogainLossOptions,
    WeightedMultinomialLogisticLossOptions,
    WeightedSigmoidCrossEntropyLossOptions,
    WeightedSoftmaxLossOptions,
)


class L2NormalizeOptions(Options):
    """Vectors divided by their Euclidean norm."""

    takes = ("x",)
    gives = ("y",)

    axis: int = Field(1, description="Axis that the vectors lie along, a whole number; -1 is the last.")
    across_spatial: bool = Field(False, description="One norm over the axis and all after it; false: one a position.")
    eps: float = Field(1e-10, gt=0, description="Small number, above 0, added to the sum of squares under the root.")
    scale: Optional[float] = Field(None, description="Start value of a learned factor a channel; none: no factor.")

    def works_in_place(self) -> bool:
        return True


#: The schema of every layer.
SCHEMAS: Dict[str, Type[Options]] = {
    "ComputeH": ComputeHOptions,
    "SampleWeight": SampleWeightOptions,
    "WeightedSoftmaxLoss": WeightedSoftmaxLossOptions,
    "WeightedInfogainLoss": WeightedInfogainLossOptions,
    "WeightedSigmoidCrossEntropyLoss": WeightedSigmoidCrossEntropyLossOptions,
    "WeightedEuclideanLoss": WeightedEuclideanLossOptions,
    "WeightedHingeLoss": WeightedHingeLossOptions,
    "WeightedContrastiveLoss": WeightedContrastiveLossOptions,
    "WeightedMultinomialLogisticLoss": WeightedMultinomialLogisticLossOptions,
    "SoftCrossEntropyLoss": SoftCrossEntropyLossOptions,
    "FocalLoss": FocalLossOptions,
    "LDAMLoss": LDAMLossOptions,
    "TripletLoss": TripletLossOptions,
    "BatchTripletLoss": BatchTripletLossOptions,
    "WeightedAccuracy": WeightedAccuracyOptions,
    "LabelNoise": LabelNoiseOptions,
    "LabelSmoothing": LabelSmoothingOptions,
    "L2Normalize": L2NormalizeOptions,
    "ImageDataLayer": ImageDataLayerOptions,
    "MultiLabelDataLayer": MultiLabelDataLayerOptions,
    "SiameseDataLayer": SiameseDataLayerOptions,
    "TripletDataLayer": TripletDataLayerOptions,
}
