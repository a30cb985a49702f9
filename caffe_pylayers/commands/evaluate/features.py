"""Features by a net: one pass over the source of its data layer, each record once."""

from dataclasses import replace
from typing import Any, Dict, List, Optional

import numpy as np

from caffe_pylayers import config
from caffe_pylayers.caffe_files.nets import TEST, Layer, Net, NetState, data_layers
from caffe_pylayers.caffe_files.prototxt import Message
from caffe_pylayers.caffe_files.snapshots import Shape, misfits
from caffe_pylayers.caffe_files.weights import by_name, read_weights
from caffe_pylayers.commands.evaluate.embedded import Embedded
from caffe_pylayers.commands.layer_net import with_options
from caffe_pylayers.commands.whole_net import whole_net
from caffe_pylayers.config.param_str import parse
from caffe_pylayers.errors import ConfigError, DataError, did_you_mean, unknown
from caffe_pylayers.evaluation import Records

#: Options that choose records, or begin again before all are read.
_SAMPLING = ("type", "shuffle", "classes_per_batch", "samples_per_class", "per_batch", "sampler", "restart_every")

_OF_IMAGES = "ImageDataLayer and MultiLabelDataLayer feed single images"


def features_of(
    net: Net,
    state: NetState,
    weights: str,
    blob: str,
    layer: Optional[str] = None,
    mirror: bool = False,
    gpu: Optional[int] = None,
) -> Embedded:
    """What a blob of a net with these weights is, for each record that its data layer reads, in the order of the source.

    layer: the data layer, where there are several. mirror: add the feature of the mirrored image. gpu: None for the CPU.
    Raises ConfigError or DataError where the net, its weights or its data cannot be used.
    """
    data = _data_layer(net, state, layer)
    blobs = list(dict.fromkeys(top for each in net.in_state(state) for top in each.tops))
    if blob not in blobs:
        known = f"Blobs: {', '.join(blobs)}"
        problem, remedy = unknown(f"no blob {blob!r} in {state}", did_you_mean(blob, blobs), known)
        raise ConfigError(problem, remedy=remedy, source=net.path)
    found = by_name(read_weights(weights))
    built, _ = whole_net(_reading_once(net, data), state, gpu, backward=False)
    run = _Run(built, data, blob, net.path)
    try:
        _load(built, run.learned(), found, weights, net.path)
        return _one_pass(run, f"{net.path}: blob {blob!r}", mirror)
    finally:
        for each in built.layers:
            if hasattr(each, "images_a_batch"):
                each.close()


class _Run:
    """A net, run from its data layer to a blob."""

    def __init__(self, net: Any, data: Layer, blob: str, path: str) -> None:
        names = list(net._layer_names)
        number = list(net._blob_names).index(blob)
        self.net, self.place = net, names.index(data.name)
        self.last = max(place for place in range(len(names)) if number in net._top_ids(place))
        self.layer: Any = net.layers[self.place]
        self.tops = [net.blobs[top] for top in net.top_names[data.name]]
        self.blob, self.name, self.path = net.blobs[blob], blob, path

    def learned(self) -> Dict[str, List[Shape]]:
        """The shapes of the parameters of the layers up to the blob, but of the data layer."""
        names = [name for place, name in enumerate(self.net._layer_names[: self.last + 1]) if place != self.place]
        params = self.net.params
        return {name: [tuple(blob.shape) for blob in params[name]] for name in names if name in params}

    def next_batch(self) -> None:
        self.net._forward(0, self.place)

    def features(self) -> np.ndarray:
        """Of the images that are in the data top now: float32 (B, D)."""
        if self.last > self.place:
            self.net._forward(self.place + 1, self.last)
        images, shape = self.layer.images_a_batch, tuple(self.blob.shape)
        if not shape or shape[0] != images:
            raise ConfigError(
                f"blob {self.name!r} has shape {shape}, but a batch has {images} images",
                remedy="name a blob with a row per image",
                source=self.path,
            )
        return np.array(self.blob.data.reshape(images, -1))


