"""`describe`: what each layer takes, gives and has for options."""

import os
from typing import TYPE_CHECKING, Any, Optional

import click

from caffe_pylayers.commands.console import Command, console, out, print_json
from caffe_pylayers.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from caffe_pylayers.descriptions import Description


@click.command(cls=Command)
@click.argument("layer", required=False)
@click.option("--markdown", is_flag=True, help="Print docs/layers.md, the page about all layers.")
@click.option("--output", metavar="FILE", help="Write that page to a file.")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON Schema of the options, with bottoms and tops.")
def describe(layer: Optional[str], markdown: bool, output: Optional[str], as_json: bool) -> None:
    """Show the bottoms, tops and options of a layer, and a layer to copy; without a name, list all layers.

    \b
    caffe-pylayers describe
    caffe-pylayers describe TripletDataLayer
    caffe-pylayers describe FocalLoss --json
    """

    if output is not None and not markdown:
        raise click.UsageError("--output writes the page of --markdown; give both")
    if layer is not None and os.path.isfile(layer):
        raise click.UsageError(
            f"{layer} is a file, but a name of a layer is expected; `caffe-pylayers check {layer}` looks at a net"
        )
    if markdown and (layer is not None or as_json):
        raise click.UsageError("--markdown is the page about all layers; leave out the layer and --json")
    if markdown:
        _page(output)
    elif as_json:
        print_json(_schemas(layer))
    elif layer is None:
        _show_all(console())
    else:
        from caffe_pylayers import descriptions

        _show(console(), descriptions.describe(layer))


def _page(output: Optional[str]) -> None:
    from caffe_pylayers.descriptions.page import INTRODUCTION, layers_page
    from caffe_pylayers.files.output_file import is_made_here, output_file, refuse_existing

    if output is None:
        out().write(layers_page())
        return
    if os.path.isfile(output) and not is_made_here(output, INTRODUCTION[:100]):
        raise ConfigError(f"{output} is there already, and was not written by it", remedy="name another file")
    refuse_existing([output], force=True)
    with output_file(output) as path, open(path, "w", encoding="utf-8") as file:
        file.write(layers_page())


def _schemas(layer: Optional[str]) -> Any:
    """The JSON Schema of a layer, or that of each by its name."""
    from caffe_pylayers import LAYERS
    from caffe_pylayers.config import json_schema
    from caffe_pylayers.descriptions import describe, layer_called

    if layer is None:
        return {name: _schemas(name) for name in LAYERS}
    described = describe(layer)
    return {
        **json_schema(layer_called(layer)),
        "bottoms": described.bottoms,
        "tops": described.tops,
        "holds": described.holds,
    }


def _show_all(terminal: "Console") -> None:
    from rich.table import Table
    from rich.text import Text

    from caffe_pylayers import LAYERS
    from caffe_pylayers.descriptions import describe, names_in_words

    table = Table("layer", "bottoms -> tops", "what it does", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for layer in map(describe, LAYERS):
        bottoms = f"{names_in_words(layer.bottoms)} " if layer.bottoms else ""
        signature = f"{bottoms}-> {names_in_words(layer.tops)}"
        table.add_row(Text(layer.layer, "bold"), Text(signature), Text(layer.summary.rstrip(".")))
    terminal.print(table)
    terminal.print("\n`caffe-pylayers describe LAYER` shows a layer's options. \\[, x]: may be left out.")


def _show(terminal: "Console", layer: "Description") -> None:
    from rich.table import Table
    from rich.text import Text

    from caffe_pylayers.descriptions import layer_to_copy, names_in_words, parts_in_words

    def say(text: str, style: str = "") -> None:
        terminal.print(Text(text, style))

    aliases = f" (also {', '.join(layer.aliases)})" if layer.aliases else ""
    say(f"{layer.layer}{aliases}", "bold")
    say(layer.summary)
    if layer.twin:
        say(f"Without weights it equals stock {layer.twin}.")
    if layer.forks:
        say(f"In forks of Caffe: {', '.join(layer.forks)}. `caffe-pylayers migrate NET` moves such a net.")
    say(f"\nbottoms: {names_in_words(layer.bottoms)}\ntops:    {names_in_words(layer.tops)}")
    for top, parts in layer.holds.items():
        say(f"{top} has {len(parts)} numbers: {parts_in_words(parts)}")
    for given, bottoms, tops in layer.variants:
        say(f"with {given}: {names_in_words(bottoms)} -> {names_in_words(tops)}".replace("none ->", "->"))
    terminal.print(f"\n{layer_to_copy(layer.layer)}", markup=False, soft_wrap=True)
    table = Table("option", "default", "allowed", "meaning", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for option in layer.options:
        aliases = f" Also written {', '.join(map(repr, option.aliases))}." if option.aliases else ""
        table.add_row(
            Text(option.name, "bold"), Text(option.default), Text(option.allowed), Text(option.help + aliases)
        )
    terminal.print(table)
