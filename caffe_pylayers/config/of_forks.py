"""What layers of forks say, as options of ours; and layers of which forks have several by one name."""

from typing import Any, Dict

from caffe_pylayers.errors import ConfigError

#: Where the net does not tell which layer it is.
FOCAL_LOSSES = (
    "forks have several, and the net does not tell which: alpha may be a factor, or stand in place of the 1 in (1 - p); p may be of a softmax, of "
    "a sigmoid, or be the bottom. If the fork's source has alpha (1 - p)^gamma log p of a softmax inside, write "
    '`type: "Python"  python_param { module: "caffe_pylayers"  layer: "FocalLoss"  param_str: "{\'gamma\': 2, \'alpha\': 1}" }` with its numbers'
)
TRIPLET_LOSSES = (
    "forks have several, and the net does not tell which: they divide by the batch, by twice the batch, or by the triplets with a loss. "
    'Ours divides by the batch; for twice the batch give half the loss_weight. Write `type: "Python"  python_param { module: "caffe_pylayers"  '
    'layer: "TripletLoss"  param_str: "{\'margin\': 0.2}" }` with its margin'
)
DICE_LOSSES = (
    "forks have several, and the net does not tell which: over the batch or each image, of sigmoids, of a softmax or of probabilities. "
    'Write `type: "Python"  python_param { module: "caffe_pylayers"  layer: "DiceLoss"  '
    "param_str: \"{'over': 'batch', 'activation': 'sigmoid'}\" }` as the fork's source has it"
)

#: Fields in pairs -> the option that is their list.
_PAIRS = {("new_height", "new_width"): "resize", ("crop_height", "crop_width"): "crop_size"}
_NAMES = {"scale_factors": "scales", "ignore_label": "pad_label"}
#: Types that have an option `like`.
_LIKE = ("ImageSegData", "DenseImageData")


def options_of_maps(kind: str, fields: Dict[str, Any]) -> Dict[str, Any]:
    """The options for a fork's layer of this type, from the fields of its parameters. Raises ConfigError if they say what no option says."""
    options = {_NAMES.get(name, name): value for name, value in fields.items() if value != ""}
    for names, option in _PAIRS.items():
        sizes = [options.pop(name, 0) for name in names]
        if any(sizes):
            options[option] = sizes
    if options.pop("label_type", "PIXEL") != "PIXEL":
        raise ConfigError("label_type is not PIXEL", remedy="an ImageData of Caffe's has a label per image")
    if kind in _LIKE:
        options["like"] = kind
        if kind == "DenseImageData" and any(name in options for name in ("mean_value", "mean_file", "scale")):
            problem = "transform_param changes the labels too in this fork: mean and scale are for images"
            raise ConfigError(problem, remedy="take mean and scale out, or give them to the layer of caffe_pylayers")
        if isinstance(options.get("scales"), (int, float)):
            options["scales"] = [options["scales"]]
        return options
    if "resize" in options or "scale" in options:
        raise ConfigError("its maps are resized like photos, or scaled", remedy="resize images and maps beforehand")
    # HED divides the map by 255 and rounds.
    return {**options, "label_map": {str(grey): int(grey > 127) for grey in range(1, 256)}}


def options_of_class_weights(options: Dict[str, Any]) -> Dict[str, Any]:
    """The options of a softmax loss with SegNet's weights of classes, which do not count in the divisor. Raises ConfigError if there are none."""
    weights = options.pop("class_weighting", None)
    if not options.pop("weight_by_label_freqs", False):
        return options
    if weights is None:
        raise ConfigError(
            "weight_by_label_freqs is true without class_weighting", remedy="give a weight for each class"
        )
    return {**options, "class_weights": weights, "normalize_by": "count"}


def options_of_cosines(options: Dict[str, Any]) -> Dict[str, Any]:
    """The options for an InnerProduct that makes the vectors of the classes unit vectors, and leaves x as it is. Raises ConfigError if it has a bias."""
    if not options.pop("normalize") or options.pop("bias_term", True):
        problem = "inner_product_param has `normalize: false`, or a bias beside `normalize: true`"
        raise ConfigError(problem, remedy="take the field out if it is false; no layer has cosines with a bias")
    options.pop("bias_filler", None)
    return {**options, "normalize_x": False}
