"""Nets as users of forks of Caffe write them, made small; and what they become when only the types change."""

from typing import Any, Dict, List

from caffe_pylayers import LAYERS
from caffe_pylayers.caffe_files.prototxt import Field, Message, Word, parse, text_of

#: Which parameter a fork's layer has its options in.
PARAMS = {
    "ROIPooling": "roi_pooling_param", "SmoothL1Loss": "smooth_l1_loss_param", "Interp": "interp_param",
    "SegAccuracy": "seg_accuracy_param", "Normalize": "norm_param", "Permute": "permute_param",
    "ShuffleChannel": "shuffle_channel_param", "Upsample": "upsample_param", "GradientScaler": "gradient_scaler_param",
    "PoolingND": "pooling_param", "WingLoss": "wing_loss_param",
}  # fmt: skip


def moved(net: str) -> str:
    """The net with `type: "Python"` for each layer that is ours, its fields in param_str; a loss gets its loss_weight."""
    return text_of(Message([_moved(field) for field in parse(net).fields]))


def _moved(field: Field) -> Field:
    layer = field.value
    if not isinstance(layer, Message) or layer.get("type") not in LAYERS:
        return field
    kind = layer.get("type")
    options = _options(layer.message(PARAMS.get(kind, "")))
    python = {"module": "caffe_pylayers", "layer": kind, **({"param_str": repr(options)} if options else {})}
    fields = [Field("type", "Python", 0), Field("python_param", _message(python), 0)]
    fields += [each for each in layer.fields if each.name not in ("type", PARAMS.get(kind))]
    if kind.endswith("Loss") and "loss_weight" not in layer:
        fields.append(Field("loss_weight", 1, 0))
    return field._replace(value=Message(fields))


def _message(values: Dict[str, Any]) -> Message:
    return Message([Field(name, value, 0) for name, value in values.items()])


def _options(param: Message) -> Dict[str, Any]:
    values: Dict[str, List[Any]] = {}
    for field in param.fields:
        values.setdefault(field.name, []).append(_option(field.value))
    return {name: each if len(each) > 1 else each[0] for name, each in values.items()}


def _option(value: Any) -> Any:
    if isinstance(value, Message):
        return _options(value)
    return {"true": True, "false": False}.get(value, str(value)) if isinstance(value, Word) else value


def _input(**shapes: str) -> str:
    """A layer that is fed, as the fork's own data layer would."""
    of_tops = "".join(f' top: "{name}"' for name in shapes)
    dims = (" ".join(f"dim: {size}" for size in shape.split()) for shape in shapes.values())
    shapes_of_tops = "".join(f" shape {{ {each} }}" for each in dims)
    return f'layer {{ name: "input"  type: "Input" {of_tops}  input_param {{{shapes_of_tops} }} }}\n'


def _conv(name: str, bottom: str, num_output: int, kernel_size: int = 1, more: str = "") -> str:
    return f"""layer {{
  name: "{name}"
  type: "Convolution"
  bottom: "{bottom}"
  top: "{name}"
  convolution_param {{
    num_output: {num_output}
    kernel_size: {kernel_size}
    {more}
    weight_filler {{
      type: "xavier"
    }}
  }}
}}
"""


def _fc(name: str, bottom: str, num_output: int, more: str = "") -> str:
    return f"""layer {{
  name: "{name}"
  type: "InnerProduct"
  bottom: "{bottom}"
  top: "{name}"
  {more}
  inner_product_param {{
    num_output: {num_output}
    weight_filler {{
      type: "xavier"
    }}
  }}
}}
"""


def _in_place(kind: str, blob: str) -> str:
    return f'layer {{\n  name: "{kind}_{blob}"\n  type: "{kind}"\n  bottom: "{blob}"\n  top: "{blob}"\n}}\n'


