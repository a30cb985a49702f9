"""Options of layers, with those that a layer must have."""

from caffe_pylayers.config import load

DATA = "ImageDataLayer"
REQUIRED = {
    "ComputeH": {"n_classes": 3},
    "SampleWeight": {"n_classes": 3},
    "LDAMLoss": {"counts": [9, 1]},
    "Metrics": {"of": ["mean_iou"]},
    "LabelNoise": {"distribution": "gaussian", "std": 0.5},
    "LabelSmoothing": {"n_classes": 3},
    "Permute": {"order": [1, 0]},
    "GradientScaler": {"max_iter": 10},
    "PoolingND": {"kernel_size": 2},
    "ROIPooling": {"pooled_h": 7, "pooled_w": 7},
    "BatchPairLoss": {"type": "ntxent"},
    "MarginSoftmaxLoss": {"num_output": 3},
    "CenterLoss": {"num_output": 3},
    "ProxyLoss": {"num_output": 3, "type": "proxy_anchor"},
    "NormalizedInnerProduct": {"num_output": 3},
    "MarginInnerProduct": {"num_output": 3},
    "LargeMarginInnerProduct": {"num_output": 3},
    "ImageDataLayer": {"source": "train.csv"},
    "MultiLabelDataLayer": {"source": "train.csv"},
    "ImageMapDataLayer": {"source": "train.csv"},
    "SiameseDataLayer": {"source": "train.csv"},
    "TripletDataLayer": {"source": "train.csv"},
}


def options(layer, **values):
    return load(layer, repr({**REQUIRED.get(layer, {}), **values}))
