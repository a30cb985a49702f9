"""`caffe-pylayers preview`: a contact sheet of what a data layer really feeds."""

import os
import re
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

import click

from caffe_pylayers.commands.console import Command, console, print_json, whole

if TYPE_CHECKING:
    from caffe_pylayers.caffe_files.nets import Layer
    from caffe_pylayers.commands.preview.preview import Preview


@click.command(cls=Command)
@click.argument("net", required=False)
@click.option("--layer", "layer_name", help="Draw only this data layer of the net; by default all, one picture each.")
@click.option("--phase", type=click.Choice(["TRAIN", "TEST"]), default="TRAIN", show_default=True, help="Phase.")
@click.option("--stage", multiple=True, help="A stage of the net; repeatable.")
@click.option(
    "--layer-type", metavar="TYPE", help="A data layer of this package instead of a net, such as TripletDataLayer."
)
@click.option("--options", "param_str", metavar="PARAM_STR", help="The options of that data layer, as in param_str.")
@click.option("--tops", type=whole(), help="How many tops that data layer has; by default only the required ones.")
@click.option("--batch", type=whole(0), default=0, show_default=True, help="First batch.")
@click.option("--batches", type=whole(), default=1, show_default=True, help="How many batches to draw together.")
@click.option(
    "--augment",
    "record",
    type=whole(0),
    metavar="N",
    help="Draw record N (from 0) many times, with all that is random about it.",
)
@click.option("--rows", type=whole(), default=8, show_default=True, help="Rows of samples in the picture.")
@click.option("--classes", metavar="FILE", help="Text file with one class name per line.")
@click.option(
    "--output", metavar="FILE", help="The PNG; preview.png by default, or preview_LAYER.png for each of several layers."
)
@click.option("--force", is_flag=True, help="Overwrite a file that is not a preview.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def preview(
    net: Optional[str],
    layer_name: Optional[str],
    phase: str,
    stage: Tuple[str, ...],
    layer_type: Optional[str],
    param_str: Optional[str],
    tops: Optional[int],
    batch: int,
    batches: int,
    record: Optional[int],
    rows: int,
    classes: Optional[str],
    output: Optional[str],
    force: bool,
    as_json: bool,
) -> int:
    """Draw what a data layer really feeds: crops and mirrored images, with mean and scale undone.

    Triplets and pairs stand side by side with labels, margins and sim; batches of type PK class by class. A histogram
    of the fed values is below. If something looks like a mistake, the command says so and ends with status 1. Stock data
    layers are drawn too. NET may be a solver: its net in that phase is taken. --classes gives names to labels. --augment N
    shows one image as often as a batch has samples, to see its crops, mirroring and augmentation.

    \b
    caffe-pylayers preview train_val.prototxt
    caffe-pylayers preview train_val.prototxt --phase TEST --batch 3 --classes names.txt
    caffe-pylayers preview train_val.prototxt --augment 0
    caffe-pylayers preview --layer-type TripletDataLayer --options "{'source': 'train.csv', 'batch_size': 8}"
    """
    import caffe_pylayers
    from caffe_pylayers.commands.layer_files import files_read
    from caffe_pylayers.commands.preview.fed_batch import fed_by
    from caffe_pylayers.commands.preview.preview import is_preview, preview_of
    from caffe_pylayers.files.output_file import refuse_existing

    if record is not None and phase != "TRAIN":
        raise click.UsageError("--augment is for TRAIN: nothing is drawn for an image in TEST")
    layers, others = _layers(net, layer_name, phase, stage, layer_type, param_str, tops)
    paths = _paths(layers, output)
    others_files = [path for path in paths if not is_preview(path)]
    inputs = files_read(layers) if force and any(map(os.path.exists, others_files)) else ()
    refuse_existing(others_files, force, (net, classes, *inputs))
    made: Dict[str, Preview] = {}
    try:
        for layer, path in zip(layers, paths):
            fed = fed_by(layer, phase, range(batch, batch + batches), record)
            made[path] = preview_of(fed, batch, rows, classes, others)
            caffe_pylayers.close()
            made[path].write(path)
            if not as_json:
                _print(made[path], path)
    finally:
        caffe_pylayers.close()
    if as_json:
        print_json([_as_json(each, path) for path, each in made.items()])
    return int(any(each.findings for each in made.values()))


def _layers(
    path: Optional[str],
    name: Optional[str],
    phase: str,
    stages: Tuple[str, ...],
    layer_type: Optional[str],
    param_str: Optional[str],
    tops: Optional[int],
) -> "Tuple[List[Layer], List[Layer]]":
    """The layers to look at, and all layers of their net."""
    from caffe_pylayers.caffe_files import nets
    from caffe_pylayers.commands import layer_net
    from caffe_pylayers.commands.net_or_solver import net_in

    if (path is None) == (layer_type is None):
        raise click.UsageError("give a net or solver, or --layer-type with --options, but not both")
    if layer_type is not None:
        if name or stages:
            raise click.UsageError(f"--{'layer' if name else 'stage'} is for nets; with --layer-type leave it out")
        return [layer_net.layer_of(layer_type, param_str or "", tops)], []
    if param_str is not None or tops is not None:
        raise click.UsageError(f"--{'options' if tops is None else 'tops'} is only for --layer-type; a net has its own")
    net, state = net_in(str(path), phase, stages)
    return nets.data_layers(net, state, name), net.in_state(state)


def _paths(layers: "List[Layer]", output: Optional[str]) -> List[str]:
    """Where the picture of each layer goes."""
    if len(layers) == 1:
        return [output or "preview.png"]
    if output:
        names = ", ".join(layer.name for layer in layers)
        raise click.UsageError(
            f"--output is one file, but there are {len(layers)} data layers; choose one with --layer: {names}"
        )
    return [f"preview_{re.sub('[^A-Za-z0-9_.-]+', '_', layer.name)}.png" for layer in layers]


def _print(made: "Preview", path: str) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, justify in (
        ("as fed", "left"),
        ("min", "right"),
        ("max", "right"),
        ("mean", "right"),
        ("std", "right"),
    ):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    table.add_column("NaN, inf", justify="right")
    for channel in made.channels:
        numbers = (f"{value:.4g}" for value in (channel.min, channel.max, channel.mean, channel.std))
        table.add_row(channel.name, *numbers, str(channel.num_not_finite))
    terminal = console()
    for line in (made.title, *made.notes):
        terminal.print(line, soft_wrap=True, markup=False)
    terminal.print(table)
    for finding in made.findings:
        terminal.print(f"warning: {finding}", markup=False, style="yellow")
    terminal.print(f"wrote {path}", soft_wrap=True, markup=False)


def _as_json(made: "Preview", path: str) -> Dict[str, Any]:
    return {
        "output": path,
        "title": made.title,
        "notes": made.notes,
        "samples": made.count,
        "shown": made.shown,
        "channels": [
            {
                "name": channel.name,
                **{
                    key: getattr(channel, key) if len(channel.values) else None for key in ("min", "max", "mean", "std")
                },
                "not_finite": channel.num_not_finite,
            }
            for channel in made.channels
        ],
        "findings": made.findings,
    }
