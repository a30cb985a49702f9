"""Nets and solvers, moved: their new text, what changed in it, and what is left to do."""

import os
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from caffe_pylayers.caffe_files import nets, prototxt
from caffe_pylayers.caffe_files.edits import Edits, Span, read_text
from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.prototxt import Field, Message
from caffe_pylayers.caffe_files.weights import read_weights
from caffe_pylayers.commands.check.findings import ERROR, Finding
from caffe_pylayers.commands.migrate.forks import move_of
from caffe_pylayers.commands.migrate.moves import Move, checked
from caffe_pylayers.commands.migrate.upgrading import upgrade_text
from caffe_pylayers.errors import ConfigError

#: The fields of a solver that name nets, by their files or with the whole net.
_FILES, _NETS = ("net", "train_net", "test_net"), ("net_param", "train_net_param", "test_net_param")


@dataclass
class Migration:
    """A file, moved. old, new: its text before and after. left: what could not be moved.

    moved: the layers that became others, by name, with their types before and after. lists: files that layers of it read and that must be written.
    """

    path: str
    old: str
    new: str
    moved: Dict[str, Tuple[str, str]] = field(default_factory=dict)
    lists: Dict[str, str] = field(default_factory=dict)
    left: List[Finding] = field(default_factory=list)


def migrate(path: str, weights: Optional[str] = None, folder: str = "") -> List[Migration]:
    """A net, or a solver and then each of its nets, as stock Caffe runs them with the layers of this package.

    weights: a .caffemodel of the net, which may tell of which fork a layer is. folder: where the nets of a solver are written, and lists.
    Raises ConfigError if a file cannot be read.
    """
    blobs = {layer.name: len(layer.blobs) for layer in read_weights(weights)} if weights else {}
    message = prototxt.read(path)
    if not nets.is_solver(message):
        nets.require_net(message, path)
        return [_moved(path, blobs, folder)]
    files = dict.fromkeys(nets.net_file(each, path) for each in message.fields if each.name in _FILES)
    others = [_moved(file, blobs, folder) for file in files]
    solver = _moved(path, blobs, folder)
    solver.new = _renamed(solver, {each.path: each for each in others if each.new != each.old}, folder)
    return [solver, *others]


def place_in(folder: str, path: str) -> str:
    """Where a file of a solver is written."""
    return os.path.join(folder, os.path.basename(path))


def _renamed(solver: Migration, changed: Dict[str, Migration], folder: str) -> str:
    """The text of a solver that names the nets that have changed in their new places."""
    edits = Edits(solver.new)
    named: Dict[Span, List[Field]] = {}  # several in one place are a list
    for each in prototxt.parse(solver.new, solver.path).fields:
        if each.name in _FILES:
            named.setdefault(each.span, []).append(each)
    for span, fields in named.items():
        if any(each.value in changed for each in fields):
            new = [place_in(folder, str(each.value)) if each.value in changed else each.value for each in fields]
            edits.put_fields(span, [Field(each.name, value, 0) for each, value in zip(fields, new)])
    return edits.result()


def _moved(path: str, blobs: Dict[str, int], folder: str) -> Migration:
    """A file whose nets are moved: their text to today's form, then layer by layer."""
    old = read_text(path)
    lines = [_lines(net) for net in _nets(prototxt.parse(old, path))]
    edits = Edits(old)
    unknown: List[Finding] = []
    for net in _nets(prototxt.parse(old, path)):
        unknown += _unknown_fields(net, path)
        upgrade_text(net, edits, path)
    today = edits.result()
    migration, edits = Migration(path, old, today, left=unknown), Edits(today)
    for net, of in zip(_nets(prototxt.parse(today, path)), lines):
        fields = [each for each in net.fields if each.name == "layer" and isinstance(each.value, Message)]
        _move_layers(fields, [1] * (len(fields) - len(of)) + of, migration, edits, blobs, folder)
    migration.new = edits.result()
    return migration


def _nets(message: Message) -> Iterator[Message]:
    """The nets in a file: itself, or those within a solver."""
    if not nets.is_solver(message):
        yield message
    for each in message.fields if nets.is_solver(message) else ():
        if each.name in _NETS and isinstance(each.value, Message):
            yield each.value


def _unknown_fields(net: Message, path: str) -> Iterator[Finding]:
    """The fields of a net that no net of Caffe's has."""
    for each in net.fields:
        if each.name not in nets.OF_NETS:
            problem = f"field {each.name!r} of the net, which stock Caffe refuses"
            yield Finding(path, each.line, "", ERROR, problem, "take it out if the net does without")


def _lines(net: Message) -> List[int]:
    """The line of the type of each layer."""
    layers = (each.value for each in net.fields if each.name in ("layer", "layers") and isinstance(each.value, Message))
    return [(layer.message("layer") if "layer" in layer else layer).line_of("type") for layer in layers]


def _move_layers(
    fields: Sequence[Field],
    lines: Sequence[int],
    migration: Migration,
    edits: Edits,
    blobs: Dict[str, int],
    folder: str,
) -> None:
    """Move the layers of a net that are of forks. lines: of their types in the old text."""
    layers = [Layer(each.value, migration.path) for each in fields if isinstance(each.value, Message)]
    for each, layer, line in zip(fields, layers, lines):
        try:
            move = move_of(layer, layers, blobs.get(layer.name), folder)
            if move is None:
                continue
            _refuse_before(move, each, layers)
            _apply(checked(move, layer), each, layer, edits)
        except ConfigError as error:
            for problem in error.problems:
                found = Finding(migration.path, line, layer.name, ERROR, problem.problem, problem.remedy)
                migration.left.append(found)
            continue
        migration.lists.update(move.files)
        migration.moved[layer.name] = (layer.type, str(move.python.get("layer", move.type)))


def _refuse_before(move: Move, field: Field, layers: Sequence[Layer]) -> None:
    """Raise ConfigError for a layer that needs another one before it, where that cannot stand."""
    if move.before is None:
        return
    name = move.before.get("name")
    if any(layer.name == name for layer in layers):
        raise ConfigError(f"it becomes two layers, but another one is called {name!r}", remedy="rename that one")
    if field.listed:
        raise ConfigError(
            "it becomes two layers, but stands in a list", remedy="write each layer as `layer { ... }` of its own"
        )


def _apply(move: Move, field: Field, layer: Layer, edits: Edits) -> None:
    """Change the text of a layer."""
    spans = list(dict.fromkeys(each.span for each in layer.message.fields if each.name in move.gone))
    kind = next(each for each in layer.message.fields if each.name == "type")
    first = Field("type", move.type, 0)
    if spans:
        edits.put_fields(kind.span, [first])
        edits.put_fields(spans[0], list(move.fields))
    else:
        edits.put_fields(kind.span, [first, *move.fields])
    for span in spans[1:]:
        edits.remove(span)
    if move.before is not None:
        edits.insert_before(field.span, [Field("layer", move.before, 0)])
        for each in layer.message.fields:
            if each.name == "bottom":
                edits.put_fields(each.span, [Field("bottom", layer.tops[0], 0)])
