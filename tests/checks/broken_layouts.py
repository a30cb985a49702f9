"""Mistakes in what is written and in how layers hang together."""

from tests.checks.broken import NET, SOLVER, Broken
from tests.checks.good_nets import NET as NET_TEXT

_FIRST = 'layer {\n  name: "conv"  type: "Convolution"  bottom: "data"'
_SCALE = 'layer { name: "first"  type: "Scale"  bottom: "%s"  top: "%s" }\n'
_SHARED = (
    'layer { name: "mix"  type: "Convolution"  bottom: "%s"  top: "%s"  param { name: "w" }  param { name: "b" }\n'
    '  convolution_param { num_output: 3  kernel_size: 1  weight_filler { type: "xavier" } } }\n'
)

# fmt: off
BROKEN = [
    # ---------------------------------------------------------------------------------------------------- syntax
    Broken("a brace is missing", NET, "stride: 2 } }", "stride: 2 }", "", "the file ends, but a '}' is missing for the brace opened in line 25",
           "add it where that block ends", at="}\n", last=True),
    Broken("a quote is missing", NET, 'top: "scores"', 'top: "scores', "", "a string without its closing quote: '\"scores'", "close it in the same line"),
    Broken("a quote is missing before another", NET, 'name: "relu"', 'name: "relu', "", "expected ':' or '{' after 'ReLU'", "is one missing"),
    Broken("double quotes in double quotes", NET, "\"{'n_classes': 5, 'scale': 'mean_one'}\"", '"{"n_classes": 5}"', "",
           "expected ':' or '{' after 'n_classes'", "single quotes"),
    Broken("a colon is missing", SOLVER, "max_iter: 300", "max_iter 300", "", "expected ':' or '{' after 'max_iter', found '300'"),
    # ---------------------------------------------------------------------------------------------------- fields
    Broken("unknown field", NET, "kernel_size: 3", "kernal_size: 3", "conv", "unknown field 'kernal_size' in convolution_param",
           "did you mean 'kernel_size'?"),
    Broken("unknown field in the net of a solver", NET, "kernel_size: 3", "kernal_size: 3", "conv", "unknown field 'kernal_size'",
           "did you mean 'kernel_size'?", checks=(SOLVER,)),
    Broken("a mistake of syntax in the net of a solver", NET, 'top: "scores"', 'top: "scores', "", "a string without its closing quote",
           checks=(SOLVER,)),
    Broken("unknown enum", NET, "pool: MAX", "pool: MAXIMUM", "pool", "field 'pool' in pooling_param is MAXIMUM", "MAX, AVE, STOCHASTIC"),
    Broken("an enum in quotes", NET, "pool: MAX", 'pool: "MAX"', "pool", "field 'pool' in pooling_param is 'MAX'", "without quotes: MAX"),
    Broken("a number in quotes", NET, "num_output: 5", 'num_output: "5"', "scores", "'num_output' in inner_product_param is '5'",
           "an integer, without quotes"),
    Broken("a name without quotes", NET, 'top: "scores"', "top: scores", "scores", "field 'top' is scores", 'in quotes: `top: "scores"`'),
    Broken("a negative count", NET, "num_output: 5", "num_output: -5", "scores", "is -5", "from 0 to"),
    Broken("a message without braces", NET, "pooling_param { pool: MAX  kernel_size: 2  stride: 2 }", "pooling_param: 2", "pool",
           "field 'pooling_param' is 2", "pooling_param { ... }"),
    Broken("yes for a boolean", NET, "num_output: 5", "bias_term: yes  num_output: 5", "scores", "'bias_term' in inner_product_param is yes",
           "true or false"),
    Broken("a field given twice", NET, 'name: "relu"', 'name: "relu"  name: "rectify"', "rectify", "'name' is given twice", "Caffe allows one"),
    Broken("a field of another message", NET, "kernel_size: 3", "kernel_size: 3  lr_mult: 2", "conv", "unknown field 'lr_mult'"),
    # ---------------------------------------------------------------------------------------------------- blobs
    Broken("unknown bottom", NET, 'bottom: "pool"  top: "scores"', 'bottom: "pol"  top: "scores"', "scores", "unknown bottom blob 'pol'",
           "did you mean 'pool'?"),
    Broken("a bottom that is made further down", NET, 'bottom: "data"  top: "conv"', 'bottom: "scores"  top: "conv"', "conv",
           "unknown bottom blob 'scores'", "layer 'scores' in line 28 makes it, further down; put that layer first"),
    Broken("a bottom of the other phase", NET, 'top: "label"\n  include { phase: TEST }', 'include { phase: TEST }', "weights",
           "unknown bottom blob 'label' (in TEST)", "layer 'train_data' in line 2 makes it, but its include and exclude rules",
           at='name: "weights"'),
    Broken("a top made twice", NET, 'bottom: "conv"  top: "pool"', 'bottom: "conv"  top: "label"', "pool",
           "top blob 'label' is already made by layer 'train_data' in line 2 (in TRAIN)", "another name"),
    Broken("two layers of one name", NET, 'name: "relu"', 'name: "pool"', "pool", "layer 'pool' in line 25 has this name too",
           "give each layer its own name", level="warning", at='layer { name: "pool"  type: "ReLU"'),
    # --------------------------------------------------------------------------------------------------- layers
    Broken("no type", NET, 'name: "relu"  type: "ReLU"', 'name: "relu"', "relu", "it has no type", "add `type:"),
    Broken("two layers without a name, with weights", NET, 'name: "conv"  type: "Conv', 'type: "Conv', "", "it has no name, as the Convolution layer in line 21: Caffe stops",
           "its own name", at='layer {\n  type: "InnerProduct"', also=(NET, '  name: "scores"  type', '  type')),
    Broken("two layers of one name, with weights of one size", NET, _FIRST, _SCALE % ("data", "x") + _SCALE % ("x", "xx")
           + _FIRST.replace('"data"', '"xx"'), "first",
           "layer 'first' in line 21 has this name too: Caffe stops, or gives the weights", "its own name", at='layer { name: "first"', last=True),
    Broken("two layers of one name that share all weights", NET, _FIRST, _SHARED % ("data", "x") + _SHARED % ("x", "xx")
           + _FIRST.replace('"data"', '"xx"'), "mix", "layer 'mix' in line 21 has this name too", "its own name", level="warning",
           at='layer { name: "mix"', last=True),
    Broken("two layers of one name, one with weights", NET, 'name: "relu"', 'name: "scores"', "scores", "layer 'scores' in line 27 has this name too",
           "its own name", at='  name: "scores"  type: "Inner'),
    Broken("unknown type", NET, '"InnerProduct"', '"InerProduct"', "scores", "unknown layer type 'InerProduct'", "did you mean 'InnerProduct'?"),
    Broken("a type of ours", NET, '"InnerProduct"', '"L2Normalize"', "scores", "unknown layer type 'L2Normalize'", "python_param { module: \"caffe_pylayers\"  layer: \"L2Normalize\""),
    Broken("a type of forks", NET, '"InnerProduct"', '"L2Normalization"', "scores", "unknown layer type 'L2Normalization'", "python_param { module: \"caffe_pylayers\"  layer: \"L2Normalize\""),
    *(Broken(f"a type of forks, {kind}", NET, '"InnerProduct"', f'"{kind}"', "scores", f"unknown layer type '{kind}'", remedy) for kind, remedy in (
        ("TripletLoss", "python_param { module: \"caffe_pylayers\"  layer: \"TripletLoss\""),
        ("MultiLabelLayer", "layer: \"MultiLabelDataLayer\""), ("TripletsLoss", "did you mean 'TripletLoss'? If so, forks have several"),
        ("BN", 'write `type: "BatchNorm"`, then a layer of `type: "Scale"`'), ("Normalize", "layer: \"Normalize\""),
        *((kind, f"python_param {{ module: \"caffe_pylayers\"  layer: \"{kind}\"") for kind in ("PoolingND", "ROIPooling", "Interp")), ("Upsample", 'with one bottom it repeats each number: write `type: "Deconvolution"`'),
        ("ROIAlign", "no layer of caffe_pylayers does it"), ("Qqq", "no layer of caffe_pylayers does it; this Caffe has: 'AbsVal'"))),
    Broken("parameters of a fork's layer that is ours", NET, 'type: "ReLU"', 'type: "FocalLoss"  focal_loss_param { gamma: 2 }', "relu",
           "unknown field 'focal_loss_param'", "FocalLoss of caffe_pylayers takes its options in param_str"),
    Broken("parameters of a fork's layer that has moved", NET, "  loss_weight: 1", "  loss_weight: 1  softmax_loss_param { ignore_label: 4 }", "loss",
           "unknown field 'softmax_loss_param'", "WeightedSoftmaxLoss of caffe_pylayers takes its options in param_str"),
    Broken("parameters that a Python layer does not read", NET, "  loss_weight: 1", "  loss_weight: 1  loss_param { ignore_label: 4 }", "loss",
           "loss_param has no effect in a Python layer", "WeightedSoftmaxLoss of caffe_pylayers takes its options in param_str", level="warning"),
    Broken("a type of forks with parameters of Caffe's", NET, 'type: "Pooling"', 'type: "PoolingND"', "pool", "unknown layer type 'PoolingND'",
           "param_str: \"{'pool': 'MAX', 'kernel_size': 2, 'stride': 2}\""),
    Broken("class weights of a fork", NET, 'type: "ReLU"', 'type: "ReLU"  loss_param { class_weighting: 2 }', "relu", "unknown field 'class_weighting'",
           "WeightedSoftmaxLoss of caffe_pylayers takes them, as the option 'class_weights'"),
    Broken("label smoothing of a fork", NET, 'type: "ReLU"', 'type: "ReLU"  loss_param { label_smooth_factor: 0.1 }', "relu",
           "unknown field 'label_smooth_factor'", "LabelSmoothing of caffe_pylayers does it, as the option 'smoothing'"),
    Broken("a type of old nets", NET, 'type: "ReLU"', 'type: "RELU"', "relu", "unknown layer type 'RELU'", "did you mean 'ReLU'?"),
    Broken("a type of old nets, without quotes", NET, 'type: "ReLU"', "type: RELU", "relu", "field 'type' is RELU", "today write `type: \"ReLU\"`"),
    Broken("a field of old nets", NET, 'top: "scores"', 'top: "scores"  blobs_lr: 2', "scores", "unknown field 'blobs_lr'",
           "today write `param { lr_mult: 2 }`"),
    Broken("a type of today in an old net", NET, NET_TEXT, 'layers {\n  name: "ip"\n  type: "InnerProduct"\n}\n', "ip", "field 'type' is 'InnerProduct'",
           "in capitals, without quotes; today write `layer`", at="  type:"),
    Broken("propagate_down of another count", NET, 'top: "scores"', 'propagate_down: true  propagate_down: false  top: "scores"',
           "scores", "propagate_down is given 2 times, but the number of bottoms is 1", "once for each bottom"),
    Broken("include and exclude", NET, '"accuracy"\n  include { phase: TEST }', '"accuracy"\n  include { phase: TEST }\n  exclude { phase: TRAIN }',
           "accuracy", "include and exclude rules", "leave one kind out", at="exclude {"),
    Broken("rules that nothing meets", NET, '"accuracy"\n  include { phase: TEST }', '"accuracy"\n  include { phase: TEST  stage: "a"  not_stage: "a" }',
           "accuracy", "no net has it: its rules exclude each other", "include and exclude", level="warning", at="include { phase: TEST  stage"),
    Broken("a net of 2013", NET, 'layer { name: "relu"  type: "ReLU"  bottom: "pool"  top: "pool" }', 'layers { layer { name: "relu"  type: "relu" } bottom: "pool"  top: "pool" }',
           "", "a net in the form of 2013", "upgrade_net_proto_text"),
    Broken("layers of both kinds", NET, 'layer { name: "relu"  type: "ReLU"', 'layers { name: "relu"  type: RELU', "", "a `layer` in a net that also has `layers`",
           "write all as `layer", at="layer {\n  name: \"train_data\""),
]
