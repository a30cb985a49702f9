"""`deploy`: a trained net for OpenCV, ncnn, rknn, NNIE, or a Caffe without Python layers."""

import os
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

import click

from caffe_pylayers.commands.console import Command, console, print_json, whole

if TYPE_CHECKING:
    from caffe_pylayers.commands.deploy.deploy import Deployed


@click.command(cls=Command)
@click.argument("net", metavar="NET")
@click.argument("weights", metavar="WEIGHTS")
@click.option(
    "-o",
    "--name",
    metavar="NAME",
    help="Write NAME.prototxt, NAME.caffemodel, NAME.json and NAME.py; by default WEIGHTS with _deploy behind.",
)
@click.option(
    "--output",
    "outputs",
    metavar="BLOB",
    multiple=True,
    help="An output; what it does not need is cut off. Repeatable.",
)
@click.option("--stock", is_flag=True, help="Only layers of stock Caffe, for a Caffe without Python layers.")
@click.option(
    "--fold", is_flag=True, help="Put BatchNorm, Scale and Bias into the layer before, and leave Dropout out."
)
@click.option("--batch", metavar="N", type=whole(), help="Samples at a time; by default 1.")
@click.option(
    "--shape",
    "shapes",
    metavar="BLOB=C,H,W",
    multiple=True,
    help="The shape of an input, if NET does not give it; repeatable.",
)
@click.option("--stage", "stages", metavar="STAGE", multiple=True, help="A stage of the net; repeatable.")
@click.option("--force", is_flag=True, help="Overwrite the files.")
@click.option("--json", "as_json", is_flag=True, help="Print what is written as JSON.")
def deploy(
    net: str,
    weights: str,
    name: Optional[str],
    outputs: Sequence[str],
    stock: bool,
    fold: bool,
    batch: Optional[int],
    shapes: Sequence[str],
    stages: Sequence[str],
    force: bool,
    as_json: bool,
) -> None:
    """Write a trained net for another program: without data, losses and metrics, its layers by names that others know.

    \b
    caffe-pylayers deploy train_val.prototxt net_iter_1000.caffemodel -o net
    caffe-pylayers deploy train_val.prototxt net_iter_1000.caffemodel -o net --stock --fold --output scores
    """
    import numpy as np

    from caffe_pylayers.commands.deploy.deploy import deploy as deployed
    from caffe_pylayers.commands.deploy.preprocessing import preprocessing, program
    from caffe_pylayers.commands.export.cli import shape_of
    from caffe_pylayers.commands.layer_files import files_read
    from caffe_pylayers.files.output_file import output_file, refuse_existing

    for path in (net, weights):
        if not os.path.exists(path):
            raise click.UsageError(f"{path}: there is no such file")
    place = name or f"{os.path.splitext(weights)[0]}_deploy"
    paths = [f"{place}{ending}" for ending in (".prototxt", ".caffemodel", ".json", ".py")]
    refuse_existing(paths, force, (net, weights))  # before all that takes time
    result = deployed(net, weights, outputs, stock, fold, batch, dict(map(shape_of, shapes)), stages)
    about = preprocessing(result)
    means = {about.mean_file(place, blob): mean for blob, mean in about.means.items()}
    feeders = [layer for layer, _ in result.feeders.values()]
    refuse_existing([*paths, *means], force, (net, weights, *files_read(feeders)))
    result.write(*paths[:2])
    for path, text in zip(paths[2:], (about.json(place), program(about, place, stock))):
        with output_file(path) as partial, open(partial, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    for path, mean in means.items():
        with output_file(path) as partial, open(partial, "wb") as binary:
            np.save(binary, mean)
    paths += means
    if as_json:
        print_json({"files": paths, **_plain(result)})
    else:
        _show(result, paths)
    _remark(result, about.remarks, stock)


def _plain(result: "Deployed") -> Dict[str, Any]:
    return {
        "inputs": result.inputs,
        "outputs": result.outputs,
        "layers": [{"name": each.layer.name, "type": each.type} for each in result.parts],
        "left_out": [{"name": layer.name, "type": layer.type, "why": why} for layer, why in result.left_out],
        "replaced": [{"name": layer.name, "by": types} for layer, types in result.replaced],
        "folded": [{"name": layer, "into": into} for layer, into in result.folded],
        "not_in_opencv": [{"name": each.layer.name, "type": each.type, "why": why} for each, why in result.unread],
    }


def _show(result: "Deployed", paths: Sequence[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    rows = _rows(result)
    if rows:
        table = Table("layer", "type", "what became of it", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for row in rows:
            table.add_row(*map(Text, row))
        console().print(table, "")
    inputs = ", ".join(f"{blob} ({' x '.join(map(str, shape))})" for blob, shape in result.inputs.items())
    console().print(Text(f"inputs: {inputs}\noutputs: {', '.join(result.outputs)}"))
    console().print(Text(f"{', '.join(paths)}: {len(result.parts)} layers, {len(result.weights)} with weights"))


def _rows(result: "Deployed") -> List[Tuple[str, str, str]]:
    """The layers that are not as they were."""
    rows = [(layer.name, layer.own or layer.type, f"left out: {why}") for layer, why in result.left_out]
    rows += [(layer.name, layer.own or layer.type, f"is {', '.join(types)}") for layer, types in result.replaced]
    types = {each.layer.name: each.type for each in result.parts}
    return rows + [
        (layer, "", f"folded into {into} ({types[into]})" if into else "left out: Dropout")
        for layer, into in result.folded
    ]


def _remark(result: "Deployed", remarks: Sequence[str], stock: bool) -> None:
    """What another program has to know, on stderr."""
    from rich.text import Text

    said = list(remarks)
    if not stock:
        said += [
            f"OpenCV does not read layer {each.layer.name!r} (type {each.type}): {why}" for each, why in result.unread
        ]
    for remark in said:
        console(stderr=True).print(Text(remark))
