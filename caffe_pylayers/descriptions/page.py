"""docs/layers.md: every layer with its bottoms, tops and options, made of the schemas."""

from typing import Sequence

from caffe_pylayers import LAYERS
from caffe_pylayers.descriptions import Description, Option, describe, layer_to_copy, names_in_words, parts_in_words

INTRODUCTION = """\
# Layers and their options

Every layer that a prototxt can name: what it takes, what it gives, its options, and a layer to copy. This page is made from the
schemas that check a `param_str`, by `caffe-pylayers describe --markdown --output docs/layers.md`; `caffe-pylayers describe LAYER`
shows one layer. Equations and when to use which are in [Losses and labels](losses.md), [Embeddings](embeddings.md) and
[Layers on features](features.md), sources and sampling in
[Data](data.md).

`[, x]` is a bottom or top that may be left out. Options are given in `param_str`, as a Python dict, JSON or YAML; a value from a list may
be written in capitals or not.
"""

_SHARED = "Options of all data layers"


def layers_page() -> str:
    """The page, Markdown."""
    layers = [describe(layer) for layer in LAYERS]
    data = [layer for layer in layers if not layer.bottoms]
    shared = [option for option in data[0].options if all(option in layer.options for layer in data)]
    parts = [INTRODUCTION, _contents(layers)]
    parts += [_section(layer, [] if layer.bottoms else shared) for layer in layers]
    parts.append(f"## {_SHARED}\n\n{_table(shared)}")
    return "\n".join(parts)


def _contents(layers: Sequence[Description]) -> str:
    lines = ["| layer | bottoms -> tops | what it does |", "| --- | --- | --- |"]
    for layer in layers:
        bottoms = f"{names_in_words(layer.bottoms)} " if layer.bottoms else ""
        what = layer.summary.rstrip(".")
        lines.append(f"| [{layer.layer}](#{layer.layer.lower()}) | {bottoms}-> {names_in_words(layer.tops)} | {what} |")
    return "\n".join([*lines, f"\nThe data layers share [most options](#{_anchor(_SHARED)}).\n"])


def _section(layer: Description, shared: Sequence[Option]) -> str:
    facts = [f"bottoms: {names_in_words(layer.bottoms)}", f"tops: {names_in_words(layer.tops)}"]
    facts += [f"`{top}` has {len(parts)} numbers: {parts_in_words(parts)}" for top, parts in layer.holds.items()]
    for given, bottoms, tops in layer.variants:
        changed = [f"bottoms {names_in_words(bottoms)}"] if bottoms != layer.bottoms else []
        changed += [f"tops {names_in_words(tops)}"] if tops != layer.tops else []
        facts.append(f"with `{given}`: {', '.join(changed)}")
    facts += [f"also called `{alias}`" for alias in layer.aliases]
    facts += [f"without weights it equals stock `{layer.twin}`"] if layer.twin else []
    facts += [f"in forks of Caffe: {', '.join(layer.forks)} ([migrate](commands.md#migrate))"] if layer.forks else []
    lines = [
        f"## {layer.layer}",
        "",
        f"{layer.summary} More in [{layer.page}]({layer.page}#{layer.layer.lower()}).",
        "",
    ]
    lines += [f"- {fact}" for fact in facts]
    lines += ["", f"```prototxt\n{layer_to_copy(layer.layer)}```", ""]
    own = [option for option in layer.options if option not in shared]
    lines.append(_table(own))
    if shared:
        lines.append(f"And the [options of all data layers](#{_anchor(_SHARED)}).\n")
    return "\n".join(lines)


def _table(options: Sequence[Option]) -> str:
    lines = ["| option | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    for option in options:
        aliases = f" Also written {', '.join(f'`{alias}`' for alias in option.aliases)}." if option.aliases else ""
        cells = [f"`{option.name}`", option.default, option.allowed, option.help + aliases]
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")
