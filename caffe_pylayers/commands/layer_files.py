"""The files that layers read: a command that draws or counts them must not write over them, and Caffe not wait for one."""

import contextlib
import os
from typing import Iterable, Iterator, Tuple

from caffe_pylayers import config, regular_file
from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.stock_sources import PARAMS
from caffe_pylayers.config.data import DataLayerOptions
from caffe_pylayers.errors import ConfigError, DataError

_STOCK = (*PARAMS.values(), "transform_param", "infogain_loss_param")


def files_read(layers: Iterable[Layer]) -> Iterator[str]:
    """What the options of layers name, what the sources of our own consist of (lists, images, maps, labels, weights), and the net.

    A layer whose options or source cannot be read gives what is known of it.
    """
    for layer in layers:
        yield layer.file
        if layer.own:
            with contextlib.suppress(ConfigError, DataError):
                yield from _of_own(layer)
        else:
            yield from (path for _, path in _of_stock(layer))


def refuse_special_files(layers: Iterable[Layer]) -> None:
    """Raise DataError where a layer of Caffe's names a pipe, a device or a socket, which Caffe would wait for without end."""
    for layer in layers:
        for field, path in _of_stock(layer):
            for file in (path, *(os.path.join(path, name) for name in ("data.mdb", "lock.mdb"))):
                if os.path.exists(file) and not os.path.isdir(file):
                    try:
                        regular_file.require_regular(file)
                    except OSError as error:
                        raise DataError(f"{field} {file!r}: {error.strerror}", source=layer.described) from error


def _of_stock(layer: Layer) -> Iterator[Tuple[str, str]]:
    """Names of fields, and the paths that they have."""
    for name in _STOCK:
        parameters = layer.message.message(name)
        for field in ("source", "mean_file"):
            path = str(parameters.get(field, ""))
            if path:
                yield f"{name}.{field}", path


def _of_own(layer: Layer) -> Iterator[str]:
    from caffe_pylayers.data.sources import sources_of

    options = config.load(layer.own, layer.python[2])
    yield from options.paths().values()
    if isinstance(options, DataLayerOptions):
        for part in options.each_source().values():
            yield from filter(None, (getattr(part, name, None) for name in ("labels", "sample_weights")))
        for source in sources_of(options, images=False):
            yield from source.files()
