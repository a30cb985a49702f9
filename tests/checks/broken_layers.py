"""Mistakes in Python layers, this package's and others', in losses, and in what resume asks for."""

from tests.checks.broken import DEPLOY, NET, SOLVER, Broken

_LOSS = 'python_param { module: "caffe_pylayers"  layer: "WeightedSoftmaxLoss" }'
_FIRST_LOSS = 'layer {\n  name: "loss"'
_SCORES = 'layer {\n  name: "scores"'
_MINE = 'layer { name: "mine"  type: "Python"  bottom: "pool"  top: "mine"\n  python_param { %s } }\n' + _SCORES
_NOISE = (
    'layer { name: "noise"  type: "Python"  bottom: "label"  top: "noisy"  python_param { module: "caffe_pylayers"\n'
    '  layer: "LabelNoise"  param_str: "%s" } }\n'
)
_PIXELS = """
layer { name: "flat"  type: "Reshape"  bottom: "map"  top: "flat"  reshape_param { shape { dim: 0  dim: -1 } } }
layer { name: "values"  type: "Convolution"  bottom: "pool"  top: "values"  convolution_param { num_output: 256  kernel_size: 1 } }
layer { name: "pixels"  type: "SoftmaxWithLoss"
  bottom: "values"  bottom: "flat"  top: "pixels" }
"""
_MAPS = (
    """layer { name: "maps"  type: "Python"  top: "map"  python_param { module: "caffe_pylayers"  layer: "ImageDataLayer"
  param_str: "{'source': 'train.csv', 'batch_size': 4, 'color': False, 'resize': 5}" } }"""
    + _PIXELS
)
_STOCK_MAPS = (
    """layer { name: "maps"  type: "ImageData"  top: "map"  top: "no"
  image_data_param { source: "images.txt"  batch_size: 4  is_color: false  new_height: 5  new_width: 5 } }"""
    + _PIXELS
)
_MATRIX = (
    'layer { name: "H"  type: "DummyData"  top: "H"  dummy_data_param { shape { dim: 1  dim: 1  dim: 5  dim: 5 } } }\n'
)
_DECAY = (SOLVER, "base_lr", "weight_decay: 0.1\nbase_lr")
_UNKNOWN = """layer { name: "three"  type: "InnerProduct"  bottom: "pool"  top: "three"  inner_product_param { num_output: 3 } }
layer { name: "some"  type: "Python"  top: "others"  top: "targets"  python_param { module: "caffe_pylayers"
  layer: "MultiLabelDataLayer"
  param_str: "{'source': 'train.csv', 'labels': 'rows.txt', 'label_format': 'indicator', 'multilabel': True, 'batch_size': 4}" } }
layer { name: "sure"  type: %s
  bottom: "three"  bottom: "targets"  top: "sure" }
"""
_OURS = '"Python"  loss_weight: 1  python_param { module: "caffe_pylayers"  layer: "WeightedSigmoidCrossEntropyLoss" }'
_ROWS = {"rows.txt": b"0 1 0\n" * 9 + b"1 -1 0\n"}
_FLIP = "{'distribution': 'flip', 'probability': 0.1, 'n_classes': 5}"
_UNIFORM = "{'distribution': 'uniform', 'low': 0, 'high': 0.5}"
_GRADED = """layer { name: "graded"  type: "Python"  top: "one"  top: "other"  top: "sim"  python_param { module: "caffe_pylayers"
  layer: "SiameseDataLayer"  param_str: "{'source': 'train.csv', 'pairs': 'graded.txt', 'graded': True, 'batch_size': 4, 'resize': 1}" } }
layer { name: "pull"  type: %s  bottom: "one"  bottom: "other"  bottom: "sim"  top: "pull" }
"""
_OUR_PULL = '"Python"  loss_weight: 1  python_param { module: "caffe_pylayers"  layer: "WeightedContrastiveLoss" }'
_METRICS = """layer { name: "metrics"  type: "Python"  bottom: "scores"  bottom: "label"  top: "metrics"  include { phase: TEST }
  python_param { module: "caffe_pylayers"  layer: "Metrics"  param_str: "{%s'of': ['mean_iou']}" } }
"""
_SHAPES = """layer { name: "made"  type: "DummyData"  top: "%s"  dummy_data_param { shape { %s } } }
layer { name: "mine"  type: "Python"  %s  top: "mine"  python_param { module: "caffe_pylayers"  layer: "%s"  param_str: "%s" } }
"""
_SCORES_AND_LABEL = 'bottom: "scores"  bottom: "label"  bottom: "weights"'

