"""How the layers of a net hang together: what Caffe refuses before it sets up a single one."""

import itertools
from typing import Dict, Iterator, List, Sequence

from caffe_pylayers.caffe_files.nets import TEST, TRAIN, Layer, Net, NetState
from caffe_pylayers.commands.check.findings import Finding, error, listed, times, warning
from caffe_pylayers.commands.check.python_layers import schema_of
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.commands.check.resume import num_blobs
from caffe_pylayers.commands.check.views import View
from caffe_pylayers.commands.migrate.forks import in_place_of_type
from caffe_pylayers.commands.shared_memory import changed_reads
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.errors import did_you_mean


def check_blobs(view: View, _: Report) -> Iterator[Finding]:
    """Every bottom has been a top before, and every top is new, or the bottom at the same place (in place).

    Caffe copies a blob that several layers read, so that none of them can work in place on it.
    """
    made: Dict[str, Layer] = {}
    readers: Dict[str, List[Layer]] = {}
    for layer in view.layers:
        for bottom in layer.bottoms:
            readers.setdefault(bottom, []).append(layer)
        for number, bottom in enumerate(layer.bottoms):
            if bottom not in made:
                yield error(layer, f"unknown bottom blob {bottom!r}", _where(view, bottom, made), "bottom", number)
        for number, top in enumerate(layer.tops):
            in_place = number < len(layer.bottoms) and layer.bottoms[number] == top
            if top in made and not in_place:
                yield error(
                    layer,
                    f"top blob {top!r} is already made by {_named(made[top])}",
                    "give the top another name, or the layers include rules of different phases",
                    "top",
                    number,
                )
            elif top in made and (len(readers[top]) > 1 or _is_loss(made[top], top)):
                reader = f"{_named(readers[top][0])} reads it too" if len(readers[top]) > 1 else "it is a loss"
                yield error(
                    layer,
                    f"works in place on blob {top!r}, but {reader}: Caffe stops",
                    "give its top a name of its own",
                    "top",
                    number,
                )
            made[top], readers[top] = layer, []


def check_shared_memory(view: View, _: Report) -> Iterator[Finding]:
    """No layer in place changes a blob that another layer reads under another name: tops of Flatten, Reshape, Split are the memory of their bottom."""
    for found in changed_reads(view.layers, training=view.training):
        if found.reader is None:
            continue
        reads = "computes its gradient from the changed numbers of" if found.late else "reads the changed numbers of"
        yield warning(
            found.changer,
            f"works in place on blob {found.changed!r}, which shares its memory with blob {found.blob!r}: {_named(found.reader)} {reads} {found.blob!r}",
            "give its top a name of its own",
            "top",
            found.changer.tops.index(found.changed),
        )


def _is_loss(layer: Layer, top: str) -> bool:
    weights = layer.message.all("loss_weight")
    number = layer.tops.index(top)
    return number < len(weights) and bool(weights[number])


_NEAR = 200  # blobs that may have been meant; the time to compare names is spent for each mistake


def _where(view: View, blob: str, made: Dict[str, Layer]) -> str:
    """What to do about a blob that no layer has made so far."""
    if blob in view.makers:
        return f"{_named(view.makers[blob])} makes it, further down; put that layer first"
    if blob in view.net.makers:
        return f"{_named(view.net.makers[blob])} makes it, but its include and exclude rules keep it out of this net"
    near = list(itertools.islice(reversed(made), _NEAR))[::-1]
    return did_you_mean(blob, near) or f"blobs before it: {listed(near)}"


def _named(layer: Layer) -> str:
    named = f"layer {layer.name!r}" if layer.name else f"the {layer.type} layer"
    return f"{named} in line {layer.line}"


def check_names(view: View, _: Report) -> Iterator[Finding]:
    """One name is one layer's: Caffe takes weights, for tests and from files, to the first layer of their name.

    Without weights layers may share a name, or have none; also if they share all weights by the names of their params.
    """
    seen: Dict[str, Layer] = {}
    for layer in view.layers:
        first = seen.setdefault(layer.name, layer)
        if first is layer:
            continue
        problem = f"{_named(first)} has this name too" if layer.name else f"it has no name, as {_named(first)}"
        if (_has_weights(layer) or _has_weights(first)) and not _shares_weights(layer, first):
            problem += ": Caffe stops, or gives the weights of both to the first"
            yield error(layer, problem, "give each layer its own name", "name")
        elif layer.name:
            remedy = (
                "give each layer its own name: Caffe finds weights by name, and `net.layer_dict` finds layers by name"
            )
            yield warning(layer, problem, remedy, "name")


def _has_weights(layer: Layer) -> bool:
    """Whether a layer is known to have parameter blobs."""
    if layer.type in ("Scale", "Bias"):
        return len(layer.bottoms) == 1
    return layer.type in _WITH_OUTPUTS or layer.type in ("BatchNorm", "PReLU", "Parameter") or bool(num_blobs(layer))