#: py-faster-rcnn, end to end: the region proposal net and the head. Its own Python layers are inputs here.
FASTER_RCNN = (
    _input(
        data="1 3 32 48", rois="6 5", labels="6", bbox_targets="6 12", bbox_inside_weights="6 12", bbox_outside_weights="6 12",
        rpn_labels="1 1 24 12", rpn_bbox_targets="1 12 8 12", rpn_bbox_inside_weights="1 12 8 12", rpn_bbox_outside_weights="1 12 8 12",
    )
    + _conv("conv5_3", "data", 8, 3, "pad: 1 stride: 4")
    + _in_place("ReLU", "conv5_3")
    + _conv("rpn_cls_score", "conv5_3", 6)
    + _conv("rpn_bbox_pred", "conv5_3", 12)
    + """
layer {
   bottom: "rpn_cls_score"
   top: "rpn_cls_score_reshape"
   name: "rpn_cls_score_reshape"
   type: "Reshape"
   reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 0 } }
}
layer {
  name: "rpn_loss_cls"
  type: "SoftmaxWithLoss"
  bottom: "rpn_cls_score_reshape"
  bottom: "rpn_labels"
  propagate_down: 1
  propagate_down: 0
  top: "rpn_cls_loss"
  loss_weight: 1
  loss_param {
    ignore_label: -1
    normalize: true
  }
}
layer {
  name: "rpn_loss_bbox"
  type: "SmoothL1Loss"
  bottom: "rpn_bbox_pred"
  bottom: "rpn_bbox_targets"
  bottom: 'rpn_bbox_inside_weights'
  bottom: 'rpn_bbox_outside_weights'
  top: "rpn_loss_bbox"
  loss_weight: 1
  smooth_l1_loss_param { sigma: 3.0 }
}
layer {
  name: "roi_pool5"
  type: "ROIPooling"
  bottom: "conv5_3"
  bottom: "rois"
  top: "pool5"
  roi_pooling_param {
    pooled_w: 7
    pooled_h: 7
    spatial_scale: 0.25 # 1/4
  }
}
"""
    + _fc("fc6", "pool5", 16, "param { lr_mult: 1 }\n  param { lr_mult: 2 }")
    + _in_place("ReLU", "fc6")
    + _in_place("Dropout", "fc6")
    + _fc("cls_score", "fc6", 3)
    + _fc("bbox_pred", "fc6", 12)
    + """
layer {
  name: "loss_cls"
  type: "SoftmaxWithLoss"
  bottom: "cls_score"
  bottom: "labels"
  propagate_down: 1
  propagate_down: 0
  top: "loss_cls"
  loss_weight: 1
}
layer {
  name: "loss_bbox"
  type: "SmoothL1Loss"
  bottom: "bbox_pred"
  bottom: "bbox_targets"
  bottom: "bbox_inside_weights"
  bottom: "bbox_outside_weights"
  top: "loss_bbox"
  propagate_down: 1
  propagate_down: 0
  propagate_down: 0
  propagate_down: 0
  loss_weight: 1
}
"""
)  # fmt: skip

#: DeepLab's: labels become smaller by a layer Interp too, here from 33 to 9 rows.
DEEPLAB = (
    _input(data="2 3 33 33", label="2 1 33 33")
    + _conv("fc8", "data", 5, 5, "pad: 2 stride: 4")
    + """
layer {
  bottom: "label"
  top: "label_shrink"
  name: "label_shrink"
  type: "Interp"
  interp_param {
    shrink_factor: 4
    pad_beg: 0
    pad_end: 0
  }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "fc8"
  bottom: "label_shrink"
  include { phase: TRAIN }
  loss_param {
    ignore_label: 255
  }
}
layer {
  name: "accuracy"
  type: "SegAccuracy"
  bottom: "fc8"
  bottom: "label_shrink"
  top: "accuracy"
  seg_accuracy_param {
    ignore_label: 255
  }
}
layer {
  name: "fc8_interp"
  type: "Interp"
  bottom: "fc8"
  top: "fc8_interp"
  include { phase: TEST }
  interp_param {
    zoom_factor: 4
  }
}
layer {
  name: "accuracy_interp"
  type: "SegAccuracy"
  bottom: "fc8_interp"
  bottom: "label"
  top: "accuracy_interp"
  include { phase: TEST }
  seg_accuracy_param {
    ignore_label: 255
  }
}
"""
)

#: PSPNet's: a pyramid of pooled maps, each made as large as the features.
PSPNET = (
    _input(data="1 3 49 49", label="1 1 49 49")
    + _conv("conv5_3", "data", 6, 3, "pad: 1 stride: 8")
    + """
layer {
  name: "conv5_3_pool3"
  type: "Pooling"
  bottom: "conv5_3"
  top: "conv5_3_pool3"
  pooling_param {
    pool: AVE
    kernel_size: 3
    stride: 2
  }
}
"""
    + _conv("conv5_3_pool3_conv", "conv5_3_pool3", 2)
    + """
layer {
  name: "conv5_3_pool3_interp"
  type: "Interp"
  bottom: "conv5_3_pool3_conv"
  top: "conv5_3_pool3_interp"
  interp_param {
    height: 7
    width: 7
  }
}
layer {
  name: "conv5_3_concat"
  type: "Concat"
  bottom: "conv5_3"
  bottom: "conv5_3_pool3_interp"
  top: "conv5_3_concat"
}
"""
    + _conv("conv6", "conv5_3_concat", 4)
    + """
layer {
  name: "conv6_interp"
  type: "Interp"
  bottom: "conv6"
  top: "conv6_interp"
  interp_param {
    zoom_factor: 8
  }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "conv6_interp"
  bottom: "label"
  top: "loss"
  loss_weight: 1
  include { phase: TRAIN }
  loss_param {
    ignore_label: 255
    normalization: VALID
  }
}
layer {
  name: "accuracy"
  type: "SegAccuracy"
  bottom: "conv6_interp"
  bottom: "label"
  top: "accuracy"
  include { phase: TEST }
  seg_accuracy_param {
    ignore_label: 255
  }
}
"""
)

