"""The labels that a net learns from: of the sources of its data layers, or of any of its blobs."""

import os
from dataclasses import replace
from typing import Any, Callable, Iterable, Iterator, List, Optional, Tuple, Union

import numpy as np

from caffe_pylayers.caffe_files import nets
from caffe_pylayers.caffe_files.nets import TRAIN, Layer, Net, NetState
from caffe_pylayers.commands import stock_sources
from caffe_pylayers.commands.balance.label_counts import LabelCounts, Labels, count, of_maps, of_mixture, of_source
from caffe_pylayers.commands.balance.value_columns import ValueColumns
from caffe_pylayers.data import samplers
from caffe_pylayers.data.epoch import Epoch
from caffe_pylayers.data.sources import Source, open_source, sources_of
from caffe_pylayers.errors import ConfigError, DataError


def of_net(
    net: Net,
    state: NetState,
    layer: Optional[str] = None,
    num_classes: Optional[int] = None,
    ignore_label: Optional[int] = None,
) -> Union[LabelCounts, ValueColumns]:
    """Count the labels of the source that a net's data layer reads, every record once, or say where its values lie.

    layer: its name, where the net has several. Raises ConfigError where it has none, or its source is none that is
    read without Caffe; DataError as :func:`count` does.
    """
    found = nets.data_layers(net, state, layer)
    if len(found) > 1:
        names = ", ".join(f"{layer.name} ({layer.type})" for layer in found)
        raise ConfigError(
            f"it has {len(found)} data layers in {state}", remedy=f"choose one with --layer: {names}", source=net.path
        )
    chosen = found[0]
    reader = _READERS.get(chosen.type)
    if chosen.own:
        options = _options(chosen)
        sources = sources_of(options, images=False)
        source = sources[0]
        if options.has_maps:
            of_pixels = of_maps(options, sources, num_classes, ignore_label)
            return replace(of_pixels, epoch=_epoch(source, options, _sampler(source, options, state.phase == TRAIN)))
        labels_in_top = options.label_dim if getattr(options, "multilabel", False) else None
        sampler = _sampler(source, options, state.phase == TRAIN)
        counts = (
            of_mixture(source, sampler.rates, num_classes or labels_in_top, ignore_label)
            if isinstance(sampler, samplers.Mixture)
            else of_source(source, num_classes or labels_in_top, ignore_label)
        )
        return replace(counts, epoch=_epoch(source, options, sampler))
    if reader is None:
        raise ConfigError(
            f"the source of {chosen.type} layer {chosen.name!r} cannot be read without Caffe",
            remedy="use --top BLOB to count a blob in some batches of the net",
            source=f"{chosen.file}:{chosen.line}",
        )
    of, parts, describe = reader(chosen)
    counts = count(of, parts, num_classes, ignore_label, describe=describe)
    batch_size = stock_sources.batch_size(chosen)
    return replace(counts, epoch=Epoch(counts.num_records, counts.num_records, batch_size) if batch_size else None)


def _sampler(source: Source, options: Any, training: bool) -> Optional[samplers.Sampler]:
    """What a data layer of this package draws with; none where it cannot draw from the source."""
    if getattr(options, "sampler", None):  # code of the user's own, which only a layer runs
        return None
    try:
        return samplers.sampler_of(source, options, training=training, ranks=1)
    except DataError:
        return None


def _epoch(source: Source, options: Any, sampler: Optional[samplers.Sampler]) -> Optional[Epoch]:
    """A pass of a data layer of this package."""
    return None if sampler is None else Epoch(len(source), sampler.epoch_size, options.batch_size, sampler.arity)


def _options(layer: Layer) -> Any:
    """The options of a data layer of this package."""
    from caffe_pylayers import config

    try:
        return config.load(layer.own, layer.python[2])
    except ConfigError as error:
        raise error.within(f"{layer.file}:{layer.line}: layer {layer.name!r}") from None


#: What was read in words, labels in parts, and a function that names a record.
_Read = Tuple[str, Iterable[Labels], Callable[[int], str]]


def _data(layer: Layer) -> _Read:
    """Stock Data: an LMDB of Datums."""
    folder = stock_sources.lmdb_of(layer)
    if folder is None:
        raise ConfigError(
            f"Data layer {layer.name!r} reads a LEVELDB (its default backend), but only Caffe can read that",
            remedy="use --top label to count some batches of the net",
            source=f"{layer.file}:{layer.line}",
        )
    source = open_source("LMDB", os.path.abspath(folder))
    if source.labels is None:
        raise DataError("its Datums have no labels", source=f"LMDB source {source.path}")
    return f"LMDB source {source.path}", [source.labels], source.describe


def _image_data(layer: Layer) -> _Read:
    """Stock ImageData: a list of `name label`; its images are not looked for."""
    images = stock_sources.ImageList(layer)
    labels = np.array(images.labels(), np.int64)
    return f"list {os.path.abspath(images.path)}", [labels], images.where


def _hdf5_data(layer: Layer) -> _Read:
    """Stock HDF5Data: a list of files, with a data set for each top; the labels' top is `label`, else the second."""
    top = "label" if "label" in layer.tops or len(layer.tops) < 2 else layer.tops[1]
    source = stock_sources.source_of(layer)
    labels = _hdf5_labels(source, stock_sources.hdf5_files(layer), top)
    return f"data set {top!r} of the HDF5 files in {os.path.abspath(source)}", labels, "record {}".format


def _hdf5_labels(source: str, paths: List[str], top: str) -> Iterator[Labels]:
    for path in paths:
        with stock_sources.opened_hdf5(source, path) as file:
            yield from stock_sources.rows_of(stock_sources.data_set(file, top))


_READERS = {"Data": _data, "ImageData": _image_data, "HDF5Data": _hdf5_data}


def of_blob(
    net: Net,
    state: NetState,
    blob: str,
    batches: Iterable[int],
    num_classes: Optional[int] = None,
    ignore_label: Optional[int] = None,
) -> LabelCounts:
    """Run what a net makes a blob of, and count the labels in it: label maps (N, 1, H, W) too, a label per pixel.

    batches: as many forwards as it has entries. Raises ConfigError where no data layer is behind the blob, DataError as
    :func:`count` does.
    """
    from caffe_pylayers import close
    from caffe_pylayers.commands import layer_net

    layers = net.in_state(state)
    behind = layer_net.layers_behind(layers, blob)
    if not behind:
        blobs = ", ".join(dict.fromkeys(top for layer in layers for top in layer.tops))
        raise ConfigError(f"it has no blob {blob!r} in {state}", remedy=f"its blobs: {blobs}", source=net.path)
    fed = [layer.name for layer in behind if layer.type in ("Input", "MemoryData")]
    if fed:
        raise ConfigError(
            f"blob {blob!r} comes from {', '.join(fed)}, and only a program feeds that",
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
