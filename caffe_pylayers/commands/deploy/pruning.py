"""Which layers of a net a deployed net has: those between what its data layers feed and what its losses take."""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from caffe_pylayers import config
from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.deploy.parts import on, without_training
from caffe_pylayers.commands.deploy.replacing import changes_nothing, has_scores, is_replaced
from caffe_pylayers.config.bottoms_and_tops import bottoms_of, tops_of
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.errors import ConfigError, did_you_mean, unknown

#: Bottoms of a loss that are no prediction, by their names in the options class.
_TARGETS = ("label", "target", "distribution", "sim", "teacher", "margin", "sample_weight", "inside_weight", "outside_weight")  # fmt: skip

#: Tops that say how a training is.
_OF_TRAINING = ("lambda",)

#: Layers of Caffe's that end a net, but for losses.
_ENDS = ("Accuracy", "Silence", "HDF5Output")

IMAGE, OTHER, ENDED = "image", "other", "ended"


@dataclass
class Live:
    """What is left of a net.

    inputs: the data layer and the number of its top, by blob. layers: those that compute, without fields of training. outputs: blobs that nothing
    reads. left_out: (layer, why) of the others. behind: (layer, the name of one that ends the net before it).
    """

    inputs: Dict[str, Tuple[Layer, int]] = field(default_factory=dict)
    layers: List[Layer] = field(default_factory=list)
    outputs: List[str] = field(default_factory=list)
    left_out: List[Tuple[Layer, str]] = field(default_factory=list)
    behind: List[Tuple[Layer, str]] = field(default_factory=list)


def live_layers(layers: Sequence[Layer], path: str, wanted: Sequence[str] = ()) -> Live:
    """The layers that compute the outputs of a net, from its layers in TEST.

    wanted: the outputs; by default what losses and accuracies take, and what no layer takes. Raises ConfigError for an output that there is not, and
    where nothing is left.
    """
    walk = _Walk(layers)
    for layer in layers:
        walk.take(layer)
    outputs = list(dict.fromkeys(walk.called(blob, path) for blob in wanted)) or walk.outputs()
    if not outputs:
        raise ConfigError(
            "it has no output: no layer computes anything from what a data layer feeds",
            remedy="name one with --output BLOB",
            source=path,
        )
    return walk.needed(outputs)


