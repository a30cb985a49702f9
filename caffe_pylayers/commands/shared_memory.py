"""Blobs that lie in one memory in Caffe, so that a layer in place changes all of them."""

from typing import Collection, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.errors import ConfigError

#: Types whose tops are the memory of their bottom.
_SHARING = ("Flatten", "Reshape", "Split")

#: Types that share it where they have one bottom and one top.
_SHARING_ONE = ("Concat", "Slice")

#: Types that change nothing in TEST.
_NOTHING_IN_TEST = ("Dropout",)

#: Types of weights whose gradient is made of their bottom.
_WITH_GRADIENT = ("Convolution", "Deconvolution", "InnerProduct", "Scale")

LayerKey = Tuple[str, int]


class ChangedRead(NamedTuple):
    """A layer reads a blob whose numbers a layer in place on another blob has changed.

    changer: that layer. changed: the blob that it works on. blob: what is read. reader: None for an output. late: it
    reads the blob once more for its gradient, and only then it is changed.
    """

    changer: Layer
    changed: str
    blob: str
    reader: Optional[Layer]
    late: bool = False


def key(layer: Layer) -> LayerKey:
    """What tells a layer from the others of its net, also if it is written otherwise."""
    return layer.name, layer.line


def require_unchanged(layers: Sequence[Layer], needed: Collection[LayerKey], outputs: Collection[str]) -> None:
    """Raise ConfigError where a layer that is needed, or an output, has numbers that a layer in place on another blob has changed.

    layers: all of a net in TEST, in order. Caffe computes so, and other programs have a memory for each blob.
    """
    for found in changed_reads(layers, outputs):
        if found.reader is None or key(found.reader) in needed:
            raise _differs(found)


def changed_reads(
    layers: Sequence[Layer], outputs: Iterable[str] = (), training: bool = False
) -> Iterator[ChangedRead]:
    """Where a net reads changed numbers. layers: all of it, in order. training: in TRAIN, with gradients."""
    groups: Dict[str, Set[str]] = {}
    changes: Dict[str, Tuple[Layer, str]] = {}
    readers: Dict[str, List[Layer]] = {}
    for layer in layers:
        for blob in layer.bottoms:
            if blob in changes:
                yield ChangedRead(*changes[blob], blob, layer)
            elif training and layer.type in _WITH_GRADIENT:
                readers.setdefault(blob, []).append(layer)
        shares = layer.type in _SHARING or (layer.type in _SHARING_ONE and len(layer.bottoms) == len(layer.tops) == 1)
        for number, top in enumerate(layer.tops):
            if top in layer.bottoms[number : number + 1]:
                changes.pop(top, None)
                if training or layer.type not in _NOTHING_IN_TEST:
                    others = [blob for blob in groups.get(top, ()) if blob != top]
                    changes.update(dict.fromkeys(others, (layer, top)))
                    for blob in others:
                        yield from (ChangedRead(layer, top, blob, each, True) for each in readers.get(blob, ()))
            elif shares:
                group = groups.setdefault(layer.bottoms[0], {layer.bottoms[0]})
                group.add(top)
                groups[top] = group
    yield from (ChangedRead(*changes[blob], blob, None) for blob in outputs if blob in changes)


def _differs(found: ChangedRead) -> ConfigError:
    blob, changed, reader = found.blob, found.changed, found.reader
    who = "the output is" if reader is None else f"layer {reader.name!r} reads"
    remedy = f"name the outputs that are wanted without it; {changed!r} has these numbers"
    if reader:
        remedy = (
            f"let layer {reader.name!r} read {changed!r}, which has these numbers, by a Reshape if the shapes differ"
        )
    return ConfigError(
        f"it works in place on blob {changed!r}, which shares its memory with blob {blob!r}: "
        f"Caffe gives the changed numbers where {who} {blob!r}, and other programs do not",
        remedy=remedy,
        source=found.changer.described,
    )
