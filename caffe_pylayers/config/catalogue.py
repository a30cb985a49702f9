"""The options of every layer: the only statement of their types, ranges, defaults and help.

A new layer is one class in the module of its kind, and one line in :data:`SCHEMAS`.
"""

from typing import Dict, Type

from caffe_pylayers.config.comparisons import SiameseDataLayerOptions, TripletDataLayerOptions
from caffe_pylayers.config.features import L2NormalizeOptions
from caffe_pylayers.config.images import ImageDataLayerOptions, MultiLabelDataLayerOptions
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
from caffe_pylayers.config.schema import Options

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
