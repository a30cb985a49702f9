"""Small nets of the structure of well-known public ones, each with a mistake that one makes there."""

from typing import Dict, NamedTuple


class PublicNet(NamedTuple):
    """A net, and a text in it that becomes another, at which Caffe stops. solver: what its solver has besides the usual."""

    net: str
    old: str
    new: str
    solver: str = "test_iter: 1  test_interval: 10"


def _given(**shapes: str) -> str:
    """A DummyData layer: blobs whose name begins with `label` are of zeros, the others drawn."""
    layer = 'layer { name: "given"  type: "DummyData" '
    layer += "".join(f' top: "{name}"' for name in shapes) + "\n  dummy_data_param {"
    for name, shape in shapes.items():
        layer += f" shape {{ {' '.join(f'dim: {size}' for size in shape.split())} }}"
        layer += f' data_filler {{ type: "{"constant" if name.startswith("label") else "gaussian"}" }}'
    return layer + " } }\n"


def _conv(name: str, bottom: str, outputs: int, kernel: int, more: str = "", kind: str = "Convolution") -> str:
    return (
        f'layer {{ name: "{name}"  type: "{kind}"  bottom: "{bottom}"  top: "{name}"\n  convolution_param {{ '
        f'num_output: {outputs}  kernel_size: {kernel}  {more}  weight_filler {{ type: "xavier" }} }} }}\n'
    )


def _ip(name: str, bottom: str, outputs: int, more: str = "", param: str = "") -> str:
    return (
        f'layer {{ name: "{name}"  type: "InnerProduct"  bottom: "{bottom}"  top: "{name}"  {param}\n'
        f'  inner_product_param {{ num_output: {outputs}  {more}  weight_filler {{ type: "xavier" }} }} }}\n'
    )


def _in_place(kind: str, blob: str, more: str = "", name: str = "") -> str:
    return f'layer {{ name: "{name or kind + blob}"  type: "{kind}"  bottom: "{blob}"  top: "{blob}"  {more} }}\n'


def _pool(name: str, bottom: str, how: str = "pool: MAX  kernel_size: 2  stride: 2") -> str:
    return (
        f'layer {{ name: "{name}"  type: "Pooling"  bottom: "{bottom}"  top: "{name}"  pooling_param {{ {how} }} }}\n'
    )


def _loss(scores: str, more: str = "", kind: str = "SoftmaxWithLoss", name: str = "loss") -> str:
    return f'layer {{ name: "{name}"  type: "{kind}"  bottom: "{scores}"  bottom: "label"  top: "{name}"  {more} }}\n'


def _crop(name: str, blob: str, like: str) -> str:
    return f'layer {{ name: "{name}"  type: "Crop"  bottom: "{blob}"  bottom: "{like}"  top: "{name}"  crop_param {{ axis: 2  offset: 1 }} }}\n'


def _norm(blob: str) -> str:
    frozen = "param { lr_mult: 0 } " * 3
    scale = _in_place("Scale", blob, "scale_param { bias_term: true }")
    return _in_place("BatchNorm", blob, frozen) + scale


def _hed_loss(blob: str) -> str:
    return f'layer {{ type: "SigmoidCrossEntropyLoss"  bottom: "{blob}"  bottom: "label"  top: "{blob}_loss"  loss_weight: 1 }}\n'