#: SSD's head: one scale of it, with its losses apart, since MultiBoxLoss is one of C++.
SSD = (
    _input(data="2 3 8 8", loc_target="2 192", inside_weights="2 192", conf_target="2 64 1")
    + _conv("conv4_3", "data", 8, 3, "pad: 1")
    + """
layer {
  name: "conv4_3_norm"
  type: "Normalize"
  bottom: "conv4_3"
  top: "conv4_3_norm"
  norm_param {
    across_spatial: false
    scale_filler {
      type: "constant"
      value: 20
    }
    channel_shared: false
  }
}
"""
    + _conv("conv4_3_norm_mbox_loc", "conv4_3_norm", 3, 3, "pad: 1")
    + """
layer {
  name: "conv4_3_norm_mbox_loc_perm"
  type: "Permute"
  bottom: "conv4_3_norm_mbox_loc"
  top: "conv4_3_norm_mbox_loc_perm"
  permute_param {
    order: 0
    order: 2
    order: 3
    order: 1
  }
}
layer {
  name: "conv4_3_norm_mbox_loc_flat"
  type: "Flatten"
  bottom: "conv4_3_norm_mbox_loc_perm"
  top: "conv4_3_norm_mbox_loc_flat"
  flatten_param {
    axis: 1
  }
}
"""
    + _conv("conv4_3_norm_mbox_conf", "conv4_3_norm", 4, 3, "pad: 1")
    + """
layer {
  name: "mbox_loc_loss"
  type: "SmoothL1Loss"
  bottom: "conv4_3_norm_mbox_loc_flat"
  bottom: "loc_target"
  top: "mbox_loc_loss"
  loss_weight: 1
}
layer {
  name: "mbox_conf_perm"
  type: "Permute"
  bottom: "conv4_3_norm_mbox_conf"
  top: "mbox_conf_perm"
  permute_param {
    order: 0
    order: 2
    order: 3
    order: 1
  }
}
layer {
  name: "mbox_conf_reshape"
  type: "Reshape"
  bottom: "mbox_conf_perm"
  top: "mbox_conf_reshape"
  reshape_param {
    shape {
      dim: 0
      dim: -1
      dim: 4
    }
  }
}
layer {
  name: "mbox_conf_loss"
  type: "SoftmaxWithLoss"
  bottom: "mbox_conf_reshape"
  bottom: "conf_target"
  top: "mbox_conf_loss"
  softmax_param { axis: 2 }
}
layer {
  name: "silence"
  type: "Silence"
  bottom: "inside_weights"
}
"""
)

#: A block of SENet, behind one of ShuffleNet.
SENET = (
    _input(data="2 3 8 8", label="2")
    + _conv("resx1_conv1", "data", 12)
    + """
layer {
  name: "shuffle1"
  type: "ShuffleChannel"
  bottom: "resx1_conv1"
  top: "shuffle1"
  shuffle_channel_param {
    group: 3
  }
}
"""
    + _conv("conv2_1_1x1_proj", "shuffle1", 12, 1, "group: 3")
    + _conv("conv2_1_1x1_increase", "shuffle1", 12, 3, "pad: 1 group: 3")
    + """
layer {
  name: "conv2_1_global_pool"
  type: "Pooling"
  bottom: "conv2_1_1x1_increase"
  top: "conv2_1_global_pool"
  pooling_param {
    pool: AVE
    engine: CAFFE
    global_pooling: true
  }
}
"""
    + _conv("conv2_1_1x1_down", "conv2_1_global_pool", 3)
    + _in_place("ReLU", "conv2_1_1x1_down")
    + _conv("conv2_1_1x1_up", "conv2_1_1x1_down", 12)
    + """
layer {
  name: "conv2_1_prob"
  type: "Sigmoid"
  bottom: "conv2_1_1x1_up"
  top: "conv2_1_1x1_up"
}
layer {
  name: "conv2_1"
  type: "Axpy"
  bottom: "conv2_1_1x1_up"
  bottom: "conv2_1_1x1_increase"
  bottom: "conv2_1_1x1_proj"
  top: "conv2_1"
}
layer {
  name: "conv2_1/relu"
  type: "ReLU"
  bottom: "conv2_1"
  top: "conv2_1"
}
"""
    + _fc("classifier", "conv2_1", 4)
    + """
layer {
  name: "prob"
  type: "SoftmaxWithLoss"
  bottom: "classifier"
  bottom: "label"
  top: "loss"
  include { phase: TRAIN }
}
layer {
  name: "accuracy"
  type: "Accuracy"
  bottom: "classifier"
  bottom: "label"
  top: "accuracy"
  include { phase: TEST }
}
"""
)

