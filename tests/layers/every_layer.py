"""Every layer but those that make batches, with what it takes: the lists that the tests of all layers run over."""

import numpy as np

from caffe_pylayers.config.catalogue import SCHEMAS

RNG = np.random.RandomState(0)
ROWS, LABELS = (RNG.rand(4, 3) for _ in range(2)), np.array([0, 1, 2, 0])
X, Y = ROWS
SOFT = Y / Y.sum(axis=1, keepdims=True)
TARGETS = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1], [1, 1, 0]])
PAIR = {"x": X, "y": Y, "sim": np.array([0, 1, 0, 1])}
TRIPLET = {"x": X, "y": Y, "z": X[::-1].copy()}
REGRESSED = {"x": X, "y": Y, "inside_weight": 1 + Y, "outside_weight": 1 + X}
MAPS = RNG.rand(4, 3, 2, 3)
ROIS = np.array([[0, 0, 0, 2, 1], [1, 1, 0, 1, 1], [2, 0, 1, 2, 1], [3, 0, 0, 0, 0]])
PLACES = np.broadcast_to(np.array([[0, 2, 5], [12, 15, 23]]), MAPS.shape)
WEIGHT = {"sample_weight": np.array([1.0, 2, 0, 1])}

#: Layer -> (its bottoms, options); losses get sample_weight too.
LAYERS = {
    "WeightedSoftmaxLoss": ({"x": X, "label": LABELS}, {"class_weights": [1, 2, 3]}),
    "WeightedInfogainLoss": ({"x": X, "label": LABELS, "H": np.eye(3)[None, None]}, {}),
    "WeightedSigmoidCrossEntropyLoss": ({"x": X, "target": TARGETS}, {"ignore_label": -1}),
    "WeightedEuclideanLoss": ({"x": X, "y": Y}, {}),
    "WeightedHingeLoss": ({"x": X, "label": LABELS}, {}),
    "WeightedContrastiveLoss": (PAIR, {}),
    "WeightedMultinomialLogisticLoss": ({"x": SOFT, "label": LABELS}, {}),
    "SoftCrossEntropyLoss": ({"x": X, "y": SOFT}, {}),
    "FocalLoss": ({"x": X, "label": LABELS}, {}),
    "LDAMLoss": ({"x": X, "label": LABELS}, {"counts": [3, 2, 1]}),
    "KnowledgeDistillation": ({"student": X, "teacher": Y}, {"temperature": 2}),
    "SmoothL1Loss": (REGRESSED, {}),
    "L1Loss": (REGRESSED, {}),
    "HuberLoss": (REGRESSED, {"delta": 0.5}),
    "WingLoss": (REGRESSED, {"w": 0.5}),
    "BalancedSigmoidCrossEntropyLoss": ({"x": X, "target": TARGETS}, {}),
    "DiceLoss": ({"x": X, "target": TARGETS}, {}),
    "TripletLoss": (TRIPLET, {}),
    "BatchTripletLoss": ({"x": X, "label": LABELS}, {}),
    "BatchPairLoss": ({"x": X, "label": LABELS}, {"type": "contrastive"}),
    "LiftedStructSimilaritySoftmaxLoss": ({"x": X, "label": LABELS}, {}),
    "MarginSoftmaxLoss": ({"x": X, "label": LABELS}, {"num_output": 3}),
    "CenterLoss": ({"x": X, "label": LABELS}, {"num_output": 3}),
    "ProxyLoss": ({"x": X, "label": LABELS}, {"num_output": 3, "type": "proxy_anchor"}),
    "NormalizedInnerProduct": ({"x": X}, {"num_output": 5}),
    "MarginInnerProduct": ({"x": X, "label": LABELS}, {"num_output": 3, "type": "QUADRUPLE"}),
    "LargeMarginInnerProduct": ({"x": X, "label": LABELS}, {"num_output": 3, "type": "DOUBLE"}),
    "LabelSpecificAdd": ({"x": X, "label": LABELS}, {}),
    "CosinAddm": ({"x": X, "label": LABELS}, {}),
    "CombinedMargin": ({"x": X, "label": LABELS}, {}),
    "WeightedAccuracy": ({"x": X, "label": LABELS}, {}),
    "Metrics": ({"x": X, "label": LABELS}, {"of": ["mean_iou", "auc"]}),
    "SegAccuracy": ({"x": X, "label": LABELS}, {}),
    "ComputeH": ({"label": LABELS}, {"n_classes": 3}),
    "SampleWeight": ({"label": LABELS}, {"n_classes": 3}),
    "LabelNoise": ({"label": LABELS}, {"distribution": "flip", "probability": 0.5, "n_classes": 3}),
    "LabelSmoothing": ({"label": LABELS}, {"n_classes": 3}),
    "L2Normalize": ({"x": X}, {"scale": 2.0}),
    "Normalize": ({"x": X}, {"channel_shared": False, "scale_filler": {"type": "constant", "value": 20}}),
    "Permute": ({"x": X[:, :, None, None]}, {"order": [0, 2, 3, 1]}),
    "Axpy": ({"x": X, "y": Y, "z": X[::-1].copy()}, {}),
    "ShuffleChannel": ({"x": X}, {"group": 3}),
    "GradientScaler": ({"x": X}, {"max_iter": 3}),
    "PoolingND": ({"x": MAPS}, {"kernel_size": 2}),
    "ROIPooling": ({"x": MAPS, "rois": ROIS}, {"pooled_h": 2, "pooled_w": 2}),
    "Interp": ({"x": MAPS}, {"zoom_factor": 2}),
    "Upsample": ({"x": MAPS, "mask": PLACES}, {}),
}