def _shares_weights(layer: Layer, first: Layer) -> bool:
    """Whether convolutions or fully connected layers have their weights, and biases if there are any, by the same names."""
    names, others = ([str(each.get("name", "")) for each in one.message.messages("param")] for one in (layer, first))
    param = layer.message.message(_WITH_OUTPUTS.get(layer.type, ""))
    blobs = 2 if param.flag("bias_term", True) else 1
    known = layer.type in ("Convolution", "Deconvolution", "InnerProduct") and layer.type == first.type
    return known and len(names) == blobs and all(names) and names == others


#: Types that do nothing without a number of outputs, and whose parameters say it.
_WITH_OUTPUTS = {
    "Convolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "InnerProduct": "inner_product_param",
    "Embed": "embed_param",
    "LSTM": "recurrent_param",
    "RNN": "recurrent_param",
}


def check_layer(layer: Layer, report: Report) -> Iterator[Finding]:
    """What one layer says of itself."""
    known_types = report.types
    if not layer.type:
        yield error(layer, "it has no type", 'add `type: "..."`, as in `type: "Convolution"`')
    elif known_types and layer.type not in known_types:
        yield error(layer, f"unknown layer type {layer.type!r}", in_place_of_type(layer, known_types), "type")
    name = _WITH_OUTPUTS.get(layer.type)
    param = layer.message.message(name) if name else None
    if name and param is not None and not param.get("num_output"):
        misspelled = any(field.name.startswith("num_") for field in param.fields if field.name != "num_output")
        if not misspelled:  # which is an unknown field already
            yield error(layer, f"{name} has no num_output", f"add `num_output: N` to {name}", name)
    yield from _check_sample_weight(layer)
    down, bottoms = len(layer.message.all("propagate_down")), len(layer.bottoms)
    if down not in (0, bottoms):
        yield error(
            layer,
            f"propagate_down is given {times(down)}, but the number of bottoms is {bottoms}",
            "give it once for each bottom, or leave it out",
            "propagate_down",
        )
    weights, tops = len(layer.message.all("loss_weight")), len(layer.tops)
    if weights and tops and weights != tops:
        or_not = "" if layer.type == "Python" else ", or leave it out"  # no loss learns without it there
        yield error(
            layer,
            f"loss_weight is given {times(weights)}, but the number of tops is {tops}",
            f"give it once for each top (0 for a top that is not a loss){or_not}",
            "loss_weight",
        )
    if "include" in layer.message and "exclude" in layer.message:
        yield error(
            layer, "it has include and exclude rules, but Caffe allows one kind only", "leave one kind out", "exclude"
        )
    elif not _can_be_in(layer):
        yield warning(
            layer, "no net has it: its rules exclude each other", "change its include and exclude rules", "include"
        )


def _check_sample_weight(layer: Layer) -> Iterator[Finding]:
    """A loss of Caffe's takes no sample weights, as a fork's may."""
    twin = schema_of(layer) if layer.type != "Python" else None
    if twin is None:
        return
    most = len([name for name in twin().bottom_names() if name != "[sample_weight]"])
    if len(layer.bottoms) > most:
        ours = next(name for name, schema in SCHEMAS.items() if schema is twin)
        yield error(
            layer,
            f"{layer.type} takes {most} bottoms, not {len(layer.bottoms)}",
            f"{ours} of caffe_pylayers takes sample weights as one more, its last",
            "bottom",
        )


def _can_be_in(layer: Layer) -> bool:
    """Whether any state has the layer, among all that its own rules can tell apart."""
    rules = [*layer.message.messages("include"), *layer.message.messages("exclude")]
    stages = sorted({str(name) for rule in rules for field in ("stage", "not_stage") for name in rule.all(field)})
    levels = {0, *(rule.whole(name) for rule in rules for name in ("min_level", "max_level"))}
    subsets: List[Sequence[str]] = [(), stages]
    if len(stages) <= 6:
        subsets = [each for size in range(len(stages) + 1) for each in itertools.combinations(stages, size)]
    return any(
        layer.in_state(NetState(phase, tuple(chosen), level))
        for phase in (TRAIN, TEST)
        for chosen in subsets
        for level in levels
    )


def check_net(net: Net, _: Report) -> Iterator[Finding]:
    """What is wrong with a net as a whole."""
    if not net.layers:
        yield Finding(
            net.path, net.message.line, "", "error", "it has no layers", "is this file a net? A net has `layer { ... }`"
        )
    if net.upgrades:
        line = min((field.line for field in net.message.fields if field.name == "layer"), default=1)
        yield Finding(
            net.path,
            line,
            "",
            "note",
            f"a net of an older Caffe ({', '.join(net.upgrades)}), checked as Caffe upgrades it",
            f"`upgrade_net_proto_text {net.path} NEW.prototxt` writes it in today's form",
        )