_HED = (
    _given(data="1 3 12 12", label="1 1 12 12")
    + _conv("conv1", "data", 4, 3, "pad: 3")
    + _in_place("ReLU", "conv1")
    + _conv("dsn1", "conv1", 1, 1)
    + _crop("side1", "dsn1", "data")
    + _hed_loss("side1")
    + _pool("pool1", "conv1")
    + _conv("dsn2", "pool1", 1, 1)
    + _conv("up2", "dsn2", 1, 4, "stride: 2", "Deconvolution")
    + _crop("side2", "up2", "data")
    + _hed_loss("side2")
    + 'layer { name: "all"  type: "Concat"  bottom: "side1"  bottom: "side2"  top: "all" }\n'
    + _conv("fuse", "all", 1, 1)
    + _hed_loss("fuse")
)
_DEEPLAB = (
    _given(data="2 3 16 16", label="2 1 8 8", dim="2 1 1 2")
    + 'layer { name: "silence"  type: "Silence"  bottom: "dim" }\n'
    + _conv("conv1", "data", 4, 3, "pad: 1")
    + _in_place("ReLU", "conv1")
    + _pool("pool1", "conv1", "pool: MAX  kernel_size: 3  stride: 2  pad: 1")
    + _conv("fc6", "pool1", 8, 3, "pad: 2  dilation: 2")
    + _in_place("Dropout", "fc6", "dropout_param { dropout_ratio: 0.5 }")
    + _conv("fc8", "fc6", 3, 1)
    + 'layer { name: "fit"  type: "Crop"  bottom: "fc8"  bottom: "label"  top: "fit"  crop_param { axis: 2 } }\n'
    + _loss("fit", "loss_param { ignore_label: 255 }  include { phase: TRAIN }")
    + 'layer { name: "accuracy"  type: "Accuracy"  bottom: "fit"  bottom: "label"  top: "accuracy"  include { phase: TEST }\n'
    + "  accuracy_param { ignore_label: 255 } }\n"
)
_SEGNET = (
    _given(data="2 3 8 8", label="2 1 8 8")
    + _conv("conv1", "data", 4, 3, "pad: 1")
    + _norm("conv1")
    + _in_place("ReLU", "conv1")
    + 'layer { name: "pool1"  type: "Pooling"  bottom: "conv1"  top: "pool1"  top: "mask1"  pooling_param { kernel_size: 2  stride: 2 } }\n'
    + 'layer { name: "silence"  type: "Silence"  bottom: "mask1" }\n'
    + _conv("up1", "pool1", 4, 2, "stride: 2  bias_term: false", "Deconvolution")
    + _conv("classes", "up1", 3, 3, "pad: 1")
    + 'layer { name: "loss"  type: "Python"  bottom: "classes"  bottom: "label"  top: "loss"  loss_weight: 1  python_param {\n'
    + '  module: "caffe_pylayers"  layer: "WeightedSoftmaxLoss"  param_str: "{\'class_weights\': [0.3, 1.1, 2], \'ignore_label\': 11}" } }\n'
)
_SHARED = 'param { name: "w" } param { name: "b"  lr_mult: 2 }'
_SIAMESE = (
    _given(pair="4 2 6 6", label="4")
    + 'layer { name: "halves"  type: "Slice"  bottom: "pair"  top: "left"  top: "right"  slice_param { slice_dim: 1  slice_point: 1 } }\n'
    + _ip("feat", "left", 3, param=_SHARED)
    + _ip("feat_p", "right", 3, param=_SHARED)
    + 'layer { name: "loss"  type: "ContrastiveLoss"  bottom: "feat"  bottom: "feat_p"  bottom: "label"  top: "loss"\n'
    + "  contrastive_loss_param { margin: 9 } }\n"
)
_FCN = (
    _given(data="1 3 16 16", label="1 1 16 16")
    + _conv("conv1", "data", 4, 3, "pad: 5")
    + _in_place("ReLU", "conv1")
    + _pool("pool3", "conv1")
    + _pool("pool4", "pool3")
    + _conv("score_pool3", "pool3", 3, 1)
    + _conv("score_pool4", "pool4", 3, 1)
    + 'layer { name: "upscore2"  type: "Deconvolution"  bottom: "score_pool4"  top: "upscore2"  param { lr_mult: 0 }\n'
    + '  convolution_param { num_output: 3  group: 3  kernel_size: 4  stride: 2  bias_term: false  weight_filler { type: "bilinear" } } }\n'
    + _crop("upscore2c", "upscore2", "score_pool3")
    + 'layer { name: "fuse"  type: "Eltwise"  bottom: "upscore2c"  bottom: "score_pool3"  top: "fuse"  eltwise_param { operation: SUM } }\n'
    + _conv("upscore8", "fuse", 3, 4, "stride: 2  bias_term: false", "Deconvolution")
    + _crop("score", "upscore8", "data")
    + _loss("score", "loss_param { ignore_label: 255  normalize: false }")
)
_GOOGLENET = (
    _given(data="2 3 12 12", label="2")
    + _conv("conv1", "data", 4, 3, "pad: 1")
    + _in_place("ReLU", "conv1")
    + 'layer { name: "norm1"  type: "LRN"  bottom: "conv1"  top: "norm1"  lrn_param { local_size: 5  alpha: 0.0001  beta: 0.75 } }\n'
    + _conv("branch1", "norm1", 2, 1)
    + _conv("branch3", "norm1", 2, 3, "pad: 1")
    + _pool("branch_pool", "norm1", "pool: MAX  kernel_size: 3  stride: 1  pad: 1")
    + 'layer { name: "inception"  type: "Concat"  bottom: "branch1"  bottom: "branch3"  bottom: "branch_pool"  top: "inception" }\n'
    + _pool("aux_pool", "inception", "pool: AVE  kernel_size: 5  stride: 3")
    + _ip("aux_classifier", "aux_pool", 6)
    + _loss("aux_classifier", "loss_weight: 0.3", name="aux_loss")
    + _pool("pool5", "inception", "pool: AVE  global_pooling: true")
    + _ip("classifier", "pool5", 6)
    + _loss("classifier", "loss_weight: 1")
    + 'layer { name: "top5"  type: "Accuracy"  bottom: "classifier"  bottom: "label"  top: "top5"  include { phase: TEST }  accuracy_param { top_k: 5 } }\n'
)
_RESNET = (
    _given(data="2 3 8 8", label="2")
    + _conv("conv1", "data", 4, 3, "pad: 1  bias_term: false")
    + _norm("conv1")
    + _in_place("ReLU", "conv1")
    + _conv("res2a", "conv1", 4, 3, "pad: 1  bias_term: false")
    + _norm("res2a")
    + 'layer { name: "res2"  type: "Eltwise"  bottom: "conv1"  bottom: "res2a"  top: "res2" }\n'
    + _in_place("ReLU", "res2")
    + _pool("pool5", "res2", "pool: AVE  kernel_size: 8")
    + _ip("fc", "pool5", 3)
    + _loss("fc")
)
_RECURRENT = (
    _given(cont="5 2", label="5 2")
    + 'layer { name: "embed"  type: "Embed"  bottom: "label"  top: "embed"  embed_param { input_dim: 7  num_output: 4\n'
    + '  weight_filler { type: "uniform"  min: -1  max: 1 } } }\n'
    + 'layer { name: "lstm"  type: "LSTM"  bottom: "embed"  bottom: "cont"  top: "lstm"  recurrent_param { num_output: 6\n'
    + '  weight_filler { type: "uniform"  min: -0.1  max: 0.1 } } }\n'
    + _ip("predict", "lstm", 7, "axis: 2")
    + _loss("predict", "softmax_param { axis: 2 }")
)
_MIXED = (
    _given(data="2 6 6 6", label="2 72")
    + 'layer { name: "slice"  type: "Slice"  bottom: "data"  top: "a"  top: "b"  slice_param { axis: 1  slice_point: 2 } }\n'
    + _conv("conv_a", "a", 4, 1)
    + _in_place("PReLU", "conv_a")
    + 'layer { name: "product"  type: "Eltwise"  bottom: "conv_a"  bottom: "b"  top: "product"  eltwise_param { operation: PROD } }\n'
    + 'layer { name: "both"  type: "Concat"  bottom: "product"  bottom: "b"  top: "both"  concat_param { axis: 1 } }\n'
    + _conv("small", "both", 8, 4)
    + _crop("crop", "both", "small")
    + 'layer { name: "flat"  type: "Flatten"  bottom: "crop"  top: "flat" }\n'
    + _in_place("Sigmoid", "flat")
    + _loss("flat", kind="EuclideanLoss")
)
_ALEXNET = """name: "CaffeNet"
layers { name: "data"  type: DATA  top: "data"  top: "label"  include: { phase: TRAIN }
  data_param { source: "train_lmdb"  mean_file: "mean.binaryproto"  batch_size: 4  crop_size: 10  mirror: true  backend: LMDB } }
layers { name: "data"  type: IMAGE_DATA  top: "data"  top: "label"  include: { phase: TEST }
  image_data_param { source: "images.txt"  batch_size: 4  crop_size: 10 } }
layers { name: "conv1"  type: CONVOLUTION  bottom: "data"  top: "conv1"  blobs_lr: 1  blobs_lr: 2  weight_decay: 1  weight_decay: 0
  convolution_param { num_output: 4  kernel_size: 3  stride: 2  weight_filler { type: "gaussian"  std: 0.01 } } }
layers { name: "relu1"  type: RELU  bottom: "conv1"  top: "conv1" }
layers { name: "pool1"  type: POOLING  bottom: "conv1"  top: "pool1"  pooling_param { pool: MAX  kernel_size: 3  stride: 2 } }
layers { name: "fc8"  type: INNER_PRODUCT  bottom: "pool1"  top: "fc8"  inner_product_param { num_output: 5  weight_filler { type: "xavier" } } }
layers { name: "drop"  type: DROPOUT  bottom: "fc8"  top: "fc8"  dropout_param { dropout_ratio: 0.5 } }
layers { name: "accuracy"  type: ACCURACY  bottom: "fc8"  bottom: "label"  top: "accuracy"  include: { phase: TEST } }
layers { name: "loss"  type: SOFTMAX_LOSS  bottom: "fc8"  bottom: "label" }
"""

