"""The labels that a net learns from: of the sources of its data layers, or of any of its blobs."""

import os
from typing import Any, Callable, Iterable, Iterator, List, Optional, Tuple

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.caffe_files import nets
from caffe_pylayers.caffe_files.nets import Layer, Net, NetState
from caffe_pylayers.commands.balance.label_counts import LabelCounts, Labels, count, of_source
from caffe_pylayers.data.sources import Source, open_source, source_of
from caffe_pylayers.errors import ConfigError, DataError

_ROWS_AT_ONCE = 4096  # of a data set


def of_net(
    net: Net, state: NetState, layer: Optional[str] = None, num_classes: Optional[int] = None,
    ignore_label: Optional[int] = None,
) -> LabelCounts:  # fmt: skip
    """Count the labels of the source that a net's data layer reads, every record once.

    layer: its name, where the net has several. Raises ConfigError where it has none, or its source is none that is
    read without Caffe; DataError as :func:`count` does.
    """
    found = nets.data_layers(net, state, layer)
    if len(found) > 1:
        names = ", ".join(f"{layer.name} ({layer.type})" for layer in found)
        raise ConfigError(
            f"in {state} it has {len(found)} data layers", remedy=f"say which with --layer: {names}", source=net.path
        )
    chosen = found[0]
    reader = _READERS.get(chosen.type)
    if chosen.type == "Python" and chosen.python[0] == "caffe_pylayers":
        return of_source(_own_source(chosen), num_classes, ignore_label)
    if reader is None:
        raise ConfigError(
            f"the source of {chosen.type} layer {chosen.name!r} cannot be read without Caffe",
            remedy="--top BLOB counts a blob in some batches of the net",
            source=f"{chosen.file}:{chosen.line}",
        )
    of, parts, describe = reader(chosen)
    return count(of, parts, num_classes, ignore_label, describe=describe)


def _own_source(layer: Layer) -> Source:
    """The source of a data layer of this package."""
    from caffe_pylayers import ALIASES, config

    kind = layer.python[1]
    try:
        options: Any = config.load(ALIASES.get(kind, kind), layer.python[2])
    except ConfigError as error:
        raise error.within(f"{layer.file}:{layer.line}: layer {layer.name!r}") from None
    return source_of(options, images=False)


#: What was read in words, labels in parts, and a function that names a record.
_Read = Tuple[str, Iterable[Labels], Callable[[int], str]]


def _data(layer: Layer) -> _Read:
    """Stock Data: an LMDB of Datums."""
    param = layer.message.message("data_param")
    if str(param.get("backend", "LEVELDB")) not in ("LMDB", "1"):
        raise ConfigError(
            f"Data layer {layer.name!r} reads a LEVELDB (its default backend), which is not read without Caffe",
            remedy="--top label counts some batches of the net",
            source=f"{layer.file}:{layer.line}",
        )
    source = open_source("LMDB", os.path.abspath(str(param.get("source", ""))))
    if source.labels is None:
        raise DataError("its Datums have no labels", source=f"LMDB source {source.path}")
    return f"LMDB source {source.path}", [source.labels], source.describe


def _image_data(layer: Layer) -> _Read:
    """Stock ImageData: a list of `name label`; its images are not looked for."""
    path = os.path.abspath(str(layer.message.message("image_data_param").get("source", "")))
    labels = []
    with regular_file.open_text(path, errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            name, _, label = line.rstrip("\r\n").rpartition(" ")
            if not (name and label.lstrip("+-").isdigit()):
                raise DataError(
                    f"ImageData reads lines of a name, a space and a whole number, but this is {line.strip()[:80]!r}",
                    source=f"{path}:{number}",
                )
            labels.append(int(label))
    return f"list {path}", [np.array(labels, np.int64)] if labels else [], lambda record: f"{path}:{record + 1}"


def _hdf5_data(layer: Layer) -> _Read:
    """Stock HDF5Data: a list of files, with a data set for each top; the labels' top is `label`, else the second."""
    source = str(layer.message.message("hdf5_data_param").get("source", ""))
    top = "label" if "label" in layer.tops or len(layer.tops) < 2 else layer.tops[1]
    paths = regular_file.read_bytes(source).decode("utf-8", "surrogateescape").split()
    return (
        f"data set {top!r} of the HDF5 files in {os.path.abspath(source)}",
        _hdf5_labels(paths, top),
        "record {}".format,
    )


def _hdf5_labels(paths: List[str], top: str) -> Iterator[Labels]:
    import h5py

    for path in paths:
        try:
            regular_file.require_regular(path)
            with h5py.File(path, "r") as file:
                if top not in file:
                    raise DataError(
                        f"it has no data set {top!r}, which HDF5Data reads the top from",
                        remedy=f"it has {', '.join(file)}",
                        source=path,
                    )
                data = file[top]
                for start in range(0, len(data), _ROWS_AT_ONCE):
                    yield data[start : start + _ROWS_AT_ONCE]
        except OSError as error:
            raise DataError(f"{path}, of which HDF5Data reads: it is no HDF5 file that can be read: {error}") from error


_READERS = {"Data": _data, "ImageData": _image_data, "HDF5Data": _hdf5_data}


def of_blob(
    net: Net, state: NetState, blob: str, batches: Iterable[int], num_classes: Optional[int] = None,
    ignore_label: Optional[int] = None,
) -> LabelCounts:  # fmt: skip
    """Run what a net makes a blob of, and count the labels in it: label maps (N, 1, H, W) too, a label a pixel.

    batches: as many forwards as it has entries. Raises ConfigError where no data layer is behind the blob, DataError as
    :func:`count` does.
    """
    from caffe_pylayers import close
    from caffe_pylayers.commands import layer_net

    layers = net.in_state(state)
    behind = layer_net.layers_behind(layers, blob)
    if not behind:
        blobs = ", ".join(dict.fromkeys(top for layer in layers for top in layer.tops))
        raise ConfigError(f"in {state} it has no blob {blob!r}", remedy=f"its blobs: {blobs}", source=net.path)
    fed = [layer.name for layer in behind if layer.type in ("Input", "MemoryData")]
    if fed:
        raise ConfigError(
            f"blob {blob!r} comes from {', '.join(fed)}, which a program feeds",
            remedy="there is no data to count",
            source=net.path,
        )
    made = layer_net.net_of_layers(behind, state.phase)

    def parts() -> Iterator[Labels]:
        for _ in batches:
            made.forward()
            yield np.array(made.blobs[blob].data)

    try:
        return count(f"blob {blob!r} of {net.path}", parts(), num_classes, ignore_label)
    finally:
        close()
