"""Drop-in ``type: "Python"`` layers for stock Caffe.

A prototxt names this module and one of its layers::

    python_param { module: "caffe_pylayers"  layer: "WeightedSoftmaxLoss"  param_str: "{'axis': 1}" }

Importing it imports nothing else: a layer is looked up when it is named (PEP 562), and only then is Caffe
imported.
"""

import importlib
import sys
from typing import Any, List

from caffe_pylayers.errors import ConfigError, DataError

__version__ = "0.1.0"

#: Every layer that a prototxt can name: the module of ``caffe_pylayers.layers`` that has it, and that of
#: ``caffe_pylayers.config`` that has its options, a class of its name with Options behind.
LAYERS = {
    "ComputeH": ("class_balance", "labels"),
    "SampleWeight": ("class_balance", "labels"),
    "WeightedSoftmaxLoss": ("class_losses", "losses"),
    "WeightedInfogainLoss": ("class_losses", "losses"),
    "WeightedSigmoidCrossEntropyLoss": ("weighted_losses", "losses"),
    "WeightedEuclideanLoss": ("weighted_losses", "losses"),
    "WeightedHingeLoss": ("weighted_losses", "losses"),
    "WeightedContrastiveLoss": ("weighted_losses", "losses"),
    "WeightedMultinomialLogisticLoss": ("weighted_losses", "losses"),
    "SoftCrossEntropyLoss": ("class_losses", "losses"),
    "FocalLoss": ("class_losses", "losses"),
    "LDAMLoss": ("class_losses", "losses"),
    "KnowledgeDistillation": ("distillation", "losses"),
    "SmoothL1Loss": ("regression_losses", "regression_losses"),
    "L1Loss": ("regression_losses", "regression_losses"),
    "HuberLoss": ("regression_losses", "regression_losses"),
    "WingLoss": ("regression_losses", "regression_losses"),
    "BalancedSigmoidCrossEntropyLoss": ("balanced_sigmoid", "region_losses"),
    "DiceLoss": ("dice", "region_losses"),
    "TripletLoss": ("metric_losses", "metric_losses"),
    "BatchTripletLoss": ("batch_triplet", "metric_losses"),
    "BatchPairLoss": ("pair_losses", "pair_losses"),
    "LiftedStructSimilaritySoftmaxLoss": ("pair_losses", "pair_losses"),
    "MarginSoftmaxLoss": ("embedding_losses", "margins"),
    "CenterLoss": ("embedding_losses", "margins"),
    "ProxyLoss": ("proxy_loss", "proxies"),
    "NormalizedInnerProduct": ("class_products", "margins"),
    "MarginInnerProduct": ("class_products", "margins"),
    "LargeMarginInnerProduct": ("class_products", "margins"),
    "LabelSpecificAdd": ("cosine_margins", "margins"),
    "CosinAddm": ("cosine_margins", "margins"),
    "CombinedMargin": ("cosine_margins", "margins"),
    "WeightedAccuracy": ("accuracy", "losses"),
    "Metrics": ("metrics", "metrics"),
    "SegAccuracy": ("metrics", "metrics"),
    "LabelNoise": ("label_noise", "labels"),
    "LabelSmoothing": ("label_smoothing", "labels"),
    "L2Normalize": ("feature_layers", "features"),
    "Normalize": ("feature_layers", "features"),
    "Permute": ("channel_layers", "features"),
    "Axpy": ("channel_layers", "features"),
    "ShuffleChannel": ("channel_layers", "features"),
    "GradientScaler": ("gradient_scaler", "features"),
    "PoolingND": ("pooling", "pooling"),
    "ROIPooling": ("pooling", "pooling"),
    "Interp": ("map_sizes", "pooling"),
    "Upsample": ("map_sizes", "pooling"),
    "ImageDataLayer": ("data_layers", "images"),
    "MultiLabelDataLayer": ("data_layers", "images"),
    "ImageMapDataLayer": ("map_data", "maps"),
    "SiameseDataLayer": ("data_layers", "comparisons"),
    "TripletDataLayer": ("data_layers", "comparisons"),
}

#: Other names of layers.
ALIASES = {"MultiLabelLayer": "MultiLabelDataLayer"}

__all__ = ["LAYERS", "ConfigError", "DataError", "__version__", "close", *LAYERS, *ALIASES]


def close() -> None:
    """End the worker processes of every data layer in this process, and give back memory and descriptors.

    Caffe never destroys a Python layer, so that a notebook which makes one net after another keeps the workers of
    each. A net that is used again after this starts its own again and goes on where it was; with `compressed: false`
    it decodes its images again.
    """
    feeder = sys.modules.get("caffe_pylayers.data.feeder")
    if feeder is not None:
        feeder.close_all()


def __getattr__(name: str) -> Any:
    name = ALIASES.get(name, name)
    if name not in LAYERS:
        raise AttributeError(f"module 'caffe_pylayers' has no layer {name!r}; its layers: {', '.join(LAYERS)}")
    # importlib, for "from . import" would ask this function again, without end.
    try:
        module = importlib.import_module(f"caffe_pylayers.layers.{LAYERS[name][0]}")
    except ImportError as error:  # the last words of the `caffe` program
        raise ImportError(f"{error}; `caffe-pylayers doctor` says what to do", name=error.name) from error
    return getattr(module, name)


def __dir__() -> List[str]:
    return sorted({*globals(), *LAYERS, *ALIASES})
