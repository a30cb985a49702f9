"""A trained net without what only its training needs, in layers that other programs know."""

from dataclasses import dataclass, field, replace
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from caffe_pylayers.caffe_files.legacy_nets import TYPES
from caffe_pylayers.caffe_files.nets import TEST, Layer
from caffe_pylayers.caffe_files.prototxt import text_of
from caffe_pylayers.caffe_files.shared_weights import weights_of
from caffe_pylayers.caffe_files.weights import LayerWeights, read_weights, write_weights
from caffe_pylayers.commands.deploy.folding import fold as folded_parts
from caffe_pylayers.commands.deploy.inputs import input_shapes
from caffe_pylayers.commands.deploy.layer_weights import blobs_of, check_bottom, fitted
from caffe_pylayers.commands.deploy.parts import Part, net_message, part, with_own_names
from caffe_pylayers.commands.deploy.pruning import live_layers, options_of
from caffe_pylayers.commands.deploy.reading import as_readers_know, is_hidden, kept_apart, name_in_opencv, not_in_opencv
from caffe_pylayers.commands.deploy.replacing import has_scores, replaced
from caffe_pylayers.commands.export.blob_shapes import Blob, Known, flat, shapes_of_tops
from caffe_pylayers.commands.export.onnx.kinds import as_own, in_onnx
from caffe_pylayers.commands.net_or_solver import net_in
from caffe_pylayers.commands.shared_memory import key, require_unchanged
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.files.output_file import output_file


