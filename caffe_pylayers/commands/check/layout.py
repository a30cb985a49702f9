"""How the layers of a net hang together: what Caffe refuses before it sets up a single one."""

import itertools
from typing import Dict, Iterator, List, Sequence

from caffe_pylayers.caffe_files.legacy_nets import V1_TYPES
from caffe_pylayers.caffe_files.nets import TEST, TRAIN, Layer, Net, NetState
from caffe_pylayers.commands.check.findings import Finding, error, listed, warning
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.commands.check.views import View
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.errors import did_you_mean


def check_blobs(view: View, _: Report) -> Iterator[Finding]:
    """Every bottom has been a top before, and every top is new, or the bottom at the same place (in place)."""
    made: Dict[str, Layer] = {}
    for layer in view.layers:
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
            made[top] = layer


def _where(view: View, blob: str, made: Dict[str, Layer]) -> str:
    """What to do about a blob that no layer has made so far."""
    for layer in view.layers:
        if blob in layer.tops:
            return f"{_named(layer)} makes it, further down; put that layer first"
    for layer in view.net.layers:
        if blob in layer.tops:
            return f"{_named(layer)} makes it, but its include and exclude rules keep it out of this net"
    return did_you_mean(blob, made) or f"blobs so far: {listed(made)}"


def _named(layer: Layer) -> str:
    return f"layer {layer.name!r} in line {layer.line}"


def check_names(view: View, _: Report) -> Iterator[Finding]:
    """One name is one layer's: weights are found by it."""
    seen: Dict[str, Layer] = {}
    for layer in view.layers:
        if layer.name and layer.name in seen:
            yield warning(
                layer,
                f"{_named(seen[layer.name])} has this name too",
                "give each layer its own name: Caffe finds weights by name, and `net.layer_dict` finds layers by name",
                "name",
            )
        seen.setdefault(layer.name, layer)


#: Types that do nothing without a number of outputs, and whose parameters say it.
_WITH_OUTPUTS = {
    "Convolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "InnerProduct": "inner_product_param",
    "Embed": "embed_param",
    "LSTM": "recurrent_param",
    "RNN": "recurrent_param",
}


def _known_type(kind: str, known_types: Sequence[str]) -> str:
    """What to write in place of a type that this Caffe does not have."""
    for name, schema in SCHEMAS.items():
        if kind in (name, *schema.forks):
            return f'write `type: "Python"` and `python_param {{ module: "caffe_pylayers"  layer: "{name}" }}`'
    today = V1_TYPES.get(kind)
    guess = did_you_mean(today or kind, [today] if today else known_types)
    return guess or f"this Caffe has: {listed(known_types, 99)}"


def check_layer(layer: Layer, report: Report) -> Iterator[Finding]:
    """What one layer says of itself."""
    known_types = report.types
    if not layer.name:
        yield error(layer, "it has no name", 'add `name: "..."`: weights are found by it')
    if not layer.type:
        yield error(layer, "it has no type", 'add `type: "..."`, as in `type: "Convolution"`')
    elif known_types and layer.type not in known_types:
        yield error(layer, f"unknown layer type {layer.type!r}", _known_type(layer.type, known_types), "type")
    name = _WITH_OUTPUTS.get(layer.type)
    param = layer.message.message(name) if name else None
    if name and param is not None and not param.get("num_output"):
        misspelled = any(field.name.startswith("num_") for field in param.fields if field.name != "num_output")
        if not misspelled:  # which is an unknown field already
            yield error(layer, f"{name} has no num_output", f"add `num_output: N` to {name}", name)
    down, bottoms = len(layer.message.all("propagate_down")), len(layer.bottoms)
    if down not in (0, bottoms):
        yield error(
            layer,
            f"propagate_down is given {down} times, but the number of bottoms is {bottoms}",
            "give it once for each bottom, or leave it out",
            "propagate_down",
        )
    weights, tops = len(layer.message.all("loss_weight")), len(layer.tops)
    if weights and tops and weights != tops:
        yield error(
            layer,
            f"loss_weight is given {weights} times, but the number of tops is {tops}",
            "give it once for each top (0 for a top that is not a loss), or leave it out",
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
