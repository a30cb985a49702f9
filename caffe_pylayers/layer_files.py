"""The files that data layers read, which a command that draws or counts them must not write over."""

import contextlib
from typing import Iterable, Iterator

from caffe_pylayers import ALIASES, config
from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.nets import Layer


def files_read(layers: Iterable[Layer]) -> Iterator[str]:
    """What the options of data layers name, and what the sources of our own consist of: lists, images, labels, weights.

    A layer whose options or source cannot be read gives what is known of it.
    """
    for layer in layers:
        if layer.type == "Python" and layer.python[0] == "caffe_pylayers":
            with contextlib.suppress(ConfigError, DataError):
                yield from _of_own(layer)
        else:
            for name in ("data_param", "image_data_param", "hdf5_data_param", "transform_param"):
                parameters = layer.message.message(name)
                yield from (str(parameters.get(field, "")) for field in ("source", "mean_file"))


def _of_own(layer: Layer) -> Iterator[str]:
    from caffe_pylayers.checks.python_layers import paths
    from caffe_pylayers.data.sources import source_of

    _, kind, param_str = layer.python
    options = config.load(ALIASES.get(kind, kind), param_str)
    yield from paths(options).values()
    if hasattr(options, "source_type"):
        yield from source_of(options, images=False).files()