@dataclass
class Deployed:
    """A net to write. inputs: shapes, with the samples. left_out: (layer, why). folded: (layer, into which). replaced: (layer, by which types)."""

    name: str
    inputs: Dict[str, Sequence[int]]
    feeders: Dict[str, Tuple[Layer, int]]
    outputs: List[str]
    parts: List[Part] = field(default_factory=list)
    shapes: Dict[str, Known] = field(default_factory=dict)
    left_out: List[Tuple[Layer, str]] = field(default_factory=list)
    folded: List[Tuple[str, str]] = field(default_factory=list)
    replaced: List[Tuple[Layer, List[str]]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The prototxt."""
        return text_of(net_message(self.name, self.inputs, self.parts))

    @property
    def weights(self) -> List[LayerWeights]:
        """Those of the layers that have some."""
        return [LayerWeights(each.layer.name, each.type, list(each.blobs)) for each in self.parts if each.blobs]

    @property
    def unread(self) -> List[Tuple[Part, str]]:
        """The layers that OpenCV 4 does not read, and why."""
        found = [(each, not_in_opencv(each)) for each in self.parts]
        return [(each, why) for each, why in found if why]

    @property
    def names_in_opencv(self) -> Dict[str, str]:
        """What OpenCV calls each output."""
        makers = {top: each for each in self.parts for top in each.layer.tops}
        return {blob: name_in_opencv(makers[blob], blob) for blob in self.outputs}

    def write(self, net: str, weights: str) -> None:
        """Write the prototxt and the .caffemodel."""
        with output_file(weights) as partial:
            write_weights(partial, self.weights)
        with output_file(net) as partial, open(partial, "w", encoding="utf-8", errors="surrogateescape") as text:
            text.write(self.text)


def deploy(
    net: str,
    weights: str,
    outputs: Sequence[str] = (),
    stock: bool = False,
    fold: bool = False,
    batch: Optional[int] = None,
    shapes: Optional[Mapping[str, Sequence[int]]] = None,
    stages: Sequence[str] = (),
) -> Deployed:
    """The net of a file, or of a solver, in TEST, with the weights of a file, for another program.

    outputs: blobs that it is to give; by default what its losses and accuracies take. stock: in layers of stock Caffe alone; else in those that OpenCV,
    ncnn, rknn and NNIE know. fold: normalization and scale go into the layer before, Dropout goes. batch: samples at a time, by default 1. shapes:
    (channels, height, width) of inputs. Raises ConfigError and DataError, as for a layer that has no name there.
    """
    read, state = net_in(net, TEST, stages)
    found = weights_of(read.in_state(state), read_weights(weights))
    layers = _of_this_package(read.in_state(state), found)
    live = live_layers(layers, net, outputs)
    require_unchanged(layers, set(map(key, live.layers)), live.outputs)
    if stock:
        _refuse_others(live.layers)
    fed = input_shapes(live.inputs, shapes or {}, batch, net)
    deployed = Deployed(read.name, fed, live.inputs, live.outputs, left_out=live.left_out)
    for blob, shape in fed.items():
        deployed.shapes[blob] = flat(shape[1]) if len(shape) == 2 else Blob(tuple(shape[1:]))
    if not outputs:
        _refuse_lost_weights(live.behind, found)
    for layer in live.layers:
        _add(deployed, layer, found, weights, stock)
    _leave_unread_out(deployed)
    if fold:
        result = folded_parts(deployed.parts, deployed.outputs)
        deployed.parts, deployed.folded = result.parts, result.into
    if not stock:
        _as_readers_know(deployed)
    deployed.parts = with_own_names(deployed.parts)
    return deployed


def _of_this_package(layers: Sequence[Layer], found: Mapping[str, LayerWeights]) -> List[Layer]:
    """The layers of a net; those of a fork that compute what one of this package does are that one."""
    nothing = LayerWeights("")
    return [
        as_own(each, layers, len(found.get(each.name, nothing).blobs)) if in_onnx(each) else each for each in layers
    ]


def _refuse_lost_weights(behind: Sequence[Tuple[Layer, str]], found: Mapping[str, LayerWeights]) -> None:
    """Raise ConfigError where layers with weights would be left out because one before them ends the net."""
    for layer, end in behind:
        if layer.name in found:
            raise ConfigError(
                f"it has weights, but layer {end!r} before it takes a batch of the training's size, or labels",
                remedy="write `dim: 0` for the samples in a Reshape, or name the outputs that are wanted with --output",
                source=layer.described,
            )


def _refuse_others(layers: Sequence[Layer]) -> None:
    """Raise ConfigError for layers that neither stock Caffe nor this package has."""
    known = "`caffe-pylayers migrate NET --weights WEIGHTS` rewrites layers of forks that it knows"
    remedy = f"{known}; or leave out --stock, or cut it off: --output with a blob before it"
    others = [each for each in layers if each.type not in TYPES]
    if others:
        problems = [(f"stock Caffe has no layer of type {each.type}", each.described) for each in others]
        raise ConfigError.of([ConfigError(problem, remedy=remedy, source=source) for problem, source in problems])


def _add(deployed: Deployed, layer: Layer, found: Mapping[str, LayerWeights], path: str, stock: bool) -> None:
    """Add a layer, or those that stand for it."""
    options = options_of(layer)
    if layer.type == "Python" and options is None:
        raise ConfigError(
            f"only its own Python code can say what it computes ({layer.python[1]} of {layer.python[0]})",
            remedy="cut it off: --output with a blob before it",
            source=layer.described,
        )
    blobs = blobs_of(layer, options, found.get(layer.name), path)
    check_bottom(layer, blobs, deployed.shapes[layer.bottoms[0]])
    blobs = fitted(layer, blobs, deployed.shapes[layer.bottoms[0]], path)
    if options is None and not (has_scores(layer, None) and layer.tops[1:]):
        _put(deployed, [Part(layer, blobs)])
        return
    if layer.tops[0] in layer.bottoms:  # several layers cannot work in place
        before = f"{layer.tops[0]}/before_{layer.name}"
        layer = _rename(deployed, layer, layer.tops[0], before)
    parts = replaced(layer, options, blobs, [deployed.shapes[blob] for blob in layer.bottoms], stock)
    deployed.replaced.append((layer, [each.type for each in parts]))
    _put(deployed, parts)


def _leave_unread_out(deployed: Deployed) -> None:
    """Leave out what only gave a size to a layer that is replaced."""
    needed, parts = set(deployed.outputs), deployed.parts
    deployed.parts = []
    for each in reversed(parts):
        if needed & set(each.layer.tops):
            needed |= set(each.layer.bottoms)
            deployed.parts.insert(0, each)
        else:
            deployed.left_out.append((each.layer, "no output needs it"))
    for blob in set(deployed.inputs) - needed:
        del deployed.inputs[blob], deployed.feeders[blob]


def _as_readers_know(deployed: Deployed) -> None:
    """Every layer as OpenCV and other readers know it, and for each output a layer whose first top it is."""
    parts, deployed.parts = deployed.parts, []
    for each in parts:
        layer, bottom = each.layer, deployed.shapes[each.layer.bottoms[0]]
        known = as_readers_know(each, bottom)
        if len(known) > 1 and layer.tops[0] in layer.bottoms:  # several layers cannot work in place
            renamed = _rename(deployed, layer, layer.tops[0], f"{layer.tops[0]}/before_{layer.name}")
            known = as_readers_know(replace(each, layer=renamed), bottom)
        deployed.parts += known
    deployed.parts = kept_apart(deployed.parts)
    for blob in deployed.outputs:
        maker = next(each for each in reversed(deployed.parts) if blob in each.layer.tops)
        if is_hidden(maker, blob) and maker.type == "Pooling":
            deployed.parts[deployed.parts.index(maker)] = replace(maker, unread="it gives no mask of the maxima")
        elif is_hidden(maker, blob):
            inside = f"{blob}/of_{maker.layer.name}"
            _rename(deployed, maker.layer, blob, inside)
            deployed.parts.append(part(maker.layer, "Power", [inside], [blob], blob))


def _put(deployed: Deployed, parts: Sequence[Part]) -> None:
    for each in parts:
        bottoms = [deployed.shapes[blob] for blob in each.layer.bottoms]
        shapes = each.shapes or shapes_of_tops(each.layer, bottoms)
        deployed.shapes.update(zip(each.layer.tops, shapes))
        deployed.parts.append(each)


def _rename(deployed: Deployed, layer: Layer, old: str, new: str) -> Layer:
    """Give a blob another name up to a layer, which takes it under that name."""

    def named(names: Sequence[str]) -> List[str]:
        return [new if name == old else name for name in names]

    deployed.parts = [each.on(named(each.layer.bottoms), named(each.layer.tops)) for each in deployed.parts]
    deployed.shapes[new] = deployed.shapes[old]
    if old in deployed.inputs:
        deployed.inputs[new], deployed.feeders[new] = deployed.inputs.pop(old), deployed.feeders.pop(old)
    return Part(layer).on(named(layer.bottoms), layer.tops).layer