class _Walk:
    """The layers, taken in order: which blob is what, and under which name it is known now."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = layers
        self._names: Dict[str, str] = {}  # of blobs that are only other names
        self._sides: Dict[str, str] = {}
        self._predictions: List[str] = []
        self._computing: List[Layer] = []
        self._makers: Dict[str, Tuple[Layer, int]] = {}
        self._left_out: List[Tuple[Layer, str]] = []
        self._behind: List[Tuple[Layer, str]] = []
        self._pieces: Dict[str, Set[Tuple[int, int]]] = {}  # (line of the Slice, number of its top), by blob

    def take(self, layer: Layer) -> None:
        if not layer.bottoms:
            self._feed(layer)
            return
        options = options_of(layer)
        missing = next((blob for blob in layer.bottoms if blob not in self._sides), None)
        if missing is not None:
            raise ConfigError(
                f"no layer before it gives its bottom {missing!r} in TEST",
                remedy="`deploy` takes the net as it is in TEST: let the data layer be there too, or name a --stage",
                source=layer.described,
            )
        bottoms = [self._names.get(blob, blob) for blob in layer.bottoms]
        sides = [self._sides[blob] for blob in layer.bottoms]
        if _joins_inputs(layer) and all(blob in self._makers for blob in bottoms):
            self._join(layer, bottoms[0])
        elif _ends(layer, options):
            self._end(layer, options, bottoms)
        elif ENDED in sides:
            self._behind.append((layer, self._end_before(layer)))
            self._leave_out(layer, f"it is behind layer {self._behind[-1][1]!r}")
        elif self._mixes_pieces(layer):
            self._predictions += [blob for blob in bottoms if blob in self._computed()]
            self._leave_out(layer, "it mixes the samples of a batch")
        elif _passes(layer, options):
            self._left_out.append((layer, "it changes nothing in TEST"))
            self._put(layer.tops, self._sides[layer.bottoms[0]], bottoms[0])
        else:
            self._compute(layer, options, bottoms, IMAGE if IMAGE in sides else OTHER)

    def _mixes_pieces(self, layer: Layer) -> bool:
        """Whether it takes several pieces of one batch, as what compares two images does: for a batch of one they would be the same image.

        Notes which pieces its tops are of.
        """
        pieces = {piece for blob in layer.bottoms for piece in self._pieces.get(blob, ())}
        for number, top in enumerate(layer.tops):
            self._pieces[top] = pieces | ({(layer.line, number)} if _cuts_samples(layer) else set())
        return len({line for line, _ in pieces}) < len(pieces)

    def _feed(self, layer: Layer) -> None:
        options = options_of(layer)
        images = 1 if getattr(options, "stacked", False) else len(getattr(options, "images", ("data",)))
        images = len(layer.tops) if layer.type == "Input" else images
        for i, top in enumerate(layer.tops):
            self._put([top], IMAGE if i < images else OTHER)
            self._makers[top] = (layer, i)

    def _join(self, layer: Layer, first: str) -> None:
        """A Concat of images that are fed: what it gives is fed."""
        self._makers[layer.tops[0]] = self._makers[first]
        self._put(layer.tops, IMAGE)
        self._left_out.append((layer, "its top is fed"))

    def _end(self, layer: Layer, options: Any, bottoms: Sequence[str]) -> None:
        computed, is_given = self._computed(), self._sides[layer.bottoms[0]] == IMAGE
        taken = [blob for blob, name in zip(bottoms, _bottom_names(layer, options)) if name not in _TARGETS]
        self._predictions += [blob for blob in taken if blob in computed and self._sides[blob] == IMAGE]
        self._leave_out(
            layer, "it mixes the samples of a batch" if _mixes_samples(layer) else "it is for training and tests"
        )
        if is_given and layer.tops[1:] and has_scores(layer, options):
            self._compute(layer, options, bottoms[:1], IMAGE)
            self._put(layer.tops[:1], ENDED)

    def _compute(self, layer: Layer, options: Any, bottoms: Sequence[str], side: str) -> None:
        names = bottoms_of(layer.own, options, len(layer.bottoms)) if options is not None else bottoms
        needed = [blob for blob, name in zip(bottoms, names) if options is None or name not in _TARGETS]
        self._computing.append(on(without_training(layer), needed, layer.tops))
        self._put(layer.tops, side)
        if options is not None:
            given = zip(layer.tops, tops_of(layer.own, options, len(layer.tops)))
            self._put([top for top, name in given if name in _OF_TRAINING], ENDED)

    def _leave_out(self, layer: Layer, why: str) -> None:
        self._left_out.append((layer, why))
        self._put(layer.tops, ENDED)

    def _put(self, tops: Sequence[str], side: str, name: str = "") -> None:
        """name: of the blob that they are, if they are another one."""
        for top in tops:
            self._sides[top] = side
            self._names[top] = name or top

    def _computed(self) -> Set[str]:
        return {top for layer in self._computing for top in layer.tops}

    def _end_before(self, layer: Layer) -> str:
        """The name of the first layer before it that ends the net."""
        ended = next(blob for blob in layer.bottoms if self._sides[blob] == ENDED)
        further = next((name for each, name in self._behind if ended in each.tops), "")
        return further or next(each.name for each, _ in reversed(self._left_out) if ended in each.tops)

    def called(self, blob: str, path: str) -> str:
        """The name of a blob that is wanted as an output. Raises ConfigError where the deployed net has none of that name."""
        given = [each for each in self._sides if self._sides[each] == IMAGE and self._names[each] in self._computed()]
        if blob in given:
            return self._names[blob]
        guess, known = did_you_mean(blob, given), f"Outputs may be: {', '.join(given)}"
        problem, remedy = unknown(f"the deployed net has no blob {blob!r}", guess, known)
        raise ConfigError(problem, remedy=remedy, option="output", source=path)

    def outputs(self) -> List[str]:
        """What losses take, and what no layer takes."""
        read = {blob for layer in self._layers for blob in layer.bottoms if layer.tops[:1] != [blob]}
        tops = [top for layer in self._computing for top in layer.tops if self._sides[top] == IMAGE]
        return [top for top in dict.fromkeys(tops) if top in self._predictions or top not in read]

    def needed(self, outputs: Sequence[str]) -> Live:
        """What these outputs need."""
        live = Live(outputs=list(outputs), left_out=self._left_out, behind=self._behind)
        wanted = set(outputs)
        for layer in reversed(self._computing):
            if wanted & set(layer.tops):
                wanted |= set(layer.bottoms)
                live.layers.insert(0, layer)
            else:
                live.left_out.append((layer, "no output needs it"))
        made: Set[str] = set()
        for layer in live.layers:
            live.inputs.update({blob: self._makers[blob] for blob in layer.bottoms if blob not in made})
            made |= set(layer.tops)
        return live


def options_of(layer: Layer) -> Optional[Any]:
    """The options of a layer of this package; None for another one."""
    return config.load(layer.own, layer.python[2]) if layer.own else None


def _bottom_names(layer: Layer, options: Any) -> Sequence[str]:
    """The names of the bottoms of a layer that ends a net; none where they are no predictions."""
    if options is not None:
        return bottoms_of(layer.own, options, len(layer.bottoms))
    twin = next((schema for schema in SCHEMAS.values() if schema.twin == layer.type), None)
    if twin is not None:
        return [name.strip("[]") for name in twin.takes]
    if layer.type == "Silence":
        return ()
    return ("prediction",) * (len(layer.bottoms) if _mixes_samples(layer) else 1)


def _ends(layer: Layer, options: Any) -> bool:
    """Whether what a layer gives is for training and tests alone."""
    if layer.own:
        return not is_replaced(options) and (options.is_loss() or "label" in options.takes)
    loss = layer.type.endswith("WithLoss") or layer.type.lower().endswith("loss")
    python = layer.type == "Python" and "loss_weight" in layer.message
    return loss or python or layer.type in _ENDS or _mixes_samples(layer)


def _mixes_samples(layer: Layer) -> bool:
    """Whether a layer makes other samples of those of a batch, so that a batch of one has no meaning."""
    if _joins_inputs(layer):
        return True
    param = layer.message.message("reshape_param")
    dims = param.message("shape").all("dim")
    return layer.type == "Reshape" and param.whole("axis") == 0 and dims[:1] not in ([], [0], [-1])


def _joins_inputs(layer: Layer) -> bool:
    param = layer.message.message("concat_param")
    return layer.type == "Concat" and param.whole("axis", param.whole("concat_dim", 1)) == 0


def _cuts_samples(layer: Layer) -> bool:
    param = layer.message.message("slice_param")
    return layer.type == "Slice" and param.whole("axis", param.whole("slice_dim", 1)) == 0


def _passes(layer: Layer, options: Any) -> bool:
    """Whether the tops of a layer are its first bottom, of a batch of one."""
    return _cuts_samples(layer) or layer.type == "Split" or (options is not None and changes_nothing(options))