NETS: Dict[str, PublicNet] = {
    "hed": PublicNet(_HED, 'bottom: "side1"  bottom: "label"', 'bottom: "dsn1"  bottom: "label"', "test_iter: 0  test_interval: 1000000"),
    "deeplab": PublicNet(_DEEPLAB, "dilation: 2", "hole: 2"),
    "segnet": PublicNet(_SEGNET, "[0.3, 1.1, 2]", "[0.3, 1.1]"),
    "siamese": PublicNet(_SIAMESE, 'top: "feat_p"', 'top: "feat_p"  propagate_down: true  propagate_down: true'),
    "fcn8s": PublicNet(_FCN, 'bottom: "upscore2"  bottom: "score_pool3"', 'bottom: "upscore2"'),
    "googlenet": PublicNet(_GOOGLENET, "stride: 1  pad: 1", "stride: 1"),
    "resnet": PublicNet(_RESNET, 'top: "res2a"\n  convolution_param { num_output: 4', 'top: "res2a"\n  convolution_param { num_output: 8'),
    "recurrent": PublicNet(_RECURRENT, 'bottom: "embed"  bottom: "cont"', 'bottom: "embed"'),
    "mixed": PublicNet(_MIXED, "slice_point: 2", "slice_point: 6"),
    "alexnet": PublicNet(_ALEXNET, "type: DROPOUT", "type: DROP_OUT"),
}  # fmt: skip