#: The same layers in other ways.
OTHERS = [
    ("BatchTripletLoss", *({"x": X, "label": LABELS}, {"mining": mining})) for mining in ("semihard", "hard", "distance")
] + [
    ("BatchTripletLoss", {"x": X, "label": LABELS}, {"soft": True}),
    ("BatchTripletLoss", {"x": X, "label": LABELS}, {"average": "active"}),
    ("TripletLoss", TRIPLET, {"average": "active"}),
    ("TripletLoss", TRIPLET, {"soft": True, "distance": "euclidean"}),
    ("SampleWeight", {"label": TARGETS}, {"n_classes": 3, "per": "label"}),
    ("SampleWeight", {"label": LABELS}, {"n_classes": 3, "rule": "median_frequency"}),
    ("SampleWeight", {"label": LABELS}, {"n_classes": 3, "counts": "running", "scale": "mean_one", "defer": 3}),
    ("LabelNoise", {"label": LABELS}, {"distribution": "uniform", "low": 0, "high": 1}),
    ("LabelNoise", {"label": LABELS}, {"distribution": "gaussian", "std": 1, "one_hot": True, "n_classes": 3}),
    ("LabelSmoothing", {"label": LABELS.reshape(4, 1, 1, 1)}, {"n_classes": 3, "ignore_label": 1}),
    ("L2Normalize", {"x": X}, {"across_spatial": True}),
    ("Normalize", {"x": X}, {"scale_filler": {"type": "gaussian", "std": 0.1}}),
    ("WeightedContrastiveLoss", PAIR, {"legacy_version": True}),
    ("WeightedHingeLoss", {"x": X, "label": LABELS}, {"norm": "L2"}),
    ("DiceLoss", {"x": X, "label": LABELS}, {"over": "class", "type": "tversky"}),
    ("DiceLoss", {"x": X, "target": TARGETS}, {"over": "sample", "type": "jaccard", "activation": "softmax"}),
    ("WeightedSigmoidCrossEntropyLoss", {"x": X, "target": TARGETS}, {"pos_weight": [1, 2, 3]}),
    ("SmoothL1Loss", {"x": X, "y": Y}, {"keep": {"top_k": 2}, "ignore_nan": True}),
    ("WeightedSoftmaxLoss", {"x": X, "label": LABELS}, {"keep": {"fraction": 0.5}}),
    ("WeightedEuclideanLoss", {"x": X, "y": Y}, {"keep": {"threshold": 0.01, "min_kept": 1}}),
    *(("WeightedSoftmaxLoss", {"x": X, "label": LABELS}, {"normalization": mode}) for mode in ("FULL", "BATCH_SIZE", "NONE")),
    ("WeightedSoftmaxLoss", {"x": X[:, :, None, None], "label": LABELS.reshape(4, 1, 1, 1)}, {"ignore_label": 1}),
    *(("MarginSoftmaxLoss", {"x": X, "label": LABELS}, {"num_output": 3, "type": each}) for each in ("cosface", "combined", "sphereface")),
    ("MarginSoftmaxLoss", {"x": X, "label": LABELS}, {"num_output": 3, "ignore_label": 1, "keep": {"top_k": 2}, "weight_filler": {"type": "msra"}}),
    *(("BatchPairLoss", {"x": X, "label": LABELS}, {"type": each}) for each in ("ntxent", "supcon", "multi_similarity", "circle", "lifted", "margin")),
    ("BatchPairLoss", {"x": X, "label": LABELS}, {"type": "margin", "mining": "distance"}),
    ("BatchPairLoss", {"x": X, "label": LABELS}, {"type": "contrastive", "mining": "multi_similarity", "normalize_x": False, "ignore_label": 1}),
    *(("ProxyLoss", {"x": X, "label": LABELS}, {"num_output": 3, "type": each, "ignore_label": 1}) for each in ("proxy_nca", "proxy_anchor", "normalized_softmax")),
    ("ProxyLoss", {"x": X, "label": LABELS}, {"num_output": 3, "type": "soft_triple", "sub_centers": 2, "tau": 0.2}),
    ("CenterLoss", {"x": X, "label": LABELS}, {"num_output": 3, "update": "gradient", "distance": "l1", "center_filler": {"type": "gaussian"}}),
    ("NormalizedInnerProduct", {"x": X[:, :, None, None]}, {"num_output": 5, "sub_centers": 2, "normalize_x": False}),
    ("MarginInnerProduct", {"x": X, "label": LABELS}, {"num_output": 3, "type": "TRIPLE", "gradient": "fork", "ignore_label": 0}),
    ("LabelSpecificAdd", {"x": X, "label": LABELS}, {"where": "everywhere", "bias": -0.1}),
    ("Metrics", {"x": X, "label": TARGETS}, {"of": ["average_precision"], "restart_every": 2}),
    ("WeightedAccuracy", {"x": X, "label": LABELS}, {"balanced": True, "top_k": 2}),
]  # fmt: skip


def weighted(layer, inputs, options):
    """The bottoms with sample_weight behind them, where the layer has one, and the options that go with them."""
    takes = SCHEMAS[layer].takes
    if "[sample_weight]" not in takes:
        return inputs, options
    more = [*list(inputs)[sum(not name.startswith("[") for name in takes) :], *WEIGHT]
    bottoms = {"bottoms": more} if "bottoms" in SCHEMAS[layer].model_fields else {}
    return {**inputs, **WEIGHT}, {**options, **bottoms}
