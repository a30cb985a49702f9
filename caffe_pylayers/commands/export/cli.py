"""`export`: the weights of a .caffemodel as an .npz, or a net with its weights as a file of ONNX, for use without Caffe."""

import os
from typing import TYPE_CHECKING, Dict, Optional, Sequence, Tuple

import click

from caffe_pylayers.commands.console import Command, console, print_json

if TYPE_CHECKING:
    from caffe_pylayers.commands.export.export import Export
    from caffe_pylayers.commands.export.onnx.export import OnnxExport


@click.command(cls=Command)
@click.argument("weights", metavar="WEIGHTS")
@click.option("--net", metavar="NET", help="The net (or solver) that has these weights; the deploy net is best.")
@click.option("--output", metavar="FILE", help="The file to write; by default WEIGHTS with the ending .npz or .onnx.")
@click.option("--onnx", is_flag=True, help="Write the net with its weights as a file of ONNX; it takes any batch.")
@click.option(
    "--blob",
    "blobs",
    metavar="BLOB",
    multiple=True,
    help="A blob that ONNX's net gives; by default all ends of NET; repeatable.",
)
@click.option(
    "--layout",
    type=click.Choice(["caffe", "tensorflow"], case_sensitive=False),
    default="caffe",
    show_default=True,
    help="The order of axes and rows.",
)
@click.option(
    "--shape",
    "shapes",
    metavar="BLOB=C,H,W",
    multiple=True,
    help="The shape of a blob, if NET does not give it; repeatable.",
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print arrays and layers, or what ONNX's net takes and gives, as JSON."
)
def export(
    weights: str,
    net: Optional[str],
    output: Optional[str],
    onnx: bool,
    blobs: Sequence[str],
    layout: str,
    shapes: Sequence[str],
    force: bool,
    as_json: bool,
) -> None:
    """Write the weights of a .caffemodel as an .npz, in Caffe's layout or TensorFlow's, or with their net as a file of ONNX.

    \b
    caffe-pylayers export net_iter_1000.caffemodel
    caffe-pylayers export net_iter_1000.caffemodel --net deploy.prototxt --layout tensorflow --output net.npz
    caffe-pylayers export net_iter_1000.caffemodel --net deploy.prototxt --onnx
    """
    from caffe_pylayers.files.output_file import refuse_existing

    _check_options(onnx, net, layout, blobs)
    path = output or os.path.splitext(weights)[0] + (".onnx" if onnx else ".npz")
    given = dict(map(shape_of, shapes))
    if not os.path.exists(weights):
        raise click.UsageError(f"{weights}: there is no such file")
    refuse_existing([path], force, (weights, net))
    if onnx and net is not None:
        _export_onnx(net, weights, path, given, blobs, as_json)
    else:
        _export_weights(weights, net, path, layout, given, as_json)


def _check_options(onnx: bool, net: Optional[str], layout: str, blobs: Sequence[str]) -> None:
    if onnx and net is None:
        raise click.UsageError(
            "--onnx needs the net that has these weights: give it with --net; the deploy net is best"
        )
    if onnx and layout.lower() != "caffe":
        raise click.UsageError("--layout is of arrays, but --onnx writes a net: leave out one of them")
    if blobs and not onnx:
        raise click.UsageError("--blob says what ONNX's net gives: give --onnx too")


def _export_weights(
    weights: str, net: Optional[str], path: str, layout: str, given: Dict[str, Tuple[int, ...]], as_json: bool
) -> None:
    from caffe_pylayers.commands.export.export import export as exported

    result = exported(weights, net, "tensorflow" if layout.lower() == "tensorflow" else "caffe", given)
    result.write(path)
    if as_json:
        arrays = {name: {"shape": array.shape, "dtype": str(array.dtype)} for name, array in result.arrays.items()}
        print_json({"output": path, **result.meta, "arrays": arrays})
    else:
        _show(result, path)
    _remark(result, net)


def _export_onnx(
    net: str, weights: str, path: str, shapes: Dict[str, Tuple[int, ...]], blobs: Sequence[str], as_json: bool
) -> None:
    from rich.text import Text

    from caffe_pylayers.commands.export.onnx.export import export_onnx

    result = export_onnx(net, weights, path, shapes, blobs)
    if as_json:
        print_json(result.meta)
    else:
        _show_onnx(result)
    if result.left_out:
        console(stderr=True).print(Text(f"left out of {net}: {', '.join(result.left_out)}"))
    if not result.checked_by:
        remedy = "`pip install '.[onnx]'` in a clone of this package brings its checker"
        console(stderr=True).print(Text(f"the model is not checked: {result.unchecked}; {remedy}"))


def _show_onnx(result: "OnnxExport") -> None:
    from rich.table import Table
    from rich.text import Text

    from caffe_pylayers.commands.export.layouts import dims

    table = Table("", "blob", "shape", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for side, tensors in (("input", result.inputs), ("output", result.outputs)):
        for tensor in tensors:
            table.add_row(side, Text(tensor.name), Text(dims(tensor.shape)))
    console().print(table)
    checked = f", checked by onnx {result.checked_by}" if result.checked_by else ""
    found = f"\n{result.path}: opset {result.opset}, {result.num_nodes} nodes, {result.num_weights} weights{checked}"
    console().print(Text(found))


def shape_of(text: str) -> Tuple[str, Tuple[int, ...]]:
    blob, _, sizes = text.rpartition("=")
    if not blob or not all(size.strip().isdigit() and int(size) for size in sizes.split(",")):
        raise click.UsageError(
            f"--shape is written BLOB=CHANNELS,HEIGHT,WIDTH, as in --shape data=3,224,224, not {text!r}"
        )
    return blob, tuple(int(size) for size in sizes.split(","))


def _show(result: "Export", path: str) -> None:
    from rich.table import Table
    from rich.text import Text

    from caffe_pylayers.commands.export.layouts import dims

    table = Table("array", "shape", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, array in result.arrays.items():
        table.add_row(Text(name), Text(dims(array.shape)))
    console().print(table)
    layers = sum(1 for layer in result.layers if layer["arrays"])
    where = {"caffe": "Caffe's", "tensorflow": "TensorFlow's"}[result.layout]
    console().print(Text(f"\n{path}: {len(result.arrays)} arrays of {layers} layers, in {where} layout"))


def _remark(result: "Export", net: Optional[str]) -> None:
    """What is not there, and how to pad, on stderr."""
    from rich.text import Text

    remarks = []
    if result.left_out:
        remarks.append(f"not in {net}, and left out: {', '.join(result.left_out)}")
    if result.missing:
        remarks.append(f"no weights in {result.weights}: {', '.join(result.missing)}")
    unnamed = [layer["name"] for layer in result.layers if any(name[-1].isdigit() for name in layer["arrays"])]
    if result.layout == "tensorflow" and unnamed:
        remarks.append(f"written as in Caffe, because their types have no TensorFlow layout here: {', '.join(unnamed)}")
    padded: Dict[str, object] = {
        layer["name"]: layer["padding"] or layer["pad"]
        for layer in result.layers
        if layer.get("padding", True) is None or any(map(any, layer.get("padding") or ()))
    }
    if result.layout == "tensorflow" and padded:
        remarks.append(
            "padding: TensorFlow's SAME depends on the size. If it cannot pad both sides equally, as Caffe does, it pads more behind. "
            "Its pooling rounds down. Pad with the numbers of `padding` in __meta__, (before, after) for each axis, with -inf "
            f"before max pooling, and use VALID. Padded layers: {', '.join(padded)}"
        )
    for remark in remarks:
        console(stderr=True).print(Text(remark))
