"""Mistakes in what is written and in how layers hang together."""

from tests.checks.broken import NET, SOLVER, Broken

# fmt: off
BROKEN = [
    # ---------------------------------------------------------------------------------------------------- syntax
    Broken("a brace is missing", NET, "stride: 2 } }", "stride: 2 }", "", "the file ends where a '}' is missing, for the brace opened in line 25",
           "add it where that block ends", at="}\n", last=True),
    Broken("a quote is missing", NET, 'top: "scores"', 'top: "scores', "", "a text without its closing quote: '\"scores'", "close it in its line"),
    Broken("a quote is missing before another", NET, 'name: "relu"', 'name: "relu', "", "expected ':' or '{' behind 'ReLU'", "is one missing"),
    Broken("double quotes in double quotes", NET, "\"{'n_classes': 5, 'scale': 'mean_one'}\"", '"{"n_classes": 5}"', "",
           "expected ':' or '{' behind 'n_classes'", "single quotes"),
    Broken("a colon is missing", SOLVER, "max_iter: 300", "max_iter 300", "", "expected ':' or '{' behind 'max_iter', found '300'"),
    # ---------------------------------------------------------------------------------------------------- fields
    Broken("unknown field", NET, "kernel_size: 3", "kernal_size: 3", "conv", "unknown field 'kernal_size' in convolution_param",
           "did you mean 'kernel_size'?"),
    Broken("unknown enum", NET, "pool: MAX", "pool: MAXIMUM", "pool", "field 'pool' in pooling_param is MAXIMUM", "MAX, AVE, STOCHASTIC"),
    Broken("an enum in quotes", NET, "pool: MAX", 'pool: "MAX"', "pool", "field 'pool' in pooling_param is 'MAX'", "without quotes: MAX"),
    Broken("a number in quotes", NET, "num_output: 5", 'num_output: "5"', "scores", "'num_output' in inner_product_param is '5'",
           "a whole number, without quotes"),
    Broken("a name without quotes", NET, 'top: "scores"', "top: scores", "scores", "field 'top' is scores", 'in quotes: `top: "scores"`'),
    Broken("a negative count", NET, "num_output: 5", "num_output: -5", "scores", "is -5", "from 0 to"),
    Broken("a message without braces", NET, "pooling_param { pool: MAX  kernel_size: 2  stride: 2 }", "pooling_param: 2", "pool",
           "field 'pooling_param' is 2", "pooling_param { ... }"),
    Broken("yes for a boolean", NET, "num_output: 5", "bias_term: yes  num_output: 5", "scores", "'bias_term' in inner_product_param is yes",
           "true or false"),
    Broken("a field given twice", NET, 'name: "relu"', 'name: "relu"  name: "rectify"', "rectify", "'name' is given twice", "Caffe takes one"),
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
           "give each its own", level="warning", at='layer { name: "pool"  type: "ReLU"'),
    # --------------------------------------------------------------------------------------------------- layers
    Broken("no type", NET, 'name: "relu"  type: "ReLU"', 'name: "relu"', "relu", "it has no type", "add `type:"),
    Broken("no name", NET, 'name: "relu"  type: "ReLU"', 'type: "ReLU"', "", "it has no name", "add `name:"),
    Broken("unknown type", NET, '"InnerProduct"', '"InerProduct"', "scores", "unknown layer type 'InerProduct'", "did you mean 'InnerProduct'?"),
    Broken("propagate_down of another count", NET, 'top: "scores"', 'propagate_down: true  propagate_down: false  top: "scores"',
           "scores", "propagate_down is given 2 times, for 1 bottom", "once for each bottom"),
    Broken("include and exclude", NET, '"accuracy"\n  include { phase: TEST }', '"accuracy"\n  include { phase: TEST }\n  exclude { phase: TRAIN }',
           "accuracy", "include and exclude rules", "leave one kind out", at="exclude {"),
    Broken("rules that nothing meets", NET, '"accuracy"\n  include { phase: TEST }', '"accuracy"\n  include { phase: TEST  stage: "a"  not_stage: "a" }',
           "accuracy", "no net has it: its rules exclude each other", "include and exclude", level="warning", at="include { phase: TEST  stage"),
    Broken("a net of 2013", NET, 'layer { name: "relu"  type: "ReLU"  bottom: "pool"  top: "pool" }', 'layers { layer { name: "relu"  type: "relu" } bottom: "pool"  top: "pool" }',
           "", "a net of 2013", "upgrade_net_proto_text"),
    Broken("layers of both kinds", NET, 'layer { name: "relu"  type: "ReLU"', 'layers { name: "relu"  type: RELU', "", "a `layer` in a net that has `layers` too",
           "write all as `layer", at="layer {\n  name: \"train_data\""),
]
