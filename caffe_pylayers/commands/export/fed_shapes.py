"""The shapes of images that data layers feed, where the net itself says them: by a crop or a size."""

from typing import Any, List, Optional, Tuple

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.export.windows import Size
from caffe_pylayers.errors import ConfigError

Shape = Tuple[Size, ...]


def fed_shapes(layer: Layer) -> List[Shape]:
    """(channels, height, width) of the first tops of a data layer; none where its source decides.

    The channels are None where only the source has them.
    """
    if layer.own:
        return _of_own(layer)
    size = _size(layer) if layer.type in ("Data", "ImageData", "WindowData") else None
    return [(_channels(layer), *size)] if size else []


def _of_own(layer: Layer) -> List[Shape]:
    from caffe_pylayers import config

    try:
        options: Any = config.load(layer.own, layer.python[2])
    except ConfigError:
        return []
    if not hasattr(options, "image_shape"):
        return []
    shape, images = options.image_shape(), 1 if getattr(options, "stacked", False) else len(options.images)
    return [shape] * images if shape else []


def _size(layer: Layer) -> Optional[Tuple[int, int]]:
    """Height and width of what a layer of Caffe's feeds."""
    params = [layer.message.message(name) for name in ("transform_param", "window_data_param")]
    crop = max(param.whole("crop_size") for param in params)
    if crop:
        return crop, crop
    images = layer.message.message("image_data_param")
    height, width = images.whole("new_height"), images.whole("new_width")
    return (height, width) if height and width else None


def _channels(layer: Layer) -> Size:
    """Those of ImageData and WindowData, which decode; a database may have any."""
    if layer.type == "ImageData":
        return 3 if layer.message.message("image_data_param").flag("is_color", True) else 1
    return 3 if layer.type == "WindowData" else None
