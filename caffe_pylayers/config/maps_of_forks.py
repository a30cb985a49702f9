"""What the data layers of images with maps say in forks, as options of ours."""

from typing import Any, Dict

from caffe_pylayers.errors import ConfigError

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