# fmt: off
BROKEN = [
    # ----------------------------------------------------------------------------------------- class and options
    Broken("unknown class", NET, '"SampleWeight"', '"SampleWeights"', "weights", "caffe_pylayers has no layer 'SampleWeights'",
           "did you mean 'SampleWeight'?"),
    Broken("a class of nothing known", NET, '"SampleWeight"', '"Qqq"', "weights", "caffe_pylayers has no layer 'Qqq'", "its layers: 'ComputeH'"),
    Broken("unknown option", NET, "'batch_size': 4, 'shuffle'", "'batchsize': 4, 'shuffle'", "train_data", "unknown option 'batchsize'",
           "did you mean 'batch_size'?"),
    Broken("an option of a wrong type", NET, "'n_classes': 5", "'n_classes': 'five'", "weights",
           "option 'n_classes' must be an integer of at least 1 and of at most 16777216, not 'five'", "describe SampleWeight"),
    Broken("an option with a semicolon", NET, "'scale': 'mean_one'", "'rule': 'max; count'", "weights",
           "'effective_number', not 'max; count'", "describe SampleWeight"),
    Broken("an option out of range", NET, "'batch_size': 4, 'shuffle'", "'batch_size': 0, 'shuffle'", "train_data",
           "option 'batch_size' must be an integer of at least 1 and of at most 2147483647, not 0", "describe ImageDataLayer"),
    Broken("an option of none of its choices", NET, "'scale': 'mean_one'", "'scale': 'mean'", "weights",
           "option 'scale' must be one of 'sum_one', 'mean_one', 'none', not 'mean'", "describe SampleWeight"),
    Broken("a required option is missing", NET, "'n_classes': 5, ", "", "weights", "option 'n_classes' is required: Number of classes K", "describe SampleWeight"),
    Broken("options that contradict", NET, "'shuffle': True", "'crop_size': 8, 'resize': 6", "train_data",
           "option 'crop_size' is [8, 8], more than 'resize'", "describe ImageDataLayer"),
    Broken("an option given twice", NET, "'shuffle': True", "'shuffle': True, 'shuffle': False", "train_data", "given twice"),
    Broken("options that cannot be read", NET, "'shuffle': True", "'shuffle': True]", "train_data", "param_str"),
    Broken("an option without effect", NET, "'restart_every': 3", "'workers': 2", "test_data", "option 'workers' has no effect, because 'prefetch' is false", "leave it out", level="warning"),
    Broken("a file that an option names", NET, "'n_classes': 5", "'n_classes': 5, 'counts': 'count.txt'", "weights",
           "option 'counts': no file or folder", "relative paths start at the working directory"),
    # ----------------------------------------------------------------------------------------- bottoms and tops
    Broken("too few bottoms", NET, _SCORES_AND_LABEL, 'bottom: "scores"', "loss", "found 1 bottom, expected 2 to 3", "add bottoms"),
    Broken("too many tops", NET, 'top: "loss"  loss_weight: 1', 'top: "loss"  top: "b"  top: "c"  loss_weight: 1  loss_weight: 0  loss_weight: 0',
           "loss", "found 3 tops, expected 1 to 2", "remove tops"),
    Broken("no top for data", NET, 'top: "data"  top: "label"\n  include { phase: TRAIN }', "include { phase: TRAIN }", "train_data",
           "found 0 tops, expected 1 to 3", "add tops", at="layer {"),
    Broken("in place where it cannot be", NET, 'top: "loss"  loss_weight: 1', 'top: "scores"  loss_weight: 1', "loss",
           "WeightedSoftmaxLoss cannot work in place", "a name of its own"),
    # --------------------------------------------------------------------------------------------- python_param
    Broken("no python_param", NET, _LOSS, "", "loss", "a Python layer without python_param", "add `python_param", at=_FIRST_LOSS),
    Broken("a field of python_param misspelled", NET, _LOSS, _LOSS.replace(" }", '  param_str_: "{}" }'), "loss",
           "unknown field 'param_str_' in python_param", "did you mean 'param_str'?"),
    Broken("no module", NET, _LOSS, 'python_param { layer: "WeightedSoftmaxLoss" }', "loss", "python_param has no module",
           'module: "caffe_pylayers"'),
    *(Broken(f"a module named {module!r}", NET, '"caffe_pylayers"  layer: "WeightedS', f'"{module}"  layer: "WeightedS', "loss",
             f"module '{module}' is no name that Python can import", remedy)
      for module, remedy in (("caffe_pylayers.py", 'write `module: "caffe_pylayers"`'), ("caffe-pylayers", 'write `module: "caffe_pylayers"`'),
                             ("/opt/caffe_pylayers/layers/softmax.py", 'write `module: "caffe_pylayers"`'), (" ", 'write `module: "caffe_pylayers"`'),
                             ("../layers/mine.py", 'write `module: "mine"`, and put the folder of that file on PYTHONPATH'))),
    Broken("an empty module", NET, '"caffe_pylayers"  layer: "WeightedS', '""  layer: "WeightedS', "loss", "python_param has no module", 'module: "caffe_pylayers"'),
    Broken("no layer", NET, _LOSS, 'python_param { module: "caffe_pylayers" }', "loss", "python_param has no layer", 'add `layer: "..."`'),
    Broken("python_param in another type", NET, 'type: "ReLU"', 'type: "ReLU"  python_param { module: "caffe_pylayers" }', "relu",
           "a python_param in a layer of type 'ReLU'", 'set `type: "Python"`', level="warning"),
    Broken("class weights of 0/1 targets", NET, 'layer: "ImageDataLayer"\n    param_str: "{\'source\': \'train.csv\', \'batch_size\': 4, \'restart_every\'',
           'layer: "MultiLabelDataLayer"\n    param_str: "{\'source\': \'train.csv\', \'multilabel\': True, \'restart_every\'', "weights",
           "layer 'test_data' gives a 0 or a 1 for each label ('multilabel'), but class numbers are needed here", "add 'per': 'label'",
           at='layer {\n  name: "weights"', shift=1),
    Broken("label maps that are resized", NET, _SCORES, _MAPS + _SCORES, "pixels", "its labels are images of layer 'maps', and that layer resizes them bilinearly",
           "store the label maps in their final size", level="warning", at='bottom: "values"  bottom: "flat"'),
    Broken("label maps that are resized, of stock's", NET, _SCORES, _STOCK_MAPS + _SCORES, "pixels", "resizes them bilinearly: this makes class 1",
           level="warning", at='bottom: "values"  bottom: "flat"'),
    # --------------------------------------------------------------------------------------------------- losses
    Broken("a blob read by another worked on in place", NET, 'layer { name: "relu"', 'layer { name: "mean"  type: "Pooling"  bottom: "pool"  top: "mean"\n'
           '  pooling_param { pool: AVE  kernel_size: 5 } }\nlayer { name: "relu"', "relu",
           "works in place on blob 'pool', but layer 'mean' in line 27 reads it too", "a name of its own", at='layer { name: "relu"'),
    Broken("no loss_weight", NET, "  loss_weight: 1", "", "loss", "a Python loss without loss_weight: Caffe never calls its backward",
           "add `loss_weight: 1`", at=_FIRST_LOSS),
    Broken("loss_weights of another count", NET, "loss_weight: 1", "loss_weight: 1  loss_weight: 0", "loss",
           "loss_weight is given 2 times, but the number of tops is 1", "(0 for a top that is not a loss)"),
    Broken("one loss_weight of two", NET, _FIRST_LOSS + '  type: "Python"\n', _FIRST_LOSS + '  type: "Python"  top: "prob"\n', "loss",
           "loss_weight is given once, but the number of tops is 2", "(0 for a top that is not a loss)", at="loss_weight: 1"),
    Broken("sample weights for a loss of Caffe's", NET, 'type: "Python"\n  bottom: "scores"', 'type: "SoftmaxWithLoss"\n  bottom: "scores"', "loss",
           "SoftmaxWithLoss takes 2 bottoms, not 3", "WeightedSoftmaxLoss of caffe_pylayers takes sample weights as one more", at='bottom: "scores"  bottom: "label"'),
    Broken("softmax before a softmax loss", NET, _FIRST_LOSS + '  type: "Python"\n  bottom: "scores"',
           'layer { name: "prob"  type: "Softmax"  bottom: "scores"  top: "prob" }\n' + _FIRST_LOSS + '  type: "Python"\n  bottom: "prob"', "loss",
           "layer 'prob' is a Softmax, and WeightedSoftmaxLoss has one inside", 'give it the scores: `bottom: "scores"`', level="warning",
           at='bottom: "prob"'),
    Broken("softmax before stock InfogainLoss", NET, _FIRST_LOSS,
           'layer { name: "prob"  type: "Softmax"  bottom: "scores"  top: "prob" }\n' + _MATRIX +
           'layer { name: "info"  type: "InfogainLoss"  bottom: "prob"  bottom: "label"  bottom: "H"  top: "info" }\n' + _FIRST_LOSS, "info",
           "InfogainLoss has one inside since April 2017", 'give it the scores: `bottom: "scores"`', level="warning", at='layer { name: "info"'),
    Broken("sigmoid before a sigmoid loss", NET, _SCORES,
           'layer { name: "sig"  type: "Sigmoid"  bottom: "pool"  top: "sig" }\n'
           'layer { name: "T"  type: "DummyData"  top: "T"  dummy_data_param { shape { dim: 4  dim: 8  dim: 5  dim: 5 } } }\n'
           'layer { name: "bce"  type: "SigmoidCrossEntropyLoss"  bottom: "sig"  bottom: "T"  top: "bce" }\n' + _SCORES, "bce",
           "layer 'sig' is a Sigmoid, and SigmoidCrossEntropyLoss has one inside", 'give it the scores: `bottom: "pool"`', level="warning",
           at='layer { name: "bce"'),
    Broken("scores for MultinomialLogisticLoss", NET, _FIRST_LOSS,
           'layer { name: "log"  type: "MultinomialLogisticLoss"  bottom: "scores"  bottom: "label"  top: "log" }\n' + _FIRST_LOSS, "log",
           "takes probabilities, but its bottom 'scores' comes from InnerProduct", "put a Softmax layer between"),
    Broken("force_backward with H", NET, 'name: "net"\n', 'name: "net"  force_backward: true\n'
           'layer { name: "H"  type: "DummyData"  top: "h"  top: "s"  top: "l" dummy_data_param { shape { dim: 1 } } }\n'
           'layer { name: "info"  type: "InfogainLoss"  bottom: "s"  bottom: "l"  bottom: "h"  top: "info" }\n', "info",
           "asks for the gradient of H: Caffe aborts", "leave force_backward out", at='layer { name: "info"'),
    Broken("noise that a loss of classes cannot take", NET, _FIRST_LOSS + '  type: "Python"\n  ' + _SCORES_AND_LABEL,
           _NOISE % _UNIFORM + _FIRST_LOSS + '  type: "Python"\n  ' + _SCORES_AND_LABEL.replace("label", "noisy"), "loss",
           "WeightedSoftmaxLoss needs integer labels, but layer 'noise' gives other numbers", "'distribution': 'flip'", at='bottom: "scores"  bottom: "noisy"'),
    Broken("noise that stock truncates", NET, _FIRST_LOSS,
           _NOISE % _UNIFORM + 'layer { name: "soft"  type: "SoftmaxWithLoss"  bottom: "scores"  bottom: "noisy"  top: "soft" }\n' + _FIRST_LOSS, "soft",
           "layer 'noise' gives other numbers, and they are truncated", "'distribution': 'flip'", level="warning", at='layer { name: "soft"'),
    Broken("graded pairs for a loss of pairs", NET, _FIRST_LOSS, _GRADED % _OUR_PULL + _FIRST_LOSS, "pull",
           "WeightedContrastiveLoss needs a sim of 0 or 1, but layer 'graded' gives numbers between them", "write 0 and 1",
           at='layer { name: "pull"', disk={"graded.txt": b"0 1 0.5\n1 2 0.25\n3 4 0.75\n"}),
    Broken("graded pairs that stock takes for 0", NET, _FIRST_LOSS, _GRADED % '"ContrastiveLoss"' + _FIRST_LOSS, "pull",
           "layer 'graded' gives numbers between them ('graded'), and they count as 0", "write 0 and 1", level="warning",
           at='layer { name: "pull"', disk={"graded.txt": b"0 1 0.5\n1 2 0.25\n3 4 0.75\n"}),
    Broken("accuracy on noisy labels", NET, _FIRST_LOSS,
           _NOISE % _FLIP + 'layer { name: "acc"  type: "Accuracy"  bottom: "scores"  bottom: "noisy"  top: "acc" }\n' + _FIRST_LOSS, "acc",
           "its labels in TRAIN have the noise of layer 'noise'", "the labels before the noise", level="warning",
           at='layer { name: "acc"'),
    Broken("the same noise twice", NET, _FIRST_LOSS, _NOISE % _FLIP + (_NOISE % _FLIP).replace("noise", "again").replace("noisy", "other") + _FIRST_LOSS,
           "again", "draws the same noise as layer 'noise'", "'stream': 1", level="warning", at='  layer: "LabelNoise"', last=True),
    # --------------------------------------------------------------------------------------------------- resume
    Broken("resume without a param block", NET, "  param { lr_mult: 0  decay_mult: 0 }\n", "", "train_data",
           "'resume': True without a frozen param", "add `param { lr_mult: 0  decay_mult: 0 }`", at='layer {\n  name: "train_data"', also=_DECAY),
    Broken("resume without a param block and without decay", NET, "  param { lr_mult: 0  decay_mult: 0 }\n", "", "train_data",
           "'resume': True without a frozen param", "add `param { lr_mult: 0  decay_mult: 0 }`", level="warning",
           at='layer {\n  name: "train_data"', checks=(SOLVER,)),
    Broken("a position that the solver changes", NET, "lr_mult: 0  decay_mult: 0", "lr_mult: 1  decay_mult: 1", "train_data",
           "'resume': True with lr_mult 1", "write `param { lr_mult: 0", also=_DECAY),
    Broken("a position that has a rate alone", NET, "lr_mult: 0  decay_mult: 0", "lr_mult: 1  decay_mult: 0", "train_data",
           "'resume': True with lr_mult 1", "write `param { lr_mult: 0", level="warning", also=_DECAY),
    Broken("a param block without resume", NET, ", 'resume': True", "", "train_data", "1 param block, but the layer keeps no blob",
           "set 'resume': True", at="param {"),
    Broken("resume in TRAIN alone", NET, 'name: "test_data"', 'name: "train_data"', "train_data",
           "'resume': True, but the layer with this name at net.prototxt:12 is without it", "give both 'resume': True", at="'resume': True}"),
    Broken("more param blocks than blobs", NET, "  param { lr_mult: 0  decay_mult: 0 }\n", "  param { lr_mult: 0  decay_mult: 0 }\n  param { lr_mult: 0 }\n",
           "train_data", "2 param blocks, but the layer has one blob", "leave it out", at="  param { lr_mult: 0 }\n"),
    Broken("an iter_size that the solver has not", NET, "'batch_size': 4, 'shuffle'", "'batch_size': 4, 'iter_size': 3, 'shuffle'", "train_data",
           "option 'iter_size' is 3, but the solver's is 1", "set 'iter_size': 1", level="warning", checks=(SOLVER,)),
    Broken("the name of a deploy net's input", NET, 'name: "train_data"', 'name: "data"', "data",
           "'resume': True gives it a blob, but the Input with this name at deploy.prototxt:1 has none", "rename one, for example to train_data", checks=(NET, DEPLOY)),
    Broken("the name data", NET, 'name: "train_data"', 'name: "data"', "data", "if a deploy net has an Input with this name, Caffe aborts",
           "call it train_data", level="warning"),
    Broken("snapshots that lose the position", SOLVER, "snapshot: 100\n", "snapshot: 100\nsnapshot_format: HDF5\n", "", "snapshot_format HDF5",
           "use `snapshot_format: BINARYPROTO`", at="snapshot_format"),
    Broken("iter_size of the solver alone", SOLVER, "max_iter: 300\n", "max_iter: 300\niter_size: 2\n", "noise",
           "option 'iter_size' is 1, but the solver's is 2", "set 'iter_size': 2", level="warning", where=NET, at='  layer: "LabelNoise"',
           also=(NET, _FIRST_LOSS, _NOISE % _FLIP + _FIRST_LOSS)),
    Broken("metrics of another number of batches", SOLVER, "test_iter: 3", "test_iter: 4", "metrics",
           "'restart_every' is 3, but test_iter is 4: what Caffe prints is not the metric of a whole test", "set 'restart_every': 4",
           level="warning", where=NET, at="'restart_every': 3, 'of'", also=(NET, _FIRST_LOSS, _METRICS % "'restart_every': 3, " + _FIRST_LOSS)),
    Broken("metrics per batch", NET, _FIRST_LOSS, _METRICS % "" + _FIRST_LOSS, "metrics",
           "'restart_every' is 1, but test_iter is 3: what Caffe prints is not the metric of a whole test", "set 'restart_every': 3",
           level="warning", at="{'of': ['mean_iou']", checks=(SOLVER,)),
    Broken("the fork's layer of metrics", NET, 'type: "Accuracy"', 'type: "SegAccuracy"', "accuracy", "unknown layer type 'SegAccuracy'",
           'layer: "SegAccuracy"'),
    Broken("a test that begins anywhere", SOLVER, "test_iter: 3", "test_iter: 4", "test_data", "'restart_every' is 3, but test_iter is 4",
           "set 'restart_every': 4", level="warning", where=NET, at="'restart_every'"),
    # -------------------------------------------------------------------------------- shapes, which Caffe is asked for
    *(Broken(name, NET, _SCORES, _SHAPES % (made, " ".join(f"dim: {size}" for size in shape), " ".join(f'bottom: "{each}"' for each in bottoms), kind, options) + _SCORES,
             "mine", says, remedy, at='layer { name: "mine"', options=())
      for name, made, shape, bottoms, kind, options, says, remedy in (
          ("regions of four numbers", "rois", (3, 4), ("pool", "rois"), "ROIPooling", "{'pooled_h': 2, 'pooled_w': 2}", "rois has shape (3, 4)", "(regions, 5)"),
          ("factors of other channels", "factors", (4, 7), ("factors", "pool", "pool"), "Axpy", "", "scale has shape (4, 7) and x (4, 8, 5, 5)", "scale of (N, C)"),
          ("an axis that is not there", "more", (1,), ("pool",), "Permute", "{'order': [0, 4]}", "option 'order' has axis 4", "axes from 0 to 3"),
          ("groups that do not divide", "more", (1,), ("pool",), "ShuffleChannel", "{'group': 3}", "has 8 channels, but 'group' is 3", "divides"),
          ("a mask of another shape", "mask", (4, 8, 2, 2), ("pool", "mask"), "Upsample", "", "x has shape (4, 8, 5, 5) and mask (4, 8, 2, 2)", "second top"),
          ("two sizes", "like", (1, 1, 9, 9), ("pool", "like"), "Interp", "{'zoom_factor': 2}", "two give the size of y", "or a second bottom"),
          ("a window that is too large", "more", (1,), ("pool",), "PoolingND", "{'kernel_size': 6}", "a window of 6 is larger than an axis of 5", "lower 'kernel_size'"),
          ("labels of another count", "labels", (3,), ("pool", "labels"), "Metrics", "{'of': ['mean_iou'], 'restart_every': 3}", "bottom 'labels'", "100"),
      )),
    # ------------------------------------------------------------------------------------------- other modules
    Broken("a module that is not there", NET, _SCORES, _MINE % 'module: "layers_of_min"  layer: "Double"', "mine",
           "cannot import module 'layers_of_min': ModuleNotFoundError", "put its folder on PYTHONPATH", at='  python_param { module: "layers_of', options=()),
    Broken("our module by another name", NET, _LOSS, 'python_param { module: "caffe_pylayer"  layer: "WeightedSoftmaxLoss" }', "loss",
           "cannot import module 'caffe_pylayer'", 'WeightedSoftmaxLoss is in `module: "caffe_pylayers"`', options=()),
    Broken("a module with an error", NET, _SCORES, _MINE % 'module: "layers_of_mine"  layer: "Double"', "mine",
           "cannot import module 'layers_of_mine': ZeroDivisionError: division by zero", "fix it", at='  python_param { module: "layers_of',
           disk={"layers_of_mine.py": b"1 / 0\n"}, options=()),
    Broken("a class that the module has not", NET, _SCORES, _MINE % 'module: "layers_of_mine"  layer: "Duble"', "mine", "has no 'Duble'",
           "did you mean 'Double'?", at='  python_param { module: "layers_of', options=()),
    Broken("a class that is no layer", NET, _SCORES, _MINE % 'module: "layers_of_mine"  layer: "NoLayer"', "mine",
           "layers_of_mine.NoLayer is not a caffe.Layer", "class NoLayer(caffe.Layer)", at='  python_param { module: "layers_of', options=()),
    Broken("targets that are not known", NET, _SCORES, _UNKNOWN % _OURS + _SCORES, "sure", "the data have targets of -1, not known (CSV source",
           "add `'ignore_label': -1`", at='bottom: "targets"', disk=_ROWS),
    Broken("targets that are not known, in stock", NET, _SCORES, _UNKNOWN % '"SigmoidCrossEntropyLoss"' + _SCORES, "sure",
           "the data have targets of -1, not known (CSV source", "add `loss_param { ignore_label: -1 }`", level="warning", at='bottom: "targets"', disk=_ROWS),
    Broken("a class without a method", NET, _SCORES, _MINE % 'module: "layers_of_mine"  layer: "NoBackward"', "mine",
           "layers_of_mine.NoBackward has no backward", "define setup, reshape, forward and backward", at='  python_param { module: "layers_of', options=()),
    Broken("a module of the working directory", NET, _SCORES, _MINE % 'module: "layers_of_mine"  layer: "Double"', "mine",
           "is found in the working directory: a notebook has that on Python's path, but `caffe train` does not", "PYTHONPATH=. caffe train",
           level="warning", at='  python_param { module: "layers_of', options=("--no-data",)),
    Broken("a foreign loss without loss_weight", NET, _SCORES, _MINE.replace('"mine"', '"my_loss"') % 'module: "layers_of_mine"  layer: "Double"',
           "my_loss", "a Python loss without loss_weight", "if it is a loss", level="warning"),
]
