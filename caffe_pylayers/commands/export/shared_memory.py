"""Blobs that lie in one memory in Caffe, so that a layer in place changes all of them."""

from typing import Collection, Dict, NamedTuple, Sequence, Set, Tuple

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.errors import ConfigError

#: Types whose tops are the memory of their bottom.
_SHARING = ("Flatten", "Reshape", "Split")

#: Types that share it where they have one bottom and one top.
_SHARING_ONE = ("Concat", "Slice")

#: Types that change nothing in TEST.
_NOTHING = ("Dropout",)

LayerKey = Tuple[str, int]


class _Change(NamedTuple):
    """A layer, and the blob that it works in place on."""

    layer: Layer
    blob: str


def key(layer: Layer) -> LayerKey:
    """What tells a layer from the others of its net, also if it is written otherwise."""
    return layer.name, layer.line


def require_unchanged(layers: Sequence[Layer], needed: Collection[LayerKey], outputs: Collection[str]) -> None:
    """Raise ConfigError where a layer that is needed, or an output, has numbers that a layer in place on another blob has changed.

    layers: all of a net, in order. Caffe computes so, and other programs have a memory for each blob.
    """
    groups: Dict[str, Set[str]] = {}
    changed: Dict[str, _Change] = {}
    for layer in layers:
        for blob in layer.bottoms:
            if blob in changed and key(layer) in needed:
                raise _differs(changed[blob], blob, f"layer {layer.name!r} reads", layer.name)
        _write(layer, groups, changed)
    for blob in outputs:
        if blob in changed:
            raise _differs(changed[blob], blob, "the output is")


def _write(layer: Layer, groups: Dict[str, Set[str]], changed: Dict[str, _Change]) -> None:
    """What the tops of a layer do to the groups of blobs in one memory."""
    one = layer.type in _SHARING_ONE and len(layer.bottoms) == len(layer.tops) == 1
    shares = layer.type in _SHARING or one
    for number, top in enumerate(layer.tops):
        if top in layer.bottoms[number : number + 1]:
            changed.pop(top, None)
            if layer.type not in _NOTHING:
                changed.update((each, _Change(layer, top)) for each in groups.get(top, ()) if each != top)
        elif shares:
            group = groups.setdefault(layer.bottoms[0], {layer.bottoms[0]})
            group.add(top)
            groups[top] = group


def _differs(change: _Change, blob: str, who: str, reader: str = "") -> ConfigError:
    remedy = f"name the outputs that are wanted without it; {change.blob!r} has these numbers"
    if reader:
        remedy = (
            f"let layer {reader!r} read {change.blob!r}, which has these numbers, by a Reshape if the shapes differ"
        )
    return ConfigError(
        f"it works in place on blob {change.blob!r}, which shares its memory with blob {blob!r}: "
        f"Caffe gives the changed numbers where {who} {blob!r}, and other programs do not",
        remedy=remedy,
        source=change.layer.described,
    )