def _one_pass(run: _Run, source: str, mirror: bool) -> Embedded:
    from tqdm import tqdm

    layer = run.layer
    copies = layer.recipe.copies
    rows: List[np.ndarray] = []
    numbers: List[np.ndarray] = []
    labels: List[np.ndarray] = []
    for batch in tqdm(range(layer.batches_per_epoch), desc="features", unit="batch", disable=None, leave=False):
        run.next_batch()
        if "label" in layer.gives:
            labels.append(np.array(run.tops[layer.gives.index("label")].data)[::copies])
        images = run.tops[0].data.copy() if mirror else None  # a layer may work in place on it
        rows.append(run.features())
        if images is not None:
            run.tops[0].data[...] = images[..., ::-1]
            rows[-1] += run.features()
        rows[-1] = rows[-1].reshape(-1, copies, rows[-1].shape[1]).sum(1)
        numbers.append(layer.records(batch))
    records, first = np.unique(
        np.concatenate(numbers), return_index=True
    )  # the last batch begins again; stand-ins come twice
    notes = []
    if len(records) < len(layer.source):
        notes.append(
            f"{len(layer.source) - len(records)} of {len(layer.source)} records cannot be read, and are left out"
        )
    if copies > 1:
        notes.append(f"a feature is the sum over {copies} crops")
    return Embedded(
        Records(
            np.concatenate(rows)[first],
            _one_label(np.concatenate(labels)[first], layer) if labels else _labels_of_source(layer, records),
            source=source,
            why_none="" if layer.source.labels is None else "a record has several, or values",
            name=lambda row: layer.source.names[int(records[row])].decode(errors="backslashreplace"),
        ),
        layer.source,
        records,
        True,
        notes,
    )


def _one_label(labels: np.ndarray, layer: Any) -> Optional[np.ndarray]:
    """(N,), of a top that has one integer per record; else None."""
    return None if labels.size != len(labels) or layer.source.has_values else labels.reshape(len(labels))


def _labels_of_source(layer: Any, records: np.ndarray) -> Optional[np.ndarray]:
    labels = layer.source.labels
    return None if labels is None else _one_label(labels[records], layer)


def _data_layer(net: Net, state: NetState, name: Optional[str]) -> Layer:
    """The data layer of single images of ours. Raises ConfigError where it is another one, or one of several."""
    found = data_layers(net, state, name)
    ours = [layer for layer in found if layer.own]
    if len(ours) != 1:
        names = ", ".join(f"{layer.name} ({layer.own or layer.type})" for layer in ours or found)
        raise ConfigError(
            f"{len(ours)} data layers of this package in {state}, but one is needed: which record a batch has is known of these only",
            remedy=f"choose one with --layer: {names}" if ours else f"{_OF_IMAGES}, in place of {names}",
            source=net.path,
        )
    options: Any = config.load(ours[0].own, ours[0].python[2])
    if options.images != ("data",) or options.has_maps:
        raise ConfigError(
            f"{ours[0].own} feeds no single images, but the feature of each record is needed once",
            remedy=f"{_OF_IMAGES}: give the net such a layer in {TEST}",
            source=ours[0].described,
        )
    return ours[0]


def _reading_once(net: Net, data: Layer) -> Net:
    """The same net, whose data layer reads its source from the first record to the last."""
    options: Any = config.load(data.own, data.python[2])
    names = type(options).option_names()
    values = {name: value for name, value in parse(data.python[2]).items() if names[name] not in _SAMPLING}
    plain = with_options(data, {**values, "batch_size": options.batch_size}, data.tops)
    fields = [
        field._replace(value=plain.message) if field.value is data.message else field for field in net.message.fields
    ]
    layers = [plain if layer is data else layer for layer in net.layers]
    return replace(net, message=Message(fields, net.message.line), layers=layers)


def _load(net: Any, learned: Dict[str, List[Shape]], found: Dict[str, Any], weights: str, path: str) -> None:
    """Copy the weights of the layers on the way to the blob. Raises DataError where one would have others than the file's."""
    absent = [name for name in learned if name not in found]
    if absent:
        raise DataError(
            f"it has no weights of layers {', '.join(absent[:8])} of {path}: they would be those of their fillers",
            remedy=f"layers are matched by name; it has {', '.join(list(found)[:8])}",
            source=weights,
        )
    problems = misfits(weights, learned)
    if problems:
        raise DataError(
            "\n".join(problems), remedy=f"`caffe-pylayers check {path} --weights {weights}` says more", source=weights
        )
    for name in learned:  # not by `copy_from`, which ends the process over any other layer that does not fit
        for blob, given in zip(net.params[name], found[name].blobs):
            blob.data[...] = given.reshape(blob.data.shape)