#: SegNet's: encoder and decoder of odd maps, with the size that upsample_param says beside its scale.
SEGNET = (
    _input(data="2 3 9 12", label="2 1 9 12")
    + _conv("conv1", "data", 6, 3, "pad: 1")
    + """
layer {
  bottom: "conv1"
  top: "pool1"
  top: "pool1_mask"
  name: "pool1"
  type: "Pooling"
  pooling_param {
    pool: MAX
    kernel_size: 2
    stride: 2
  }
}
"""
    + _conv("conv2", "pool1", 6, 3, "pad: 1")
    + """
layer {
  name: "upsample1"
  type: "Upsample"
  bottom: "conv2"
  top: "pool1_D"
  bottom: "pool1_mask"
  upsample_param {
    scale: 2
    upsample_w: 12
    upsample_h: 9
  }
}
"""
    + _conv("conv1_1_D", "pool1_D", 4, 3, "pad: 1")
    + """
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "conv1_1_D"
  bottom: "label"
  top: "loss"
  softmax_param {engine: CAFFE}
  loss_param: {
    ignore_label: 255
  }
}
layer {
  name: "accuracy"
  type: "Accuracy"
  bottom: "conv1_1_D"
  bottom: "label"
  top: "accuracy"
  include { phase: TEST }
  accuracy_param { ignore_label: 255 }
}
"""
)

#: DANN's: two classifiers of the same features, the gradient of one of them reversed.
DANN = (
    _input(data="4 3 6 6", label="4", domain="4 1")
    + _fc("bottleneck_fc7", "data", 8)
    + _fc("fc8", "bottleneck_fc7", 3)
    + """
layer {
  name: "softmax_loss"
  type: "SoftmaxWithLoss"
  bottom: "fc8"
  bottom: "label"
  top: "softmax_loss"
  loss_weight: 1
}
layer {
  name: "grl"
  type: "GradientScaler"
  bottom: "bottleneck_fc7"
  top: "grl"
  gradient_scaler_param {
    lower_bound: 0.0
    upper_bound: 1.0
    alpha: 10.0
    max_iter: 10000
  }
}
"""
    + _fc("dc_ip1", "grl", 1)
    + """
layer {
  name: "dc_loss"
  type: "SigmoidCrossEntropyLoss"
  bottom: "dc_ip1"
  bottom: "domain"
  top: "dc_loss"
  loss_weight: 0.1
}
"""
)

#: HED's, whose fork has changed SigmoidCrossEntropyLoss itself, with a regression of landmarks and one of DetectNet beside it.
LOSSES = (
    _input(data="2 3 8 8", label="2 1 8 8", landmarks="2 10", coverage="2 1 8 8")
    + _conv("conv1_2", "data", 6, 3, "pad: 35")
    + _conv("score-dsn1", "conv1_2", 1)
    + """
layer { type: "Crop"  name: 'crop'  bottom: 'score-dsn1'  bottom: 'data'  top: 'upscore-dsn1'  crop_param { axis: 2 offset: 34 } }
layer { type: "BalancedSigmoidCrossEntropyLoss"  bottom: "upscore-dsn1"  bottom: "label"  top: "dsn1_loss"  loss_weight: 1 }
"""
    + _fc("landmark", "conv1_2", 10)
    + """
layer {
  name: "wing_loss"
  type: "WingLoss"
  bottom: "landmark"
  bottom: "landmarks"
  top: "wing_loss"
  wing_loss_param {
    w: 10
    epsilon: 2
  }
}
layer {
  name: "bbox_loss"
  type: "L1Loss"
  bottom: "upscore-dsn1"
  bottom: "coverage"
  top: "loss_bbox"
  loss_weight: 2
}
"""
)

#: C3D's and other nets of blobs with more than two axes after the channels.
POOLING_ND = (
    _input(data="2 3 4 6 6", label="2")
    + """
layer {
  name: "pool1"
  type: "PoolingND"
  bottom: "data"
  top: "pool1"
  pooling_param {
    pool: MAX
    kernel_size: 1
    kernel_size: 2
    kernel_size: 2
    stride: 1
    stride: 2
    stride: 2
  }
}
"""
    + _fc("fc8", "pool1", 3)
    + """
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "fc8"
  bottom: "label"
}
"""
)

NETS = {
    "faster_rcnn": FASTER_RCNN, "deeplab": DEEPLAB, "pspnet": PSPNET, "ssd": SSD, "senet": SENET, "segnet": SEGNET,
    "dann": DANN, "losses": LOSSES, "pooling_nd": POOLING_ND,
}  # fmt: skip
